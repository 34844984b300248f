//! Cuts at random places: the archive is always whole in the end, and next to nothing is fetched twice.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use govern_sources::{Error, Pace};

use crate::server::{Answer, Request, Server, file};
use crate::setup::{Home, bytes, fetch, pace, page, sha256, tarball};

const LENGTH: usize = 200_000;

/// A generator of places to cut at. Its seed is fixed, so that a failure comes back.
fn places() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    }
}

/// A way to serve an archive.
type Serve = fn(&Request, &[u8]) -> Answer;

/// Cuts answers at random offsets of the archive, up to `cuts` times in all.
async fn cutting(archive: Vec<u8>, cuts: u64, serve: Serve) -> (Server, Arc<AtomicU64>) {
    let made = Arc::new(AtomicU64::new(0));
    let (count, random) = (made.clone(), std::sync::Mutex::new(places()));
    let server = Server::start(move |request| {
        let answer = serve(request, &archive);
        let (at, start) = ((random.lock().unwrap())(archive.len()), request.range_start().unwrap_or(0));
        if at < start || count.load(Ordering::SeqCst) >= cuts {
            return answer;
        }
        count.fetch_add(1, Ordering::SeqCst);
        answer.cut(at - start)
    })
    .await;
    (server, made)
}

fn with_etag(request: &Request, archive: &[u8]) -> Answer {
    file(request, archive, "\"one\"")
}

fn with_date(request: &Request, archive: &[u8]) -> Answer {
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    match request.header("if-range") {
        Some(known) if known != date => Answer::ok(archive).with("last-modified", date),
        _ => bare(request, archive).with("last-modified", date),
    }
}

fn bare(request: &Request, archive: &[u8]) -> Answer {
    let Some(at) = request.range_start() else { return Answer::ok(archive) };
    let range = format!("bytes {at}-{}/{}", archive.len() - 1, archive.len());
    Answer::new(206, &archive[at..]).with("content-range", range)
}

#[tokio::test]
async fn downloads_cut_at_random_places_end_whole_and_fetch_next_to_nothing_twice() {
    let archive = bytes(LENGTH, 7);
    let servers: [(Serve, &str); 3] = [(with_etag, "etag"), (with_date, "last-modified"), (bare, "no validator")];
    for (serve, what) in servers {
        let (server, cuts) = cutting(archive.clone(), 400, serve).await;
        let home = Home::new();
        // Some cuts fall within the bytes that are asked for again, and bring nothing new.
        let sources = home.sources_at(page([server.url("dl/")]), Pace { tries: 50, ..pace() });
        let artifact = tarball(server.url("dl/x"), &archive);
        let mut rounds = 0;
        while cuts.load(Ordering::SeqCst) < 400 {
            let (read, file) = fetch(&sources, &artifact).await.unwrap();
            assert!(read == sha256(&archive) && file == read, "{what}");
            sources.discard(&artifact);
            rounds += 1;
        }
        let ideal = rounds * LENGTH as u64;
        let ratio = server.body_bytes() as f64 / ideal as f64;
        println!(
            "{what}: 400 cuts in {rounds} downloads, {} of {ideal} bytes fetched: {ratio:.4}",
            server.body_bytes()
        );
        assert!(ratio <= 1.05, "{what}: {ratio}");
    }
}

#[tokio::test]
async fn downloads_that_are_given_up_at_each_cut_are_gone_on_with_by_the_next() {
    let archive = bytes(LENGTH, 8);
    let (server, cuts) = cutting(archive.clone(), 250, with_etag).await;
    let home = Home::new();
    // One try a download: nothing but the files on disk connects them.
    let sources = home.sources_at(page([server.url("dl/")]), Pace { tries: 1, ..pace() });
    let artifact = tarball(server.url("dl/x"), &archive);
    let mut whole = 0;
    while cuts.load(Ordering::SeqCst) < 250 {
        match fetch(&sources, &artifact).await {
            Ok((read, _)) => {
                assert_eq!(read, sha256(&archive));
                sources.discard(&artifact);
                whole += 1;
            }
            Err(error) => assert!(error.is_unreachable(), "{error:?}"),
        }
    }
    // Cuts that come after the last whole archive belong to one that was never ended.
    let _ = fetch(&sources, &artifact).await.unwrap();
    whole += 1;
    let ratio = server.body_bytes() as f64 / (whole * LENGTH as u64) as f64;
    println!("250 downloads given up, {whole} archives whole: {ratio:.4} of their bytes fetched");
    assert!(ratio <= 1.05, "{ratio}");
}

/// A server of two states of one archive. In rounds that are to change, the second takes the place of the first at a cut.
struct Changing {
    archives: [Vec<u8>; 2],
    /// What is served, by its place in `archives`.
    now: AtomicUsize,
    /// The next cut is a change too.
    armed: AtomicBool,
    cuts: AtomicU64,
    random: Mutex<Box<dyn FnMut(usize) -> usize + Send>>,
}

const CUTS: u64 = 1000;

impl Changing {
    fn answer(&self, request: &Request) -> Answer {
        let now = self.now.load(Ordering::SeqCst);
        let archive = &self.archives[now];
        let answer = file(request, archive, ["\"one\"", "\"two\""][now]);
        let start = if answer.is_partial() { request.range_start().unwrap_or(0) } else { 0 };
        let at = (self.random.lock().unwrap())(archive.len());
        if at < start || self.cuts.load(Ordering::SeqCst) >= CUTS {
            return answer;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        if self.armed.swap(false, Ordering::SeqCst) {
            self.now.store(1, Ordering::SeqCst);
        }
        answer.cut(at - start)
    }
}

/// Fault 75 and 76, a thousand times: 3 MiB over sockets, cut anywhere; every tenth archive changes at its first cut.
#[tokio::test]
async fn a_thousand_cuts_and_some_changes_end_in_the_right_archive_and_fetch_next_to_nothing_twice() {
    const MIB_3: usize = 3 << 20;
    let archives = [bytes(MIB_3, 21), bytes(MIB_3, 22)];
    let digests = [sha256(&archives[0]), sha256(&archives[1])];
    let changing = Arc::new(Changing {
        archives,
        now: AtomicUsize::new(0),
        armed: AtomicBool::new(false),
        cuts: AtomicU64::new(0),
        random: Mutex::new(Box::new(places())),
    });
    let server = Server::start({
        let changing = changing.clone();
        move |request| changing.answer(request)
    })
    .await;
    let home = Home::new();
    let sources = home.sources_at(page([server.url("dl/")]), Pace { tries: 50, ..pace() });
    // The list promises no digest: which of the two came is for the test to say.
    let mut artifact = tarball(server.url("dl/x"), &changing.archives[0]);
    artifact.expected.sha256 = None;
    let (mut whole, mut changed, mut interrupted, mut fetched) = (0u64, 0u64, 0u64, 0u64);
    while changing.cuts.load(Ordering::SeqCst) < CUTS {
        let is_to_change = (whole + changed) % 10 == 9;
        changing.now.store(0, Ordering::SeqCst);
        changing.armed.store(is_to_change, Ordering::SeqCst);
        let before = server.body_bytes();
        let (read, file) = loop {
            match fetch(&sources, &artifact).await {
                Ok(done) => break done,
                // The reader had bytes of the first state already: opened again, it gets the second from its start.
                Err(Error::Changed { .. }) => interrupted += 1,
                Err(error) => panic!("{error:?}"),
            }
        };
        let served = changing.now.load(Ordering::SeqCst);
        assert!(read == digests[served] && file == read, "neither the one archive nor the other");
        if served == 0 {
            (whole, fetched) = (whole + 1, fetched + server.body_bytes() - before);
        } else {
            changed += 1;
        }
        sources.discard(&artifact);
    }
    let cuts = changing.cuts.load(Ordering::SeqCst);
    let ratio = fetched as f64 / (whole * MIB_3 as u64) as f64;
    println!(
        "{cuts} cuts: {whole} archives whole and {changed} changed ({interrupted} under the reader), all right; \
         {fetched} bytes fetched of those that did not change: {ratio:.4} of their size"
    );
    assert!(cuts >= 1000 && whole >= 100 && changed >= 10, "{cuts} {whole} {changed}");
    assert!(ratio <= 1.05, "{ratio}");
}

/// Fault 75 at every byte: each offset of an archive is cut at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_every_byte_is_gone_on_with() {
    const LENGTH: usize = 12 << 10;
    const LANES: usize = 4;
    let archive = bytes(LENGTH, 23);
    let lane = async |lane: usize| {
        let (served, cut_at) = (archive.clone(), Arc::new(AtomicUsize::new(usize::MAX)));
        let server = Server::start({
            let cut_at = cut_at.clone();
            move |request| {
                let answer = file(request, &served, "\"one\"");
                // Once: what comes after it is served.
                answer.cut(cut_at.swap(usize::MAX, Ordering::SeqCst))
            }
        })
        .await;
        let home = Home::new();
        let sources = home.sources(page([server.url("dl/")]));
        let artifact = tarball(server.url("dl/x"), &archive);
        let mut offsets = 0u64;
        for at in (lane..LENGTH).step_by(LANES) {
            cut_at.store(at, Ordering::SeqCst);
            let (read, file) = fetch(&sources, &artifact).await.unwrap();
            assert!(read == sha256(&archive) && file == read, "cut at {at}");
            sources.discard(&artifact);
            offsets += 1;
        }
        assert_eq!(server.body_bytes(), offsets * LENGTH as u64, "bytes were fetched twice");
        offsets
    };
    let lanes = tokio::join!(lane(0), lane(1), lane(2), lane(3));
    let offsets = lanes.0 + lanes.1 + lanes.2 + lanes.3;
    println!("cut at {offsets} offsets of {LENGTH} bytes: all whole, no byte fetched twice");
    assert_eq!(offsets, LENGTH as u64);
}
