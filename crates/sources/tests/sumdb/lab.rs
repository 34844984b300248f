//! What the tests of the client stand on: a server in memory, a user's directories, a head that moves by itself.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use govern_core::proof::LogRecord;
use govern_sources::sumdb::tlog::Head;
use govern_sources::sumdb::{Client, DiskKeep, Error, Keep, KeepError, Refusal, Remote, RemoteError};
use tempfile::TempDir;

use crate::log::{self, Log, MODULE, NAME, version};

/// A server in memory. Clones are the same server.
#[derive(Clone, Default)]
pub(crate) struct Server {
    files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
    gone: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn of(files: HashMap<String, Vec<u8>>) -> Server {
        Server { files: Arc::new(Mutex::new(files)), ..Server::default() }
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    pub(crate) fn remove(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap().remove(path).unwrap()
    }

    pub(crate) fn replace_all(&self, files: HashMap<String, Vec<u8>>) {
        *self.files.lock().unwrap() = files;
    }

    pub(crate) fn go_away(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// What was asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Remote for Server {
    async fn get(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        self.asked.lock().unwrap().push(path.to_owned());
        if self.gone.load(Ordering::Relaxed) {
            return Err(RemoteError::OutOfReach("connection refused".to_owned()));
        }
        self.files.lock().unwrap().get(path).cloned().ok_or(RemoteError::NotFound)
    }
}

/// One user's directories, and a server.
pub(crate) struct Lab {
    pub(crate) dir: TempDir,
    pub(crate) server: Server,
}

impl Lab {
    pub(crate) fn new(log: &Log, size: usize) -> Lab {
        Lab { dir: tempfile::tempdir().unwrap(), server: Server::of(log.files(size)) }
    }

    pub(crate) fn keep(&self) -> DiskKeep {
        DiskKeep::new(&self.dir.path().join("state"), &self.dir.path().join("cache"), &log::verifier())
    }

    pub(crate) fn client(&self) -> Client<Server, DiskKeep> {
        Client::new(log::verifier(), self.server.clone(), self.keep())
    }

    pub(crate) fn lookup(&self, i: usize) -> Result<LogRecord, Error> {
        run(self.client().lookup(MODULE, &version(i)))
    }

    pub(crate) fn lookup_cached(&self, i: usize) -> Result<LogRecord, Error> {
        run(self.client().lookup_cached(MODULE, &version(i)))
    }

    pub(crate) fn kept_size(&self) -> u64 {
        Head::open(&self.keep().latest().unwrap().unwrap(), &log::verifier()).unwrap().tree().size
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state").join(NAME)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache").join(NAME)
    }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn lookup_of(i: usize) -> String {
    format!("/lookup/{MODULE}@{}", version(i))
}

pub(crate) fn record_of(i: usize, tree_size: u64) -> LogRecord {
    LogRecord { database: NAME.to_owned(), id: i as u64, tree_size, h1: log::h1(&i.to_string()) }
}

/// Asserts a hard stop, and returns why and where the evidence is.
#[track_caller]
pub(crate) fn security(result: Result<LogRecord, Error>) -> (Refusal, Option<PathBuf>) {
    match result {
        Err(Error::Security { source, evidence, .. }) => (source, evidence),
        other => panic!("not a hard stop: {other:?}"),
    }
}

/// Keeps one head in memory and caches nothing, while "another process" moves the head just before each of our moves.
#[derive(Clone)]
pub(crate) struct Moving(Arc<Mutex<Moves>>);

struct Moves {
    latest: Option<Vec<u8>>,
    coming: Vec<Vec<u8>>,
}

impl Moving {
    pub(crate) fn at<const N: usize>(latest: Option<Vec<u8>>, coming: [Vec<u8>; N]) -> Moving {
        Moving(Arc::new(Mutex::new(Moves { latest, coming: coming.into_iter().rev().collect() })))
    }
}

impl Keep for Moving {
    fn latest(&self) -> Result<Option<Vec<u8>>, KeepError> {
        Ok(self.0.lock().unwrap().latest.clone())
    }

    fn advance(&self, seen: Option<&[u8]>, next: &[u8]) -> Result<bool, KeepError> {
        let mut moves = self.0.lock().unwrap();
        if let Some(moved) = moves.coming.pop() {
            moves.latest = Some(moved);
        }
        let is_unmoved = moves.latest.as_deref() == seen;
        if is_unmoved {
            moves.latest = Some(next.to_vec());
        }
        Ok(is_unmoved)
    }

    fn cached(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn cache(&self, _: &str, _: &[u8]) -> Result<(), KeepError> {
        Ok(())
    }

    fn accuse(&self, _: &str) -> Result<PathBuf, KeepError> {
        Err(KeepError { doing: "write", path: PathBuf::new(), source: std::io::ErrorKind::StorageFull.into() })
    }

    fn place(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}
