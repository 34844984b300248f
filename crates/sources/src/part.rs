//! A download on disk: the bytes so far, and a note beside them that says where they came from and what they sum up to.
//!
//! The note makes the bytes usable after a kill or a power cut: only a beginning that still has the noted checksum is gone
//! on with. A CRC is enough for that, because the whole is proven by its digest in any case: it costs a seventh of one.
//! Leaves out the network (`transfer`) and the proof of the whole (`govern_core::proof`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crc32fast::Hasher as Crc32;
use govern_core::proof::Sha256 as Digest256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::Error;
use crate::http::Validators;
use crate::pace::Pace;

/// How often a file that another download holds is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Where bytes came from, and in which state of the file there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Without user name and password.
    pub(crate) url: String,
    #[serde(flatten)]
    pub(crate) validators: Validators,
    /// The length of the whole, when its source said.
    pub(crate) total: Option<u64>,
}

/// What is noted beside the bytes.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    origin: Origin,
    length: u64,
    crc32: u32,
}

/// An unfinished download. Dropping it leaves it on disk, noted, unless nothing has come.
pub(crate) struct Part {
    dir: PathBuf,
    name: String,
    /// Locked for as long as it is written.
    file: Arc<File>,
    length: u64,
    /// Of the first `length` bytes.
    sum: Crc32,
    origin: Origin,
    /// The length that the note on disk has, and when it was written.
    noted: u64,
    noted_at: Instant,
    /// The bytes that come before the next note, and the time that passes: both, so that a slow download loses few bytes to
    /// a kill, and a fast one does not write notes all the time.
    note_every: u64,
    note_pause: Duration,
}

/// The unfinished file of a download.
pub(crate) fn part_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.part"))
}

/// The note beside a download, finished or not.
pub(crate) fn note_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.json"))
}

/// The finished file of an earlier download, if it is whole and what is expected.
pub(crate) fn finished(dir: &Path, name: &str, size: Option<u64>, sha256: Option<Digest256>) -> Option<PathBuf> {
    let path = dir.join(name);
    let file = File::open(&path).ok()?;
    let note = read_note(dir, name)?;
    let is_whole = size.is_none_or(|size| size == note.length)
        && file.metadata().ok()?.len() == note.length
        && sum_of(&file, note.length).ok()?.finalize() == note.crc32;
    let is_promised = |digest| hash_of(&file, note.length).is_ok_and(|own| own == digest);
    (is_whole && sha256.is_none_or(is_promised)).then_some(path)
}

impl Part {
    /// Takes up a download where it was left, or begins one. Waits a while for another holder.
    pub(crate) async fn open(dir: &Path, name: &str, pace: &Pace) -> Result<Part, Error> {
        fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        let path = part_path(dir, name);
        let file = lock(&path, pace.busy).await?;
        let mut part = Part {
            dir: dir.to_owned(),
            name: name.to_owned(),
            file: Arc::new(file),
            length: 0,
            sum: Crc32::new(),
            origin: Origin::default(),
            noted: 0,
            noted_at: Instant::now(),
            note_every: pace.note_every,
            note_pause: pace.note_pause,
        };
        if let Some(note) = read_note(dir, name) {
            match sum_of(&part.file, note.length) {
                Ok(sum) if sum.clone().finalize() == note.crc32 => {
                    (part.length, part.noted, part.sum, part.origin) = (note.length, note.length, sum, note.origin);
                }
                _ => debug!(path = %path.display(), "unfinished download does not match its note"),
            }
        }
        part.set_length(part.length)?;
        Ok(part)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The file, to read what is there.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Says where the bytes come from, once all of them were found to be the same there.
    pub(crate) fn adopt(&mut self, origin: Origin) -> Result<(), Error> {
        self.origin = origin;
        self.write_note()
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, self.length).map_err(Error::file("write", self.path()))?;
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        if self.length - self.noted >= self.note_every && self.noted_at.elapsed() >= self.note_pause {
            self.write_note()?;
        }
        Ok(())
    }

    /// How many of `bytes` are the same as those that are here from `at` on.
    pub(crate) fn same(&self, at: u64, bytes: &[u8]) -> Result<usize, Error> {
        let here = usize::try_from(self.length - at).unwrap_or(usize::MAX).min(bytes.len());
        let mut own = vec![0; here];
        self.file.read_exact_at(&mut own, at).map_err(Error::file("read", self.path()))?;
        Ok(own.iter().zip(bytes).take_while(|(own, new)| own == new).count())
    }

    /// Drops everything from `length` on.
    pub(crate) fn cut(&mut self, length: u64) -> Result<(), Error> {
        self.sum = sum_of(&self.file, length).map_err(Error::file("read", self.path()))?;
        self.length = length;
        // The note first: a kill in between leaves bytes too many, which the next start drops.
        self.write_note()?;
        self.set_length(length)
    }

    /// Makes this the finished file.
    pub(crate) fn finish(mut self) -> Result<PathBuf, Error> {
        if !is_at(&self.file, &self.path()) {
            // Someone discarded it; what is there now, if anything, is another download's.
            return Err(Error::file("finish", self.path())(io::ErrorKind::NotFound.into()));
        }
        self.origin.total = Some(self.length);
        self.write_note()?;
        let path = self.dir.join(&self.name);
        fs::rename(self.path(), &path).map_err(Error::file("write", &path))?;
        Ok(path)
    }

    /// Deletes it.
    pub(crate) fn discard(mut self) {
        // Dropping writes no note for what is noted already.
        self.noted = self.length;
        remove(&self.dir, &self.name);
    }

    /// Takes the empty file away where a finished one is used instead, which has the note.
    pub(crate) fn leave(mut self) {
        self.noted = self.length;
        if self.length == 0 {
            let _ = fs::remove_file(self.path());
        }
    }

    fn path(&self) -> PathBuf {
        part_path(&self.dir, &self.name)
    }

    /// Cuts the file off, where that changes it: ext4 takes one that was ever emptied for one that is being replaced, and
    /// writes all of it to the disk when it is closed (`ext4_release_file` in its file.c), just before it is deleted.
    fn set_length(&self, length: u64) -> Result<(), Error> {
        let set = || if self.file.metadata()?.len() == length { Ok(()) } else { self.file.set_len(length) };
        set().map_err(Error::file("write", self.path()))
    }

    fn write_note(&mut self) -> Result<(), Error> {
        let note = Note { origin: self.origin.clone(), length: self.length, crc32: self.sum.clone().finalize() };
        let path = note_path(&self.dir, &self.name);
        let write = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            file.write_all(&serde_json::to_vec(&note)?)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(Error::file("write", &path))?;
        (self.noted, self.noted_at) = (self.length, Instant::now());
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !is_at(&self.file, &self.path()) {
            return;
        }
        if self.length == 0 {
            // Still locked: whoever waits for it sees that it has gone, and begins another.
            remove(&self.dir, &self.name);
        } else if self.noted != self.length
            && let Err(error) = self.write_note()
        {
            debug!(%error, "unfinished download not noted: less of it can be resumed");
        }
    }
}

/// Deletes a download, finished or not.
pub(crate) fn remove(dir: &Path, name: &str) {
    for path in [dir.join(name), part_path(dir, name), note_path(dir, name)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                debug!(path = %path.display(), %error, "download not deleted");
            }
            _ => {}
        }
    }
}

/// Opens and locks the unfinished file.
async fn lock(path: &Path, busy: Duration) -> Result<File, Error> {
    let start = Instant::now();
    loop {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::file("open", path))?;
        match file.try_lock() {
            // The last holder may have finished it meanwhile, and what is locked has another name now.
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => continue,
            Err(fs::TryLockError::WouldBlock) if start.elapsed() < busy => sleep(LOCK_PAUSE).await,
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => {
                return Err(Error::File { action: "lock", path: path.to_owned(), source });
            }
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let inode = |meta: io::Result<fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
    let own = inode(file.metadata());
    own.is_some() && own == inode(fs::metadata(path))
}

fn read_note(dir: &Path, name: &str) -> Option<Note> {
    serde_json::from_slice(&fs::read(note_path(dir, name)).ok()?).ok()
}

/// The checksum of the first `length` bytes, to go on with.
///
/// # Errors
/// When there are fewer bytes.
fn sum_of(file: &File, length: u64) -> io::Result<Crc32> {
    let mut sum = Crc32::new();
    read_through(file, length, |bytes| sum.update(bytes)).map(|()| sum)
}

/// The digest of the first `length` bytes.
///
/// # Errors
/// When there are fewer bytes.
pub(crate) fn hash_of(file: &File, length: u64) -> io::Result<Digest256> {
    let mut hash = Sha256::new();
    read_through(file, length, |bytes| hash.update(bytes))?;
    Ok(Digest256(hash.finalize().into()))
}

fn read_through(file: &File, length: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < length {
        let want = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..want], at)?;
        take(&buffer[..want]);
        at += want as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::{Part, is_at, lock, part_path};
    use crate::error::Error;
    use crate::pace::Pace;

    #[tokio::test]
    async fn who_waited_for_a_file_that_was_finished_meanwhile_gets_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        let held = lock(&path, Duration::ZERO).await.unwrap();
        let busy = lock(&path, Duration::ZERO).await;
        assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { lock(&path, Duration::from_secs(60)).await }
        });
        // On this one thread, the waiter has opened the file and found it locked when this comes back.
        tokio::task::yield_now().await;
        fs::rename(&path, dir.path().join("x")).unwrap();
        drop(held);
        assert!(is_at(&waiting.await.unwrap().unwrap(), &path));
    }

    #[tokio::test]
    async fn notes_wait_for_bytes_and_for_time() {
        let (soon, late) = (Duration::ZERO, Duration::from_secs(3600));
        for (note_every, note_pause, is_noted) in [(5, soon, true), (6, soon, false), (5, late, false)] {
            let dir = tempfile::tempdir().unwrap();
            let pace = Pace { note_every, note_pause, ..Pace::default() };
            let mut part = Part::open(dir.path(), "x", &pace).await.unwrap();
            part.append(b"bytes").unwrap();
            assert_eq!(super::note_path(dir.path(), "x").exists(), is_noted, "{note_every} {note_pause:?}");
            drop(part);
            assert!(super::note_path(dir.path(), "x").exists(), "the end is always noted");
        }
    }

    #[tokio::test]
    async fn a_part_that_was_discarded_meanwhile_is_neither_finished_nor_noted() {
        let dir = tempfile::tempdir().unwrap();
        let begin = async || {
            let mut part = Part::open(dir.path(), "x", &Pace::default()).await.unwrap();
            part.append(b"bytes").unwrap();
            super::remove(dir.path(), "x");
            part
        };
        drop(begin().await);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let part = begin().await;
        fs::write(part_path(dir.path(), "x"), "another download's").unwrap();
        assert!(matches!(part.finish(), Err(Error::File { .. })));
        assert!(!dir.path().join("x").exists());
    }
}
