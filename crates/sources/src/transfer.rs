//! Brings an archive from the network to a file: tries, resumes, never joins bytes of two archives.
//!
//! What is on disk is always the beginning of one state of the archive. An answer that starts at its first byte (because
//! the server ignores ranges, or says that the file changed) is compared with what is there, byte by byte; where the two
//! differ, the file is cut off and the new bytes take over. An answer that starts in the middle is believed when the server
//! was told what we have (`If-Range`) and says the same; a server without validators is asked for some bytes again, which
//! must be the same. Blocks on the disk: runs on a thread of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use govern_core::event::{Event, Watch};
use govern_core::proof::Sha256;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::info;

use crate::base::Target;
use crate::download::{Download, Shared, Stopped};
use crate::error::{Cause, Error};
use crate::goproxy::FallOver;
use crate::http::{Failure, Hope, Http, Validators, content_type, is_html, unreachable};
use crate::local;
use crate::part::{self, Origin, Part};
use crate::range;

/// The shortest time between two events about bytes.
const EVENT_PAUSE: Duration = Duration::from_millis(100);

/// What to bring, and where to.
pub(crate) struct Order {
    pub(crate) http: Arc<Http>,
    /// Where it can be had, in order.
    pub(crate) places: Vec<(Target, FallOver)>,
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    /// The length and digest that the release list promises.
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<Sha256>,
    /// Its directory is at its end, which is worth having ahead of the rest.
    pub(crate) ends_in_directory: bool,
    pub(crate) watch: Arc<dyn Watch>,
}

/// Starts a transfer, and waits until its first bytes are in sight: until then, failing costs nothing but time.
pub(crate) async fn start(order: Order) -> Result<Download, Error> {
    let shared = Shared::new();
    let (alive, given_up) = oneshot::channel();
    let (ready, started) = oneshot::channel();
    let first = order.places.first().map(|(target, _)| target.to_string()).unwrap_or_default();
    let job = tokio::task::spawn_blocking({
        let shared = Arc::clone(&shared);
        let runtime = tokio::runtime::Handle::current();
        move || {
            let transfer = Transfer {
                shared: StopAtEnd(shared),
                ready: Some(ready),
                order,
                told: None,
                last_event: None,
                beside: JoinSet::new(),
            };
            runtime.block_on(transfer.run(given_up))
        }
    });
    match started.await {
        Ok(Started { url, size }) => Ok(Download { shared, url, size, job, alive }),
        // Over before it began: the job knows why.
        Err(_) => {
            let ended = job.await.unwrap_or(Err(Error::Cancelled { url: first.clone() }));
            drop(alive);
            Err(ended.err().unwrap_or(Error::Cancelled { url: first }))
        }
    }
}

/// The word that a transfer is under way.
struct Started {
    url: String,
    size: Option<u64>,
}

/// Lets no reader wait for bytes that nobody brings any more, whatever ends a transfer.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop(Stopped::Failed);
    }
}

struct Transfer {
    order: Order,
    shared: StopAtEnd,
    ready: Option<oneshot::Sender<Started>>,
    /// The place that the watcher knows of.
    told: Option<String>,
    last_event: Option<Instant>,
    /// What runs beside it, and ends with it.
    beside: JoinSet<()>,
}

/// How an answer continues what is on disk.
enum Start {
    /// From the first byte: what is on disk is compared.
    Whole,
    /// From this byte of the same file on.
    At(u64),
}

impl Transfer {
    async fn run(mut self, given_up: oneshot::Receiver<()>) -> Result<PathBuf, Error> {
        let url = self.order.places.first().map(|(target, _)| target.to_string()).unwrap_or_default();
        tokio::select! {
            // First: when the runtime ends, the owner is gone before the timers are, and those must not be asked any more.
            biased;
            _ = given_up => Err(Error::Cancelled { url }),
            done = self.bring() => done,
        }
    }

    async fn bring(&mut self) -> Result<PathBuf, Error> {
        let places = std::mem::take(&mut self.order.places);
        let order = &self.order;
        let mut part = Part::open(&order.dir, &order.name, order.http.pace()).await?;
        // Looked at under the lock: another download of the same file may have ended while it was waited for.
        if let Some(path) = part::finished(&order.dir, &order.name, order.size, order.sha256) {
            part.leave();
            let url = places.first().map(|(target, _)| target.to_string()).unwrap_or_default();
            return self.give(path, url);
        }
        self.shared.0.read_from(part.file());
        let mut last: Option<Error> = None;
        for (target, fall_over) in &places {
            if let Some(error) = &last {
                self.tell(Event::Trouble { reason: reason(error) });
            }
            let error = if target.is_file() {
                match self.local(target) {
                    Ok(path) => {
                        part.leave();
                        return self.give(path, target.to_string());
                    }
                    Err(error) => error,
                }
            } else {
                let brought = self.from(target, &mut part).await;
                match brought.and_then(|()| self.check_ahead(target, &part)) {
                    Ok(()) => {
                        let (length, path) = (part.length(), part.finish()?);
                        self.shared.0.close(length);
                        self.tell(Event::Downloaded { bytes: length });
                        return Ok(path);
                    }
                    Err(error) => error,
                }
            };
            if matches!(error, Error::Changed { .. }) {
                self.shared.0.stop(Stopped::Changed);
            }
            if matches!(error, Error::TooLong { .. }) {
                part.discard();
                return Err(error);
            }
            if !fall_over.admits(&error) {
                return Err(error);
            }
            last = Some(FallOver::more_telling(last, error));
        }
        Err(last.unwrap_or(Error::NoSource))
    }

    /// An archive in a directory that serves as a source. It is read where it is.
    fn local(&self, target: &Target) -> Result<PathBuf, Error> {
        let path = local::path_of(target);
        match fs::metadata(&path) {
            Ok(meta) => self.check_length(target, Some(meta.len())).map(|()| path).map_err(|failure| *failure.error),
            Err(error) => Err(local::failure(target, &path, error)),
        }
    }

    /// Gives out a file that is there already, whole.
    fn give(&mut self, path: PathBuf, url: String) -> Result<PathBuf, Error> {
        let file = fs::File::open(&path).map_err(Error::file("open", &path))?;
        let length = file.metadata().map_err(Error::file("read", &path))?.len();
        self.shared.0.read_from(Arc::new(file));
        self.shared.0.close(length);
        self.begin(url, Some(length));
        self.tell(Event::Downloaded { bytes: length });
        Ok(path)
    }

    /// Brings everything from one place, with retries.
    async fn from(&mut self, target: &Target, part: &mut Part) -> Result<(), Error> {
        let pace = *self.order.http.pace();
        self.order.http.allow(target)?;
        self.order.http.check_grudge(target)?;
        let mut failed = 0;
        loop {
            let before = part.length();
            let failure = match self.attempt(target, part).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if part.length() >= before + pace.progress {
                failed = 0;
            }
            failed += 1;
            let under_way = self.ready.is_none();
            let may_pass = match failure.hope {
                Hope::Retry => true,
                Hope::Connection => under_way,
                Hope::None => false,
            };
            if !may_pass || failed >= pace.tries {
                return Err(*failure.error);
            }
            let pause = pace.pause(failed, failure.wish);
            info!(url = %target, failed, ?pause, bytes = part.length(), "download interrupted");
            self.tell(Event::Trouble { reason: reason(&failure.error) });
            sleep(pause).await;
        }
    }

    /// One connection's worth.
    async fn attempt(&mut self, target: &Target, part: &mut Part) -> Result<(), Failure> {
        let url = target.to_string();
        if part.origin().url == url && part.length() > 0 && part.origin().total == Some(part.length()) {
            // All of it came before, and only the rename is missing.
            self.begin(url, Some(part.length()));
            return Ok(());
        }
        let (response, start) = self.ask(target, part).await?;
        let total = match start {
            Start::Whole => number(response.headers().get(CONTENT_LENGTH)),
            Start::At(_) => part.origin().total,
        };
        self.check_length(target, total)?;
        let size = total.or(self.order.size);
        let validators = Validators::of(response.headers());
        let origin = match start {
            Start::Whole => Origin { url: url.clone(), validators, total: size },
            Start::At(_) => Origin { total: size, ..part.origin().clone() },
        };
        if matches!(start, Start::Whole) {
            self.shared.0.doubt();
        }
        if self.order.ends_in_directory {
            self.ask_ahead(target, size, &origin);
        }
        self.begin(url, size);
        self.receive(target, part, response, start, origin).await
    }

    /// Has the last bytes brought beside the rest, once, where that is worth a request.
    fn ask_ahead(&mut self, target: &Target, size: Option<u64>, origin: &Origin) {
        let ahead = self.order.http.pace().ahead;
        let Some(from) = size.filter(|size| *size >= ahead.saturating_mul(4)).map(|size| size - ahead) else { return };
        if !self.shared.0.ask_ahead() {
            return;
        }
        let (http, shared) = (Arc::clone(&self.order.http), Arc::clone(&self.shared.0));
        let (target, origin) = (target.clone(), Origin { total: size, ..origin.clone() });
        self.beside.spawn(async move {
            let bytes = end_of(&http, &target, from, ahead, &origin).await;
            shared.give_ahead(bytes.map(|bytes| (from, bytes)));
        });
    }

    /// What came ahead of the rest must be the rest's end.
    fn check_ahead(&self, target: &Target, part: &Part) -> Result<(), Error> {
        let Some((at, bytes)) = self.shared.0.came_ahead() else { return Ok(()) };
        let is_same = at + bytes.len() as u64 == part.length() && part.same(at, &bytes)? == bytes.len();
        if is_same { Ok(()) } else { Err(Error::Changed { url: target.to_string() }) }
    }

    /// Asks for what is missing, and for everything where the answer does not fit what is there.
    async fn ask(&self, target: &Target, part: &Part) -> Result<(Response, Start), Failure> {
        let http = &self.order.http;
        if let Some((from, headers)) = range::rest_of(target, part, http.pace().overlap) {
            let response = http.send(target, &headers).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT if range::continues(&response, from, part.origin()) => {
                    return Ok((response, Start::At(from)));
                }
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                    info!(url = %target, status = %response.status(), "resuming refused or wrong: starting over");
                }
                StatusCode::OK => return Ok((checked(target, response)?, Start::Whole)),
                _ => return Err(http.refusal(target, response).await),
            }
        }
        let response = http.send(target, &HeaderMap::new()).await?;
        if response.status() != StatusCode::OK {
            return Err(http.refusal(target, response).await);
        }
        Ok((checked(target, response)?, Start::Whole))
    }

    /// Refuses an answer whose length is not the promised one, before its bytes come.
    fn check_length(&self, target: &Target, total: Option<u64>) -> Result<(), Failure> {
        let limit = self.limit();
        match (total, self.order.size) {
            (Some(total), _) if total > limit => {
                Err(Failure::lasting(Error::TooLong { url: target.to_string(), limit }))
            }
            (Some(offered), Some(promised)) if offered < promised => {
                Err(Failure::lasting(unreachable(target, Cause::Length { promised, offered })))
            }
            _ => Ok(()),
        }
    }

    /// The most bytes that the archive may have.
    fn limit(&self) -> u64 {
        let longest = self.order.http.pace().longest_archive;
        self.order.size.map_or(longest, |size| size.min(longest))
    }

    /// Takes the body of an answer: compares what is there already, adds what is new.
    async fn receive(
        &mut self,
        target: &Target,
        part: &mut Part,
        mut response: Response,
        start: Start,
        origin: Origin,
    ) -> Result<(), Failure> {
        let total = origin.total;
        let (mut at, mut unadopted) = match start {
            Start::Whole => (0, Some(origin)),
            Start::At(from) => (from, None),
        };
        if at == part.length() {
            self.shared.0.vouch(at);
        }
        let mut is_first = true;
        while let Some(chunk) = self.order.http.chunk(target, &mut response).await? {
            if is_first && at == 0 && is_html(None, &chunk) {
                return Err(Failure::lasting(unreachable(target, Cause::Html)));
            }
            is_first = false;
            let limit = total.map_or(self.limit(), |total| total.min(self.limit()));
            if at + chunk.len() as u64 > limit {
                return Err(Failure::lasting(Error::TooLong { url: target.to_string(), limit }));
            }
            let mut new = &chunk[..];
            if at < part.length() {
                let same = part.same(at, new).map_err(Failure::lasting)?;
                (at, new) = (at + same as u64, &new[same..]);
                self.shared.0.vouch(at);
            }
            if new.is_empty() {
                continue;
            }
            if at < part.length() {
                let Some(origin) = unadopted.take() else { return Err(self.differs(target, part)) };
                self.replace(target, part, at, origin)?;
            } else if let Some(origin) = unadopted.take() {
                part.adopt(origin).map_err(Failure::lasting)?;
            }
            part.append(new).map_err(Failure::lasting)?;
            at += new.len() as u64;
            self.shared.0.vouch(at);
            self.tell_bytes(at);
        }
        if let Some(promised) = total.filter(|total| at < *total) {
            return Err(Failure::passing(unreachable(target, Cause::Short { promised, got: at })));
        }
        match unadopted {
            // Every byte was here before; the archive may be a shorter one now.
            Some(origin) if at < part.length() => self.replace(target, part, at, origin),
            Some(origin) => part.adopt(origin).map_err(Failure::lasting),
            None => Ok(()),
        }
    }

    /// The bytes that were asked for again are others: the next try asks for everything.
    fn differs(&self, target: &Target, part: &mut Part) -> Failure {
        let forget = Origin { url: String::new(), ..part.origin().clone() };
        match part.adopt(forget) {
            Ok(()) => Failure::passing(unreachable(target, Cause::Broken("the archive changed there".to_owned()))),
            Err(error) => Failure::lasting(error),
        }
    }

    /// Goes over to another state of the archive, which agrees with what is here up to `at`.
    fn replace(&self, target: &Target, part: &mut Part, at: u64, origin: Origin) -> Result<(), Failure> {
        let in_time = self.shared.0.cut(at);
        info!(url = %target, at, in_time, "the archive changed at its source");
        part.cut(at).and_then(|()| part.adopt(origin)).map_err(Failure::lasting)?;
        if in_time { Ok(()) } else { Err(Failure::lasting(Error::Changed { url: target.to_string() })) }
    }

    /// Says that the transfer is under way from a place; to the owner only once.
    fn begin(&mut self, url: String, size: Option<u64>) {
        if self.told.as_ref() != Some(&url) {
            self.tell(Event::Source { url: url.clone(), size });
            self.told = Some(url.clone());
        }
        self.shared.0.measure(size);
        if let Some(ready) = self.ready.take() {
            // Nobody waits any more when the download was given up meanwhile.
            let _ = ready.send(Started { url, size });
        }
    }

    fn tell_bytes(&mut self, bytes: u64) {
        if self.last_event.is_none_or(|last| last.elapsed() >= EVENT_PAUSE) {
            self.last_event = Some(Instant::now());
            self.tell(Event::Downloaded { bytes });
        }
    }

    fn tell(&self, event: Event) {
        self.order.watch.event(event);
    }
}

/// The bytes of an archive from `from` on, of which there are `length`, where its server gives them out by themselves.
async fn end_of(http: &Http, target: &Target, from: u64, length: u64, origin: &Origin) -> Option<Vec<u8>> {
    let mut response = http.send(target, &range::end_of(from, origin)).await.ok()?;
    if response.status() != StatusCode::PARTIAL_CONTENT || !range::continues(&response, from, origin) {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let mut bytes = Vec::with_capacity(length);
    while let Some(chunk) = http.chunk(target, &mut response).await.ok()? {
        if bytes.len() + chunk.len() > length {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    (bytes.len() == length).then_some(bytes)
}

/// A 200 that is a web page is none.
fn checked(target: &Target, response: Response) -> Result<Response, Failure> {
    if is_html(content_type(response.headers()), b"") {
        return Err(Failure::lasting(unreachable(target, Cause::Html)));
    }
    Ok(response)
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}

/// What a watcher is told about a failed try.
fn reason(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
