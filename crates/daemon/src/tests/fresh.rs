//! An edit is seen by the very next question, whatever the daemon remembers: random edits to everything that decides,
//! and after each of them the daemon's answer against that of an engine which has only just been opened.

#![cfg_attr(not(target_os = "linux"), expect(dead_code, unused_imports, reason = "only Linux has mounts of one's own"))]

mod edits;

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use govern_core::decide::{Question, Tool};
use govern_core::vars::Vars;
use govern_engine::Engine;
use govern_wire::MAX_FRAME;

use super::{Home, LONG, Running, beside};
use crate::answer::Answers;
use crate::daemon::{Daemon, Hints, Setup};
use edits::{Random, Tree};

/// Edits with a watcher, and as many without.
const EDITS: usize = 50_000;

/// The fewest edits in all that prove anything.
const FLOOR: usize = 100_000;

/// Edits among which mounts come and go: each starts a program.
const MOUNTED_EDITS: usize = 2_000;

/// Edits between two rests.
const ROUND: usize = 250;

/// Longer than a stamp has to be old before it is believed.
const REST: Duration = Duration::from_millis(130);

/// What is told when an answer is wrong.
const LAST: usize = 12;

/// A daemon in memory, and the truth.
struct Case {
    home: Home,
    tree: Tree,
    engine: Engine,
    seed: u64,
    last: VecDeque<String>,
    asked: usize,
    /// Where is asked next, and for how many edits more: what is asked in again and again is remembered in another way.
    stay: (PathBuf, usize),
}

impl Case {
    fn new(home: Home, engine: Engine, seed: u64) -> Case {
        let tree = Tree::new(home.user(), home.layout.clone(), Random::new(seed));
        Case { home, tree, engine, seed, last: VecDeque::new(), asked: 0, stay: (PathBuf::new(), 0) }
    }

    /// The question, as a shim's variables have it.
    fn vars(&self) -> Vars {
        let mut vars = self.home.vars();
        vars.set("GOVERN_OFFLINE", "1");
        vars.set("TMPDIR", self.home.user().join("tmp"));
        vars
    }

    /// What the question has besides HOME.
    fn own_vars(&self) -> [String; 2] {
        ["GOVERN_OFFLINE=1".to_owned(), format!("TMPDIR={}", self.home.user().join("tmp").display())]
    }

    /// Asks the daemon.
    fn told(&self, dir: &Path) -> Vec<u8> {
        self.home.ask_as_shim(govern_wire::Tool::Go, dir, &[], &self.own_vars())
    }

    /// Asks the daemon, and an engine that has seen nothing yet.
    fn ask(&mut self, dir: &Path) {
        self.asked += 1;
        let told = self.told(dir);
        let question = Question { tool: Tool::Go, args: Vec::new(), vars: self.vars() };
        let decided = format!("{:?}", self.engine.decide(&question, dir));

        let fresh = Engine::open(self.home.layout.clone(), self.engine.platform().clone()).unwrap();
        let mut buffer = vec![0; MAX_FRAME];
        let frame = self.home.question(govern_wire::Tool::Go, dir, &[], &self.own_vars());
        let truth = Answers::new(fresh.clone()).answer(&frame, &mut buffer).frame.to_vec();
        let truly_decided = format!("{:?}", fresh.decide(&question, dir));
        let (seed, last) = (self.seed, &self.last);
        assert_eq!(decided, truly_decided, "in {dir:?}, seed {seed}, last {last:#?}");
        assert_eq!(told, truth, "in {dir:?}, {decided}, seed {seed}, last {last:#?}");
    }

    /// Edits, and asks in some directory after each edit.
    fn edit(&mut self, edits: usize, mut edit: impl FnMut(&mut Tree) -> String) {
        for at in 0..edits {
            if at % ROUND == 0 {
                // What every answer depends on is left alone most of the time: nothing could be remembered else.
                self.tree.settle(!(at / ROUND).is_multiple_of(4));
                self.rest();
            }
            let what = edit(&mut self.tree);
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(what);
            if self.stay.1 == 0 {
                self.stay = (self.tree.somewhere(), 4);
            }
            self.stay.1 -= 1;
            let dir = self.stay.0.clone();
            self.ask(&dir);
        }
    }

    /// The directory itself stays, and so do those that were above it; but its path leads there another way, past a pin.
    #[cfg(target_os = "linux")]
    fn mount_in_the_way(&mut self) {
        let mount = |words: &[&str], at: &Path| {
            assert!(Command::new("mount").args(words).arg(at).status().unwrap().success(), "{words:?} {at:?}");
        };
        let (top, aside) = (self.home.project("held", "1.24.11\n"), self.home.user().join("aside"));
        let (above, dir) = (top.join("a"), top.join("a/b/c"));
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&aside).unwrap();
        fs::write(above.join(".go-version"), "1.26.6\n").unwrap();
        self.rest();
        let before = self.home.program(&dir);
        (0..4).for_each(|_| self.ask(&dir));
        mount(&["--bind", dir.to_str().unwrap()], &aside);
        mount(&["-t", "tmpfs", "none"], &above);
        fs::create_dir_all(&dir).unwrap();
        mount(&["--bind", aside.to_str().unwrap()], &dir);
        self.ask(&dir);
        assert_ne!(self.home.program(&dir), before, "nothing was put to the test");
        for at in [&dir, &above, &aside] {
            assert!(Command::new("umount").arg("-l").arg(at).status().unwrap().success());
            self.ask(&dir);
        }
    }

    /// Asks until nothing has to be read for an answer: others may be busy in a directory above.
    fn until_remembered(&mut self, dir: &Path) {
        self.rest();
        let (begin, mut row) = (Instant::now(), 0);
        while row < 4 {
            let before = self.engine.remembered();
            self.ask(dir);
            row = if self.engine.remembered() > before { row + 1 } else { 0 };
            assert!(begin.elapsed() < LONG, "it is never remembered");
        }
    }

    /// Lets stamps age, so that what is read now is remembered and believed.
    #[expect(clippy::disallowed_methods, reason = "nothing but time makes a stamp old")]
    fn rest(&mut self) {
        thread::sleep(REST);
        for dir in self.tree.directories().into_iter().chain(self.tree.directories()) {
            self.ask(&dir);
        }
    }
}

fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into()
}

/// Gives how many edits there were.
async fn daemon_and_truth_agree(hints: Hints) -> usize {
    let home = Home::with(&["1.24.11", "1.26.6"]);
    let daemon = Daemon::start(Setup { hints, ..home.setup() }).unwrap().unwrap();
    let engine = daemon.engine();
    let running = Running::new(daemon);
    let case = beside(|| {
        let mut case = Case::new(home, engine, seed());
        case.edit(EDITS, Tree::edit);
        case
    })
    .await;
    let (remembered, edits) = (case.engine.remembered(), case.tree.edits());
    let kinds = case.tree.counts();
    eprintln!("{hints:?}: {edits} edits, {} questions, 0 differences, {remembered} from memory; {kinds}", case.asked);
    assert!(remembered > EDITS as u64 / 50, "{remembered} answers are from memory: nothing was put to the test");
    running.end().await;
    edits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_thousand_edits_are_each_seen_by_the_next_question_watched_or_not() {
    let both = [Hints::Watch, Hints::Never].map(|hints| tokio::spawn(daemon_and_truth_agree(hints)));
    let mut edits = 0;
    for one in both {
        edits += one.await.unwrap();
    }
    assert!(edits >= FLOOR, "{edits} edits");
}

/// Has a daemon of its own asked.
async fn with_daemon(home: Home, work: impl FnOnce(&mut Case)) {
    let daemon = Daemon::start(home.setup()).unwrap().unwrap();
    let engine = daemon.engine();
    let running = Running::new(daemon);
    beside(|| work(&mut Case::new(home, engine, 0))).await;
    running.end().await;
}

/// A file or a directory that changes, in the tick of the clock in which it was read, to another one of the same size.
async fn a_change_within_a_tick_is_seen(change: fn(&Home, &Path, bool)) {
    let home = Home::with(&["1.24.11", "1.26.6"]);
    with_daemon(home, |case| {
        let dir = case.tree.directories().remove(0);
        for at in 0..2_000 {
            change(&case.home, &dir, at % 2 == 0);
            case.ask(&dir);
        }
    })
    .await;
}

fn version(first: bool) -> &'static str {
    if first { "1.24.11" } else { "1.25.77" }
}

/// Writes without a new inode, and puts the time of modification back.
fn rewrite(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).unwrap();
    file.set_modified(modified).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_file_rewritten_in_the_tick_in_which_it_was_read_is_read_again() {
    a_change_within_a_tick_is_seen(|_, dir, first| rewrite(&dir.join(".go-version"), version(first))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_rewritten_in_the_tick_in_which_they_were_read_are_read_again() {
    let change = |home: &Home, _: &Path, first| {
        rewrite(&home.layout.config_file(), &format!("default = \"{}\"\n", version(first)));
    };
    a_change_within_a_tick_is_seen(change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_rewritten_in_the_tick_in_which_they_were_read_are_read_again() {
    let change = |home: &Home, dir: &Path, first| {
        rewrite(&home.layout.overrides_file(), &format!("{dir:?} = \"{}\"\n", version(first)));
    };
    a_change_within_a_tick_is_seen(change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_that_comes_or_goes_in_the_tick_in_which_they_were_listed_is_seen() {
    let change = |home: &Home, _: &Path, first| {
        let [there, gone] = ["go1.26.6", "go1.27.1"].map(|name| home.layout.sdks().join(name));
        let (from, to) = if first { (there, gone) } else { (gone, there) };
        fs::rename(from, to).unwrap();
    };
    a_change_within_a_tick_is_seen(change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_that_loses_its_go_and_gets_it_back_is_seen() {
    let home = Home::with(&["1.24.11", "1.26.6"]);
    with_daemon(home, |case| {
        let dir = case.tree.directories().remove(0);
        let go = case.home.layout.sdks().join("go1.26.6/bin/go");
        case.rest();
        let whole = case.home.program(&dir);
        fs::rename(&go, go.with_extension("old")).unwrap();
        case.ask(&dir);
        assert_ne!(case.home.program(&dir), whole);
        case.rest();
        fs::rename(go.with_extension("old"), &go).unwrap();
        case.ask(&dir);
        assert_eq!(case.home.program(&dir), whole);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_or_a_link_that_comes_or_goes_is_seen_by_an_answer_that_is_remembered() {
    let home = Home::with(&["1.24.11", "1.26.6"]);
    with_daemon(home, |case| {
        let dir = case.home.project("shop", "mine\n1.24.11\n");
        let goroot = case.home.user().join("mine");
        fs::create_dir_all(goroot.join("bin")).unwrap();
        fs::create_dir_all(goroot.join("src")).unwrap();
        fs::write(goroot.join("bin/go"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(goroot.join("bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
        case.until_remembered(&dir);
        let lease = case.home.layout.leases().join("go1.24.11.lease");
        fs::remove_file(&lease).unwrap();
        case.told(&dir);
        assert!(lease.exists(), "a shim opens it and makes none");
        case.until_remembered(&dir);
        fs::create_dir_all(case.home.layout.links()).unwrap();
        symlink(&goroot, case.home.layout.links().join("mine")).unwrap();
        assert!(String::from_utf8_lossy(&case.told(&dir)).contains("mine/bin/go"), "it is asked for first");
        case.ask(&dir);
        case.rest();
        fs::remove_file(goroot.join("bin/go")).unwrap();
        case.ask(&dir);
        fs::remove_file(case.home.layout.links().join("mine")).unwrap();
        case.ask(&dir);
        assert_eq!(case.home.program(&dir).unwrap(), "go1.24.11/bin/go");
    })
    .await;
}

/// Of many SDKs only those that a decision is made by are looked at. Each is taken away in turn, whoever counts on it.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_sdks_the_one_that_lost_its_go_is_seen_by_whoever_counts_on_it() {
    let versions: Vec<String> =
        (20..28).flat_map(|minor| (1..5).map(move |patch| format!("1.{minor}.{patch}"))).collect();
    let home = Home::with(&versions.iter().map(String::as_str).collect::<Vec<_>>());
    with_daemon(home, |case| {
        let mut dirs = vec![case.home.user()];
        let pins = ["oldstable", "latest", "1.24", "1.25.2", "1.26.1\n1.23.4", ">=1.21, <1.25"];
        dirs.extend(pins.iter().enumerate().map(|(at, pin)| case.home.project(&format!("{at}"), pin)));
        for (name, text) in [("floor", "go 1.26.2\n"), ("stale", "go 1.20\n\ntoolchain go1.22.2\n")] {
            let dir = case.home.user().join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("go.mod"), format!("module m\n\n{text}")).unwrap();
            dirs.push(dir);
        }
        case.rest();
        let all: Vec<_> = dirs.iter().map(|dir| case.home.program(dir)).collect();
        let mut changed = 0;
        for version in &versions {
            let go = case.home.layout.sdks().join(format!("go{version}/bin/go"));
            fs::rename(&go, go.with_extension("old")).unwrap();
            for (dir, before) in dirs.iter().zip(&all) {
                case.ask(dir);
                changed += usize::from(case.home.program(dir) != *before);
            }
            fs::rename(go.with_extension("old"), &go).unwrap();
            dirs.iter().for_each(|dir| case.ask(dir));
        }
        assert!(changed >= dirs.len(), "{changed} answers were others: nothing was put to the test");
    })
    .await;
}

/// Mounts need privileges, and must be nobody else's: this runs the next test in a namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn mounts_are_seen_by_the_next_question() {
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]).args(arguments);
        command.output()
    };
    if !unshare(&["mount", "-t", "tmpfs", "none", "/mnt"]).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no mounts without privileges");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "tests::fresh::edits_among_mounts_are_seen";
    let output = unshare(&[this.to_str().unwrap(), "--exact", name, "--ignored", "--nocapture"]).unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprintln!("{}", said.lines().find(|line| line.contains("mounts: ")).unwrap_or_default());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it mounts: see the test before"]
async fn edits_among_mounts_are_seen() {
    let home = Home::with(&["1.24.11", "1.26.6"]);
    let daemon = Daemon::start(home.setup()).unwrap().unwrap();
    let engine = daemon.engine();
    let running = Running::new(daemon);
    let case = beside(|| {
        let mut case = Case::new(home, engine, seed());
        // First: no edit has taken an SDK away yet.
        case.mount_in_the_way();
        for _ in 0..MOUNTED_EDITS / 40 {
            case.rest();
            case.edit(1, Tree::mount);
            case.edit(39, Tree::edit);
        }
        case.tree.unmount_all();
        case
    })
    .await;
    let mounts = case.tree.mounts();
    eprintln!("mounts: {mounts} in {MOUNTED_EDITS} edits, 0 differences, {} from memory", case.engine.remembered());
    assert!(mounts >= 10, "{mounts} mounts");
    running.end().await;
}
