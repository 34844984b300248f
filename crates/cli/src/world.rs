//! What a process is born with: arguments, variables, working directory, its own path, its user. `main` reads it
//! once; everything below gets it as a value.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use govern_core::problem::{Code, Report};
use govern_core::vars::Vars;

/// The world of one process.
#[derive(Debug)]
pub struct World {
    /// The arguments, the program's name first.
    pub(crate) args: Vec<OsString>,
    /// The variables that govern reads.
    pub(crate) vars: Vars,
    /// The working directory; an error when it was removed.
    cwd: io::Result<PathBuf>,
    /// The program that runs.
    pub(crate) exe: Option<PathBuf>,
    /// What the terminal's variables say.
    pub(crate) terminal: Terminal,
    /// The effective user.
    pub(crate) uid: u32,
    /// When the process began.
    pub(crate) now: SystemTime,
}

/// The variables that only the command line reads: how to print, and which shells the user has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terminal {
    /// `NO_COLOR` is set, or the terminal is a dumb one.
    pub(crate) is_plain: bool,
    /// `CLICOLOR_FORCE` is set, and not to `0`.
    pub(crate) is_colour_forced: bool,
    /// `SHELL`.
    pub(crate) shell: Option<PathBuf>,
    /// `ZDOTDIR`.
    pub(crate) zdotdir: Option<PathBuf>,
}

impl World {
    /// Picks what govern reads from what a process is born with.
    pub fn new(
        args: impl Iterator<Item = OsString>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        cwd: io::Result<PathBuf>,
        exe: io::Result<PathBuf>,
    ) -> World {
        let mut terminal = Terminal::default();
        let environment = environment.inspect(|(name, value)| terminal.learn(name, value));
        let vars = Vars::collect(environment);
        let uid = rustix::process::geteuid().as_raw();
        World { args: args.collect(), vars, cwd, exe: exe.ok(), terminal, uid, now: SystemTime::now() }
    }

    /// The working directory.
    pub(crate) fn dir(&self) -> Result<&Path, Report> {
        self.cwd.as_deref().map_err(|source| {
            Report::new(Code::Failure, "cannot find the working directory").cause(source.to_string()).hint("cd /")
        })
    }

    /// The working directory as the shell calls it: with the links that somebody went through.
    pub(crate) fn logical_dir(&self) -> Result<&Path, Report> {
        let physical = self.dir()?;
        let id = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
        let pwd = self.vars.os("PWD").map(Path::new).filter(|pwd| pwd.is_absolute());
        Ok(pwd.filter(|pwd| id(pwd).is_some_and(|there| Some(there) == id(physical))).unwrap_or(physical))
    }

    /// The working directory, or the nearest thing to it: a `go` is never stopped by a directory that was removed.
    pub(crate) fn dir_or_root(&self) -> &Path {
        self.cwd.as_deref().unwrap_or(Path::new("/"))
    }

    /// Seconds since the epoch.
    pub(crate) fn seconds(&self) -> u64 {
        self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// The user's home directory, when the environment names one.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.vars.os("HOME").map(Path::new).filter(|home| home.is_absolute())
    }
}

impl Terminal {
    fn learn(&mut self, name: &OsStr, value: &OsStr) {
        if value.is_empty() {
            return;
        }
        match name.to_str() {
            Some("NO_COLOR") => self.is_plain = true,
            Some("TERM") if value == "dumb" => self.is_plain = true,
            Some("CLICOLOR_FORCE") => self.is_colour_forced = value != "0",
            Some("SHELL") => self.shell = Some(value.into()),
            Some("ZDOTDIR") => self.zdotdir = Some(value.into()),
            _ => {}
        }
    }
}
