//! The main job from end to end, with the real programs and SDKs of a few kilobytes: nested directories get different
//! Go versions, whatever becomes of the daemon, and nothing that is wrong gets in.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::{Fault, Gate, Mirror};
use tempfile::TempDir;

/// A home whose only source is a mirror of fake SDKs.
struct World {
    home: TestHome,
    mirror: Mirror,
    archives: TempDir,
}

impl World {
    fn new(published: &[&str]) -> World {
        let archives = TempDir::new().unwrap();
        for version in published {
            fake::tarball(archives.path(), &version.parse().unwrap(), &platform()).unwrap();
        }
        let mirror = Mirror::serve(archives.path()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        World { home, mirror, archives }
    }

    fn govern(&self, arguments: &[&str]) -> Outcome {
        self.home.run(self.home.govern(arguments))
    }

    /// `go`, called by the path of the shim in a directory below HOME.
    fn go(&self, directory: &str, arguments: &[&str]) -> Outcome {
        self.home.run(self.go_command(directory, arguments))
    }

    fn go_command(&self, directory: &str, arguments: &[&str]) -> Command {
        let directory = self.home.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        let mut command = self.home.go(arguments);
        command.current_dir(directory);
        command
    }

    /// What `go version` says in a directory; anything but silence on stderr is a failure.
    fn version_in(&self, directory: &str) -> String {
        let outcome = self.go(directory, &["version"]);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "in {directory}\n{outcome}");
        outcome.stdout.split_whitespace().nth(2).unwrap_or_default().to_owned()
    }

    fn archive(&self, version: &str) -> String {
        platform().archive(&version.parse::<Version>().unwrap())
    }

    fn downloads_of(&self, version: &str) -> usize {
        self.mirror.requests(&format!("/dl/{}", self.archive(version)))
    }

    /// Everything below `sdks` and the downloads, hidden or not, by name.
    fn traces(&self) -> BTreeSet<String> {
        let layout = self.home.layout();
        [layout.sdks(), layout.records(), layout.downloads()].iter().flat_map(|dir| names(dir)).collect()
    }
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn nested_directories_get_different_sdks_whatever_becomes_of_the_daemon() {
    let world = World::new(&["1.24.11", "1.26.6", "1.27.3"]);
    let installed = world.govern(&["install", "1.26.6", "1.27.3", "1.24"]);
    assert_eq!(installed.status, 0, "{installed}");
    assert_eq!(installed.stdout, "", "stdout carries only answers\n{installed}");
    world.home.write("a/.go-version", "1.26.6\n");
    world.home.write("a/b/go.mod", "module m\n\ngo 1.24.0\n\ntoolchain go1.27.3\n");
    world.home.write("a/b/c/.go-version", "1.24.11\n");
    let all_is_right = |when: &str| {
        for (directory, version) in [("a", "go1.26.6"), ("a/b", "go1.27.3"), ("a/b/c", "go1.24.11"), ("x", "go1.27.3")]
        {
            assert_eq!(world.version_in(directory), version, "in {directory}, {when}");
            let goroot = world.go(directory, &["env", "GOROOT"]).stdout;
            assert!(goroot.trim().ends_with(&format!("/sdks/{version}")), "{goroot} in {directory}, {when}");
        }
        let other = world.go("a", &["-C", "b/c", "env", "GOVERSION"]);
        assert!(other.stdout.contains("tool: go go1.24.11"), "-C counts, {when}\n{other}");
    };

    world.home.start_daemon();
    all_is_right("with the daemon");
    let pid = world.govern(&["status", "--json"]).stdout;
    let pid = pid.split("\"pid\":").nth(1).unwrap().split([',', '}']).next().unwrap().trim().to_owned();
    Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    all_is_right("with a daemon that hangs");
    Command::new("kill").args(["-CONT", &pid]).status().unwrap();
    all_is_right("with a daemon that hung");
    fs::remove_file(world.home.layout().index()).unwrap();
    all_is_right("without the index");
    world.home.stop_daemon();
    fs::remove_file(world.home.layout().index()).ok();
    let mut never = world.go_command("a/b/c", &["version"]);
    never.env("GOVERN_NO_DAEMON", "1");
    assert_eq!(world.home.run(never).stdout, format!("go version go1.24.11 {}\n", platform()));
    all_is_right("without a daemon");
}

#[test]
fn an_edit_changes_the_very_next_call() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    assert_eq!(world.govern(&["install", "1.24.11", "1.26.6"]).status, 0);
    world.home.start_daemon();
    let mut seen = 0;
    for version in ["1.24.11", "1.26.6"].iter().cycle().take(100) {
        world.home.write("p/.go-version", &format!("{version}\n"));
        assert_eq!(world.version_in("p"), format!("go{version}"));
        seen += 1;
    }
    assert_eq!(seen, 100);
    let explained = world.home.govern(["explain"]).current_dir(world.home.path().join("p")).output().unwrap();
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("p/.go-version:1"), "{text}");
}

#[test]
fn what_passes_through_the_shim_is_untouched() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    world.home.write("p/.go-version", "1.26\n");
    for daemon in [true, false] {
        if daemon {
            world.home.start_daemon();
        } else {
            world.home.stop_daemon();
        }
        let mut command = world.go_command("p", &["+1.26.6", "build", "-ldflags", "-X a=b c", ""]);
        command.env("GOROOT", "/stale").env("GOFLAGS", "-mod=mod").env("GOVERN_NO_DAEMON", "1");
        let outcome = world.home.run(command);
        let expect = "tool: go go1.26.6\ndirectory: [HOME]/p\nargument: build\nargument: -ldflags\n\
                      argument: -X a=b c\nargument: \nGOTOOLCHAIN=go1.26.6\nGOVERN_SET_GOTOOLCHAIN=go1.26.6\n\
                      GOVERN_DEPTH=1\nGOFLAGS=-mod=mod\n";
        assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, expect, ""), "{daemon}");
        assert_eq!(world.go("p", &["exit", "42"]).status, 42, "go's own status is ours");
    }
}

#[test]
fn a_missing_pin_is_installed_by_the_first_go_in_silence() {
    let world = World::new(&["1.26.6", "1.26.7"]);
    world.home.write("p/.go-version", "1.26\n");
    assert_eq!(world.version_in("p"), "go1.26.7", "the newest patch there is");
    assert_eq!(world.downloads_of("1.26.7"), 1);
    world.home.write("q/.go-version", "1.26.6\n");
    let mut refused = world.go_command("q", &["version"]);
    refused.env("GOVERN_AUTO_INSTALL", "0");
    let refused = world.home.run(refused);
    let expect = "error: go1.26.6 is not installed\n  wanted by [HOME]/q/.go-version:1\nhint: govern install 1.26.6\n";
    assert_eq!((refused.status, refused.stdout.as_str(), refused.stderr.as_str()), (127, "", expect));
    assert_eq!(world.version_in("q"), "go1.26.6");
}

#[test]
fn a_checkout_alone_cannot_bring_in_a_release_that_runs_its_code() {
    let world = World::new(&["1.21.0", "1.26.6"]);
    world.home.write("p/.go-version", "1.21.0\n");
    let refused = world.go("p", &["version"]);
    assert_eq!(refused.status, 8, "{refused}");
    assert!(refused.stderr.contains("CVE-2023-39320") && refused.stderr.contains("govern install 1.21.0"), "{refused}");
    assert_eq!(world.downloads_of("1.21.0"), 0);
    assert_eq!(world.govern(&["install", "1.21.0"]).status, 0, "asked for by name it is a choice");
    assert_eq!(world.version_in("p"), "go1.21.0");
}

#[test]
fn fifty_installs_of_one_version_make_one_download() {
    let world = World::new(&["1.26.6"]);
    world.home.start_daemon();
    let gate = Gate::new();
    world.mirror.inject(&world.archive("1.26.6"), Fault::Hold(1000, gate.clone()));
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let run = |number: u32| {
            let mut command = world.home.govern(["install", "1.26.6"]);
            // Half of them without the daemon: the lock of the version is what they share.
            if number.is_multiple_of(2) {
                command.env("GOVERN_NO_DAEMON", "1");
            }
            world.home.run(command)
        };
        let threads: Vec<_> = (0..50).map(|number| scope.spawn(move || run(number))).collect();
        gate.wait_until_reached();
        gate.open();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for outcome in &outcomes {
        assert_eq!(outcome.status, 0, "{outcome}");
    }
    assert_eq!((outcomes.len(), world.downloads_of("1.26.6")), (50, 1));
}

#[test]
fn what_is_not_what_was_promised_is_refused_and_leaves_nothing() {
    let world = World::new(&["1.24.11", "1.25.7", "1.26.6", "1.26.7"]);
    world.home.start_daemon();
    let before = world.traces();
    let refused = |version: &str, daemon: bool| {
        let mut command = world.home.govern(["install", version]);
        if !daemon {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        let outcome = world.home.run(command);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (7, ""), "{outcome}");
        assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains(&world.mirror.url()), "{outcome}");
        assert_eq!(world.traces(), before, "{version} left something behind");
        outcome.stderr
    };
    // Before anybody asks for the list, which is then remembered for a while.
    world.mirror.inject(&world.archive("1.24.11"), Fault::WrongChecksum);
    world.mirror.inject(&world.archive("1.25.7"), Fault::WrongSize);
    for daemon in [true, false] {
        assert!(refused("1.24.11", daemon).contains("SHA-256"));
        refused("1.25.7", daemon);
    }
    // The mirror serves, with the right digest, archives that are wrong in themselves.
    let hostile = TempDir::new().unwrap();
    let truncated = world.archive("1.26.6");
    let whole = fs::read(world.archives.path().join(&truncated)).unwrap();
    fs::write(hostile.path().join(&truncated), &whole[..whole.len() * 2 / 3]).unwrap();
    escaping(&hostile.path().join(world.archive("1.26.7")));
    let mirror = Mirror::serve(hostile.path()).unwrap();
    for (version, daemon) in [("1.26.6", true), ("1.26.6", false), ("1.26.7", true), ("1.26.7", false)] {
        let mut command = world.home.govern(["install", version]);
        command.env("GOVERN_DL_URL", mirror.url());
        if !daemon {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        let outcome = world.home.run(command);
        assert_eq!(outcome.status, 7, "{version}\n{outcome}");
        assert_eq!(world.traces(), before, "{version} left something behind\n{outcome}");
    }
    assert!(!world.home.layout().data.join("x").exists() && !world.home.layout().sdks().join("x").exists());
}

/// An archive of an SDK with a file beside it.
fn escaping(path: &Path) {
    let gzip = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in [("go/VERSION", "go1.26.7\n"), ("go/bin/go", "x"), ("go/../../x", "out")] {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, bytes.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn a_broken_connection_is_resumed_and_a_dead_source_is_named() {
    let world = World::new(&["1.26.6"]);
    world.mirror.inject(&world.archive("1.26.6"), Fault::Cut(1500));
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let size = fs::metadata(world.archives.path().join(world.archive("1.26.6"))).unwrap().size();
    let sent = world.mirror.bytes(&format!("/dl/{}", world.archive("1.26.6")));
    assert!(sent <= size + size / 20, "{sent} bytes were sent of a file of {size}");

    let mut nowhere = world.home.govern(["install", "1.26.7"]);
    nowhere.env("GOVERN_DL_URL", "http://127.0.0.1:1/dl/");
    let nowhere = world.home.run(nowhere);
    assert_eq!(nowhere.status, 5, "{nowhere}");
    assert!(nowhere.stderr.contains("127.0.0.1:1"), "{nowhere}");
    let unknown = world.govern(&["install", "1.26.99"]);
    assert_eq!(unknown.status, 4, "{unknown}");
    assert!(unknown.stderr.contains("1.26.6"), "the nearest is named\n{unknown}");
}

#[test]
fn an_sdk_in_use_is_not_removed() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    for daemon in [true, false] {
        if daemon {
            world.home.start_daemon();
        } else {
            world.home.stop_daemon();
        }
        let mut command = world.go_command("p", &["hold"]);
        command.env("GOVERN_NO_DAEMON", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = [0; 8];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(&line, b"holding\n");
        let refused = world.govern(&["uninstall", "1.26.6"]);
        assert_eq!(refused.status, 1, "{refused}");
        assert!(refused.stderr.contains("in use") && refused.stderr.contains(&child.id().to_string()), "{refused}");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        if daemon {
            let removed = world.govern(&["uninstall", "1.26.6"]);
            assert_eq!(removed.status, 0, "{removed}");
            assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
        }
    }
    assert_eq!(world.govern(&["uninstall", "1.26.6"]).status, 0);
    assert_eq!(world.govern(&["uninstall", "1.26.6"]).status, 4);
}

#[test]
fn a_daemon_that_a_go_has_started_keeps_no_sdk_in_use() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    world.home.stop_daemon();
    assert_eq!(world.version_in("p"), "go1.26.6");
    world.home.start_daemon();
    let removed = world.govern(&["uninstall", "1.26.6"]);
    assert_eq!(removed.status, 0, "{removed}");
}

#[test]
fn launchers_lead_back_to_the_sdk_they_are_named_after() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    assert_eq!(world.govern(&["install", "1.24.11"]).status, 0);
    world.home.write("p/.go-version", "1.24.11\n");
    let launchers = world.home.layout().launchers_all();
    let call = |name: &str, variables: &[(&str, &str)]| {
        let mut command = world.home.command(launchers.join(name));
        command.arg("probe").current_dir(world.home.path().join("p")).envs(variables.iter().copied());
        world.home.run(command).stdout
    };
    assert!(call("go1.24.11", &[]).contains("tool: go go1.24.11"));
    assert!(call("go1.26.6", &[]).contains("tool: go go1.26.6"), "a launcher of a known release installs it");
    let switched = call("go1.26.6", &[("GOTOOLCHAIN", "auto"), ("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.26.6")]);
    assert!(switched.contains("GOTOOLCHAIN=auto\n"), "GOTOOLCHAIN is Go's business when Go switches\n{switched}");
}

#[test]
fn a_shim_needs_nothing_but_its_own_path() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let link = world.home.path().join("elsewhere");
    std::os::unix::fs::symlink(world.home.layout().bin().join("go"), &link).unwrap();
    for daemon in [true, false] {
        if daemon {
            world.home.start_daemon();
        } else {
            world.home.stop_daemon();
        }
        for program in [world.home.layout().bin().join("go"), link.clone()] {
            let output = Command::new(&program).env_clear().arg("version").current_dir("/").output().unwrap();
            let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(
                (stdout.as_ref(), stderr.as_ref()),
                (format!("go version go1.26.6 {}\n", platform()).as_str(), "")
            );
        }
    }
}

#[test]
fn pins_are_written_and_taken_away() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    let project: PathBuf = world.home.path().join("p");
    fs::create_dir_all(&project).unwrap();
    let govern = |arguments: &[&str]| {
        let mut command = world.home.govern(arguments);
        command.current_dir(&project);
        world.home.run(command)
    };
    assert_eq!(govern(&["pin", "1.26.6"]).status, 0);
    assert_eq!(fs::read_to_string(project.join(".go-version")).unwrap(), "1.26.6\n");
    assert_eq!(world.version_in("p"), "go1.26.6");
    assert_eq!(govern(&["pin", "1.24", "--to", "override"]).status, 0);
    assert_eq!(world.version_in("p"), "go1.24.11", "an override stands above the files");
    assert_eq!(govern(&["unpin", "--from", "override"]).status, 0);
    assert_eq!(world.version_in("p"), "go1.26.6");
    assert_eq!(govern(&["unpin"]).status, 0);
    assert_eq!(govern(&["default", "1.24"]).status, 0);
    assert_eq!(world.version_in("p"), "go1.24.11");
    let which = govern(&["which"]);
    assert_eq!(which.stdout, "[HOME]/.govern/sdks/go1.24.11/bin/go\n", "{which}");
    let listed = govern(&["list", "--json"]).stdout;
    assert!(listed.contains("\"schema\":1") || listed.contains("\"schema\": 1"), "{listed}");
    let run = govern(&["run", "1.26.6", "--", "go", "version"]);
    assert_eq!(run.stdout, format!("go version go1.26.6 {}\n", platform()), "{run}");
}
