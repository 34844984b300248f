//! Becomes another program: the environment edited, the lease held, everything else passed through untouched.
//! Leaves out which program it is (`verbs::shim`, `verbs::run`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use govern_core::decide::{Edits, Launchers};
use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};

use crate::exit::{self, Exit};
use crate::path::appended;

/// Why a process did not become another.
pub(crate) struct Failed {
    /// What it leaves with.
    pub(crate) exit: Exit,
    /// What a person is told.
    pub(crate) report: Report,
    /// The program is not there.
    pub(crate) is_gone: bool,
}

/// A program, and the arguments after its name.
pub(crate) fn program(program: &OsStr, args: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Edits the environment as a decision wants it. `goroot` is that of the chosen SDK, `path` the caller's PATH.
pub(crate) fn edit(command: &mut Command, edits: &Edits, goroot: Option<&Path>, layout: &Layout, path: Option<&OsStr>) {
    for name in &edits.unset {
        command.env_remove(name);
    }
    for (name, value) in &edits.set {
        command.env(name, value);
    }
    if let Some(goroot) = goroot.filter(|_| edits.set_goroot) {
        command.env("GOROOT", goroot);
    }
    if let Some(path) = appended(path, &launchers(edits, layout)) {
        command.env("PATH", path);
    }
}

/// The directory that a decision wants at the end of PATH.
pub(crate) fn launchers(edits: &Edits, layout: &Layout) -> PathBuf {
    match edits.launchers {
        Launchers::All => layout.launchers_all(),
        Launchers::Installed => layout.launchers_installed(),
    }
}

/// Becomes the program. The lease goes along: its file stays open in the program and in all that it starts.
pub(crate) fn become_program(mut command: Command, lease: Option<OwnedFd>) -> Failed {
    let source = command.exec();
    drop(lease);
    let name = escaped(Path::new(command.get_program()));
    let is_gone = source.kind() == io::ErrorKind::NotFound;
    let report = Report::new(Code::Failure, format!("cannot execute {name}")).cause(source.to_string());
    Failed { exit: if is_gone { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE }, report, is_gone }
}
