//! GOPROXY, GONOPROXY and GOPRIVATE as `cmd/go` reads them, for the one module that holds SDKs.
//! Leaves out talking to the proxies (`http`) and the checksum database below them (`checklog`).

use govern_core::platform::Platform;
use govern_core::version::Version;

use crate::base::{Base, Target, Trust};
use crate::error::Error;
use crate::listing::is_platform_word;

/// The module that holds SDKs.
pub(crate) const MODULE: &str = "golang.org/toolchain";

/// Where `direct` leads: the download page serves this one module itself.
const DIRECT: &str = "https://go.dev/dl/mod";

/// Go's own default: its public proxy, then direct.
fn default_list() -> String {
    let domain = "golang.org";
    format!("https://proxy.{domain},direct")
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Door {
    Proxy(Base),
    Direct,
    Off,
}

/// When the next proxy may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FallOver {
    /// After `,`: when this one says that it has no such thing.
    Absent,
    /// After `|`: whatever goes wrong.
    Any,
}

impl FallOver {
    /// Says whether the next proxy may be asked after this.
    pub(crate) fn admits(self, error: &Error) -> bool {
        error.is_absent() || (self == FallOver::Any && error.is_unreachable())
    }

    /// Of two proxies' errors the one to report: as in Go, trouble says more than that there is no such thing.
    pub(crate) fn more_telling(before: Option<Error>, now: Error) -> Error {
        before.filter(|before| now.is_absent() && !before.is_absent()).unwrap_or(now)
    }
}

/// The list of proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goproxy {
    doors: Vec<(Door, FallOver)>,
    /// GONOPROXY covers the module: only `direct` may serve it.
    direct_only: bool,
    /// GOINSECURE covers the module: `direct` needs no valid certificate.
    direct_trust: Trust,
    /// The list is one directory and nothing else: the one case where Go itself accepts a toolchain unproven.
    one_directory: bool,
}

impl Goproxy {
    /// Reads the variables. `None` and the empty text stand for Go's default.
    pub(crate) fn parse(
        goproxy: Option<&str>,
        gonoproxy: Option<&str>,
        goprivate: Option<&str>,
        goinsecure: Option<&str>,
    ) -> Result<Goproxy, Error> {
        let list = goproxy.filter(|text| !text.is_empty()).map_or_else(default_list, str::to_owned);
        let no_proxy = gonoproxy.filter(|text| !text.is_empty()).or(goprivate).unwrap_or_default();
        let insecure = goinsecure.is_some_and(|globs| matches_module(globs, MODULE));
        let mut doors = Vec::new();
        for entry in list.split_inclusive([',', '|']) {
            let fall_over = if entry.ends_with('|') { FallOver::Any } else { FallOver::Absent };
            match entry.trim_end_matches([',', '|']).trim() {
                "" => continue,
                "off" => doors.push((Door::Off, fall_over)),
                "direct" => doors.push((Door::Direct, fall_over)),
                url => {
                    doors.push((Door::Proxy(Base::parse("GOPROXY", &with_scheme(url)?)?), fall_over));
                    continue;
                }
            }
            // Nothing behind `off` and `direct` is ever looked at.
            break;
        }
        if doors.is_empty() {
            let reason = "it is not empty, and names no proxy".to_owned();
            return Err(Error::Setting { variable: "GOPROXY", reason });
        }
        Ok(Goproxy {
            doors,
            direct_only: matches_module(no_proxy, MODULE),
            direct_trust: if insecure { Trust::Any } else { Trust::Verified },
            one_directory: list.starts_with("file://") && !list.contains([',', '|']),
        })
    }

    /// Where the module can be asked for, in order. Empty when GOPROXY is off.
    pub(crate) fn module_places(&self, tail: &str) -> Vec<(Target, FallOver)> {
        let direct = || {
            let base = Base::parse("GOPROXY", DIRECT).expect("a constant URL can be read");
            let mut target = base.join(&format!("{MODULE}/@v/{tail}"));
            target.trust = self.direct_trust;
            target
        };
        if self.direct_only {
            return vec![(direct(), FallOver::Absent)];
        }
        let places = self.doors.iter().filter_map(|(door, fall_over)| match door {
            Door::Proxy(base) => Some((base.join(&format!("{MODULE}/@v/{tail}")), *fall_over)),
            Door::Direct => Some((direct(), *fall_over)),
            Door::Off => None,
        });
        places.collect()
    }

    /// The proxies that may pass a checksum database through, in order.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = (&Base, FallOver)> {
        self.doors.iter().filter_map(|(door, fall_over)| match door {
            Door::Proxy(base) => Some((base, *fall_over)),
            Door::Direct | Door::Off => None,
        })
    }

    /// True when the list ends in `direct`, which says more than a failure before it.
    pub(crate) fn has_direct(&self) -> bool {
        self.doors.iter().any(|(door, _)| *door == Door::Direct)
    }

    pub(crate) fn is_one_directory(&self) -> bool {
        self.one_directory
    }

    /// The list as messages show it: without user names and passwords.
    pub(crate) fn shown(&self) -> String {
        if self.direct_only {
            return "direct".to_owned();
        }
        let mut text = String::new();
        for (i, (door, fall_over)) in self.doors.iter().enumerate() {
            match door {
                Door::Proxy(base) => text.push_str(base.to_string().trim_end_matches('/')),
                Door::Direct => text.push_str("direct"),
                Door::Off => text.push_str("off"),
            }
            if i + 1 < self.doors.len() {
                text.push(if *fall_over == FallOver::Any { '|' } else { ',' });
            }
        }
        text
    }
}

/// Completes an entry as Go does: `host/path` means https; a single word means nothing.
fn with_scheme(entry: &str) -> Result<String, Error> {
    if entry.contains(":/") {
        return Ok(entry.to_owned());
    }
    if entry.contains(['.', ':', '/']) && !entry.starts_with('/') {
        return Ok(format!("https://{entry}"));
    }
    Err(Error::Setting {
        variable: "GOPROXY",
        reason: "an entry is neither a URL nor `direct` nor `off`; a directory is `file:///dir`".to_owned(),
    })
}

/// The archive of a release below `@v/`: `v0.0.1-go1.22.4.linux-amd64.zip`, in the escaped spelling of proxies.
pub(crate) fn zip_name(version: &Version, platform: &Platform) -> String {
    format!("{}.zip", escaped(&platform.module_version(version)))
}

/// Writes capital letters as `!` and the small letter, as the module protocol asks for.
fn escaped(version: &str) -> String {
    let mut out = String::with_capacity(version.len());
    for c in version.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Undoes [`escaped`]; `None` for what it never writes.
pub(crate) fn unescaped(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => out.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            'A'..='Z' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// What a module version says: `v0.0.1-go1.22.4.linux-amd64` is release 1.22.4 for linux/amd64.
pub(crate) fn release_of(module_version: &str) -> Option<(Version, Platform)> {
    let (_, name) = module_version.split_once('-')?;
    let (toolchain, platform) = name.rsplit_once('.')?;
    let (os, arch) = platform.split_once('-')?;
    let version = Version::parse(toolchain.strip_prefix("go")?).ok()?;
    (is_platform_word(os) && is_platform_word(arch))
        .then(|| (version, Platform { os: os.to_owned(), arch: arch.to_owned() }))
}

/// Says whether a comma list of patterns covers a module, as `module.MatchPrefixPatterns` does: each pattern is compared
/// with as many leading elements of the path as it has itself.
pub(crate) fn matches_module(globs: &str, module: &str) -> bool {
    globs.split(',').any(|glob| {
        let glob = glob.strip_suffix('/').unwrap_or(glob);
        let wanted = glob.matches('/').count() + 1;
        let elements: Vec<&str> = module.split('/').collect();
        if glob.is_empty() || elements.len() < wanted {
            return false;
        }
        let glob: Vec<char> = glob.chars().collect();
        let prefix: Vec<char> = elements[..wanted].join("/").chars().collect();
        matches_glob(&glob, &prefix)
    })
}

/// `path.Match`: `*` and `?` stop at a slash, `[a-z]` is a class, `\` quotes. A malformed pattern matches nothing.
fn matches_glob(glob: &[char], text: &[char]) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', rest @ ..] => {
            let reach = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            (0..=reach).any(|skip| matches_glob(rest, &text[skip..]))
        }
        ['?', rest @ ..] => text.first().is_some_and(|c| *c != '/') && matches_glob(rest, &text[1..]),
        ['[', class @ ..] => {
            let Some((first, text)) = text.split_first() else { return false };
            in_class(class, *first).is_some_and(|(inside, rest)| inside && matches_glob(rest, text))
        }
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && matches_glob(rest, &text[1..])
        }
    }
}

/// Reads a class up to its `]`, and says whether `c` is in it; `None` when the class is malformed.
fn in_class(class: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match class {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let letter = |rest: &mut &[char]| {
        let at = usize::from(rest.first() == Some(&'\\'));
        let letter = *rest.get(at).filter(|c| at == 1 || !matches!(c, '-' | ']'))?;
        *rest = &rest[at + 1..];
        Some(letter)
    };
    let mut inside = false;
    let mut ranges = 0;
    loop {
        if ranges > 0 && rest.first() == Some(&']') {
            return Some((inside != negated, &rest[1..]));
        }
        let low = letter(&mut rest)?;
        let mut high = low;
        if rest.first() == Some(&'-') {
            rest = &rest[1..];
            high = letter(&mut rest)?;
        }
        inside |= (low..=high).contains(&c);
        ranges += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{FallOver, Goproxy, escaped, matches_module, release_of};

    fn parse(list: &str) -> Goproxy {
        Goproxy::parse(Some(list), None, None, None).unwrap()
    }

    fn places(list: &Goproxy) -> Vec<String> {
        let short = |target: &crate::base::Target| target.to_string().replace("/golang.org/toolchain/@v/list", "");
        list.module_places("list").iter().map(|(target, next)| format!("{} {next:?}", short(target))).collect()
    }

    #[test]
    fn a_list_is_read_as_go_reads_it() {
        assert_eq!(
            places(&parse("https://a.example, b.example/x |direct,c.example")),
            ["https://a.example Absent", "https://b.example/x Any", "https://go.dev/dl/mod Absent"]
        );
        assert_eq!(places(&parse(" ,https://a.example,")), ["https://a.example Absent"]);
        assert_eq!(places(&parse("off,https://a.example")), [""; 0]);
        assert_eq!(
            places(&parse("localhost:8080|file:///srv/go")),
            ["https://localhost:8080 Any", "file:///srv/go Absent"]
        );
        let default = Goproxy::parse(None, None, None, None).unwrap();
        assert_eq!(default, Goproxy::parse(Some(""), None, None, None).unwrap());
        assert_eq!(places(&default).len(), 2);
        assert_eq!(places(&default)[1], "https://go.dev/dl/mod Absent");
    }

    #[test]
    fn a_list_that_go_refuses_is_refused() {
        for list in [",", " ", "|", "foo", "ftp://x.example", "/srv/go", "file://host/x", "https://a.example,nonsense"]
        {
            assert!(Goproxy::parse(Some(list), None, None, None).is_err(), "{list}");
        }
    }

    #[test]
    fn passwords_in_the_list_are_not_shown() {
        let list = parse("https://ana:s3cret@a.example|https://b.example/x,direct");
        assert_eq!(list.shown(), "https://a.example|https://b.example/x,direct");
        assert!(!format!("{list:?}").contains("s3cret"));
    }

    #[test]
    fn a_private_toolchain_module_is_asked_for_directly() {
        let private = |noproxy, private| Goproxy::parse(Some("https://a.example"), noproxy, private, None).unwrap();
        assert_eq!(places(&private(Some("golang.org/*"), None)), ["https://go.dev/dl/mod Absent"]);
        assert_eq!(places(&private(None, Some("golang.org"))), ["https://go.dev/dl/mod Absent"]);
        assert_eq!(places(&private(Some("none"), Some("golang.org"))), ["https://a.example Absent"]);
        assert_eq!(places(&private(Some("corp.example"), None)), ["https://a.example Absent"]);
    }

    #[test]
    fn only_a_list_of_one_directory_is_one() {
        assert!(parse("file:///srv/go").is_one_directory());
        for list in ["file:///srv/go,off", "file:///a|file:///b", "https://a.example", "direct"] {
            assert!(!parse(list).is_one_directory(), "{list}");
        }
    }

    #[test]
    fn the_separator_that_follows_an_entry_is_its_rule() {
        let list = parse("https://a.example|https://b.example,off");
        let rules: Vec<FallOver> = list.proxies().map(|(_, rule)| rule).collect();
        assert_eq!(rules, [FallOver::Any, FallOver::Absent]);
        assert!(!list.has_direct());
        assert!(parse("https://a.example|direct").has_direct());
    }

    #[test]
    fn patterns_cover_leading_elements_of_a_path() {
        let check = |globs: &str, expect: bool| {
            assert_eq!(matches_module(globs, "golang.org/toolchain"), expect, "{globs}");
        };
        check("golang.org", true);
        check("golang.org/", true);
        check("golang.org/toolchain", true);
        check("golang.org/toolchain/x", false);
        check("golang.org/tool", false);
        check("*.org", true);
        check("*", true);
        check("*/*", true);
        check("*/*/*", false);
        check("golang.?rg/t*n", true);
        check("golang*toolchain", false);
        check("[a-g]olang.org", true);
        check("[^a-f]olang.org", true);
        check("[^g]olang.org", false);
        check("[g", false);
        check("[]g]olang.org", false);
        check("gol\\ang.org", true);
        check("gol\\*ng.org", false);
        check("x.example,,golang.org/*", true);
        check(" golang.org", false);
        check("", false);
    }

    #[test]
    fn capital_letters_are_escaped_for_the_proxy() {
        assert_eq!(escaped("v0.0.1-go1.22.4-BigCorp.linux-amd64"), "v0.0.1-go1.22.4-!big!corp.linux-amd64");
    }

    #[test]
    fn a_module_version_names_a_release_and_a_platform() {
        let check = |text: &str, expect: Option<&str>| {
            let got = release_of(text).map(|(version, platform)| format!("{version} {platform}"));
            assert_eq!(got.as_deref(), expect, "{text}");
        };
        check("v0.0.1-go1.22.4.linux-amd64", Some("1.22.4 linux/amd64"));
        check("v0.0.1-go1.21rc2.darwin-arm64", Some("1.21rc2 darwin/arm64"));
        check("v0.0.1-go1.9.2rc2.windows-386", Some("1.9.2rc2 windows/386"));
        check("v0.0.1-go1.22.4-bigcorp.linux-amd64", Some("1.22.4-bigcorp linux/amd64"));
        check("v0.0.1-go1.22.4", None);
        check("v0.0.1-go1.22.4.linux", None);
        check("v0.0.1-x1.22.4.linux-amd64", None);
        check("v0.0.1-go1.22.4.linux-../x", None);
        // The cache would not give such a list back.
        check("v0.0.1-go1.22.4.linux-amd64amd64amd64amd64", None);
        check("", None);
    }
}
