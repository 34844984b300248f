//! The claim to be the one daemon of an installation: a lock that the kernel releases when we die, however we die.
//! Held before any socket is touched, so that two daemons that start at once never take each other's sockets away.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use govern_core::origin::escaped;

use crate::file_id::FileId;

/// Held for as long as the daemon lives.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    id: FileId,
    file: File,
}

impl Claim {
    /// Claims, or gives `None` when another daemon was first.
    pub(crate) fn stake(path: &Path) -> anyhow::Result<Option<Claim>> {
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(path).with_context(|| format!("cannot open {}", escaped(path)))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", escaped(path)));
                }
            }
            let id = FileId::of_file(&file).with_context(|| format!("cannot look at {}", escaped(path)))?;
            // Somebody may have deleted the file between opening and locking: a lock on a file without a name would
            // keep nobody out.
            if id.is_at(path) {
                return Ok(Some(Claim { path: path.to_owned(), id, file }));
            }
        }
    }

    /// The file that is locked.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// False when the file was deleted or replaced: another daemon may be at work by now.
    pub(crate) fn stands(&self) -> bool {
        self.id.is_at(&self.path)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that another thread has forked, until that executes its program.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Claim;

    #[test]
    fn only_one_claim_stands_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.lock");
        let first = Claim::stake(&path).unwrap().unwrap();
        assert!(Claim::stake(&path).unwrap().is_none());
        assert!(first.stands());
        drop(first);
        assert!(Claim::stake(&path).unwrap().is_some());
    }

    #[test]
    fn a_claim_whose_file_was_replaced_does_not_stand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.lock");
        let first = Claim::stake(&path).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!first.stands());
        let second = Claim::stake(&path).unwrap().unwrap();
        assert!(second.stands() && !first.stands());
    }
}
