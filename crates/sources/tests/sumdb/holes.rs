//! The three holes that Go's own client had until 2026, and the attacks around them. Each attack here is signed and
//! consistent in everything but the one thing that it tries.

use govern_sources::sumdb::Refusal;
use govern_sources::sumdb::claim::{Claim, Verdict, Wanted};
use govern_sources::sumdb::tile::{HEIGHT, Tile};
use govern_sources::sumdb::tlog::Head;

use crate::log::{self, Log, MODULE};

/// Judges an answer with tiles that `serve` gives.
fn judge(
    known: Option<&Head>,
    answer: &[u8],
    version: &str,
    height: u8,
    serve: impl Fn(&Tile) -> Vec<u8>,
) -> Result<Verdict, Refusal> {
    let verifier = log::verifier();
    let claim = Claim::new(&verifier, height, known, answer, Wanted { module: MODULE, version })?;
    let tiles: Vec<_> = claim.tiles().iter().map(serve).collect();
    claim.judge(&tiles)
}

fn no_line(version: &str) -> Refusal {
    Refusal::NoLine { module: MODULE.to_owned(), version: version.to_owned() }
}

#[test]
fn cve_2026_42501_a_record_of_another_module_proves_nothing() {
    let other = "example.com/tool v1.0.0 h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=\n";
    let log = Log::of_toolchains(5).with_record(3, other.to_owned());
    let refusal = judge(None, &log.answer(3, 5), &log::version(3), HEIGHT, |tile| log.tile(tile)).unwrap_err();
    assert_eq!(refusal, no_line(&log::version(3)));
}

#[test]
fn cve_2026_42501_a_line_that_only_resembles_the_wanted_one_proves_nothing() {
    let version = log::version(3);
    let hash = log::h1("x");
    for line in [
        format!("{MODULE} {version}/go.mod {hash}"),
        format!("{MODULE} {version}x {hash}"),
        format!("{MODULE} {version} h2:{}", &hash[3..]),
        format!("{MODULE}x {version} {hash}"),
        format!(" {MODULE} {version} {hash}"),
        format!("{MODULE}  {version} {hash}"),
    ] {
        let log = Log::of_toolchains(5).with_record(3, format!("{line}\n"));
        let refusal = judge(None, &log.answer(3, 5), &version, HEIGHT, |tile| log.tile(tile)).unwrap_err();
        assert_eq!(refusal, no_line(&version), "{line}");
    }
}

#[test]
fn cve_2026_42501_a_record_with_two_hashes_for_the_module_proves_nothing() {
    let line = |seed: &str| format!("{MODULE} {} {}\n", log::version(3), log::h1(seed));
    let judge_record = |text: String| {
        let log = Log::of_toolchains(5).with_record(3, text);
        judge(None, &log.answer(3, 5), &log::version(3), HEIGHT, |tile| log.tile(tile))
    };
    let refusal = judge_record(line("one") + &line("two")).unwrap_err();
    assert_eq!(refusal, Refusal::Ambiguous { module: MODULE.to_owned(), version: log::version(3) });
    assert_eq!(judge_record(line("one") + &line("one")).unwrap().record.h1, log::h1("one"));
}

#[test]
fn a_hash_that_is_none_proves_nothing() {
    for hash in ["", "AAAA", "8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0", "not base64 at all"] {
        let log = Log::of_toolchains(2).with_record(1, format!("{MODULE} {} h1:{hash}\n", log::version(1)));
        let refusal = judge(None, &log.answer(1, 2), &log::version(1), HEIGHT, |tile| log.tile(tile)).unwrap_err();
        assert_eq!(refusal, Refusal::Hash(format!("h1:{hash}")));
    }
}

#[test]
fn cve_2026_56864_lines_of_the_signed_note_are_no_record() {
    // The note may carry more lines, and they are signed: but no log holds them.
    let evil = format!("{MODULE} {} {}\n", log::version(3), log::h1("evil"));
    let honest = Log::of_toolchains(5);
    let note = log::sign(&format!("{}{evil}", honest.tree_text(5)));
    let answer = log::answer(3, &honest.records[3], &note);
    let verdict = judge(None, &answer, &log::version(3), HEIGHT, |tile| honest.tile(tile)).unwrap();
    assert_eq!(verdict.record.h1, log::h1("3"));

    let silent = honest.with_record(3, "example.com/tool v1.0.0 h1:x\n".to_owned());
    let note = log::sign(&format!("{}{evil}", silent.tree_text(5)));
    let answer = log::answer(3, &silent.records[3], &note);
    let refusal = judge(None, &answer, &log::version(3), HEIGHT, |tile| silent.tile(tile)).unwrap_err();
    assert_eq!(refusal, no_line(&log::version(3)));
}

#[test]
fn cve_2026_56864_lines_after_a_blank_line_in_the_note_are_no_record() {
    let log = Log::of_toolchains(5).with_record(3, "example.com/tool v1.0.0 h1:x\n".to_owned());
    let evil = format!("\n{MODULE} {} {}\n", log::version(3), log::h1("evil"));
    let note = log::sign(&format!("{}{evil}", log.tree_text(5)));
    let answer = log::answer(3, &log.records[3], &note);
    let refusal = judge(None, &answer, &log::version(3), HEIGHT, |tile| log.tile(tile)).unwrap_err();
    assert_eq!(refusal, no_line(&log::version(3)));
}

#[test]
fn cve_2026_56865_a_tile_that_the_root_does_not_need_is_compared_with_its_parent() {
    // 300 records: five nodes of the cover in two tiles. Counting nodes, the tile of record 5 would go unseen.
    let log = Log::of_toolchains(300);
    let forged = log.with_record(5, log::record(5, &log::h1("evil")));
    let answer = log::answer(5, &forged.records[5], &log.note(300));
    let known = log.head(300);
    for known in [None, Some(&known)] {
        let refusal = judge(known, &answer, &log::version(5), HEIGHT, |tile| {
            if (tile.level, tile.index) == (0, 0) { forged.tile(tile) } else { log.tile(tile) }
        });
        assert_eq!(refusal.unwrap_err(), Refusal::Tile { tile: "tile/8/0/000".to_owned() });
    }
}

#[test]
fn cve_2026_56865_no_tile_of_a_deep_tree_goes_unseen() {
    let log = Log::of_toolchains(300);
    let forged = log.with_record(5, log::record(5, &log::h1("evil")));
    let answer = log::answer(5, &forged.records[5], &log.note(300));
    for height in 1..=HEIGHT {
        let way = 9_u8.div_ceil(height);
        for level in 0..way {
            // Each tile on the way of the record, and all below it, are those of the other log.
            let result = judge(None, &answer, &log::version(5), height, |tile| {
                if tile.level <= level && tile.index == 5 >> (height * (tile.level + 1)) {
                    forged.tile(tile)
                } else {
                    log.tile(tile)
                }
            });
            assert!(matches!(result, Err(Refusal::Tile { .. } | Refusal::Root { .. })), "{height} {level}: {result:?}");
        }
    }
}

#[test]
fn every_bit_of_every_tile_of_an_answer_counts() {
    let log = Log::of_toolchains(300);
    let (answer, known, verifier) = (log.answer(7, 300), log.head(300), log::verifier());
    let wanted = Wanted { module: MODULE, version: &log::version(7) };
    let claim = Claim::new(&verifier, HEIGHT, Some(&known), &answer, wanted).unwrap();
    let mut tiles: Vec<_> = claim.tiles().iter().map(|tile| log.tile(tile)).collect();
    claim.judge(&tiles).unwrap();
    for tile in 0..tiles.len() {
        for bit in 0..tiles[tile].len() * 8 {
            tiles[tile][bit / 8] ^= 1 << (bit % 8);
            let result = claim.judge(&tiles);
            assert!(matches!(result, Err(Refusal::Tile { .. } | Refusal::Root { .. })), "{tile} {bit}: {result:?}");
            tiles[tile][bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_tile_of_another_length_is_refused_before_it_is_read() {
    let log = Log::of_toolchains(300);
    let answer = log.answer(7, 300);
    let changes: [fn(&mut Vec<u8>); 4] =
        [|row| row.truncate(31), |row| row.push(0), Vec::clear, |row| row.extend([0; 32])];
    for change in changes {
        for at in 0..3 {
            let verifier = log::verifier();
            let wanted = Wanted { module: MODULE, version: &log::version(7) };
            let claim = Claim::new(&verifier, HEIGHT, None, &answer, wanted).unwrap();
            let mut tiles: Vec<_> = claim.tiles().iter().map(|tile| log.tile(tile)).collect();
            change(&mut tiles[at]);
            assert!(matches!(claim.judge(&tiles), Err(Refusal::TileLength { .. })));
        }
    }
}

#[test]
fn a_record_beyond_the_signed_tree_is_refused_without_asking_for_tiles() {
    let log = Log::of_toolchains(5);
    let answer = log::answer(4, &log.records[4], &log.note(4));
    let verifier = log::verifier();
    let wanted = Wanted { module: MODULE, version: &log::version(4) };
    let refusal = Claim::new(&verifier, HEIGHT, None, &answer, wanted).unwrap_err();
    assert_eq!(refusal, Refusal::Beyond { id: 4, size: 4 });
    let empty = log::answer(0, &log.records[0], &log.note(0));
    let refusal = Claim::new(&verifier, HEIGHT, None, &empty, wanted).unwrap_err();
    assert_eq!(refusal, Refusal::Beyond { id: 0, size: 0 });
}

#[test]
fn a_true_record_at_another_number_is_refused() {
    let log = Log::of_toolchains(20);
    let answer = log::answer(6, &log.records[7], &log.note(20));
    let refusal = judge(None, &answer, &log::version(7), HEIGHT, |tile| log.tile(tile)).unwrap_err();
    assert_eq!(refusal, Refusal::Record { id: 6 });
}

#[test]
fn only_a_larger_head_asks_to_be_kept() {
    let log = Log::of_toolchains(20);
    let advance = |known: Option<usize>| {
        let known = known.map(|size| log.head(size));
        judge(known.as_ref(), &log.answer(3, 10), &log::version(3), HEIGHT, |tile| log.tile(tile)).unwrap().advance
    };
    assert_eq!(advance(None), Some(log.head(10)));
    assert_eq!(advance(Some(9)), Some(log.head(10)));
    assert_eq!(advance(Some(10)), None);
    assert_eq!(advance(Some(11)), None);
}
