//! Tiles: rows of hashes by which a log is served, and the one way to believe them. A [`Plan`] says which tiles a tree
//! and some of its nodes need; [`Plan::authenticate`] checks every one of them against the signed root before it gives
//! any hash away. Fetches nothing.

use std::fmt;

use super::error::Refusal;
use super::tlog::{self, Hash, Node, Tree};

/// The height of the tiles that checksum databases serve: 256 hashes in a row.
pub const HEIGHT: u8 = 8;
/// Bytes of one hash in a tile.
const HASH: usize = 32;

/// A row of neighbouring hashes of one level: the leaves of a subtree of the tile's height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// How many levels of the tree it spans.
    pub height: u8,
    /// Its level among tiles: its hashes are nodes of level `height * level`.
    pub level: u8,
    /// Its place among the tiles of its level.
    pub index: u64,
    /// How many hashes it has, at most 2 to the power of its height.
    pub width: u32,
}

/// Prints the path on the server, without a leading slash: `tile/8/0/x097/380.p/12`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Three digits a directory, to keep directories small; all but the last begin with an x.
        let mut place = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            place = format!("x{:03}/{place}", rest % 1000);
            rest /= 1000;
        }
        write!(f, "tile/{}/{}/{place}", self.height, self.level)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl Tile {
    /// The tile with all its hashes, which replaces this one when the log has grown.
    #[must_use]
    pub fn full(self) -> Tile {
        Tile { width: 1 << self.height, ..self }
    }

    /// True when it has all the hashes it can have.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.width == 1 << self.height
    }

    /// How many bytes it has.
    #[must_use]
    pub fn byte_len(self) -> usize {
        self.width as usize * HASH
    }

    /// The tile at this place in a tree of `size` records, as wide as that tree makes it.
    fn at(height: u8, level: u8, index: u64, size: u64) -> Tile {
        let row = size.checked_shr(u32::from(height) * u32::from(level)).unwrap_or(0);
        let width = row.saturating_sub(index << height).min(1 << height);
        Tile { height, level, index, width: width as u32 }
    }

    /// The tile whose entry is the hash of this tile.
    fn parent(self, size: u64) -> Tile {
        Tile::at(self.height, self.level + 1, self.index >> self.height, size)
    }

    /// The node that this tile, being full, hashes to.
    fn top(self) -> Node {
        Node { level: self.height * (self.level + 1), index: self.index }
    }
}

impl Node {
    /// The tile that holds it in a tree of `size` records, and the bytes of that tile that it hashes.
    fn place(self, height: u8, size: u64) -> (Tile, std::ops::Range<usize>) {
        let (level, inside) = (self.level / height, self.level % height);
        let row = self.index << inside;
        let first = (row & ((1 << height) - 1)) as usize;
        (Tile::at(height, level, row >> height, size), first * HASH..(first + (1 << inside)) * HASH)
    }
}

/// The tiles that are needed to believe some nodes of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    tree: Tree,
    height: u8,
    /// The nodes over which the root is computed.
    cover: Vec<Node>,
    /// First the `top` tiles that hold the cover, each once; then every other one, always after its parent.
    tiles: Vec<Tile>,
    /// The number of *distinct* tiles that hold the cover. Every tile after these must be compared with its parent:
    /// counting the nodes of the cover instead would let tiles through unseen (CVE-2026-56865).
    top: usize,
}

/// The tiles of a plan, each of them authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a, D> {
    plan: &'a Plan,
    data: &'a [D],
}

impl Plan {
    /// Plans for `nodes`, all of which must lie in the tree.
    ///
    /// # Panics
    /// When one does not, or the height is not 1 to 16.
    #[must_use]
    pub fn new(tree: Tree, height: u8, nodes: &[Node]) -> Plan {
        assert!((1..=16).contains(&height), "tiles are 1 to 16 levels high");
        let cover = tlog::cover(0, tree.size);
        let mut tiles = Vec::with_capacity(cover.len() + nodes.len());
        for node in &cover {
            let (tile, _) = node.place(height, tree.size);
            if !tiles.contains(&tile) {
                tiles.push(tile);
            }
        }
        let top = tiles.len();
        for node in nodes {
            assert!(node.index < tree.size >> node.level, "{node:?} is not in a tree of {} records", tree.size);
            let mut missing = Vec::new();
            let (mut tile, _) = node.place(height, tree.size);
            // This ends: tiles that are not full hold the right edge of the tree, and so belong to the cover.
            while !tiles.contains(&tile) {
                missing.push(tile);
                tile = tile.parent(tree.size);
            }
            tiles.extend(missing.into_iter().rev());
        }
        Plan { tree, height, cover, tiles, top }
    }

    /// The tiles to bring, in the order in which [`Plan::authenticate`] wants them.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Checks all tiles against the signed root. What it returns is as good as signed.
    ///
    /// # Errors
    /// When a tile has a wrong length, or any bit of any tile is not what the tree demands.
    pub fn authenticate<'a, D: AsRef<[u8]>>(&'a self, data: &'a [D]) -> Result<Held<'a, D>, Refusal> {
        assert_eq!(data.len(), self.tiles.len(), "one answer for each tile of the plan");
        for (tile, data) in self.tiles.iter().zip(data) {
            let (expected, got) = (tile.byte_len(), data.as_ref().len());
            if expected != got {
                return Err(Refusal::TileLength { tile: tile.to_string(), expected, got });
            }
        }
        let held = Held { plan: self, data };
        if held.join(&self.cover) != Some(self.tree.root) {
            return Err(Refusal::Root { size: self.tree.size });
        }
        for (tile, data) in self.tiles.iter().zip(data).skip(self.top) {
            // The parent stands before its child in the plan, so it is already believed.
            if held.hash(tile.top()) != Some(hash_row(data.as_ref())) {
                return Err(Refusal::Tile { tile: tile.to_string() });
            }
        }
        Ok(held)
    }
}

impl<D: AsRef<[u8]>> Held<'_, D> {
    /// The hash of a node, when one of the tiles has it.
    #[must_use]
    pub fn hash(&self, node: Node) -> Option<Hash> {
        let (tile, range) = node.place(self.plan.height, self.plan.tree.size);
        let at = self.plan.tiles.iter().position(|held| *held == tile)?;
        self.data[at].as_ref().get(range).map(hash_row)
    }

    /// The root over the records `from..to`, when the tiles have what it takes.
    #[must_use]
    pub fn root(&self, from: u64, to: u64) -> Option<Hash> {
        self.join(&tlog::cover(from, to))
    }

    /// The proof, for [`tlog::is_prefix`], that this tree begins with its first `prefix` records.
    #[must_use]
    pub fn prove_prefix(&self, prefix: u64) -> Option<Vec<Hash>> {
        let ranges = tlog::prefix_proof(self.plan.tree.size, prefix);
        ranges.into_iter().map(|(from, to)| self.root(from, to)).collect()
    }

    /// The proof, for [`tlog::has_record`], that this tree has record `id`.
    #[must_use]
    pub fn prove_record(&self, id: u64) -> Option<Vec<Hash>> {
        let ranges = tlog::record_proof(self.plan.tree.size, id);
        ranges.into_iter().map(|(from, to)| self.root(from, to)).collect()
    }

    fn join(&self, nodes: &[Node]) -> Option<Hash> {
        let hashes: Option<Vec<Hash>> = nodes.iter().map(|node| self.hash(*node)).collect();
        Some(tlog::join(&hashes?))
    }
}

/// The hash of the subtree over a row of hashes, whose number is a power of two.
fn hash_row(row: &[u8]) -> Hash {
    match row.len() {
        HASH => Hash(row.try_into().expect("the arm says the length")),
        len => Hash::of_node(&hash_row(&row[..len / 2]), &hash_row(&row[len / 2..])),
    }
}
