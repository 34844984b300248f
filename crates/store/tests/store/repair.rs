//! A damaged SDK and the whole one that takes its place; the proof that lies beside both.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use govern_store::{Damage, Error};

use crate::support::{Home, SOURCE, now, small_sdk, version};

const PROOF: &str = "c2sp.org/tlog-proof@v1\n";

/// Writes into a read-only file of a read-only tree.
fn damage(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, "damaged").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

fn damages(home: &Home) -> Vec<String> {
    home.store.verify(&version()).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn a_repair_puts_a_whole_sdk_in_the_place_of_a_damaged_one() {
    let home = Home::new();
    let goroot = home.install(&version()).goroot;
    damage(&goroot.join("src/cmd/go.mod"));
    assert_eq!(damages(&home), ["src/cmd/go.mod: changed"]);
    let old = fs::metadata(&goroot).unwrap().ino();
    let repaired = home.proven(&version()).with_log_proof(PROOF.to_owned()).replace("elsewhere", now()).unwrap();
    assert_eq!(repaired.goroot, goroot);
    assert_ne!(fs::metadata(&goroot).unwrap().ino(), old);
    assert_eq!(damages(&home), Vec::<String>::new());
    assert_eq!(home.store.facts(&version()).unwrap().source, "elsewhere");
    assert_eq!(home.store.log_proof(&version()).unwrap().as_deref(), Some(PROOF.as_bytes()));
    assert_eq!(home.leftovers(), Vec::<String>::new());
}

#[test]
fn what_has_lost_its_go_or_its_record_is_repaired_all_the_same() {
    let home = Home::new();
    let goroot = home.install(&version()).goroot;
    fs::set_permissions(goroot.join("bin"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(goroot.join("bin/go")).unwrap();
    fs::remove_file(home.layout.record(&version())).unwrap();
    assert_eq!((home.store.sdk(&version()), home.store.trees().unwrap()), (None, vec![version()]));
    assert!(matches!(home.store.verify(&version()), Err(Error::NoRecord { .. })));
    home.proven(&version()).replace(SOURCE, now()).unwrap();
    assert_eq!(damages(&home), Vec::<String>::new());
    assert_eq!(home.leftovers(), Vec::<String>::new());
}

#[test]
fn at_no_moment_of_a_repair_is_there_no_sdk() {
    let home = Home::new();
    let goroot = home.install(&version()).goroot;
    let (go, is_over) = (goroot.join("bin/go"), AtomicBool::new(false));
    let (looks, misses) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut repairs = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                looks.fetch_add(1, Ordering::Relaxed);
                misses.fetch_add(usize::from(!go.exists()), Ordering::Relaxed);
            }
        });
        while repairs < 20 || looks.load(Ordering::Relaxed) < 2_000 {
            home.proven(&version()).replace(SOURCE, now()).unwrap();
            repairs += 1;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(misses.into_inner(), 0, "of {} looks during {repairs} repairs", looks.into_inner());
}

#[test]
fn whoever_runs_from_the_old_tree_keeps_it_until_the_end() {
    let home = Home::new();
    home.install(&version());
    let lease = home.store.lease(&version()).unwrap();
    damage(&home.layout.sdk(&version()).join("VERSION"));
    home.proven(&version()).replace(SOURCE, now()).unwrap();
    assert_eq!(damages(&home), Vec::<String>::new());
    let [old] = home.leftovers().try_into().expect("the old tree alone");
    assert!(old.starts_with(".trash-1.22.4-"), "{old}");
    let old_file = home.layout.sdks().join(&old).join("VERSION");
    assert_eq!(home.store.sweep().unwrap().trash, 0);
    assert_eq!(fs::read_to_string(&old_file).unwrap(), "damaged", "a sweep leaves it to who runs from it");
    drop(lease);
    assert_eq!(home.store.sweep().unwrap().trash, 1);
    assert_eq!(home.leftovers(), Vec::<String>::new());
}

#[test]
fn a_repair_that_cannot_write_its_record_changes_nothing() {
    let home = Home::new();
    let goroot = home.install(&version()).goroot;
    damage(&goroot.join("VERSION"));
    let proven = home.proven(&version());
    let record = home.layout.record(&version());
    fs::remove_file(&record).unwrap();
    fs::create_dir_all(record.join("in the way")).unwrap();
    assert!(proven.replace(SOURCE, now()).is_err());
    assert_eq!(fs::read_to_string(goroot.join("VERSION")).unwrap(), "damaged");
    assert_eq!(home.leftovers(), Vec::<String>::new());
    fs::remove_dir_all(&record).unwrap();
    home.proven(&version()).replace(SOURCE, now()).unwrap();
    assert_eq!(damages(&home), Vec::<String>::new());
}

#[test]
fn a_link_in_the_place_of_an_sdk_is_not_exchanged() {
    let home = Home::new();
    symlink(home.layout.records(), home.layout.sdk(&version())).unwrap();
    let before = home.picture();
    assert!(matches!(home.proven(&version()).replace(SOURCE, now()), Err(Error::Obstructed { .. })));
    assert_eq!(home.picture(), before);
}

#[test]
fn the_proof_of_the_log_goes_with_its_sdk() {
    let home = Home::new();
    home.proven(&version()).with_log_proof(PROOF.to_owned()).publish(SOURCE, now()).unwrap();
    assert_eq!(home.store.log_proof(&version()).unwrap().as_deref(), Some(PROOF.as_bytes()));
    home.store.keep_log_proof(&version(), "another").unwrap();
    assert_eq!(home.store.log_proof(&version()).unwrap().as_deref(), Some(&b"another"[..]));
    home.store.remove(&version()).unwrap();
    assert_eq!(home.store.log_proof(&version()).unwrap(), None);
    assert!(matches!(home.store.keep_log_proof(&version(), "x"), Err(Error::NotInstalled { .. })));

    // An install that was killed between the proof and the tree.
    fs::write(home.layout.log_proof(&version()), PROOF).unwrap();
    assert_eq!(home.store.sweep().unwrap().records, 1);
    assert_eq!(home.store.log_proof(&version()).unwrap(), None);
    // The next install has no proof of its own, and must not inherit another's.
    fs::write(home.layout.log_proof(&version()), PROOF).unwrap();
    home.install(&version());
    assert_eq!(home.store.log_proof(&version()).unwrap(), None);
}

#[test]
fn a_log_that_contradicts_is_damage_until_a_better_proof_is_there() {
    let home = Home::new();
    home.install(&version());
    home.store.contradict(&version(), "sum.example has h1:x").unwrap();
    let facts = home.store.facts(&version()).unwrap();
    assert_eq!((facts.proof.as_str(), facts.proof_note.as_str()), ("contradicted", "sum.example has h1:x"));
    assert_eq!(home.store.verify(&version()).unwrap(), [Damage::Contradicted("sum.example has h1:x".to_owned())]);
    home.proven(&version()).replace(SOURCE, now()).unwrap();
    assert_eq!(damages(&home), Vec::<String>::new());
}

#[test]
fn a_check_reads_every_byte_once_and_tells_of_it() {
    let home = Home::new();
    home.install(&version());
    let read = AtomicUsize::new(0);
    let told = |bytes: u64| {
        read.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed);
    };
    let verified = home.store.verify_watched(&version(), &told).unwrap();
    let files = small_sdk(&version());
    let bytes = files.values().map(|(content, _)| content.len()).sum::<usize>();
    assert_eq!((verified.files, verified.bytes), (files.len() as u64, bytes as u64));
    assert_eq!(read.into_inner(), bytes);
}
