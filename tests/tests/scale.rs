//! A daemon that knows a hundred thousand directories answers as one that knows none, and stays small.
//! Leaves out how long that takes (`just bench`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;
use std::thread;

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::question::Question;
use serde_json::Value;

/// Directories in which a go is asked for.
const DIRECTORIES: usize = 100_000;

/// One directory in so many has a pin.
const PINNED: usize = 10;

/// Callers at once.
const CALLERS: usize = 4;

/// Resident memory of the daemon, at its peak. Unoptimised, the program alone takes 11 MiB more than the released one.
const MEMORY: u64 = if cfg!(debug_assertions) { 75 << 20 } else { 64 << 20 };

#[test]
fn a_hundred_thousand_directories_fit_into_memory_and_change_no_answer() {
    let world = World::new();
    world.home.start_daemon();
    world.ask_everywhere();
    let status = world.json(&["status"]);
    assert_eq!((status["questions"].as_u64(), status["fallbacks"].as_u64()), (Some(DIRECTORIES as u64), Some(0)));
    world.stays_small("asked everywhere");
    // As many as an answer holds: those with a wish first.
    let projects = world.json(&["projects"]);
    let projects = projects["projects"].as_array().unwrap();
    let pinned = projects.iter().filter(|project| project["kind"] == "pin").count();
    assert_eq!((projects.len(), pinned), (DIRECTORIES / PINNED, DIRECTORIES / PINNED));
    world.stays_small("listed the projects");

    // The next one reads the whole index.
    world.home.stop_daemon();
    world.home.start_daemon();
    assert_eq!(world.json(&["status"])["index"], "fine");
    let mut seen = 0;
    for number in (0..DIRECTORIES).step_by(997) {
        assert_eq!(world.version_in(number), World::wish_in(number), "{number}");
        fs::write(directory(&world.home, number).join(".go-version"), "1.26.6\n").unwrap();
        assert_eq!(world.version_in(number), "go1.26.6", "{number}");
        seen += 1;
    }
    assert_eq!(seen, 101);
    world.stays_small("started anew");
}

/// A home with three SDKs, and the directories.
struct World {
    home: TestHome,
    question: Question,
}

impl World {
    fn new() -> World {
        let home = TestHome::new();
        let platform = Platform::from_rust("linux", std::env::consts::ARCH);
        for version in ["1.24.11", "1.26.6", "1.27.3"] {
            let goroot = home.layout().sdks().join(format!("go{version}"));
            fake::tree(&goroot, &version.parse().unwrap(), &platform).unwrap();
        }
        for number in 0..DIRECTORIES {
            let directory = directory(&home, number);
            fs::create_dir_all(&directory).unwrap();
            if number.is_multiple_of(PINNED) {
                fs::write(directory.join(".go-version"), "1.24.11\n").unwrap();
            }
        }
        let question = Question::of(&home.go(["build", "./..."]), &directory(&home, 0));
        World { home, question }
    }

    fn wish_in(number: usize) -> &'static str {
        if number.is_multiple_of(PINNED) { "go1.24.11" } else { "go1.27.3" }
    }

    fn ask_everywhere(&self) {
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                scope.spawn(move || {
                    for number in (caller..DIRECTORIES).step_by(CALLERS) {
                        assert_eq!(self.version_in(number), World::wish_in(number), "{number}");
                    }
                });
            }
        });
    }

    /// Which of the SDKs the answer names.
    fn version_in(&self, number: usize) -> String {
        let question = self.question.at(&directory(&self.home, number));
        let answer = question.ask(&self.home.layout().shim_socket()).unwrap();
        let text = String::from_utf8_lossy(&answer);
        let program = text.split("/sdks/").nth(1).unwrap_or_else(|| panic!("{number} is left to govern"));
        program.split('/').next().unwrap().to_owned()
    }

    fn json(&self, words: &[&str]) -> Value {
        let outcome = self.home.run(self.home.govern(words.iter().chain(&["--json"])));
        assert_eq!(outcome.status, 0, "{outcome}");
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// Looks at the most that the daemon ever had in memory.
    #[expect(clippy::print_stdout, reason = "how near the limit is belongs to the result")]
    fn stays_small(&self, when: &str) {
        let pid = self.json(&["status"])["pid"].as_u64().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let peak = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
        println!("{when}: {:.1} MiB at most", peak as f64 / 1048576.0);
        assert!(peak <= MEMORY, "{when}: {peak} bytes");
    }
}

fn directory(home: &TestHome, number: usize) -> PathBuf {
    home.path().join(format!("src/{:03}/{:03}", number / 1000, number % 1000))
}
