//! Watches the directories that hold pins which were asked for, so that a Go that is newly wished for is on its way
//! before the next `go` asks. Hints and nothing else: every question is answered from the disk, so whatever is lost
//! here costs time and never truth.
//!
//! One watch a directory and never a tree: the system's watches are few, and editors need them too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use notify::event::{EventKind, RemoveKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::answered::Answered;

/// Directories that are watched at most; beyond them the one that was not asked in for longest is let go.
const MOST: usize = 1_024;

/// Messages that may wait; more are dropped.
const QUEUE: usize = 1_024;

/// A file must have been left alone for this long: checkouts and editors write in several steps.
const QUIET: Duration = Duration::from_millis(300);

/// The files whose change may mean another Go.
const PIN_FILES: [&str; 4] = [".go-version", ".tool-versions", "go.mod", "go.work"];

/// What to do when a pin may have changed: the last answer that it played a part in. Called on the watcher's thread.
pub(crate) type Changed = Box<dyn FnMut(&Answered) + Send>;

/// The way to the watcher.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    sender: SyncSender<Message>,
    /// Std mutex: held for a look or an exchange, never while the system is asked.
    directories: Arc<Mutex<Directories>>,
    /// Std mutex: held to take the thread out, once.
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    Answered(Arc<Answered>),
    Changed(PathBuf),
    /// A directory is gone, and its watch with it.
    Gone(PathBuf),
    End,
}

impl Watcher {
    /// Starts to watch nothing yet.
    pub(crate) fn start(changed: Changed) -> anyhow::Result<Watcher> {
        let (sender, messages) = mpsc::sync_channel(QUEUE);
        let directories = Arc::new(Mutex::new(Directories::default()));
        let (hints, watched) = (sender.clone(), Arc::clone(&directories));
        let thread = thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || Keeper::new(hints, watched, changed).keep(&messages))
            .context("cannot start the thread of the watcher")?;
        Ok(Watcher { sender, directories, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Watches nothing, whatever is asked for.
    #[cfg(test)]
    pub(crate) fn blind() -> Watcher {
        let (sender, _) = mpsc::sync_channel(0);
        Watcher { sender, directories: Arc::default(), thread: Arc::default() }
    }

    /// Watches the directories that an answer was made of. Wakes the thread for new ones only.
    pub(crate) fn answered(&self, answered: Arc<Answered>) {
        if lock(&self.directories).refresh(&answered) {
            return;
        }
        // Dropped when the watcher cannot keep up: the next question brings them again.
        let _ = self.sender.try_send(Message::Answered(answered));
    }

    /// How many directories are watched.
    pub(crate) fn watched(&self) -> u64 {
        lock(&self.directories).watched.len() as u64
    }

    /// Stops. Blocks.
    pub(crate) fn end(&self) {
        let _ = self.sender.send(Message::End);
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watched directories.
#[derive(Debug, Default)]
struct Directories {
    watched: HashMap<PathBuf, Watched>,
    clock: u64,
}

#[derive(Debug)]
struct Watched {
    last: Arc<Answered>,
    used: u64,
}

impl Directories {
    /// Notes the use of the directories that are watched already. False when one is not.
    fn refresh(&mut self, answered: &Arc<Answered>) -> bool {
        self.clock += 1;
        let mut all = true;
        for directory in &answered.decided.pin_dirs {
            match self.watched.get_mut(directory) {
                Some(known) => *known = Watched { last: Arc::clone(answered), used: self.clock },
                None => all = false,
            }
        }
        all
    }

    /// The one that was not used for longest.
    fn oldest(&self) -> Option<PathBuf> {
        self.watched.iter().min_by_key(|(_, watched)| watched.used).map(|(directory, _)| directory.clone())
    }
}

/// What the thread owns.
struct Keeper {
    /// `None` when the system has no watcher left for us.
    notify: Option<RecommendedWatcher>,
    directories: Arc<Mutex<Directories>>,
    /// Directories in which something changed, and when to look.
    due: HashMap<PathBuf, Instant>,
    has_complained: bool,
    changed: Changed,
}

impl Keeper {
    fn new(sender: SyncSender<Message>, directories: Arc<Mutex<Directories>>, changed: Changed) -> Keeper {
        let forward = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            let is_gone =
                matches!(event.kind, EventKind::Remove(RemoveKind::Folder | RemoveKind::Any | RemoveKind::Other));
            for path in event.paths {
                let message = match (is_pin_file(&path), is_gone) {
                    (true, _) => Message::Changed(path),
                    (false, true) => Message::Gone(path),
                    (false, false) => continue,
                };
                // Never blocks: notify's own thread must go on emptying the system's queue.
                let _ = sender.try_send(message);
            }
        };
        let notify = notify::recommended_watcher(forward)
            .inspect_err(|error| tracing::warn!(%error, "pins are not watched; go works without"))
            .ok();
        Keeper { notify, directories, due: HashMap::new(), has_complained: false, changed }
    }

    fn keep(mut self, messages: &Receiver<Message>) {
        loop {
            let message = match self.due.values().min() {
                Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => messages.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(Message::Answered(answered)) => self.watch(&answered),
                Ok(Message::Changed(path)) => {
                    if let Some(directory) =
                        path.parent().filter(|dir| lock(&self.directories).watched.contains_key(*dir))
                    {
                        self.due.insert(directory.to_owned(), Instant::now() + QUIET);
                    }
                }
                Ok(Message::Gone(path)) => self.forget(&path),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
        }
    }

    fn watch(&mut self, answered: &Arc<Answered>) {
        let Some(notify) = &mut self.notify else { return };
        for directory in &answered.decided.pin_dirs {
            let directories = lock(&self.directories);
            if directories.watched.contains_key(directory) {
                continue;
            }
            let oldest = if directories.watched.len() < MOST { None } else { directories.oldest() };
            let used = directories.clock;
            drop(directories);
            if let Some(oldest) = oldest {
                lock(&self.directories).watched.remove(&oldest);
                // It may be gone, and its watch with it.
                let _ = notify.unwatch(&oldest);
            }
            match notify.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    let watched = Watched { last: Arc::clone(answered), used };
                    lock(&self.directories).watched.insert(directory.clone(), watched);
                }
                Err(error) if !self.has_complained => {
                    self.has_complained = true;
                    tracing::warn!(%error, ?directory, "not watched; go works without. This is said once");
                }
                Err(_) => {}
            }
        }
    }

    fn forget(&mut self, path: &Path) {
        if lock(&self.directories).watched.remove(path).is_some() {
            self.due.remove(path);
            if let Some(notify) = &mut self.notify {
                // The kernel has dropped the watch already; this makes notify forget the path, so that it can be
                // watched again.
                let _ = notify.unwatch(path);
            }
        }
    }

    /// Reports the directories that have been quiet for long enough.
    fn look(&mut self) {
        let now = Instant::now();
        let ripe: Vec<PathBuf> = self.due.iter().filter(|(_, at)| **at <= now).map(|(dir, _)| dir.clone()).collect();
        for directory in ripe {
            self.due.remove(&directory);
            let last = lock(&self.directories).watched.get(&directory).map(|watched| Arc::clone(&watched.last));
            if let Some(last) = last {
                (self.changed)(&last);
            }
        }
    }
}

fn is_pin_file(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| PIN_FILES.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use super::Watcher;
    use crate::answered::tests::answered;

    const LONG: Duration = Duration::from_secs(20);

    fn watcher() -> (Watcher, Receiver<PathBuf>) {
        let (sender, changes) = mpsc::channel();
        let watcher = Watcher::start(Box::new(move |answered| sender.send(answered.cwd.clone()).unwrap())).unwrap();
        (watcher, changes)
    }

    fn watch(watcher: &Watcher, dir: &Path, count: u64) {
        watcher.answered(Arc::new(answered(dir, &[dir])));
        let begin = Instant::now();
        while watcher.watched() != count {
            assert!(begin.elapsed() < LONG, "{} directories are watched", watcher.watched());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_changed_pin_is_reported_once_and_other_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (watcher, changes) = watcher();
        watch(&watcher, dir.path(), 1);
        fs::write(dir.path().join("main.go"), "package main").unwrap();
        for patch in 0..20 {
            fs::write(dir.path().join(".go-version"), format!("1.22.{patch}")).unwrap();
        }
        assert_eq!(changes.recv_timeout(LONG).unwrap(), dir.path());
        fs::write(dir.path().join("go.sum"), "").unwrap();
        fs::write(dir.path().join(".go-version.tmp"), "1.23.1").unwrap();
        assert!(changes.recv_timeout(Duration::from_millis(600)).is_err(), "reported twice");
        fs::rename(dir.path().join(".go-version.tmp"), dir.path().join(".go-version")).unwrap();
        assert_eq!(changes.recv_timeout(LONG).unwrap(), dir.path(), "as editors save");
        watcher.end();
    }

    #[test]
    fn a_directory_that_comes_back_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("p");
        let (watcher, changes) = watcher();
        for _ in 0..2 {
            fs::create_dir(&dir).unwrap();
            watch(&watcher, &dir, 1);
            fs::write(dir.join("go.mod"), "module m").unwrap();
            assert_eq!(changes.recv_timeout(LONG).unwrap(), dir);
            fs::remove_dir_all(&dir).unwrap();
            let begin = Instant::now();
            while watcher.watched() != 0 {
                assert!(begin.elapsed() < LONG, "still watched");
                std::thread::yield_now();
            }
            // Its removal may be reported as a change of the pin as well.
            while changes.recv_timeout(Duration::from_millis(400)).is_ok() {}
        }
        watcher.end();
    }

    #[test]
    fn what_cannot_be_watched_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (watcher, changes) = watcher();
        watcher.answered(Arc::new(answered(dir.path(), &[Path::new("/nonexistent/a"), Path::new("/nonexistent/b")])));
        watch(&watcher, dir.path(), 1);
        fs::write(dir.path().join("go.work"), "go 1.26").unwrap();
        assert_eq!(changes.recv_timeout(LONG).unwrap(), dir.path());
        watcher.end();
    }
}
