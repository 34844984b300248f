//! The safe floor: no file of a checkout installs a release in which a checkout can run its own code, whatever the file
//! and whichever way it comes in. A person can, on purpose.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use govern_tests::home::Outcome;

use super::observed::World;

/// Whatever is waited for must come within this.
const LONG: Duration = Duration::from_secs(30);

/// A file of a checkout, what it must not install, why, and the nearest release without the hole.
type Pin = (&'static str, &'static str, &'static str, &'static str, &'static str);

const PINS: [Pin; 15] = [
    (".go-version", "1.21.0\n", "go1.21.0", "CVE-2023-39320", "1.23.11"),
    (".go-version", "1.22.3\n", "go1.22.3", "CVE-2025-4674", "1.23.11"),
    (".go-version", "1.22\n", "go1.22.12", "CVE-2025-4674", "1.23.11"),
    (".go-version", "go1.20\n", "go1.20.14", "CVE-2025-4674", "1.23.11"),
    (".go-version", "<1.23\n", "go1.22.12", "CVE-2025-4674", "1.23.11"),
    (".go-version", "1.9.2rc2\n", "go1.9.2rc2", "CVE-2025-4674", "1.23.11"),
    (".go-version", "1.23.10 \n1.22.3\n", "go1.23.10", "CVE-2025-4674", "1.23.11"),
    (".go-version", "1.24rc1\n", "go1.24rc1", "CVE-2025-4674", "1.24.5"),
    (".go-version", "1.24.4\n", "go1.24.4", "CVE-2025-4674", "1.24.5"),
    (".go-version", "1.24.4-bigcorp\n", "go1.24.4-bigcorp", "CVE-2025-4674", "1.24.5"),
    (".go-version", "1.25rc1\n", "go1.25rc1", "CVE-2025-68119", "1.25.6"),
    (".tool-versions", "golang 1.25.0\n", "go1.25.0", "CVE-2025-68119", "1.25.6"),
    (".tool-versions", "golang 1.25.5\n", "go1.25.5", "CVE-2025-68119", "1.25.6"),
    // Without a go line there is nothing that the toolchain line could be older than: see `stale` for how it counts.
    ("cmd/.go-version", "1.22.3\n", "go1.22.3", "CVE-2025-4674", "1.23.11"),
    ("../.go-version", "1.22.3\n", "go1.22.3", "CVE-2025-4674", "1.23.11"),
];

fn plant(world: &World, at: usize, pin: &Pin) -> PathBuf {
    let dir = world.home.path().join(format!("floor/{at}/checkout"));
    fs::create_dir_all(dir.join("cmd")).unwrap();
    fs::write(dir.join(pin.0), pin.1).unwrap();
    dir.join("cmd")
}

fn govern(world: &World, dir: &PathBuf, words: &[&str], vars: &[(&str, &str)]) -> Outcome {
    let mut command = world.home.govern(words);
    command.current_dir(dir).envs(vars.iter().copied());
    world.home.run(command)
}

fn sdks(world: &World) -> usize {
    fs::read_dir(world.home.layout().sdks()).unwrap().count()
}

/// Nothing came, and a person is told why, and what to type.
fn refused(world: &World, what: &str, outcome: &Outcome, pin: &Pin) {
    let (.., version, advisory, fixed) = *pin;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (8, ""), "{what}, {pin:?}\n{outcome}");
    let bare = version.trim_start_matches("go");
    let file = pin.0.rsplit('/').next().unwrap();
    for part in [version, advisory, file, &format!("hint: govern pin {fixed}"), &format!("govern install {bare}")] {
        assert!(outcome.stderr.contains(part), "{part} is not told: {what}, {pin:?}\n{outcome}");
    }
    assert_eq!(sdks(world), 1, "{what}, {pin:?}");
}

#[test]
fn no_file_of_a_checkout_installs_a_release_below_the_safe_floor() {
    let Some(world) = World::new(&["1.26.6"]) else { return };
    let mut doors = 0;
    for with_daemon in [true, false] {
        let no_daemon = if with_daemon { "0" } else { "1" };
        world.daemon(with_daemon);
        for (at, pin) in PINS.iter().enumerate() {
            let dir = plant(&world, at, pin);
            let seen = world.observe(&dir, with_daemon);
            assert_eq!(seen.faults, [""; 0], "{pin:?}");
            refused(&world, "go", &seen.outcome, pin);
            let vars = [("GOVERN_NO_DAEMON", no_daemon)];
            refused(&world, "govern install", &govern(&world, &dir, &["install"], &vars), pin);
            doors += 2;
            if at == 0 {
                eprintln!("{}", seen.outcome);
            }
            // What only looks, installs nothing.
            for verb in [&["which"][..], &["env"], &["explain"], &["pin"]] {
                let outcome = govern(&world, &dir, verb, &vars);
                assert_eq!(sdks(&world), 1, "govern {verb:?}\n{outcome}");
                doors += 1;
            }
        }
    }
    let asked: usize = PINS.iter().map(|pin| world.mirror.requests(&format!("/dl/{}.linux-amd64.tar.gz", pin.2))).sum();
    assert_eq!(asked, 0, "a release below the floor was fetched");
    eprintln!("{doors} doors stayed shut");
    assert!(doors >= 150, "{doors}");
}

#[test]
fn a_stale_toolchain_line_counts_as_a_floor_and_a_go_line_that_pins_is_refused() {
    let Some(world) = World::new(&["1.26.6"]) else { return };
    for name in ["go.mod", "go.work"] {
        let dir = world.home.path().join("stale").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), "go 1.21\n\ntoolchain go1.22.3\n").unwrap();
        for with_daemon in [true, false] {
            world.daemon(with_daemon);
            let seen = world.observe(&dir, with_daemon);
            assert_eq!(seen.faults, [""; 0]);
            assert!(seen.outcome.stdout.contains("go1.26.6"), "{}", seen.outcome);
            assert_eq!(seen.outcome.stderr, "");
        }
        let explained = govern(&world, &dir, &["explain"], &[]);
        assert!(explained.stdout.contains("go1.22.3 is below the safe floor and counts as a minimum"), "{explained}");
        fs::create_dir_all(&world.home.layout().config).unwrap();
        fs::write(world.home.layout().config_file(), "go_line = \"pin\"\n").unwrap();
        let pin: Pin = (name, "", "go1.21.0", "CVE-2023-39320", "1.23.11");
        fs::write(dir.join(name), "go 1.21.0\n").unwrap();
        refused(&world, "a go line", &world.observe(&dir, false).outcome, &pin);
        fs::remove_file(world.home.layout().config_file()).unwrap();
    }
}

#[test]
fn a_floor_that_nothing_meets_installs_no_unsafe_release() {
    let Some(world) = World::new(&["1.20.14"]) else { return };
    let dir = world.home.path().join("m");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("go.mod"), "module m\n\ngo 1.22.0\n").unwrap();
    let pin: Pin = ("go.mod", "", "go1.22.12", "CVE-2025-4674", "1.23.11");
    for with_daemon in [false, true] {
        world.daemon(with_daemon);
        refused(&world, "a floor", &world.observe(&dir, with_daemon).outcome, &pin);
    }
}

#[test]
fn the_launcher_that_go_switches_to_installs_no_unsafe_release() {
    let Some(mut world) = World::new(&["1.26.6"]) else { return };
    world.home.start_daemon();
    assert_eq!(world.home.run(world.home.govern(["list", "--remote"])).status, 0);
    let launcher = world.home.layout().launchers_all().join("go1.22.3");
    let dir = world.home.path();
    world.home.export("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.22.3");
    world.home.export("GOTOOLCHAIN_INTERNAL_SWITCH_COUNT", "1");
    for with_daemon in [true, false] {
        world.daemon(with_daemon);
        let seen = world.observe_command(&dir, with_daemon, &[launcher.as_os_str(), OsStr::new("version")]);
        assert_eq!((seen.outcome.status, sdks(&world)), (8, 1), "{}", seen.outcome);
        assert!(seen.outcome.stderr.contains("CVE-2025-4674"), "{}", seen.outcome);
    }
}

#[test]
fn the_watcher_installs_no_unsafe_release_ahead() {
    let Some(mut world) = World::new(&["1.26.6"]) else { return };
    world.home.export("GOVERN_LOG", "debug");
    world.home.start_daemon();
    world.home.write("w/.go-version", "1.26.6\n");
    let dir = world.home.path().join("w");
    let since = Instant::now();
    // It is watched from the first question on; when exactly, only a change tells.
    while !world.home.log().contains("not installed ahead") {
        assert!(world.observe(&dir, true).outcome.stdout.contains("go1.26.6"));
        world.home.write("w/.go-version", "1.22.3\n");
        let soon = Instant::now() + Duration::from_millis(900);
        while Instant::now() < soon && !world.home.log().contains("not installed ahead") {
            std::thread::yield_now();
        }
        assert!(since.elapsed() < LONG, "the watcher never looked");
        world.home.write("w/.go-version", "1.26.6\n");
    }
    assert_eq!(sdks(&world), 1);
    assert_eq!(world.mirror.requests("/dl/go1.22.3.linux-amd64.tar.gz"), 0);
}

#[test]
fn what_a_person_installs_on_purpose_works_without_a_word() {
    let Some(world) = World::new(&["1.26.6"]) else { return };
    let dir = plant(&world, 0, &PINS[1]);
    let installed = govern(&world, &dir, &["install", "1.22.3"], &[]);
    assert_eq!(installed.status, 0, "{installed}");
    for with_daemon in [true, false] {
        world.daemon(with_daemon);
        let seen = world.observe(&dir, with_daemon);
        assert_eq!((seen.outcome.status, seen.outcome.stderr.as_str()), (0, ""), "{}", seen.outcome);
        assert!(seen.outcome.stdout.contains("go1.22.3"), "{}", seen.outcome);
        assert_eq!(seen.faults, [""; 0]);
    }

    let dir = plant(&world, 1, &PINS[8]);
    let mut go = world.home.go(["version"]);
    go.current_dir(&dir).env("GOVERN_UNSAFE_PINS", "allow");
    let allowed = world.home.run(go);
    assert!(allowed.status == 0 && allowed.stdout.contains("go1.24.4"), "{allowed}");

    let dir = plant(&world, 2, &PINS[12]);
    fs::create_dir_all(&world.home.layout().config).unwrap();
    fs::write(world.home.layout().config_file(), "unsafe_pins = \"allow\"\n").unwrap();
    let mut go = world.home.go(["version"]);
    go.current_dir(&dir);
    let allowed = world.home.run(go);
    assert!(allowed.status == 0 && allowed.stdout.contains("go1.25.5"), "{allowed}");
}
