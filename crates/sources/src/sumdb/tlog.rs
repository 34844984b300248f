//! Transparency logs as trees of hashes (RFC 6962): leaves, nodes, tree heads, and the proof that one tree begins with
//! another. Arithmetic only: where the hashes come from is for [`tile`](super::tile).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::error::Refusal;
use super::key::Verifier;
use super::note;

/// The first line of a tree head; another format would have another line.
const TREE_LINE: &str = "go.sum database tree";

/// A hash of a record, of an inner node, or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

/// How many records a log has, and the hash that commits to every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The number of records.
    pub size: u64,
    /// The root.
    pub root: Hash,
}

/// A tree that the database's key signed, with the note that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    tree: Tree,
    note: Vec<u8>,
}

/// The complete subtree over the records `index << level ..(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its height: 0 is a record.
    pub level: u8,
    /// Its place among the subtrees of its height.
    pub index: u64,
}

impl Hash {
    /// The root of a tree without records: the hash of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Hash {
        Hash(Sha256::digest([]).into())
    }

    /// The hash of a record.
    #[must_use]
    pub fn of_record(text: &[u8]) -> Hash {
        Hash(Sha256::new().chain_update([0]).chain_update(text).finalize().into())
    }

    /// The hash of an inner node over its two children.
    #[must_use]
    pub fn of_node(left: &Hash, right: &Hash) -> Hash {
        let mut bytes = [1; 65];
        bytes[1..33].copy_from_slice(&left.0);
        bytes[33..].copy_from_slice(&right.0);
        Hash(Sha256::digest(bytes).into())
    }

    /// Reads the base64 that [`Display`](fmt::Display) prints, and no other spelling of the same bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Hash> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Tree {
    /// Reads the text of a tree head. Lines after the third are of a later day and ignored.
    ///
    /// # Errors
    /// When a line is missing or not in its one spelling.
    pub fn parse(text: &str) -> Result<Tree, Refusal> {
        let mut lines = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
        let (Some(TREE_LINE), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(Refusal::Tree);
        };
        let size = parse_number(size).ok_or(Refusal::Tree)?;
        let root = Hash::parse(root).ok_or(Refusal::Tree)?;
        Ok(Tree { size, root })
    }
}

impl Head {
    /// Opens a signed tree head.
    ///
    /// # Errors
    /// When the note is not signed by the verifier's key, or is no tree head.
    pub fn open(bytes: &[u8], verifier: &Verifier) -> Result<Head, Refusal> {
        let tree = Tree::parse(note::open(bytes, verifier)?)?;
        Ok(Head { tree, note: bytes.to_vec() })
    }

    /// What was signed.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The note, byte for byte as it was opened.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }
}

/// Reads a number below 2⁶³ in its one decimal spelling.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let is_canonical = text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|&number| is_canonical && number <= i64::MAX as u64)
}

/// The fewest complete subtrees that hold the records `from..to` and no others, from left to right.
#[must_use]
pub fn cover(from: u64, to: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut next = from;
    while next < to {
        let fits = (to - next).ilog2();
        let level = if next == 0 { fits } else { fits.min(next.trailing_zeros()) };
        nodes.push(Node { level: level as u8, index: next >> level });
        next += 1 << level;
    }
    nodes
}

/// The root over the nodes of a [`cover`], given their hashes from left to right.
#[must_use]
pub fn join(hashes: &[Hash]) -> Hash {
    let joined = hashes.iter().rev().copied().reduce(|right, left| Hash::of_node(&left, &right));
    joined.unwrap_or_else(Hash::of_empty_tree)
}

/// The ranges of records whose roots prove that a tree of `size` records begins with one of `prefix` records.
/// They are the hashes of RFC 6962's consistency proof, in its order.
#[must_use]
pub fn prefix_proof(size: u64, prefix: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    if prefix == 0 || prefix >= size {
        return ranges;
    }
    let (mut from, mut to) = (0, size);
    while prefix != to {
        let middle = from + largest_power_below(to - from);
        if prefix <= middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    if from > 0 {
        ranges.push((from, to));
    }
    ranges.reverse();
    ranges
}

/// Checks a proof of [`prefix_proof`]: that `tree` begins with `prefix`. By RFC 9162 §2.1.4.2, which knows nothing of
/// how the proof was made.
#[must_use]
pub fn is_prefix(tree: &Tree, prefix: &Tree, proof: &[Hash]) -> bool {
    if prefix.size == 0 || prefix.size >= tree.size {
        return prefix == tree && proof.is_empty();
    }
    let mut rest = proof.iter().copied();
    // A prefix that is a complete subtree is its own first hash, which the proof leaves out.
    let first = if prefix.size.is_power_of_two() { Some(prefix.root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (prefix.size - 1, tree.size - 1);
    let whole = node.trailing_ones();
    (node, last) = (node >> whole, last >> whole);
    let (mut old, mut new) = (first, first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = Hash::of_node(&hash, &old);
            new = Hash::of_node(&hash, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = Hash::of_node(&new, &hash);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old == prefix.root && new == tree.root
}

/// The ranges of records whose roots prove that record `id` is in a tree of `size` records: the hashes of RFC 6962's
/// audit path, from the record upwards.
#[must_use]
pub fn record_proof(size: u64, id: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let (mut from, mut to) = (0, size);
    while to.saturating_sub(from) > 1 {
        let middle = from + largest_power_below(to - from);
        if id < middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// Checks a proof of [`record_proof`]: that `tree` has the record that hashes to `leaf` at place `id`. By RFC 9162
/// §2.1.3.2, which knows nothing of how the proof was made.
#[must_use]
pub fn has_record(tree: &Tree, id: u64, leaf: Hash, proof: &[Hash]) -> bool {
    if id >= tree.size {
        return false;
    }
    let (mut node, mut last, mut hash) = (id, tree.size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = Hash::of_node(beside, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = Hash::of_node(&hash, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == tree.root
}

/// The largest power of two smaller than `count`, which is at least 2.
fn largest_power_below(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}
