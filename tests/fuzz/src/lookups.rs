//! Answers to lookups. A verdict must be the truth about a log that was signed, and about one log only; an honest answer
//! must get one.

use arbitrary::{Arbitrary, Unstructured};
use govern_sources::sumdb::claim::{Claim, Wanted};

use crate::edit::Edit;
use crate::log::{self, MODULE};
use crate::logs::{FORKED, HONEST, RECORDS, Told, VERIFIER};

#[derive(Arbitrary, Debug)]
struct Case {
    height: u8,
    id: u16,
    size: u16,
    /// What is asked for, where it is not the record that is answered with.
    wanted: Option<u16>,
    known: Option<(Side, u16)>,
    record: Side,
    note: Side,
    tiles: Side,
    answer_edits: Vec<Edit>,
    tile_edits: Vec<(u8, Edit)>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Honest,
    Forked,
}

impl Side {
    fn log(self) -> &'static Told {
        match self {
            Side::Honest => &HONEST,
            Side::Forked => &FORKED,
        }
    }
}

/// Random bytes are cases already.
pub fn seeds() -> impl Iterator<Item = Vec<u8>> {
    crate::seeds::noise(64)
}

/// Judges one answer.
///
/// # Panics
/// When something else than a signed log's own record is believed, or an honest answer is not.
pub fn check(data: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(data)) else { return };
    let size = usize::from(case.size) % (RECORDS + 1);
    let id = usize::from(case.id) % RECORDS;
    let wanted_id = case.wanted.map_or(id, |wanted| usize::from(wanted) % RECORDS);
    let known = case.known.map(|(side, size)| &side.log().heads[usize::from(size) % (RECORDS + 1)]);
    let mut answer = log::answer(id, &case.record.log().log.records[id], case.note.log().heads[size].note());
    for edit in &case.answer_edits {
        edit.apply(&mut answer);
    }
    let version = log::version(wanted_id);
    let wanted = Wanted { module: MODULE, version: &version };

    let newest = known.map_or(size as u64, |known| known.tree().size.max(size as u64));
    let is_honest = [case.record, case.note, case.tiles].iter().all(|side| *side == Side::Honest)
        && case.known.is_none_or(|(side, _)| side == Side::Honest)
        && case.answer_edits.is_empty()
        && case.tile_edits.is_empty()
        && wanted_id == id
        && (id as u64) < newest;

    let claim = match Claim::new(&VERIFIER, 1 + case.height % 8, known, &answer, wanted) {
        Ok(claim) => claim,
        Err(refusal) => return assert!(!is_honest, "an honest answer: {refusal}"),
    };
    let mut tiles: Vec<Vec<u8>> = claim.tiles().iter().map(|tile| case.tiles.log().log.tile(tile)).collect();
    for (at, edit) in &case.tile_edits {
        if let Some(at) = usize::from(*at).checked_rem(tiles.len()) {
            edit.apply(&mut tiles[at]);
        }
    }
    let verdict = match claim.judge(&tiles) {
        Ok(verdict) => verdict,
        Err(refusal) => return assert!(!is_honest, "an honest answer: {refusal}"),
    };

    let (older, newer) = claim.heads();
    let tree = newer.tree();
    let told = [&*HONEST, &*FORKED].into_iter().find(|told| told.tree(tree.size) == *tree);
    let told = told.expect("a tree was believed that nobody signed");
    if let Some(older) = older {
        assert_eq!(told.tree(older.tree().size), *older.tree(), "two timelines were believed");
    }
    if let Some(known) = known {
        assert_eq!(told.tree(known.tree().size), *known.tree(), "the known head was given up");
    }
    let honest: Vec<Vec<u8>> = claim.tiles().iter().map(|tile| told.log.tile(tile)).collect();
    assert_eq!(tiles, honest, "changed tiles were believed");
    assert!(verdict.record.id < tree.size && verdict.record.tree_size == tree.size);
    assert_eq!(verdict.record.id, wanted_id as u64, "another record was believed");
    assert_eq!(verdict.record.h1, told.hashes[wanted_id], "a hash was believed that the log does not have");
    assert_eq!(verdict.advance.is_some(), known.is_none_or(|known| known.tree().size < tree.size));

    let again = Claim::new(&VERIFIER, 8, None, &verdict.proof, wanted).unwrap();
    let tiles: Vec<Vec<u8>> = again.tiles().iter().map(|tile| told.log.tile(tile)).collect();
    assert_eq!(again.judge(&tiles).unwrap().record, verdict.record, "the kept proof proves something else");
}
