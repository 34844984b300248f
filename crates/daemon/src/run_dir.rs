//! The directory of the sockets, `<data>/run`: a link into the user's runtime directory where there is one, else a
//! directory of its own. Nobody but its owner may enter it; that, and no check of ours, is what keeps others out.
//!
//! Within `$XDG_RUNTIME_DIR/govern` every installation has a directory of its own. Two of them, with two HOMEs say,
//! would otherwise take each other's sockets away, and a `go` would be answered from another store.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use govern_core::layout::Layout;
use govern_core::origin::escaped;
use rustix::fs::{Mode, OFlags, Stat};

use crate::os;

/// Makes `<data>/run` lead to a directory that is ours alone, and gives that directory.
///
/// `runtime` is the user's runtime directory; `inherited` is where a service manager has opened the sockets already,
/// which decides.
pub(crate) fn prepare(layout: &Layout, runtime: Option<&Path>, inherited: Option<&Path>) -> anyhow::Result<PathBuf> {
    let run = layout.run();
    if let Some(dir) = inherited {
        make_private(dir)?;
        let is_there = fs::canonicalize(&run).is_ok_and(|at| fs::canonicalize(dir).is_ok_and(|dir| at == dir));
        if !is_there {
            link(&run, dir)?;
        }
        return Ok(dir.to_owned());
    }
    let own = name(&layout.data);
    match fs::read_link(&run) {
        // A link that an earlier daemon made; this one may have been started without the variable.
        Ok(target) if target.file_name().is_some_and(|name| *name == *own) && make_private(&target).is_ok() => {
            return Ok(target);
        }
        Ok(_) => {}
        Err(_) if fs::symlink_metadata(&run).is_ok_and(|found| found.is_dir()) => {
            make_private(&run)?;
            return Ok(run);
        }
        Err(_) => {}
    }
    if let Some(target) = runtime.and_then(|runtime| within(runtime, &own)) {
        link(&run, &target)?;
        return Ok(target);
    }
    match fs::remove_file(&run) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("cannot remove {}", escaped(&run)));
        }
        _ => {}
    }
    make_private(&run)?;
    Ok(run)
}

/// Our directory within the user's runtime directory, if that one can be trusted.
fn within(runtime: &Path, own: &str) -> Option<PathBuf> {
    // Others may read it, but could put something else in the place of ours if they could write.
    let is_trusted = |(found, _fd): (Stat, OwnedFd)| {
        found.st_uid == os::own_uid() && !Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH)
    };
    if !runtime.is_absolute() || !open(runtime).is_ok_and(is_trusted) {
        return None;
    }
    let shared = runtime.join("govern");
    let target = shared.join(own);
    match make_private(&shared).and_then(|()| make_private(&target)) {
        Ok(()) => Some(target),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the runtime directory is passed over");
            None
        }
    }
}

/// A name for an installation: two of them never have the same, and one never changes it.
fn name(data: &Path) -> String {
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    // FNV-1a: std's hashes may change with the compiler, and then the link would move for no reason.
    let hash =
        data.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{hash:016x}")
}

/// Puts a link to `target` in the place of whatever `run` is now, in one step.
fn link(run: &Path, target: &Path) -> anyhow::Result<()> {
    let fresh = run.with_file_name(".run-new");
    let made = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        symlink(target, &fresh)?;
        if fs::symlink_metadata(run).is_ok_and(|found| found.is_dir()) {
            // Sockets of a daemon that was started in another way, and is gone: we hold the claim.
            fs::remove_dir_all(run)?;
        }
        fs::rename(&fresh, run)
    };
    made().with_context(|| format!("cannot link {} to {}", escaped(run), escaped(target)))
}

/// Makes the directory when it is missing, and makes sure that it is ours and that nobody else may enter it.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("cannot create {}", escaped(dir)));
        }
        _ => {}
    }
    match is_private(dir) {
        Ok(true) => Ok(()),
        Ok(false) => bail!("{} belongs to somebody else, or somebody else may write there", escaped(dir)),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", escaped(dir))),
    }
}

/// Takes other people's permissions off a directory of ours. False when it is not ours.
fn is_private(dir: &Path) -> io::Result<bool> {
    let (found, fd) = open(dir)?;
    if found.st_uid != os::own_uid() {
        return Ok(false);
    }
    if Mode::from_raw_mode(found.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        rustix::fs::fchmod(&fd, Mode::RWXU)?;
    }
    Ok(true)
}

/// Looks at a directory, and at no link to one, through a descriptor: nobody can exchange it meanwhile.
fn open(dir: &Path) -> io::Result<(Stat, OwnedFd)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty())?;
    Ok((rustix::fs::fstat(&fd)?, fd))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use govern_core::layout::Layout;

    use super::prepare;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn without_a_runtime_directory_it_is_a_private_directory() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(dir.path());
        assert_eq!(prepare(&layout, None, None).unwrap(), layout.run());
        assert_eq!(mode(&layout.run()), 0o700);
        fs::set_permissions(layout.run(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(prepare(&layout, None, None).unwrap(), layout.run());
        assert_eq!(mode(&layout.run()), 0o700, "made private again");
    }

    #[test]
    fn it_is_a_link_into_the_runtime_directory_and_stays_one_without_the_variable() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::under(dir.path());
        let target = prepare(&layout, Some(runtime.path()), None).unwrap();
        assert!(target.starts_with(runtime.path().join("govern")), "{target:?}");
        assert_eq!(fs::read_link(layout.run()).unwrap(), target);
        assert_eq!(mode(&target), 0o700);
        assert_eq!(prepare(&layout, None, None).unwrap(), target);
    }

    #[test]
    fn two_installations_never_share_one() {
        let (a, b, runtime) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |dir: &Path| prepare(&Layout::under(dir), Some(runtime.path()), None).unwrap();
        assert_ne!(of(a.path()), of(b.path()));
        // A copied installation brings the original's link with it.
        let copy = Layout::under(b.path());
        fs::remove_file(copy.run()).unwrap();
        symlink(of(a.path()), copy.run()).unwrap();
        assert_eq!(prepare(&copy, None, None).unwrap(), copy.run(), "a directory of its own");
    }

    #[test]
    fn a_dangling_link_is_repaired() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::under(dir.path());
        let target = prepare(&layout, Some(runtime.path()), None).unwrap();
        fs::remove_dir_all(runtime.path().join("govern")).unwrap();
        assert_eq!(prepare(&layout, Some(runtime.path()), None).unwrap(), target);
        assert!(target.is_dir());
        drop(runtime);
        assert_eq!(prepare(&layout, None, None).unwrap(), layout.run());
        assert!(fs::symlink_metadata(layout.run()).unwrap().is_dir());
    }

    #[test]
    fn inherited_sockets_decide_where_it_leads() {
        let (dir, manager) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::under(dir.path());
        prepare(&layout, None, None).unwrap();
        fs::write(layout.run().join("shim.sock"), "stale").unwrap();
        assert_eq!(prepare(&layout, None, Some(manager.path())).unwrap(), manager.path());
        assert_eq!(fs::read_link(layout.run()).unwrap(), manager.path());
        // launchd opens them in `run` itself.
        fs::remove_file(layout.run()).unwrap();
        prepare(&layout, None, None).unwrap();
        prepare(&layout, None, Some(&layout.run())).unwrap();
        assert!(fs::symlink_metadata(layout.run()).unwrap().is_dir());
    }

    #[test]
    fn a_link_in_place_of_our_directory_is_refused() {
        let (dir, runtime, elsewhere) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), runtime.path().join("govern")).unwrap();
        let layout = Layout::under(dir.path());
        assert_eq!(prepare(&layout, Some(runtime.path()), None).unwrap(), layout.run());
    }
}
