//! The one writer of the index: a thread of its own, because SQLite blocks. Notes are added up and go to disk in
//! batches; when the disk is slow they are dropped, and when the index is broken it is begun anew.
//! Whatever fails here is logged: no question and no change ever fails because of the index.

mod batch;

use std::collections::HashMap;
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use govern_core::decide::Kind;
use govern_core::version::Version;
use govern_engine::Engine;
use govern_engine::index::{self, Opened, PinRow, Project};
use tokio::sync::oneshot;

use self::batch::{Batch, FULL, kind};
use crate::answered::Answered;
use crate::file_id::FileId;

/// Requests that may wait.
const QUEUE: usize = 256;

/// Notes are added up for this long, unless there are many before.
const BATCH: Duration = Duration::from_secs(1);

/// An index that cannot be opened is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// Directories whose pins are known to be in the index; beyond them everything is written again.
const KNOWN_PINS: usize = 4_096;

/// A directory that is gone stays in the list of projects for this many seconds: it may lie on a disk that is not
/// mounted today.
const REMEMBERED: u64 = 30 * 24 * 60 * 60;

/// Directories in an answer, which has to fit into the client's and into our own memory.
const SHOWN: usize = 10_000;

/// The index is compared with the disk at least this often, however little changes.
const SCAN: Duration = Duration::from_secs(24 * 60 * 60);

/// The way to the index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    sender: SyncSender<Message>,
    /// Std mutex: held to add a note or to take them all.
    batch: Arc<Mutex<Batch>>,
    /// What opening found: `fine`, `created`, `rebuilt`, or `unusable`.
    state: &'static str,
    /// Std mutex: held to take the thread out, once.
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    /// There is something to write.
    Noted,
    /// There is much to write.
    Full,
    Rescan,
    Projects(oneshot::Sender<Option<Vec<Project>>>),
    LastUses(oneshot::Sender<HashMap<Version, u64>>),
    End,
}

impl Index {
    /// Opens the index and brings it in step with the disk, before anybody asks.
    pub(crate) fn start(engine: Engine) -> anyhow::Result<Index> {
        let (sender, messages) = mpsc::sync_channel(QUEUE);
        let (opened, state) = mpsc::channel();
        let batch = Arc::new(Mutex::new(Batch::default()));
        let notes = Arc::clone(&batch);
        let thread = thread::Builder::new().name("index".to_owned()).spawn(move || {
            let mut keeper = Keeper::new(engine, notes);
            let state = keeper.open();
            keeper.scan();
            // Whoever started us waits for it, and not for a look at every directory that ever asked.
            let _ = opened.send(state);
            keeper.forget_what_is_gone();
            keeper.keep(&messages);
        });
        let thread = thread.context("cannot start the thread of the index")?;
        let state = state.recv().context("the thread of the index has died")?;
        Ok(Index { sender, batch, state, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// What opening found.
    pub(crate) fn state(&self) -> &'static str {
        self.state
    }

    /// Notes an answer. The thread is woken for the first note of a batch only.
    pub(crate) fn answered(&self, answered: &Arc<Answered>) {
        let mut batch = lock(&self.batch);
        let before = batch.len();
        batch.note(answered, SystemTime::now());
        let after = batch.len();
        drop(batch);
        let message = match (before, after) {
            (0, 1..) => Message::Noted,
            (..FULL, FULL..) => Message::Full,
            _ => return,
        };
        // A thread that has much to do writes afterwards whatever there is.
        let _ = self.sender.try_send(message);
    }

    /// Brings the index in step with the SDKs on disk, soon.
    pub(crate) fn rescan(&self) {
        if self.sender.try_send(Message::Rescan).is_err() {
            tracing::warn!("the index cannot keep up: a scan is dropped");
        }
    }

    /// The directories that asked, the first [`SHOWN`] of them. `None` when the index cannot be read.
    pub(crate) async fn projects(&self) -> Option<Vec<Project>> {
        let (reply, projects) = oneshot::channel();
        self.sender.try_send(Message::Projects(reply)).ok()?;
        projects.await.ok().flatten()
    }

    /// When each SDK was last used, as far as it is known.
    pub(crate) async fn last_uses(&self) -> HashMap<Version, u64> {
        let (reply, uses) = oneshot::channel();
        match self.sender.try_send(Message::LastUses(reply)) {
            Ok(()) => uses.await.unwrap_or_default(),
            Err(_) => HashMap::new(),
        }
    }

    /// Writes what is still to be written and closes the index. Blocks.
    pub(crate) fn end(&self) {
        // A full queue is emptied by the thread; a dead thread has nothing to end.
        let _ = self.sender.send(Message::End);
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread owns.
struct Keeper {
    engine: Engine,
    path: PathBuf,
    /// The open index, and the file it was when it was opened.
    open: Option<(index::Index, Option<FileId>)>,
    retry_at: Option<Instant>,
    batch: Arc<Mutex<Batch>>,
    /// Pins that are in the index.
    written: HashMap<PathBuf, Vec<PinRow>>,
    scanned: Instant,
}

impl Keeper {
    fn new(engine: Engine, batch: Arc<Mutex<Batch>>) -> Keeper {
        let path = engine.layout().index();
        Keeper { engine, path, open: None, retry_at: None, batch, written: HashMap::new(), scanned: Instant::now() }
    }

    fn keep(&mut self, messages: &Receiver<Message>) {
        let mut write_at: Option<Instant> = None;
        loop {
            let message = match write_at {
                Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => messages.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(Message::Noted) => {
                    write_at = write_at.or_else(|| Some(Instant::now() + BATCH));
                    continue;
                }
                Ok(Message::Full) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Rescan) => self.renew(),
                Ok(Message::Projects(reply)) => {
                    self.write();
                    // Whoever asked may be gone.
                    let _ = reply.send(self.projects());
                }
                Ok(Message::LastUses(reply)) => {
                    self.write();
                    let _ = reply.send(self.last_uses());
                }
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.write();
            write_at = None;
            if self.scanned.elapsed() > SCAN {
                self.renew();
            }
        }
        self.write();
    }

    /// Opens the index and tells what was found.
    fn open(&mut self) -> &'static str {
        self.open = None;
        self.written.clear();
        match index::Index::open(&self.path, SystemTime::now()) {
            Ok((open, opened)) => {
                self.open = Some((open, FileId::of_path(&self.path).ok()));
                self.retry_at = None;
                match opened {
                    Opened::Fine => "fine",
                    Opened::Created => "created",
                    Opened::Rebuilt { kept, reason } => {
                        tracing::warn!(?kept, reason, "the index was begun anew");
                        "rebuilt"
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the index cannot be used; go works without it");
                self.retry_at = Some(Instant::now() + RETRY);
                "unusable"
            }
        }
    }

    /// The open index. Opened anew, and filled, when its file was deleted or it could not be opened before.
    fn index(&mut self) -> Option<&mut index::Index> {
        let is_ours = |id: &Option<FileId>| id.is_some_and(|id| id.is_at(&self.path));
        let must_open = match &self.open {
            Some((_, id)) => !is_ours(id),
            None => self.retry_at.is_none_or(|at| at <= Instant::now()),
        };
        if must_open {
            self.open();
            self.scan_into_open();
        }
        self.open.as_mut().map(|(index, _)| index)
    }

    /// Does something with the index. Damage closes it, so that the next one begins a new file.
    fn with<T>(&mut self, work: impl FnOnce(&mut index::Index) -> Result<T, index::Error>) -> Option<T> {
        let error = match work(self.index()?) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.failed(&error);
        None
    }

    fn failed(&mut self, error: &index::Error) {
        tracing::warn!(error = chain(error), "the index failed");
        if error.is_damage() {
            self.open = None;
        }
    }

    /// Makes the index equal to the disk in everything.
    fn renew(&mut self) {
        self.scan();
        self.forget_what_is_gone();
    }

    /// Makes the index equal to the disk in what is installed and overridden.
    fn scan(&mut self) {
        if self.index().is_some() {
            self.scan_into_open();
        }
    }

    fn scan_into_open(&mut self) {
        let sdks = self.engine.sdks().inspect_err(|e| tracing::warn!(error = chain(e), "the store cannot be scanned"));
        let overrides = self.engine.overrides().inspect_err(|e| tracing::warn!(error = chain(e), "no overrides"));
        self.scanned = Instant::now();
        let Some((index, _)) = &mut self.open else { return };
        let scan = || -> Result<(), index::Error> {
            if let Ok(sdks) = &sdks {
                index.replace_sdks(sdks)?;
            }
            if let Ok(overrides) = overrides {
                let rows: Vec<_> = overrides.into_iter().map(|(dir, spec)| (dir, spec.to_string())).collect();
                index.replace_overrides(&rows)?;
            }
            Ok(())
        };
        if let Err(error) = scan() {
            self.failed(&error);
        }
        self.written.clear();
    }

    /// Forgets pins of files that are gone, and directories that are gone and forgotten.
    fn forget_what_is_gone(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let is_forgotten = |project: &Project| is_forgettable(project, now) && !project.directory.exists();
        self.with(|index| {
            let gone: Vec<_> = index.pins()?.into_iter().filter(|pin| !pin.file.exists()).collect();
            gone.iter().try_for_each(|pin| index.replace_pins(&pin.directory, &[]))?;
            let mut gone = Vec::new();
            index.each_project(|project| gone.extend(is_forgotten(&project).then_some(project.directory)))?;
            gone.iter().try_for_each(|directory| index.forget_project(directory))
        });
        self.written.clear();
    }

    /// Writes the batch.
    fn write(&mut self) {
        let mut batch = mem::take(&mut *lock(&self.batch));
        if batch.len() == 0 {
            return;
        }
        let left = batch.take_left();
        let (uses, mut pins) = batch.into_rows();
        pins.retain(|(directory, rows)| self.written.get(directory) != Some(rows));
        let written = self.with(|index| {
            index.record_use(&uses)?;
            left.iter().try_for_each(|directory| index.forget_project(directory))?;
            pins.iter().try_for_each(|(directory, rows)| index.replace_pins(directory, rows))
        });
        if written.is_some() {
            if self.written.len() + pins.len() > KNOWN_PINS {
                self.written.clear();
            }
            self.written.extend(pins);
        }
    }

    fn projects(&mut self) -> Option<Vec<Project>> {
        self.with(|index| index.projects(SHOWN))
    }

    fn last_uses(&mut self) -> HashMap<Version, u64> {
        let rows = self.with(|index| index.sdks()).unwrap_or_default();
        rows.into_iter().filter_map(|row| Some((row.facts.sdk.version, row.last_used?))).collect()
    }
}

/// Says whether a directory may be forgotten once it is gone. A use outside every project may be at once: `go run` in a
/// temporary directory leaves one each time.
fn is_forgettable(project: &Project, now: u64) -> bool {
    project.kind == kind(Kind::Default) || project.last_use.saturating_add(REMEMBERED) < now
}

/// An error and its causes, for a log line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use govern_core::version::Version;
    use govern_engine::index::Project;

    use super::{REMEMBERED, is_forgettable};

    #[test]
    fn a_project_that_is_gone_is_remembered_for_a_while_and_a_passing_use_is_not() {
        let check = |kind: &str, since: u64, expect: bool| {
            let project = Project {
                directory: "/gone".into(),
                version: Version::parse("1.22.4").unwrap(),
                origin: String::new(),
                kind: kind.to_owned(),
                first_use: 0,
                last_use: 1_000,
                count: 1,
            };
            assert_eq!(is_forgettable(&project, 1_000 + since), expect, "{kind} {since}");
        };
        check("default", 0, true);
        check("pin", REMEMBERED, false);
        check("pin", REMEMBERED + 1, true);
        check("floor", 60, false);
    }
}
