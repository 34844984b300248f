//! What every test starts from: an installation in a temporary directory, settings that name no outside, an instant pace.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use govern_core::event::{Event, Watch};
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::proof::{Artifact, Expected, Format, Log, LogRecord, Sha256};
use govern_core::version::Version;
use govern_sources::{Error, Pace, Settings, Sources};
use sha2::Digest;
use tempfile::TempDir;

use crate::server::{Answer, Request, Server, file};

/// The validator of [`first`].
pub(crate) const ETAG: &str = "\"one\"";

/// An installation.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) layout: Layout,
}

impl Home {
    pub(crate) fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(dir.path());
        Home { dir, layout }
    }

    pub(crate) fn sources(&self, settings: Settings) -> Sources {
        self.sources_at(settings, pace())
    }

    pub(crate) fn sources_at(&self, settings: Settings, pace: Pace) -> Sources {
        Sources::with_pace(settings, &self.layout, pace).unwrap()
    }

    /// The names below the downloads directory.
    pub(crate) fn downloads(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.layout.downloads()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// No source at all; tests name theirs.
pub(crate) fn nowhere() -> Settings {
    Settings {
        dl_urls: Vec::new(),
        goproxy: Some("off".to_owned()),
        gosumdb: Some("off".to_owned()),
        ..Settings::default()
    }
}

pub(crate) fn page<const N: usize>(urls: [String; N]) -> Settings {
    Settings { dl_urls: urls.into(), ..nowhere() }
}

/// As many tries as in earnest, and no pauses.
pub(crate) fn pace() -> Pace {
    Pace {
        progress: 1,
        first_pause: Duration::ZERO,
        longest_pause: Duration::ZERO,
        longest_wish: Duration::ZERO,
        grudge: Duration::ZERO,
        busy: Duration::ZERO,
        overlap: 64,
        note_every: 4096,
        note_pause: Duration::ZERO,
        ..Pace::default()
    }
}

pub(crate) fn linux() -> Platform {
    Platform { os: "linux".to_owned(), arch: "amd64".to_owned() }
}

pub(crate) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// A moment, so many seconds after a fixed one.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// Bytes that look like an archive and repeat nowhere.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// The entry of one release in a download page's list.
pub(crate) fn entry(version: &str, archive: &[u8]) -> String {
    let files = ["linux-amd64", "darwin-arm64"].map(|platform| {
        let (os, arch) = platform.split_once('-').unwrap();
        format!(
            r#"{{"filename":"go{version}.{platform}.tar.gz","os":"{os}","arch":"{arch}","version":"go{version}","sha256":"{}","size":{},"kind":"archive"}}"#,
            sha256(archive),
            archive.len()
        )
    });
    format!(r#"{{"version":"go{version}","stable":true,"files":[{}]}}"#, files.join(","))
}

pub(crate) fn list(entries: &[String]) -> String {
    format!("[{}]", entries.join(","))
}

/// A tarball at `url`, promised with digest and length.
pub(crate) fn tarball(url: String, archive: &[u8]) -> Artifact {
    Artifact {
        version: version("1.24.1"),
        platform: linux(),
        url,
        format: Format::TarGz,
        size: Some(archive.len() as u64),
        expected: Expected { sha256: Some(sha256(archive)), log: Log::OutOfReach("a test".to_owned()) },
    }
}

/// The events of a download.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<Event>>);

impl Events {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        let reason = |event| if let Event::Trouble { reason } = event { Some(reason) } else { None };
        self.all().into_iter().filter_map(reason).collect()
    }
}

impl Watch for Events {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub(crate) fn watch() -> (Arc<Events>, Arc<dyn Watch>) {
    let events = Arc::new(Events::default());
    (events.clone(), events)
}

/// Downloads an artifact: the digests of what the reader saw and of what is in the file.
pub(crate) async fn fetch(sources: &Sources, artifact: &Artifact) -> Result<(Sha256, Sha256), Error> {
    fetch_watched(sources, artifact, watch().1).await
}

pub(crate) async fn fetch_watched(
    sources: &Sources,
    artifact: &Artifact,
    watch: Arc<dyn Watch>,
) -> Result<(Sha256, Sha256), Error> {
    let mut download = sources.open(artifact, watch).await?;
    let mut reader = download.reader();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    let path = download.finish().await;
    let read = read.await.unwrap();
    let file = std::fs::read(path?).unwrap();
    Ok((sha256(&read.unwrap()), sha256(&file)))
}

/// An error and all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Answers the first requests by script, and the others as a good server does.
pub(crate) async fn first(
    archive: &[u8],
    script: impl Fn(usize, &Request, Answer) -> Answer + Send + Sync + 'static,
) -> Server {
    let (archive, count) = (archive.to_vec(), AtomicUsize::new(0));
    Server::start(move |request| {
        let good = file(request, &archive, ETAG);
        script(count.fetch_add(1, Ordering::SeqCst), request, good)
    })
    .await
}

/// Downloads from one server in a fresh installation: the result, and the installation.
pub(crate) async fn download(server: &Server, archive: &[u8]) -> (Result<Sha256, Error>, Home) {
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let done = fetch(&sources, &tarball(server.url("dl/x.tar.gz"), archive)).await;
    let done = done.map(|(read, file)| {
        assert_eq!(read, file);
        file
    });
    (done, home)
}

/// A module zip at `url`, of which only the log knows anything.
pub(crate) fn module(url: String) -> Artifact {
    let record = LogRecord { database: "sum.test.example".to_owned(), id: 0, tree_size: 1, h1: "h1:x".to_owned() };
    Artifact {
        version: version("1.24.1"),
        platform: linux(),
        url,
        format: Format::ModuleZip,
        size: None,
        expected: Expected { sha256: None, log: Log::Record(record) },
    }
}
