//! Puts a thread between those who read an archive and each of the sinks that what it holds is for, so that inflating need
//! not wait for the disk, nor the disk for inflating or hashing. What arrives, and in which order, is the same as without.
//!
//! Orders and bytes travel in batches, because a batch wakes the other threads once where a file would wake them thrice.
//! All sinks look at the same ones.

use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use crate::error::Error;
use crate::plan::PlannedFile;
use crate::unpack::Fault;

/// A batch is handed over when it is full, with so many bytes of content …
const BATCH_BYTES: usize = 512 << 10;
/// … or so many orders, since names take room as well.
const BATCH_ORDERS: usize = 1024;
/// Batches that wait, beside the one that is filled and the one that is emptied.
const WAITING: usize = 4;

/// What takes what a reader reads, in order: directories, and files as `begin`, any number of `write`, `end`.
pub(crate) trait Sink {
    /// Says how many bytes the whole tree has, where that is known before.
    fn need(&mut self, _total: u64) -> Result<(), Error> {
        Ok(())
    }
    /// A directory, which may have come before with what lies in it.
    fn directory(&mut self, _path: &str) -> Result<(), Error> {
        Ok(())
    }
    /// Says that this file will be begun soon: a time to have what that takes brought from the disk.
    fn expect(&mut self, _file: &PlannedFile) {}
    /// Starts a file. The directories above it need not have come.
    fn begin(&mut self, file: &PlannedFile) -> Result<(), Error>;
    /// Adds bytes to the file.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Finishes the file.
    fn end(&mut self) -> Result<(), Error>;
}

/// Runs `read` on this thread and each sink on another. An error of a sink, which lags behind, counts before one of the
/// reader: it is about an earlier part of the archive.
pub(crate) fn split<T>(
    sinks: &mut [&mut (dyn Sink + Send)],
    read: impl FnOnce(&mut Pipe<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    thread::scope(|scope| {
        let (spare, emptied) = sync_channel(WAITING + 2);
        let mut pipe = Pipe { batch: Batch::new(), emptied, ends: Vec::new() };
        for sink in sinks {
            let (full, batches) = sync_channel(WAITING);
            let spare = spare.clone();
            pipe.ends.push(End { full, thread: scope.spawn(move || drain(&batches, &spare, *sink)) });
        }
        let done = read(&mut pipe).and_then(|done| Ok(pipe.hand_over().map(|()| done)?));
        pipe.ends.drain(..).try_for_each(End::join)?;
        done
    })
}

/// What to do, one after the other.
enum Order {
    Need(u64),
    Directory(String),
    Begin(PlannedFile),
    /// So many of the batch's bytes, from where the last ones ended.
    Write(usize),
    End,
}

struct Batch {
    orders: Vec<Order>,
    bytes: Box<[u8]>,
    /// How many of the bytes are content.
    len: usize,
}

impl Batch {
    fn new() -> Batch {
        Batch { orders: Vec::new(), bytes: vec![0; BATCH_BYTES].into(), len: 0 }
    }
}

/// The reader's end. It takes what a [`Sink`] takes, but for the content of files, which is read into its room.
pub(crate) struct Pipe<'s> {
    batch: Batch,
    emptied: Receiver<Batch>,
    ends: Vec<End<'s>>,
}

/// Where a sink gets its batches from.
struct End<'s> {
    full: SyncSender<Arc<Batch>>,
    thread: ScopedJoinHandle<'s, Result<(), Error>>,
}

impl End<'_> {
    /// Waits until the sink has done all that it was told.
    fn join(self) -> Result<(), Error> {
        drop(self.full);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Pipe<'_> {
    /// See [`Sink::need`].
    pub(crate) fn need(&mut self, total: u64) -> Result<(), Error> {
        self.order(Order::Need(total))
    }

    /// See [`Sink::directory`].
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), Error> {
        self.order(Order::Directory(path.to_owned()))
    }

    /// See [`Sink::begin`].
    pub(crate) fn begin(&mut self, file: PlannedFile) -> Result<(), Error> {
        self.order(Order::Begin(file))
    }

    /// Room for the next bytes of the file, at least one.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.batch.bytes[self.batch.len..]
    }

    /// Adds so many bytes to the file, from the beginning of the room.
    pub(crate) fn write(&mut self, len: usize) -> Result<(), Error> {
        self.batch.len += len;
        self.order(Order::Write(len))
    }

    /// See [`Sink::end`].
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.order(Order::End)
    }

    fn order(&mut self, order: Order) -> Result<(), Error> {
        self.batch.orders.push(order);
        match self.batch.len < BATCH_BYTES && self.batch.orders.len() < BATCH_ORDERS {
            true => Ok(()),
            false => self.hand_over(),
        }
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        let next = self.emptied.try_recv().unwrap_or_else(|_| Batch::new());
        let full = Arc::new(mem::replace(&mut self.batch, next));
        match self.ends.iter().position(|end| end.full.send(Arc::clone(&full)).is_err()) {
            None => Ok(()),
            // It takes no more: only an error ends it while batches may come.
            Some(ended) => self.ends.swap_remove(ended).join(),
        }
    }
}

/// A sink's end: has it do what it is told until nothing more comes.
fn drain(batches: &Receiver<Arc<Batch>>, spare: &SyncSender<Batch>, sink: &mut dyn Sink) -> Result<(), Error> {
    while let Ok(batch) = batches.recv() {
        let files = batch.orders.iter().filter_map(|order| match order {
            Order::Begin(file) => Some(file),
            _ => None,
        });
        files.for_each(|file| sink.expect(file));
        let mut bytes = &batch.bytes[..batch.len];
        for order in &batch.orders {
            match order {
                Order::Need(total) => sink.need(*total),
                Order::Directory(path) => sink.directory(path),
                Order::Begin(file) => sink.begin(file),
                Order::Write(length) => {
                    let (now, later) = bytes.split_at(*length);
                    bytes = later;
                    sink.write(now)
                }
                Order::End => sink.end(),
            }?;
        }
        // The last who is done with it gives it back.
        if let Some(mut batch) = Arc::into_inner(batch) {
            batch.orders.clear();
            batch.len = 0;
            // Without room it is one batch more to allocate, and without a reader nobody needs it.
            let _ = spare.try_send(batch);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::io::Errno;

    use super::{BATCH_BYTES, Pipe, Sink, split};
    use crate::error::Error;
    use crate::plan::PlannedFile;
    use crate::refusal::Refusal;
    use crate::unpack::Fault;

    /// Writes down what it is told, and fails at a file with this name.
    #[derive(Default)]
    struct Log {
        said: Vec<String>,
        bytes: Vec<u8>,
        fails_at: Option<&'static str>,
    }

    impl Sink for Log {
        fn need(&mut self, total: u64) -> Result<(), Error> {
            self.said.push(format!("need {total}"));
            Ok(())
        }

        fn directory(&mut self, path: &str) -> Result<(), Error> {
            self.said.push(format!("directory {path}"));
            Ok(())
        }

        fn begin(&mut self, file: &PlannedFile) -> Result<(), Error> {
            if self.fails_at == Some(file.path.as_str()) {
                return Err(Error::io("create", Path::new("/x"), Errno::NOSPC));
            }
            self.said.push(format!("begin {} {}", file.path, file.executable));
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }

        fn end(&mut self) -> Result<(), Error> {
            self.said.push(format!("end {}", self.bytes.len()));
            Ok(())
        }
    }

    /// What a reader may say.
    enum Word {
        Need,
        Directory,
        Begin(usize),
        Write(Vec<u8>),
        End,
    }

    fn file(n: usize) -> PlannedFile {
        PlannedFile { path: format!("d/{n}"), executable: n.is_multiple_of(2), size: 0 }
    }

    fn words(files: usize) -> impl Iterator<Item = Word> {
        // Several sizes, none of which divides a batch.
        let content = |n: usize| (0..n % 4).map(move |part| Word::Write(vec![n as u8; 1 + part * 4099]));
        let file = move |n| [Word::Begin(n)].into_iter().chain(content(n)).chain([Word::End]);
        [Word::Need, Word::Directory].into_iter().chain((0..files).flat_map(file))
    }

    fn tell(sink: &mut dyn Sink, files: usize) -> Result<(), Error> {
        words(files).try_for_each(|word| match word {
            Word::Need => sink.need(7),
            Word::Directory => sink.directory("d"),
            Word::Begin(n) => sink.begin(&file(n)),
            Word::Write(bytes) => sink.write(&bytes),
            Word::End => sink.end(),
        })
    }

    fn feed(pipe: &mut Pipe<'_>, files: usize) -> Result<(), Fault> {
        Ok(words(files).try_for_each(|word| match word {
            Word::Need => pipe.need(7),
            Word::Directory => pipe.directory("d"),
            Word::Begin(n) => pipe.begin(file(n)),
            Word::Write(mut bytes) => {
                while !bytes.is_empty() {
                    let room = pipe.room();
                    let now = room.len().min(bytes.len());
                    room[..now].copy_from_slice(&bytes[..now]);
                    bytes.drain(..now);
                    pipe.write(now)?;
                }
                Ok(())
            }
            Word::End => pipe.end(),
        })?)
    }

    #[test]
    fn the_sink_hears_the_same_as_without_a_thread_between() {
        let (mut direct, mut one, mut other) = (Log::default(), Log::default(), Log::default());
        let files = 3000;
        tell(&mut direct, files).unwrap();
        split(&mut [&mut one, &mut other], |pipe| feed(pipe, files)).unwrap();
        assert!(direct.bytes.len() > 20 * BATCH_BYTES, "{}", direct.bytes.len());
        for behind in [one, other] {
            assert_eq!(direct.said, behind.said);
            assert!(direct.bytes == behind.bytes);
        }
    }

    #[test]
    fn the_sinks_error_is_told_however_far_the_reader_is() {
        // At the first file, amid batches, and in the last batch, after the reader was done.
        for at in ["d/0", "d/1500", "d/2999"] {
            let mut sink = Log { fails_at: Some(at), ..Log::default() };
            let mut has_read_all = false;
            let sinks: &mut [&mut (dyn Sink + Send)] = &mut [&mut Log::default(), &mut sink];
            let error = split(sinks, |pipe| feed(pipe, 3000).inspect(|()| has_read_all = true)).unwrap_err();
            assert!(matches!(error, Fault::Disk(Error::NoSpace { .. })), "{at}: {error:?}");
            // Whoever is far from the end reads no archive to its end for nothing.
            assert_eq!(has_read_all, at == "d/2999", "{at}");
        }
    }

    #[test]
    fn of_two_errors_the_one_about_the_earlier_part_is_told() {
        let refuse = |pipe: &mut Pipe<'_>| {
            feed(pipe, 3)?;
            Err::<(), _>(Fault::archive(Refusal::Trailing))
        };
        let error = split(&mut [&mut Log::default()], refuse).unwrap_err();
        assert!(matches!(error, Fault::Refused { reason: Refusal::Trailing, .. }), "{error:?}");
    }
}
