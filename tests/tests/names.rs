//! One Go for one command, and `go` under other names: `+SPEC`, `govern run`, `govern env`, links from elsewhere. With the
//! real programs and SDKs of a few kilobytes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::Mirror;
use tempfile::TempDir;

/// A home with three SDKs, and a project that pins one of them.
struct World {
    home: TestHome,
    _mirror: (TempDir, Mirror),
}

impl World {
    fn new() -> World {
        let archives = TempDir::new().unwrap();
        let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
        for version in ["1.24.11", "1.26.6", "1.27.3"] {
            fake::tarball(archives.path(), &version.parse().unwrap(), &platform).unwrap();
        }
        let mirror = Mirror::serve(archives.path()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        let installed = home.run(home.govern(["install", "1.24.11", "1.26.6", "1.27.3"]));
        assert_eq!(installed.status, 0, "{installed}");
        home.write("p/.go-version", "1.26.6\n");
        home.write("p/q/go.mod", "module m\n\ngo 1.27.0\n");
        World { home, _mirror: (archives, mirror) }
    }

    fn run_in(&self, directory: &str, mut command: Command) -> Outcome {
        command.current_dir(self.home.path().join(directory));
        self.home.run(command)
    }

    fn go(&self, directory: &str, arguments: &[&str]) -> Outcome {
        self.run_in(directory, self.home.go(arguments))
    }

    /// What a program that stands for `go` says of its version: silence on stderr, and nothing else on stdout.
    #[track_caller]
    fn check(&self, directory: &str, command: Command, version: &str) {
        let outcome = self.run_in(directory, command);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome}");
        assert_eq!(outcome.stdout.split_whitespace().nth(2), Some(version), "{outcome}");
    }
}

#[test]
fn a_plus_word_chooses_for_one_command_and_is_not_passed_on() {
    let mut world = World::new();
    for with_daemon in [true, false] {
        if with_daemon {
            world.home.start_daemon();
        } else {
            world.home.stop_daemon();
            world.home.export("GOVERN_NO_DAEMON", "1");
        }
        let go = |line: &str| world.go("p", &line.split(' ').collect::<Vec<_>>());
        assert!(go("+1.24 version").stdout.contains("go1.24.11"), "a family, {with_daemon}");
        assert!(go("+go1.27.3 version").stdout.contains("go1.27.3"), "a release, {with_daemon}");
        assert!(go("+latest version").stdout.contains("go1.27.3"), "a word, {with_daemon}");
        assert!(go("+>=1.24,<1.26 version").stdout.contains("go1.24.11"), "a range, {with_daemon}");
        assert!(go("+1.24 -C q version").stdout.contains("go1.24.11"), "before -C, {with_daemon}");
        let told = go("+1.24 build +x ./...");
        assert!(told.stdout.contains("argument: build\nargument: +x\nargument: ./...\n"), "{told}");
        assert!(!told.stdout.contains("argument: +1.24"), "{told}");
        assert!(told.stdout.contains("GOTOOLCHAIN=go1.24.11\n"), "{told}");
        // Another directory, another word: what was exported for one command is no wish of the user's.
        let mut nested = world.home.go(["version"]);
        nested.env("GOTOOLCHAIN", "go1.24.11").env("GOVERN_SET_GOTOOLCHAIN", "go1.24.11");
        world.check("p", nested, "go1.26.6");
        let mut gofmt = world.home.command(world.home.layout().bin().join("gofmt"));
        gofmt.args(["+1.24", "x.go"]);
        let told = world.run_in("p", gofmt);
        assert!(told.stdout.contains("tool: gofmt go1.24.11\n") && told.stdout.contains("argument: x.go\n"), "{told}");
    }
    let unknown = world.go("p", &["+1.22.99", "version"]);
    assert_ne!(unknown.status, 0);
    assert!(unknown.stderr.contains("wanted by `+1.22.99` on the command line"), "{unknown}");
    for word in ["+nonsense!", "+"] {
        let bad = world.go("p", &[word, "version"]);
        assert_eq!((bad.status, bad.stdout.as_str()), (125, ""), "{bad}");
        let told = format!("\n  wanted by `{word}` on the command line\nhint: go +latest version\n");
        assert!(bad.stderr.ends_with(&told), "{bad}");
    }
}

#[test]
fn a_command_that_govern_runs_sees_one_go_first_on_path() {
    let world = World::new();
    world.home.start_daemon();
    let shim = world.home.layout().bin().join("go");
    let script = format!(
        "go version; gofmt -l; cd q && go version; env -u GOVERN_SET_GOTOOLCHAIN {} version; \
         go1.27.3 version; echo ${{GOROOT-none}} $GOTOOLCHAIN",
        shim.display()
    );
    let mut run = world.home.govern(["run", "1.24", "--", "sh", "-c", &script]);
    run.env("GOROOT", "/usr/lib/go");
    let ran = world.run_in("p", run);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran}");
    let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
    let line = |version: &str| format!("go version {version} {platform}\n");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(format!("{}\n", lines[0]), line("go1.24.11"), "first on PATH\n{ran}");
    assert_eq!(lines[1], "tool: gofmt go1.24.11", "{ran}");
    assert!(ran.stdout.contains(&line("go1.24.11").repeat(2)), "neither the module nor the pin moves a child\n{ran}");
    assert!(ran.stdout.contains(&line("go1.27.3")), "a launcher still is what it is called\n{ran}");
    assert!(ran.stdout.ends_with("none go1.24.11\n"), "{ran}");

    let status = world.home.run(world.home.govern(["run", "1.26", "--", "go", "exit", "7"]));
    assert_eq!(status.status, 7, "the command's own status\n{status}");
    let missing = world.home.run(world.home.govern(["run", "1.26", "--", "nosuchprogram"]));
    assert_eq!(missing.status, 127, "{missing}");
}

#[test]
fn a_shell_that_wants_variables_gets_them() {
    let world = World::new();
    world.home.start_daemon();
    for (arguments, version) in
        [(&["env", "1.24", "--shell", "sh"][..], "go1.24.11"), (&["env", "--shell", "sh"], "go1.26.6")]
    {
        let variables = world.run_in("p", world.home.govern(arguments));
        assert_eq!((variables.status, variables.stderr.as_str()), (0, ""), "{variables}");
        let script = variables.stdout.replace("[HOME]", &world.home.path().display().to_string());
        let mut shell = world.home.command("/bin/sh");
        shell.args(["-euc", &format!("{script}\ngo version")]).env("GOROOT", "/usr/lib/go");
        world.check("p", shell, version);
    }
}

#[test]
fn go_is_go_by_whatever_name_and_link_it_is_called() {
    let world = World::new();
    let (home, bin) = (world.home.path(), world.home.layout().bin());
    let elsewhere = home.join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let link = |name: &str, to: &Path| symlink(to, elsewhere.join(name)).unwrap();
    link("go", &bin.join("go"));
    link("go.real", &bin.join("go"));
    link("chain", &elsewhere.join("go"));
    link("go1.99.0", &bin.join("go"));
    link("gofmt2", &bin.join("gofmt"));
    link("newest", &world.home.layout().launchers_installed().join("go1.27.3"));
    fs::hard_link(bin.join("go"), bin.join("go-of-mine")).unwrap();
    for daemon in ["with", "without"] {
        if daemon == "with" {
            world.home.start_daemon();
        } else {
            world.home.stop_daemon();
        }
        let version = |program: &Path, argv0: Option<&str>| {
            let mut command = world.home.command(program);
            command.arg("version").env("GOVERN_NO_DAEMON", "1");
            if let Some(argv0) = argv0 {
                command.arg0(argv0);
            }
            command
        };
        for name in ["go", "go.real", "chain", "go1.99.0"] {
            world.check("p", version(&elsewhere.join(name), None), "go1.26.6");
        }
        world.check("p", version(&elsewhere.join("newest"), None), "go1.27.3");
        world.check("p", version(&bin.join("go-of-mine"), None), "go1.26.6");
        for argv0 in ["", "gofmt", "go1.24.11", "/usr/bin/go", "-sh", "../../go"] {
            world.check("p", version(&bin.join("go"), Some(argv0)), "go1.26.6");
        }
        let told = world.run_in("p", version(&elsewhere.join("gofmt2"), Some("go")));
        assert!(told.stdout.contains("tool: gofmt go1.26.6\n"), "{daemon}\n{told}");
    }
    // A hard link or a copy elsewhere has lost its way home: it says so, and what to do.
    fs::hard_link(bin.join("go"), elsewhere.join("hard")).unwrap();
    let lost = world.home.run(world.home.command(elsewhere.join("hard")));
    assert_eq!((lost.status, lost.stdout.as_str()), (125, ""), "{lost}");
    assert!(
        lost.stderr.starts_with("error: [HOME]/elsewhere/hard does not lie in the `bin` of govern\nhint: "),
        "{lost}"
    );
}
