//! Cuts at random places: the archive is always whole in the end, and next to nothing is fetched twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use govern_sources::Pace;

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
