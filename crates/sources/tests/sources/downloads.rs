//! Bringing bytes: the reader, the file on disk, and going on where a connection broke.

use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use govern_core::event::Event;
use govern_sources::{Error, Pace, Settings, Stopped};

use crate::server::{Answer, Request, Server, Then};
use crate::setup::{
    ETAG, Home, bytes, chain, download, fetch, fetch_watched, first, module, nowhere, pace, page, sha256, tarball,
    watch,
};

#[tokio::test]
async fn a_download_tells_where_it_comes_from_and_how_far_it_is() {
    let archive = bytes(100_000, 1);
    let server = first(&archive, |_, _, good| good).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let artifact = tarball(server.url("dl/x.tar.gz"), &archive);
    let (events, watch) = watch();
    let (read, file) = fetch_watched(&sources, &artifact, watch).await.unwrap();
    assert!(read == sha256(&archive) && file == read);
    let all = events.all();
    assert_eq!(all[0], Event::Source { url: artifact.url.clone(), size: Some(100_000) });
    assert_eq!(all[all.len() - 1], Event::Downloaded { bytes: 100_000 });
    assert_eq!(home.downloads(), ["go1.24.1.linux-amd64.tar.gz", "go1.24.1.linux-amd64.tar.gz.json"]);
    sources.discard(&artifact);
    assert_eq!(home.downloads(), [""; 0]);
}

#[tokio::test]
async fn a_finished_download_is_used_again_while_it_is_what_is_expected() {
    let archive = bytes(10_000, 1);
    let server = first(&archive, |_, _, good| good).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let artifact = tarball(server.url("dl/x.tar.gz"), &archive);
    for _ in 0..3 {
        assert_eq!(fetch(&sources, &artifact).await.unwrap().0, sha256(&archive));
    }
    assert_eq!(server.connections(), 1);
    // A bit flipped on disk, and bytes missing: fetched anew.
    let path = home.layout.downloads().join("go1.24.1.linux-amd64.tar.gz");
    let mut damaged = archive.clone();
    damaged[5000] ^= 1;
    for damage in [&damaged[..], &archive[..9000]] {
        fs::write(&path, damage).unwrap();
        assert_eq!(fetch(&sources, &artifact).await.unwrap().1, sha256(&archive));
    }
    assert_eq!(server.connections(), 3);
    let other = tarball(artifact.url.clone(), &bytes(10_000, 2));
    fetch(&sources, &other).await.unwrap();
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_with_where_it_broke() {
    let archive = bytes(50_000, 1);
    let server = first(&archive, |n, _, good| if n < 2 { good.cut(20_000) } else { good }).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let (events, watch) = watch();
    let (read, _) = fetch_watched(&sources, &tarball(server.url("dl/x"), &archive), watch).await.unwrap();
    assert_eq!(read, sha256(&archive));
    assert_eq!(server.body_bytes(), 50_000);
    let ranges: Vec<_> =
        server.seen().iter().map(|r| (r.range_start(), r.header("if-range").map(str::to_owned))).collect();
    let etag = || Some(ETAG.to_owned());
    assert_eq!(ranges, [(None, None), (Some(20_000), etag()), (Some(40_000), etag())]);
    assert_eq!(events.troubles().len(), 2);
    assert!(events.troubles()[0].contains("the connection broke"), "{:?}", events.troubles());
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_gone_on_with() {
    let archive = bytes(50_000, 1);
    let server = first(&archive, |n, _, good| if n == 0 { good.cut(9_000).then(Then::Stall) } else { good }).await;
    let home = Home::new();
    let quick = Pace { silence: Duration::from_millis(100), ..pace() };
    let sources = home.sources_at(page([server.url("dl/")]), quick);
    let (events, watch) = watch();
    let (read, _) = fetch_watched(&sources, &tarball(server.url("dl/x"), &archive), watch).await.unwrap();
    assert_eq!(read, sha256(&archive));
    assert!(events.troubles()[0].ends_with("nothing came for 0.1 s"), "{:?}", events.troubles());
    assert_eq!(server.body_bytes(), 50_000);
}

#[tokio::test]
async fn a_part_of_an_earlier_process_is_gone_on_with() {
    let archive = bytes(50_000, 1);
    let server =
        first(&archive, |n, _, good| if n < 5 { good.cut(if n == 0 { 20_000 } else { 0 }) } else { good }).await;
    let (done, home) = download(&server, &archive).await;
    assert!(done.is_err());
    let sources = home.sources(page([server.url("dl/")]));
    let (events, watch) = watch();
    let artifact = tarball(server.url("dl/x.tar.gz"), &archive);
    assert_eq!(fetch_watched(&sources, &artifact, watch).await.unwrap().0, sha256(&archive));
    assert_eq!(server.seen()[5].range_start(), Some(20_000));
    assert_eq!(server.body_bytes(), 50_000);
    assert_eq!(events.troubles(), [""; 0]);
}

#[tokio::test]
async fn a_part_that_was_damaged_on_disk_is_not_gone_on_with() {
    let archive = bytes(50_000, 1);
    for damage in ["flipped", "shorter", "longer", "no note", "torn note"] {
        let server =
            first(&archive, |n, _, good| if n < 5 { good.cut(if n == 0 { 20_000 } else { 0 }) } else { good }).await;
        let (_, home) = download(&server, &archive).await;
        let part = home.layout.downloads().join("go1.24.1.linux-amd64.tar.gz.part");
        let note = home.layout.downloads().join("go1.24.1.linux-amd64.tar.gz.json");
        let mut held = fs::read(&part).unwrap();
        match damage {
            "flipped" => held[100] ^= 1,
            "shorter" => held.truncate(19_999),
            "longer" => held.extend_from_slice(&bytes(40_000, 3)),
            "no note" => fs::remove_file(&note).unwrap(),
            _ => fs::write(&note, &fs::read(&note).unwrap()[..20]).unwrap(),
        }
        fs::write(&part, held).unwrap();
        let sources = home.sources(page([server.url("dl/")]));
        let artifact = tarball(server.url("dl/x.tar.gz"), &archive);
        let (read, file) = fetch(&sources, &artifact).await.unwrap();
        assert!(read == sha256(&archive) && file == read, "{damage}");
        // Bytes beyond the note are dropped; those within it are good.
        let start = if damage == "longer" { Some(20_000) } else { None };
        assert_eq!(server.seen()[5].range_start(), start, "{damage}");
    }
}

/// What a server may answer to a request for the rest. None of it may end in two archives joined.
#[tokio::test]
async fn a_wrong_answer_to_a_range_starts_over_and_never_splices() {
    let (archive, other) = (bytes(50_000, 1), bytes(50_000, 2));
    // Given the archive and another one: what is not for these 20,000 bytes brings bytes of the other.
    type Wrong = fn(&[u8], &[u8]) -> Answer;
    let wrongs: [(&str, Wrong); 11] = [
        ("ranges ignored", |all, _| Answer::ok(all).with("etag", ETAG)),
        ("416", |_, _| Answer::new(416, "").with("content-range", "bytes */50000")),
        ("no content-range", |_, other| Answer::new(206, &other[20_000..]).with("etag", ETAG)),
        ("another start", |_, other| ranged(&other[19_999..], "bytes 19999-49999/50000")),
        ("another total", |_, other| ranged(&other[20_000..], "bytes 20000-49999/50001")),
        ("garbled range", |_, other| ranged(&other[20_000..], "bytes what")),
        ("another etag", |_, other| {
            let answer = Answer::new(206, &other[20_000..]).with("etag", "\"two\"");
            answer.with("content-range", "bytes 20000-49999/50000")
        }),
        ("another date", |_, other| {
            let answer = ranged(&other[20_000..], "bytes 20000-49999/50000");
            answer.with("last-modified", "Thu, 22 Oct 2026 07:28:00 GMT")
        }),
        ("from the start, as a range", |_, other| ranged(other, "bytes 0-49999/50000")),
        ("one byte, as a range", |all, _| ranged(&all[20_000..20_001], "bytes 20000-20000/50000")),
        ("the rest twice", |all, _| ranged(&[&all[20_000..], &all[20_000..]].concat(), "bytes 20000-49999/50000")),
    ];
    for (what, wrong) in wrongs {
        let (all, other) = (archive.clone(), other.clone());
        let server = first(&archive, move |n, _, good| match n {
            0 => good.with("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT").cut(20_000),
            1 => wrong(&all, &other),
            _ => good,
        })
        .await;
        let (done, home) = download(&server, &archive).await;
        match (what, done) {
            ("the rest twice", Err(error)) => {
                assert!(matches!(error, Error::TooLong { limit: 50_000, .. }), "{error:?}");
                assert_eq!(home.downloads(), [""; 0]);
            }
            (_, Ok(file)) => assert_eq!(file, sha256(&archive), "{what}"),
            (_, Err(error)) => panic!("{what}: {}", chain(&error)),
        }
    }
}

fn ranged(body: &[u8], range: &str) -> Answer {
    Answer::new(206, body).with("etag", ETAG).with("content-range", range)
}

#[tokio::test]
async fn without_a_validator_some_bytes_come_again_and_must_be_the_same() {
    let archive = bytes(50_000, 1);
    let plain = |archive: &[u8], request: &Request| match request.range_start() {
        None => Answer::ok(archive),
        Some(at) => Answer::new(206, &archive[at..]).with("content-range", format!("bytes {at}-49999/50000")),
    };
    let count = AtomicUsize::new(0);
    let server = Server::start({
        let archive = archive.clone();
        move |request| match count.fetch_add(1, Ordering::SeqCst) {
            0 => plain(&archive, request).cut(20_000),
            _ => plain(&archive, request),
        }
    })
    .await;
    let home = Home::new();
    let sources = home.sources(Settings { goproxy: Some(server.url("")), ..nowhere() });
    let artifact = module(server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"));
    assert_eq!(fetch(&sources, &artifact).await.unwrap().0, sha256(&archive));
    assert_eq!(server.seen()[1].range_start(), Some(20_000 - 64));
    assert_eq!(server.body_bytes(), 50_064);

    // Another archive of the same length: noticed at the overlap, and fetched whole.
    let (old, new, count) = (bytes(50_000, 2), archive.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => plain(&old, request).cut(20_000),
        _ => plain(&new, request),
    })
    .await;
    let home = Home::new();
    let sources = home.sources(Settings { goproxy: Some(server.url("")), ..nowhere() });
    let artifact = module(server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"));
    let mut download = sources.open(&artifact, watch().1).await.unwrap();
    drop(download.reader());
    assert!(fs::read(download.finish().await.unwrap()).unwrap() == archive);
    let starts: Vec<_> = server.seen().iter().map(Request::range_start).collect();
    assert_eq!(starts, [None, Some(19_936), None]);
}

#[tokio::test]
async fn an_archive_that_changes_before_its_bytes_were_read_is_taken_anew() {
    let (old, new) = (bytes(50_000, 1), bytes(50_000, 2));
    let server = first(&new, move |n, _, good| if n == 0 { file_of(&old).cut(20_000) } else { good }).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let download = sources.open(&tarball(server.url("dl/x"), &new), watch().1).await.unwrap();
    assert!(fs::read(download.finish().await.unwrap()).unwrap() == new);
    assert_eq!(server.seen()[1].header("if-range"), Some("\"old\""));
}

fn file_of(archive: &[u8]) -> Answer {
    Answer::ok(archive).with("etag", "\"old\"")
}

#[tokio::test]
async fn an_archive_that_changes_after_bytes_were_read_stops_the_reader_and_the_next_try_succeeds() {
    let (old, new) = (bytes(50_000, 1), [&bytes(50_000, 1)[..10_000], &bytes(40_000, 2)].concat());
    let (resume, may_resume) = std::sync::mpsc::channel::<()>();
    let may_resume = std::sync::Mutex::new(may_resume);
    let server = first(&new, move |n, _, good| match n {
        0 => file_of(&old).cut(20_000),
        // Answered only when the reader has its bytes.
        1 => may_resume.lock().unwrap().recv().map(|()| good).unwrap(),
        _ => good,
    })
    .await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let artifact = tarball(server.url("dl/x"), &new);
    let mut download = sources.open(&artifact, watch().1).await.unwrap();
    let mut reader = download.reader();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 20_000];
        reader.read_exact(&mut bytes).unwrap();
        resume.send(()).unwrap();
        reader.read_to_end(&mut bytes).unwrap_err()
    });
    let error = download.finish().await.unwrap_err();
    assert!(matches!(error, Error::Changed { .. }) && error.is_unreachable(), "{error:?}");
    let stopped = read.await.unwrap().into_inner().unwrap().downcast::<Stopped>().unwrap();
    assert_eq!(*stopped, Stopped::Changed);
    // What both archives begin with is kept.
    assert_eq!(fetch(&sources, &artifact).await.unwrap().0, sha256(&new));
    assert_eq!(server.seen()[2].range_start(), Some(10_000));
}

#[tokio::test]
async fn an_archive_that_is_republished_byte_for_byte_is_gone_on_with_under_the_reader() {
    let archive = bytes(50_000, 1);
    let republished = archive.clone();
    let server = first(&archive, move |n, _, good| if n == 0 { file_of(&republished).cut(20_000) } else { good }).await;
    let (done, _) = download(&server, &archive).await;
    assert_eq!(done.unwrap(), sha256(&archive));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn goproxy_falls_over_for_archives_too_and_says_who_had_it() {
    let archive = bytes(50_000, 1);
    let good = first(&archive, |_, _, good| good).await;
    let absent = Server::start(|_| Answer::new(404, "")).await;
    let broken = first(&archive, |_, _, good| good.cut(20_000).with("accept-ranges", "none")).await;
    let zip = "golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip";
    let ask = async |list: String, first_url: String| {
        let home = Home::new();
        let slow = Pace { progress: 1 << 30, ..pace() };
        let sources = home.sources_at(Settings { goproxy: Some(list), ..nowhere() }, slow);
        let (events, watch) = watch();
        let done = fetch_watched(&sources, &module(first_url), watch).await;
        (done.map(|(read, _)| read), events.all())
    };
    let (done, events) = ask(format!("{},{}", absent.url(""), good.url("")), absent.url(zip)).await;
    assert_eq!(done.unwrap(), sha256(&archive));
    assert!(events.contains(&Event::Source { url: good.url(zip), size: Some(50_000) }), "{events:?}");

    let home = Home::new();
    let sources = home.sources(Settings { goproxy: Some(format!("{},{}", absent.url(""), good.url(""))), ..nowhere() });
    let download = sources.open(&module(absent.url(zip)), watch().1).await.unwrap();
    assert_eq!((download.url(), download.size()), (good.url(zip).as_str(), Some(50_000)));

    // A proxy that fails half-way is followed after a pipe, and its bytes are compared with the next one's.
    let always = first(&archive, |n, _, good| good.cut(if n == 0 { 20_000 } else { 0 })).await;
    let (done, _) = ask(format!("{}|{}", always.url(""), good.url("")), always.url(zip)).await;
    assert_eq!(done.unwrap(), sha256(&archive));
    let (done, _) = ask(format!("{},{}", always.url(""), good.url("")), always.url(zip)).await;
    assert!(done.unwrap_err().is_unreachable());
    drop(broken);
}

#[tokio::test]
async fn two_downloads_of_one_archive_do_not_write_over_each_other() {
    let archive = bytes(50_000, 1);
    let server = first(&archive, |_, _, good| good.cut(20_000).then(Then::Stall)).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let artifact = tarball(server.url("dl/x"), &archive);
    let held = sources.open(&artifact, watch().1).await.unwrap();
    let error = fetch(&sources, &artifact).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    drop(held);
}

#[tokio::test]
async fn giving_up_stops_the_transfer_and_keeps_what_came() {
    let archive = bytes(50_000, 1);
    let server = first(&archive, |n, _, good| if n == 0 { good.cut(20_000).then(Then::Stall) } else { good }).await;
    let home = Home::new();
    let waiting = Pace { busy: Duration::from_secs(10), ..pace() };
    let sources = home.sources_at(page([server.url("dl/")]), waiting);
    let artifact = tarball(server.url("dl/x"), &archive);
    let mut download = sources.open(&artifact, watch().1).await.unwrap();
    let mut reader = download.reader();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 20_000];
        reader.read_exact(&mut bytes).unwrap();
        (bytes.len(), reader)
    });
    let (length, mut reader) = read.await.unwrap();
    drop(download);
    let stopped = tokio::task::spawn_blocking(move || reader.read(&mut [0; 1]).unwrap_err()).await.unwrap();
    assert_eq!(*stopped.into_inner().unwrap().downcast::<Stopped>().unwrap(), Stopped::Failed);
    assert_eq!(length, 20_000);
    assert_eq!(fetch(&sources, &artifact).await.unwrap().0, sha256(&archive));
    assert_eq!(server.seen()[1].range_start(), Some(20_000));
    assert_eq!(server.body_bytes(), 50_000);
}

#[tokio::test]
async fn an_archive_in_a_directory_is_read_where_it_is() {
    let home = Home::new();
    let dir = home.dir.path().join("srv");
    let archive = bytes(50_000, 1);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("x.tar.gz"), &archive).unwrap();
    let base = format!("file://{}/", dir.display());
    let sources = home.sources(Settings { offline: true, ..page([base.clone()]) });
    let artifact = tarball(format!("{base}x.tar.gz"), &archive);
    let (events, watch) = watch();
    assert_eq!(fetch_watched(&sources, &artifact, watch).await.unwrap(), (sha256(&archive), sha256(&archive)));
    assert_eq!(events.all()[0], Event::Source { url: artifact.url.clone(), size: Some(50_000) });
    sources.discard(&artifact);
    assert!(fs::read(dir.join("x.tar.gz")).unwrap() == archive);
    assert_eq!(home.downloads(), [""; 0]);

    let longer = tarball(artifact.url.clone(), &archive[..40_000]);
    assert!(matches!(fetch(&sources, &longer).await, Err(Error::TooLong { limit: 40_000, .. })));
    let missing = tarball(format!("{base}y.tar.gz"), &archive);
    assert!(fetch(&sources, &missing).await.unwrap_err().is_absent());
}

#[tokio::test]
async fn readers_that_lag_or_start_late_see_every_byte() {
    let archive = bytes(300_000, 1);
    let server = first(&archive, |_, _, good| good).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    let mut download = sources.open(&tarball(server.url("dl/x"), &archive), watch().1).await.unwrap();
    let (mut early, mut late) = (download.reader(), download.reader());
    download.finish().await.unwrap();
    let expect = Arc::new(archive);
    let slow = expect.clone();
    let byte_by_byte = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        for size in (1..2000).cycle() {
            let mut buffer = vec![0; size];
            let read = early.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
        assert!(bytes == *slow);
    });
    let mut bytes = Vec::new();
    late.read_to_end(&mut bytes).unwrap();
    assert!(bytes == *expect);
    byte_by_byte.await.unwrap();
}
