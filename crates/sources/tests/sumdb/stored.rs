//! The proof that stands alone: true for every record of every tree, and worth nothing when any bit of it is another.

use govern_sources::sumdb::claim::{Claim, Wanted};
use govern_sources::sumdb::{Refusal, Verifier, stored};

use crate::lab::{Lab, record_of, run};
use crate::log::{Log, MODULE, verifier, version};

/// The stored proof of record `id` in the tree of the log's first `size` records, tiles of that height.
fn proof_of(log: &Log, id: usize, size: usize, height: u8) -> String {
    let (answer, verifier, version) = (log.answer(id, size), verifier(), version(id));
    let wanted = Wanted { module: MODULE, version: &version };
    let claim = Claim::new(&verifier, height, None, &answer, wanted).unwrap();
    let tiles: Vec<_> = claim.tiles().iter().map(|tile| log.tile(tile)).collect();
    claim.judge(&tiles).unwrap().stored
}

fn check(text: &[u8], id: usize) -> Result<govern_core::proof::LogRecord, Refusal> {
    stored::check(text, &verifier(), Wanted { module: MODULE, version: &version(id) })
}

#[test]
fn every_record_of_every_tree_is_proven_by_its_text_alone() {
    let log = Log::of_toolchains(160);
    let mut proven = 0;
    for size in 1..=160 {
        for id in 0..size {
            // Low tiles make tall towers of them, as a large log has.
            for height in [2, 8] {
                let text = proof_of(&log, id, size, height);
                assert_eq!(check(text.as_bytes(), id), Ok(record_of(id, size as u64)), "{id} of {size}");
                proven += 1;
            }
        }
    }
    println!("{proven} stored proofs, each of them accepted");
    assert!(proven >= 25_000, "{proven}");
}

#[test]
fn no_bit_of_a_stored_proof_can_be_another() {
    let log = Log::of_toolchains(600);
    let (mut forged, mut accepted) = (0, 0);
    for (id, size) in [(0, 1), (0, 2), (1, 3), (7, 100), (255, 256), (256, 257), (511, 600), (599, 600)] {
        let honest = proof_of(&log, id, size, 8).into_bytes();
        for at in 0..honest.len() {
            for bit in 0..8 {
                let mut text = honest.clone();
                text[at] ^= 1 << bit;
                forged += 1;
                accepted += usize::from(check(&text, id).is_ok());
            }
            let without = [&honest[..at], &honest[at + 1..]].concat();
            let doubled = [&honest[..=at], &honest[at..]].concat();
            for text in [honest[..at].to_vec(), without, doubled] {
                forged += 1;
                accepted += usize::from(check(&text, id).is_ok());
            }
        }
    }
    println!("{forged} forged proofs, {accepted} accepted");
    assert!(forged >= 50_000, "{forged}");
    assert_eq!(accepted, 0);
}

#[test]
fn a_stored_proof_speaks_of_one_release_and_one_database() {
    let log = Log::of_toolchains(20);
    let text = proof_of(&log, 7, 20, 8);
    assert!(matches!(check(text.as_bytes(), 8), Err(Refusal::NoLine { .. })));
    let wanted = Wanted { module: MODULE, version: &version(7) };
    let foreign = stored::check(text.as_bytes(), &Verifier::sum_golang_org(), wanted);
    assert!(matches!(foreign, Err(Refusal::Unsigned { .. })), "{foreign:?}");
    // The head of another tree, and a record with the hashes of its neighbour.
    let (proof, _) = text.split_once("\n\n").unwrap();
    let (_, head) = proof_of(&log, 7, 19, 8).split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(check(format!("{proof}\n\n{head}").as_bytes(), 7), Err(Refusal::Record { id: 7 }));
    let crossed = proof_of(&log, 6, 20, 8).replace("index 6\n", "index 7\n");
    assert_eq!(check(crossed.as_bytes(), 6), Err(Refusal::Record { id: 7 }));
}

#[test]
fn signatures_of_others_are_left_out_of_a_stored_proof_and_refused_in_one() {
    let log = Log::of_toolchains(20);
    let other = "\u{2014} witness.example AAAAAAECAwQ=\n";
    let (verifier, version) = (verifier(), version(7));
    let answer = [log.answer(7, 20), other.as_bytes().to_vec()].concat();
    let wanted = Wanted { module: MODULE, version: &version };
    let claim = Claim::new(&verifier, 8, None, &answer, wanted).unwrap();
    let tiles: Vec<_> = claim.tiles().iter().map(|tile| log.tile(tile)).collect();
    let text = claim.judge(&tiles).unwrap().stored;
    assert_eq!(text, proof_of(&log, 7, 20, 8));
    let with_other = check(format!("{text}{other}").as_bytes(), 7);
    assert!(matches!(with_other, Err(Refusal::Stored(_))), "{with_other:?}");
}

#[test]
fn a_lookup_gives_the_proof_and_so_does_the_cache_when_the_database_is_gone() {
    let log = Log::of_toolchains(300);
    let lab = Lab::new(&log, 300);
    let proven = run(lab.client().lookup_proven(MODULE, &version(7))).unwrap();
    assert_eq!(proven.record, record_of(7, 300));
    assert_eq!(check(proven.stored.as_bytes(), 7), Ok(record_of(7, 300)));
    lab.server.go_away();
    assert_eq!(run(lab.client().lookup_proven(MODULE, &version(7))).unwrap(), proven);
}
