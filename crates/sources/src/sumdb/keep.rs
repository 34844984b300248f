//! What outlives one question: the latest tree head, which must never be lost or go back, and authenticated answers and
//! tiles, which are a convenience. Nothing read from here is believed: the client authenticates all of it again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::ANSWER_LIMIT;

/// Where a client keeps its tree head and its cache. Calls may block: the client makes them where that is allowed.
pub trait Keep: Send + Sync + 'static {
    /// The note of the latest tree head, if one was ever kept.
    ///
    /// # Errors
    /// When there may be one and it cannot be read.
    fn latest(&self) -> Result<Option<Vec<u8>>, KeepError>;

    /// Replaces the latest head by `next`, durably, if it is still `seen`. False when it is not: another process moved it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn advance(&self, seen: Option<&[u8]>, next: &[u8]) -> Result<bool, KeepError>;

    /// The bytes cached under a path of the database such as `tile/8/1/380`.
    fn cached(&self, path: &str) -> Option<Vec<u8>>;

    /// Caches bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    fn cache(&self, path: &str, bytes: &[u8]) -> Result<(), KeepError>;

    /// Saves evidence against the database, and says where.
    ///
    /// # Errors
    /// When it cannot be written.
    fn accuse(&self, evidence: &str) -> Result<PathBuf, KeepError>;

    /// The file of the latest head, for messages.
    fn place(&self) -> PathBuf;
}

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct KeepError {
    /// What was tried: `read`, `write`, `lock`.
    pub doing: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Keeps everything in files: the head and evidence below a state directory, the rest below a cache directory that may
/// be deleted at any time. Any number of processes may use the same directories.
#[derive(Clone, Debug)]
pub struct DiskKeep {
    state: PathBuf,
    cache: PathBuf,
}

impl DiskKeep {
    /// For one database: its files lie below its name in both directories.
    #[must_use]
    pub fn new(state_dir: &Path, cache_dir: &Path, verifier: &super::Verifier) -> DiskKeep {
        DiskKeep { state: state_dir.join(verifier.name()), cache: cache_dir.join(verifier.name()) }
    }

    /// Writes beside and renames, so that readers see the old file or the new one.
    fn replace(&self, path: &Path, bytes: &[u8], durability: Durability) -> Result<(), KeepError> {
        let dir = path.parent().expect("every file of ours is below a directory of ours");
        let write = || -> io::Result<()> {
            fs::create_dir_all(dir)?;
            let mut file = NamedTempFile::new_in(dir)?;
            file.write_all(bytes)?;
            if durability == Durability::Kept {
                file.as_file().sync_all()?;
            }
            file.persist(path)?;
            if durability == Durability::Kept {
                File::open(dir)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(at("write", path))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Survives a power cut.
    Kept,
    /// May be lost, and is then fetched again.
    Cached,
}

impl Keep for DiskKeep {
    fn latest(&self) -> Result<Option<Vec<u8>>, KeepError> {
        let path = self.place();
        match read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    fn advance(&self, seen: Option<&[u8]>, next: &[u8]) -> Result<bool, KeepError> {
        // A lock file of its own: the head itself is replaced by rename, and a lock on a replaced file holds nobody off.
        let lock = self.state.join("latest.lock");
        fs::create_dir_all(&self.state).map_err(at("create", &self.state))?;
        let guard = File::options().create(true).append(true).open(&lock).map_err(at("open", &lock))?;
        guard.lock().map_err(at("lock", &lock))?;
        if self.latest()?.as_deref() != seen {
            return Ok(false);
        }
        self.replace(&self.place(), next, Durability::Kept)?;
        Ok(true)
    }

    fn cached(&self, path: &str) -> Option<Vec<u8>> {
        read(&self.cache.join(path)).ok()
    }

    fn cache(&self, path: &str, bytes: &[u8]) -> Result<(), KeepError> {
        self.replace(&self.cache.join(path), bytes, Durability::Cached)
    }

    fn accuse(&self, evidence: &str) -> Result<PathBuf, KeepError> {
        // Named after its content: the same fork seen a thousand times is one file.
        let digest: String = Sha256::digest(evidence)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.state.join(format!("fork-{digest}.txt"));
        self.replace(&path, evidence.as_bytes(), Durability::Kept)?;
        Ok(path)
    }

    fn place(&self) -> PathBuf {
        self.state.join("latest")
    }
}

/// Reads a file up to the size that anything of ours can have; what is larger fails its authentication.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(ANSWER_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeepError {
    let path = path.to_owned();
    move |source| KeepError { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sumdb::Verifier;

    fn keep(dir: &Path) -> DiskKeep {
        DiskKeep::new(&dir.join("state"), &dir.join("cache"), &Verifier::sum_golang_org())
    }

    #[test]
    fn the_latest_head_moves_only_from_the_one_that_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let keep = keep(dir.path());
        assert_eq!(keep.latest().unwrap(), None);
        assert!(!keep.advance(Some(b"other"), b"one").unwrap());
        assert!(keep.advance(None, b"one").unwrap());
        assert!(!keep.advance(None, b"two").unwrap());
        assert!(keep.advance(Some(b"one"), b"two").unwrap());
        assert_eq!(keep.latest().unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(keep.place(), dir.path().join("state/sum.golang.org/latest"));
    }

    #[test]
    fn of_many_writers_who_saw_the_same_head_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let keep = keep(dir.path());
        let wins = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8_u8)
                .map(|i| {
                    scope.spawn({
                        let keep = &keep;
                        move || keep.advance(None, &[i])
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(wins, 1);
    }

    #[test]
    fn a_head_that_cannot_be_read_is_an_error_and_not_a_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        let keep = keep(dir.path());
        fs::create_dir_all(keep.place()).unwrap();
        let error = keep.latest().unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {}", keep.place().display()));
    }

    #[test]
    fn the_cache_gives_back_what_was_put_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let keep = keep(dir.path());
        assert_eq!(keep.cached("tile/8/0/x097/380"), None);
        keep.cache("tile/8/0/x097/380", b"row").unwrap();
        keep.cache("tile/8/0/x097/380", b"other").unwrap();
        assert_eq!(keep.cached("tile/8/0/x097/380").as_deref(), Some(&b"other"[..]));
        let files = fs::read_dir(dir.path().join("cache/sum.golang.org/tile/8/0/x097")).unwrap().count();
        assert_eq!(files, 1);
    }

    #[test]
    fn the_same_evidence_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let keep = keep(dir.path());
        let path = keep.accuse("two heads").unwrap();
        assert_eq!(keep.accuse("two heads").unwrap(), path);
        assert_ne!(keep.accuse("three heads").unwrap(), path);
        assert_eq!(fs::read_to_string(path).unwrap(), "two heads");
    }
}
