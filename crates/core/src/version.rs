//! Go versions and their order, exactly as Go's own `internal/gover` has them.
//! Leaves out what a person may ask for (`spec`) and what a repository may say (`pinfile`, `gomod`).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A version taken apart as `gover.Parse` does it. All parts are decimal or lower-case text, compared as text.
///
/// The zero value stands for every malformed version; it sorts below all others.
/// Source: `$GOROOT/src/internal/gover/gover.go`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    kind: &'a str,
    pre: &'a str,
}

/// Reads a decimal number without leading zeros from the front of `s`.
fn cut_int(s: &str) -> Option<(&str, &str)> {
    let end = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (number, rest) = s.split_at(end);
    let canonical = !number.is_empty() && (number == "0" || !number.starts_with('0'));
    canonical.then_some((number, rest))
}

/// Takes `s` (without the `go` prefix) apart, or gives `None` for what Go calls malformed.
fn parse(s: &str) -> Option<Parts<'_>> {
    let (major, rest) = cut_int(s)?;
    if rest.is_empty() {
        return Some(Parts { major, minor: "0", patch: "0", ..Parts::default() });
    }
    let (minor, rest) = cut_int(rest.strip_prefix('.')?)?;
    if rest.is_empty() {
        // Go 1.20 and before: `1.20` is the first release, `1.20.0`. From 1.21 on it is the language version,
        // which sorts below the release candidates.
        let patch = if cmp_int(minor, "21").is_lt() { "0" } else { "" };
        return Some(Parts { major, minor, patch, ..Parts::default() });
    }
    if let Some(rest) = rest.strip_prefix('.') {
        let (patch, rest) = cut_int(rest)?;
        // A patch release has no release candidates: `1.9.2rc2` exists and is malformed all the same.
        return rest.is_empty().then_some(Parts { major, minor, patch, ..Parts::default() });
    }
    let end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
    let (kind, pre) = rest.split_at(end);
    if kind.is_empty() {
        return None;
    }
    if pre.is_empty() {
        return Some(Parts { major, minor, kind, ..Parts::default() });
    }
    let (pre, rest) = cut_int(pre)?;
    rest.is_empty().then_some(Parts { major, minor, patch: "", kind, pre })
}

/// Compares two canonical decimals of any length; the empty text is the smallest.
fn cmp_int(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn cmp_parts(a: &Parts<'_>, b: &Parts<'_>) -> Ordering {
    cmp_int(a.major, b.major)
        .then_with(|| cmp_int(a.minor, b.minor))
        .then_with(|| cmp_int(a.patch, b.patch))
        .then_with(|| a.kind.cmp(b.kind))
        .then_with(|| cmp_int(a.pre, b.pre))
}

/// Compares two version texts (no `go` prefix) as `gover.Compare` does: malformed ones are all equal and lowest.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    cmp_parts(&parse(a).unwrap_or_default(), &parse(b).unwrap_or_default())
}

/// Says whether `s` (no `go` prefix) is a version in Go's eyes.
#[must_use]
pub fn is_valid(s: &str) -> bool {
    parse(s).is_some()
}

/// Says whether `s` is a language version such as `1.21`, which names a family and no release.
#[must_use]
pub fn is_lang(s: &str) -> bool {
    parse(s).is_some_and(|p| p.patch.is_empty() && p.kind.is_empty() && p.pre.is_empty())
}

/// The language version of `s`: `1.21rc2` gives `1.21`; the empty text when `s` is malformed.
#[must_use]
pub fn lang(s: &str) -> String {
    match parse(s) {
        None => String::new(),
        Some(p) if p.minor.is_empty() || (p.major == "1" && p.minor == "0") => p.major.to_owned(),
        Some(p) => format!("{}.{}", p.major, p.minor),
    }
}

/// The version inside a toolchain name, as `gover.FromToolchain` finds it: `go1.22.3-bigcorp` gives `1.22.3`.
///
/// The empty text means that the name is none.
#[must_use]
pub fn from_toolchain(name: &str) -> &str {
    if name.contains(['/', '\\']) {
        return "";
    }
    let Some(rest) = name.strip_prefix("go") else { return "" };
    let version = rest.split([' ', '\t', '-']).next().unwrap_or("");
    if is_valid(version) { version } else { "" }
}

/// Why a text is no [`Version`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a Go version")]
pub struct ParseVersionError {
    /// What was given, with control characters escaped.
    pub text: String,
}

impl ParseVersionError {
    fn new(text: &str) -> ParseVersionError {
        ParseVersionError { text: text.chars().take(64).collect::<String>().escape_debug().to_string() }
    }
}

/// One Go release (`go1.22.4`), a vendor's build of one (`go1.22.4-bigcorp`), or a language version (`1.22`).
///
/// The order is Go's own; names that Go holds equal (`1.20` and `1.20.0`, `1.22.4` and `1.22.4-bigcorp`) are told
/// apart by their text, so that the order is total and agrees with equality. The name is never longer than
/// [`Version::MAX_LEN`] bytes and is made of `[0-9a-zA-Z._-]` only, so that it is safe as a file name.
#[derive(Clone, Debug)]
pub struct Version {
    /// The name without `go`.
    name: Box<str>,
}

impl Version {
    /// The longest name accepted, in bytes (DESIGN §5: 64 bytes a token).
    pub const MAX_LEN: usize = 64;

    /// Reads `1.22.4` or `go1.22.4`, with a `-suffix` if there is one.
    ///
    /// # Errors
    /// When the text is not what Go calls a version, nor the one old oddity that go.dev lists (`1.9.2rc2`).
    pub fn parse(text: &str) -> Result<Version, ParseVersionError> {
        let name = text.strip_prefix("go").unwrap_or(text);
        let (base, suffix) = match name.split_once('-') {
            Some((base, suffix)) => (base, Some(suffix)),
            None => (name, None),
        };
        let plain = |s: &str| {
            !s.is_empty() && !s.contains("..") && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let known = is_valid(base) || is_patch_prerelease(base);
        if !known || name.len() > Version::MAX_LEN || !suffix.is_none_or(plain) {
            return Err(ParseVersionError::new(text));
        }
        Ok(Version { name: name.into() })
    }

    /// The name without `go`: `1.22.4`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name without `go` and without a vendor's suffix.
    #[must_use]
    pub fn base(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    /// The toolchain name: `go1.22.4`.
    #[must_use]
    pub fn toolchain(&self) -> String {
        format!("go{}", self.name)
    }

    fn parts(&self) -> Parts<'_> {
        parse(self.base()).unwrap_or_default()
    }

    /// The major and minor numbers, or `None` for the oddities and for numbers beyond `u32`.
    #[must_use]
    pub fn family(&self) -> Option<(u32, u32)> {
        let p = self.parts();
        Some((p.major.parse().ok()?, p.minor.parse().ok()?))
    }

    /// The patch number; `None` for language versions and prereleases.
    #[must_use]
    pub fn patch(&self) -> Option<u32> {
        let p = self.parts();
        if p.kind.is_empty() { p.patch.parse().ok() } else { None }
    }

    /// True for alphas, betas, release candidates and the like.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.parts().kind.is_empty() || is_patch_prerelease(self.base())
    }

    /// True for `1.21` and later two-part versions: a family, not a release.
    #[must_use]
    pub fn is_lang(&self) -> bool {
        is_lang(self.base())
    }

    /// The `-suffix` of a vendor's build, without the dash.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.name.split_once('-').map(|(_, suffix)| suffix)
    }

    /// Compares as Go does, where `1.20` equals `1.20.0` and suffixes do not count.
    #[must_use]
    pub fn cmp_go(&self, other: &Version) -> Ordering {
        cmp_parts(&self.parts(), &other.parts())
    }

    /// True when a release of this version satisfies the minimum `floor`, in Go's own reading.
    #[must_use]
    pub fn satisfies(&self, floor: &Version) -> bool {
        self.cmp_go(floor).is_ge()
    }
}

/// `1.9.2rc2` and its like: listed on go.dev, malformed to `gover`.
fn is_patch_prerelease(s: &str) -> bool {
    let Some(at) = s.find(|c: char| c.is_ascii_lowercase()) else { return false };
    let (release, tail) = s.split_at(at);
    let number = tail.trim_start_matches(|c: char| c.is_ascii_lowercase());
    release.split('.').count() == 3
        && parse(release).is_some()
        && cut_int(number).is_some_and(|(_, rest)| rest.is_empty())
}

impl FromStr for Version {
    type Err = ParseVersionError;
    fn from_str(s: &str) -> Result<Version, ParseVersionError> {
        Version::parse(s)
    }
}

/// Prints the name without `go`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.name == other.name
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        self.cmp_go(other).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
