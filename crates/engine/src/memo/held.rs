//! Directories held open, so that the kernel need not walk their whole paths for every stat: twelve levels down that is
//! three quarters of what a stat costs, and stats are most of what a question costs.
//!
//! What is open stays the same directory wherever its path leads. That its path still leads there is proven for each
//! question: the lowest directory is opened anew with no link and no mount on the way, and as long as the stamps of those
//! above it say that no name in them came or went, its path has led through them. Only the root's own mount is held,
//! which nobody can unmount.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Stat};
use rustix::io;

use crate::look;

/// More levels than this are not held.
const MOST: usize = 64;

/// The directories above one, nearest first.
#[derive(Debug)]
pub(super) struct Held(Vec<OwnedFd>);

/// The way up from a directory, which is the first on it.
pub(super) struct Way<'h> {
    lowest: OwnedFd,
    above: &'h [OwnedFd],
}

impl Held {
    /// Opens them. `None` where a link or a mount is on the way.
    pub(super) fn above(dir: &Path) -> Option<Held> {
        if look::levels(dir).count() > MOST {
            return None;
        }
        look::levels(dir).skip(1).map(open).collect::<Option<_>>().map(Held)
    }

    /// The way up from the directory. `None` when a link or a mount has come in the way.
    pub(super) fn from(&self, dir: &Path) -> Option<Way<'_>> {
        Some(Way { lowest: open(dir)?, above: &self.0 })
    }
}

impl Way<'_> {
    /// The directory so many levels up.
    pub(super) fn stat(&self, up: usize) -> io::Result<Stat> {
        rustix::fs::fstat(self.at(up))
    }

    /// A file in it, at the end of all links.
    pub(super) fn stat_in(&self, up: usize, name: &str) -> io::Result<Stat> {
        rustix::fs::statat(self.at(up), name, AtFlags::empty())
    }

    fn at(&self, up: usize) -> &OwnedFd {
        up.checked_sub(1).map_or(&self.lowest, |up| &self.above[up])
    }
}

/// Opens a directory on the root's mount whose path has no link on it.
#[cfg(target_os = "linux")]
fn open(dir: &Path) -> Option<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

    // Such a path has levels that are not above each other.
    if dir.as_os_str().as_bytes().windows(3).any(|bytes| bytes == b"/..") {
        return None;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(CWD, dir, flags, Mode::empty(), resolve).ok()
}

/// Nobody else says what is on a path.
#[cfg(not(target_os = "linux"))]
fn open(_: &Path) -> Option<OwnedFd> {
    None
}
