//! Two logs that one key signed, which differ in one record: what a database that lies to some of its users has. And the
//! truth about both, computed once and by nothing of the client's.

use std::sync::LazyLock;

use govern_sources::sumdb::Verifier;
use govern_sources::sumdb::tlog::{Hash, Head, Tree};

use crate::log::{self, Log};

/// How many records each log has: more than one full tile of any height up to 8.
pub(crate) const RECORDS: usize = 600;
/// The first record that differs.
pub(crate) const FORK: usize = 290;

/// A log, with its tree heads of every size.
pub(crate) struct Told {
    pub(crate) log: Log,
    pub(crate) heads: Vec<Head>,
    /// The `h1:` of each record.
    pub(crate) hashes: Vec<String>,
    leaves: Vec<[u8; 32]>,
}

pub(crate) static VERIFIER: LazyLock<Verifier> = LazyLock::new(log::verifier);

pub(crate) static HONEST: LazyLock<Told> = LazyLock::new(|| {
    let hashes = (0..RECORDS).map(|i| log::h1(&i.to_string())).collect();
    Told::new(Log::of_toolchains(RECORDS), hashes)
});

pub(crate) static FORKED: LazyLock<Told> = LazyLock::new(|| {
    let mut hashes = HONEST.hashes.clone();
    hashes[FORK] = log::h1("forged");
    Told::new(HONEST.log.with_record(FORK, log::record(FORK, &hashes[FORK])), hashes)
});

impl Told {
    fn new(log: Log, hashes: Vec<String>) -> Told {
        let heads = (0..=RECORDS).map(|size| log.head(size)).collect();
        let leaves = log.records.iter().map(|text| log::leaf(text)).collect();
        Told { log, heads, hashes, leaves }
    }

    /// The tree of the first `size` records.
    pub(crate) fn tree(&self, size: u64) -> Tree {
        *self.heads[usize::try_from(size).unwrap()].tree()
    }

    /// The hash of a complete subtree, by the definition.
    pub(crate) fn subtree(&self, level: u8, index: u64) -> Hash {
        let (from, count) = ((index as usize) << level, 1 << level);
        Hash(log::root(&self.leaves[from..from + count]))
    }
}
