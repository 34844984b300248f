//! Bad input from the network, with the real programs: the faults 75 to 91 of the reliability study, a scenario or more
//! each. A refusal names its cause and its source, says what to type, has the right exit code and leaves nothing behind;
//! what came of a broken download is kept. The message is the same with the daemon and without it.
//!
//! Where many shapes of one fault matter more than the message, the crate that meets it first has them:
//! `crates/sources/tests/sources` (75–85, 91), `crates/store/tests/store` (87–89), `crates/sources/tests/sumdb` (90).
//!
//! Longer than other files, so that all faults stand in one table.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Cursor, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::http::{self, Request, Server};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Makes a test of each scenario, and a list of all of them.
macro_rules! scenarios {
    ($($fault:literal $name:ident)*) => {
        $(
            #[doc = concat!("Fault ", $fault, ".")]
            #[test]
            fn $name() {
                scenarios::$name();
            }
        )*

        const SCENARIOS: &[(u32, &str)] = &[$(($fault, stringify!($name))),*];
    };
}

scenarios! {
    75 a_download_that_breaks_off_for_good_is_kept_and_gone_on_with
    76 an_archive_that_changed_since_it_broke_off_is_taken_anew
    77 a_server_that_ignores_ranges_is_read_from_the_start
    77 a_server_that_sends_another_range_is_asked_again_for_the_whole
    77 a_server_that_says_there_is_no_such_range_is_asked_again_for_the_whole
    78 a_wrong_digest_is_told_with_both_digests_and_the_place
    78 a_mirror_with_wrong_bytes_is_left_for_the_next
    78 an_archive_longer_than_promised_is_refused
    79 a_web_page_instead_of_the_list_is_called_one
    79 a_web_page_instead_of_the_archive_is_called_one
    80 a_redirect_to_a_file_is_not_followed
    80 redirects_without_an_end_are_not_followed
    81 what_is_no_tls_is_named_and_the_certificate_can_be_looked_at
    82 a_proxy_that_wants_a_password_is_named_without_the_one_it_got
    83 a_name_without_an_address_is_named
    83 a_port_where_nobody_listens_is_named
    83 what_is_installed_works_without_any_network
    84 a_server_that_asks_for_a_pause_gets_it
    84 a_server_that_asks_for_an_hour_is_left
    85 a_list_without_an_end_is_cut_short
    85 a_list_nested_too_deeply_is_none
    85 a_list_with_double_and_unknown_fields_is_read
    86 a_release_for_other_platforms_names_them_and_the_nearest_for_this_one
    86 a_family_for_other_platforms_names_the_nearest_for_this_one
    86 an_unknown_release_names_the_nearest
    86 a_release_that_was_taken_back_is_missed_at_its_place
    87 an_archive_that_ends_early_is_refused
    87 an_archive_with_bytes_behind_it_is_refused
    87 an_archive_of_two_gzip_members_is_refused
    87 an_archive_with_a_wrong_check_sum_is_refused
    88 an_archive_that_climbs_out_is_refused
    88 an_archive_with_a_link_is_refused
    89 an_archive_that_inflates_without_an_end_is_refused
    90 a_log_that_says_nothing_is_not_believed
    90 a_log_that_says_something_else_is_not_believed
    90 a_log_that_does_not_sign_is_not_believed
    90 a_log_with_a_wrong_signature_is_not_believed
    91 a_log_out_of_reach_leaves_the_digest_as_the_proof
    91 a_log_out_of_reach_that_is_a_must_refuses
    91 a_module_proxy_without_a_log_refuses
}

#[test]
fn every_fault_has_a_scenario() {
    let faults: BTreeSet<u32> = SCENARIOS.iter().map(|(fault, _)| *fault).collect();
    println!("{} scenarios for {} faults", SCENARIOS.len(), faults.len());
    assert_eq!(faults, (75..=91).collect());
    assert!(SCENARIOS.len() >= 40);
}

const VERSION: &str = "1.26.6";

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

fn archive_name(version: &str) -> String {
    platform().archive(&version.parse().unwrap())
}

/// A fake SDK as its tarball.
fn sound(version: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    fs::read(fake::tarball(directory.path(), &version.parse().unwrap(), &platform()).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A release as the list of a download page has it.
fn release(version: &str, archive: &[u8]) -> serde_json::Value {
    let platform = platform();
    release_for(version, &platform.os, &platform.arch, archive)
}

fn release_for(version: &str, os: &str, arch: &str, archive: &[u8]) -> serde_json::Value {
    json!({ "version": format!("go{version}"), "stable": true, "files": [{
        "filename": format!("go{version}.{os}-{arch}.tar.gz"), "os": os, "arch": arch, "kind": "archive",
        "sha256": hex(archive), "size": archive.len(),
    }]})
}

/// What a script may do instead of the right answer; `None` leaves it to the server.
type Twist = Option<io::Result<()>>;

/// A server on loopback that counts.
struct Site {
    server: Server,
    requests: Arc<AtomicUsize>,
    /// Bytes of archives.
    sent: Arc<AtomicU64>,
}

impl Site {
    /// Answers every request by a script.
    fn scripted(script: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Site {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let answer = move |request: &Request, stream: &mut TcpStream| {
            counted.fetch_add(1, Ordering::SeqCst);
            script(request, stream)
        };
        let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), answer).unwrap();
        Site { server, requests, sent: Arc::default() }
    }

    /// A download page with a list and one archive; the script sees the requests for the archive, counted from 0.
    fn page(
        list: serde_json::Value,
        archive: Vec<u8>,
        twist: impl Fn(usize, &Request, &mut TcpStream) -> Twist + Send + Sync + 'static,
    ) -> Site {
        let (number, sent) = (AtomicUsize::new(0), Arc::<AtomicU64>::default());
        let counted = Arc::clone(&sent);
        let site = Site::scripted(move |request, stream| {
            if request.path() == "/dl/" {
                return http::send(stream, request, "200 OK", "application/json", list.to_string().as_bytes());
            }
            match twist(number.fetch_add(1, Ordering::SeqCst), request, stream) {
                Some(done) => done,
                None => send(stream, request, &archive, "\"one\"", u64::MAX, &counted),
            }
        });
        Site { sent, ..site }
    }

    /// A page with one sound release.
    fn good(twist: impl Fn(usize, &Request, &mut TcpStream) -> Twist + Send + Sync + 'static) -> Site {
        let archive = sound(VERSION);
        Site::page(json!([release(VERSION, &archive)]), archive, twist)
    }

    /// A page whose one archive is as it is promised, and wrong in itself.
    fn of(archive: Vec<u8>) -> Site {
        Site::page(json!([release(VERSION, &archive)]), archive, |_, _, _| None)
    }

    fn host(&self) -> String {
        self.server.address().to_string()
    }

    fn url(&self) -> String {
        format!("http://{}/dl/", self.host())
    }

    fn archive(&self) -> String {
        format!("{}{}", self.url(), archive_name(VERSION))
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Sends an archive up to the offset `end`, where the connection breaks.
fn send(
    stream: &mut TcpStream,
    request: &Request,
    archive: &[u8],
    tag: &str,
    end: u64,
    sent: &AtomicU64,
) -> io::Result<()> {
    http::send_file(stream, request, &mut Cursor::new(archive), tag, |at, left| {
        let most = left.min(end.saturating_sub(at));
        sent.fetch_add(most, Ordering::SeqCst);
        if most == 0 { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(most) }
    })
}

fn text(stream: &mut TcpStream, request: &Request, status: &str, body: &str) -> Twist {
    Some(http::send(stream, request, status, "text/plain", body.as_bytes()))
}

const PAGE: &[u8] = b"<!doctype html><title>Log in</title>\n";

/// What is expected of a refusal.
struct Refusal<'a> {
    status: i32,
    /// All of these are in the message.
    says: &'a [&'a str],
    /// One of the commands to paste.
    hint: &'a str,
}

struct World {
    home: TestHome,
}

impl World {
    fn at(url: &str) -> World {
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", url);
        World { home }
    }

    fn run(&self, arguments: &[&str], daemon: bool) -> Outcome {
        let mut command = self.home.govern(arguments);
        if !daemon {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        self.home.run(command)
    }

    /// Installs, and tells what was said.
    fn installs(&self) -> String {
        let outcome = self.run(&["install", VERSION], false);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome}");
        self.works();
        outcome.stderr
    }

    /// What was installed is the SDK, and nothing else is left.
    fn works(&self) {
        let mut go = self.home.go(["version"]);
        go.env("GOVERN_NO_DAEMON", "1");
        let outcome = self.home.run(go);
        let expect = format!("go version go{VERSION} {}\n", platform());
        assert_eq!((outcome.stdout, outcome.stderr.as_str()), (expect, ""));
        let expect = BTreeSet::from([format!("go{VERSION}"), format!("go{VERSION}.json")]);
        assert_eq!(self.traces(), expect);
    }

    /// Refuses to install, with the daemon as without it, and leaves nothing behind.
    fn refuses(&self, word: &str, refusal: &Refusal<'_>) -> String {
        let without = self.refused(word, refusal, false);
        assert_eq!(self.traces(), BTreeSet::new(), "something is left behind\n{without}");
        let with = self.refused(word, refusal, true);
        assert_eq!(self.traces(), BTreeSet::new(), "the daemon left something behind\n{with}");
        assert_eq!(with, without, "daemon and command line tell it differently");
        assert!(!self.home.log().contains("s3cret"), "a password is in the log");
        without
    }

    fn refused(&self, word: &str, refusal: &Refusal<'_>, daemon: bool) -> String {
        let outcome = self.run(&["install", word], daemon);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (refusal.status, ""), "{outcome}");
        for says in refusal.says {
            assert!(outcome.stderr.contains(says), "`{says}` is missing\n{outcome}");
        }
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        let error = lines.iter().position(|line| line.starts_with("error: ")).unwrap();
        assert_eq!(lines[error + 1], format!("  wanted by `{word}` on the command line"), "{outcome}");
        let hints: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("hint: ")).collect();
        assert!((1..=2).contains(&hints.len()) && hints.contains(&refusal.hint), "{hints:?}\n{outcome}");
        assert!(!outcome.stderr.contains("s3cret"), "a password is told\n{outcome}");
        outcome.stderr
    }

    /// Everything below the SDKs, their records and the downloads, hidden or not.
    fn traces(&self) -> BTreeSet<String> {
        let layout = self.home.layout();
        let dirs = [layout.sdks(), layout.records(), layout.downloads()];
        let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

const AGAIN: &str = "govern install 1.26.6";
const FROM_GO_DEV: &str = "GOVERN_DL_URL=https://go.dev/dl/ govern install 1.26.6";

/// Refuses an archive that is as promised, and wrong in itself.
fn refuses_archive(archive: Vec<u8>, says: &str) {
    let site = Site::of(archive);
    let expect = Refusal { status: 7, says: &[&site.archive(), says], hint: FROM_GO_DEV };
    let world = World::at(&site.url());
    world.refuses(VERSION, &expect);
    assert!(!world.home.path().join("x").exists() && !world.home.layout().data.join("x").exists());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A tarball whose last entry is as wrong as wished for.
fn tarball(name: &str, kind: tar::EntryType, size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, size, bytes) in
        [("go/VERSION", tar::EntryType::Regular, 9, &b"go1.26.6\n"[..]), (name, kind, size, bytes)]
    {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

/// Refuses to believe a checksum database that answers lookups like this.
fn disbelieves(answer: &'static str, says: &str) {
    let log = Site::scripted(move |request, stream| text(stream, request, "200 OK", answer).unwrap());
    let archive = sound(VERSION);
    let site = Site::page(json!([release(VERSION, &archive)]), archive, |_, _, _| None);
    let mut world = World::at(&site.url());
    world.home.export("GOSUMDB", format!("sum.golang.org http://{}", log.host()));
    let says =
        ["go1.26.6", "security: the checksum database sum.golang.org cannot be believed", says].as_slice().to_vec();
    let hint = "GOSUMDB='sum.golang.org https://sum.golang.org' govern install 1.26.6";
    world.refuses(VERSION, &Refusal { status: 7, says: &says, hint });
    assert_eq!(site.sent.load(Ordering::SeqCst), 0, "a byte of the archive was fetched");
}

mod scenarios {
    use super::*;

    pub(super) fn a_download_that_breaks_off_for_good_is_kept_and_gone_on_with() {
        let archive = sound(VERSION);
        let (half, open) = (archive.len() as u64 / 2, Arc::new(AtomicUsize::new(0)));
        let (bytes, gate, sent) = (archive.clone(), Arc::clone(&open), Arc::<AtomicU64>::default());
        let counted = Arc::clone(&sent);
        let site = Site::page(json!([release(VERSION, &archive)]), archive.clone(), move |_, request, stream| {
            let end = if gate.load(Ordering::SeqCst) == 0 { half } else { u64::MAX };
            Some(send(stream, request, &bytes, "\"one\"", end, &counted))
        });
        let world = World::at(&site.url());
        let refusal = Refusal { status: 5, says: &[&site.archive(), "the connection broke"], hint: AGAIN };
        for daemon in [false, true] {
            world.refused(VERSION, &refusal, daemon);
            let kept = format!("{}.part", archive_name(VERSION));
            let expect = BTreeSet::from([kept.clone(), format!("{}.json", archive_name(VERSION))]);
            assert_eq!(world.traces(), expect);
            assert_eq!(fs::metadata(world.home.layout().downloads().join(kept)).unwrap().len(), half);
        }
        open.store(1, Ordering::SeqCst);
        world.installs();
        let sent = sent.load(Ordering::SeqCst);
        assert_eq!(sent, archive.len() as u64, "bytes were fetched twice");
    }

    pub(super) fn an_archive_that_changed_since_it_broke_off_is_taken_anew() {
        // The same release, republished: other bytes, another tag.
        let (old, new) = (sound("1.26.5"), sound(VERSION));
        let validators = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&validators);
        let (first, second) = (old, new.clone());
        let site = Site::page(json!([release(VERSION, &new)]), new, move |number, request, stream| {
            seen.lock().unwrap().push(request.header("if-range").map(str::to_owned));
            let (archive, tag, end) =
                if number == 0 { (&first, "\"old\"", 1500) } else { (&second, "\"new\"", u64::MAX) };
            // Of the promised length, so that it is not refused for that.
            let mut archive = archive.clone();
            archive.resize(second.len(), 0);
            Some(send(stream, request, &archive, tag, end, &AtomicU64::new(0)))
        });
        World::at(&site.url()).installs_after_a_change();
        assert_eq!(validators.lock().unwrap()[1].as_deref(), Some("\"old\""), "the server was not told what is here");
    }

    impl World {
        /// Bytes of the old archive may have been unpacked already: then the first install says so, and the next one does.
        fn installs_after_a_change(&self) {
            let first = self.run(&["install", VERSION], false);
            if first.status == 0 {
                return self.works();
            }
            assert_eq!(first.status, 5, "{first}");
            assert!(first.stderr.contains("changed while it was downloaded"), "{first}");
            assert!(first.stderr.contains(&format!("hint: {AGAIN}\n")), "{first}");
            self.installs();
        }
    }

    /// Breaks the first answer off and lets the second one be wrong.
    fn resumes_in_spite_of(wrong: impl Fn(&Request, &mut TcpStream, &[u8]) -> Twist + Send + Sync + 'static) {
        let archive = sound(VERSION);
        let bytes = archive.clone();
        let site =
            Site::page(json!([release(VERSION, &archive)]), archive, move |number, request, stream| match number {
                0 => Some(send(stream, request, &bytes, "\"one\"", 1500, &AtomicU64::new(0))),
                1 => {
                    assert_eq!(request.header("range"), Some("bytes=1500-"));
                    wrong(request, stream, &bytes)
                }
                _ => None,
            });
        World::at(&site.url()).installs();
        assert!(site.requests() >= 3);
    }

    pub(super) fn a_server_that_ignores_ranges_is_read_from_the_start() {
        resumes_in_spite_of(|request, stream, bytes| {
            Some(http::send(stream, request, "200 OK", "application/octet-stream", bytes))
        });
    }

    pub(super) fn a_server_that_sends_another_range_is_asked_again_for_the_whole() {
        resumes_in_spite_of(|request, stream, bytes| {
            let len = bytes.len();
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\netag: \"one\"\r\ncontent-range: bytes 1000-{}/{len}\r\n\r\n",
                len - 1000,
                len - 1,
            );
            let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes[1000..]));
            let _ = request;
            Some(sent)
        });
    }

    pub(super) fn a_server_that_says_there_is_no_such_range_is_asked_again_for_the_whole() {
        resumes_in_spite_of(|request, stream, _| text(stream, request, "416 Range Not Satisfiable", ""));
    }

    pub(super) fn a_wrong_digest_is_told_with_both_digests_and_the_place() {
        let archive = sound(VERSION);
        let promised = "0".repeat(64);
        let mut list = release(VERSION, &archive);
        list["files"][0]["sha256"] = json!(promised);
        let site = Site::page(json!([list]), archive.clone(), |_, _, _| None);
        let says = [site.archive(), format!("its SHA-256 is {}, {promised} was promised", hex(&archive))];
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 7, says: &says, hint: FROM_GO_DEV });
    }

    pub(super) fn a_mirror_with_wrong_bytes_is_left_for_the_next() {
        let mut wrong = sound("1.26.5");
        let right = sound(VERSION);
        wrong.resize(right.len(), 0);
        let bad = Site::page(json!([release(VERSION, &right)]), wrong, |_, _, _| None);
        let good = Site::good(|_, _, _| None);
        let said = World::at(&format!("{},{}", bad.url(), good.url())).installs();
        assert!(bad.sent.load(Ordering::SeqCst) > 0 && good.sent.load(Ordering::SeqCst) > 0);
        assert!(said.contains(&format!("note: {} is ", bad.archive())), "{said}");
    }

    pub(super) fn an_archive_longer_than_promised_is_refused() {
        let archive = sound(VERSION);
        let mut list = release(VERSION, &archive);
        list["files"][0]["size"] = json!(archive.len() - 1);
        let site = Site::page(json!([list]), archive.clone(), |_, _, _| None);
        let bytes = format!("longer than the {} bytes promised", archive.len() - 1);
        let says = [site.archive(), bytes];
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 7, says: &says, hint: FROM_GO_DEV });
    }

    pub(super) fn a_web_page_instead_of_the_list_is_called_one() {
        let site = Site::scripted(|request, stream| http::send(stream, request, "200 OK", "text/html", PAGE));
        let hint = format!("curl -s '{}?mode=json' | head -c 500", site.url());
        let says = [&site.url()[..], "an HTML page (a captive portal, or a mirror's error page?)"];
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
    }

    pub(super) fn a_web_page_instead_of_the_archive_is_called_one() {
        let site = Site::good(|_, request, stream| Some(http::send(stream, request, "200 OK", "text/html", PAGE)));
        let hint = format!("curl -s {} | head -c 500", site.archive());
        let says = [&site.archive()[..], "an HTML page (a captive portal, or a mirror's error page?)"];
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
    }

    fn redirects_to(place: &'static str, says: &str) {
        let site = Site::good(move |_, _, stream| {
            let head = format!("HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: {place}\r\n\r\n");
            Some(stream.write_all(head.as_bytes()))
        });
        let hint = format!("curl -I -L {}", site.archive());
        let says = [&site.archive()[..], "its redirect is not followed", says];
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
    }

    pub(super) fn a_redirect_to_a_file_is_not_followed() {
        redirects_to("file:///etc/passwd", "it leads from http to file");
    }

    pub(super) fn redirects_without_an_end_are_not_followed() {
        redirects_to("/dl/round", "there are more than 10 in a row");
    }

    pub(super) fn what_is_no_tls_is_named_and_the_certificate_can_be_looked_at() {
        let site = Site::good(|_, _, _| None);
        let host = site.host();
        let hint = format!("openssl s_client -connect {host} </dev/null | openssl x509 -noout -issuer");
        let says =
            [&format!("https://ana@{host}/dl/").replace("ana@", "")[..], "no secure connection to", "SSL_CERT_FILE"];
        let world = World::at(&format!("https://ana:s3cret@{host}/dl/"));
        world.refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
    }

    pub(super) fn a_proxy_that_wants_a_password_is_named_without_the_one_it_got() {
        let proxy = Site::scripted(|request, stream| {
            text(stream, request, "407 Proxy Authentication Required", "who are you\n").unwrap()
        });
        let host = proxy.host();
        let mut world = World::at("http://go.example/dl/");
        world.home.export("HTTP_PROXY", format!("http://ana:s3cret@{host}"));
        let hint = format!("http_proxy=http://USER:PASSWORD@{host} govern install 1.26.6");
        let refuses = format!("the proxy http://{host}/ refuses: it wants a user name and password");
        let says = ["http://go.example/dl/", &refuses];
        world.refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
        assert!(proxy.requests() >= 2);
    }

    pub(super) fn a_name_without_an_address_is_named() {
        let says = ["https://go.invalid/dl/", "the name `go.invalid` cannot be resolved"];
        let refusal = Refusal { status: 5, says: &says, hint: "curl -I https://go.invalid/dl/" };
        World::at("https://ana:s3cret@go.invalid/dl/").refuses(VERSION, &refusal);
    }

    pub(super) fn a_port_where_nobody_listens_is_named() {
        let says = ["http://127.0.0.1:1/dl/", "no connection to 127.0.0.1:1"];
        let refusal = Refusal { status: 5, says: &says, hint: AGAIN };
        World::at("http://127.0.0.1:1/dl/").refuses(VERSION, &refusal);
    }

    pub(super) fn what_is_installed_works_without_any_network() {
        let site = Site::good(|_, _, _| None);
        let mut world = World::at(&site.url());
        world.installs();
        let asked = site.requests();
        let url = site.url();
        // A server that would tell of every visit; nobody may come, whatever the settings say.
        for name in ["GOPROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            world.home.export(name, url.trim_end_matches("dl/"));
        }
        world.home.export("GOSUMDB", format!("sum.golang.org {}", url.trim_end_matches("/dl/")));
        world.home.export("GOVERN_OFFLINE", "1");
        world.works();
        for daemon in [false, true] {
            let refusal = Refusal {
                status: 8,
                says: &["out of bounds: govern is offline"],
                hint: "GOVERN_OFFLINE=0 govern install 1.25.1",
            };
            world.refused("1.25.1", &refusal, daemon);
            for arguments in [&["list"][..], &["list", "--remote"], &["which"], &["explain"], &["status"]] {
                world.run(arguments, daemon);
            }
            assert_eq!(world.run(&["install", VERSION], daemon).status, 0, "it is there");
        }
        world.works();
        assert_eq!(site.requests(), asked, "somebody was asked");
    }

    pub(super) fn a_server_that_asks_for_a_pause_gets_it() {
        let site = Site::good(|number, _, stream| {
            let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
            (number == 0).then(|| stream.write_all(head.as_bytes()))
        });
        World::at(&site.url()).installs();
    }

    pub(super) fn a_server_that_asks_for_an_hour_is_left() {
        let busy = Site::scripted(|_, stream| {
            stream.write_all(b"HTTP/1.1 503 Busy\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n")
        });
        let hint = format!("curl -I {}", busy.url());
        let says = [&busy.url()[..], "it answers HTTP 503"];
        World::at(&busy.url()).refuses(VERSION, &Refusal { status: 5, says: &says, hint: &hint });
        assert_eq!(busy.requests() % 2, 0, "daemon and command line ask as often");
        let good = Site::good(|_, _, _| None);
        World::at(&format!("{},{}", busy.url(), good.url())).installs();
    }

    fn refuses_list(list: Vec<u8>, says: &str) {
        let site = Site::scripted(move |request, stream| {
            // Who has read enough goes away.
            drop(http::send(stream, request, "200 OK", "application/json", &list));
            Ok(())
        });
        let says = [&site.url()[..], says];
        World::at(&site.url()).refuses(VERSION, &Refusal { status: 5, says: &says, hint: FROM_GO_DEV });
    }

    pub(super) fn a_list_without_an_end_is_cut_short() {
        refuses_list(vec![b' '; 9 << 20], "its answer has more than 8388608 bytes");
    }

    pub(super) fn a_list_nested_too_deeply_is_none() {
        refuses_list(vec![b'['; 100_000], "is no list of Go releases: recursion limit exceeded");
    }

    pub(super) fn a_list_with_double_and_unknown_fields_is_read() {
        let archive = sound(VERSION);
        let list = json!([release(VERSION, &archive)]).to_string();
        let odd = list.replacen("\"arch\":", "\"odd\":{\"a\":[1,null]},\"arch\":\"x\",\"arch\":", 1);
        assert_ne!(odd, list);
        let site = Site::scripted(move |request, stream| match request.path() {
            "/dl/" => http::send(stream, request, "200 OK", "application/json", odd.as_bytes()),
            _ => send(stream, request, &archive, "\"one\"", u64::MAX, &AtomicU64::new(0)),
        });
        World::at(&site.url()).installs();
    }

    fn for_plan9() -> Site {
        let elsewhere = |version| release_for(version, "plan9", "arm", b"x");
        let list = json!([elsewhere("1.27.1"), elsewhere("1.26.6"), release("1.26.5", b"x"), release("1.25.9", b"x")]);
        Site::page(list, Vec::new(), |_, _, _| None)
    }

    pub(super) fn a_release_for_other_platforms_names_them_and_the_nearest_for_this_one() {
        let site = for_plan9();
        let fact = format!("go1.26.6 is not published for {} by {}; it is for plan9/arm", platform(), site.url());
        let says = [&fact[..], "the nearest are 1.26.5, 1.25.9"];
        let refusal = Refusal { status: 3, says: &says, hint: "govern install 1.26.5" };
        World::at(&site.url()).refuses(VERSION, &refusal);
    }

    pub(super) fn a_family_for_other_platforms_names_the_nearest_for_this_one() {
        let site = for_plan9();
        let fact = format!("go1.27.1 is not built for {}", platform());
        let says = [&fact[..], "the nearest are 1.26.5, 1.25.9"];
        World::at(&site.url()).refuses("1.27", &Refusal { status: 3, says: &says, hint: "govern install 1.26.5" });
    }

    pub(super) fn an_unknown_release_names_the_nearest() {
        let site = for_plan9();
        let says = ["no Go release matches `1.26.9`", "the nearest are 1.26.5, 1.25.9"];
        World::at(&site.url()).refuses("1.26.9", &Refusal { status: 4, says: &says, hint: "govern install 1.26.5" });
    }

    pub(super) fn a_release_that_was_taken_back_is_missed_at_its_place() {
        let site = Site::good(|_, request, stream| text(stream, request, "404 Not Found", ""));
        let fact = format!("{} does not exist (HTTP 404)", site.archive());
        let refusal = Refusal { status: 5, says: &[&fact], hint: "govern list --remote" };
        World::at(&site.url()).refuses(VERSION, &refusal);
    }

    pub(super) fn an_archive_that_ends_early_is_refused() {
        let whole = sound(VERSION);
        refuses_archive(whole[..whole.len() * 2 / 3].to_vec(), "it ends too early");
    }

    pub(super) fn an_archive_with_bytes_behind_it_is_refused() {
        refuses_archive([sound(VERSION), b"more".to_vec()].concat(), "bytes follow its end");
    }

    pub(super) fn an_archive_of_two_gzip_members_is_refused() {
        refuses_archive([sound(VERSION), gzip(b"more")].concat(), "it consists of several gzip members");
    }

    pub(super) fn an_archive_with_a_wrong_check_sum_is_refused() {
        let mut archive = sound(VERSION);
        let at = archive.len() - 8;
        archive[at] ^= 1;
        refuses_archive(archive, "its compressed bytes are damaged");
    }

    pub(super) fn an_archive_that_climbs_out_is_refused() {
        let archive = tarball("go/../../x", tar::EntryType::Regular, 3, b"out");
        refuses_archive(archive, "its name has an element of dots only");
    }

    pub(super) fn an_archive_with_a_link_is_refused() {
        let archive = tarball("go/bin/go", tar::EntryType::Symlink, 0, b"");
        refuses_archive(archive, "only regular files and directories may be");
    }

    pub(super) fn an_archive_that_inflates_without_an_end_is_refused() {
        let zeros = vec![0; 256 << 20];
        let archive = tarball("go/zeros", tar::EntryType::Regular, zeros.len() as u64, &zeros);
        refuses_archive(archive, "it inflates to more than");
    }

    pub(super) fn a_log_that_says_nothing_is_not_believed() {
        disbelieves("", "malformed");
    }

    pub(super) fn a_log_that_says_something_else_is_not_believed() {
        disbelieves("<!doctype html><title>Log in</title>\n", "malformed");
    }

    /// A signature that names another signer.
    const UNSIGNED: &str = "7\ngolang.org/toolchain v0.0.1-go1.26.6.linux-amd64 h1:AAAA\n\ngo.sum database tree\n9\n\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} other.example Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMK89k11\
        GJh5zyfOVbrNDqjx3kHtAT7n6mqVjY4wWeXVdsUhGQA=\n";

    pub(super) fn a_log_that_does_not_sign_is_not_believed() {
        disbelieves(UNSIGNED, "a note is not signed by sum.golang.org");
    }

    pub(super) fn a_log_with_a_wrong_signature_is_not_believed() {
        let answer = UNSIGNED.replace("other.example", "sum.golang.org");
        disbelieves(Box::leak(answer.into_boxed_str()), "a signature by sum.golang.org is wrong");
    }

    /// A site with a sound release, and a checksum database that is out of order.
    fn without_log() -> (Site, Site, World) {
        let log = Site::scripted(|request, stream| text(stream, request, "502 Bad Gateway", "out of order\n").unwrap());
        let site = Site::good(|_, _, _| None);
        let mut world = World::at(&site.url());
        world.home.export("GOSUMDB", format!("sum.golang.org http://{}", log.host()));
        (site, log, world)
    }

    pub(super) fn a_log_out_of_reach_leaves_the_digest_as_the_proof() {
        let (_site, log, world) = without_log();
        world.installs();
        assert!(log.requests() > 0);
        let listed = world.run(&["list", "--json"], false).stdout;
        assert!(listed.contains("\"proof\": \"sha256\"") && listed.contains("out of order"), "{listed}");
    }

    pub(super) fn a_log_out_of_reach_that_is_a_must_refuses() {
        let (site, log, world) = without_log();
        let config = world.home.layout().config_file();
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(config, "require_log = true\n").unwrap();
        let host = log.host();
        let fact = format!("nothing can prove go1.26.6 from {} now", site.url());
        let reason = format!("the checksum database sum.golang.org is out of reach: http://{host}/");
        let says = [&fact[..], &reason, "out of order"];
        world.refuses(VERSION, &Refusal { status: 5, says: &says, hint: AGAIN });
        assert_eq!(site.sent.load(Ordering::SeqCst), 0);
    }

    pub(super) fn a_module_proxy_without_a_log_refuses() {
        let proxy = Site::scripted(|request, stream| text(stream, request, "200 OK", "v0.0.1-go1.26.6.x-y\n").unwrap());
        let mut world = World::at("http://127.0.0.1:1/dl/");
        let base = format!("http://{}", proxy.host());
        world.home.export("GOPROXY", base.as_str());
        let fact = format!("nothing would prove go1.26.6 from GOPROXY={base}: GOSUMDB=off");
        let hint = "GOSUMDB='sum.golang.org https://sum.golang.org' govern install 1.26.6";
        world.refuses(VERSION, &Refusal { status: 7, says: &[&fact], hint });
        assert_eq!(proxy.requests(), 0);
    }
}

/// The faults by number, for a reader who looks one up: `cargo test --test faults -- --list`.
#[test]
fn no_scenario_stands_for_two_faults() {
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    for (fault, name) in SCENARIOS {
        assert!(by_name.insert(name, *fault).is_none(), "{name}");
    }
}
