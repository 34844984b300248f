//! What an archive must be: the list's digest, the log's word, and what happens when either is missing or wrong.

use std::fs;

use govern_core::platform::Platform;
use govern_core::problem::Code;
use govern_core::proof::{Artifact, Format, Log as Word, LogRequired};
use govern_sources::{Error, Freshness, Settings, Sources, sumdb};

use crate::log::{self, Log};
use crate::server::{Answer, Server};
use crate::setup::{Home, at, chain, entry, fetch, linux, list, nowhere, page, sha256, version};

const LOGGED: &str = "v0.0.1-go1.24.1.linux-amd64";

/// A download page with releases old and new.
async fn pages() -> Server {
    let entries = ["1.20.5", "1.24.1", "1.24.2", "1.24.1-bigcorp"].map(|version| entry(version, b"archive"));
    Server::start(
        move |request| {
            if request.target.contains("mode=json") { Answer::ok(list(&entries)) } else { Answer::ok("archive") }
        },
    )
    .await
}

async fn log_server() -> Server {
    let log = Log::of(&["v0.0.1-go1.23.0.linux-amd64", LOGGED, "v0.0.1-go1.20.5.linux-amd64"]);
    Server::start(move |request| log.serve(request)).await
}

fn with_log(settings: Settings, server: &Server) -> Settings {
    Settings { gosumdb: Some(log::gosumdb(Some(server.url("").trim_end_matches('/')))), ..settings }
}

async fn artifact(sources: &Sources, wanted: &str) -> Result<Artifact, Error> {
    sources.artifact(&sources.list()[0], &version(wanted), &linux()).await
}

#[tokio::test]
async fn an_archive_of_a_download_page_has_the_lists_digest_and_the_logs_record() {
    let (page_server, log) = (pages().await, log_server().await);
    let sources = Home::new().sources(with_log(page([page_server.url("dl/")]), &log));
    let artifact = artifact(&sources, "1.24.1").await.unwrap();
    assert_eq!(artifact.url, page_server.url("dl/go1.24.1.linux-amd64.tar.gz"));
    assert_eq!((artifact.format, artifact.size), (Format::TarGz, Some(7)));
    assert_eq!(artifact.expected.sha256, Some(sha256(b"archive")));
    let Word::Record(record) = artifact.expected.log else { panic!("{artifact:?}") };
    assert_eq!((record.id, record.tree_size, record.h1), (1, 3, log::h1(LOGGED)));
}

#[tokio::test]
async fn a_log_that_knows_nothing_or_is_not_to_be_asked_leaves_the_digest() {
    let (page_server, log) = (pages().await, log_server().await);
    let base = page([page_server.url("dl/")]);
    let word = async |settings: Settings, wanted: &str| {
        let sources = Home::new().sources(settings);
        artifact(&sources, wanted).await.unwrap().expected.log
    };
    assert_eq!(word(with_log(base.clone(), &log), "1.24.2").await, Word::Silent);
    assert_eq!(word(with_log(base.clone(), &log), "1.24.1-bigcorp").await, Word::Silent);
    let asked = log.connections();
    // The log has a record of this one, over other files than its tarball has.
    assert_eq!(word(with_log(base.clone(), &log), "1.20.5").await, Word::Silent);
    assert_eq!(word(base.clone(), "1.24.1").await, Word::OutOfReach("GOSUMDB=off".to_owned()));
    for private in [Some("golang.org/*".to_owned()), Some("golang.org".to_owned())] {
        let unwanted = Settings { gonosumdb: private.clone(), ..with_log(base.clone(), &log) };
        let expect = Word::OutOfReach("GONOSUMDB covers golang.org/toolchain".to_owned());
        assert_eq!(word(unwanted, "1.24.1").await, expect);
        let unwanted = Settings { goprivate: private, ..with_log(base.clone(), &log) };
        assert_eq!(word(unwanted, "1.24.1").await, expect);
    }
    assert_eq!(log.connections(), asked);
}

#[tokio::test]
async fn a_log_out_of_reach_leaves_the_digest_unless_the_log_is_a_must() {
    let page_server = pages().await;
    let broken = Server::start(|_| Answer::new(500, "out of order")).await;
    let base = with_log(page([page_server.url("dl/")]), &broken);
    let taken = artifact(&Home::new().sources(base.clone()), "1.24.1").await.unwrap();
    let Word::OutOfReach(reason) = taken.expected.log else { panic!("{taken:?}") };
    assert!(reason.contains("out of order"), "{reason}");

    let strict = Settings { log_required: LogRequired::Yes, ..base };
    let error = artifact(&Home::new().sources(strict), "1.24.1").await.unwrap_err();
    assert!(matches!(error, Error::LogOutOfReach { .. }) && error.is_unreachable(), "{error:?}");
    assert_eq!(error.code(), Code::Network);
    assert!(chain(&error).contains("out of order"), "{}", chain(&error));
}

#[tokio::test]
async fn what_nothing_would_prove_is_refused_before_it_is_fetched() {
    let (log, bare) = (log_server().await, entry("1.24.2", b"archive").replace(&sha256(b"archive").to_string(), ""));
    let server = Server::start(move |_| Answer::ok(list(&[bare.clone(), entry("1.20.5", b"archive")]))).await;
    let check = async |settings: Settings, wanted: &str, expect: &str| {
        let error = artifact(&Home::new().sources(settings), wanted).await.unwrap_err();
        assert!(matches!(error, Error::Unproven { .. }), "{error:?}");
        assert!(error.to_string().ends_with(expect), "{error}");
        assert!(!error.is_unreachable() && !error.is_absent());
        assert_eq!(error.code(), Code::Integrity);
    };
    let base = page([server.url("dl/")]);
    let no_digest = "the release list has no digest of it, and the checksum database no record";
    check(with_log(base.clone(), &log), "1.24.2", no_digest).await;
    check(base.clone(), "1.24.2", no_digest).await;
    let strict = Settings { log_required: LogRequired::Yes, ..base };
    check(strict.clone(), "1.24.2", "GOSUMDB=off").await;
    check(with_log(strict, &log), "1.20.5", "the checksum database has no record of it").await;
    assert!(server.targets().iter().all(|target| target.contains("mode=json")));
}

#[tokio::test]
async fn a_log_that_cannot_be_believed_stops_everything() {
    let page_server = pages().await;
    let log = Log::of(&[LOGGED]);
    let liar = Server::start(move |request| log.forged(request)).await;
    let proxy = Server::start(|_| Answer::ok("")).await;
    let settings = Settings { goproxy: Some(proxy.url("")), ..with_log(page([page_server.url("dl/")]), &liar) };
    let sources = Home::new().sources(settings);
    for source in sources.list() {
        let error = sources.artifact(source, &version("1.24.1"), &linux()).await.unwrap_err();
        let Error::Log { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, sumdb::Error::Security { .. }), "{source:?}");
        assert!(!error.is_unreachable() && !error.is_absent());
        assert_eq!(error.code(), Code::Integrity);
    }
    assert_eq!(sources.list().len(), 2);
}

#[tokio::test]
async fn a_module_proxys_archive_has_the_logs_record_and_no_other_proof() {
    let (proxy, log) = (Server::start(|_| Answer::new(404, "")).await, log_server().await);
    let settings = Settings { goproxy: Some(format!("{},direct", proxy.url("x"))), ..with_log(nowhere(), &log) };
    let sources = Home::new().sources(settings);
    let artifact = artifact(&sources, "1.24.1").await.unwrap();
    assert_eq!(artifact.url, proxy.url(&format!("x/golang.org/toolchain/@v/{LOGGED}.zip")));
    assert_eq!((artifact.format, artifact.size, artifact.expected.sha256), (Format::ModuleZip, None, None));
    assert!(matches!(&artifact.expected.log, Word::Record(record) if record.h1 == log::h1(LOGGED)));
}

#[tokio::test]
async fn without_the_checksum_database_a_module_proxy_is_refused() {
    let proxy = Server::start(|_| Answer::ok("v0.0.1-go1.24.1.linux-amd64\n")).await;
    let check = async |settings: Settings, expect: &str| {
        let error = artifact(&Home::new().sources(settings), "1.24.1").await.unwrap_err();
        assert!(matches!(error, Error::Unproven { .. }), "{error:?}");
        assert!(error.to_string().contains(expect), "{error}");
    };
    let off = Settings { goproxy: Some(proxy.url("")), ..nowhere() };
    check(off.clone(), "GOSUMDB=off, and a module proxy has no other proof").await;
    check(Settings { goproxy: Some("file:///nowhere,off".to_owned()), ..off.clone() }, "GOSUMDB=off").await;
    check(Settings { goproxy: Some("file:///nowhere|file:///x".to_owned()), ..off.clone() }, "GOSUMDB=off").await;
    assert_eq!(proxy.connections(), 0);

    // As in Go, GONOSUMDB and GOPRIVATE do not switch the check off.
    let log = log_server().await;
    let private = Settings { gonosumdb: Some("*".to_owned()), ..with_log(off.clone(), &log) };
    assert!(artifact(&Home::new().sources(private), "1.24.1").await.is_ok());
    let private = Settings { goprivate: Some("golang.org/*".to_owned()), ..with_log(off, &log) };
    let taken = artifact(&Home::new().sources(private), "1.24.1").await.unwrap();
    assert!(taken.url.starts_with("https://go.dev/dl/mod/golang.org/toolchain/@v/"), "{}", taken.url);
}

#[tokio::test]
async fn one_directory_with_the_log_waived_is_its_own_word_as_in_go() {
    let home = Home::new();
    let dir = home.dir.path().join("srv/golang.org/toolchain/@v");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{LOGGED}.zip")), "zip").unwrap();
    let one = Settings { goproxy: Some(format!("file://{}", home.dir.path().join("srv").display())), ..nowhere() };

    let log = log_server().await;
    let waived = [one.clone(), Settings { gonosumdb: Some("golang.org/*".to_owned()), ..with_log(one.clone(), &log) }];
    for settings in waived {
        let sources = home.sources(Settings { offline: true, ..settings });
        let artifact = artifact(&sources, "1.24.1").await.unwrap();
        assert_eq!((artifact.expected.sha256, artifact.size), (Some(sha256(b"zip")), Some(3)));
        assert!(matches!(&artifact.expected.log, Word::OutOfReach(reason) if reason.contains("one directory")));
        assert_eq!(fetch(&sources, &artifact).await.unwrap(), (sha256(b"zip"), sha256(b"zip")));
        sources.discard(&artifact);
    }
    assert_eq!(log.connections(), 0);
    assert_eq!(fs::read(dir.join(format!("{LOGGED}.zip"))).unwrap(), b"zip");

    let strict = Settings { log_required: LogRequired::Yes, ..one.clone() };
    assert!(matches!(artifact(&home.sources(strict), "1.24.1").await, Err(Error::Unproven { .. })));
    assert!(artifact(&home.sources(one.clone()), "1.24.2").await.unwrap_err().is_absent());
    let asked = Settings { gonosumdb: Some("corp.example".to_owned()), ..with_log(one, &log) };
    assert!(matches!(artifact(&home.sources(asked), "1.24.1").await.unwrap().expected.log, Word::Record(_)));
}

#[tokio::test]
async fn a_missing_version_and_a_missing_platform_are_told_apart() {
    let (page_server, log) = (pages().await, log_server().await);
    let modules = Server::start(|_| Answer::ok("v0.0.1-go1.24.2.linux-amd64\nv0.0.1-go1.21.0.darwin-arm64\n")).await;
    let base = with_log(page([page_server.url("dl/")]), &log);
    let sources = Home::new().sources(Settings { goproxy: Some(modules.url("")), ..base });
    let ask = async |index: usize, wanted: &str, os: &str| {
        let platform = Platform { os: os.to_owned(), arch: "arm64".to_owned() };
        sources.artifact(&sources.list()[index], &version(wanted), &platform).await.unwrap_err()
    };
    let error = ask(0, "1.24.9", "darwin").await;
    assert_eq!(error.to_string(), format!("go1.24.9 is not published by {}", page_server.url("dl/")));
    let Error::NoVersion { nearest, .. } = &error else { panic!("{error:?}") };
    assert_eq!(
        nearest.iter().map(|version| version.as_str()).collect::<Vec<_>>(),
        ["1.24.2", "1.24.1-bigcorp", "1.24.1"]
    );
    assert!(error.is_absent() && error.code() == Code::NoVersion);

    let error = ask(0, "1.24.1", "plan9").await;
    let expect = "it is for darwin/arm64, linux/amd64";
    assert!(error.is_absent() && error.code() == Code::NoArtifact && error.to_string().ends_with(expect), "{error}");

    let error = ask(1, "1.24.9", "linux").await;
    assert!(matches!(error, Error::NoVersion { .. }), "{error:?}");
    let error = ask(1, "1.21.0", "linux").await;
    assert!(error.code() == Code::NoArtifact && error.to_string().ends_with("it is for darwin/arm64"), "{error}");
    let error = ask(1, "1.21.0", "darwin").await;
    assert!(error.to_string().ends_with("the checksum database has no record of it"), "{error}");
}

#[tokio::test]
async fn a_release_newer_than_the_remembered_list_is_found() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |_| {
        let mut entries = vec![entry("1.24.1", b"archive")];
        if !first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            entries.push(entry("1.24.2", b"archive"));
        }
        Answer::ok(list(&entries))
    })
    .await;
    let sources = Home::new().sources(page([server.url("dl/")]));
    sources.releases(&linux(), at(0), Freshness::Recent).await.unwrap();
    assert!(artifact(&sources, "1.24.1").await.is_ok());
    assert_eq!(server.connections(), 1);
    assert!(artifact(&sources, "1.24.2").await.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_log_is_asked_through_the_first_proxy_that_supports_it() {
    let log = Log::of(&[LOGGED]);
    let supporting = Server::start({
        let log = log.clone();
        move |request| match request.target.strip_prefix("/p/sumdb/sum.test.example") {
            Some(path) => log.answer(path),
            None => Answer::new(404, ""),
        }
    })
    .await;
    let without = Server::start(|_| Answer::new(404, "")).await;
    let broken = Server::start(|_| Answer::new(500, "out of order")).await;
    let ask = async |goproxy: String| {
        let settings = Settings { goproxy: Some(goproxy), gosumdb: Some(log::gosumdb(None)), ..nowhere() };
        artifact(&Home::new().sources(settings), "1.24.1").await
    };
    let (supporting_url, without, broken) = (supporting.url("p"), without.url(""), broken.url(""));
    for list in
        [supporting_url.clone(), format!("{without},{supporting_url},off"), format!("{broken}|{supporting_url}")]
    {
        assert!(ask(list.clone()).await.is_ok(), "{list}");
    }
    let asked = supporting.connections();
    for (list, expect) in [
        (format!("{broken},{supporting_url}"), "out of order"),
        (format!("{broken}|"), "out of order"),
        // Nothing resolves this name: that the database itself was asked shows in the message.
        (without.clone(), "https://sum.test.example/"),
        (format!("{without},off,{supporting_url}"), "https://sum.test.example/"),
        (format!("{broken}|off,{supporting_url}"), "out of order"),
        (format!("{broken}|direct,{supporting_url}"), "https://sum.test.example/"),
    ] {
        let list_only_direct = list.clone();
        let text = match ask(list).await {
            Err(error) => chain(&error),
            Ok(artifact) => panic!("{list_only_direct}: {artifact:?}"),
        };
        assert!(text.contains(expect), "{list_only_direct}: {text}");
    }
    assert_eq!(supporting.connections(), asked);
}

#[tokio::test]
async fn offline_a_record_proven_before_is_enough() {
    let (page_server, log) = (pages().await, log_server().await);
    let home = Home::new();
    let online = with_log(page([page_server.url("dl/")]), &log);
    let sources = home.sources(online.clone());
    let known = artifact(&sources, "1.24.1").await.unwrap();
    let (requests, downloaded) = (log.connections() + page_server.connections(), fetch(&sources, &known).await);
    assert!(downloaded.is_ok());

    let sources = home.sources(Settings { offline: true, ..online });
    assert_eq!(artifact(&sources, "1.24.1").await.unwrap(), known);
    // The download is there too, so an install needs no network at all.
    assert_eq!(fetch(&sources, &known).await.unwrap().0, sha256(b"archive"));
    assert_eq!(log.connections() + page_server.connections(), requests + 1);

    let unknown = artifact(&sources, "1.24.2").await.unwrap();
    assert!(matches!(&unknown.expected.log, Word::OutOfReach(reason) if reason.contains("govern is offline")));
    let error = fetch(&sources, &unknown).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }) && error.code() == Code::Policy, "{error:?}");
    assert_eq!(log.connections() + page_server.connections(), requests + 1);
}
