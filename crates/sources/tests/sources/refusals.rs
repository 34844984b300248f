//! Servers that are wrong, slow, busy or gone: what a download fails with, how often it tries, what it leaves behind.

use std::fs;
use std::time::{Duration, Instant};

use govern_sources::{Cause, Error, Pace, Settings};

use crate::server::{Answer, Server, Then};
use crate::setup::{
    Home, bytes, download, fetch, fetch_watched, first, module, nowhere, pace, page, sha256, tarball, watch,
};

#[tokio::test]
async fn an_answer_of_the_wrong_length_is_refused() {
    let archive = bytes(50_000, 1);
    type Wrong = fn(&[u8]) -> Answer;
    let long: [(&str, Wrong); 3] = [
        ("said", |all| Answer::ok([all, b"x"].concat())),
        ("unsaid", |all| Answer::ok([all, b"x"].concat()).with("content-length", "-")),
        ("huge", |all| Answer::ok(all).with("content-length", "99999999999")),
    ];
    for (what, wrong) in long {
        let server = first(&archive, {
            let all = archive.clone();
            move |_, _, _| wrong(&all)
        })
        .await;
        let (done, home) = download(&server, &archive).await;
        let error = done.unwrap_err();
        assert!(matches!(error, Error::TooLong { limit: 50_000, .. }), "{what}: {error:?}");
        assert!(!error.is_unreachable(), "{what}");
        assert_eq!(home.downloads(), [""; 0], "{what}");
        assert_eq!(server.connections(), 1, "{what}");
    }
    // Shorter from the start: not the archive that was promised, and no use to try again.
    let server = first(&archive, |_, _, _| Answer::ok("not found, but politely")).await;
    let error = download(&server, &archive).await.0.unwrap_err();
    let expect = Cause::Length { promised: 50_000, offered: 23 };
    assert!(matches!(&error, Error::Unreachable { source, .. } if *source == expect), "{error:?}");
    assert_eq!(server.connections(), 1);
    // Shorter without a word: tried again, and then a network's failing with the part kept.
    let server =
        first(&archive, |n, _, good| good.with("content-length", "-").cut(if n == 0 { 49_999 } else { 0 })).await;
    let (done, home) = download(&server, &archive).await;
    let error = done.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source: Cause::Short { promised: 50_000, .. }, .. }), "{error:?}");
    let part = fs::read(home.layout.downloads().join("go1.24.1.linux-amd64.tar.gz.part")).unwrap();
    assert!(part == archive[..49_999]);
}

#[tokio::test]
async fn an_archive_of_unknown_length_has_a_cap() {
    let archive = bytes(50_000, 1);
    for header in ["-", "50000"] {
        let server = first(&archive, move |_, _, good| good.with("content-length", header)).await;
        let home = Home::new();
        let capped = Pace { longest_archive: 40_000, ..pace() };
        let sources = home.sources_at(Settings { goproxy: Some(server.url("")), ..nowhere() }, capped);
        let artifact = module(server.url("golang.org/toolchain/@v/v0.0.1-go1.24.1.linux-amd64.zip"));
        let error = fetch(&sources, &artifact).await.unwrap_err();
        assert!(matches!(error, Error::TooLong { limit: 40_000, .. }), "{error:?}");
        assert_eq!(home.downloads(), [""; 0]);
    }
}

#[tokio::test]
async fn a_web_page_where_an_archive_should_be_is_called_what_it_is() {
    let archive = bytes(50_000, 1);
    let portal = "<!doctype HTML><p>Welcome to the hotel";
    let answers = [
        Answer::ok(portal).with("content-type", "text/html; charset=utf-8"),
        Answer::ok(portal.repeat(2000)).with("content-length", "-"),
    ];
    for answer in answers {
        let server = first(&archive, move |_, _, _| answer.clone()).await;
        let (done, _) = download(&server, &archive).await;
        let error = done.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source: Cause::Html, .. }), "{error:?}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_after_the_time_it_wishes_for() {
    let archive = bytes(5_000, 1);
    for status in [429, 503] {
        let busy = move || Answer::new(status, "too many").with("retry-after", "1");
        let server = first(&archive, move |n, _, good| if n < 2 { busy() } else { good }).await;
        let home = Home::new();
        let obedient = Pace { longest_wish: Duration::from_millis(30), ..pace() };
        let sources = home.sources_at(page([server.url("dl/")]), obedient);
        let (events, watch) = watch();
        let start = Instant::now();
        assert_eq!(
            fetch_watched(&sources, &tarball(server.url("dl/x"), &archive), watch).await.unwrap().0,
            sha256(&archive)
        );
        assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
        assert!(
            events.troubles()[0].ends_with(&format!("it answers HTTP {status}: too many")),
            "{:?}",
            events.troubles()
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_absent_and_what_is_forbidden_is_not_tried_again() {
    let archive = bytes(5_000, 1);
    for (status, absent) in [(404, true), (410, true), (401, false), (403, false)] {
        let server = first(&archive, move |_, _, _| Answer::new(status, "no")).await;
        let error = download(&server, &archive).await.0.unwrap_err();
        assert_eq!((error.is_absent(), error.is_unreachable()), (absent, !absent), "{error:?}");
        assert_eq!(server.connections(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(|_| Answer::ok("x").with("content-length", "-").cut(0).then(Then::Stall)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = format!("http://{}/dl/", listener.local_addr().unwrap());
    // Long enough for a busy machine to accept a connection, which is what is counted.
    let quick = Pace { silence: Duration::from_millis(300), ..pace() };
    for base in [server.url("dl/"), mute] {
        let home = Home::new();
        let sources = home.sources_at(page([base.clone()]), quick);
        let error = fetch(&sources, &tarball(format!("{base}x"), b"archive")).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source: Cause::Silence(_), .. }), "{error:?}");
        assert!(error.is_unreachable());
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn five_tries_without_progress_are_the_end_and_the_part_is_kept() {
    let archive = bytes(50_000, 1);
    let server = first(&archive, |n, _, good| good.cut(if n == 0 { 20_000 } else { 0 })).await;
    let (done, home) = download(&server, &archive).await;
    let error = done.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source: Cause::Broken(_), .. }), "{error:?}");
    assert_eq!(server.connections(), 5);
    let part = home.layout.downloads().join("go1.24.1.linux-amd64.tar.gz.part");
    assert!(fs::read(&part).unwrap() == archive[..20_000]);

    // The next process goes on from there.
    let good = first(&archive, |_, _, good| good).await;
    let sources = home.sources(page([good.url("dl/")]));
    // Another base: its file may be another one, so it is compared, not joined.
    assert_eq!(fetch(&sources, &tarball(good.url("dl/x"), &archive)).await.unwrap().0, sha256(&archive));
    assert_eq!(good.seen()[0].range_start(), None);
}

#[tokio::test]
async fn an_artifact_of_no_source_is_not_fetched() {
    let server = Server::start(|_| Answer::ok("x")).await;
    let sources = Home::new().sources(page(["http://127.0.0.1:1/dl/".to_owned()]));
    let error = fetch(&sources, &tarball(server.url("dl/x"), b"x")).await.unwrap_err();
    assert!(matches!(error, Error::NoSource), "{error:?}");
    assert_eq!(server.connections(), 0);
}
