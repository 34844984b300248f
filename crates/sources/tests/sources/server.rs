//! A server of HTTP/1.1 that does what a test's script says: one answer per connection, as wrong as wished for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path and query; the whole URL where the server is asked as a proxy.
    pub(crate) target: String,
    /// Names in small letters.
    headers: HashMap<String, String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte that is asked for.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is done after the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    /// Neither closes nor sends.
    Stall,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How many bytes of the body are sent.
    sent: usize,
    then: Then,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        Answer { status, headers: Vec::new(), sent: body.len(), body, then: Then::Close }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
        Answer::new(200, body)
    }

    pub(crate) fn redirect(to: impl Into<String>) -> Answer {
        Answer::new(302, "").with("location", to)
    }

    /// Adds a header, or replaces the one that would be sent: `content-length` may lie.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends that many bytes of the body, and no more.
    pub(crate) fn cut(mut self, at: usize) -> Answer {
        self.sent = self.sent.min(at);
        self
    }

    /// True for the answer to a range.
    pub(crate) fn is_partial(&self) -> bool {
        self.status == 206
    }

    pub(crate) fn then(mut self, then: Then) -> Answer {
        self.then = then;
        self
    }
}

/// A file as a good server gives it out: with ranges, and `If-Range` heeded.
pub(crate) fn file(request: &Request, bytes: &[u8], etag: &str) -> Answer {
    let whole = || Answer::ok(bytes).with("etag", etag);
    let Some(start) = request.range_start() else { return whole() };
    if request.header("if-range").is_some_and(|known| known != etag) {
        return whole();
    }
    if start >= bytes.len() {
        return Answer::new(416, "").with("content-range", format!("bytes */{}", bytes.len()));
    }
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    Answer::new(206, &bytes[start..]).with("etag", etag).with("content-range", range)
}

/// A running server. It ends with the test.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicU64>,
    body_bytes: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `script` at a port of 127.0.0.1.
    pub(crate) async fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
        Server::start_with(script, |stream| async move { Some(stream) }).await
    }

    /// As [`Server::start`], with something between the connection and HTTP, such as TLS.
    pub(crate) async fn start_with<S, F>(
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        accept: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
    ) -> Server
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, connections, body_bytes) = <(Arc<Mutex<Vec<Request>>>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (seen_too, connections_too, body_bytes_too) = (seen.clone(), connections.clone(), body_bytes.clone());
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            // Dropped with the task, so that no connection outlives the test.
            let mut running = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections_too.fetch_add(1, Ordering::SeqCst);
                let (script, seen, body_bytes) = (script.clone(), seen_too.clone(), body_bytes_too.clone());
                let accepted = accept(stream);
                running.spawn(async move {
                    let Some(stream) = accepted.await else { return };
                    let mut stream = BufReader::new(stream);
                    let Some(request) = read(&mut stream).await else { return };
                    seen.lock().unwrap().push(request.clone());
                    answer(stream.into_inner(), script(&request), &body_bytes).await;
                });
            }
        });
        Server { port, seen, connections, body_bytes, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|request| request.target).collect()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that were sent.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::SeqCst)
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    Some(Request { target, headers })
}

async fn answer(mut stream: impl AsyncWrite + Unpin, answer: Answer, body_bytes: &AtomicU64) {
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", answer.status);
    let lies = answer.headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding");
    if !lies && answer.status != 304 {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        // `-` leaves the header out: a body that ends with the connection.
        if value != "-" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    let body = &answer.body[..answer.sent];
    // A client that hangs up early is what some tests are about.
    if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(body).await.is_ok() {
        body_bytes.fetch_add(body.len() as u64, Ordering::SeqCst);
    }
    if answer.then == Then::Stall {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}
