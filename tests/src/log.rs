//! A checksum database on loopback with a key of its own: up to 256 records, one signed head, one tile. It says what a
//! test gives it to say, and can be taken out of reach.
//!
//! Leaves out all that a large log needs; the client's own tests have one of every size.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use govern_core::platform::Platform;
use govern_core::version::Version;
use sha2::{Digest as _, Sha256};

use crate::http::{self, Request, Server};

const NAME: &str = "sum.test.example";
const SEED: [u8; 32] = *b"the seed of a key of these tests";

/// A running log; it ends when it is dropped.
#[derive(Debug)]
pub struct Log {
    server: Server,
    is_away: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

impl Log {
    /// Serves a log with a record of each of these releases and its module hash.
    ///
    /// # Errors
    /// When no port of loopback is free.
    pub fn serve(releases: &[(Version, String)], platform: &Platform) -> io::Result<Log> {
        let texts: Vec<(String, String)> = releases
            .iter()
            .map(|(version, h1)| {
                let version = platform.module_version(version);
                (version.clone(), format!("golang.org/toolchain {version} {h1}\n"))
            })
            .collect();
        let (is_away, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (away, counting) = (Arc::clone(&is_away), Arc::clone(&requests));
        let answer = move |request: &Request, stream: &mut TcpStream| {
            counting.fetch_add(1, Ordering::SeqCst);
            if away.load(Ordering::SeqCst) {
                return http::send(stream, request, "503 Service Unavailable", "text/plain", b"not now\n");
            }
            match said(&texts, request.path()) {
                Some(bytes) => http::send(stream, request, "200 OK", "text/plain", &bytes),
                None => http::send(stream, request, "404 Not Found", "text/plain", b"not found\n"),
            }
        };
        let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), answer)?;
        Ok(Log { server, is_away, requests })
    }

    /// What GOSUMDB has to be.
    #[must_use]
    pub fn gosumdb(&self) -> String {
        let (key, hash) = key();
        let hash = u32::from_be_bytes(hash);
        format!("{NAME}+{hash:08x}+{} http://{}", STANDARD.encode(key), self.server.address())
    }

    /// Takes it out of reach, or brings it back.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// How often it was asked, in vain or not.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn said(texts: &[(String, String)], path: &str) -> Option<Vec<u8>> {
    let leaves: Vec<[u8; 32]> =
        texts.iter().map(|(_, text)| Sha256::digest([b"\0", text.as_bytes()].concat()).into()).collect();
    if path.starts_with("/tile/8/0/000") {
        return Some(leaves.concat());
    }
    let wanted = path.strip_prefix("/lookup/golang.org/toolchain@")?;
    let id = texts.iter().position(|(version, _)| version == wanted)?;
    Some(format!("{id}\n{}\n{}", texts[id].1, note(&leaves)).into_bytes())
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&SEED).expect("any 32 bytes are a seed")
}

/// The public key with its algorithm byte, and the hash that names it.
fn key() -> (Vec<u8>, [u8; 4]) {
    let key = [&[1], pair().public_key().as_ref()].concat();
    let hash = Sha256::digest([NAME.as_bytes(), b"\n", &key].concat());
    let hash = hash[..4].try_into().expect("a digest has more than four bytes");
    (key, hash)
}

fn note(leaves: &[[u8; 32]]) -> String {
    let text = format!("go.sum database tree\n{}\n{}\n", leaves.len(), STANDARD.encode(root(leaves)));
    let signature = STANDARD.encode([&key().1, pair().sign(text.as_bytes()).as_ref()].concat());
    format!("{text}\n\u{2014} {NAME} {signature}\n")
}

/// RFC 6962, section 2.1.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    Sha256::digest([&b"\x01"[..], &root(left), &root(right)].concat()).into()
}
