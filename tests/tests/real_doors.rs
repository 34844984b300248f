//! Go's own switching with real SDKs: every door that leads from one Go to another leads through govern, once, and never
//! through a download of cmd/go's own. Run by `.ci/real-sdks`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and this one says what it saw")]

use std::fs;
use std::process::Command;

use govern_tests::home::Outcome;
use govern_tests::world::{SAYS_ITS_GO, VERSIONS, World};

/// A module with a child that asks for a newer Go, and a test and a generator that start a `go` in there.
const CHILD: &str = "package p\n\n//go:generate go -C newer run .\n";
const CHILD_TEST: &str = "package p\n\nimport (\"os\"; \"os/exec\"; \"testing\")\n\n\
    func TestChild(t *testing.T) {\n\tcommand := exec.Command(\"go\", \"run\", \".\")\n\tcommand.Dir = \"newer\"\n\
    \tout, err := command.CombinedOutput()\n\tos.WriteFile(\"said\", out, 0o644)\n\
    \tif err != nil {\n\t\tt.Fatal(string(out), err)\n\t}\n}\n";

/// The doors, and what stands behind them.
struct Doors {
    world: World,
    goproxy: String,
    /// The newest 1.27 that can be had: where a minimum leads.
    newest: String,
    /// Doors that were gone through.
    seen: usize,
}

impl Doors {
    fn new() -> Doors {
        let world = World::new();
        let tool = |go: &str| format!("module example.com/tool\n\ngo {go}\n");
        world.serve_module("example.com/tool", "v1.0.0", &[("go.mod", &tool("1.27.1")), ("main.go", SAYS_ITS_GO)]);
        let library = "module example.com/library\n\ngo 1.27.1\n";
        world.serve_module("example.com/library", "v1.0.0", &[("go.mod", library), ("x.go", "package library\n")]);
        let goproxy = world.goproxy();
        let home = world.home();
        let listed = home.run(home.govern(["list", "--remote"]));
        let is_wanted = |word: &&str| word.starts_with("1.27.") && !word.contains("rc");
        let newest = listed.stdout.split_whitespace().find(is_wanted).unwrap();
        let newest = format!("go{newest}");
        assert_eq!(home.run(home.govern(["default", VERSIONS[0]])).status, 0);
        home.write("unpinned/go.mod", "module example.com/unpinned\n\ngo 1.24.0\n");
        home.write("unpinned/x.go", CHILD);
        home.write("unpinned/x_test.go", CHILD_TEST);
        home.write("unpinned/newer/go.mod", "module example.com/newer\n\ngo 1.27.3\n");
        home.write("unpinned/newer/main.go", SAYS_ITS_GO);
        home.start_daemon();
        println!("the newest 1.27 is {newest}");
        Doors { world, goproxy, newest, seen: 0 }
    }

    fn command(&self, directory: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.go_command(directory, arguments);
        command.env("GOPROXY", &self.goproxy).env("GONOSUMDB", "example.com").env("GOFLAGS", "-modcacherw");
        command.env("GOBIN", self.world.home().path().join("tools"));
        command
    }

    fn run(&self, command: Command) -> Outcome {
        self.world.home().run(command)
    }

    fn is_installed(&self, version: &str) -> bool {
        self.world.root(version).join("bin/go").is_file()
    }

    /// How often a release was published by the daemon.
    fn installs(&self, version: &str) -> usize {
        let name = version.trim_start_matches("go");
        let published = format!("sdk published version={name} ");
        self.world.home().log().matches(&published).count()
    }

    /// Goes through a door twice: without the release, which is installed once, and with it; then offline.
    fn go_through(
        &mut self,
        door: &str,
        version: &str,
        command: impl Fn(&Doors) -> Command,
        is_right: impl Fn(&Outcome) -> bool,
    ) {
        let home = self.world.home();
        for known in [self.newest.as_str(), "go1.27.3"] {
            if self.is_installed(known) {
                assert_eq!(home.run(home.govern(["uninstall", known])).status, 0);
            }
        }
        let before = self.installs(version);
        for when in ["the first time", "the second time"] {
            let outcome = self.run(command(self));
            assert!(is_right(&outcome), "{door}, {when}\n{outcome}");
        }
        assert_eq!(self.installs(version) - before, 1, "{door}: {version} is installed once\n{}", home.log());
        for daemon in ["1", "0"] {
            let mut offline = command(self);
            // Modules are at hand, and releases of Go nowhere but on PATH.
            let modules = format!("file://{}", home.path().join("proxy").display());
            offline.env("GOVERN_OFFLINE", "1").env("GOPROXY", modules).env("GOVERN_NO_DAEMON", daemon);
            let outcome = self.run(offline);
            assert!(is_right(&outcome), "{door}, offline\n{outcome}");
        }
        self.nothing_of_gos_own(door);
        self.seen += 1;
        println!("{door}: {version}, installed once, the same offline");
    }

    /// No toolchain in the module cache: neither unpacked nor as an archive.
    fn nothing_of_gos_own(&self, door: &str) {
        let cache = self.world.home().path().join("go/pkg/mod");
        let unpacked = fs::read_dir(cache.join("golang.org")).into_iter().flatten().flatten();
        let unpacked = unpacked.filter(|e| e.file_name().to_string_lossy().starts_with("toolchain@")).count();
        let archives =
            fs::read_dir(cache.join("cache/download/golang.org/toolchain/@v")).into_iter().flatten().flatten();
        let archives = archives.filter(|e| e.path().extension().is_some_and(|e| e == "zip")).count();
        assert_eq!((unpacked, archives), (0, 0), "{door}: cmd/go downloaded a toolchain of its own");
    }
}

#[test]
#[ignore = "downloads SDKs; .ci/real-sdks runs it"]
fn every_door_from_one_go_to_another_leads_through_govern() {
    let mut doors = Doors::new();
    let newest = doors.newest.clone();
    let says = |version: &str| {
        let version = version.to_owned();
        move |outcome: &Outcome| outcome.status == 0 && outcome.stdout.contains(&version)
    };

    pins_hold(&doors);
    asks_for_go_itself(&doors);
    let tool = doors.world.home().path().join("tools/tool");
    let built_by = |outcome: &Outcome| {
        let ran = Command::new(&tool).output().is_ok_and(|ran| ran.stdout == newest.as_bytes());
        fs::remove_file(&tool).ok();
        outcome.status == 0 && ran
    };
    doors.world.home().write("pinned/.go-version", "1.24.11\n");
    for directory in ["unpinned", "pinned"] {
        let install = |d: &Doors| d.command(directory, &["install", "example.com/tool@v1.0.0"]);
        doors.go_through(&format!("go install tool@v1.0.0, {directory}"), &newest, install, built_by);
    }
    let run = |d: &Doors| d.command("pinned", &["run", "example.com/tool@v1.0.0"]);
    doors.go_through("go run tool@v1.0.0, pinned", &newest, run, says(&newest));

    let get = |d: &Doors| {
        d.world.home().write("get/go.mod", "module example.com/get\n\ngo 1.24.0\n");
        d.world.home().write("get/x.go", "package get\n\nimport _ \"example.com/library\"\n");
        d.command("get", &["get", "example.com/library@v1.0.0"])
    };
    let gomod = doors.world.home().path().join("get/go.mod");
    let went_up = |outcome: &Outcome| outcome.status == 0 && fs::read_to_string(&gomod).unwrap().contains("go 1.27.1");
    doors.go_through("go get of a library that needs a newer Go", &newest, get, went_up);

    doors.world.home().write("floor/go.mod", "module example.com/floor\n\ngo 1.27.1\n");
    doors.world.home().write("floor/main.go", SAYS_ITS_GO);
    doors.go_through("a go line above the default", &newest, |d| d.command("floor", &["run", "."]), says(&newest));

    let child = "go1.27.3";
    doors.go_through("go generate in a newer child", child, |d| d.command("unpinned", &["generate", "."]), says(child));
    let said = doors.world.home().path().join("unpinned/said");
    let tests = |d: &Doors| d.command("unpinned", &["test", "-count=1", "."]);
    let child_ran = |outcome: &Outcome| outcome.status == 0 && fs::read_to_string(&said).unwrap().ends_with(child);
    doors.go_through("go test in a newer child", child, tests, child_ran);

    assert_eq!(doors.seen, 7, "doors");
}

/// A pin below a toolchain line holds; below a go line, Go's own error names it.
fn pins_hold(doors: &Doors) {
    let home = doors.world.home();
    home.write("held/.go-version", "1.26.6\n");
    home.write("held/go.mod", "module example.com/held\n\ngo 1.25.0\n\ntoolchain go1.27.3\n");
    home.write("held/main.go", SAYS_ITS_GO);
    assert_eq!(doors.world.output("held", &["run", "."]), "go1.26.6");
    home.write("refused/.go-version", "1.24.11\n");
    home.write("refused/go.mod", "module example.com/refused\n\ngo 1.26.0\n");
    home.write("refused/main.go", SAYS_ITS_GO);
    let refused = doors.run(doors.command("refused", &["build", "."]));
    let expect = "go: go.mod requires go >= 1.26.0 (running go 1.24.11; GOTOOLCHAIN=go1.24.11)\n";
    assert_eq!((refused.status, refused.stderr.as_str()), (1, expect), "{refused}");
    let mut explain = home.govern(["explain"]);
    explain.current_dir(home.path().join("refused"));
    let explained = home.run(explain).stdout;
    let foretold = "next: commands that load the module fail: go.mod requires go >= 1.26.0 \
                    (running go 1.24.11; GOTOOLCHAIN=go1.24.11) ([HOME]/refused/go.mod:3)\n";
    assert!(explained.ends_with(foretold), "{explained}");
    doors.nothing_of_gos_own("a pin that holds");
}

/// `go get go@…` and `go get toolchain@…`.
fn asks_for_go_itself(doors: &Doors) {
    let home = doors.world.home();
    if !doors.world.has_proxy() {
        println!("go get go@…: not tried, for want of a proxy that describes the releases");
        return;
    }
    let gomod = "module example.com/go\n\ngo 1.24.0\n";
    home.write("go-itself/go.mod", gomod);
    let got = doors.run(doors.command("go-itself", &["get", "go@1.27.3"]));
    assert_eq!(got.status, 0, "{got}");
    let text = fs::read_to_string(home.path().join("go-itself/go.mod")).unwrap();
    assert!(text.contains("go 1.27.3"), "{text}\n{got}");
    assert_eq!(doors.world.output("go-itself", &["env", "GOVERSION"]), doors.newest, "the new floor");
    home.write("go-itself/go.mod", gomod);
    let got = doors.run(doors.command("go-itself", &["get", "toolchain@go1.26.6"]));
    assert_eq!(got.status, 0, "{got}");
    assert_eq!(doors.world.output("go-itself", &["env", "GOVERSION"]), "go1.26.6", "the new toolchain line");
    doors.nothing_of_gos_own("go get go@…");
    println!("go get go@1.27.3, go get toolchain@go1.26.6: seen");
}
