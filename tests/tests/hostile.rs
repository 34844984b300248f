//! Checkouts that mean harm, through the real shim, with the real daemon and without one, under strace: nothing runs but
//! the chosen Go, nothing is asked but the mirror, nothing is written but govern's own, nothing hangs, and what a person
//! is told carries nothing of the checkout that a terminal would obey. The SDKs are fake: only who is started counts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/floor.rs"]
mod floor;
#[path = "hostile/observed.rs"]
mod observed;

use std::fs;

use corpus::Then;
use observed::World;

/// The fewest checkouts that prove anything.
const FLOOR: usize = 60;

#[test]
fn no_checkout_gets_anything_but_a_version_out_of_govern() {
    let Some(world) = World::new(&["1.26.6", "1.24.11"]) else { return };
    let corpus = corpus::all();
    let mut wrong = Vec::new();
    for with_daemon in [true, false] {
        let daemon = with_daemon.then(|| world.observed_daemon());
        for (at, case) in corpus.iter().enumerate() {
            let dir = world.home.path().join(format!("{with_daemon}-{at}"));
            fs::create_dir(&dir).unwrap();
            let asked = dir.join(case.below);
            (case.plant)(&dir);
            fs::create_dir_all(&asked).unwrap();
            let seen = world.observe(&asked, with_daemon);
            let mut faults = seen.faults;
            match case.then {
                Then::Runs(version) if seen.outcome.stdout.starts_with(&format!("go version go{version} ")) => {
                    if !seen.outcome.stderr.is_empty() {
                        faults.push("it is not silent".to_owned());
                    }
                }
                Then::Fails(status, part) if seen.outcome.status == status && seen.outcome.stderr.contains(part) => {}
                ref other => faults.push(format!("it is not so: {other:?}")),
            }
            eprintln!("--- {} (daemon: {with_daemon}): {}\n{}", case.what, seen.outcome.status, seen.outcome.stderr);
            if !faults.is_empty() {
                wrong.push(format!("{} (daemon: {with_daemon}): {faults:#?}\n{}", case.what, seen.outcome));
            }
            observed::remove(&dir);
        }
        if let Some(daemon) = daemon {
            wrong.extend(daemon.end(&world));
        }
    }
    let [sdks, records] = [world.home.layout().sdks(), world.home.layout().records()];
    eprintln!("{} hostile checkouts, {} wrong", corpus.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(fs::read_dir(sdks).unwrap().count(), 2, "a checkout installed something");
    assert_eq!(fs::read_dir(records).unwrap().count(), 2);
    assert!(corpus.len() >= FLOOR, "{} checkouts", corpus.len());
}
