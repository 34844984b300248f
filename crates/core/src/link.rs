//! A Go tree that the user built and linked under a name of their own: what it is, and what a person is told when it
//! cannot run. govern never proves, changes, leases or removes one. Leaves out looking at the tree (the engine).

use std::fmt;
use std::path::PathBuf;

use crate::origin::escaped;
use crate::problem::{Code, Report};
use crate::spec::LinkName;
use crate::version::{Version, from_toolchain, lang};

/// What stands for the proof of a linked tree: nobody published it.
pub const PROOF: &str = "none (linked)";

/// A linked tree, as it lies there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The name that the user gave it.
    pub name: LinkName,
    /// Its GOROOT; absolute.
    pub goroot: PathBuf,
    /// What it calls itself: the first line of its `VERSION`, else of the `VERSION.cache` that a build of a checkout
    /// leaves (`devel go1.28-abcdef`).
    pub called: Option<String>,
    /// What counts when it is compared: see [`version_of`].
    pub version: Option<Version>,
    /// Why it cannot run.
    pub fault: Option<TreeFault>,
}

/// Why a directory is no Go that could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeFault {
    /// There is nothing.
    Gone,
    /// It is no directory.
    NotADirectory,
    /// The sources of Go, before `make.bash`.
    NotBuilt,
    /// A directory without Go's programs and sources.
    NotARoot,
    /// `bin/go` is no program that this user may run.
    NotExecutable,
    /// `bin/go` is a shim of govern, which would call itself.
    Shim,
}

impl fmt::Display for TreeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TreeFault::Gone => "it is not there",
            TreeFault::NotADirectory => "it is not a directory",
            TreeFault::NotBuilt => "the sources of Go are there, and were not built",
            TreeFault::NotARoot => "it has no bin/go with a VERSION or src beside it",
            TreeFault::NotExecutable => "its bin/go cannot be executed",
            TreeFault::Shim => "its bin/go is govern's own shim",
        })
    }
}

impl Link {
    /// What a person is told when this tree is wished for and cannot run; `None` when it can.
    #[must_use]
    pub fn broken(&self) -> Option<Report> {
        let fault = self.fault?;
        let name = self.name.as_str();
        let fact = format!("the Go linked as `{name}` cannot run");
        let report = Report::new(Code::NoVersion, fact).cause(format!("{}: {fault}", escaped(&self.goroot)));
        let unlink = format!("govern unlink {name}");
        Some(match fault {
            TreeFault::NotBuilt => report.hint(build(&self.goroot)).hint(unlink),
            _ => report.hint(format!("govern link {name} DIR")).hint(unlink),
        })
    }

    /// What a person is told when this tree shall be linked and cannot be.
    #[must_use]
    pub fn refused(&self) -> Option<Report> {
        let fault = self.fault?;
        let fact = format!("{} is no Go that can be linked", escaped(&self.goroot));
        let report = Report::new(Code::Usage, fact).cause(fault.to_string());
        Some(match fault {
            TreeFault::NotBuilt => report.hint(build(&self.goroot)),
            _ => report.hint(format!("govern link {} DIR", self.name.as_str())),
        })
    }
}

/// How a checkout of Go is built.
fn build(goroot: &std::path::Path) -> String {
    let src = escaped(&goroot.join("src"));
    let is_plain = src.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    let src = if is_plain { src } else { format!("'{}'", src.replace('\'', r"'\''")) };
    format!("cd {src} && ./make.bash")
}

/// What a person is told when a name is wished for that nothing is linked under.
#[must_use]
pub fn unknown(name: &LinkName) -> Report {
    let name = name.as_str();
    let report = Report::new(Code::NoVersion, format!("no Go is linked as `{name}`"));
    report.hint(format!("govern link {name} DIR")).hint("govern list")
}

/// What counts when a tree is compared with a minimum, as Go itself reads it: the version in its name, else for a
/// development tree the language version that it implements.
///
/// `called` is the first line of `VERSION`, `minor` the number in `src/internal/goversion/goversion.go`.
/// Source: `gover.LocalToolchain` and `gover.Local` of cmd/go.
#[must_use]
pub fn version_of(called: Option<&str>, minor: Option<u32>) -> Option<Version> {
    let named = called.map(from_toolchain).filter(|version| !version.is_empty());
    let of_devel = || {
        let minor = minor.map(|minor| format!("1.{minor}"));
        // `devel go1.28-abcdef`, where nobody can look into the sources.
        minor.or_else(|| Some(lang(from_toolchain(called?.strip_prefix("devel ")?))).filter(|lang| !lang.is_empty()))
    };
    Version::parse(&named.map(str::to_owned).or_else(of_devel)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Link, TreeFault, version_of};
    use crate::spec::LinkName;

    #[test]
    fn a_tree_counts_as_what_go_takes_it_for() {
        let check = |called: Option<&str>, minor: Option<u32>, expect: Option<&str>| {
            let version = version_of(called, minor);
            assert_eq!(version.as_ref().map(|v| v.as_str()), expect, "{called:?} {minor:?}");
        };
        check(Some("go1.22.4"), Some(22), Some("1.22.4"));
        check(Some("go1.22.4-fork"), None, Some("1.22.4"));
        check(Some("go1.22.4 X:boringcrypto"), None, Some("1.22.4"));
        check(Some("go1.28-devel_0123abcdef Tue Nov 24 10:00:00 2026 +0000"), Some(28), Some("1.28"));
        check(Some("devel go1.28-0123abcdef Tue Nov 24"), Some(28), Some("1.28"));
        check(Some("devel go1.28-0123abcdef Tue Nov 24"), None, Some("1.28"));
        check(Some("go1.26-20250101-RC00 cl/1 +abc"), Some(26), Some("1.26"));
        check(Some("our own go"), Some(27), Some("1.27"));
        check(Some("our own go"), None, None);
        check(None, Some(28), Some("1.28"));
        check(None, None, None);
    }

    #[test]
    fn a_tree_that_cannot_run_is_told_with_what_to_type() {
        let link = |fault| Link {
            name: LinkName::parse("tip").unwrap(),
            goroot: "/home/ana/go tip".into(),
            called: None,
            version: None,
            fault,
        };
        assert_eq!(link(None).broken(), None);
        let gone = link(Some(TreeFault::Gone)).broken().unwrap();
        assert_eq!(gone.fact, "the Go linked as `tip` cannot run");
        assert_eq!(gone.causes, ["/home/ana/go tip: it is not there"]);
        assert_eq!(gone.hints, ["govern link tip DIR", "govern unlink tip"]);
        let source = link(Some(TreeFault::NotBuilt)).refused().unwrap();
        assert_eq!(source.fact, "/home/ana/go tip is no Go that can be linked");
        assert_eq!(source.hints, ["cd '/home/ana/go tip/src' && ./make.bash"]);
    }
}
