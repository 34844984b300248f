//! The tree head that is kept: it moves forward with the log, never back, and a fork is a hard stop with evidence.

use std::fs;
use std::path::Path;

use govern_sources::sumdb::tlog::{self, Hash, Head, Tree};
use govern_sources::sumdb::{Client, DiskKeep, Keep, Refusal};

use crate::lab::{Lab, Moving, Server, lookup_of, record_of, run, security};
use crate::log::{self, Log, MODULE, NAME, version};

#[test]
fn the_head_moves_forward_with_the_log_and_never_back() {
    let log = Log::of_toolchains(600);
    let lab = Lab::new(&log, 100);
    for (size, i) in [(100, 99), (101, 100), (300, 5), (300, 299), (557, 3), (600, 599)] {
        lab.server.replace_all(log.files(size));
        assert_eq!(lab.lookup(i).unwrap(), record_of(i, size as u64));
        assert_eq!(lab.kept_size(), size as u64);
    }
    // The server falls back to an older, honest state: its answers are proven in the tree that we know.
    let mut files = log.files(600);
    files.insert(lookup_of(40), log.answer(40, 256));
    lab.server.replace_all(files);
    assert_eq!(lab.lookup(40).unwrap(), record_of(40, 600));
    assert_eq!(lab.kept_size(), 600);
}

/// Reads an evidence file as a stranger would, and checks that it proves what it says.
fn check_evidence(path: &Path, older: &[u8], newer: &[u8]) {
    let text = fs::read_to_string(path).unwrap();
    let blocks: Vec<String> = text
        .split("\n\n")
        .filter(|block| block.starts_with("    "))
        .map(|block| block.lines().map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect())
        .collect();
    let quoted = |note: &[u8]| {
        let note = String::from_utf8(note.to_vec()).unwrap();
        note.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    assert!(text.contains(&quoted(older)) && text.contains(&quoted(newer)), "{text}");
    let (older, newer) = (Head::open(older, &log::verifier()).unwrap(), Head::open(newer, &log::verifier()).unwrap());
    if older.tree().size == newer.tree().size {
        assert_ne!(older.tree().root, newer.tree().root);
        return;
    }
    let [.., root, proof] = &blocks[..] else { panic!("{text}") };
    let root = Hash::parse(root.trim()).unwrap();
    let proof: Vec<_> = proof.lines().map(|line| Hash::parse(line).unwrap()).collect();
    assert_ne!(root, older.tree().root);
    assert!(tlog::is_prefix(newer.tree(), &Tree { size: older.tree().size, root }, &proof), "{text}");
}

#[test]
fn a_log_that_forks_forward_is_stopped_with_evidence_that_proves_it() {
    let log = Log::of_toolchains(600);
    let fork = log.with_record(50, log::record(50, &log::h1("evil")));
    for (known, next) in [(60, 61), (100, 300), (256, 257), (300, 600), (512, 600)] {
        let lab = Lab::new(&log, known);
        lab.lookup(3).unwrap();
        lab.server.replace_all(fork.files(next));
        let (refusal, evidence) = security(lab.lookup(next - 1));
        assert!(matches!(refusal, Refusal::Fork(_)), "{refusal:?}");
        let evidence = evidence.unwrap();
        assert_eq!(evidence.parent().unwrap(), lab.state());
        check_evidence(&evidence, &log.note(known), &fork.note(next));
        assert_eq!(lab.kept_size(), known as u64);
        assert_eq!(lab.keep().latest().unwrap().unwrap(), log.note(known));
        assert_eq!(lab.keep().cached(&lookup_of(next - 1)[1..]), None, "nothing of a fork is kept");
    }
}

#[test]
fn a_log_that_goes_back_to_a_fork_is_stopped_with_evidence_that_proves_it() {
    let log = Log::of_toolchains(600);
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    for (known, back) in [(60, 59), (100, 3), (255, 128), (200, 77)] {
        let lab = Lab::new(&log, known);
        lab.lookup(30).unwrap();
        let mut files = fork.files(back);
        files.retain(|path, _| path.starts_with("/lookup/"));
        files.extend(fork.tiles(8, back));
        lab.server.replace_all(files);
        let (refusal, evidence) = security(lab.lookup(1));
        assert!(matches!(refusal, Refusal::Fork(_)), "{refusal:?}");
        check_evidence(&evidence.unwrap(), &fork.note(back), &log.note(known));
        assert_eq!(lab.kept_size(), known as u64);
    }
}

#[test]
fn two_heads_of_one_size_are_a_fork_before_any_tile_is_asked_for() {
    let log = Log::of_toolchains(100);
    let fork = log.with_record(99, log::record(99, &log::h1("evil")));
    let lab = Lab::new(&log, 100);
    lab.lookup(30).unwrap();
    lab.server.replace_all(fork.files(100));
    lab.server.asked();
    let (refusal, evidence) = security(lab.lookup(99));
    assert!(matches!(refusal, Refusal::Fork(_)), "{refusal:?}");
    assert_eq!(lab.server.asked(), [lookup_of(99)]);
    check_evidence(&evidence.unwrap(), &log.note(100), &fork.note(100));
}

#[test]
fn tiles_of_neither_tree_are_stopped_and_both_heads_are_saved() {
    let log = Log::of_toolchains(600);
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    let lab = Lab::new(&log, 100);
    lab.lookup(30).unwrap();
    // The note is the fork's, the tiles are nobody's.
    let mut files = fork.files(300);
    files.insert("/tile/8/0/000".to_owned(), vec![7; 256 * 32]);
    lab.server.replace_all(files);
    let (refusal, evidence) = security(lab.lookup(299));
    assert!(matches!(refusal, Refusal::Tile { .. } | Refusal::Root { .. }), "{refusal:?}");
    let text = fs::read_to_string(evidence.unwrap()).unwrap();
    assert!(text.contains("\n    300\n") && text.contains("\n    100\n"), "{text}");
}

#[test]
fn a_fork_on_disk_is_a_fork_too() {
    let log = Log::of_toolchains(100);
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    let lab = Lab::new(&log, 100);
    lab.lookup(30).unwrap();
    lab.keep().cache(&lookup_of(2)[1..], &fork.answer(2, 100)).unwrap();
    let (refusal, evidence) = security(lab.lookup_cached(2));
    assert!(matches!(refusal, Refusal::Fork(_)), "{refusal:?}");
    check_evidence(&evidence.unwrap(), &log.note(100), &fork.note(100));
    assert!(matches!(security(lab.lookup(2)).0, Refusal::Fork(_)));
}

#[test]
fn the_same_evidence_is_saved_once_and_named_in_the_error() {
    let log = Log::of_toolchains(100);
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    let lab = Lab::new(&log, 60);
    lab.lookup(30).unwrap();
    lab.server.replace_all(fork.files(100));
    let error = lab.lookup(99).unwrap_err();
    lab.lookup(98).unwrap_err();
    let files: Vec<_> = fs::read_dir(lab.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [evidence] =
        &files.iter().filter(|path| path.extension().is_some_and(|it| it == "txt")).collect::<Vec<_>>()[..]
    else {
        panic!("{files:?}")
    };
    let expect =
        format!("security: the checksum database {NAME} cannot be believed; the evidence is in {}", evidence.display());
    assert_eq!(error.to_string(), expect);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it signed two trees that contradict each other");
}

#[test]
fn evidence_that_cannot_be_saved_does_not_hide_the_fork() {
    let log = Log::of_toolchains(100);
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    let keep = Moving::at(Some(log.note(60)), []);
    let client = Client::new(log::verifier(), Server::of(fork.files(100)), keep);
    let (refusal, evidence) = security(run(client.lookup(MODULE, &version(99))));
    assert!(matches!(refusal, Refusal::Fork(_)) && evidence.is_none(), "{refusal:?}");
}

#[test]
fn a_head_that_another_process_moved_meanwhile_is_reckoned_with() {
    let log = Log::of_toolchains(200);
    let mut files = log.files(120);
    [100, 110, 130].into_iter().for_each(|size| files.extend(log.tiles(8, size)));
    let try_moves = |moves: [Vec<u8>; 2]| {
        let keep = Moving::at(Some(log.note(100)), moves);
        let client = Client::new(log::verifier(), Server::of(files.clone()), keep.clone());
        let result = run(client.lookup(MODULE, &version(7)));
        (result, keep.latest().unwrap().unwrap())
    };
    // It moved a little, twice: ours is still the newest.
    let (record, latest) = try_moves([log.note(105), log.note(110)]);
    assert_eq!((record.unwrap(), latest), (record_of(7, 120), log.note(120)));
    // It moved further than ours.
    let (record, latest) = try_moves([log.note(110), log.note(130)]);
    assert_eq!((record.unwrap(), latest), (record_of(7, 130), log.note(130)));
    // It moved to another log.
    let fork = log.with_record(2, log::record(2, &log::h1("evil")));
    let (result, latest) = try_moves([log.note(110), fork.note(119)]);
    assert!(matches!(security(result).0, Refusal::Fork(_)));
    assert_eq!(latest, fork.note(119));
}

#[test]
fn many_at_once_end_with_the_largest_head() {
    let log = Log::of_toolchains(600);
    let dir = tempfile::tempdir().unwrap();
    let lookups = 24;
    std::thread::scope(|scope| {
        for n in 0..lookups {
            let (log, dir) = (&log, dir.path());
            scope.spawn(move || {
                // Each client's server is at another size of the same log.
                let size = 600 - n * 20;
                let keep = DiskKeep::new(&dir.join("state"), &dir.join("cache"), &log::verifier());
                let mut files = log.files(size);
                files.extend(log.tiles(8, 600));
                for other in (0..lookups).map(|n| 600 - n * 20) {
                    files.extend(log.tiles(8, other));
                }
                let client = Client::new(log::verifier(), Server::of(files), keep);
                let record = run(client.lookup(MODULE, &version(n))).unwrap();
                assert_eq!(record.h1, log::h1(&n.to_string()));
            });
        }
    });
    let keep = DiskKeep::new(&dir.path().join("state"), &dir.path().join("cache"), &log::verifier());
    assert_eq!(keep.latest().unwrap().unwrap(), log.note(600));
}
