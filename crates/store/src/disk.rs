//! What differs between file systems and operating systems: making a tree durable, renaming without replacing,
//! telling how much room is left and whose a path is.

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::fs::AtFlags;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, at};

/// Makes everything written below `root` durable.
#[cfg(target_os = "linux")]
pub(crate) fn sync_tree(root: &impl AsFd, path: &Path) -> Result<(), Error> {
    // Once for the whole file system: an fsync for each of 14,000 files takes twenty times as long, and leaves out
    // the directories.
    rustix::fs::syncfs(root).map_err(at("make durable", path))
}

/// Makes everything written below `root` durable.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_tree(root: &impl AsFd, path: &Path) -> Result<(), Error> {
    use crate::walk;

    // There is no syncfs: each file and directory is handed to the device, and one full sync at the end makes the
    // device write its own cache.
    walk::walk(root, path, &mut |found| {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(found.parent, found.name, flags, Mode::empty())
            .and_then(rustix::fs::fsync)
            .map_err(at("make durable", &path.join(found.path)))
    })?;
    #[cfg(target_vendor = "apple")]
    rustix::fs::fcntl_fullfsync(root).map_err(at("make durable", path))?;
    #[cfg(not(target_vendor = "apple"))]
    rustix::fs::fsync(root).map_err(at("make durable", path))?;
    Ok(())
}

/// Whether [`sync_tree`] of this tree makes what was written to a directory durable as well.
pub(crate) fn syncs_as_well(root: &Path, directory: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    cfg!(target_os = "linux") && device(root).is_some_and(|root| Some(root) == device(directory))
}

/// Has the kernel begin to write out what the page cache holds of a file, so that [`sync_tree`] finds less to wait for.
/// That is what this advice does to dirty pages (`generic_fadvise` in Linux' mm/fadvise.c); they stay in the cache.
#[cfg(target_os = "linux")]
pub(crate) fn start_writing(file: &File) {
    // It is only a hint.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Other systems have no call for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn start_writing(_file: &File) {}

/// Has the kernel begin to read a file into the page cache, where it is not there already.
#[cfg(target_os = "linux")]
pub(crate) fn read_ahead(file: &File) {
    // It is only a hint.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::WillNeed);
}

/// Other systems read ahead by themselves, if at all.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_ahead(_file: &File) {}

/// Makes a file of this name in a directory that has the blocks of another file. False, and no file, where the file system
/// cannot do that. `create` makes the file where that is a step of its own.
#[cfg(target_os = "linux")]
pub(crate) fn reflink(
    file: &File,
    directory: BorrowedFd<'_>,
    name: &OsStr,
    create: impl FnOnce() -> Option<File>,
) -> bool {
    let Some(new) = create() else { return false };
    let is_done = rustix::fs::ioctl_ficlone(&new, file).is_ok();
    if !is_done {
        let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
    }
    is_done
}

/// As above: `clonefile`, which makes the file and takes over its mode.
#[cfg(target_vendor = "apple")]
pub(crate) fn reflink(
    file: &File,
    directory: BorrowedFd<'_>,
    name: &OsStr,
    _create: impl FnOnce() -> Option<File>,
) -> bool {
    rustix::fs::fclonefileat(file, directory, name, rustix::fs::CloneFlags::empty()).is_ok()
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(at("make durable", path))
}

/// Renames a directory and fails with `AlreadyExists` when the new name is taken.
///
/// Where the file system cannot do that in one step (9p, some overlays), a look and a plain rename stand in: the
/// caller holds the lock of the version, and rename(2) does not replace a directory that holds anything.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    }
}

/// Exchanges two directories in one step. False where the file system cannot do that.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        done => done.map(|()| true).map_err(io::Error::from),
    }
}

/// Creates a directory and those above it; the ones made here get mode 0755 whatever the umask is.
pub(crate) fn create_directory(path: &Path) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at("set the mode of", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(|up| up != path) => {
            create_directory(path.parent().unwrap_or(path))?;
            create_directory(path)
        }
        // Any error may stand for "exists already": EROFS and EACCES do on some systems.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(Error::io("create", path, error)),
    }
}

/// Free bytes and free inodes where `path` is or would be; zeros where nobody knows.
pub(crate) fn room(path: &Path) -> (u64, u64) {
    let known = path.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok());
    known.map_or((0, 0), |stat| (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_favail))
}

/// The nearest thing on the way to `path` that exists, and whose it is.
pub(crate) fn owner(path: &Path) -> Option<(PathBuf, u32)> {
    path.ancestors().find_map(|near| Some((near.to_owned(), fs::symlink_metadata(near).ok()?.uid())))
}
