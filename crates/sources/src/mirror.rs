//! Gives archives on to others, read-only, in both shapes in which they are had: the download page of go.dev below `/dl/`,
//! and a module proxy with the checksum database passed through. So one machine downloads for many, and a plain `go` with
//! `GOPROXY=http://HOST:PORT` switches toolchains from it.
//!
//! Leaves out where archives come from and whether they are proven: a [`Shelf`] brings nothing else. HTTP itself is
//! hyper's, ranges and dates are tower-http's.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use govern_core::platform::Platform;
use govern_core::proof::{Format, Sha256};
use govern_core::version::Version;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, StatusCode, http::HeaderValue};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_http::services::ServeFile;
use tracing::{debug, info, warn};

use crate::goproxy::{MODULE, release_of, unescaped};
use crate::releases::Release;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Connections at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 512;
/// How long a client may take to say what it wants, and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long answers that were begun are waited for at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// The longest path that means anything here.
const LONGEST_PATH: usize = 512;
/// Families in the short list of the page, as on go.dev.
const SUPPORTED: usize = 2;

/// An archive that may be given on.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// The release it holds.
    pub version: Version,
    /// The platform it is for.
    pub platform: Platform,
    /// How it is packed.
    pub format: Format,
    /// Where it lies.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest, checked not long ago.
    pub sha256: Sha256,
}

/// Why something is not given on.
#[derive(Clone, Debug)]
pub enum Missing {
    /// There is no such thing, or it is not at hand and nobody may be asked for it.
    Absent(String),
    /// Those who have it do not answer.
    Upstream(String),
    /// What they gave could not be believed, or something is wrong here.
    Refused(String),
}

/// Where a mirror's archives and lists come from.
pub trait Shelf: Send + Sync + 'static {
    /// What upstream publishes, newest first; nothing where it cannot be asked.
    fn releases(&self) -> impl Future<Output = Vec<Release>> + Send;
    /// The archives at hand.
    fn at_hand(&self) -> impl Future<Output = Vec<Shelved>> + Send;
    /// An archive, fetched and proven first if need be.
    fn archive(
        &self,
        format: Format,
        version: &Version,
        platform: &Platform,
    ) -> impl Future<Output = Result<Shelved, Missing>> + Send;
    /// What the checksum database of this name says at a path such as `/lookup/…`; `/supported` asks for nothing.
    fn log(&self, database: &str, path: &str) -> impl Future<Output = Result<Vec<u8>, Missing>> + Send;
}

type Request = hyper::Request<Incoming>;
type Response = hyper::Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Serves until `end`, then finishes the answers that were begun.
///
/// # Errors
/// When connections can no longer be accepted.
pub async fn serve(listener: TcpListener, shelf: Arc<impl Shelf>, end: impl Future<Output = ()>) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let (mut end, mut connections) = (pin!(end), JoinSet::new());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer): (_, SocketAddr) = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Too many open files, or a client that was gone at once: neither is the end.
                Err(error) => {
                    warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (shelf, mut stopped) = (Arc::clone(&shelf), stopped.clone());
        connections.spawn(async move {
            let _place = place;
            let service = service_fn(|request| {
                let shelf = Arc::clone(&shelf);
                async move { Ok::<_, Infallible>(answer(&*shelf, request).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 << 10);
            let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
            let served = tokio::select! {
                served = connection.as_mut() => served,
                () = async { drop(stopped.wait_for(|stop| *stop).await) } => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                debug!(%peer, %error, "a connection broke");
            }
        });
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
    }
    stop.send_replace(true);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} });
    let _ = drained.await;
    Ok(())
}

async fn answer(shelf: &impl Shelf, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let is_plain = path.len() <= LONGEST_PATH && path.split('/').all(|part| part != "." && part != "..");
    if !is_plain || path.contains('%') || path.contains("//") {
        return absent("no such path");
    }
    info!(path, "asked");
    let module = path.strip_prefix('/').and_then(|path| path.strip_prefix(MODULE)).and_then(|p| p.strip_prefix("/@v/"));
    let answered = if let Some(name) = path.strip_prefix("/dl/").or((path == "/dl").then_some("")) {
        page(shelf, name, &query, request).await
    } else if let Some(name) = module {
        let name = name.to_owned();
        proxy(shelf, &name, request).await
    } else if let Some((database, path)) = path.strip_prefix("/sumdb/").and_then(|rest| rest.split_once('/')) {
        let bytes = shelf.log(database, &format!("/{path}")).await;
        bytes.map(|bytes| whole(StatusCode::OK, TEXT, bytes))
    } else {
        Err(Missing::Absent("this mirror has Go toolchains and nothing else".to_owned()))
    };
    answered.unwrap_or_else(|missing| match missing {
        Missing::Absent(reason) => absent(&reason),
        Missing::Upstream(reason) => told(StatusCode::BAD_GATEWAY, &reason),
        Missing::Refused(reason) => told(StatusCode::INTERNAL_SERVER_ERROR, &reason),
    })
}

fn absent(reason: &str) -> Response {
    told(StatusCode::NOT_FOUND, reason)
}

fn told(status: StatusCode, reason: &str) -> Response {
    whole(status, TEXT, format!("{reason}\n"))
}

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Below `/dl/`: the list, an archive, or its digest alone.
async fn page(shelf: &impl Shelf, name: &str, query: &str, request: Request) -> Result<Response, Missing> {
    if name.is_empty() {
        let has = |pair: &str| query.split('&').any(|given| given == pair);
        if !has("mode=json") {
            return Ok(told(StatusCode::OK, "Go archives: /dl/?mode=json&include=all lists them"));
        }
        let list = listed(&shelf.releases().await, &shelf.at_hand().await, !has("include=all"));
        let json = serde_json::to_vec(&list).expect("a list of texts and numbers");
        return Ok(whole(StatusCode::OK, JSON, json));
    }
    let (archive, is_digest) = match name.strip_suffix(".sha256") {
        Some(archive) => (archive, true),
        None => (name, false),
    };
    let unknown = || Missing::Absent(format!("no archive is named {archive}"));
    let (version, platform) = archive_of(archive).ok_or_else(unknown)?;
    let shelved = shelf.archive(Format::TarGz, &version, &platform).await?;
    if is_digest {
        return Ok(told(StatusCode::OK, &shelved.sha256.to_string()));
    }
    Ok(file(&shelved, "application/gzip", request).await)
}

/// Below `golang.org/toolchain/@v/`: the module protocol.
async fn proxy(shelf: &impl Shelf, name: &str, request: Request) -> Result<Response, Missing> {
    let text = |text: String| Ok(whole(StatusCode::OK, TEXT, text));
    if name == "list" {
        let mut versions: Vec<String> = shelf
            .releases()
            .await
            .iter()
            .flat_map(|release| release.platforms().map(|platform| platform.module_version(&release.version)))
            .collect();
        let zips = shelf.at_hand().await;
        let zips = zips.iter().filter(|shelved| shelved.format == Format::ModuleZip);
        versions.extend(zips.map(|zip| zip.platform.module_version(&zip.version)));
        versions.sort_unstable();
        versions.dedup();
        return text(versions.join("\n") + "\n");
    }
    let unknown = || Missing::Absent(format!("{name} is no file of {MODULE}"));
    let (escaped, kind) = name.rsplit_once('.').ok_or_else(unknown)?;
    let module_version = unescaped(escaped).ok_or_else(unknown)?;
    let (version, platform) = release_of(&module_version).ok_or_else(unknown)?;
    if platform.module_version(&version) != module_version {
        return Err(unknown());
    }
    match kind {
        "info" => {
            let json = json!({ "Version": module_version }).to_string();
            Ok(whole(StatusCode::OK, JSON, json))
        }
        "mod" => text(format!("module {MODULE}\n")),
        "zip" => {
            let shelved = shelf.archive(Format::ModuleZip, &version, &platform).await?;
            Ok(file(&shelved, "application/zip", request).await)
        }
        _ => Err(unknown()),
    }
}

/// Sends an archive: whole, or the range that was asked for of these very bytes.
async fn file(shelved: &Shelved, kind: &'static str, mut request: Request) -> Response {
    let etag = format!("\"{}\"", shelved.sha256);
    let names = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(&etag))
    };
    let tag = HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes");
    if names(request.headers(), IF_NONE_MATCH) {
        let mut response = whole(StatusCode::NOT_MODIFIED, kind, "");
        response.headers_mut().insert(ETAG, tag);
        return response;
    }
    // A range of other bytes is not wanted: then all of these.
    if request.headers().contains_key(IF_RANGE) && !names(request.headers(), IF_RANGE) {
        request.headers_mut().remove(RANGE);
    }
    match ServeFile::new(&shelved.path).try_call(request).await {
        Ok(response) => {
            let mut response = response.map(http_body_util::BodyExt::boxed_unsync);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response.headers_mut().insert(ETAG, tag);
            response
        }
        Err(error) => told(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The release and the platform of `go1.22.4.linux-amd64.tar.gz`.
fn archive_of(name: &str) -> Option<(Version, Platform)> {
    let (toolchain, platform) = name.strip_suffix(".tar.gz")?.rsplit_once('.')?;
    let (os, arch) = platform.split_once('-')?;
    let arch = if arch == "armv6l" { "arm" } else { arch };
    let version = Version::parse(toolchain.strip_prefix("go")?).ok()?;
    let platform = Platform { os: os.to_owned(), arch: arch.to_owned() };
    (platform.archive(&version) == name).then_some((version, platform))
}

/// The JSON of a download page that has these archives and no others.
#[must_use]
pub fn page_list(at_hand: &[Shelved]) -> Vec<u8> {
    serde_json::to_vec_pretty(&listed(&[], at_hand, false)).expect("a list of texts and numbers")
}

/// The JSON of the page: what upstream's page has digests of, and what lies here.
fn listed(releases: &[Release], at_hand: &[Shelved], is_short: bool) -> Value {
    let mut all: Vec<(Version, Platform, u64, Sha256)> = Vec::new();
    let tarballs = at_hand.iter().filter(|shelved| shelved.format == Format::TarGz);
    all.extend(tarballs.map(|one| (one.version.clone(), one.platform.clone(), one.size, one.sha256)));
    for release in releases {
        for file in &release.files {
            let is_new =
                !all.iter().any(|(version, platform, ..)| (version, platform) == (&release.version, &file.platform));
            if let (Some(size), Some(sha256), true) = (file.size, file.sha256, is_new) {
                all.push((release.version.clone(), file.platform.clone(), size, sha256));
            }
        }
    }
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut families: Vec<_> = all.iter().filter(|one| !one.0.is_prerelease()).map(|one| one.0.family()).collect();
    families.dedup();
    families.truncate(SUPPORTED);
    let mut list: Vec<Value> = Vec::new();
    let mut newest = Vec::new();
    for release in all.chunk_by(|a, b| a.0 == b.0) {
        let version = &release[0].0;
        let stable = !version.is_prerelease();
        // The short list has the newest release of each supported family.
        if is_short && (!stable || !families.contains(&version.family()) || newest.contains(&version.family())) {
            continue;
        }
        newest.push(version.family());
        let files: Vec<Value> = release
            .iter()
            .map(|(version, platform, size, sha256)| {
                json!({
                    "filename": platform.archive(version), "os": platform.os, "arch": platform.download_arch(),
                    "version": version.toolchain(), "sha256": sha256.to_string(), "size": size, "kind": "archive",
                })
            })
            .collect();
        list.push(json!({ "version": version.toolchain(), "stable": stable, "files": files }));
    }
    Value::Array(list)
}
