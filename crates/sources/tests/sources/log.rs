//! A small checksum database: up to 256 records, one signed head, one tile. What it says of them is the test's business.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::server::{Answer, Request};

const NAME: &str = "sum.test.example";
const SEED: [u8; 32] = *b"the seed of a key of these tests";

/// The records of a log, in order.
#[derive(Clone)]
pub(crate) struct Log(Vec<(String, String)>);

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap()
}

/// The public key with its algorithm byte, and the hash that names it.
fn key() -> (Vec<u8>, [u8; 4]) {
    let key = [&[1], pair().public_key().as_ref()].concat();
    let hash = Sha256::digest([NAME.as_bytes(), b"\n", &key].concat());
    (key, hash[..4].try_into().unwrap())
}

/// The value of GOSUMDB that names this log, at `url` where one is given.
pub(crate) fn gosumdb(url: Option<&str>) -> String {
    let (key, hash) = key();
    let verifier = format!("{NAME}+{:08x}+{}", u32::from_be_bytes(hash), STANDARD.encode(key));
    url.map_or(verifier.clone(), |url| format!("{verifier} {url}"))
}

/// A well-formed hash that differs for every seed.
pub(crate) fn h1(seed: &str) -> String {
    format!("h1:{}", STANDARD.encode(Sha256::digest(seed)))
}

impl Log {
    /// A log with a record for each of these module versions, whose hash is that of the version's text.
    pub(crate) fn of(versions: &[&str]) -> Log {
        let record = |version: &&str| {
            let text = format!("golang.org/toolchain {version} {}\n", h1(version));
            ((*version).to_owned(), text)
        };
        Log(versions.iter().map(record).collect())
    }

    /// Answers below a base path: `/lookup/…`, `/tile/…`. Proxies also have `/supported`.
    pub(crate) fn answer(&self, path: &str) -> Answer {
        if path == "/supported" {
            return Answer::ok("");
        }
        if path.starts_with("/tile/8/0/000") {
            return Answer::ok(self.leaves().concat());
        }
        let version = path.strip_prefix("/lookup/golang.org/toolchain@");
        match version.and_then(|version| self.0.iter().position(|(own, _)| own == version)) {
            Some(id) => Answer::ok(format!("{id}\n{}\n{}", self.0[id].1, self.note())),
            None => Answer::new(404, "not found: no such record"),
        }
    }

    /// Answers as a server whose root is the log.
    pub(crate) fn serve(&self, request: &Request) -> Answer {
        self.answer(&request.target)
    }

    /// The same log, in which the text of every record is altered after it was hashed and signed.
    pub(crate) fn forged(&self, request: &Request) -> Answer {
        let mut forged = self.clone();
        let note = self.note();
        for (version, text) in &mut forged.0 {
            *text = text.replace(&h1(version), &h1("forged"));
        }
        let Some(version) = request.target.strip_prefix("/lookup/golang.org/toolchain@") else {
            return self.answer(&request.target);
        };
        let id = forged.0.iter().position(|(own, _)| own == version).unwrap();
        Answer::ok(format!("{id}\n{}\n{note}", forged.0[id].1))
    }

    fn leaves(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|(_, text)| Sha256::digest([b"\0", text.as_bytes()].concat()).into()).collect()
    }

    fn note(&self) -> String {
        let text = format!("go.sum database tree\n{}\n{}\n", self.0.len(), STANDARD.encode(root(&self.leaves())));
        let (_, hash) = key();
        let signature = STANDARD.encode([&hash, pair().sign(text.as_bytes()).as_ref()].concat());
        format!("{text}\n\u{2014} {NAME} {signature}\n")
    }
}

/// RFC 6962, section 2.1.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    Sha256::digest([&b"\x01"[..], &root(left), &root(right)].concat()).into()
}
