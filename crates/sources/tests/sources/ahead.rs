//! The end of a zip, which comes ahead of the rest where its server gives out ranges, so that its directory can be read.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use govern_sources::{Error, Pace, Settings, Sources, Stopped};

use crate::server::{Answer, Request, Server, file};
use crate::setup::{ETAG, Home, bytes, first, module, nowhere, pace, watch};

const LENGTH: usize = 50_000;
/// Where what comes ahead begins.
const AHEAD: usize = 40_000;
/// Where the first answer breaks off; the next one waits for a word.
const BROKEN: usize = 20_000;
/// For the reader to get the end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The reader's end of the archive, while the rest is held back.
fn end_of(mut reader: impl Read + Seek, go_on: &Sender<()>) -> std::io::Result<Vec<u8>> {
    let mut end = Vec::new();
    assert_eq!(reader.seek(SeekFrom::End(-5000))?, 45_000);
    reader.read_to_end(&mut end)?;
    go_on.send(()).unwrap();
    Ok(end)
}

/// A server that breaks off, then waits, then gives out `later`, with its tag; its answer for the end is changed by `end`.
async fn broken(
    archive: &[u8],
    (later, tag): (Vec<u8>, &'static str),
    end: impl Fn(Answer) -> Answer + Send + Sync + 'static,
) -> Broken {
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let wait = |may_go_on: &Mutex<Receiver<()>>| {
        may_go_on.lock().unwrap().recv_timeout(PATIENCE).expect("the end is read before the rest is there");
    };
    let server = first(archive, move |_, request: &Request, good| match request.range_start() {
        None => good.cut(BROKEN),
        Some(AHEAD) => end(good),
        Some(_) => {
            wait(&may_go_on);
            file(request, &later, tag)
        }
    });
    let server = server.await;
    let home = Home::new();
    let settings = Settings { goproxy: Some(server.url("")), ..nowhere() };
    let ahead = (LENGTH - AHEAD) as u64;
    let sources = home.sources_at(settings, Pace { ahead, ..pace() });
    Broken { server, sources, go_on, _home: home }
}

struct Broken {
    server: Server,
    sources: Sources,
    go_on: Sender<()>,
    _home: Home,
}

impl Broken {
    fn artifact(&self) -> govern_core::proof::Artifact {
        module(self.server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_can_be_read_before_the_rest_is_there_and_a_clone_reads_the_rest() {
    let archive = bytes(LENGTH, 1);
    let broken = broken(&archive, (archive.clone(), ETAG), |good| good).await;
    let mut download = broken.sources.open(&broken.artifact(), watch().1).await.unwrap();
    let (reader, mut all) = (download.reader(), download.reader());
    let go_on = broken.go_on.clone();
    let end = tokio::task::spawn_blocking(move || end_of(reader, &go_on)).await.unwrap().unwrap();
    assert!(end == archive[45_000..]);
    let all = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 10_000];
        all.read_exact(&mut bytes).unwrap();
        all.clone().read_to_end(&mut bytes).map(|_| bytes)
    });
    assert!(fs::read(download.finish().await.unwrap()).unwrap() == archive);
    assert!(all.await.unwrap().unwrap() == archive);
    let mut starts: Vec<_> = broken.server.seen().iter().map(Request::range_start).collect();
    starts.sort_unstable();
    assert_eq!(starts, [None, Some(BROKEN), Some(AHEAD)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_end_that_is_not_the_rests_is_an_archive_that_changed() {
    let archive = bytes(LENGTH, 1);
    let broken = broken(&archive, (archive.clone(), ETAG), |_| {
        let range = format!("bytes {AHEAD}-{}/{LENGTH}", LENGTH - 1);
        Answer::new(206, bytes(LENGTH - AHEAD, 3)).with("etag", ETAG).with("content-range", range)
    })
    .await;
    let mut download = broken.sources.open(&broken.artifact(), watch().1).await.unwrap();
    let (reader, go_on) = (download.reader(), broken.go_on.clone());
    let end = tokio::task::spawn_blocking(move || end_of(reader, &go_on)).await.unwrap().unwrap();
    assert!(end != archive[45_000..]);
    let error = download.finish().await.unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error:?}");
    // What came is whole, and there for the next one.
    let download = broken.sources.open(&broken.artifact(), watch().1).await.unwrap();
    assert!(fs::read(download.finish().await.unwrap()).unwrap() == archive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_archive_that_changes_after_its_end_was_read_stops_the_reader() {
    let (old, new) = (bytes(LENGTH, 1), [&bytes(LENGTH, 1)[..10_000], &bytes(LENGTH, 2)].concat());
    for has_end in [true, false] {
        let broken = broken(&old, (new.clone(), "\"new\""), move |good| match has_end {
            true => good,
            false => Answer::new(403, "no"),
        });
        let broken = broken.await;
        let mut download = broken.sources.open(&broken.artifact(), watch().1).await.unwrap();
        let (mut reader, go_on) = (download.reader(), broken.go_on.clone());
        let read = tokio::task::spawn_blocking(move || {
            // Where it ends is as much as what is there.
            assert_eq!(reader.seek(SeekFrom::End(-5000)).unwrap(), 45_000);
            if has_end {
                end_of(reader.clone(), &go_on).unwrap();
                reader.rewind().unwrap();
            } else {
                go_on.send(()).unwrap();
            }
            reader.read_to_end(&mut Vec::new()).unwrap_err()
        });
        let error = download.finish().await.unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error:?}");
        let stopped = read.await.unwrap().into_inner().unwrap().downcast::<Stopped>().unwrap();
        assert_eq!(*stopped, Stopped::Changed, "{has_end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_archive_that_changed_since_a_download_broke_off_is_read_from_its_end_all_the_same() {
    let (old, new) = (bytes(LENGTH, 1), [&bytes(LENGTH, 1)[..10_000], &bytes(LENGTH, 2)].concat());
    let has_changed = Arc::new(AtomicBool::new(false));
    let (changed, later) = (Arc::clone(&has_changed), new.clone());
    let server = first(&old, move |_, request, good| match (changed.load(Ordering::SeqCst), request.range_start()) {
        (false, None) => good.cut(BROKEN),
        (false, Some(_)) => Answer::new(403, "no"),
        (true, _) => file(request, &later, "\"new\""),
    });
    let server = server.await;
    let home = Home::new();
    let settings = Settings { goproxy: Some(server.url("")), ..nowhere() };
    let sources = home.sources_at(settings, Pace { ahead: 10_000, ..pace() });
    let artifact = module(server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"));
    sources.open(&artifact, watch().1).await.unwrap().finish().await.unwrap_err();
    has_changed.store(true, Ordering::SeqCst);

    let mut download = sources.open(&artifact, watch().1).await.unwrap();
    let mut reader = download.reader();
    let read = tokio::task::spawn_blocking(move || {
        let mut end = Vec::new();
        reader.seek(SeekFrom::End(-5000))?;
        reader.read_to_end(&mut end)?;
        reader.rewind()?;
        reader.read_to_end(&mut end).map(|_| end)
    });
    assert!(fs::read(download.finish().await.unwrap()).unwrap() == new);
    let read = read.await.unwrap().unwrap();
    assert!(read[..5000] == new[new.len() - 5000..] && read[5000..] == new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_ranges_are_ignored_or_refused_the_end_comes_with_the_rest() {
    let archive = bytes(LENGTH, 1);
    for status in [200, 403, 416, 500] {
        let whole = archive.clone();
        let server = first(&archive, move |_, request, good| match request.range_start() {
            Some(_) if status == 200 => Answer::ok(whole.clone()).with("etag", ETAG),
            Some(_) => Answer::new(status, "no"),
            None => good,
        })
        .await;
        let home = Home::new();
        let settings = Settings { goproxy: Some(server.url("")), ..nowhere() };
        let sources = home.sources_at(settings, Pace { ahead: 10_000, ..pace() });
        let artifact = module(server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"));
        let mut download = sources.open(&artifact, watch().1).await.unwrap();
        let mut reader = download.reader();
        let end = tokio::task::spawn_blocking(move || {
            let mut end = Vec::new();
            reader.seek(SeekFrom::End(-5000)).unwrap();
            reader.read_to_end(&mut end).map(|_| end)
        });
        assert!(end.await.unwrap().unwrap() == archive[45_000..], "{status}");
        assert!(fs::read(download.finish().await.unwrap()).unwrap() == archive, "{status}");
    }
}
