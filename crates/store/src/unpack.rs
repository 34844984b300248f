//! What the two archive judges share: the tap on the caller's bytes, the way an error finds its kind again, and the
//! loop that moves one file from a reader to the pipe.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

use govern_core::event::{Event, Watch};
use govern_core::origin::escaped_text;
use govern_core::proof;

use crate::error::Error;
use crate::hasher::Hasher;
use crate::pipe::Pipe;
use crate::plan::Planner;
use crate::refusal::Refusal;

/// Bytes moved at once.
pub(crate) const BUFFER: usize = 128 << 10;
/// Those who watch hear of every so many files.
const FILES_PER_EVENT: u64 = 256;

/// Why reading an archive ended early.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller's reader failed.
    Reader(io::Error),
    /// The archive may not be unpacked.
    Refused { entry: Option<String>, reason: Refusal },
    /// The tree could not be written.
    Disk(Error),
}

impl Fault {
    /// A refusal of the whole archive.
    pub(crate) fn archive(reason: Refusal) -> Fault {
        Fault::Refused { entry: None, reason }
    }

    /// A refusal of one entry. Its name comes from outside and may be huge.
    pub(crate) fn entry(name: &[u8], reason: Refusal) -> Fault {
        let shown: String = String::from_utf8_lossy(name).chars().take(200).collect();
        Fault::Refused { entry: Some(escaped_text(&shown)), reason }
    }

    /// The same as an error about an archive of this name.
    pub(crate) fn of(self, archive: &str) -> Error {
        let archive = archive.to_owned();
        match self {
            Fault::Reader(source) => Error::Archive { archive, source },
            Fault::Refused { entry, reason } => Error::Refused { archive, entry, reason },
            Fault::Disk(error) => error,
        }
    }

    /// Names the entry in a refusal that has none yet.
    pub(crate) fn within(self, name: &[u8]) -> Fault {
        match self {
            Fault::Refused { entry: None, reason } => Fault::entry(name, reason),
            other => other,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Disk(error)
    }
}

/// A refusal that travelled through a `Read` as an error (see [`refuse`]) is a refusal again.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.downcast::<Refusal>() {
            Ok(reason) => Fault::archive(reason),
            Err(error) => Fault::Reader(error),
        }
    }
}

/// A refusal as an error of a `Read`.
pub(crate) fn refuse(reason: Refusal) -> io::Error {
    io::Error::other(reason)
}

/// Counts and hashes the bytes of an archive as they pass, and remembers whether an error was the caller's.
pub(crate) struct Tap<R> {
    inner: R,
    limit: u64,
    hash: Hasher,
    bytes: u64,
    failed: bool,
}

impl<R> Tap<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Tap<R> {
        Tap { inner, limit, hash: Hasher::start(), bytes: 0, failed: false }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True when the last error came from below and says nothing about the format.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn finish(self) -> (u64, proof::Sha256) {
        (self.bytes, self.hash.finish())
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.failed = result.is_err();
        let read = result?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        if self.bytes > self.limit {
            self.failed = true;
            return Err(refuse(Refusal::ArchiveTooLarge(self.limit)));
        }
        Ok(read)
    }
}

/// A reader that remembers, for those who cannot get at it while a library holds it, whether an error was its own and
/// whether it came to its end.
pub(crate) struct Marked<'m, R> {
    inner: R,
    failed: &'m Cell<bool>,
    ended: &'m Cell<bool>,
}

impl<'m, R> Marked<'m, R> {
    pub(crate) fn new(inner: R, failed: &'m Cell<bool>, ended: &'m Cell<bool>) -> Marked<'m, R> {
        Marked { inner, failed, ended }
    }
}

impl<R: Read> Read for Marked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.failed.set(read.is_err());
        self.ended.set(matches!(read, Ok(0)) && !buffer.is_empty());
        read
    }
}

impl<R: Seek> Seek for Marked<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Moves what a reader finds through the planner into the pipe.
pub(crate) struct Unpack<'a, 's> {
    planner: Planner,
    pipe: &'a mut Pipe<'s>,
    watch: &'a dyn Watch,
    files: u64,
}

impl<'a, 's> Unpack<'a, 's> {
    pub(crate) fn new(planner: Planner, pipe: &'a mut Pipe<'s>, watch: &'a dyn Watch) -> Unpack<'a, 's> {
        Unpack { planner, pipe, watch, files: 0 }
    }

    /// Says how many bytes the whole tree has.
    pub(crate) fn need(&mut self, total: u64) -> Result<(), Fault> {
        Ok(self.pipe.need(total)?)
    }

    pub(crate) fn directory(&mut self, name: &[u8], mode: u32) -> Result<(), Fault> {
        let planned = self.planner.directory(name, mode).map_err(|reason| Fault::entry(name, reason))?;
        planned.map_or(Ok(()), |path| Ok(self.pipe.directory(&path)?))
    }

    /// Writes a file of exactly `size` bytes from the front of `bytes`.
    pub(crate) fn file(&mut self, name: &[u8], mode: u32, size: u64, bytes: &mut dyn Read) -> Result<(), Fault> {
        let planned = self.planner.file(name, mode, size).map_err(|reason| Fault::entry(name, reason))?;
        self.pipe.begin(planned)?;
        let mut left = size;
        while left > 0 {
            let room = self.pipe.room();
            let want = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = fill(bytes, &mut room[..want]).map_err(|error| Fault::from(error).within(name))?;
            if read < want {
                return Err(Fault::entry(name, Refusal::Truncated));
            }
            self.pipe.write(read)?;
            left -= read as u64;
        }
        self.pipe.end()?;
        self.files += 1;
        if self.files.is_multiple_of(FILES_PER_EVENT) {
            self.watch.event(Event::Unpacked { files: self.files });
        }
        Ok(())
    }

    /// Tells those who watch the last count.
    pub(crate) fn finish(self) {
        self.watch.event(Event::Unpacked { files: self.files });
    }
}

/// Reads until the buffer is full or the bytes end.
pub(crate) fn fill(bytes: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match bytes.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
