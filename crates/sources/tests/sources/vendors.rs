//! Other vendors' bases: they have builds with a suffix and nothing else, and nobody else has those.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use govern_core::problem::Code;
use govern_core::proof::{Log as Word, LogRequired};
use govern_core::settings::Vendor;
use govern_sources::{Error, Freshness, Settings, Sources};

use crate::log::{self, Log};
use crate::server::{Answer, Server};
use crate::setup::{Home, at, chain, entry, fetch, linux, list, nowhere, page, sha256, version};

/// A server of the go.dev shape with these releases, all with the same bytes.
async fn shaped(releases: &[&str], archive: &'static str) -> Server {
    let list = list(&releases.iter().map(|release| entry(release, archive.as_bytes())).collect::<Vec<_>>());
    Server::start(move |request| Answer::ok(if request.target.contains("mode=json") { &list } else { archive })).await
}

fn with_vendors(vendors: &[(&str, &Server)], settings: Settings) -> Settings {
    let vendor = |(name, server): &(&str, &Server)| Vendor::new(name, &server.url("dl/")).unwrap();
    Settings { vendors: vendors.iter().map(vendor).collect(), ..settings }
}

fn names(sources: &Sources, wanted: &str) -> Vec<String> {
    sources.list_for(&version(wanted)).iter().map(|source| source.vendor().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn builds_with_a_suffix_are_the_vendors_and_all_others_are_not() {
    let (page_server, one, two) = (
        shaped(&["1.22.4", "1.22.4-one"], "go").await,
        shaped(&["1.22.4-one"], "1").await,
        shaped(&["1.22.4-two"], "2").await,
    );
    let settings = with_vendors(&[("one", &one), ("two", &two)], page([page_server.url("dl/")]));
    let sources = Home::new().sources(settings);
    assert_eq!(names(&sources, "1.22.4"), ["-"]);
    assert_eq!(names(&sources, "1.22.4-one"), ["one", "two"]);
    assert_eq!(names(&sources, "1.22.4-other"), ["one", "two"]);
    let undeclared = Home::new().sources(page([page_server.url("dl/")]));
    assert_eq!(names(&undeclared, "1.22.4-one"), ["-"]);

    let releases = sources.releases(&linux(), at(0), Freshness::Now).await.unwrap();
    assert_eq!(releases.source, page_server.url("dl/"), "no vendor's list is that of the Go project");
    let of_vendors = sources.vendor_releases(at(0), Freshness::Now).await;
    let of_vendors: Vec<(String, String)> = of_vendors
        .into_iter()
        .map(|(vendor, list)| (vendor, list.unwrap().all.iter().map(|release| release.version.to_string()).collect()))
        .collect();
    assert_eq!(of_vendors, [("one".into(), "1.22.4-one".into()), ("two".into(), "1.22.4-two".into())]);
}

#[tokio::test]
async fn a_vendor_cannot_have_what_the_go_project_publishes() {
    let evil = shaped(&["1.22.4", "1.99.0", "1.22.4-evil"], "evil").await;
    let sources = Home::new().sources(with_vendors(&[("evil", &evil)], nowhere()));
    let source = &sources.list_for(&version("1.22.4-evil"))[0];
    for plain in ["1.22.4", "1.99.0"] {
        assert_eq!(sources.list_for(&version(plain)).len(), 0);
        let error = sources.artifact(source, &version(plain), &linux()).await.unwrap_err();
        assert!(matches!(&error, Error::NoVersion { nearest, .. } if *nearest == [version("1.22.4-evil")]), "{error}");
    }
    let plain = shaped(&["1.22.4"], "evil").await;
    let sources = Home::new().sources(with_vendors(&[("plain", &plain)], nowhere()));
    let source = &sources.list_for(&version("1.22.4-x"))[0];
    let error = sources.artifact(source, &version("1.22.4"), &linux()).await.unwrap_err().to_string();
    assert!(error.ends_with("it names no build with a suffix of its own, such as go1.22.4-bigcorp"), "{error}");
}

#[tokio::test]
async fn a_vendors_list_is_the_proof_and_the_log_hears_of_nothing() {
    let bigcorp = shaped(&["1.22.4-bigcorp"], "archive").await;
    let log = Log::of(&["v0.0.1-go1.22.4-bigcorp.linux-amd64"]);
    let log_server = Server::start(move |request| log.serve(request)).await;
    let with_log = Settings {
        gosumdb: Some(log::gosumdb(Some(log_server.url("").trim_end_matches('/')))),
        ..with_vendors(&[("bigcorp", &bigcorp)], nowhere())
    };
    let wanted = version("1.22.4-bigcorp");
    let home = Home::new();
    let sources = home.sources(with_log.clone());
    let source = sources.list_for(&wanted)[0].clone();
    assert_eq!(source.to_string(), format!("bigcorp ({})", bigcorp.url("dl/")));
    let artifact = sources.artifact(&source, &wanted, &linux()).await.unwrap();
    assert_eq!((artifact.expected.sha256, &artifact.expected.log), (Some(sha256(b"archive")), &Word::Silent));
    assert_eq!(artifact.url, bigcorp.url("dl/go1.22.4-bigcorp.linux-amd64.tar.gz"));
    assert_eq!(fetch(&sources, &artifact).await.unwrap().0, sha256(b"archive"));

    let sources = home.sources(Settings { log_required: LogRequired::Yes, ..with_log });
    let error = sources.artifact(&source, &wanted, &linux()).await.unwrap_err();
    let expect = format!(
        "nothing would prove go1.22.4-bigcorp from {source}: `require_log` is set, and no log has records of vendors' builds"
    );
    assert_eq!((error.code(), error.to_string()), (Code::Integrity, expect));
    assert_eq!(log_server.connections(), 0, "the name of the build is nobody's business");

    let undigested = entry("1.22.4-bigcorp", b"archive").replace("sha256", "md5");
    let bare = Server::start(move |_| Answer::ok(list(std::slice::from_ref(&undigested)))).await;
    let sources = home.sources(with_vendors(&[("bare", &bare)], nowhere()));
    let error = sources.artifact(&sources.list_for(&wanted)[0], &wanted, &linux()).await.unwrap_err();
    assert_eq!(error.code(), Code::Integrity);
    assert!(error.to_string().ends_with("its list has no SHA-256 of it, and nothing else could prove it"), "{error}");
}

#[tokio::test]
async fn a_build_that_is_published_anew_is_taken_and_an_old_list_serves_while_nobody_answers() {
    let archive = Arc::new(Mutex::new("first"));
    let broken = Arc::new(AtomicUsize::new(0));
    let (served, fails) = (Arc::clone(&archive), Arc::clone(&broken));
    let server = Server::start(move |_| match fails.load(Ordering::SeqCst) {
        0 => Answer::ok(list(&[entry("1.22.4-bigcorp", served.lock().unwrap().as_bytes())])),
        _ => Answer::new(403, "go away"),
    })
    .await;
    let home = Home::new();
    let settings = with_vendors(&[("bigcorp", &server)], nowhere());
    let wanted = version("1.22.4-bigcorp");
    let digest = async || {
        let sources = home.sources(settings.clone());
        let artifact = sources.artifact(&sources.list_for(&wanted)[0], &wanted, &linux()).await;
        artifact.map(|artifact| artifact.expected.sha256.unwrap())
    };
    assert_eq!(digest().await.unwrap(), sha256(b"first"));
    *archive.lock().unwrap() = "second";
    assert_eq!(digest().await.unwrap(), sha256(b"second"), "the digest of the list as it is now");
    broken.store(1, Ordering::SeqCst);
    assert_eq!(digest().await.unwrap(), sha256(b"second"));
    let lists = home.sources(settings.clone()).vendor_releases(at(0), Freshness::Now).await;
    assert!(lists[0].1.as_ref().unwrap().stale);
    std::fs::remove_dir_all(home.layout.release_cache()).unwrap();
    let text = chain(&digest().await.unwrap_err());
    assert!(text.contains(&server.url("dl/")) && text.contains("HTTP 403"), "{text}");
}
