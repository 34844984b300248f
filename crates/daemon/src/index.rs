//! The one writer of the index: a thread of its own, because SQLite blocks. Notes come in over a bounded channel and
//! go to disk in batches; when the disk is slow they are dropped, and when the index is broken it is begun anew.
//! Whatever fails here is logged: no question and no change ever fails because of the index.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use govern_core::decide::Kind;
use govern_core::origin::Origin;
use govern_core::version::Version;
use govern_engine::Engine;
use govern_engine::index::{self, Opened, PinRow, Project, Use};
use tokio::sync::oneshot;

use crate::answered::Answered;
use crate::file_id::FileId;

/// Notes that may wait. A thousand shims at once are half of it.
const QUEUE: usize = 2_048;

/// Notes of one directory are added up for this long …
const BATCH: Duration = Duration::from_secs(1);

/// … and for this many directories.
const BATCH_DIRECTORIES: usize = 256;

/// An index that cannot be opened is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// Directories whose pins are known to be in the index; beyond them everything is written again.
const KNOWN_PINS: usize = 4_096;

/// The way to the index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    sender: SyncSender<Message>,
    /// What opening found: `fine`, `created`, `rebuilt`, or `unusable`.
    state: &'static str,
    /// Std mutex: held to take the thread out, once.
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    Answered(Arc<Answered>),
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
        let thread = thread::Builder::new().name("index".to_owned()).spawn(move || {
            let mut keeper = Keeper::new(engine);
            let state = keeper.open();
            keeper.scan();
            // Whoever started us waits for it.
            let _ = opened.send(state);
            keeper.keep(&messages);
        });
        let thread = thread.context("cannot start the thread of the index")?;
        let state = state.recv().context("the thread of the index has died")?;
        Ok(Index { sender, state, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// What opening found.
    pub(crate) fn state(&self) -> &'static str {
        self.state
    }

    /// Notes an answer. Dropped when the index cannot keep up: it counts less than an answer in time.
    pub(crate) fn answered(&self, answered: Arc<Answered>) {
        if self.sender.try_send(Message::Answered(answered)).is_err() {
            tracing::debug!("the index cannot keep up: a note is dropped");
        }
    }

    /// Brings the index in step with the SDKs on disk, soon.
    pub(crate) fn rescan(&self) {
        if self.sender.try_send(Message::Rescan).is_err() {
            tracing::warn!("the index cannot keep up: a scan is dropped");
        }
    }

    /// The directories that asked. `None` when the index cannot be read.
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
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Keeper {
    engine: Engine,
    path: PathBuf,
    /// The open index, and the file it was when it was opened.
    open: Option<(index::Index, Option<FileId>)>,
    retry_at: Option<Instant>,
    /// Uses since the last writing, each with its place in the order.
    uses: HashMap<(PathBuf, Version), (u64, Use)>,
    noted: u64,
    /// Pins seen since the last writing, by directory.
    pins: HashMap<PathBuf, Vec<PinRow>>,
    /// Pins that are in the index.
    written: HashMap<PathBuf, Vec<PinRow>>,
}

impl Keeper {
    fn new(engine: Engine) -> Keeper {
        let path = engine.layout().index();
        let (uses, pins, written) = (HashMap::new(), HashMap::new(), HashMap::new());
        Keeper { engine, path, open: None, retry_at: None, uses, noted: 0, pins, written }
    }

    fn keep(&mut self, messages: &Receiver<Message>) {
        let mut write_at: Option<Instant> = None;
        loop {
            let message = match write_at {
                Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => messages.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(Message::Answered(answered)) => {
                    self.note(&answered);
                    if self.uses.len() < BATCH_DIRECTORIES {
                        write_at = write_at.or_else(|| Some(Instant::now() + BATCH));
                        continue;
                    }
                }
                Ok(Message::Rescan) => self.scan(),
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
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.write();
            write_at = None;
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

    /// Makes the index equal to the disk.
    fn scan(&mut self) {
        if self.index().is_some() {
            self.scan_into_open();
        }
    }

    fn scan_into_open(&mut self) {
        let sdks = self.engine.sdks().inspect_err(|e| tracing::warn!(error = chain(e), "the store cannot be scanned"));
        let overrides = self.engine.overrides().inspect_err(|e| tracing::warn!(error = chain(e), "no overrides"));
        let Some((index, _)) = &mut self.open else { return };
        let scan = || -> Result<(), index::Error> {
            if let Ok(sdks) = &sdks {
                index.replace_sdks(sdks)?;
            }
            if let Ok(overrides) = overrides {
                let rows: Vec<_> = overrides.into_iter().map(|(dir, spec)| (dir, spec.to_string())).collect();
                index.replace_overrides(&rows)?;
            }
            // Pins of files that are gone, and uses outside every project whose directory is gone: `go run` in a
            // temporary directory leaves one each time.
            let gone: Vec<_> = index.pins()?.into_iter().filter(|pin| !pin.file.exists()).collect();
            for pin in gone {
                index.replace_pins(&pin.directory, &[])?;
            }
            let is_passing = |project: &Project| project.kind == kind(Kind::Default) && !project.directory.exists();
            let gone: Vec<_> = index.projects()?.into_iter().filter(is_passing).collect();
            gone.iter().try_for_each(|project| index.forget_project(&project.directory))
        };
        if let Err(error) = scan() {
            self.failed(&error);
        }
        self.written.clear();
    }

    /// Adds an answer to the batch.
    fn note(&mut self, answered: &Answered) {
        let decision = &answered.decided.decision;
        if let Some(version) = answered.version() {
            let key = (answered.project().to_owned(), version.clone());
            let count = self.uses.get(&key).map_or(0, |(_, known)| known.count).saturating_add(1);
            let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let (origin, kind) = (decision.origin.to_string(), kind(decision.kind).to_owned());
            let note = Use { directory: key.0.clone(), version: version.clone(), origin, kind, at, count };
            self.noted += 1;
            self.uses.insert(key, (self.noted, note));
        }
        let mut pins: HashMap<PathBuf, Vec<PinRow>> = HashMap::new();
        for seen in &decision.seen {
            let Origin::File { path, line } = &seen.origin else { continue };
            let Some(directory) = path.parent() else { continue };
            let row = PinRow {
                directory: directory.to_owned(),
                file: path.clone(),
                line: *line as u64,
                text: seen.text.clone(),
            };
            pins.entry(row.directory.clone()).or_default().push(row);
        }
        for (directory, rows) in pins {
            if self.written.get(&directory) != Some(&rows) {
                self.pins.insert(directory, rows);
            }
        }
    }

    /// Writes the batch.
    fn write(&mut self) {
        if self.uses.is_empty() && self.pins.is_empty() {
            return;
        }
        let mut uses: Vec<(u64, Use)> = self.uses.drain().map(|(_, numbered)| numbered).collect();
        // The index takes the later one of two for the newer.
        uses.sort_unstable_by_key(|(number, _)| *number);
        let uses: Vec<Use> = uses.into_iter().map(|(_, note)| note).collect();
        let pins: Vec<_> = self.pins.drain().collect();
        let written = self.with(|index| {
            index.record_use(&uses)?;
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
        self.with(|index| index.projects())
    }

    fn last_uses(&mut self) -> HashMap<Version, u64> {
        let rows = self.with(|index| index.sdks()).unwrap_or_default();
        rows.into_iter().filter_map(|row| Some((row.facts.sdk.version, row.last_used?))).collect()
    }
}

/// The kind's name in JSON and in the index.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Pin => "pin",
        Kind::Floor => "floor",
        Kind::Default => "default",
    }
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
