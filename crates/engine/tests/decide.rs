//! Decisions in real directories with SDKs that are only names: what is found, and that every edit is seen at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use govern_core::decide::{Question, Target, Tool};
use govern_core::layout::Layout;
use govern_core::link::Link;
use govern_core::platform::Platform;
use govern_core::spec::{LinkName, Spec};
use govern_core::vars::Vars;
use govern_engine::Engine;

/// An installation and a place for projects, both temporary.
struct World {
    dir: tempfile::TempDir,
    engine: Engine,
}

impl World {
    fn new(installed: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let layout = Layout { system: root.join("etc"), ..Layout::under(&root.join("home/ana/.govern")) };
        let engine = Engine::open(layout, Platform::from_rust("linux", "x86_64")).unwrap();
        let world = World { dir, engine };
        installed.iter().for_each(|version| world.install(version));
        world
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    fn install(&self, version: &str) {
        let goroot = self.engine.layout().sdks().join(format!("go{version}"));
        fs::create_dir_all(goroot.join("bin")).unwrap();
        fs::write(goroot.join("bin/go"), "#!/bin/sh\n").unwrap();
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn ask(&self, dir: &str, args: &[&str], vars: &[(&str, &str)]) -> String {
        let cwd = self.root().join(dir);
        fs::create_dir_all(&cwd).unwrap();
        self.ask_in(&cwd.canonicalize().unwrap(), args, vars)
    }

    /// `1.22.4 < origin` for an installed SDK, `install 1.22 < origin` for a missing one.
    fn ask_in(&self, cwd: &Path, args: &[&str], vars: &[(&str, &str)]) -> String {
        let mut all = Vars::default();
        all.set("HOME", self.root().join("home/ana"));
        all.set("TMPDIR", self.root().join("tmp"));
        vars.iter().for_each(|(name, value)| all.set(name, *value));
        let args = args.iter().map(OsString::from).collect();
        let question = Question { tool: Tool::Go, args, vars: all };
        let decision = match self.engine.decide(&question, cwd) {
            Ok(decided) => decided.decision,
            Err(error) => return format!("error: {error}"),
        };
        let target = match decision.target {
            Target::Sdk(version) => version.to_string(),
            Target::Linked(Link { name, fault: None, .. }) => format!("linked {}", name.as_str()),
            Target::Linked(Link { name, fault: Some(fault), .. }) => format!("broken {}, {fault}", name.as_str()),
            Target::Install(install) => format!("install {}", install.spec),
            Target::PathGo { .. } => "path".to_owned(),
        };
        let root = format!("{}/", self.root().display());
        format!("{target} < {}", decision.origin.to_string().replace(&root, ""))
    }
}

#[test]
fn nested_directories_get_different_sdks_and_every_edit_is_seen_at_once() {
    let world = World::new(&["1.24.11", "1.26.6", "1.27.3"]);
    world.write("a/.go-version", "1.26.6\n");
    world.write("a/b/go.mod", "module m\n\ngo 1.24.0\n\ntoolchain go1.27.3\n");
    world.write("a/b/c/.go-version", "1.24.11\n");
    assert_eq!(world.ask("a", &[], &[]), "1.26.6 < a/.go-version:1");
    assert_eq!(world.ask("a/b", &[], &[]), "1.27.3 < a/b/go.mod:5");
    assert_eq!(world.ask("a/b/c/d", &[], &[]), "1.24.11 < a/b/c/.go-version:1");
    assert_eq!(world.ask("a", &["-C", "b", "version"], &[]), "1.27.3 < a/b/go.mod:5");
    assert_eq!(world.ask("a", &["version", "-C", "b/c"], &[]), "1.24.11 < a/b/c/.go-version:1");
    assert_eq!(world.ask("a", &["+1.27", "-C", "b/c", "version"], &[]), "1.27.3 < `+1.27` on the command line");

    // Two edits within one tick of the file system's clock: both are seen.
    for version in ["1.27.3", "1.24.11", "1.26.6"].iter().cycle().take(60) {
        world.write("a/.go-version", format!("{version}\n"));
        assert_eq!(world.ask("a", &[], &[]), format!("{version} < a/.go-version:1"));
    }
    fs::remove_file(world.root().join("a/.go-version")).unwrap();
    assert_eq!(world.ask("a", &[], &[]), "1.27.3 < govern's own default, the newest release");
}

#[test]
fn an_sdk_that_comes_or_goes_is_seen_at_once() {
    let world = World::new(&[]);
    world.write("p/.go-version", "1.26\n");
    assert_eq!(world.ask("p", &[], &[]), "install 1.26 < p/.go-version:1");
    for patch in 0..40 {
        world.install(&format!("1.26.{patch}"));
        assert_eq!(world.ask("p", &[], &[]), format!("1.26.{patch} < p/.go-version:1"));
    }
    fs::remove_dir_all(world.engine.layout().sdks().join("go1.26.39")).unwrap();
    assert_eq!(world.ask("p", &[], &[]), "1.26.38 < p/.go-version:1");
}

#[test]
fn settings_and_overrides_are_seen_at_once() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    let set = |text: &str| world.engine.set_default(Spec::parse(text).ok().as_ref()).unwrap();
    set("1.24");
    assert_eq!(world.ask("p", &[], &[]), "1.24.11 < govern default");
    set("1.26");
    assert_eq!(world.ask("p", &[], &[]), "1.26.6 < govern default");
    world.engine.set_override(&world.root().join("p"), Spec::parse("1.24.11").ok().as_ref()).unwrap();
    assert_eq!(world.ask("p/q", &[], &[]), "1.24.11 < the override for p");
    assert_eq!(world.ask("p/q", &[], &[("GOTOOLCHAIN", "go1.26.6")]), "1.26.6 < $GOTOOLCHAIN");
    assert_eq!(world.ask("p/q", &[], &[("GOVERN_GO_VERSION", "1.26")]), "1.26.6 < $GOVERN_GO_VERSION");
}

#[test]
fn links_and_what_becomes_of_their_trees_are_seen_at_once() {
    let world = World::new(&["1.26.6"]);
    let tip = LinkName::parse("tip").unwrap();
    let tree = |root: &str| {
        world.write(&format!("{root}/src/internal/goversion/goversion.go"), "const Version = 28\n");
        let go = world.write(&format!("{root}/bin/go"), "#!/bin/sh\n");
        fs::set_permissions(go, fs::Permissions::from_mode(0o755)).unwrap();
        world.root().join(root)
    };
    let (one, two) = (tree("one"), tree("two"));
    world.write("p/.go-version", "tip\n");
    assert_eq!(world.ask("p", &[], &[]), "install tip < p/.go-version:1");
    assert_eq!(world.engine.unlink(&tip).unwrap_err().to_string(), "no Go is linked as `tip`");
    for _ in 0..20 {
        for dir in [&one, &two] {
            world.engine.link(&tip, dir).unwrap();
            assert_eq!(world.ask("p", &[], &[]), "linked tip < p/.go-version:1");
            assert_eq!(world.engine.links().unwrap()[0].goroot, *dir);
        }
    }
    fs::remove_file(two.join("bin/go")).unwrap();
    assert_eq!(
        world.ask("p", &[], &[]),
        "broken tip, it has no bin/go with a VERSION or src beside it < p/.go-version:1"
    );
    fs::remove_dir_all(&two).unwrap();
    assert_eq!(world.ask("p", &[], &[]), "broken tip, it is not there < p/.go-version:1");
    assert_eq!(world.ask("x", &[], &[]), "1.26.6 < govern's own default, the newest release");
    assert_eq!(world.engine.unlink(&tip).unwrap(), two);
    assert_eq!(world.ask("p", &[], &[]), "install tip < p/.go-version:1");

    let links = world.engine.layout().links();
    fs::remove_dir(&links).unwrap();
    fs::write(&links, "").unwrap();
    let broken = world.ask("p", &[], &[]);
    assert!(broken.starts_with("error: cannot read ") && broken.ends_with("/links"), "{broken}");
    assert_eq!(world.ask("x", &[], &[]), "1.26.6 < govern's own default, the newest release");
    fs::remove_file(&links).unwrap();

    let own = world.engine.layout().sdks().join("go1.26.6");
    fs::set_permissions(own.join("bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
    world.write("home/ana/.govern/sdks/go1.26.6/VERSION", "go1.26.6\n");
    let refused = world.engine.link(&tip, &own).unwrap_err();
    assert_eq!(refused.to_string(), "that is go1.26.6, which govern installed: it has a name");
    assert_eq!(world.ask("p", &[], &[]), "install tip < p/.go-version:1", "nothing was linked");
}

#[test]
fn the_module_file_is_the_one_that_go_would_find() {
    let world = World::new(&["1.24.11", "1.26.6", "1.27.3"]);
    world.engine.set_default(Spec::parse("1.24").ok().as_ref()).unwrap();
    world.write("w/go.work", "go 1.26.0\n");
    world.write("w/m/go.mod", "module m\ngo 1.27.0\n");
    assert_eq!(world.ask("w/m", &[], &[]), "1.26.6 < w/go.work:1", "a workspace counts, and not its members");
    assert_eq!(world.ask("w/m", &[], &[("GOWORK", "off")]), "1.27.3 < w/m/go.mod:2");
    let missing = world.root().join("missing.work");
    assert_eq!(world.ask("w/m", &[], &[("GOWORK", missing.to_str().unwrap())]), "1.27.3 < w/m/go.mod:2");
    assert_eq!(world.ask("w/m", &[], &[("GO111MODULE", "off")]), "1.24.11 < govern default");
    world.write("home/ana/.config/go/env", "GOWORK=off\n");
    assert_eq!(world.ask("w/m", &[], &[]), "1.27.3 < w/m/go.mod:2", "go env -w counts");
    assert_eq!(world.ask("w/m", &[], &[("GOENV", "off")]), "1.26.6 < w/go.work:1");

    world.write("tmp/go.mod", "module m\ngo 1.27.0\n");
    assert_eq!(world.ask("tmp/x", &[], &[]), "1.24.11 < govern default", "a go.mod in TMPDIR itself is an accident");
    fs::create_dir_all(world.root().join("d/go.mod")).unwrap();
    world.write("d/e/go.mod/x", "");
    assert_eq!(world.ask("d/e", &[], &[]), "1.24.11 < govern default", "a directory called go.mod is none");
}

#[test]
fn module_mode_is_found_as_go_finds_it() {
    let world = World::new(&["1.24.11", "1.26.6", "1.27.3"]);
    let default = |spec: &str| world.engine.set_default(Spec::parse(spec).ok().as_ref()).unwrap();
    default("1.24");
    world.write("w/go.work", "go 1.26.0\n");
    world.write("w/m/go.mod", "module m\ngo 1.27.0\n");
    fs::create_dir_all(world.root().join("none")).unwrap();
    let mode = |mode: &'static str| [("GO111MODULE", mode), ("GOTOOLCHAIN", "go1.27.3")];
    // Without modules Go reads no GOTOOLCHAIN either.
    for off in ["off", "garbage", "ON"] {
        assert_eq!(world.ask("w", &[], &mode(off)), "1.24.11 < govern default", "{off}");
    }
    assert_eq!(world.ask("w", &[], &mode("on")), "1.27.3 < $GOTOOLCHAIN");
    assert_eq!(world.ask("w/m", &[], &mode("auto")), "1.27.3 < $GOTOOLCHAIN");
    assert_eq!(world.ask("none", &[], &mode("auto")), "1.24.11 < govern default", "no module file, no modules");
    let relative = [("GO111MODULE", "auto"), ("GOWORK", "go.work"), ("GOTOOLCHAIN", "go1.99.0")];
    assert_eq!(world.ask("none", &[], &relative), "1.24.11 < govern default", "nor with a GOWORK that Go refuses");
    // A go.work alone is enough from Go 1.27 on.
    assert_eq!(world.ask("w", &[], &[("GO111MODULE", "auto")]), "1.24.11 < govern default");
    assert_eq!(world.ask("w/m", &[], &[("GO111MODULE", "auto")]), "1.26.6 < w/go.work:1");
    default("1.27");
    assert_eq!(world.ask("w", &[], &mode("auto")), "1.27.3 < $GOTOOLCHAIN");
    world.write("home/ana/.config/go/env", "GO111MODULE=off\n");
    assert_eq!(world.ask("w", &[], &[("GOTOOLCHAIN", "go1.24.11")]), "1.27.3 < govern default", "go env -w counts");
}

#[test]
fn what_go_refuses_to_look_at_needs_no_sdk() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    world.engine.set_default(Spec::parse("1.24").ok().as_ref()).unwrap();
    world.write("w/go.mod", "module m\ngo 1.99.0\n");
    assert_eq!(world.ask("w", &[], &[]), "install 1.99 < w/go.mod:2");
    assert_eq!(world.ask("w", &[], &[("GOWORK", "go.work")]), "1.24.11 < govern default", "no absolute path");
    assert_eq!(world.ask("w", &["-C", "nowhere", "version"], &[]), "1.24.11 < govern default");
    assert_eq!(world.ask("w", &["-C", "go.mod", "version"], &[]), "1.24.11 < govern default", "no directory");
    let far = [("GOTOOLCHAIN", "go1.99.0")];
    assert_eq!(world.ask("w", &["-C", "nowhere", "version"], &far), "1.24.11 < govern default");
    assert_eq!(world.ask("w", &["env", "GOTOOLCHAIN"], &far), "1.24.11 < govern default");
    // A relative GOENV is one from where Go is started.
    world.write("w/x/go.env", "GOTOOLCHAIN=local\n");
    assert_eq!(world.ask("w", &[], &[("GOENV", "x/go.env")]), "1.24.11 < govern default");
    assert_eq!(world.ask("w", &["-C", "x", "version"], &[("GOENV", "x/go.env")]), "1.24.11 < govern default");
    assert_eq!(world.ask("w/x", &[], &[("GOENV", "x/go.env")]), "install 1.99 < w/go.mod:2");
    // -modfile plays no part, wherever it stands.
    world.write("w/alt.mod", "module m\ngo 1.26.0\n");
    assert_eq!(
        world.ask("w", &["list", "-modfile=alt.mod"], &[("GOFLAGS", "-modfile=alt.mod")]),
        "install 1.99 < w/go.mod:2"
    );
}

#[test]
fn an_sdks_own_go_env_counts_like_the_users() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    world.engine.set_default(Spec::parse("1.24").ok().as_ref()).unwrap();
    world.write("w/go.mod", "module m\ngo 1.26.0\n");
    world.write("home/ana/.govern/sdks/go1.24.11/go.env", "GOPROXY=x\nGOTOOLCHAIN=auto\n");
    assert_eq!(world.ask("w", &[], &[]), "1.26.6 < w/go.mod:2");
    // As Linux distributions ship it; the tree is another one then.
    fs::remove_dir_all(world.root().join("home/ana/.govern/sdks/go1.24.11")).unwrap();
    world.install("1.24.11");
    world.write("home/ana/.govern/sdks/go1.24.11/go.env", "GOTOOLCHAIN=local\n");
    world.install("1.25.6");
    assert_eq!(world.ask("w", &[], &[]), "1.24.11 < govern default");
    assert_eq!(world.ask("w", &[], &[("GOTOOLCHAIN", "auto")]), "1.26.6 < w/go.mod:2");
    world.write("home/ana/.config/go/env", "GOTOOLCHAIN=path\n");
    assert_eq!(world.ask("w", &[], &[]), "1.26.6 < w/go.mod:2");
}

#[test]
fn the_lines_of_a_module_file_are_found_as_go_finds_them() {
    let world = World::new(&["1.24.11", "1.26.6", "1.27.3"]);
    world.engine.set_default(Spec::parse("1.24").ok().as_ref()).unwrap();
    let mut rows = 0;
    let mut check = |text: &str, expect: &str| {
        world.write("w/go.mod", text);
        assert_eq!(world.ask("w", &[], &[]), expect, "{text:?}");
        rows += 1;
    };
    // go-semantics.md A.3, each observed with a real go; a floor has govern's meaning, the newest patch.
    check("module m\ngo 1.27.3\n", "1.27.3 < w/go.mod:2");
    check("  go\t1.27.3\t//x\n", "1.27.3 < w/go.mod:1");
    check("go 1.26.3\r\n", "1.26.6 < w/go.mod:1");
    check("go 1.26.3", "1.26.6 < w/go.mod:1");
    check("\u{feff}go 1.26.3\n", "1.24.11 < govern default");
    check("go 1.20\ngo 1.27.3\n", "1.24.11 < govern default");
    check("require (\ngo 1.27.3\n)\n", "1.27.3 < w/go.mod:2");
    for line in ["go 1.27.3 foo", "go \"1.27.3\"", "go v1.99", "go 1.27.x", "go 1.99.1rc1", "go 2.0", "toolchain go2.0"]
    {
        check(line, "1.24.11 < govern default");
    }
    check("go 1.27", "1.27.3 < w/go.mod:1");
    check("go 1.27rc1", "1.27.3 < w/go.mod:1");
    check("toolchain go1.27.3 // c", "1.27.3 < w/go.mod:1");
    for name in ["(", "go1.27", "local", "go1.x", "go1.27.3+auto", "\"go1.27.3\"", "go1.27.3-/../x"] {
        check(&format!("go 1.20\ntoolchain {name}\n"), "1.24.11 < govern default");
    }
    check("go 1.27\ntoolchain go1.26.3\n", "1.27.3 < w/go.mod:1");
    check("go 1.24\ntoolchain go1.27.3\n", "1.27.3 < w/go.mod:2");
    check("newdirective (\n\tx y\n)\ntool example.com/x\nignore ./y\ngo 1.26.0\n", "1.26.6 < w/go.mod:6");
    check("module m \u{fffd}\ngo 1.26.0\n", "1.26.6 < w/go.mod:2");
    assert_eq!(rows, 28);
}

#[test]
fn the_logical_directory_counts_as_in_go() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    world.write("a/proj/.go-version", "1.24.11\n");
    world.write("a/proj/sub/x", "");
    world.write("b/.go-version", "1.26.6\n");
    let link = world.root().join("b/link");
    symlink(world.root().join("a/proj/sub"), &link).unwrap();
    let physical = world.root().join("a/proj/sub");
    let pwd = link.to_str().unwrap();
    assert_eq!(world.ask_in(&physical, &[], &[("PWD", pwd)]), "1.26.6 < b/.go-version:1");
    assert_eq!(world.ask_in(&physical, &[], &[]), "1.24.11 < a/proj/.go-version:1");
    assert_eq!(world.ask_in(&physical, &[], &[("PWD", "/nonsense")]), "1.24.11 < a/proj/.go-version:1");
    assert_eq!(world.ask_in(&physical, &["-C", "."], &[("PWD", pwd)]), "1.26.6 < b/.go-version:1");
    assert_eq!(world.ask_in(&physical, &["-C", ".."], &[("PWD", pwd)]), "1.24.11 < a/proj/.go-version:1");
    assert_eq!(world.ask_in(&physical, &["-C", "/nowhere"], &[]), "1.24.11 < a/proj/.go-version:1");
}

#[test]
#[cfg(target_os = "linux")]
fn a_pin_file_that_the_disk_does_not_give_out_is_an_error_and_not_another_go() {
    let world = World::new(&["1.26.6"]);
    world.write("p/.go-version", "1.26.6");
    fs::create_dir_all(world.root().join("p/q")).unwrap();
    // What reading it says: EIO, like a failing disk.
    symlink("/proc/self/mem", world.root().join("p/q/.go-version")).unwrap();
    let answer = world.ask("p/q", &["version"], &[]);
    assert!(answer.starts_with("error: cannot read ") && answer.ends_with("p/q/.go-version"), "{answer}");
}

#[test]
fn what_is_no_regular_file_is_passed_over_and_nothing_hangs() {
    let world = World::new(&["1.24.11", "1.26.6"]);
    world.write("p/.go-version", "1.24.11\n");
    let project = world.root().join("p/q");
    fs::create_dir_all(&project).unwrap();
    let pin = project.join(".go-version");
    let fifo = || assert!(std::process::Command::new("mkfifo").arg(&pin).status().unwrap().success());
    let check = |what: &str| assert_eq!(world.ask("p/q", &[], &[]), "1.24.11 < p/.go-version:1", "{what}");
    fifo();
    check("a FIFO without a writer");
    fs::remove_file(&pin).unwrap();
    symlink(".go-version", &pin).unwrap();
    check("a link to itself");
    fs::remove_file(&pin).unwrap();
    symlink("/dev/zero", &pin).unwrap();
    check("an endless device");
    fs::remove_file(&pin).unwrap();
    fs::create_dir(&pin).unwrap();
    check("a directory");
    fs::remove_dir(&pin).unwrap();
    fs::File::create(&pin).unwrap().set_len(1 << 30).unwrap();
    check("a gigabyte");
    fs::remove_file(&pin).unwrap();
    fs::write(&pin, "\n\n").unwrap();
    check("an empty file");
    fs::write(&pin, "../../evil\n").unwrap();
    assert_eq!(world.ask("p/q", &[], &[]), "error: `../../evil` is not a Go version");
}

#[test]
fn every_release_of_the_build_has_a_launcher_until_a_list_was_fetched() {
    let world = World::new(&["1.24.11"]);
    world.write("home/ana/.govern/bin/go", "shim");
    world.engine.sync_launchers().unwrap();
    let layout = world.engine.layout();
    let has = |dir: &Path, name: &str| dir.join(name).is_file();
    assert!(has(&layout.launchers_all(), "go1.21.0") && has(&layout.launchers_all(), "go1.27.3"));
    assert!(has(&layout.launchers_installed(), "go1.24.11") && !has(&layout.launchers_installed(), "go1.27.3"));
}
