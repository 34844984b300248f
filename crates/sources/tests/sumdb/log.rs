//! A transparency log with a signing key, made the plain way: hashes by the recursive definition of RFC 6962, with
//! nothing of the client's arithmetic, so that the two can contradict each other.

use std::collections::HashMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use govern_sources::sumdb::Verifier;
use govern_sources::sumdb::tile::Tile;
use govern_sources::sumdb::tlog::Head;
use sha2::{Digest, Sha256};

/// The key pair that Go's own tests use; its private half is public.
pub(crate) const NAME: &str = "localhost.localdev/sumdb";
pub(crate) const VERIFIER: &str = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6";
const SEED: &str = "AXu6+oaVaOYuQOFrf1V59JK1owcFlJcHwwXHDfDGxSPk";

pub(crate) const MODULE: &str = "golang.org/toolchain";

/// Records, and what a server makes of them.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) records: Vec<String>,
    /// `levels[l][i]` is the hash over the records `i << l..(i + 1) << l`.
    levels: Vec<Vec<[u8; 32]>>,
}

pub(crate) fn verifier() -> Verifier {
    Verifier::parse(VERIFIER).unwrap()
}

pub(crate) fn version(i: usize) -> String {
    format!("v0.0.1-go1.21.{i}.linux-amd64")
}

/// A hash that looks like one, and differs for every seed.
pub(crate) fn h1(seed: &str) -> String {
    format!("h1:{}", STANDARD.encode(Sha256::digest(seed)))
}

pub(crate) fn record(i: usize, h1: &str) -> String {
    let (version, go_mod) = (version(i), "h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=");
    format!("{MODULE} {version} {h1}\n{MODULE} {version}/go.mod {go_mod}\n")
}

/// Signs a text with the log's key.
pub(crate) fn sign(text: &str) -> Vec<u8> {
    let seed = STANDARD.decode(SEED).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed[1..]).unwrap();
    let key = [&[1], pair.public_key().as_ref()].concat();
    let hash = Sha256::digest([NAME.as_bytes(), b"\n", &key].concat());
    let signature = STANDARD.encode([&hash[..4], pair.sign(text.as_bytes()).as_ref()].concat());
    format!("{text}\n\u{2014} {NAME} {signature}\n").into_bytes()
}

impl Log {
    /// The log of the toolchains `0..count`.
    pub(crate) fn of_toolchains(count: usize) -> Log {
        Log::new((0..count).map(|i| record(i, &h1(&i.to_string()))).collect())
    }

    pub(crate) fn new(records: Vec<String>) -> Log {
        let mut levels = vec![records.iter().map(|text| leaf(text)).collect::<Vec<_>>()];
        while levels[levels.len() - 1].len() > 1 {
            levels.push(levels[levels.len() - 1].chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect());
        }
        Log { records, levels }
    }

    /// The same log with another record at one place.
    pub(crate) fn with_record(&self, at: usize, text: String) -> Log {
        let mut records = self.records.clone();
        records[at] = text;
        Log::new(records)
    }

    pub(crate) fn root(&self, size: usize) -> [u8; 32] {
        root(&self.levels[0][..size])
    }

    pub(crate) fn tree_text(&self, size: usize) -> String {
        format!("go.sum database tree\n{size}\n{}\n", STANDARD.encode(self.root(size)))
    }

    pub(crate) fn note(&self, size: usize) -> Vec<u8> {
        sign(&self.tree_text(size))
    }

    pub(crate) fn head(&self, size: usize) -> Head {
        Head::open(&self.note(size), &verifier()).unwrap()
    }

    /// The answer to a lookup of record `id`, with the head of the first `size` records.
    pub(crate) fn answer(&self, id: usize, size: usize) -> Vec<u8> {
        answer(id, &self.records[id], &self.note(size))
    }

    pub(crate) fn tile(&self, tile: &Tile) -> Vec<u8> {
        let row = &self.levels[usize::from(tile.height) * usize::from(tile.level)];
        let from = (tile.index as usize) << tile.height;
        row[from..from + tile.width as usize].concat()
    }

    /// Everything that a server of the first `size` records serves: answers to lookups and tiles, by path.
    pub(crate) fn files(&self, size: usize) -> HashMap<String, Vec<u8>> {
        let lookups = (0..size).map(|id| (format!("/lookup/{MODULE}@{}", version(id)), self.answer(id, size)));
        lookups.chain(self.tiles(8, size)).collect()
    }

    /// The tiles of the first `size` records, partial ones too, by path.
    pub(crate) fn tiles(&self, height: u8, size: usize) -> HashMap<String, Vec<u8>> {
        let mut files = HashMap::new();
        for level in 0.. {
            let row = size >> (usize::from(height) * level);
            if row == 0 {
                break;
            }
            for index in 0..row.div_ceil(1 << height) {
                let width = (row - (index << height)).min(1 << height);
                let tile = Tile { height, level: level as u8, index: index as u64, width: width as u32 };
                files.insert(format!("/{tile}"), self.tile(&tile));
            }
        }
        files
    }
}

pub(crate) fn answer(id: usize, text: &str, note: &[u8]) -> Vec<u8> {
    [format!("{id}\n{text}\n").as_bytes(), note].concat()
}

pub(crate) fn leaf(text: &str) -> [u8; 32] {
    Sha256::digest([&[0], text.as_bytes()].concat()).into()
}

pub(crate) fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::digest([&[1], &left[..], &right[..]].concat()).into()
}

/// RFC 6962, section 2.1, word for word.
pub(crate) fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node(&root(&leaves[..k]), &root(&leaves[k..]))
        }
    }
}
