//! Every forgery that fits in a machine's patience: for each tree of 1 to 600 records and each record of it, the record
//! forged, each tile forged, each pair of tiles forged, as noise and as a consistent lie; and every bit of every answer
//! and its signed note flipped. None may be accepted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use govern_sources::sumdb::claim::{Claim, Wanted};
use govern_sources::sumdb::key::Verifier;
use govern_sources::sumdb::tile::{HEIGHT, Tile};
use govern_sources::sumdb::tlog::Head;

use crate::log::{self, Log, MODULE};

const SIZES: usize = 600;
const FLOOR: usize = 5_000_000;
/// A height of tiles that is cheap to authenticate.
const LOW: u8 = 3;

#[derive(Default)]
struct Tally {
    /// Honest cases, all of which must be accepted.
    honest: usize,
    records: usize,
    tiles: usize,
    pairs: usize,
    bits: usize,
}

impl Tally {
    fn forged(&self) -> usize {
        self.records + self.tiles + self.pairs + self.bits
    }

    fn add(&mut self, other: &Tally) {
        self.honest += other.honest;
        self.records += other.records;
        self.tiles += other.tiles;
        self.pairs += other.pairs;
        self.bits += other.bits;
    }
}

#[test]
fn no_forgery_of_record_tile_note_or_lookup_is_accepted_in_any_tree_of_600() {
    let log = Log::of_toolchains(SIZES);
    let next = AtomicUsize::new(1);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let total = thread::scope(|scope| {
        let work = || {
            let mut tally = Tally::default();
            // From both ends at once would be fairer; by ones is fair enough.
            while let size @ 1..=SIZES = next.fetch_add(1, Ordering::Relaxed) {
                forge_bits(&log, size, &mut tally);
                // The height that databases serve, and one that makes small trees deep: up to four levels of tiles.
                forge_tiles(&log, size, HEIGHT, &mut tally);
                forge_tiles(&log, size, LOW, &mut tally);
            }
            tally
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().fold(Tally::default(), |mut total, worker| {
            total.add(&worker.join().unwrap());
            total
        })
    });
    let Tally { honest, records, tiles, pairs, bits } = total;
    println!(
        "sumdb: {} forgeries, 0 accepted ({records} of records, {tiles} of single tiles, {pairs} of pairs of tiles, \
         {bits} bits of notes and lookups; {honest} honest cases accepted)",
        total.forged()
    );
    assert!(total.forged() >= FLOOR, "only {} forgeries were tried", total.forged());
}

/// The verifier's word on one case; panics when it accepts.
fn refuse(claim: &Claim<'_>, tiles: &[&[u8]], what: &str) {
    if let Ok(verdict) = claim.judge(tiles) {
        panic!("accepted {what}: {verdict:?}\n{claim:?}");
    }
}

/// Flips every bit of the answer for one record, its note included. The tiles are honest, and therefore low ones.
fn forge_bits(log: &Log, size: usize, tally: &mut Tally) {
    let verifier = log::verifier();
    let head = log.head(size);
    let id = (size * 7919) % size.max(2) % size;
    let version = log::version(id);
    let wanted = Wanted { module: MODULE, version: &version };
    let mut answer = log.answer(id, size);
    for bit in 0..answer.len() * 8 {
        answer[bit / 8] ^= 1 << (bit % 8);
        let claim = Claim::new(&verifier, LOW, Some(&head), &answer, wanted);
        if let Ok(claim) = claim {
            let tiles: Vec<_> = claim.tiles().iter().map(|tile| log.tile(tile)).collect();
            let tiles: Vec<_> = tiles.iter().map(Vec::as_slice).collect();
            refuse(&claim, &tiles, &format!("bit {bit} flipped"));
        }
        answer[bit / 8] ^= 1 << (bit % 8);
        tally.bits += 1;
    }
}

/// For every record of the tree: forges it, each tile it needs, and each pair of them.
fn forge_tiles(log: &Log, size: usize, height: u8, tally: &mut Tally) {
    let (verifier, head) = (log::verifier(), log.head(size));
    let served = log.tiles(height, size);
    for id in 0..size {
        let case = Case::new(log, &head, &verifier, &served, height, id);
        case.run(tally);
    }
}

/// One record of one tree, with what an attacker would serve instead.
struct Case<'a> {
    version: String,
    answer: Vec<u8>,
    /// The answer with another hash in its record.
    lie: Vec<u8>,
    tiles: Vec<Tile>,
    honest: Vec<&'a [u8]>,
    /// Each tile with one bit flipped.
    noisy: Vec<Vec<u8>>,
    /// The tiles on the way from the record to the root, changed so that each fits the forged tile below it.
    fitted: Vec<Option<Vec<u8>>>,
    head: &'a Head,
    verifier: &'a Verifier,
    height: u8,
}

impl<'a> Case<'a> {
    fn new(
        log: &Log,
        head: &'a Head,
        verifier: &'a Verifier,
        served: &'a HashMap<String, Vec<u8>>,
        height: u8,
        id: usize,
    ) -> Case<'a> {
        let version = log::version(id);
        let text = log::record(id, &log::h1("forged"));
        let answer = log::answer(id, &log.records[id], head.note());
        let lie = log::answer(id, &text, head.note());
        let wanted = Wanted { module: MODULE, version: &version };
        let tiles = Claim::new(verifier, height, Some(head), &answer, wanted).unwrap().tiles().to_vec();
        let honest: Vec<_> = tiles.iter().map(|tile| served[&format!("/{tile}")].as_slice()).collect();
        let noisy = honest.iter().enumerate().map(|(i, row)| flip(row, id * 31 + i * 17)).collect();
        let fitted = fit(&tiles, &honest, height, id, log::leaf(&text));
        Case { version, answer, lie, tiles, honest, noisy, fitted, head, verifier, height }
    }

    fn claim<'b>(&'b self, answer: &'b [u8]) -> Claim<'b> {
        let wanted = Wanted { module: MODULE, version: &self.version };
        Claim::new(self.verifier, self.height, Some(self.head), answer, wanted).unwrap()
    }

    fn run(&self, tally: &mut Tally) {
        let (truth, lie) = (self.claim(&self.answer), self.claim(&self.lie));
        assert_eq!(truth.judge(&self.honest).unwrap().record.id, lie_id(&self.answer));
        tally.honest += 1;
        refuse(&lie, &self.honest, "a forged record among honest tiles");
        tally.records += 1;
        let all = 0..self.tiles.len();
        for a in all.clone() {
            tally.tiles += self.forge(&truth, &lie, &[a]);
            for b in a + 1..all.end {
                tally.pairs += self.forge(&truth, &lie, &[a, b]);
            }
        }
        // The whole way up is forged: only the signed root contradicts.
        let way: Vec<_> = all.filter(|&i| self.fitted[i].is_some()).collect();
        if way.len() > 2 {
            refuse(&lie, &self.forged(&way, &self.fitted), "a forged record with a consistent way to the root");
            tally.tiles += 1;
        }
    }

    /// Forges these tiles: where they are on the record's way as a lie that fits, and elsewhere as noise around the true
    /// record; both where that is cheap.
    fn forge(&self, truth: &Claim<'_>, lie: &Claim<'_>, at: &[usize]) -> usize {
        let fits = at.iter().all(|&i| self.fitted[i].is_some());
        if fits {
            refuse(lie, &self.forged(at, &self.fitted), "a forged record with tiles that fit it");
        }
        if fits && self.height != LOW {
            return 1;
        }
        let mut data = self.honest.clone();
        at.iter().for_each(|&i| data[i] = &self.noisy[i]);
        refuse(truth, &data, "noise in tiles");
        1 + usize::from(fits)
    }

    fn forged<'b>(&'b self, at: &[usize], with: &'b [Option<Vec<u8>>]) -> Vec<&'b [u8]> {
        let mut data: Vec<&[u8]> = self.honest.clone();
        at.iter().for_each(|&i| data[i] = with[i].as_deref().unwrap());
        data
    }
}

/// The number at the start of an answer.
fn lie_id(answer: &[u8]) -> u64 {
    std::str::from_utf8(answer).unwrap().lines().next().unwrap().parse().unwrap()
}

/// The row with one bit flipped.
fn flip(row: &[u8], seed: usize) -> Vec<u8> {
    let mut row = row.to_vec();
    let bit = seed % (row.len() * 8);
    row[bit / 8] ^= 1 << (bit % 8);
    row
}

/// Puts a forged hash into the record's tile, that tile's new hash into its parent, and so on to the top.
fn fit(tiles: &[Tile], honest: &[&[u8]], height: u8, id: usize, leaf: [u8; 32]) -> Vec<Option<Vec<u8>>> {
    let mut fitted = vec![None; tiles.len()];
    let (mut entry, mut index, mut level) = (leaf, id, 0);
    // Parents stand anywhere: tiles of the cover come first.
    while let Some(at) = tiles.iter().position(|tile| tile.level == level && tile.index as usize == index >> height) {
        let mut row = honest[at].to_vec();
        let inside = (index & ((1 << height) - 1)) * 32;
        row[inside..inside + 32].copy_from_slice(&entry);
        let hashes: Vec<[u8; 32]> = row.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect();
        entry = log::root(&hashes);
        fitted[at] = Some(row);
        if !tiles[at].is_full() {
            // The right edge of the tree: the root is computed from here.
            break;
        }
        (index, level) = (index >> height, level + 1);
    }
    fitted
}
