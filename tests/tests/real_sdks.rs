//! The whole road with real Go SDKs: installed from whoever answers, chosen by directory, built with. Run by
//! `.ci/real-sdks`, which fails and never skips; kept out of `cargo test` because it downloads 240 MB.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use govern_tests::home::TestHome;
use govern_tests::real::of_this_machine;
use govern_tests::world::{SAYS_ITS_GO, World};

#[test]
#[ignore = "downloads three SDKs; .ci/real-sdks runs it"]
fn real_sdks_are_chosen_by_directory_and_build() {
    let world = World::new();
    let home = world.home();
    home.write("a/.go-version", "1.26.6\n");
    home.write("a/b/go.mod", "module example.com/b\n\ngo 1.24.0\n\ntoolchain go1.27.3\n");
    home.write("a/b/main.go", SAYS_ITS_GO);
    home.write("a/b/c/.go-version", "1.24.11\n");
    home.write("a/b/c/c.go", "package c\n\nfunc  C() {}\n");

    let nested = [("a", "go1.26.6"), ("a/b", "go1.27.3"), ("a/b/c", "go1.24.11")];
    let all_is_right = |when: &str| {
        for (directory, version) in nested {
            let said = world.output(directory, &["version"]);
            assert!(said.starts_with(&format!("go version {version} ")), "{said} in {directory}, {when}");
            let root =
                world.output(directory, &["env", "GOROOT"]).replace("[HOME]", &home.path().display().to_string());
            assert_eq!(Path::new(&root), world.root(version).canonicalize().unwrap(), "in {directory}, {when}");
        }
        assert!(world.output("a", &["-C", "b", "version"]).contains("go1.27.3"), "-C, {when}");
        assert!(world.output("a", &["-C", "b/c", "env", "GOVERSION"]).contains("go1.24.11"), "-C, {when}");
        let mut gofmt = home.command(home.layout().bin().join("gofmt"));
        gofmt.arg("c.go").current_dir(home.path().join("a/b/c"));
        let formatted = home.run(gofmt);
        assert_eq!(formatted.stdout, "package c\n\nfunc C() {}\n", "{when}\n{formatted}");
    };
    home.start_daemon();
    all_is_right("with the daemon");
    home.stop_daemon();
    all_is_right("without the daemon");
    fs::remove_file(home.layout().index()).ok();
    home.start_daemon();
    all_is_right("with a new index");

    builds(&world);
    modules_and_launchers(&world);
}

/// Compiling, testing, generating, vetting, cgo, other platforms.
fn builds(world: &World) {
    let home = world.home();
    for (directory, version) in [("a/b", "go1.27.3"), ("old", "go1.24.11")] {
        if directory == "old" {
            home.write("old/.go-version", "1.24.11\n");
            home.write("old/go.mod", "module example.com/old\n\ngo 1.24.0\n");
            home.write("old/main.go", SAYS_ITS_GO);
        }
        let binary = home.path().join(directory).join("program");
        world.output(directory, &["build", "-o", binary.to_str().unwrap(), "."]);
        let ran = Command::new(&binary).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), version);
        assert_eq!(world.output(directory, &["run", "."]), version);
        for (os, arch) in [("linux", "arm64"), ("windows", "amd64")] {
            let mut cross = world.go_command(directory, &["build", "-o", "/dev/null", "."]);
            cross.env("GOOS", os).env("GOARCH", arch);
            let crossed = home.run(cross);
            assert_eq!((crossed.status, crossed.stderr.as_str()), (0, ""), "{os}/{arch} in {directory}\n{crossed}");
        }
        home.write(
            &format!("{directory}/main_test.go"),
            "package main\n\nimport (\"os/exec\"; \"runtime\"; \"strings\"; \"testing\")\n\n//go:generate go version\n\n\
             func TestChildrenSeeTheSameGo(t *testing.T) {\n\tout, err := exec.Command(\"go\", \"env\", \"GOVERSION\").Output()\n\
             \tif err != nil || strings.TrimSpace(string(out)) != runtime.Version() {\n\t\tt.Fatalf(\"%s %v\", out, err)\n\t}\n}\n",
        );
        let tested = world.output(directory, &["test", "./..."]);
        assert!(tested.starts_with("ok "), "{tested}");
        assert!(world.output(directory, &["generate", "./..."]).contains(version));
        world.output(directory, &["vet", "."]);
        home.write(
            &format!("{directory}/cgo/cgo.go"),
            "package main\n\n// int twice(int n) { return 2 * n; }\nimport \"C\"\n\nfunc main() { print(int(C.twice(21))) }\n",
        );
        let cgo = world.go(directory, &["run", "./cgo"]);
        assert_eq!((cgo.status, cgo.stderr.as_str()), (0, "42"), "cgo needs a C compiler\n{cgo}");
    }
}

/// `go install` of a module, Go's own switching through the launchers, an unpinned module with a newer minimum.
fn modules_and_launchers(world: &World) {
    let home = world.home();
    let gomod = "module example.com/tool\n\ngo 1.24.0\n";
    world.serve_module("example.com/tool", "v1.0.0", &[("go.mod", gomod), ("main.go", SAYS_ITS_GO)]);
    let url = format!("file://{}", home.path().join("proxy").display());
    let bin = home.path().join("tools");
    let mut install = world.go_command("a/b/c", &["install", "example.com/tool@v1.0.0"]);
    install.env("GOBIN", &bin).env("GOPROXY", &url).env("GONOSUMDB", "*").env("GOFLAGS", "-modcacherw");
    let installed = home.run(install);
    assert_eq!(installed.status, 0, "{installed}");
    let tool = Command::new(bin.join("tool")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&tool.stdout), "go1.24.11", "the pin builds the tool");

    // A minimum that the default does not meet: the newest patch of its family, before Go starts.
    assert_eq!(home.run(home.govern(["default", "1.24.11"])).status, 0);
    home.write("floor/go.mod", "module example.com/floor\n\ngo 1.26.1\n");
    assert!(world.output("floor", &["version"]).contains("go1.26.6"));
    // Go's own switch, by GOTOOLCHAIN: through the launcher on PATH, never by a download of cmd/go's own.
    home.write("plain/x.go", "package x\n");
    let mut switch = world.go_command("plain", &["version"]);
    switch.env("GOTOOLCHAIN", "go1.24.11+auto").current_dir(home.path().join("floor"));
    let mut launchers = std::ffi::OsString::from(home.layout().bin());
    launchers.push(":/usr/bin:/bin");
    switch.env("PATH", launchers).env("GOPROXY", "off");
    let switched = home.run(switch);
    assert_eq!(switched.status, 125, "go1.26.1 is not installed and cannot be: the launcher says so\n{switched}");
    assert!(switched.stderr.contains("wanted by the program name go1.26.1"), "{switched}");
    let mut switch = world.go_command("plain", &["version"]);
    home.write("exact/go.mod", "module example.com/exact\n\ngo 1.26.6\n");
    switch.env("GOTOOLCHAIN", "go1.24.11+auto").current_dir(home.path().join("exact")).env("GOPROXY", "off");
    let switched = home.run(switch);
    assert!(switched.stdout.contains("go1.26.6"), "{switched}");
    let cache = home.path().join("go/pkg/mod/golang.org");
    assert!(!cache.exists(), "cmd/go downloaded a toolchain of its own into {}", cache.display());
}

#[test]
#[ignore = "downloads two SDKs; .ci/real-sdks runs it"]
fn a_plain_go_and_a_govern_get_their_sdks_from_a_mirror() {
    let mut office = TestHome::new();
    for name in ["GOPROXY", "GOSUMDB", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        office.export(name, of_this_machine(name));
    }
    office.export("GOVERN_DL_URL", "off");
    let mirror = Serving::start(&office, &[]);
    let mut client = TestHome::new();
    client.export("GOVERN_DL_URL", "off");
    client.export("GOPROXY", mirror.url.as_str());
    client.export("GOSUMDB", "");
    let installed = client.run(client.govern(["install", "1.24.11"]));
    assert_eq!(installed.status, 0, "the module proxy must answer for this\n{installed}");
    let listed = client.run(client.govern(["list", "--json"]));
    assert!(listed.stdout.contains("\"proof\": \"log\"") || listed.stdout.contains("\"proof\":\"log\""), "{listed}");

    // No shim, no govern: Go's own switch, checked against the checksum database that the mirror passes on.
    let go = client.layout().sdks().join("go1.24.11/bin/go");
    let switch = |proxy: &str, cache: &str| {
        let mut command = client.command(&go);
        command.arg("version").env("GOTOOLCHAIN", "go1.26.6").env("GOPROXY", proxy).env("GOSUMDB", "");
        command.env("PATH", "/usr/bin:/bin").env("GOMODCACHE", client.path().join(cache)).env("GOFLAGS", "-modcacherw");
        client.run(command)
    };
    let switched = switch(&mirror.url, "cache");
    assert!(switched.stdout.starts_with("go version go1.26.6 "), "{switched}");
    drop(mirror);

    // The source is gone: what was downloaded once is there for everybody.
    office.export("GOPROXY", "off");
    let mirror = Serving::start(&office, &["--offline"]);
    let switched = switch(&mirror.url, "another-cache");
    assert!(switched.stdout.starts_with("go version go1.26.6 "), "{switched}");
    println!("a plain go1.24.11 switched to go1.26.6 through a mirror, and again with the mirror offline");
}

/// A running `govern mirror serve`.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    fn start(home: &TestHome, more: &[&str]) -> Serving {
        let mut command = home.govern(["mirror", "serve", "--listen", "127.0.0.1:0"]);
        let mut process = command.args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Serving { process, url: url.trim_end().to_owned() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
