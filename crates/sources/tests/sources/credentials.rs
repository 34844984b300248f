//! User names and passwords: where they are sent, where never, and that no message shows them.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use govern_sources::{Cause, Error, Freshness, Settings};

use crate::server::{Answer, Server};
use crate::setup::{Home, at, bytes, chain, entry, fetch, linux, list, nowhere, page, sha256, tarball, version};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn lists() -> Server {
    Server::start(|_| Answer::ok(list(&[entry("1.24.1", b"archive")]))).await
}

async fn ask(settings: Settings) -> Result<(), Error> {
    Home::new().sources(settings).releases(&linux(), at(0), Freshness::Now).await.map(drop)
}

fn authorizations(server: &Server) -> Vec<Option<String>> {
    server.seen().iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_user_name_and_password_in_a_url_are_sent_there_and_shown_nowhere() {
    let server = lists().await;
    let base = format!("http://ana:s%40cret@127.0.0.1:{}/dl/", server.port);
    let home = Home::new();
    let sources = home.sources(page([base]));
    let releases = sources.releases(&linux(), at(0), Freshness::Now).await.unwrap();
    assert_eq!(releases.source, server.url("dl/"));
    assert_eq!(sources.list()[0].name(), server.url("dl/"));
    let artifact = sources.artifact(&sources.list()[0], &version("1.24.1"), &linux()).await.unwrap();
    assert_eq!(artifact.url, server.url("dl/go1.24.1.linux-amd64.tar.gz"));
    let _ = fetch(&sources, &artifact).await;
    assert_eq!(authorizations(&server), [Some(basic("ana", "s@cret")), Some(basic("ana", "s@cret"))]);
    for entry in
        fs::read_dir(home.layout.release_cache()).unwrap().chain(fs::read_dir(home.layout.downloads()).unwrap())
    {
        let text = String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned();
        assert!(!text.contains("cret") && !text.contains("ana"), "{text}");
    }
}

#[tokio::test]
async fn a_password_is_never_sent_over_plain_http_to_another_machine() {
    // No address of this name is ever looked up: the refusal comes first.
    let error = ask(page(["http://ana:s3cret@mirror.invalid/dl/".to_owned()])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source: Cause::Exposed, .. }), "{error:?}");
    assert!(!chain(&error).contains("s3cret") && !format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn netrc_is_sent_to_its_machine_and_to_no_other() {
    let (server, other) = (lists().await, lists().await);
    let home = Home::new();
    let netrc = home.dir.path().join("netrc");
    fs::write(&netrc, "machine 127.0.0.1 login ana password s3cret\nmachine other.example login bob password x\n")
        .unwrap();
    let with = |base: String| Settings { netrc: Some(netrc.clone()), ..page([base]) };
    ask(with(server.url("dl/"))).await.unwrap();
    assert_eq!(authorizations(&server), [Some(basic("ana", "s3cret"))]);
    // Another name of the same machine is another machine.
    ask(with(format!("http://localhost:{}/dl/", other.port))).await.unwrap();
    assert_eq!(authorizations(&other), [None]);
    // What stands in the URL counts first.
    ask(with(format!("http://eve:own@127.0.0.1:{}/dl/", other.port))).await.unwrap();
    assert_eq!(authorizations(&other)[1], Some(basic("eve", "own")));
}

#[tokio::test]
async fn the_netrc_file_of_the_home_is_read_when_no_other_is_named() {
    let server = lists().await;
    let home = Home::new();
    let with = Settings { home: Some(home.dir.path().to_owned()), ..page([server.url("dl/")]) };
    ask(with.clone()).await.unwrap();
    fs::write(home.dir.path().join(".netrc"), "machine 127.0.0.1 login ana password s3cret").unwrap();
    ask(with.clone()).await.unwrap();
    ask(Settings { netrc: Some(home.dir.path().join("none")), ..with }).await.unwrap();
    assert_eq!(authorizations(&server), [None, Some(basic("ana", "s3cret")), None]);
}

#[tokio::test]
async fn a_redirect_to_another_place_takes_no_password_along() {
    let landing = lists().await;
    let on_port = landing.url("x");
    let by_name = format!("http://eve:planted@localhost:{}/x", landing.port);
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request| match request.target.as_str() {
        "/here/" => Answer::ok(list(&[entry("1.24.1", b"archive")])),
        _ => Answer::redirect(match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => on_port.clone(),
            1 => by_name.clone(),
            _ => "/here/".to_owned(),
        }),
    })
    .await;
    let base = format!("http://ana:s3cret@127.0.0.1:{}/dl/", server.port);
    for _ in 0..3 {
        ask(page([base.clone()])).await.unwrap();
    }
    assert_eq!(authorizations(&landing), [None, None]);
    // On the same host and port it stays.
    assert_eq!(authorizations(&server), vec![Some(basic("ana", "s3cret")); 4]);
}

#[tokio::test]
async fn redirects_lead_to_the_archive_and_ranges_go_along() {
    let archive = bytes(50_000, 1);
    let count = std::sync::atomic::AtomicUsize::new(0);
    let storage = Server::start({
        let archive = archive.clone();
        move |request| {
            let good = crate::server::file(request, &archive, "\"one\"");
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 { good.cut(20_000) } else { good }
        }
    })
    .await;
    let signed = storage.url("go/x.tar.gz?signature=s3cret");
    let server = Server::start(move |_| Answer::redirect(signed.clone())).await;
    let home = Home::new();
    let sources = home.sources(page([server.url("dl/")]));
    assert_eq!(fetch(&sources, &tarball(server.url("dl/x.tar.gz"), &archive)).await.unwrap().0, sha256(&archive));
    assert_eq!(storage.seen()[1].range_start(), Some(20_000));
    assert_eq!((server.connections(), storage.body_bytes()), (2, 50_000));
}

#[tokio::test]
async fn a_redirect_to_anything_but_the_web_and_a_loop_are_not_followed() {
    for (to, expect) in [
        ("file:///etc/passwd", "it leads from http to file"),
        ("ftp://x.example/", "it leads from http to ftp"),
        ("/dl/again", "there are more than 10 in a row"),
        ("http://[nonsense", "it names no place"),
    ] {
        let server = Server::start(move |_| Answer::redirect(to)).await;
        let text = chain(&ask(page([server.url("dl/")])).await.unwrap_err());
        assert!(text.contains("its redirect is not followed: ") && text.ends_with(expect), "{text}");
    }
    let server = Server::start(|_| Answer::new(302, "")).await;
    let text = chain(&ask(page([server.url("dl/")])).await.unwrap_err());
    assert!(text.ends_with("it names no place"), "{text}");
}

#[tokio::test]
async fn ten_redirects_are_followed() {
    let server = Server::start(|request| {
        let hop: usize = request.target.trim_start_matches("/dl/").split('?').next().unwrap().parse().unwrap_or(0);
        if hop == 10 {
            Answer::ok(list(&[entry("1.24.1", b"a")]))
        } else {
            Answer::redirect(format!("/dl/{}", hop + 1))
        }
    })
    .await;
    ask(page([server.url("dl/")])).await.unwrap();
    assert_eq!(server.connections(), 11);
}

#[tokio::test]
async fn requests_leave_through_the_proxy_of_the_settings_alone() {
    let proxy = lists().await;
    let address = format!("http://ana:s3cret@127.0.0.1:{}", proxy.port);
    let through = |url: &str, no: Option<&str>| Settings {
        http_proxy: Some(address.clone()),
        no_proxy: no.map(str::to_owned),
        ..page([url.to_owned()])
    };
    ask(through("http://mirror.invalid/dl/", None)).await.unwrap();
    assert_eq!(proxy.targets(), ["http://mirror.invalid/dl/?mode=json&include=all"]);
    assert_eq!(proxy.seen()[0].header("proxy-authorization"), Some(basic("ana", "s3cret").as_str()));
    // Around the proxy there is no such name.
    let error = ask(through("http://mirror.invalid/dl/", Some(".invalid"))).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source: Cause::Name { .. }, .. }), "{error:?}");
    // This machine is never asked for through a proxy.
    ask(through(&proxy.url("dl/"), None)).await.unwrap();
    assert_eq!(proxy.targets()[1], "/dl/?mode=json&include=all");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let proxy = Server::start(|_| Answer::new(407, "who are you")).await;
    let address = Some(format!("http://ana:s3cret@127.0.0.1:{}", proxy.port));
    for base in ["http://mirror.invalid/", "https://mirror.invalid/"] {
        let (http_proxy, https_proxy) = (address.clone(), address.clone());
        let text = chain(&ask(Settings { http_proxy, https_proxy, ..page([base.to_owned()]) }).await.unwrap_err());
        let expect = format!("the proxy {} refuses: it wants a user name and password", proxy.url(""));
        assert!(text.ends_with(&expect), "{text}");
    }
    let dead = Some("http://ana:s3cret@127.0.0.1:1".to_owned());
    for (base, settings) in [
        ("http://mirror.invalid/", Settings { http_proxy: dead.clone(), ..nowhere() }),
        ("https://mirror.invalid/", Settings { https_proxy: dead.clone(), ..nowhere() }),
        (
            "http://mirror.invalid/",
            Settings { http_proxy: Some("socks5://ana:s3cret@127.0.0.1:1".to_owned()), ..nowhere() },
        ),
    ] {
        let error = ask(Settings { dl_urls: vec![base.to_owned()], ..settings }).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("127.0.0.1:1") && text.contains("proxy") && !text.contains("s3cret"), "{text}");
    }
}
