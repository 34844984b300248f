//! The way of an SDK out of the store, and of everything that a killed process left behind.
//!
//! Removing is a rename first: from then on no one finds the SDK, and deleting what was renamed can be interrupted
//! anywhere. Leases decide whether the rename may happen at all.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use govern_core::event::Event;
use govern_core::version::Version;

use crate::error::{Error, at};
use crate::lock::Held;
use crate::{Store, disk, holders, lock, record, staging, walk};

/// How an SDK is named while it is deleted: this, the version, a dash, and something random.
const PREFIX: &str = ".trash-";

/// What a removal freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Bytes of the files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
}

/// What a sweep found and removed.
#[derive(Debug, Default)]
pub struct Swept {
    /// Staging directories of installs that were killed.
    pub staging: u64,
    /// Trees of removals that were killed.
    pub trash: u64,
    /// Records without an SDK, and records that were never finished.
    pub records: u64,
    /// What could not be removed, and why. The next sweep tries again.
    pub failed: Vec<Error>,
}

impl Store {
    /// Removes an SDK from which nothing runs.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::InUse`] with the processes that run from it, and errors of the disk. When
    /// only the deletion fails, the SDK is gone all the same and the next sweep deletes the rest.
    pub fn remove(&self, version: &Version) -> Result<Removed, Error> {
        let _lock = self.lock(version, &|_: Event| {})?;
        if !self.has_tree(version) {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        let deleted = self.discard(version, &self.layout.sdk(version))?;
        Ok(Removed { bytes: deleted.bytes, files: deleted.files })
    }

    /// Takes a tree out of sight and deletes it and its record. The caller holds the lock of the version.
    fn discard(&self, version: &Version, tree: &Path) -> Result<walk::Deleted, Error> {
        let lease = self.unused(version)?.ok_or_else(|| self.in_use(version))?;
        let sdks = self.layout.sdks();
        let trash = new_trash(self, version)?;
        if let Err(error) = fs::rename(tree, &trash) {
            let _ = fs::remove_dir(&trash);
            return Err(Error::io("rename", tree, error));
        }
        disk::sync_directory(&sdks)?;
        // Out of sight. Whoever waits for a lease now finds nothing to run.
        drop(lease);
        delete_file(&self.layout.record(version))?;
        delete_file(&self.layout.log_proof(version))?;
        walk::delete(&trash)
    }

    /// Who runs from an SDK, as an error.
    pub(crate) fn in_use(&self, version: &Version) -> Error {
        let users = lock::open_lease(&self.layout.lease(version)).map(|file| holders::of(&file));
        Error::InUse { version: version.clone(), pids: users.unwrap_or_default() }
    }

    /// Removes what processes that were killed left behind. What a living one still works on is under its lock, and
    /// is left alone.
    ///
    /// # Errors
    /// When a directory cannot be listed. What cannot be removed is listed in the result.
    pub fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for name in names(&self.layout.sdks())? {
            let path = self.layout.sdks().join(&name);
            if let Some(version) = temporary(&name, staging::PREFIX) {
                swept.count(
                    |swept| &mut swept.staging,
                    self.unless_busy(&version, || walk::delete(&path).map(|_| true)),
                );
            } else if let Some(version) = temporary(&name, PREFIX) {
                // A repair leaves the old tree to those who still run from it.
                let unused = || match self.unused(&version)? {
                    Some(_lease) => walk::delete(&path).map(|_| true),
                    None => Ok(false),
                };
                swept.count(|swept| &mut swept.trash, self.unless_busy(&version, unused));
            }
        }
        for name in names(&self.layout.records())? {
            let path = self.layout.records().join(&name);
            if let Some(version) = temporary(&name, record::TEMPORARY) {
                swept.count(|swept| &mut swept.records, self.unless_busy(&version, || delete_file(&path)));
            } else if let Some(version) = recorded(&name) {
                let orphan = || {
                    fs::symlink_metadata(self.layout.sdk(&version)).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
                };
                if orphan() {
                    // Looked at once more under the lock: an install may have ended in between.
                    let remove = || if orphan() { delete_file(&path) } else { Ok(false) };
                    swept.count(|swept| &mut swept.records, self.unless_busy(&version, remove));
                }
            }
        }
        Ok(swept)
    }

    /// The exclusive lease of a version, unless somebody runs from it.
    pub(crate) fn unused(&self, version: &Version) -> Result<Option<Held>, Error> {
        let path = self.layout.lease(version);
        let file = lock::open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
        }
    }

    /// Does something under the lock of a version, or nothing when somebody else has it.
    fn unless_busy(&self, version: &Version, remove: impl FnOnce() -> Result<bool, Error>) -> Result<bool, Error> {
        match self.try_lock(version)? {
            Some(_lock) => remove(),
            None => Ok(false),
        }
    }
}

impl Swept {
    fn count(&mut self, counter: impl FnOnce(&mut Swept) -> &mut u64, removed: Result<bool, Error>) {
        match removed {
            Ok(true) => *counter(self) += 1,
            Ok(false) => {}
            Err(error) => self.failed.push(error),
        }
    }
}

/// Makes room for a new SDK where a directory without a `bin/go` stands: somebody deleted half of an SDK.
pub(crate) fn clear_wreck(store: &Store, version: &Version, goroot: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(goroot) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look at", goroot, error)),
        Ok(found) if found.is_dir() => store.discard(version, goroot).map(|_| ()),
        // Nothing that govern makes. A link leads to a tree that is not ours to delete.
        Ok(_) => Err(Error::Obstructed { path: goroot.to_owned() }),
    }
}

/// An empty directory of a new name; rename(2) puts a directory in the place of an empty one.
pub(crate) fn new_trash(store: &Store, version: &Version) -> Result<PathBuf, Error> {
    let sdks = store.layout.sdks();
    let made = tempfile::Builder::new().prefix(&format!("{PREFIX}{version}-")).tempdir_in(&sdks);
    Ok(made.map_err(at("create a directory in", &sdks))?.keep())
}

/// Deletes a file and tells whether it was there.
pub(crate) fn delete_file(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("delete", path, error)),
    }
}

fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(at("list", dir))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// The version in `PREFIX<version>-<random>`.
fn temporary(name: &str, prefix: &str) -> Option<Version> {
    Version::parse(name.strip_prefix(prefix)?.rsplit_once('-')?.0).ok()
}

/// The version in `go<version>.json` and `go<version>.tlog-proof`.
fn recorded(name: &str) -> Option<Version> {
    let toolchain = name.strip_suffix(".json").or_else(|| name.strip_suffix(".tlog-proof"))?;
    Version::parse(toolchain).ok().filter(|version| version.toolchain() == toolchain)
}
