//! Speaks to the daemon: HTTP/1.1 over its Unix socket. One connection a request; nothing is retried here.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use govern_core::problem::{Code, Report};

use crate::body;
use crate::problem::Problem;
use crate::route;
use crate::sse::Events;

/// The only Host that the daemon answers to.
pub const HOST: &str = "govern.local";

/// The longest answer that is taken, in bytes. Lists of all releases are far below it.
const MAX_ANSWER: usize = 16 << 20;

/// How long the daemon may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no socket: no daemon was started.
    #[error("the govern daemon is not running")]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// There is a socket, and nobody listens.
    #[error("the govern daemon does not answer: {} exists, nobody listens", socket.display())]
    NobodyListens {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket belongs to somebody else.
    #[error("the daemon behind {} runs as another user (uid {uid})", socket.display())]
    Stranger {
        /// The socket.
        socket: PathBuf,
        /// The other user.
        uid: u32,
    },
    /// The connection cannot be made or breaks.
    #[error("the govern daemon does not answer on {}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer is none that this program understands.
    #[error("the govern daemon's answer cannot be understood")]
    Garbled {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon says no.
    #[error("{}", .0.title)]
    Problem(Problem),
}

impl Error {
    /// True when no daemon could be asked, so that another way may be taken.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::NotRunning { .. } | Error::NobodyListens { .. } | Error::Broken { .. })
    }

    /// As a person is told.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Error::Problem(problem) => problem.clone().into(),
            Error::Garbled { .. } => Report::of(Code::Daemon, self).hint("govern daemon restart"),
            _ => Report::of(Code::Daemon, self).hint("govern daemon start"),
        }
    }
}

/// A way to the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    uid: u32,
}

impl Client {
    /// Speaks to the daemon behind `socket`, if it runs as `uid`.
    #[must_use]
    pub fn new(socket: &Path, uid: u32) -> Client {
        Client { socket: socket.to_owned(), uid }
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// As [`enum@Error`] says; the same for all that follow.
    pub async fn status(&self) -> Result<body::Status, Error> {
        self.get(route::STATUS).await
    }

    /// Which Go would run there.
    pub async fn decision(&self, ask: &body::Ask) -> Result<body::Decision, Error> {
        self.post(route::DECISION, ask).await
    }

    /// The installed SDKs.
    pub async fn sdks(&self) -> Result<body::Sdks, Error> {
        self.get(route::SDKS).await
    }

    /// The releases there are.
    pub async fn releases(&self, wanted: &body::ReleasesWanted) -> Result<body::Releases, Error> {
        self.post(route::RELEASES, wanted).await
    }

    /// The directories that asked.
    pub async fn projects(&self) -> Result<body::Projects, Error> {
        self.get(route::PROJECTS).await
    }

    /// Starts or joins a change.
    pub async fn start(&self, job: &body::NewJob) -> Result<body::Job, Error> {
        self.post(route::JOBS, job).await
    }

    /// Running and lately finished changes.
    pub async fn jobs(&self) -> Result<body::Jobs, Error> {
        self.get(route::JOBS).await
    }

    /// Asks the daemon to end.
    pub async fn shutdown(&self) -> Result<body::Status, Error> {
        self.post(route::SHUTDOWN, &()).await
    }

    /// Follows a job to its end, giving every event to `seen`; the last one is given back.
    pub async fn follow(&self, id: u64, mut seen: impl FnMut(&body::JobEvent)) -> Result<body::JobEvent, Error> {
        let response = self.send(Method::GET, &route::job_events(id), Bytes::new()).await?;
        let mut body = refused(response).await?.into_body();
        let mut events = Events::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| self.broken(source))?;
            if !frame.data_ref().is_none_or(|data| events.push(data)) {
                return Err(Error::Garbled { source: "an event is too long".into() });
            }
            while let Some(data) = events.next() {
                let event: body::JobEvent = serde_json::from_str(&data).map_err(garbled)?;
                seen(&event);
                if event.is_last() {
                    return Ok(event);
                }
            }
        }
        Err(self.broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon ended before the job did")))
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Error> {
        answer(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Error> {
        let body = serde_json::to_vec(body).map_err(garbled)?;
        answer(self.send(Method::POST, path, body.into()).await?).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Error> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|source| self.broken(source))?;
        // Ends by itself when the answer's body is read or dropped.
        drop(tokio::spawn(connection));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(garbled)?;
        sender.send_request(request).await.map_err(|source| self.broken(source))
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        let socket = || self.socket.clone();
        let stream = match timeout(CONNECT, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NotRunning { socket: socket() }),
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(Error::NobodyListens { socket: socket() });
            }
            Ok(Err(source)) => return Err(Error::Broken { socket: socket(), source }),
            Err(_) => return Err(self.broken(io::Error::from(io::ErrorKind::TimedOut))),
        };
        let peer = stream.peer_cred().map_err(|source| self.broken(source))?;
        if peer.uid() != self.uid {
            return Err(Error::Stranger { socket: socket(), uid: peer.uid() });
        }
        Ok(stream)
    }

    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Broken { socket: self.socket.clone(), source: io::Error::other(source) }
    }
}

fn garbled(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Garbled { source: source.into() }
}

/// Turns an answer that is a problem into an error.
async fn refused(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = collect(response).await?;
    let problem = serde_json::from_slice(&body).map_err(|_| garbled(format!("HTTP status {status}")))?;
    Err(Error::Problem(problem))
}

async fn answer<A: DeserializeOwned>(response: Response<Incoming>) -> Result<A, Error> {
    let body = collect(refused(response).await?).await?;
    serde_json::from_slice(&body).map_err(garbled)
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Error> {
    Ok(Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(garbled)?.to_bytes())
}
