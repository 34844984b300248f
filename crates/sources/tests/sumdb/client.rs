//! The client around the judgement: what it fetches, what it keeps, how the tree head moves, and what it does when the
//! server lies, forgets, forks or is gone.

use std::fs;

use govern_sources::sumdb::{Error, Keep, KeepError, Refusal};

use crate::lab::{Lab, lookup_of, record_of, security};
use crate::log::{Log, MODULE, NAME, version};

#[test]
fn a_record_is_proven_once_and_then_known() {
    let log = Log::of_toolchains(300);
    let lab = Lab::new(&log, 300);
    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 300));
    assert_eq!(lab.kept_size(), 300);
    let asked = lab.server.asked();
    assert_eq!(asked, [lookup_of(7).as_str(), "/tile/8/1/000.p/1", "/tile/8/0/001.p/44", "/tile/8/0/000"]);

    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 300));
    assert!(lab.server.asked().is_empty());
    assert_eq!(lab.lookup(8).unwrap(), record_of(8, 300));
    assert_eq!(lab.server.asked(), [lookup_of(8)]);
}

#[test]
fn a_proven_record_is_proven_again_without_any_server() {
    let log = Log::of_toolchains(300);
    let lab = Lab::new(&log, 300);
    lab.lookup(7).unwrap();
    lab.server.go_away();
    lab.server.asked();
    assert_eq!(lab.lookup_cached(7).unwrap(), record_of(7, 300));
    assert!(lab.server.asked().is_empty());
    let error = lab.lookup_cached(8).unwrap_err();
    let expect = format!("no proof of {MODULE} {} from {NAME} is kept: it was not looked up here", version(8));
    assert_eq!(error.to_string(), expect);
}

#[test]
fn a_proof_stays_provable_offline_when_the_head_has_moved_past_the_tiles_at_hand() {
    let log = Log::of_toolchains(600);
    let lab = Lab::new(&log, 200);
    lab.lookup(7).unwrap();
    lab.server.replace_all(log.files(600));
    assert_eq!(lab.lookup(590).unwrap(), record_of(590, 600));
    lab.server.go_away();
    // The cache may lose any file. The tile of record 7 is full in the tree of 600: without it, the tree of 200 proves.
    fs::remove_file(lab.cache().join("tile/8/0/000")).unwrap();
    assert_eq!(lab.lookup_cached(7).unwrap(), record_of(7, 200));
    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 200));
}

#[test]
fn what_proves_a_record_is_kept_even_when_the_answer_came_with_an_older_head() {
    let log = Log::of_toolchains(600);
    let lab = Lab::new(&log, 600);
    lab.lookup(599).unwrap();
    // A proxy's cache answers with the head of long ago; the tiles are those of today.
    lab.server.put(&lookup_of(7), log.answer(7, 100));
    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 600));
    assert_eq!(lab.kept_size(), 600);
    fs::remove_file(lab.state().join("latest")).unwrap();
    lab.server.go_away();
    assert_eq!(lab.lookup_cached(7).unwrap(), record_of(7, 600));
}

#[test]
fn every_bit_of_a_kept_proof_counts() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    lab.lookup(7).unwrap();
    lab.server.go_away();
    for path in [&lookup_of(7)[1..], "tile/8/0/000.p/20"] {
        let file = lab.cache().join(path);
        let honest = fs::read(&file).unwrap();
        for at in 0..honest.len() {
            let mut damaged = honest.clone();
            damaged[at] ^= 1;
            fs::write(&file, damaged).unwrap();
            let error = lab.lookup_cached(7).unwrap_err();
            assert!(matches!(error, Error::NotKept { .. }), "{path} {at}: {error:?}");
        }
        fs::write(&file, honest).unwrap();
    }
    assert_eq!(lab.lookup_cached(7).unwrap(), record_of(7, 20));
}

#[test]
fn damage_on_disk_is_healed_from_the_server_and_accuses_nobody() {
    let log = Log::of_toolchains(300);
    let lab = Lab::new(&log, 300);
    lab.lookup(7).unwrap();
    for path in [&lookup_of(7)[1..], "tile/8/0/000", "tile/8/0/001.p/44", "tile/8/1/000.p/1"] {
        let file = lab.cache().join(path);
        let honest = fs::read(&file).unwrap();
        let mut flipped = honest.clone();
        flipped[10] ^= 4;
        for damaged in [Vec::new(), vec![0; 10], flipped, vec![0; 2_000_000]] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(lab.lookup(7).unwrap(), record_of(7, 300), "{path}");
            assert_eq!(fs::read(&file).unwrap(), honest, "{path}");
        }
    }
}

#[test]
fn a_silent_log_is_not_found_and_a_dead_one_is_out_of_reach() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 10);
    let error = lab.lookup(15).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("the checksum database {NAME} has no record of {MODULE} {}", version(15)));
    lab.server.go_away();
    let error = lab.lookup(5).unwrap_err();
    assert_eq!(error.to_string(), format!("the checksum database {NAME} is out of reach: connection refused"));
}

#[test]
fn a_missing_tile_is_never_taken_for_a_silent_log() {
    let log = Log::of_toolchains(300);
    for tile in ["/tile/8/1/000.p/1", "/tile/8/0/001.p/44", "/tile/8/0/000"] {
        let lab = Lab::new(&log, 300);
        lab.server.remove(tile);
        let error = lab.lookup(7).unwrap_err();
        let expect =
            format!("the checksum database {NAME} is out of reach: it does not serve {}: not found", &tile[1..]);
        assert_eq!(error.to_string(), expect);
        assert_eq!(lab.keep().latest().unwrap(), None);
    }
}

#[test]
fn a_partial_tile_that_has_become_full_is_taken_from_the_full_one() {
    let log = Log::of_toolchains(512);
    let lab = Lab::new(&log, 300);
    lab.server.remove("/tile/8/0/001.p/44");
    let full = log.files(512).remove("/tile/8/0/001").unwrap();
    lab.server.put("/tile/8/0/001", full.clone());
    assert_eq!(lab.lookup(270).unwrap(), record_of(270, 300));
    assert_eq!(fs::read(lab.cache().join("tile/8/0/001.p/44")).unwrap(), full[..44 * 32]);
    assert!(!lab.cache().join("tile/8/0/001").exists(), "only what was authenticated is kept");

    for length in [44 * 32, 255 * 32, 8191, 8193, 0] {
        let lab = Lab::new(&log, 300);
        lab.server.remove("/tile/8/0/001.p/44");
        let mut wrong = full.clone();
        wrong.resize(length, 0);
        lab.server.put("/tile/8/0/001", wrong);
        let (refusal, _) = security(lab.lookup(270));
        let expect = Refusal::TileLength { tile: "tile/8/0/001".to_owned(), expected: 8192, got: length };
        assert_eq!(refusal, expect);
    }
}

#[test]
fn a_kept_full_tile_serves_for_its_partial_ones() {
    let log = Log::of_toolchains(600);
    let lab = Lab::new(&log, 600);
    lab.lookup(270).unwrap();
    assert!(lab.cache().join("tile/8/0/001").exists());
    lab.server.replace_all([(lookup_of(271), log.answer(271, 600))].into());
    lab.server.asked();
    assert_eq!(lab.lookup(271).unwrap(), record_of(271, 600));
    assert_eq!(lab.server.asked(), [lookup_of(271)]);
}

#[test]
fn a_tile_with_missing_or_surplus_bytes_is_refused() {
    let log = Log::of_toolchains(300);
    for tile in ["/tile/8/1/000.p/1", "/tile/8/0/001.p/44", "/tile/8/0/000"] {
        for surplus in [-1_isize, -32, 1, 32] {
            let lab = Lab::new(&log, 300);
            let mut data = lab.server.remove(tile);
            let expected = data.len();
            let got = expected.checked_add_signed(surplus).unwrap();
            data.resize(got, 0);
            lab.server.put(tile, data);
            let expect = Refusal::TileLength { tile: tile[1..].to_owned(), expected, got };
            assert_eq!(security(lab.lookup(7)).0, expect);
        }
    }
}

#[test]
fn a_forged_tile_or_answer_moves_no_head_and_leaves_nothing_in_the_cache() {
    let log = Log::of_toolchains(300);
    for path in [lookup_of(7).as_str(), "/tile/8/1/000.p/1", "/tile/8/0/001.p/44", "/tile/8/0/000"] {
        let lab = Lab::new(&log, 300);
        let mut data = lab.server.remove(path);
        data[30] ^= 1;
        lab.server.put(path, data);
        security(lab.lookup(7));
        assert_eq!(lab.keep().latest().unwrap(), None);
        assert!(!lab.cache().exists());
    }
}

#[test]
fn an_answer_to_another_question_is_refused_and_not_kept() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    lab.server.put(&lookup_of(7), log.answer(8, 20));
    let (refusal, _) = security(lab.lookup(7));
    assert_eq!(refusal, Refusal::NoLine { module: MODULE.to_owned(), version: version(7) });
    assert_eq!(lab.keep().cached(&lookup_of(7)[1..]), None);
}

#[test]
fn an_answer_without_end_is_refused() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    lab.server.put(&lookup_of(7), vec![b'1'; 1_000_001]);
    assert_eq!(security(lab.lookup(7)).0, Refusal::Answer("it is longer than 1,000,000 bytes"));
}

#[test]
fn a_damaged_head_on_disk_stops_everything_and_names_its_file() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    lab.lookup(7).unwrap();
    let path = lab.state().join("latest");
    let mut note = fs::read(&path).unwrap();
    note[25] ^= 1;
    for damaged in [note, Vec::new()] {
        fs::write(&path, damaged).unwrap();
        let expect =
            format!("the tree head of {NAME} kept in {} is damaged; remove the file to begin anew", path.display());
        for error in [lab.lookup(7).unwrap_err(), lab.lookup(8).unwrap_err(), lab.lookup_cached(7).unwrap_err()] {
            assert_eq!(error.to_string(), expect);
        }
    }
    fs::remove_file(path).unwrap();
    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 20));
}

#[test]
fn a_cache_that_cannot_be_written_costs_nothing_but_the_cache() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    fs::write(lab.dir.path().join("cache"), "a file in the way").unwrap();
    assert_eq!(lab.lookup(7).unwrap(), record_of(7, 20));
    assert_eq!(lab.kept_size(), 20);
}

#[test]
fn a_head_that_cannot_be_written_is_an_error() {
    let log = Log::of_toolchains(20);
    let lab = Lab::new(&log, 20);
    fs::write(lab.dir.path().join("state"), "a file in the way").unwrap();
    let error = lab.lookup(7).unwrap_err();
    assert!(matches!(error, Error::Io(KeepError { .. })), "{error:?}");
}

#[test]
fn a_client_can_be_shared_between_tasks() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    fn is_sent<T: Send>(_: T) {}
    let log = Log::of_toolchains(2);
    let lab = Lab::new(&log, 2);
    let client = lab.client();
    is_shared(&client);
    is_sent(client.lookup(MODULE, "v1"));
    is_sent(client.lookup_cached(MODULE, "v1"));
}
