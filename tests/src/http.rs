//! As much of HTTP/1.1 as a file server needs: requests without a body, ranges, validators, connections kept alive.
//! For tests on loopback: one thread per connection, no limits, no TLS.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A request: everything before the empty line.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `HEAD`, or what else the client says.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// True when the query holds `pair`, such as `mode=json`.
    #[must_use]
    pub fn has_query(&self, pair: &str) -> bool {
        self.target.split_once('?').is_some_and(|(_, query)| query.split('&').any(|one| one == pair))
    }

    fn read(from: &mut impl BufRead) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no request line"));
        };
        let mut request = Request { method: method.to_owned(), target: target.to_owned(), headers: Vec::new() };
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
            request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

/// A server on loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and gives every request to `answer`. An error of `answer` ends the connection.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start<F>(address: SocketAddr, answer: F) -> io::Result<Server>
    where
        F: Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let (ended, answer) = (Arc::clone(&ending), Arc::new(answer));
        let accept = move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, Arc::clone(&answer)) else { continue };
                // A connection ends with its client; nobody waits for it.
                thread::spawn(move || converse(stream, &*answer));
            }
        };
        Ok(Server { address, ending, accepting: Some(thread::spawn(accept)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the flag.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(accepting) = self.accepting.take().filter(|_| woken) {
            accepting.join().ok();
        }
    }
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&Request, &mut TcpStream) -> io::Result<()>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut from)? {
        answer(&request, &mut stream)?;
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            break;
        }
    }
    Ok(())
}

/// Sends a short answer.
///
/// # Errors
/// When the client is gone.
pub fn send(stream: &mut TcpStream, request: &Request, status: &str, kind: &str, body: &[u8]) -> io::Result<()> {
    let mut head = head(status, body.len() as u64);
    head.push_str(&format!("content-type: {kind}\r\n\r\n"));
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(body)?;
    }
    Ok(())
}

/// The part of a file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From the first offset to the second, which is not part of it.
    Range(u64, u64),
    /// A range outside of the file.
    Nowhere,
    /// The client has it.
    Unchanged,
}

impl Part {
    /// Reads `Range`, `If-Range` and `If-None-Match`. Several ranges at once are answered by the whole, as is allowed.
    #[must_use]
    pub fn asked(request: &Request, tag: &str, len: u64) -> Part {
        if request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag)) {
            return Part::Unchanged;
        }
        let is_current = request.header("if-range").is_none_or(|one| one == tag);
        let range = request.header("range").filter(|_| is_current).and_then(|range| range.strip_prefix("bytes="));
        let Some((from, to)) = range.and_then(|range| range.split_once('-')) else { return Part::Whole };
        let (from, end) = match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) => (from, to.saturating_add(1).min(len)),
            (Ok(from), Err(_)) if to.is_empty() => (from, len),
            (Err(_), Ok(last)) if from.is_empty() => (len.saturating_sub(last), len),
            _ => return Part::Whole,
        };
        if from < end { Part::Range(from, end) } else { Part::Nowhere }
    }
}

/// Sends a file or the part of it that is asked for. `piece` is called before every piece of the body with its offset
/// in the file and the bytes left to send; it says how many may go next, or ends the answer by an error.
///
/// # Errors
/// When the client is gone, the file cannot be read, or `piece` says so.
pub fn send_file(
    stream: &mut TcpStream,
    request: &Request,
    file: &mut (impl Read + Seek),
    tag: &str,
    mut piece: impl FnMut(u64, u64) -> io::Result<u64>,
) -> io::Result<()> {
    let len = file.seek(SeekFrom::End(0))?;
    let (status, from, end, range) = match Part::asked(request, tag, len) {
        Part::Whole => ("200 OK", 0, len, None),
        Part::Range(from, end) => ("206 Partial Content", from, end, Some(format!("bytes {from}-{}/{len}", end - 1))),
        Part::Nowhere => ("416 Range Not Satisfiable", 0, 0, Some(format!("bytes */{len}"))),
        Part::Unchanged => ("304 Not Modified", 0, 0, None),
    };
    let mut head = head(status, end - from);
    head.push_str(&format!("accept-ranges: bytes\r\netag: {tag}\r\ncontent-type: application/octet-stream\r\n"));
    if let Some(range) = range {
        head.push_str(&format!("content-range: {range}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(from))?;
    let (mut at, mut buffer) = (from, vec![0; 64 * 1024]);
    while at < end {
        let most = piece(at, end - at)?;
        let room = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
        let got = file.read(&mut buffer[..room])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&buffer[..got])?;
        at += got as u64;
    }
    Ok(())
}

fn head(status: &str, len: u64) -> String {
    let length = if status.starts_with("304") { String::new() } else { format!("content-length: {len}\r\n") };
    format!("HTTP/1.1 {status}\r\n{length}")
}

#[cfg(test)]
mod tests {
    use super::{Part, Request};

    fn asked(headers: &str) -> Part {
        let text = format!("GET /dl/?mode=json&include=all HTTP/1.1\r\n{headers}\r\n");
        let request = Request::read(&mut text.as_bytes()).unwrap().unwrap();
        assert!(request.path() == "/dl/" && request.has_query("mode=json") && request.has_query("include=all"));
        Part::asked(&request, "\"a\"", 100)
    }

    #[test]
    fn a_request_gets_the_part_that_it_asks_for() {
        let check = |headers: &str, expect: Part| assert_eq!(asked(headers), expect, "{headers}");
        check("", Part::Whole);
        check("Range: bytes=10-\r\n", Part::Range(10, 100));
        check("range: bytes=10-19\r\n", Part::Range(10, 20));
        check("Range: bytes=0-999\r\n", Part::Range(0, 100));
        check("Range: bytes=-10\r\n", Part::Range(90, 100));
        check("Range: bytes=100-\r\n", Part::Nowhere);
        check("Range: bytes=1-2,4-5\r\n", Part::Whole);
        check("Range: bytes=10-\r\nIf-Range: \"a\"\r\n", Part::Range(10, 100));
        check("Range: bytes=10-\r\nIf-Range: \"b\"\r\n", Part::Whole);
        check("If-None-Match: \"b\", \"a\"\r\n", Part::Unchanged);
        check("If-None-Match: \"b\"\r\n", Part::Whole);
    }
}
