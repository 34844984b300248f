//! A daemon that knows a hundred thousand directories beside one that knows a few: how long it takes to answer the same
//! question, and to start. Leaves out memory, which a test judges (`tests/tests/scale.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use govern_tests::question::Question;

use crate::table::{Row, print as print_rows};
use crate::{Bench, Case, end};

/// Directories that the large one knows.
const DIRECTORIES: usize = 100_000;

/// One of them in so many has a pin.
const PINNED: usize = 10;

/// Callers that make it know them.
const CALLERS: usize = 4;

/// SDKs when the start is timed.
const SDKS: usize = 50;

/// Prints the rows of questions and of starts; `small` has its daemon already. Gives what it made to be kept.
pub(crate) fn print(small: &Bench, programs: &Path, shims: &Path, rounds: usize) -> [Bench; 2] {
    let large = Bench::new(programs, shims);
    let mut daemon = large.start_daemon();
    fill(&large);
    // Both are asked in the same kind of directory.
    let benches = [small, &large];
    let questions = benches.map(|bench| (question(bench), bench.home.join("run/shim.sock")));
    let first = question_in(&large, &directory(&large, 0));
    let ask = |at: usize| {
        let (question, socket) = &questions[at];
        let begin = Instant::now();
        question.ask(socket).unwrap();
        begin.elapsed()
    };
    // What was written a moment ago is too young to be remembered: the recording of a question in the temporary directory.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        ask(1);
        ask(0);
    }
    let names = ["daemon that knows a few directories", "daemon that knows 100,000"];
    print_rows("a question, without the shim", &alternating(names, rounds, ask), 0, 0);
    // What it has let go, it looks for again: a directory at a time, none of them twice.
    let place = |bench: &Bench, number: usize| directory(bench, number * 7 % DIRECTORIES);
    let asked = std::cell::Cell::new(0);
    let rows = alternating(["the same directory again", "one of 100,000 after the other"], rounds, |at| {
        asked.set(asked.get() + at);
        let question = if at == 0 { questions[1].0.clone() } else { first.at(&place(&large, asked.get())) };
        let begin = Instant::now();
        question.ask(&questions[1].1).unwrap();
        begin.elapsed()
    });
    print_rows("the daemon that knows 100,000", &rows, 0, 0);
    end(&mut daemon);

    let few = Bench::new(programs, shims);
    [&few, &large].iter().for_each(|bench| add_sdks(bench));
    let questions = [&few, &large].map(|bench| (question(bench), bench.home.join("run/shim.sock")));
    let start = |at: usize| {
        let (question, socket) = &questions[at];
        let begin = Instant::now();
        let mut daemon = [&few, &large][at].start_daemon();
        question.ask(socket).unwrap();
        let time = begin.elapsed();
        end(&mut daemon);
        time
    };
    let names = ["and knows a few directories", "and knows 100,000 directories"];
    print_rows("a daemon starts with 50 SDKs", &alternating(names, rounds.div_ceil(50).max(5), start), 0, 0);
    [few, large]
}

/// Makes the directories, and asks in each of them.
fn fill(bench: &Bench) {
    for number in 0..DIRECTORIES {
        let directory = directory(bench, number);
        fs::create_dir_all(&directory).unwrap();
        if number.is_multiple_of(PINNED) {
            fs::write(directory.join(".go-version"), "1.24.11\n").unwrap();
        }
    }
    let (first, socket) = (question_in(bench, &directory(bench, 0)), bench.home.join("run/shim.sock"));
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (first, socket) = (&first, &socket);
            scope.spawn(move || {
                for number in (caller..DIRECTORIES).step_by(CALLERS) {
                    first.at(&directory(bench, number)).ask(socket).unwrap();
                }
            });
        }
    });
}

fn directory(bench: &Bench, number: usize) -> PathBuf {
    bench.path(&format!("src/{:03}/{:03}", number / 1000, number % 1000))
}

fn question(bench: &Bench) -> Question {
    question_in(bench, &bench.cwd)
}

fn question_in(bench: &Bench, directory: &Path) -> Question {
    Question::of(&bench.command(&Case::of("shim", bench.home.join("bin/go"), &["version"])), directory)
}

/// As many SDKs as are meant, each the program of the others.
fn add_sdks(bench: &Bench) {
    let go = bench.home.join("sdks/go1.24.11/bin/go");
    for patch in 0..SDKS - crate::INSTALLED.len() {
        let goroot = bench.home.join(format!("sdks/go1.23.{patch}"));
        fs::create_dir_all(goroot.join("bin")).unwrap();
        fs::create_dir_all(goroot.join("pkg/tool/linux_amd64")).unwrap();
        fs::write(goroot.join("VERSION"), format!("go1.23.{patch}\n")).unwrap();
        fs::hard_link(&go, goroot.join("bin/go")).unwrap();
    }
}

fn alternating(names: [&str; 2], rounds: usize, time: impl Fn(usize) -> Duration) -> Vec<Row> {
    let mut rows = names.map(Row::of);
    for round in 0..rounds {
        for at in [round % 2, (round + 1) % 2] {
            rows[at].times.push(time(at));
        }
    }
    rows.into()
}
