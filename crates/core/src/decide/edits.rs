//! What changes in the environment of the chosen Go (DESIGN §5, rules R1–R16 of Go's own semantics).

use super::{Case, Chosen, Kind, Target, Tool};
use crate::vars::Vars;
use crate::version::Version;

/// How often govern may call itself before it calls that a circle.
pub const MAX_DEPTH: u32 = 8;

/// The directory of launchers that is appended to PATH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launchers {
    /// A name for every known release.
    All,
    /// A name for every installed release: nothing may be installed.
    Installed,
}

/// Edits to the environment. Everything else passes through untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edits {
    /// Variables to set.
    pub set: Vec<(&'static str, String)>,
    /// Variables to remove.
    pub unset: Vec<&'static str>,
    /// Set GOROOT to the SDK's own root: the only way to beat a `GOROOT=` line in Go's env file, and what Go before
    /// 1.10 needs to find itself.
    pub set_goroot: bool,
    /// What is appended to PATH.
    pub launchers: Launchers,
}

/// A GOTOOLCHAIN that the user exported, and not govern for a surrounding project.
pub(super) fn exported_by_user(vars: &Vars) -> Option<&str> {
    let value = vars.text("GOTOOLCHAIN")?;
    (vars.text("GOVERN_SET_GOTOOLCHAIN") != Some(value)).then_some(value)
}

/// Go looked for the launcher of `version` on PATH and calls it in its own place.
///
/// It always names what it looks for. Another name is a leak from a Go above that never cleared it.
pub(super) fn is_switching(vars: &Vars, version: &Version) -> bool {
    vars.text("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION") == Some(&version.toolchain())
}

/// How often govern has called itself already. Not a number counts as nothing.
pub(super) fn depth(vars: &Vars) -> u32 {
    vars.text("GOVERN_DEPTH").and_then(|n| n.parse().ok()).unwrap_or(0)
}

pub(super) fn edits(case: &Case<'_>, chosen: &Chosen) -> Edits {
    let vars = &case.question.vars;
    let version = match &chosen.target {
        Target::Sdk(version) => Some(version),
        Target::Linked(link) => link.version.as_ref(),
        Target::Install(_) | Target::PathGo { .. } => None,
    };
    // What has no family is one of the old oddities, `go1.9.2rc2`.
    let before = |minor: u32| version.is_some_and(|v| v.family().is_none_or(|family| family < (1, minor)));
    let goroot_line = case.around.go_env.line("GOROOT").is_some_and(|line| !line.is_empty());
    let is_ours = !matches!(chosen.target, Target::PathGo { .. });
    let mut edits = Edits {
        set: vec![("GOVERN_DEPTH", (depth(vars) + 1).to_string())],
        unset: vec!["GOROOT"],
        set_goroot: before(10) || (goroot_line && is_ours),
        launchers: if case.settings.auto_install && !case.settings.offline {
            Launchers::All
        } else {
            Launchers::Installed
        },
    };
    match &case.question.tool {
        // Go is switching to us: it set both variables for the Go that it expects, and GOTOOLCHAIN is its business.
        Tool::Launcher(named) if is_switching(vars, named) => {
            if before(21) {
                edits.unset.extend(["GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "GOTOOLCHAIN_INTERNAL_SWITCH_COUNT"]);
            }
            return edits;
        }
        // Go never runs a program called `go` to switch, nor a launcher of another name: the variable is a leak.
        Tool::Launcher(_) | Tool::Go | Tool::Gofmt => edits.unset.push("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION"),
    }
    match (toolchain(case, chosen), exported_by_user(vars)) {
        (Some(value), _) => {
            edits.set.push(("GOTOOLCHAIN", value.clone()));
            edits.set.push(("GOVERN_SET_GOTOOLCHAIN", value));
        }
        // Still the user's wish, and no mark of ours: a shim further down has to see it.
        (None, Some(value)) if case.settings.managed_only => {
            if let Some(value) = without_download(value) {
                edits.set.push(("GOTOOLCHAIN", value));
                edits.unset.push("GOVERN_SET_GOTOOLCHAIN");
            }
        }
        // What govern exported for a surrounding project says nothing about this one.
        (None, None) if vars.os("GOTOOLCHAIN").is_some() => {
            edits.unset.extend(["GOTOOLCHAIN", "GOVERN_SET_GOTOOLCHAIN"]);
        }
        (None, _) => {}
    }
    edits
}

/// The GOTOOLCHAIN to export, if any.
fn toolchain(case: &Case<'_>, chosen: &Chosen) -> Option<String> {
    let exported = exported_by_user(&case.question.vars);
    let outranked = chosen.rank < 3;
    match exported {
        // `go +1.22.4` and GOVERN_GO_VERSION stand above an exported version; anything else of the user's stays.
        Some(value) if !(outranked && value.starts_with("go")) => return None,
        _ => {}
    }
    let pinned = match &chosen.target {
        Target::Sdk(version) => Some(version.toolchain()),
        // No name would do for a tree that somebody built: a development tree calls itself `go1.N`, which Go would look
        // for elsewhere, and a name that a release has as well would lead to that release.
        Target::Linked(_) => Some("local".to_owned()),
        Target::Install(_) | Target::PathGo { .. } => None,
    };
    match pinned.filter(|_| chosen.kind == Kind::Pin) {
        // A tool that `go install pkg@version` builds may need a newer Go than the pin: it may have one of ours.
        Some(pinned) if case.command.package_at_version => Some(format!("{pinned}+path")),
        Some(pinned) => Some(pinned),
        None => case.settings.managed_only.then(|| "path".to_owned()),
    }
}

/// The value that allows what `value` allows, except that Go downloads; `None` when it never does.
fn without_download(value: &str) -> Option<String> {
    match value.strip_suffix("auto")? {
        "" => Some("path".to_owned()),
        name => name.ends_with('+').then(|| format!("{name}path")),
    }
}
