//! Tiles of a known log. Whatever is authenticated must be the log's own, bit for bit, and the log's own must be.

use arbitrary::{Arbitrary, Unstructured};
use govern_sources::sumdb::tile::Plan;
use govern_sources::sumdb::tlog::{Hash, Node};

use crate::edit::Edit;
use crate::logs::{HONEST, RECORDS};

#[derive(Arbitrary, Debug)]
struct Case {
    size: u16,
    height: u8,
    lies_about_root: bool,
    nodes: Vec<(u8, u16)>,
    edits: Vec<(u8, Edit)>,
}

/// Random bytes are cases already.
pub fn seeds() -> impl Iterator<Item = Vec<u8>> {
    crate::seeds::noise(64)
}

/// Brings tiles, some of them changed, to a plan for some nodes.
///
/// # Panics
/// When other tiles than the log's are believed, the log's own are not, or a hash is wrong.
pub fn check(data: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(data)) else { return };
    let size = u64::from(case.size) % (RECORDS as u64 + 1);
    let mut tree = HONEST.tree(size);
    if case.lies_about_root {
        tree.root.0[usize::from(case.height) % 32] ^= 1;
    }
    let height = 1 + case.height % 8;
    let nodes: Vec<Node> = case
        .nodes
        .iter()
        .take(if size == 0 { 0 } else { 16 })
        .map(|(level, index)| {
            let level = level % (size.ilog2() as u8 + 1);
            Node { level, index: u64::from(*index) % (size >> level) }
        })
        .collect();

    let plan = Plan::new(tree, height, &nodes);
    let honest: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| HONEST.log.tile(tile)).collect();
    let mut brought = honest.clone();
    for (at, edit) in &case.edits {
        if let Some(at) = usize::from(*at).checked_rem(brought.len()) {
            edit.apply(&mut brought[at]);
        }
    }
    match plan.authenticate(&brought) {
        Ok(held) => {
            assert!(!case.lies_about_root, "tiles were believed that do not make the root");
            assert_eq!(brought, honest, "changed tiles were believed");
            for node in nodes {
                assert_eq!(held.hash(node), Some(HONEST.subtree(node.level, node.index)), "{node:?}");
            }
            let root = if size == 0 { Hash::of_empty_tree() } else { tree.root };
            assert_eq!(held.root(0, size), Some(root));
        }
        Err(refusal) => assert!(case.lies_about_root || brought != honest, "honest tiles: {refusal}"),
    }
}
