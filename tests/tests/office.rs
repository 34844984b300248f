//! One machine downloads for the office: `govern mirror serve` between a source and those who install from it, with the
//! real programs and SDKs of a few kilobytes. What a plain `go` makes of it is shown with real SDKs (`real_sdks`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::{Fault, Mirror};
use tempfile::TempDir;

/// A machine that serves, between a source and others.
struct Office {
    home: TestHome,
    upstream: Mirror,
    server: Child,
    /// `127.0.0.1:PORT`.
    address: String,
    _archives: TempDir,
}

impl Office {
    fn new(published: &[&str]) -> Office {
        let archives = TempDir::new().unwrap();
        for version in published {
            fake::tarball(archives.path(), &version.parse().unwrap(), &platform()).unwrap();
        }
        let upstream = Mirror::serve(archives.path()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", upstream.url());
        let (server, address) = serve(&home, &[]);
        Office { home, upstream, server, address, _archives: archives }
    }

    /// Another machine, whose only source is this one.
    fn client(&self) -> TestHome {
        let mut client = TestHome::new();
        client.export("GOVERN_DL_URL", format!("http://{}/dl/", self.address));
        client
    }

    fn archive(&self, version: &str) -> String {
        format!("/dl/{}", platform().archive(&version.parse().unwrap()))
    }

    /// The answer to a request, as it comes over the wire.
    fn answer(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.answer(&format!("GET {path} HTTP/1.1\nHost: mirror\nConnection: close\n{headers}\n"))
    }

    fn end(&mut self) {
        let pid = self.server.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(self.server.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Starts a mirror, and reads its address from what it prints.
fn serve(home: &TestHome, more: &[&str]) -> (Child, String) {
    let mut command = home.govern(["mirror", "serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.trim_end().strip_prefix("http://").expect("the first line is the URL").to_owned();
    (server, address)
}

fn install(client: &TestHome, version: &str) -> Outcome {
    client.run(client.govern(["install", version]))
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

#[test]
fn one_download_serves_the_office_and_goes_on_when_the_source_is_gone() {
    let mut office = Office::new(&["1.24.11", "1.26.6"]);
    let clients: Vec<TestHome> = (0..4).map(|_| office.client()).collect();
    thread::scope(|scope| {
        let asking: Vec<_> = clients.iter().map(|client| scope.spawn(|| install(client, "1.24.11"))).collect();
        for outcome in asking {
            let outcome = outcome.join().unwrap();
            assert_eq!(outcome.status, 0, "{outcome}");
        }
    });
    assert_eq!(office.upstream.requests(&office.archive("1.24.11")), 1, "one download for all");
    assert_eq!(office.upstream.requests(&office.archive("1.26.6")), 0, "and none for nobody");

    // Whoever serves offline gives out what is there, and says of the rest that it is not.
    office.end();
    office.home.export("GOVERN_DL_URL", "http://127.0.0.1:1/dl/");
    (office.server, office.address) = serve(&office.home, &["--offline"]);
    let late = office.client();
    let outcome = install(&late, "1.24.11");
    assert_eq!(outcome.status, 0, "{outcome}");
    let outcome = install(&late, "1.26.6");
    assert_eq!(outcome.status, 4, "{outcome}");
    office.end();
}

#[test]
fn what_the_source_gets_wrong_is_given_to_nobody() {
    let office = Office::new(&["1.24.11"]);
    let archive = platform().archive(&"1.24.11".parse().unwrap());
    office.upstream.inject(&archive, Fault::Flip(40));
    let client = office.client();
    let outcome = install(&client, "1.24.11");
    assert_ne!(outcome.status, 0, "{outcome}");
    let kept = office.home.layout().archives();
    assert_eq!(std::fs::read_dir(kept).map_or(0, Iterator::count), 0, "nothing unproven is kept");
    office.upstream.heal();
    let outcome = install(&client, "1.24.11");
    assert_eq!(outcome.status, 0, "{outcome}");
}

#[test]
fn the_mirror_keeps_to_the_manners_of_http_and_to_its_shelf() {
    let office = Office::new(&["1.24.11"]);
    let archive = office.archive("1.24.11");
    let whole = office.get(&archive, "");
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
    let etag = whole.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    let starts = |answer: &str, status: &str| assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");

    starts(&office.get(&archive, "Range: bytes=0-9\n"), "206");
    starts(&office.get(&archive, &format!("Range: bytes=0-9\nIf-Range: {etag}\n")), "206");
    starts(&office.get(&archive, "Range: bytes=0-9\nIf-Range: \"another\"\n"), "200");
    starts(&office.get(&archive, "Range: bytes=99999999-\n"), "416");
    starts(&office.get(&archive, &format!("If-None-Match: {etag}\n")), "304");
    let head = office.answer(&format!("HEAD {archive} HTTP/1.1\nHost: mirror\nConnection: close\n\n"));
    starts(&head, "200");
    assert!(head.ends_with("\r\n\r\n"), "no body");
    let digest = office.get(&format!("{archive}.sha256"), "");
    assert!(digest.contains(etag.trim_matches('"')), "{digest}");
    let list = office.get("/dl/?mode=json&include=all", "");
    assert!(list.contains("\"version\":\"go1.24.11\"") && list.contains(etag.trim_matches('"')), "{list}");

    let none = |request: &str| starts(&office.get(request, ""), "404");
    none("/dl/go1.99.9.linux-amd64.tar.gz");
    none("/dl/../../etc/passwd");
    none("/dl/%2e%2e/%2e%2e/etc/passwd");
    none("/dl/go1.24.11.linux-amd64.tar.gz.json");
    none("/archives/");
    none("/");
    none("/github.com/google/uuid/@v/list");
    none("/golang.org/toolchain/@v/v0.0.1-go1.24.11.linux-amd64.zip.json");
    none("/golang.org/toolchain/@v/v0.0.1-GO1.24.11.linux-amd64.zip");
    // GOSUMDB is off for this machine: no database is passed on.
    none("/sumdb/sum.golang.org/supported");
    none(&format!("/dl/{}", "x".repeat(2000)));
    let post = office.answer("POST /dl/ HTTP/1.1\nHost: mirror\nConnection: close\nContent-Length: 0\n\n");
    starts(&post, "405");
    let info = office.get("/golang.org/toolchain/@v/v0.0.1-go1.24.11.linux-amd64.info", "");
    assert!(info.ends_with("{\"Version\":\"v0.0.1-go1.24.11.linux-amd64\"}"), "{info}");
    assert!(!office.get("not HTTP", "").starts_with("HTTP/1.1 200"));
}
