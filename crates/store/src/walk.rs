//! Walks and deletes trees by descriptor, so that nobody can swap a directory for a link on the way. Never follows
//! a link, and needs no path longer than one name.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, at};

/// Something met on a walk.
pub(crate) struct Found<'a> {
    /// Where, below the root.
    pub(crate) path: &'a Path,
    /// The directory it is in.
    #[cfg_attr(target_os = "linux", expect(dead_code, reason = "systems without syncfs open what they meet"))]
    pub(crate) parent: BorrowedFd<'a>,
    /// Its name there.
    #[cfg_attr(target_os = "linux", expect(dead_code, reason = "systems without syncfs open what they meet"))]
    pub(crate) name: &'a CStr,
    /// What it is; a link is a link here.
    pub(crate) stat: Stat,
}

impl Found<'_> {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(crate) fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.stat.st_mode)
    }
}

/// Visits everything below a directory, each directory before what is in it; `shown` stands for it in errors.
pub(crate) fn walk(
    root: impl AsFd,
    shown: &Path,
    visit: &mut dyn FnMut(&Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    walk_directory(root.as_fd(), shown, &mut PathBuf::new(), visit)
}

fn walk_directory(
    directory: BorrowedFd<'_>,
    shown: &Path,
    path: &mut PathBuf,
    visit: &mut dyn FnMut(&Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for entry in Dir::read_from(directory).map_err(at("list", &shown.join(&*path)))? {
        let entry = entry.map_err(at("list", &shown.join(&*path)))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        path.push(OsStr::from_bytes(name.to_bytes()));
        let here = shown.join(&*path);
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(at("look at", &here))?;
        let found = Found { path, parent: directory, name, stat };
        visit(&found)?;
        if found.kind() == FileType::Directory {
            let inner = open_directory(directory, name).map_err(at("open", &here))?;
            walk_directory(inner.as_fd(), shown, path, visit)?;
        }
        path.pop();
    }
    Ok(())
}

/// Opens a directory for reading, not following a link.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, Error> {
    open_directory(CWD, path).map_err(at("open", path))
}

fn open_directory(parent: BorrowedFd<'_>, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// What a deletion freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// Deletes a tree, or whatever else is there, making read-only directories writable on the way.
/// What is not there is deleted already.
pub(crate) fn delete(path: &Path) -> Result<Deleted, Error> {
    let mut deleted = Deleted::default();
    let name = CString::new(path.as_os_str().as_bytes()).map_err(at("delete", path))?;
    delete_entry(CWD, &name, path, &mut deleted)?;
    Ok(deleted)
}

fn delete_entry(parent: BorrowedFd<'_>, name: &CStr, shown: &Path, deleted: &mut Deleted) -> Result<(), Error> {
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(at("delete", shown))?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(at("delete", shown))?;
        deleted.files += 1;
        // What has another name stays, and so do its bytes.
        if stat.st_nlink == 1 {
            deleted.bytes += u64::try_from(stat.st_size).unwrap_or(0);
        }
        return Ok(());
    }
    let directory = match open_directory(parent, name) {
        // Not even readable: whoever owns it may change that.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty()).map_err(at("delete", shown))?;
            open_directory(parent, name).map_err(at("delete", shown))?
        }
        other => other.map_err(at("delete", shown))?,
    };
    if !Mode::from_raw_mode(stat.st_mode).contains(Mode::RWXU) {
        rustix::fs::fchmod(&directory, Mode::RWXU).map_err(at("delete", shown))?;
    }
    // All names first: some file systems skip entries when a directory shrinks while it is read.
    let names: Vec<CString> = Dir::read_from(&directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_owned())).collect())
        .map_err(at("delete", shown))?;
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        let shown = shown.join(OsStr::from_bytes(name.to_bytes()));
        delete_entry(directory.as_fd(), name, &shown, deleted)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(at("delete", shown))
}
