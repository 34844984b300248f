//! Lists of releases: who is asked, what is remembered, what happens when nobody answers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use govern_core::platform::Platform;
use govern_core::problem::Code;
use govern_sources::{Cause, Error, Freshness, Pace, Releases, Settings, known_releases};

use crate::server::{Answer, Server, Then};
use crate::setup::{Home, at, chain, entry, linux, list, nowhere, pace, page};

const MODULE_LIST: &str = "/golang.org/toolchain/@v/list";

fn versions(releases: &Releases) -> Vec<String> {
    releases.all.iter().map(|release| release.version.to_string()).collect()
}

fn two() -> String {
    list(&[entry("1.23.0", b"a"), entry("1.24.1", b"b")])
}

async fn page_server() -> Server {
    Server::start(|request| match request.header("if-none-match") {
        Some("\"one\"") => Answer::new(304, ""),
        _ => Answer::ok(two()).with("etag", "\"one\""),
    })
    .await
}

#[tokio::test]
async fn the_list_of_a_download_page_comes_newest_first() {
    let server = page_server().await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl")]));
    let releases = sources.releases(&linux(), at(0), Freshness::Recent).await.unwrap();
    assert_eq!(versions(&releases), ["1.24.1", "1.23.0"]);
    assert_eq!((releases.source, releases.fetched_at, releases.stale), (server.url("dl/"), at(0), false));
    assert!(releases.all[0].is_for(&linux()));
    assert!(!releases.all[0].is_for(&Platform { os: "plan9".to_owned(), arch: "arm".to_owned() }));
    assert_eq!(server.targets(), ["/dl/?mode=json&include=all"]);
}

#[tokio::test]
async fn a_recent_list_is_not_fetched_again_not_even_by_another_process() {
    let server = page_server().await;
    let home = Home::new();
    for seconds in [0, 10, 3600] {
        let sources = home.sources(page([server.url("dl/")]));
        let releases = sources.releases(&linux(), at(seconds), Freshness::Recent).await.unwrap();
        assert_eq!((releases.fetched_at, releases.stale), (at(0), false));
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(known_releases(&home.layout).len(), 2);
}

#[tokio::test]
async fn an_old_list_is_asked_for_with_its_etag_and_is_recent_again_when_it_is_unchanged() {
    let server = page_server().await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    sources.releases(&linux(), at(0), Freshness::Recent).await.unwrap();
    let again = sources.releases(&linux(), at(4000), Freshness::Recent).await.unwrap();
    assert_eq!((versions(&again).len(), again.fetched_at), (2, at(4000)));
    sources.releases(&linux(), at(4001), Freshness::Now).await.unwrap();
    let asked: Vec<_> =
        server.seen().iter().map(|request| request.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("\"one\"".to_owned()), Some("\"one\"".to_owned())]);
}

#[tokio::test]
async fn many_askers_at_once_make_one_request() {
    let server = page_server().await;
    let home = Home::new();
    let sources = Arc::new(home.sources(page([server.url("dl/")])));
    let asked = (0..20).map(|_| {
        let sources = Arc::clone(&sources);
        tokio::spawn(async move { sources.releases(&linux(), at(0), Freshness::Recent).await.unwrap() })
    });
    for task in asked.collect::<Vec<_>>() {
        assert_eq!(versions(&task.await.unwrap()).len(), 2);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn when_one_source_does_not_answer_the_next_is_asked() {
    let broken = Server::start(|_| Answer::new(500, "out of order")).await;
    let good = page_server().await;
    let modules = Server::start(|_| Answer::ok("v0.0.1-go1.22.4.linux-amd64\n")).await;
    let home = Home::new();
    let releases = async |settings| home.sources(settings).releases(&linux(), at(0), Freshness::Now).await.unwrap();

    let answer = releases(page([broken.url("dl/"), good.url("dl/")])).await;
    assert_eq!(answer.source, good.url("dl/"));

    let settings = Settings { goproxy: Some(modules.url("")), ..page([broken.url("dl/")]) };
    let answer = releases(settings).await;
    assert_eq!(
        (versions(&answer), answer.source),
        (vec!["1.22.4".to_owned()], format!("GOPROXY={}", modules.url("").trim_end_matches('/')))
    );
    assert_eq!(modules.targets(), [MODULE_LIST]);
    // A server's hiccup is tried again before the next source is.
    assert_eq!(broken.connections(), 6);
}

#[tokio::test]
async fn a_list_that_has_nothing_for_this_platform_is_no_answer_while_another_source_has() {
    let server = page_server().await;
    let modules = Server::start(|_| Answer::ok("v0.0.1-go1.22.4.plan9-arm\n")).await;
    let home = Home::new();
    let plan9 = Platform { os: "plan9".to_owned(), arch: "arm".to_owned() };
    let settings = Settings { goproxy: Some(modules.url("")), ..page([server.url("dl/")]) };
    let releases = home.sources(settings).releases(&plan9, at(0), Freshness::Recent).await.unwrap();
    assert_eq!(versions(&releases), ["1.22.4"]);
    let releases = Home::new().sources(page([server.url("dl/")])).releases(&plan9, at(0), Freshness::Recent).await;
    assert_eq!(versions(&releases.unwrap()), ["1.24.1", "1.23.0"]);
}

#[tokio::test]
async fn an_old_list_is_used_when_nobody_answers_and_is_said_to_be_old() {
    let answers = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&answers);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::ok(two()),
        _ => Answer::new(403, "go away"),
    })
    .await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    sources.releases(&linux(), at(0), Freshness::Recent).await.unwrap();
    let releases = sources.releases(&linux(), at(9000), Freshness::Recent).await.unwrap();
    assert_eq!((versions(&releases).len(), releases.fetched_at, releases.stale), (2, at(0), true));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn of_several_old_lists_the_newest_is_used() {
    let (page_server, modules) =
        (page_server().await, Server::start(|_| Answer::ok("v0.0.1-go1.22.4.linux-amd64\n")).await);
    let home = Home::new();
    let of_page = page([page_server.url("dl/")]);
    let both = Settings { goproxy: Some(modules.url("")), ..of_page.clone() };
    let of_modules = Settings { dl_urls: Vec::new(), ..both.clone() };
    home.sources(of_page).releases(&linux(), at(0), Freshness::Now).await.unwrap();
    home.sources(of_modules).releases(&linux(), at(50), Freshness::Now).await.unwrap();
    let offline = home.sources(Settings { offline: true, ..both });
    let releases = offline.releases(&linux(), at(9000), Freshness::Recent).await.unwrap();
    assert_eq!((versions(&releases), releases.fetched_at, releases.stale), (vec!["1.22.4".to_owned()], at(50), true));
    // While one is recent, it is used, whoever it came from.
    let releases = offline.releases(&linux(), at(3620), Freshness::Recent).await.unwrap();
    assert_eq!((versions(&releases), releases.stale), (vec!["1.22.4".to_owned()], false));
}

#[tokio::test]
async fn a_list_that_drips_is_given_up() {
    let server = Server::start(|_| Answer::ok(two()).cut(10).then(Then::Stall)).await;
    let home = Home::new();
    let quick = Pace { small: Duration::from_millis(100), small_tries: 1, ..pace() };
    let sources = home.sources_at(page([server.url("dl/")]), quick);
    let text = chain(&sources.releases(&linux(), at(0), Freshness::Now).await.unwrap_err());
    assert!(text.ends_with("it did not answer within 0.1 s"), "{text}");
}

#[tokio::test]
async fn a_busy_source_is_left_for_the_next_when_it_wishes_for_a_long_pause() {
    let busy = Server::start(|_| Answer::new(503, "").with("retry-after", "3600")).await;
    let good = page_server().await;
    let home = Home::new();
    let sources =
        home.sources_at(page([busy.url("dl/"), good.url("dl/")]), Pace { longest_wish: Duration::MAX, ..pace() });
    let releases = sources.releases(&linux(), at(0), Freshness::Now).await.unwrap();
    assert_eq!((releases.source, busy.connections()), (good.url("dl/"), 1));
}

#[tokio::test]
async fn offline_the_cache_answers_and_no_connection_is_made() {
    let server = page_server().await;
    let home = Home::new();
    let online = Settings { goproxy: Some(server.url("")), ..page([server.url("dl/")]) };
    let offline = Settings { offline: true, ..online.clone() };

    let error = home.sources(offline.clone()).releases(&linux(), at(0), Freshness::Now).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string()),
        (Code::Policy, format!("{} is out of bounds: govern is offline", server.url("dl/")))
    );
    assert_eq!(server.connections(), 0);

    home.sources(online).releases(&linux(), at(0), Freshness::Now).await.unwrap();
    let releases = home.sources(offline).releases(&linux(), at(99_999), Freshness::Now).await.unwrap();
    assert_eq!((versions(&releases).len(), releases.stale), (2, true));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_page_where_a_list_should_be_is_called_what_it_is() {
    for body in ["<!DOCTYPE html><title>Log in</title>", "\n <HTML>"] {
        let server = Server::start(move |_| Answer::ok(body)).await;
        let home = Home::new();
        let error =
            home.sources(page([server.url("dl/")])).releases(&linux(), at(0), Freshness::Now).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source: Cause::Html, .. }), "{error:?}");
        assert!(chain(&error).contains("captive portal"), "{}", chain(&error));
        assert!(error.is_unreachable());
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_list_that_is_none_too_long_or_cut_off_is_refused_with_its_source_and_reason() {
    let endless = "[".to_owned() + &" ".repeat(8 << 20);
    let cases = [
        (Answer::ok("{}"), "is no list of Go releases: invalid type: map"),
        (Answer::ok("[]"), "is no list of Go releases: it names no release"),
        (Answer::ok(endless), "its answer has more than 8388608 bytes"),
        (Answer::ok(two()).cut(100), "the connection broke: "),
        (Answer::new(418, "short\nand stout"), "it answers HTTP 418: short"),
        (Answer::new(418, "<b>").with("content-type", "text/html"), "it answers HTTP 418"),
        (Answer::new(404, ""), "does not exist (HTTP 404)"),
        (Answer::new(304, ""), "it answers HTTP 304"),
        (Answer::ok("x").with("content-length", "nonsense"), "the connection broke: "),
    ];
    for (answer, expect) in cases {
        let server = Server::start(move |_| answer.clone()).await;
        let home = Home::new();
        let error =
            home.sources(page([server.url("dl/")])).releases(&linux(), at(0), Freshness::Now).await.unwrap_err();
        let text = chain(&error);
        assert!(text.starts_with(&server.url("dl/")) && text.contains(expect), "{expect}: {text}");
        assert_eq!(error.code(), Code::Network);
        assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 0, "{expect}");
    }
}

#[tokio::test]
async fn goproxy_falls_over_as_go_does() {
    let good = Server::start(|_| Answer::ok("v0.0.1-go1.22.4.linux-amd64\n")).await;
    let absent = Server::start(|_| Answer::new(404, "no such module")).await;
    let gone = Server::start(|_| Answer::new(410, "")).await;
    let broken = Server::start(|_| Answer::new(500, "out of order")).await;
    let ask = async |goproxy: String| {
        let settings = Settings { goproxy: Some(goproxy), ..nowhere() };
        Home::new()
            .sources(settings)
            .releases(&linux(), at(0), Freshness::Now)
            .await
            .map(|releases| versions(&releases))
    };
    let url = |server: &Server| server.url("").trim_end_matches('/').to_owned();
    let (good, absent, gone, broken) = (url(&good), url(&absent), url(&gone), url(&broken));

    for list in [
        format!("{absent},{good}"),
        format!("{gone},{absent},{good}"),
        format!("{absent}|{good}"),
        format!("{broken}|{good}"),
        format!(" ,{good},{broken}"),
        format!("http://127.0.0.1:1|{good}"),
    ] {
        assert_eq!(ask(list.clone()).await.unwrap(), ["1.22.4"], "{list}");
    }
    for (list, expect) in [
        (format!("{broken},{good}"), "out of order"),
        (format!("http://127.0.0.1:1,{good}"), "no connection to 127.0.0.1:1"),
        (format!("{broken}|{absent}"), "out of order"),
        (format!("{absent},off,{good}"), "does not exist (HTTP 404)"),
        (format!("off,{good}"), "there is no source to ask"),
    ] {
        let text = chain(&ask(list.clone()).await.unwrap_err());
        assert!(text.contains(expect), "{list}: {text}");
    }
}

#[tokio::test]
async fn directories_serve_lists_even_offline() {
    let home = Home::new();
    let dir = home.dir.path().join("srv");
    fs::create_dir_all(dir.join("golang.org/toolchain/@v")).unwrap();
    fs::write(dir.join("index.json"), two()).unwrap();
    fs::write(dir.join("golang.org/toolchain/@v/list"), "v0.0.1-go1.22.4.linux-amd64\n").unwrap();
    let url = format!("file://{}", dir.display());

    let of_page = Settings { offline: true, ..page([url.clone()]) };
    let releases = home.sources(of_page).releases(&linux(), at(0), Freshness::Now).await.unwrap();
    assert_eq!(versions(&releases), ["1.24.1", "1.23.0"]);
    let of_proxy = Settings { offline: true, goproxy: Some(url), ..nowhere() };
    let releases = home.sources(of_proxy).releases(&linux(), at(0), Freshness::Now).await.unwrap();
    assert_eq!(versions(&releases), ["1.22.4"]);

    let missing = page([format!("file://{}/none", dir.display())]);
    let error = home.sources(missing).releases(&linux(), at(0), Freshness::Now).await.unwrap_err();
    assert!(error.is_absent(), "{error}");
}

#[tokio::test]
async fn a_host_that_could_not_be_reached_is_not_called_again_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    let base = format!("http://127.0.0.1:{port}/");
    let sources = home.sources_at(page([base]), Pace { grudge: Duration::from_secs(600), ..pace() });
    let first = chain(&sources.releases(&linux(), at(0), Freshness::Now).await.unwrap_err());
    let expect = format!("no connection to 127.0.0.1:{port}: Connection refused");
    assert!(first.contains(&expect), "{first}");
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let second = chain(&sources.releases(&linux(), at(1), Freshness::Now).await.unwrap_err());
    assert_eq!(first, second);
    assert!(listener.accept().is_err());
}

#[tokio::test]
async fn settings_that_mean_nothing_are_named_and_not_quoted() {
    let layout = Home::new().layout;
    let check = |settings: Settings, variable: &str| {
        let error = govern_sources::Sources::new(settings, &layout).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{variable} is malformed: ")), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert_eq!(error.code(), Code::Failure);
    };
    let bad = || Some("ftp://ana:s3cret@x/".to_owned());
    check(page(["ftp://ana:s3cret@x/".to_owned()]), "GOVERN_DL_URL");
    check(Settings { goproxy: bad(), ..nowhere() }, "GOPROXY");
    check(Settings { https_proxy: bad(), ..nowhere() }, "HTTPS_PROXY");
    check(Settings { http_proxy: bad(), ..nowhere() }, "HTTP_PROXY");
    for value in ["on", "sum.golang.org ftp://ana:s3cret@x/", "sum.golang.org https://ana:s3cret@x/ y"] {
        check(Settings { gosumdb: Some(value.to_owned()), ..nowhere() }, "GOSUMDB");
    }
}
