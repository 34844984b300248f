//! What a person asks for: a release, a family, `latest`, a range, a linked name.
//! Leaves out the files such a wish is read from (`pinfile`) and who wins among several (`decide`).

use std::fmt;
use std::str::FromStr;

use crate::version::{Version, lang};

/// A wish for a Go, as typed or as written in a pin file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spec {
    /// One release: `1.22.4`, `1.28rc1`, `1.22.4-bigcorp`.
    Exact(Version),
    /// The newest patch of a family: `1.22`.
    Family(u32, u32),
    /// The newest stable release.
    Latest,
    /// The newest stable release of the family before the newest one.
    OldStable,
    /// Every release that a range admits: `>=1.25, <1.27`.
    Range(Range),
    /// A tree that the user linked under a name of its own: `tip`.
    Linked(LinkName),
}

/// A version range in Cargo's notation, over Go versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    req: semver::VersionReq,
}

/// The name of a linked tree: a lower-case letter, then letters, digits, `-` and `_`; at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(Box<str>);

impl LinkName {
    /// Reads a name, refusing words that mean something else as a [`Spec`].
    ///
    /// # Errors
    /// When the text is no name, with the byte offset of the fault.
    pub fn parse(text: &str) -> Result<LinkName, ParseSpecError> {
        match Spec::parse(text)? {
            Spec::Linked(name) => Ok(name),
            _ => Err(ParseSpecError::new(text, 0, "this word already means a version")),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no [`Spec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a Go version")]
pub struct ParseSpecError {
    /// What was given, cut to 64 characters, control characters escaped.
    pub text: String,
    /// The byte offset of the fault in what was given.
    pub at: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl ParseSpecError {
    fn new(text: &str, at: usize, reason: &'static str) -> ParseSpecError {
        ParseSpecError { text: text.chars().take(64).collect::<String>().escape_debug().to_string(), at, reason }
    }
}

impl Spec {
    /// Reads a wish. Tolerates the prefixes `go`, `v`, `go-` and `golang-` that other managers write.
    ///
    /// # Errors
    /// When it is none, with the place of the fault.
    pub fn parse(text: &str) -> Result<Spec, ParseSpecError> {
        let fault = |at, reason| Err(ParseSpecError::new(text, at, reason));
        let word = text.trim();
        let start = text.len() - text.trim_start().len();
        match word {
            "" => return fault(0, "nothing is asked for"),
            "latest" | "stable" => return Ok(Spec::Latest),
            "oldstable" => return Ok(Spec::OldStable),
            _ if word.len() > 256 => return fault(0, "too long"),
            _ => {}
        }
        if word.starts_with(['>', '<', '=', '~', '^']) {
            return Range::parse(word)
                .map(Spec::Range)
                .ok_or_else(|| ParseSpecError::new(text, start, "a range looks like `>=1.25, <1.27`"));
        }
        let bare = ["golang-", "go-", "golang", "go", "v"].iter().find_map(|p| word.strip_prefix(p)).unwrap_or(word);
        let offset = start + word.len() - bare.len();
        if bare.starts_with(|c: char| c.is_ascii_digit()) {
            return numbered(bare)
                .ok_or_else(|| ParseSpecError::new(text, offset + fault_in(bare), "try `1.22` or `1.22.4`"));
        }
        let named = word.len() <= 32
            && word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if named && !matches!(word, "system" | "default" | "local" | "auto" | "path" | "go" | "off") {
            return Ok(Spec::Linked(LinkName(word.into())));
        }
        fault(start, "try `1.22` or `1.22.4`")
    }

    /// The one release that this wish names, when it names one.
    #[must_use]
    pub fn exact(&self) -> Option<&Version> {
        if let Spec::Exact(version) = self { Some(version) } else { None }
    }

    /// Says whether `version` is among the releases wished for. `latest` and `oldstable` admit every stable release:
    /// which one they mean depends on the others, see [`Spec::pick`].
    #[must_use]
    pub fn admits(&self, version: &Version) -> bool {
        match self {
            Spec::Exact(wanted) => wanted == version,
            Spec::Family(major, minor) => version.family() == Some((*major, *minor)) && is_stable(version),
            Spec::Latest | Spec::OldStable => is_stable(version),
            Spec::Range(range) => version.suffix().is_none() && range.admits(version),
            Spec::Linked(_) => false,
        }
    }

    /// The release of `from` that this wish means: the newest that it admits.
    ///
    /// A family of which only prereleases exist means the newest of them.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers make their iterators for this")]
    pub fn pick<'a>(&self, from: impl Iterator<Item = &'a Version> + Clone) -> Option<&'a Version> {
        self.pick_by(|is_meant| from.clone().filter(|version| is_meant(version)).max())
    }

    /// As [`Spec::pick`], from releases of which somebody gives the newest that is meant.
    pub(crate) fn pick_by<'a>(
        &self,
        newest: impl Fn(&dyn Fn(&Version) -> bool) -> Option<&'a Version>,
    ) -> Option<&'a Version> {
        let found = newest(&|v| self.admits(v));
        match self {
            Spec::Family(major, minor) if found.is_none() => {
                newest(&|v| v.family() == Some((*major, *minor)) && v.is_prerelease() && v.suffix().is_none())
            }
            Spec::OldStable => {
                let family = found?.family()?;
                newest(&|v| self.admits(v) && v.family().is_some_and(|f| f < family))
            }
            _ => found,
        }
    }
}

fn is_stable(version: &Version) -> bool {
    !version.is_prerelease() && !version.is_lang() && version.suffix().is_none() && version.family().is_some()
}

/// Reads a wish that starts with a digit.
fn numbered(text: &str) -> Option<Spec> {
    if let Some((major, minor)) = text.split_once('.')
        && let (Ok(m), Ok(n)) = (major.parse::<u32>(), minor.parse::<u32>())
        && lang(text) == text
    {
        return Some(Spec::Family(m, n));
    }
    let version = Version::parse(text).ok()?;
    // `1` alone names no release; `1.21-x` is a language version with a suffix, which nobody builds.
    if !text.contains('.') || version.is_lang() {
        return None;
    }
    // Below 1.21 the first release of a family has no `.0` in its name (go1.20).
    let first = text.strip_suffix(".0").filter(|_| version.suffix().is_none() && version.patch() == Some(0));
    let first = first.and_then(|family| Version::parse(family).ok()).filter(|v| v.as_str().contains('.'));
    Some(Spec::Exact(first.filter(|first| !first.is_lang()).unwrap_or(version)))
}

/// Where a text that begins with a digit stops being the beginning of a version; its last byte when it never does.
fn fault_in(text: &str) -> usize {
    let begins_one = |end: &usize| {
        let part = &text[..*end];
        Version::parse(part).is_ok() || Version::parse(&format!("{part}0")).is_ok()
    };
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let good = ends.take_while(begins_one).last().unwrap_or(0);
    good.min(text.len().saturating_sub(1))
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        // Comparators may be parted by commas or by blanks; semver knows commas only.
        let mut spaced = String::with_capacity(text.len() + 4);
        let mut last = ' ';
        for c in text.chars() {
            let starts = matches!(c, '>' | '<' | '=' | '~' | '^') && !matches!(last, '>' | '<' | '=' | '~' | '^');
            if starts && !spaced.trim_end().is_empty() && !spaced.trim_end().ends_with(',') {
                spaced.push(',');
            }
            spaced.push(c);
            if !c.is_whitespace() {
                last = c;
            }
        }
        let comparators: Option<Vec<String>> = spaced.split(',').map(comparator).collect();
        semver::VersionReq::parse(&comparators?.join(",")).ok().map(|req| Range { req })
    }

    fn admits(&self, version: &Version) -> bool {
        to_semver(version).is_some_and(|v| self.req.matches(&v))
    }
}

/// Writes one comparator as semver has it: `>= go1.28rc1` becomes `>=1.28.0-rc.1`.
fn comparator(text: &str) -> Option<String> {
    let text = text.trim();
    let (op, bare) = text.split_at(text.find(|c: char| !"<>=~^".contains(c))?);
    let bare = bare.trim_start();
    let bare = bare.strip_prefix("go").unwrap_or(bare);
    match Version::parse(bare) {
        Ok(version) if version.is_prerelease() && version.suffix().is_none() => {
            Some(format!("{op}{}", to_semver(&version)?))
        }
        _ => Some(format!("{op}{bare}")),
    }
}

/// Maps a Go version to a semantic one without changing the order. Suffixes play no part; the old oddities have none.
fn to_semver(version: &Version) -> Option<semver::Version> {
    let (major, minor) = version.family()?;
    if let Some(patch) = version.patch() {
        return Some(semver::Version::new(major.into(), minor.into(), patch.into()));
    }
    let mut mapped = semver::Version::new(major.into(), minor.into(), 0);
    let tail = version.base().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let kind = tail.trim_end_matches(|c: char| c.is_ascii_digit());
    mapped.pre = match &tail[kind.len()..] {
        // A language version sorts below the prereleases; a patch beyond `u32` has no place.
        "" if kind.is_empty() && version.is_lang() => semver::Prerelease::new("0").ok()?,
        "" => semver::Prerelease::new(kind).ok().filter(|pre| !pre.is_empty())?,
        number => semver::Prerelease::new(&format!("{kind}.{number}")).ok()?,
    };
    Some(mapped)
}

impl FromStr for Spec {
    type Err = ParseSpecError;
    fn from_str(s: &str) -> Result<Spec, ParseSpecError> {
        Spec::parse(s)
    }
}

/// Prints the wish as a person would type it; read again, it is the same wish.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `1.20` alone means the family.
            Spec::Exact(version) if matches!(numbered(version.as_str()), Some(Spec::Family(..))) => {
                write!(f, "{version}.0")
            }
            Spec::Exact(version) => version.fmt(f),
            Spec::Family(major, minor) => write!(f, "{major}.{minor}"),
            Spec::Latest => f.write_str("latest"),
            Spec::OldStable => f.write_str("oldstable"),
            Spec::Range(range) => range.fmt(f),
            Spec::Linked(name) => f.write_str(&name.0),
        }
    }
}

/// Prints the comparators, a prerelease in Go's notation: `>=1.28rc1, <1.29`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, comparator) in self.req.comparators.iter().enumerate() {
            let text = comparator.to_string();
            let op = text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
            f.write_str(if at == 0 { "" } else { ", " })?;
            match prerelease(comparator) {
                Some(version) => write!(f, "{op}{version}")?,
                None => f.write_str(&text)?,
            }
        }
        Ok(())
    }
}

/// The Go prerelease that a comparator names, if it names one.
fn prerelease(comparator: &semver::Comparator) -> Option<Version> {
    let tail = comparator.pre.as_str().replacen('.', "", 1);
    let version = Version::parse(&format!("{}.{}{tail}", comparator.major, comparator.minor?)).ok()?;
    let same = to_semver(&version).is_some_and(|v| v.pre == comparator.pre && Some(v.patch) == comparator.patch);
    (same && version.is_prerelease()).then_some(version)
}

#[cfg(test)]
mod tests;
