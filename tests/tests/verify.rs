//! `govern verify` from end to end, with the real programs, SDKs of a few kilobytes and a checksum database of the test's
//! own: damage is named and repaired, proofs are kept, checked without anybody, and found later.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::log::Log;
use govern_tests::mirror::{Fault, Mirror};
use tempfile::TempDir;

/// A home whose sources are a mirror of fake SDKs and a log that knows them.
struct World {
    home: TestHome,
    mirror: Mirror,
    log: Log,
    _archives: TempDir,
}

impl World {
    /// `known` are the releases that the log has the right hash of; of the others it has a wrong one.
    fn new(published: &[&str], known: &[&str]) -> World {
        let archives = TempDir::new().unwrap();
        let mut releases = Vec::new();
        for text in published {
            let version: Version = text.parse().unwrap();
            fake::tarball(archives.path(), &version, &platform()).unwrap();
            let mut h1 = fake::h1(&fake::files(&version, &platform()), &version, &platform());
            if !known.contains(text) {
                h1 = fake::h1(&[], &version, &platform());
            }
            releases.push((version, h1));
        }
        let mirror = Mirror::serve(archives.path()).unwrap();
        let log = Log::serve(&releases, &platform()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        home.export("GOSUMDB", log.gosumdb());
        World { home, mirror, log, _archives: archives }
    }

    fn govern(&self, arguments: &[&str]) -> Outcome {
        self.home.run(self.home.govern(arguments))
    }

    fn file(&self, version: &str, path: &str) -> PathBuf {
        self.home.layout().sdk(&version.parse().unwrap()).join(path)
    }

    fn damage(&self, version: &str, path: &str) {
        let path = self.file(version, path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, "damaged").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    }

    /// Waits until `govern list --json` says so of a release's proof.
    fn wait_for_proof(&self, kind: &str) {
        // The daemon looks up when it starts; each of these asks it over its socket.
        for _ in 0..500 {
            let listed = self.govern(&["list", "--json"]).stdout;
            if listed.contains(&format!("\"proof\": \"{kind}\"")) {
                return;
            }
        }
        panic!("no proof became {kind}: {}", self.govern(&["list", "--json"]));
    }
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

#[test]
fn damage_is_named_file_by_file_and_repaired() {
    let world = World::new(&["1.24.11", "1.26.6"], &["1.24.11", "1.26.6"]);
    assert_eq!(world.govern(&["install", "1.24.11", "1.26.6"]).status, 0);
    let whole = world.govern(&["verify"]);
    assert_eq!((whole.status, whole.stdout.as_str()), (0, ""), "{whole}");
    assert!(whole.stderr.contains("go1.26.6 is whole: 19 files, 3.") && whole.stderr.contains("proof: log"), "{whole}");

    world.damage("1.26.6", "src/go.mod");
    fs::set_permissions(world.file("1.26.6", "bin"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(world.file("1.26.6", "bin/gofmt")).unwrap();
    let damaged = world.govern(&["verify"]);
    let lines =
        "go1.26.6: bin/gofmt: missing\ngo1.26.6: src/go.mod: changed\ngo1.26.6: bin: mode 0755 instead of 0555\n";
    assert_eq!((damaged.status, damaged.stdout.as_str()), (7, lines), "{damaged}");
    let error = "error: go1.26.6 is damaged: 3 faults\nhint: govern verify --repair 1.26.6\n";
    assert!(damaged.stderr.contains(error), "{damaged}");
    assert_eq!(world.govern(&["verify", "1.24"]).status, 0);
    assert_eq!(world.govern(&["verify", "1.22"]).status, 4);

    // Nobody has a fresh one: nothing is changed.
    world.mirror.inject(&platform().archive(&"1.26.6".parse().unwrap()), Fault::Refuse("404 Not Found"));
    let refused = world.govern(&["verify", "--repair"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (7, lines), "{refused}");
    world.mirror.heal();
    for daemon in [true, false] {
        let mut repair = world.home.govern(["verify", "--repair", "--json"]);
        if !daemon {
            world.damage("1.26.6", "src/go.mod");
            repair.env("GOVERN_NO_DAEMON", "1");
        }
        let repaired = world.home.run(repair);
        assert_eq!(repaired.status, 0, "daemon: {daemon}\n{repaired}");
        assert!(repaired.stderr.contains("Repaired go1.26.6"), "{repaired}");
        assert!(repaired.stdout.contains("\"repaired\": true"), "{repaired}");
        assert_eq!(world.govern(&["verify"]).status, 0);
    }
}

#[test]
fn a_build_that_runs_is_not_broken_by_a_repair() {
    let world = World::new(&["1.26.6"], &["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let mut holding = world.home.go(["hold"]);
    let mut build = holding.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(build.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "holding\n");
    world.damage("1.26.6", "src/go.mod");
    assert_eq!(world.govern(&["verify", "--repair"]).status, 0);
    let old = || {
        let names = fs::read_dir(world.home.layout().sdks()).unwrap();
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with(".trash-")).count()
    };
    assert_eq!(old(), 1, "the old files are there as long as the build runs");
    build.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(build.wait().unwrap().success());
    world.home.stop_daemon();
    world.home.start_daemon();
    assert_eq!(old(), 0);
    assert_eq!(world.govern(&["verify"]).status, 0);
}

#[test]
fn a_proof_is_checked_again_without_anybody_and_after_the_cache_is_gone() {
    let world = World::new(&["1.24.11", "1.26.6"], &["1.24.11", "1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    fs::remove_dir_all(&world.home.layout().cache).unwrap();
    world.log.set_away(true);
    let before = world.log.requests();
    let mut alone = world.home.govern(["verify", "--proof"]);
    alone.env("GOVERN_OFFLINE", "1");
    let proven = world.home.run(alone);
    assert_eq!((proven.status, proven.stdout.as_str()), (0, ""), "{proven}");
    assert!(proven.stderr.contains("proven by record 1 of sum.test.example"), "{proven}");
    assert_eq!(world.log.requests(), before, "nobody is asked");
    let explained = world.govern(&["explain"]).stdout;
    assert!(explained.contains("proof: log, record 1 of sum.test.example\n"), "{explained}");

    let path = world.home.layout().log_proof(&"1.26.6".parse().unwrap());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("index 1", "index 0", 1)).unwrap();
    let forged = world.govern(&["verify", "--proof"]);
    let line = "go1.26.6: records/go1.26.6.tlog-proof: the answer is not record 0 of the log\n";
    assert_eq!((forged.status, forged.stdout.as_str()), (7, line), "{forged}");
    fs::remove_file(&path).unwrap();
    let lost = world.govern(&["verify", "--proof"]);
    assert_eq!(lost.status, 5, "{lost}");
    assert!(lost.stderr.contains("error: the log's proof of go1.26.6 is not kept here"), "{lost}");
    world.log.set_away(false);
    assert_eq!(world.govern(&["verify", "--proof"]).status, 0, "the log has it");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(world.govern(&["uninstall", "1.26.6"]).status, 0);
    assert!(!path.exists());
}

#[test]
fn the_daemon_finds_a_proof_that_was_out_of_reach() {
    let world = World::new(&["1.26.6"], &["1.26.6"]);
    world.log.set_away(true);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let before = world.govern(&["list", "--json"]).stdout;
    assert!(before.contains("\"proof\": \"sha256\"") && before.contains("out of reach"), "{before}");
    world.home.stop_daemon();
    world.log.set_away(false);
    world.home.start_daemon();
    world.wait_for_proof("log");
    let proven = world.govern(&["verify", "--proof"]);
    assert_eq!(proven.status, 0, "{proven}");
    assert!(proven.stderr.contains("proven by record 0 of sum.test.example"), "{proven}");
}

#[test]
fn a_log_that_contradicts_later_is_told_and_nothing_is_deleted() {
    let world = World::new(&["1.26.6"], &[]);
    world.log.set_away(true);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    world.home.stop_daemon();
    world.log.set_away(false);
    world.home.start_daemon();
    world.wait_for_proof("contradicted");
    assert!(world.home.log().contains("the log contradicts an installed sdk"), "{}", world.home.log());
    let listed = world.govern(&["list"]);
    assert!(listed.stderr.contains("note: go1.26.6 is not what the checksum database says"), "{listed}");
    assert!(world.govern(&["status"]).stdout.contains("damage"), "{}", world.govern(&["status"]));
    let verified = world.govern(&["verify"]);
    assert_eq!(verified.status, 7, "{verified}");
    assert!(verified.stdout.starts_with("go1.26.6: its files hash to h1:"), "{verified}");
    // The mirror still has what the log contradicts: it is refused, and what is there stays.
    let repaired = world.govern(&["verify", "--repair"]);
    assert_eq!(repaired.status, 7, "{repaired}");
    assert!(world.file("1.26.6", "bin/go").exists());
}

#[test]
fn where_the_user_switched_the_log_off_the_daemon_does_not_ask_it() {
    let world = World::new(&["1.26.6"], &["1.26.6"]);
    let mut install = world.home.govern(["install", "1.26.6"]);
    install.env("GOSUMDB", "off").env("GOVERN_NO_DAEMON", "1");
    assert_eq!(world.home.run(install).status, 0);
    world.home.start_daemon();
    assert_eq!(world.govern(&["verify"]).status, 0);
    world.home.stop_daemon();
    assert_eq!(world.log.requests(), 0);
}
