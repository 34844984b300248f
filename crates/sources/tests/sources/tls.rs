//! Certificates: whom the settings make us believe, and what a wrong one is called.
//!
//! `data/` holds an authority of the tests' own and a server's certificate by it, for 127.0.0.1 and go.dev, good until 2126.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use govern_sources::{Cause, Error, Freshness, Settings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::server::{Answer, Request, Server};
use crate::setup::{Home, at, chain, entry, linux, list, nowhere, page};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sources/data").join(name)
}

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(data("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(data("server.key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn https(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Server, String) {
    let acceptor = acceptor();
    let server = Server::start_with(script, move |stream| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(stream).await.ok() }
    })
    .await;
    let base = format!("https://127.0.0.1:{}/dl/", server.port);
    (server, base)
}

/// A proxy that answers CONNECT and is itself whoever was to be reached.
async fn tunnel(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
    let acceptor = acceptor();
    Server::start_with(script, move |stream| {
        let acceptor = acceptor.clone();
        async move { connect(stream, acceptor).await }
    })
    .await
}

async fn connect(stream: TcpStream, acceptor: TlsAcceptor) -> Option<TlsStream<BufReader<TcpStream>>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.ok()? > 2 {}
    assert!(line.starts_with("CONNECT go.dev:443 HTTP/1.1\r\n"), "{line}");
    stream.write_all(b"HTTP/1.1 200 Go ahead\r\n\r\n").await.ok()?;
    acceptor.accept(stream).await.ok()
}

async fn ask(settings: Settings) -> Result<usize, Error> {
    let sources = Home::new().sources(settings);
    sources.releases(&linux(), at(0), Freshness::Now).await.map(|releases| releases.all.len())
}

fn releases(_: &Request) -> Answer {
    Answer::ok(list(&[entry("1.24.1", b"archive")]))
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_way_out_is_named() {
    let (server, base) = https(releases).await;
    let error = ask(page([base])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source: Cause::Tls { .. }, .. }), "{error:?}");
    let text = chain(&error);
    let expect = format!("no secure connection to 127.0.0.1:{}: invalid peer certificate: UnknownIssuer", server.port);
    assert!(text.contains(&expect) && text.contains("SSL_CERT_FILE"), "{text}");
    assert!(error.is_unreachable());
    // A wrong certificate does not mend itself: one try.
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_authority_of_the_settings_is_believed_beside_the_machines_own() {
    let (_server, base) = https(releases).await;
    let file = Settings { ssl_cert_file: Some(data("ca.pem")), ..page([base.clone()]) };
    assert_eq!(ask(file).await.unwrap(), 1);

    let home = Home::new();
    let (empty, roots) = (home.dir.path().join("empty"), home.dir.path().join("roots"));
    fs::create_dir_all(roots.join("directory")).unwrap();
    fs::create_dir(&empty).unwrap();
    fs::copy(data("ca.pem"), roots.join("0123abcd.0")).unwrap();
    fs::write(roots.join("README"), "no certificate").unwrap();
    std::os::unix::fs::symlink("nowhere", roots.join("dangling")).unwrap();
    let dirs = std::env::join_paths([empty, home.dir.path().join("missing"), roots]).unwrap();
    let dir = Settings { ssl_cert_dir: Some(dirs.into()), ..page([base.clone()]) };
    assert_eq!(ask(dir).await.unwrap(), 1);

    let missing = Settings { ssl_cert_file: Some(home.dir.path().join("none.pem")), ..page([base]) };
    let error = ask(missing).await.unwrap_err();
    assert!(error.to_string().starts_with("SSL_CERT_FILE is malformed: "), "{error}");
}

#[tokio::test]
async fn a_redirect_away_from_encryption_is_not_followed() {
    let plain = Server::start(releases).await;
    let to = plain.url("x");
    let (_server, base) = https(move |_| Answer::redirect(to.clone())).await;
    let trusted = Settings { ssl_cert_file: Some(data("ca.pem")), ..page([base]) };
    let text = chain(&ask(trusted).await.unwrap_err());
    assert!(text.ends_with("its redirect is not followed: it leads from https to http"), "{text}");
    assert_eq!(plain.connections(), 0);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_of_the_https_proxy() {
    let proxy = tunnel(releases).await;
    let settings = Settings {
        https_proxy: Some(format!("127.0.0.1:{}", proxy.port)),
        ssl_cert_file: Some(data("ca.pem")),
        ..Settings { dl_urls: vec!["https://go.dev/dl/".to_owned()], ..nowhere() }
    };
    assert_eq!(ask(settings).await.unwrap(), 1);
    assert_eq!(proxy.targets(), ["/dl/?mode=json&include=all"]);
}

#[tokio::test]
async fn goinsecure_counts_for_direct_and_for_nothing_else() {
    let proxy = tunnel(|_| Answer::ok("v0.0.1-go1.24.1.linux-amd64\n")).await;
    let with = |goproxy: &str, goinsecure: Option<&str>| Settings {
        goproxy: Some(goproxy.to_owned()),
        goinsecure: goinsecure.map(str::to_owned),
        https_proxy: Some(format!("127.0.0.1:{}", proxy.port)),
        ..nowhere()
    };
    assert_eq!(ask(with("direct", Some("golang.org/*"))).await.unwrap(), 1);
    for settings in
        [with("direct", None), with("direct", Some("corp.example")), with("https://go.dev/x", Some("golang.org"))]
    {
        let error = ask(settings).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source: Cause::Tls { .. }, .. }), "{error:?}");
    }
}
