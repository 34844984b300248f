//! A mirror of the shape of go.dev/dl on loopback, over a directory of `go1.X.Y.OS-ARCH.tar.gz` files. It counts what
//! it is asked, and fails where a test wants it to.
//!
//! Leaves out what a mirror on the internet needs: limits, TLS, redirects.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use govern_core::version::Version;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{self, Request, Server};

/// How long a test may hold the mirror up before the mirror gives up: longer than any test, shorter than a job of CI.
const PATIENCE: Duration = Duration::from_secs(120);

/// What goes wrong with one archive.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The list promises another digest.
    WrongChecksum,
    /// The list promises another length.
    WrongSize,
    /// The byte at this offset of the file is another, under the right digest and length.
    Flip(u64),
    /// The connection ends at this offset of the file; a request for what comes after it is served.
    Cut(u64),
    /// The answer stops before this offset of the file until the gate is opened.
    Hold(u64, Gate),
    /// The answer is this status, such as `503 Service Unavailable`.
    Refuse(&'static str),
    /// The answer is a page of HTML with status 200, as of a captive portal.
    Page,
}

/// A door in the middle of an answer, so that a test can act while a download stands still.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Waits until a download stands before the gate.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_until_reached(&self) {
        let state = lock(&self.0.0);
        let (state, _) = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.reached).expect("not poisoned");
        assert!(state.reached, "no download reached the gate");
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        lock(&self.0.0).open = true;
        self.0.1.notify_all();
    }

    fn pass(&self) -> io::Result<()> {
        let mut state = lock(&self.0.0);
        state.reached = true;
        self.0.1.notify_all();
        let (state, _) = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.open).expect("not poisoned");
        if state.open { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }
}

/// One archive that the mirror has.
#[derive(Clone, Debug)]
struct Archive {
    path: PathBuf,
    version: Version,
    os: String,
    arch: String,
    sha256: String,
    size: u64,
}

#[derive(Debug)]
struct State {
    /// By file name.
    archives: BTreeMap<String, Archive>,
    /// Leaf lock: nothing else is taken under it.
    faults: Mutex<HashMap<String, Fault>>,
    /// Requests by path, bytes of bodies by path. Leaf lock.
    counts: Mutex<HashMap<String, (usize, u64)>>,
}

/// A running mirror; it ends when it is dropped.
#[derive(Debug)]
pub struct Mirror {
    server: Server,
    state: Arc<State>,
}

impl Mirror {
    /// Serves the archives of a directory on a free port of loopback.
    ///
    /// # Errors
    /// When the directory cannot be read, or no port is free.
    pub fn serve(sdks: &Path) -> io::Result<Mirror> {
        Mirror::serve_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), sdks)
    }

    /// Serves the archives of a directory.
    ///
    /// # Errors
    /// When the directory cannot be read, or the address cannot be listened on.
    pub fn serve_on(address: SocketAddr, sdks: &Path) -> io::Result<Mirror> {
        let mut archives = BTreeMap::new();
        for entry in fs::read_dir(sdks)? {
            let entry = entry?;
            if let Some((version, os, arch)) = entry.file_name().to_str().and_then(read_name) {
                let (sha256, size) = digest(&entry.path())?;
                let archive = Archive { path: entry.path(), version, os, arch, sha256, size };
                archives.insert(entry.file_name().to_string_lossy().into_owned(), archive);
            }
        }
        let state = Arc::new(State { archives, faults: Mutex::default(), counts: Mutex::default() });
        let answering = Arc::clone(&state);
        let server = Server::start(address, move |request, stream| answering.answer(request, stream))?;
        Ok(Mirror { server, state })
    }

    /// What `GOVERN_DL_URL` has to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/dl/", self.server.address())
    }

    /// The names of the archives.
    pub fn archives(&self) -> impl Iterator<Item = &str> {
        self.state.archives.keys().map(String::as_str)
    }

    /// How often a path was asked for: `/dl/`, `/dl/go1.22.4.linux-amd64.tar.gz`.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.state.counts).get(path).map_or(0, |(requests, _)| *requests)
    }

    /// How many bytes of a path were sent in all.
    #[must_use]
    pub fn bytes(&self, path: &str) -> u64 {
        lock(&self.state.counts).get(path).map_or(0, |(_, bytes)| *bytes)
    }

    /// Makes something go wrong with an archive, from now on.
    ///
    /// # Panics
    /// When there is no such archive: a test that breaks nothing proves nothing.
    pub fn inject(&self, archive: &str, fault: Fault) {
        assert!(self.state.archives.contains_key(archive), "the mirror has no {archive}");
        lock(&self.state.faults).insert(archive.to_owned(), fault);
    }

    /// Makes everything right again.
    pub fn heal(&self) {
        lock(&self.state.faults).clear();
    }
}

impl State {
    fn answer(&self, request: &Request, stream: &mut TcpStream) -> io::Result<()> {
        let path = request.path();
        lock(&self.counts).entry(path.to_owned()).or_default().0 += 1;
        if request.method != "GET" && request.method != "HEAD" {
            return http::send(stream, request, "405 Method Not Allowed", "text/plain", b"GET or HEAD\n");
        }
        if path == "/dl/" && request.has_query("mode=json") {
            let list = self.list(request.has_query("include=all")).to_string();
            let tag = format!("\"{}\"", hex(&Sha256::digest(&list)));
            return http::send_file(stream, request, &mut io::Cursor::new(list), &tag, |_, left| Ok(left));
        }
        match path.strip_prefix("/dl/").and_then(|name| self.archives.get_key_value(name)) {
            Some((name, archive)) => self.send_archive(stream, request, name, archive),
            None => http::send(stream, request, "404 Not Found", "text/plain", b"404 page not found\n"),
        }
    }

    fn send_archive(&self, stream: &mut TcpStream, request: &Request, name: &str, archive: &Archive) -> io::Result<()> {
        let fault = lock(&self.faults).get(name).cloned();
        match fault {
            Some(Fault::Refuse(status)) => {
                return http::send(stream, request, status, "text/plain", b"refused\n");
            }
            Some(Fault::Page) => {
                return http::send(stream, request, "200 OK", "text/html", b"<!doctype html><title>Log in</title>\n");
            }
            _ => {}
        }
        let tag = format!("\"{}\"", archive.sha256);
        let mut start = None;
        let piece = |at: u64, left: u64| {
            let start = *start.get_or_insert(at);
            let most = match &fault {
                Some(Fault::Cut(end)) if start < *end && at >= *end => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Some(Fault::Cut(door) | Fault::Hold(door, _)) if at < *door => door - at,
                Some(Fault::Hold(_, gate)) => gate.pass().map(|()| left)?,
                _ => left,
            };
            let most = most.min(left).min(PIECE);
            // Counted before the bytes leave: who has seen the last one may ask for the count at once.
            lock(&self.counts).entry(request.path().to_owned()).or_default().1 += most;
            Ok(most)
        };
        let flip = if let Some(Fault::Flip(at)) = fault { Some(at) } else { None };
        http::send_file(stream, request, &mut Flipped { file: File::open(&archive.path)?, flip }, &tag, piece)
    }

    /// The list, newest release first. Without `all` the newest stable patch of the two newest families.
    fn list(&self, all: bool) -> Value {
        let mut versions: Vec<&Version> = self.archives.values().map(|archive| &archive.version).collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions.dedup();
        if !all {
            versions.retain(|version| !version.is_prerelease());
            versions.dedup_by_key(|version| version.family());
            versions.truncate(2);
        }
        versions.into_iter().map(|version| self.release(version)).collect()
    }

    fn release(&self, version: &Version) -> Value {
        let of_version = self.archives.iter().filter(|(_, archive)| archive.version == *version);
        let file = |(name, archive): (&String, &Archive)| {
            let fault = lock(&self.faults).get(name).cloned();
            let wrong_checksum = matches!(fault, Some(Fault::WrongChecksum));
            let wrong_size = matches!(fault, Some(Fault::WrongSize));
            json!({
                "filename": name,
                "os": archive.os,
                "arch": archive.arch,
                "version": version.toolchain(),
                "sha256": if wrong_checksum { "0".repeat(64) } else { archive.sha256.clone() },
                "size": archive.size + u64::from(wrong_size),
                "kind": "archive",
            })
        };
        json!({
            "version": version.toolchain(),
            "stable": !version.is_prerelease(),
            "files": of_version.map(file).collect::<Vec<_>>(),
        })
    }
}

/// The most that is sent between two looks at the fault.
const PIECE: u64 = 64 * 1024;

/// Takes `go1.22.4.linux-amd64.tar.gz` apart.
fn read_name(name: &str) -> Option<(Version, String, String)> {
    let (version, platform) = name.strip_suffix(".tar.gz")?.rsplit_once('.')?;
    let (os, arch) = platform.split_once('-')?;
    let version = Version::parse(version).ok().filter(|_| version.starts_with("go"))?;
    Some((version, os.to_owned(), arch.to_owned()))
}

fn digest(path: &Path) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let size = io::copy(&mut File::open(path)?, &mut HashWriter(&mut hash))?;
    Ok((hex(&hash.finalize()), size))
}

/// A file of which one byte reads as another.
struct Flipped {
    file: File,
    flip: Option<u64>,
}

impl Read for Flipped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.file.stream_position()?;
        let got = self.file.read(buffer)?;
        let at = self.flip.and_then(|at| at.checked_sub(start)).and_then(|at| usize::try_from(at).ok());
        if let Some(byte) = at.and_then(|at| buffer[..got].get_mut(at)) {
            *byte ^= 0xff;
        }
        Ok(got)
    }
}

impl Seek for Flipped {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A panic elsewhere is that test's failure, not a reason for a second one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
