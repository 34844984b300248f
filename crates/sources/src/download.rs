//! A running download as its owner sees it: a blocking reader of the bytes as they come, and the finished file.
//!
//! Bytes that were read cannot be taken back. So a byte is given to the reader only when the answer that is being received
//! vouches for it: bytes of an earlier run are held back until their source said that they are still good, or sent them
//! again and they were the same. When the archive changes at its source after the reader was given bytes that are no longer
//! part of it, the reader and [`Download::finish`] fail ([`Error::Changed`]); opening the artifact again starts anew.
//!
//! A zip has its directory at its end. So that nobody has to wait for everything before, the end of one can come ahead of
//! the rest; when the rest is there, its end must be the same.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::Error;

/// The reader fails with this, inside an `io::Error`, when the download failed. [`Download::finish`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It ended before the archive did.
    #[error("the download ended early")]
    Failed,
    /// The archive is another one now than when the first bytes were read: read it again from the start.
    #[error("the archive changed while it was downloaded")]
    Changed,
}

/// What reader and transfer share.
pub(crate) struct Shared {
    /// Std mutex: never held across `.await`, nor while a file is read or written.
    state: Mutex<State>,
    grown: Condvar,
}

struct State {
    file: Option<Arc<File>>,
    /// Bytes from the start that may be read.
    vouched: u64,
    /// Bytes from the start that were read, by the reader that is furthest.
    taken: u64,
    /// The length of the whole, once its source has said.
    size: Option<u64>,
    /// The last bytes, ahead of the rest.
    ahead: Ahead,
    /// The length or the last bytes were taken, of the answer that is being received …
    is_bound: bool,
    /// … or of one before it.
    was_bound: bool,
    end: End,
}

enum Ahead {
    /// They come with the rest.
    No,
    /// They were asked for.
    Asked,
    /// From this byte on.
    Here(u64, Arc<[u8]>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Stopped(Stopped),
}

/// Where bytes are that may be read.
enum Place {
    /// So many, in the file.
    File(usize, Option<Arc<File>>),
    /// From this one on, in what came ahead.
    Ahead(usize, Arc<[u8]>),
    /// The archive ends before them.
    Nowhere,
}

impl Shared {
    pub(crate) fn new() -> Arc<Shared> {
        let state = State {
            file: None,
            vouched: 0,
            taken: 0,
            size: None,
            ahead: Ahead::No,
            is_bound: false,
            was_bound: false,
            end: End::Open,
        };
        Arc::new(Shared { state: Mutex::new(state), grown: Condvar::new() })
    }

    /// Sets the file that the bytes are read from.
    pub(crate) fn read_from(&self, file: Arc<File>) {
        self.change(|state| state.file = Some(file));
    }

    /// The whole has this length, where its source says.
    pub(crate) fn measure(&self, size: Option<u64>) {
        self.change(|state| state.size = size);
    }

    /// The last bytes were asked for: whoever wants them waits. False when they were before.
    pub(crate) fn ask_ahead(&self) -> bool {
        let mut state = self.lock();
        let is_first = matches!(state.ahead, Ahead::No);
        if is_first {
            state.ahead = Ahead::Asked;
        }
        is_first
    }

    /// The last bytes, from `at` on; without them, they come with the rest.
    pub(crate) fn give_ahead(&self, bytes: Option<(u64, Vec<u8>)>) {
        self.change(|state| state.ahead = bytes.map_or(Ahead::No, |(at, bytes)| Ahead::Here(at, bytes.into())));
    }

    /// What came ahead, and from which byte on.
    pub(crate) fn came_ahead(&self) -> Option<(u64, Arc<[u8]>)> {
        match &self.lock().ahead {
            Ahead::Here(at, bytes) => Some((*at, Arc::clone(bytes))),
            _ => None,
        }
    }

    /// The bytes up to `length` are good.
    pub(crate) fn vouch(&self, length: u64) {
        self.change(|state| state.vouched = state.vouched.max(length));
    }

    /// From now on, another answer vouches: nothing more is given out until it does.
    pub(crate) fn doubt(&self) {
        self.change(|state| {
            state.vouched = state.taken;
            state.was_bound |= state.is_bound;
            if !state.is_bound {
                state.ahead = Ahead::No;
            }
        });
    }

    /// The bytes from `length` on are no longer part of the archive. False when some of them were read already.
    pub(crate) fn cut(&self, length: u64) -> bool {
        let mut state = self.lock();
        if state.taken > length || state.was_bound {
            return false;
        }
        state.vouched = state.vouched.min(length);
        true
    }

    /// All bytes are there.
    pub(crate) fn close(&self, length: u64) {
        self.change(|state| (state.vouched, state.end) = (length, End::Whole));
    }

    /// No more bytes come. The first word counts.
    pub(crate) fn stop(&self, why: Stopped) {
        self.change(|state| {
            if state.end == End::Open {
                state.end = End::Stopped(why);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Waits for bytes at `at`, of which at most `most` are wanted.
    fn wait(&self, at: u64, most: usize) -> io::Result<Place> {
        let mut state = self.lock();
        loop {
            if state.vouched > at {
                let length = usize::try_from(state.vouched - at).unwrap_or(usize::MAX).min(most);
                // Taken before it is read: from here on, the transfer cannot cut these bytes off.
                state.taken = state.taken.max(at + length as u64);
                return Ok(Place::File(length, state.file.clone()));
            }
            if let Ahead::Here(from, bytes) = &state.ahead
                && at >= *from
            {
                let place = Place::Ahead(usize::try_from(at - from).unwrap_or(usize::MAX), Arc::clone(bytes));
                state.is_bound = true;
                return Ok(place);
            }
            match state.end {
                End::Open => state = self.grown.wait(state).expect("no holder of this lock panics"),
                End::Whole => return Ok(Place::Nowhere),
                End::Stopped(why) => return Err(io::Error::other(why)),
            }
        }
    }

    /// Waits until the length of the whole is known.
    fn length(&self) -> io::Result<u64> {
        let mut state = self.lock();
        loop {
            match (state.end, state.size) {
                (End::Whole, _) => return Ok(state.vouched),
                (End::Stopped(why), _) => return Err(io::Error::other(why)),
                (End::Open, Some(size)) => {
                    state.is_bound = true;
                    return Ok(size);
                }
                (End::Open, None) => state = self.grown.wait(state).expect("no holder of this lock panics"),
            }
        }
    }
}

/// Reads an archive while it is downloaded. Blocks: for threads that may. A clone reads on from the same place, by itself.
#[derive(Clone)]
struct Reader {
    shared: Arc<Shared>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match self.shared.wait(self.at, buffer.len())? {
            Place::Nowhere | Place::File(_, None) => 0,
            Place::File(length, Some(file)) => {
                // What was cut off between the promise and the reading belongs to an archive that is no more.
                file.read_exact_at(&mut buffer[..length], self.at).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => io::Error::other(Stopped::Changed),
                    _ => error,
                })?;
                length
            }
            Place::Ahead(from, bytes) => bytes.get(from..).unwrap_or_default().read(buffer)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// Going to the end, or from there, waits until it is known where that is.
impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.shared.length()?.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A running download. Dropping it stops it soon, and leaves what has come for the next one.
pub struct Download {
    pub(crate) shared: Arc<Shared>,
    pub(crate) url: String,
    pub(crate) size: Option<u64>,
    pub(crate) job: JoinHandle<Result<PathBuf, Error>>,
    /// The job gives up when this is dropped.
    pub(crate) alive: oneshot::Sender<()>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("url", &self.url).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Download {
    /// The bytes of the archive from its start: first what an earlier run left, then the network's as they come.
    ///
    /// The reader blocks; it ends with the archive, or with an error that holds a [`Stopped`].
    pub fn reader(&mut self) -> impl Read + Seek + Clone + Send + 'static {
        Reader { shared: Arc::clone(&self.shared), at: 0 }
    }

    /// Where the bytes come from: with GOPROXY, the proxy that has the archive.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The length of the archive, when its source says.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Stops it, and waits until nothing is written any more. What has come is left for the next one.
    pub async fn give_up(self) {
        drop(self.alive);
        let _ = self.job.await;
    }

    /// Waits for the end: the file on disk, complete and not yet proven.
    ///
    /// # Errors
    /// What ended the download early. What has come is kept for the next try, where that can be gone on with.
    pub async fn finish(self) -> Result<PathBuf, Error> {
        let done = self.job.await.unwrap_or(Err(Error::Cancelled { url: self.url }));
        drop(self.alive);
        done
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use super::{Reader, Shared, Stopped};

    fn shared(content: &[u8]) -> (Arc<Shared>, Reader) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let shared = Shared::new();
        shared.read_from(Arc::new(file));
        let reader = Reader { shared: Arc::clone(&shared), at: 0 };
        (shared, reader)
    }

    #[test]
    fn a_reader_gets_what_is_vouched_for_and_no_more() {
        let (shared, mut reader) = shared(b"0123456789");
        let mut buffer = [0; 20];
        shared.vouch(4);
        assert_eq!(reader.read(&mut buffer).unwrap(), 4);
        shared.vouch(8);
        assert_eq!(reader.read(&mut buffer[..1]).unwrap(), 1);
        // Another answer comes, which has vouched for six bytes so far.
        shared.doubt();
        shared.vouch(6);
        assert_eq!(reader.read(&mut buffer).unwrap(), 1);
        shared.close(9);
        assert_eq!(reader.read(&mut buffer).unwrap(), 3);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn bytes_can_be_cut_off_until_they_are_read() {
        let (shared, mut reader) = shared(b"0123456789");
        shared.vouch(8);
        reader.read_exact(&mut [0; 5]).unwrap();
        assert!(shared.cut(7) && shared.cut(5) && !shared.cut(4));
        shared.close(5);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn of_two_reasons_to_stop_the_first_counts_and_none_counts_after_the_end() {
        let (shared, mut reader) = shared(b"0123456789");
        shared.stop(Stopped::Changed);
        shared.stop(Stopped::Failed);
        let error = reader.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.into_inner().unwrap().downcast_ref(), Some(&Stopped::Changed));
        shared.close(10);
        shared.stop(Stopped::Failed);
        assert_eq!(reader.read(&mut [0; 20]).unwrap(), 10);
    }
}
