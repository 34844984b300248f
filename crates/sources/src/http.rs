//! One request at a time, and its redirects: who may be told a password, where a redirect may lead, what a failure means.
//! Leaves out what is asked for, and the body of an archive (`transfer`).

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::base::{Target, Trust, host, public};
use crate::client::{ClientSettings, make_client, read_netrc};
use crate::error::{Cause, Error, quoted};
use crate::local;
use crate::netrc::Netrc;
use crate::pace::{Pace, retry_after};

/// The most redirects that are followed, as in Go.
const MOST_REDIRECTS: usize = 10;

/// The one door to the network.
pub(crate) struct Http {
    settings: ClientSettings,
    /// Made when first needed: reading the machine's roots takes some 30 ms.
    verified: OnceCell<Client>,
    any: OnceCell<Client>,
    netrc: OnceCell<Netrc>,
    /// Hosts that could not be reached, and when. Never held across `.await`.
    unreachable: Mutex<HashMap<String, (Instant, Cause)>>,
}

/// One try that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Box<Error>,
    pub(crate) hope: Hope,
    /// What `Retry-After` asked for.
    pub(crate) wish: Option<Duration>,
}

/// Whether the same request may succeed a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    /// The same request fails again.
    None,
    /// No connection: worth waiting for where something is half done, else another source is sooner there.
    Connection,
    /// A hiccup.
    Retry,
}

impl Failure {
    pub(crate) fn lasting(error: Error) -> Failure {
        Failure { error: Box::new(error), hope: Hope::None, wish: None }
    }

    pub(crate) fn passing(error: Error) -> Failure {
        Failure { error: Box::new(error), hope: Hope::Retry, wish: None }
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    pub(crate) fn of(headers: &HeaderMap) -> Validators {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// What may stand in `If-Range`: a strong ETag, or a date where there is no ETag at all.
    pub(crate) fn for_range(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) => Some(etag.as_str()).filter(|etag| etag.starts_with('"')),
            None => self.last_modified.as_deref(),
        }
    }
}

/// The answer to a small request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What was asked for.
    Body { bytes: Vec<u8>, validators: Validators },
    /// It is as it was when the validators were taken.
    Unchanged,
}

impl Http {
    pub(crate) fn new(settings: ClientSettings) -> Http {
        Http {
            settings,
            verified: OnceCell::new(),
            any: OnceCell::new(),
            netrc: OnceCell::new(),
            unreachable: Mutex::default(),
        }
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.settings.pace
    }

    /// Refuses what needs the network when it may not be used.
    pub(crate) fn allow(&self, target: &Target) -> Result<(), Error> {
        if self.settings.offline && !target.is_file() {
            return Err(Error::Offline { url: target.to_string() });
        }
        Ok(())
    }

    /// Fetches something small, with retries. `limit` is the most bytes that it may have.
    pub(crate) async fn fetch(&self, target: &Target, known: &Validators, limit: u64) -> Result<Answer, Error> {
        self.allow(target)?;
        if target.is_file() {
            let bytes = local::read(target, limit).await?;
            return Ok(Answer::Body { bytes, validators: Validators::default() });
        }
        self.check_grudge(target)?;
        let mut headers = HeaderMap::new();
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value.as_deref().and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        }
        // Made before the clock starts: the first one reads the machine's roots.
        self.client(target.trust).await?;
        let mut failed = 0;
        loop {
            let failure = match timeout(self.pace().small, self.fetch_once(target, headers.clone(), limit)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::passing(unreachable(target, Cause::Slow(self.pace().small))),
            };
            failed += 1;
            debug!(url = %target, failed, error = %failure.error, "request failed");
            // Where a long pause is wished for, another source is sooner there.
            let too_long = failure.wish.is_some_and(|wish| wish > self.pace().longest_pause);
            if failure.hope != Hope::Retry || failed >= self.pace().small_tries || too_long {
                return Err(*failure.error);
            }
            sleep(self.pace().pause(failed, failure.wish)).await;
        }
    }

    async fn fetch_once(&self, target: &Target, headers: HeaderMap, limit: u64) -> Result<Answer, Failure> {
        let conditional = !headers.is_empty();
        let mut response = self.send(target, &headers).await?;
        if conditional && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        if response.status() != StatusCode::OK {
            return Err(self.refusal(target, response).await);
        }
        let validators = Validators::of(response.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(target, &mut response).await? {
            if bytes.len() as u64 + chunk.len() as u64 > limit {
                return Err(Failure::lasting(unreachable(target, Cause::TooMuch(limit))));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer::Body { bytes, validators })
    }

    /// Sends one request and follows its redirects. Every status that is no redirect is an answer.
    pub(crate) async fn send(&self, target: &Target, headers: &HeaderMap) -> Result<Response, Failure> {
        self.allow(target).map_err(Failure::lasting)?;
        let client = self.client(target.trust).await.map_err(Failure::lasting)?;
        let mut url = target.url.clone();
        let mut user = self.credentials(target).await.map_err(Failure::lasting)?;
        let _ = url.set_username("");
        let _ = url.set_password(None);
        for _ in 0..=MOST_REDIRECTS {
            let mut request = client.get(url.clone()).headers(headers.clone());
            if let Some((name, password)) = &user {
                request = request.basic_auth(name, Some(password));
            }
            let sent = timeout(self.pace().silence, request.send()).await;
            let Ok(sent) = sent else {
                return Err(Failure::passing(unreachable(target, Cause::Silence(self.pace().silence))));
            };
            let response = sent.map_err(|error| self.failure(target, &url, &error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = redirected(&url, &response).map_err(|cause| Failure::lasting(unreachable(target, cause)))?;
            // A password is for the place that it was given for, and for no other host, port or scheme.
            if next.origin() != url.origin() {
                user = None;
            }
            url = next;
        }
        let cause = Cause::Redirect(format!("there are more than {MOST_REDIRECTS} in a row"));
        Err(Failure::lasting(unreachable(target, cause)))
    }

    /// The next piece of a body; `None` at its end.
    pub(crate) async fn chunk(&self, target: &Target, response: &mut Response) -> Result<Option<Bytes>, Failure> {
        let cause = match timeout(self.pace().silence, response.chunk()).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(error)) => Cause::Broken(root_of(&error)),
            Err(_) => Cause::Silence(self.pace().silence),
        };
        Err(Failure::passing(unreachable(target, cause)))
    }

    /// What an answer means that is not the one hoped for.
    pub(crate) async fn refusal(&self, target: &Target, mut response: Response) -> Failure {
        let status = response.status().as_u16();
        if matches!(status, 404 | 410) {
            return Failure::lasting(Error::Absent { url: target.to_string(), status: Some(status) });
        }
        let wish = retry_after(response.headers());
        let plain = content_type(response.headers()).is_none_or(|kind| kind.starts_with("text/plain"));
        let detail = match self.chunk(target, &mut response).await {
            Ok(Some(chunk)) if plain => quoted(&String::from_utf8_lossy(&chunk[..chunk.len().min(1024)])),
            _ => String::new(),
        };
        let cause = match self.settings.egress.proxy(&target.url) {
            Some(proxy) if status == 407 => {
                Cause::Proxy { proxy: public(proxy), detail: "it wants a user name and password".to_owned() }
            }
            _ => Cause::Status { status, detail },
        };
        let hope = if matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) { Hope::Retry } else { Hope::None };
        Failure { error: Box::new(unreachable(target, cause)), hope, wish }
    }

    /// Fails at once for a host that could not be reached a moment ago, so that a dead source costs its timeout once.
    pub(crate) fn check_grudge(&self, target: &Target) -> Result<(), Error> {
        let mut hosts = self.unreachable.lock().expect("no holder of this lock panics");
        hosts.retain(|_, (since, _)| since.elapsed() < self.settings.pace.grudge);
        match hosts.get(&target.host()) {
            Some((_, cause)) => Err(unreachable(target, cause.clone())),
            None => Ok(()),
        }
    }

    fn failure(&self, target: &Target, url: &Url, error: &reqwest::Error) -> Failure {
        let cause = self.cause(url, error);
        let unreached = matches!(cause, Cause::Name { .. } | Cause::Connect { .. } | Cause::Tls { .. });
        if unreached && url.origin() == target.url.origin() {
            let mut hosts = self.unreachable.lock().expect("no holder of this lock panics");
            hosts.insert(target.host(), (Instant::now(), cause.clone()));
        }
        let hope = match cause {
            Cause::Name { .. } | Cause::Connect { .. } => Hope::Connection,
            Cause::Broken(_) => Hope::Retry,
            // A wrong certificate and a proxy's refusal do not mend themselves.
            _ => Hope::None,
        };
        Failure { error: Box::new(unreachable(target, cause)), hope, wish: None }
    }

    fn cause(&self, url: &Url, error: &reqwest::Error) -> Cause {
        let mut texts = Vec::new();
        let mut next: Option<&dyn StdError> = error.source();
        while let Some(cause) = next {
            texts.push(cause.to_string());
            next = cause.source();
        }
        let detail = root_of(error);
        let proxy = self.settings.egress.proxy(url).map(public);
        let mentions = |words: &[&str]| texts.iter().any(|text| words.iter().any(|word| text.contains(word)));
        if let Some(proxy) = proxy.clone().filter(|_| mentions(&["tunnel error", "SOCKS", "socks"])) {
            let detail = if mentions(&["proxy authorization required"]) {
                "it wants a user name and password".to_owned()
            } else {
                detail
            };
            return Cause::Proxy { proxy, detail };
        }
        let called = proxy.map_or_else(|| host(url), |proxy| format!("the proxy {proxy}"));
        if error.is_dns() {
            return Cause::Name { host: called, detail };
        }
        if mentions(&["certificate", "fatal alert", "TLS", "handshake", "corrupt message"]) {
            return Cause::Tls { host: host(url), detail };
        }
        if error.is_timeout() {
            return Cause::Connect { host: called, detail: "it does not answer".to_owned() };
        }
        if error.is_connect() {
            return Cause::Connect { host: called, detail };
        }
        Cause::Broken(detail)
    }

    /// The user name and password for a target: those in its URL, else those of the netrc file.
    async fn credentials(&self, target: &Target) -> Result<Option<(String, String)>, Error> {
        let url = &target.url;
        let is_private = url.scheme() == "https" || is_here(url);
        if !url.username().is_empty() || url.password().is_some() {
            if !is_private {
                return Err(unreachable(target, Cause::Exposed));
            }
            return Ok(Some((unescaped(url.username()), unescaped(url.password().unwrap_or_default()))));
        }
        let Some(path) = self.settings.netrc.as_ref().filter(|_| is_private && target.trust == Trust::Verified) else {
            return Ok(None);
        };
        let netrc = self.netrc.get_or_init(|| read_netrc(path.clone())).await;
        let found = netrc.find(url.host_str().unwrap_or_default(), &target.host());
        Ok(found.map(|(name, password)| (name.to_owned(), password.to_owned())))
    }

    async fn client(&self, trust: Trust) -> Result<&Client, Error> {
        let cell = if trust == Trust::Verified { &self.verified } else { &self.any };
        let settings = self.settings.clone();
        cell.get_or_try_init(|| async move {
            let made = tokio::task::spawn_blocking(move || make_client(&settings, trust)).await;
            made.map_err(|_| Error::Client { reason: "making the client was interrupted".to_owned() })?
        })
        .await
    }
}

pub(crate) fn unreachable(target: &Target, source: Cause) -> Error {
    Error::Unreachable { url: target.to_string(), source }
}

pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(reqwest::header::CONTENT_TYPE)?.to_str().ok()
}

/// Says whether a body that should be an archive or a list is a web page.
pub(crate) fn is_html(headers_say: Option<&str>, start: &[u8]) -> bool {
    let start: Vec<u8> = start.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    headers_say.is_some_and(|kind| kind.starts_with("text/html"))
        || start.starts_with(b"<!doctype html")
        || start.starts_with(b"<html")
}

/// Where a redirect leads, if it may be followed: to https, or from http to http.
fn redirected(url: &Url, response: &Response) -> Result<Url, Cause> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let mut next = next.ok_or_else(|| Cause::Redirect("it names no place".to_owned()))?;
    if next.scheme() != "https" && !(next.scheme() == "http" && url.scheme() == "http") {
        return Err(Cause::Redirect(format!("it leads from {} to {}", url.scheme(), next.scheme())));
    }
    // What a server writes before the `@` is not a password that the user gave for that place.
    let _ = next.set_username("");
    let _ = next.set_password(None);
    Ok(next)
}

/// True when the URL is this machine: what is sent there crosses no network.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The innermost cause: the outer ones only say that a request failed.
pub(crate) fn root_of(error: &reqwest::Error) -> String {
    let mut root: &dyn StdError = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    if std::ptr::addr_eq(root, error) { "the request failed".to_owned() } else { quoted(&root.to_string()) }
}

/// Undoes `%40` and the like in a user name or password.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).filter(|_| byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
