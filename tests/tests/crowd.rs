//! Many ask at once, and each of them gets its Go from the daemon: nobody fails, and nobody is left to decide alone.
//! Leaves out how long that takes (`just bench`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::question::Question;
use serde_json::Value;

/// Shims that are started before the first one is waited for.
const SHIMS: usize = 1_000;

/// Questions that are put by [`CALLERS`] at once.
const QUESTIONS: usize = 20_000;

const CALLERS: usize = 8;

/// Shims that may give the daemon up after their 50 ms, of [`SHIMS`]: a machine that stands still for so long is no fault
/// of ours.
const LATE: usize = SHIMS / 20;

#[test]
fn a_thousand_shims_at_once_and_twenty_thousand_questions_are_all_answered() {
    let home = TestHome::new();
    for version in ["1.24.11", "1.27.3"] {
        let goroot = home.layout().sdks().join(format!("go{version}"));
        let platform = Platform::from_rust("linux", std::env::consts::ARCH);
        fake::tree(&goroot, &version.parse().unwrap(), &platform).unwrap();
        // The shell that stands in for Go would take most of the machine.
        fs::copy("/bin/true", goroot.join("bin/go")).unwrap();
    }
    let directories = ["a", "b"].map(|name| home.path().join(name));
    home.write("a/.go-version", "1.24.11\n");
    home.write("b/.go-version", "1.27.3\n");
    home.start_daemon();
    let questions = directories.each_ref().map(|directory| Question::of(&home.go(["version"]), directory));
    let programs = ["go1.24.11", "go1.27.3"].map(|sdk| home.layout().sdks().join(sdk).join("bin/go"));
    let socket = home.layout().shim_socket();
    let ask = |caller: usize| {
        let number = caller % 2;
        let is_right = || questions[number].is_answered_with(&programs[number], &socket).unwrap();
        (caller..QUESTIONS).step_by(CALLERS).filter(|_| is_right()).count()
    };
    let right: usize = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(move || ask(caller))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!((right, counts(&home)), (QUESTIONS, (QUESTIONS as u64, 0)));

    // Whoever is left to govern says so by its status.
    let before = counts(&home);
    let late = with_another_govern(&home.layout().bin().join("govern"), || {
        let start =
            |number: usize| home.go(["version"]).current_dir(&directories[number % 2]).stderr(Stdio::null()).spawn();
        let shims: Vec<Child> = (0..SHIMS).map(|number| start(number).unwrap()).collect();
        let statuses = shims.into_iter().map(|mut shim| shim.wait().unwrap().code());
        let (fine, late): (Vec<_>, Vec<_>) = statuses.partition(|status| *status == Some(0));
        assert!(late.iter().all(|status| *status == Some(99)), "{late:?}");
        assert_eq!(fine.len() + late.len(), SHIMS);
        late.len()
    });
    let after = counts(&home);
    println!("{right} questions and {} shims answered, {late} shims gave the daemon up", SHIMS - late);
    assert_eq!(after.1, before.1, "the daemon left some to govern");
    assert!(after.0 - before.0 >= (SHIMS - LATE) as u64 && late <= LATE, "{late} shims gave the daemon up");
}

/// Puts a program that ends with status 99 in the place of govern, for as long as something runs.
fn with_another_govern<T>(govern: &Path, run: impl FnOnce() -> T) -> T {
    let aside = govern.with_extension("aside");
    fs::rename(govern, &aside).unwrap();
    fs::write(govern, "#!/bin/sh\nexit 99\n").unwrap();
    fs::set_permissions(govern, fs::Permissions::from_mode(0o755)).unwrap();
    let done = run();
    fs::rename(aside, govern).unwrap();
    done
}

/// Questions that the daemon answered, and how many of them it left to govern.
fn counts(home: &TestHome) -> (u64, u64) {
    let outcome = home.run(home.govern(["status", "--json"]));
    assert_eq!(outcome.status, 0, "{outcome}");
    let status: Value = serde_json::from_str(&outcome.stdout).unwrap();
    (status["questions"].as_u64().unwrap(), status["fallbacks"].as_u64().unwrap())
}
