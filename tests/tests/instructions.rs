//! How many instructions the daemon needs for a question, counted by valgrind: a busy machine needs as many as an idle one.
//! Leaves out what the kernel does for it, the shim, and time (`just bench`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::question::Question;

/// Questions of the first run; the second asks twice as many.
const QUESTIONS: u64 = if cfg!(debug_assertions) { 200 } else { 1_000 };

/// What a question may take: a quarter more than when this was last changed (147,000 and 29,000). Whoever makes it faster
/// lowers it.
const LIMIT: u64 = if cfg!(debug_assertions) { 184_000 } else { 36_500 };

/// To look at a dozen directories takes more: with less, no question was counted.
const FLOOR: u64 = 5_000;

/// No step may take longer.
const DEADLINE: Duration = Duration::from_secs(120);

#[test]
#[expect(clippy::disallowed_methods, reason = "CI is a property of where the tests run")]
fn a_question_takes_the_daemon_no_more_instructions_than_it_did() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "valgrind is missing\nhint: apt-get install valgrind");
        eprintln!("SKIPPED: valgrind is missing");
        return;
    }
    let home = TestHome::new();
    for version in ["1.22.12", "1.24.11", "1.25.6", "1.26.6", "1.27.3"] {
        let goroot = home.layout().sdks().join(format!("go{version}"));
        fake::tree(&goroot, &version.parse().unwrap(), &Platform::from_rust("linux", std::env::consts::ARCH)).unwrap();
    }
    home.write("a/.go-version", "1.27.3\n");
    home.write("a/b/c/.tool-versions", "nodejs 20.1.0\ngolang 1.26.6\n");
    home.write("a/b/c/d/go.work", "go 1.22.0\n\nuse ./e/f\n");
    home.write("a/b/c/d/e/f/go.mod", "module example.com/m\n\ngo 1.22.0\n");
    home.write("a/b/c/d/e/f/g/h/.go-version", "1.24.11\n");
    let deep = home.path().join("a/b/c/d/e/f/g/h/i/j/k/l");
    fs::create_dir_all(&deep).unwrap();
    let question = Question::of(&home.go(["build", "./..."]), &deep);
    let [few, many] = [QUESTIONS, 2 * QUESTIONS].map(|count| instructions(&home, &question, count));
    // What the daemon's start and end take is in both.
    let each = many.saturating_sub(few) / QUESTIONS;
    println!("{each} instructions a question of {QUESTIONS}, {LIMIT} at most");
    assert!((FLOOR..LIMIT).contains(&each), "{each} instructions a question, and not {FLOOR} to {LIMIT}");
}

/// All that a daemon takes that is asked so many times, from its start to its end.
fn instructions(home: &TestHome, question: &Question, count: u64) -> u64 {
    let log = home.path().join("callgrind.log");
    let mut valgrind = home.command("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(home.layout().bin().join("governd"))
        .arg("--home")
        .arg(&home.layout().data)
        .stderr(fs::File::create(home.layout().log()).unwrap());
    let mut daemon = valgrind.spawn().unwrap();
    let socket = home.layout().shim_socket();
    until("the daemon answers", || UnixStream::connect(&socket).is_ok());
    let go = home.layout().sdks().join("go1.24.11/bin/go");
    for _ in 0..count {
        assert!(question.is_answered_with(&go, &socket).unwrap());
    }
    assert!(Command::new("kill").arg(daemon.id().to_string()).status().unwrap().success());
    until("the daemon ends", || daemon.try_wait().unwrap().is_some());
    let said = fs::read_to_string(&log).unwrap();
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.unwrap_or_else(|| panic!("{said}")).1.trim().parse().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::yield_now();
    }
}
