//! Go trees that the Go project did not publish, from end to end with the real programs: those that a user built and
//! linked, and the builds of vendors. With the daemon and without it, and nothing that a checkout could bring about.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::Mirror;
use serde_json::Value;
use tempfile::TempDir;

/// A home whose only source is a mirror of fake SDKs.
struct World {
    home: TestHome,
    mirror: Mirror,
    _archives: TempDir,
    /// No daemon is asked and none is started.
    is_alone: Cell<bool>,
}

impl World {
    fn new(published: &[&str]) -> World {
        let (mirror, archives) = mirror_of(published);
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        World { home, mirror, _archives: archives, is_alone: Cell::new(false) }
    }

    fn govern(&self, arguments: &[&str]) -> Outcome {
        self.govern_in("", arguments)
    }

    fn govern_in(&self, directory: &str, arguments: &[&str]) -> Outcome {
        self.home.run(self.prepared(self.home.govern(arguments), directory))
    }

    /// `go`, called by the path of the shim in a directory below HOME.
    fn go(&self, directory: &str, arguments: &[&str]) -> Outcome {
        self.home.run(self.go_command(directory, arguments))
    }

    fn go_command(&self, directory: &str, arguments: &[&str]) -> Command {
        self.prepared(self.home.go(arguments), directory)
    }

    fn prepared(&self, mut command: Command, directory: &str) -> Command {
        command.current_dir(self.directory(directory));
        if self.is_alone.get() {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        command
    }

    fn directory(&self, directory: &str) -> PathBuf {
        let directory = self.home.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Lays down a tree below HOME that somebody built from a checkout.
    fn tree(&self, directory: &str) -> PathBuf {
        let goroot = self.home.path().join(directory);
        fake::tree(&goroot, &version("1.28.0-tip"), &platform()).unwrap();
        fs::remove_file(goroot.join("VERSION")).unwrap();
        self.home.write(&format!("{directory}/VERSION.cache"), "go1.28-devel_0123abc Tue Nov 24 10:00:00 2026 +0000\n");
        self.home.write(&format!("{directory}/src/internal/goversion/goversion.go"), "const Version = 28\n");
        goroot
    }

    /// Does something with the daemon, and with none.
    fn with_and_without_daemon(&self, check: impl Fn(&str)) {
        self.home.start_daemon();
        check("with the daemon");
        self.home.stop_daemon();
        self.is_alone.set(true);
        check("without a daemon");
        self.is_alone.set(false);
    }

    /// How many questions the daemon left to `govern`.
    fn fallbacks(&self) -> u64 {
        json(&self.govern(&["status", "--json"]))["fallbacks"].as_u64().unwrap()
    }
}

fn mirror_of(published: &[&str]) -> (Mirror, TempDir) {
    let archives = TempDir::new().unwrap();
    for text in published {
        fake::tarball(archives.path(), &version(text), &platform()).unwrap();
    }
    (Mirror::serve(archives.path()).unwrap(), archives)
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn json(outcome: &Outcome) -> Value {
    assert_eq!(outcome.status, 0, "{outcome}");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}\n{outcome}"))
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_linked_tree_serves_wherever_a_version_would() {
    let world = World::new(&["1.26.6"]);
    world.tree("src/go");
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let linked = world.govern_in("src", &["link", "tip", "go"]);
    let said = "Linked tip to [HOME]/src/go, go1.28-devel_0123abc Tue Nov 24 10:00:00 2026 +0000\n";
    assert_eq!((linked.status, linked.stdout.as_str(), linked.stderr.as_str()), (0, "", said));
    assert_eq!(world.govern_in("p", &["pin", "tip"]).status, 0);
    assert_eq!(fs::read_to_string(world.home.path().join("p/.go-version")).unwrap(), "tip\n");
    world.home.write("tools/.tool-versions", "golang tip\n");
    world.home.write("fixed/.go-version", "1.26.6\n");
    assert_eq!(world.govern_in("over", &["pin", "tip", "--to", "override"]).status, 0);

    world.with_and_without_daemon(|when| {
        let serves = |outcome: Outcome| {
            let lines = ["tool: go go1.28.0-tip\n", "GOTOOLCHAIN=local\n", "GOVERN_SET_GOTOOLCHAIN=local\n"];
            let told = lines.iter().all(|line| outcome.stdout.contains(line));
            assert!(told && outcome.stderr.is_empty() && outcome.status == 0, "{when}\n{outcome}");
        };
        for directory in ["p", "p/nested/deep", "tools", "over"] {
            serves(world.go(directory, &["build"]));
        }
        serves(world.go("fixed", &["+tip", "build"]));
        let mut variable = world.go_command("fixed", &["build"]);
        variable.env("GOVERN_GO_VERSION", "tip");
        serves(world.home.run(variable));
        assert_eq!(world.go("p", &["exit", "42"]).status, 42, "{when}");
        let root = world.go("p", &["env", "GOROOT"]);
        assert_eq!(root.stdout, "[HOME]/src/go\n", "{when}\n{root}");
        let other = world.go("fixed", &["version"]);
        assert_eq!(other.stdout, format!("go version go1.26.6 {}\n", platform()), "{when}\n{other}");

        assert_eq!(world.govern_in("p", &["which"]).stdout, "[HOME]/src/go/bin/go\n", "{when}");
        assert_eq!(world.govern_in("p", &["which", "--goroot"]).stdout, "[HOME]/src/go\n", "{when}");
        assert_eq!(world.govern_in("p", &["pin"]).stdout, "tip   [HOME]/p/.go-version:1\n", "{when}");
        let explained = world.govern_in("p", &["explain"]).stdout;
        assert!(explained.starts_with("tip   [HOME]/src/go   linked, go1.28-devel_0123abc"), "{when}\n{explained}");
        let decision = json(&world.govern_in("p", &["explain", "--json"]));
        assert_eq!((&decision["target"], &decision["linked"]["name"]), (&"linked".into(), &"tip".into()), "{when}");
        let run = world.govern_in("fixed", &["run", "tip", "--", "go", "probe"]);
        assert!(run.stdout.contains("tool: go go1.28.0-tip") && run.stdout.contains("GOVERN_GO_VERSION=tip"), "{run}");
        let env = world.govern_in("fixed", &["env", "tip", "--shell", "sh"]).stdout;
        assert!(env.contains("export GOVERN_GO_VERSION=tip\n") && env.contains("[HOME]/src/go/bin"), "{env}");

        let list = json(&world.govern(&["list", "--json"]));
        let tip = &list["linked"][0];
        assert_eq!((&tip["name"], &tip["proof"]), (&"tip".into(), &"none (linked)".into()), "{when}\n{list}");
        assert_eq!(list["installed"].as_array().unwrap().len(), 1, "{list}");
        let listed = world.govern_in("p", &["list"]).stdout;
        assert!(listed.contains(" * tip ") && listed.contains("none (linked)   [HOME]/src/go"), "{when}\n{listed}");
    });

    world.home.start_daemon();
    let before = world.fallbacks();
    assert_eq!(world.go("p", &["exit", "7"]).status, 7);
    assert_eq!(world.fallbacks(), before, "the daemon answers for a linked tree by itself");

    assert_eq!(world.govern(&["default", "tip"]).status, 0);
    let default = world.go("nowhere", &["build"]);
    assert!(default.stdout.contains("tool: go go1.28.0-tip") && !default.stdout.contains("GOTOOLCHAIN"), "{default}");
    world.home.write("floor/go.mod", "module m\n\ngo 1.26.0\n");
    assert!(world.go("floor", &["build"]).stdout.contains("go1.28.0-tip"), "the default is new enough");
    assert_eq!(world.mirror.requests(&format!("/dl/{}", platform().archive(&version("1.26.6")))), 1);

    // The habit of rustup's users: a linked Go is uninstalled, which leaves its tree alone.
    let unlinked = world.govern(&["uninstall", "tip"]);
    let said = "Unlinked tip; [HOME]/src/go stays as it is\nnote: `govern default` still says tip\n\
                hint: govern default latest\nnote: the override for [HOME]/over still says tip\n";
    assert_eq!((unlinked.status, unlinked.stderr.as_str()), (0, said));
    assert!(world.home.path().join("src/go/bin/go").is_file());
    assert_eq!(world.go("p", &["version"]).status, 127);
    let again = world.govern(&["unlink", "tip"]);
    let said = "error: no Go is linked as `tip`\nhint: govern link tip DIR\nhint: govern list\n";
    assert_eq!((again.status, again.stderr.as_str()), (4, said));
}

#[test]
fn a_linked_tree_that_is_gone_is_named_and_nothing_takes_its_place() {
    let world = World::new(&["1.26.6"]);
    let tree = world.tree("src/go");
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    assert_eq!(world.govern(&["link", "tip", tree.to_str().unwrap()]).status, 0);
    world.home.write("p/.go-version", "tip\n");
    world.home.start_daemon();
    assert_eq!(world.go("p", &["exit", "0"]).status, 0);

    fs::remove_file(tree.join("bin/go")).unwrap();
    world.home.write("src/go/src/make.bash", "#!/bin/bash\n");
    let told = |cause: &str, hint: &str| {
        let said = format!(
            "error: the Go linked as `tip` cannot run\n  wanted by [HOME]/p/.go-version:1\n  caused by: [HOME]/src/go: \
             {cause}\nhint: {hint}\nhint: govern unlink tip\n"
        );
        world.with_and_without_daemon(|when| {
            let refused = world.go("p", &["version"]);
            assert_eq!((refused.status, refused.stdout.as_str()), (127, ""), "{when}\n{refused}");
            assert_eq!(refused.stderr, said, "{when}");
            for verb in ["which", "install"] {
                let refused = world.govern_in("p", &[verb]);
                assert_eq!((refused.status, refused.stderr.as_str()), (4, said.as_str()), "{verb} {when}");
            }
        });
    };
    told("the sources of Go are there, and were not built", "cd [HOME]/src/go/src && ./make.bash");
    fs::remove_dir_all(&tree).unwrap();
    told("it is not there", "govern link tip DIR");
    let listed = world.govern(&["list"]).stdout;
    assert!(listed.contains("cannot run"), "{listed}");
    world.home.start_daemon();
    let before = world.fallbacks();
    assert_eq!(world.go("p", &["version"]).status, 127);
    assert_eq!(world.fallbacks(), before + 1, "the daemon leaves what cannot run to govern, which explains");
    // It comes back, and so does everything else.
    world.tree("src/go");
    assert!(world.go("p", &["build"]).stdout.contains("go1.28.0-tip"));
}

#[test]
fn a_checkout_can_name_the_users_links_and_do_nothing_else() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    // A tree of the checkout's own, with every name that might lead to it.
    let evil = world.tree("checkout/go");
    std::os::unix::fs::symlink(&evil, world.directory("checkout").join("evil")).unwrap();
    std::os::unix::fs::symlink(&evil, world.directory("checkout/links").join("evil")).unwrap();
    world.home.write("checkout/config.toml", "[links]\nevil = \"go\"\n");
    let before = names(&world.home.layout().data);
    let asked = world.mirror.requests("/dl/");
    for (file, text) in [(".go-version", "evil\n"), (".tool-versions", "golang evil\n")] {
        let pin = world.home.write(&format!("checkout/{file}"), text);
        world.with_and_without_daemon(|when| {
            let refused = world.go("checkout", &["version"]);
            let said = format!(
                "error: no Go is linked as `evil`\n  wanted by [HOME]/checkout/{file}:1\nhint: govern link evil DIR\n\
                 hint: govern list\n"
            );
            assert_eq!((refused.status, refused.stdout.as_str()), (127, ""), "{when}\n{refused}");
            assert_eq!(refused.stderr, said, "{when}");
            for verb in ["which", "install"] {
                assert_eq!(world.govern_in("checkout", &[verb]).status, 4, "{verb} {when}");
            }
            let explained = world.govern_in("checkout", &["explain"]);
            assert!(explained.stdout.starts_with("evil   not linked\n"), "{when}\n{explained}");
            assert!(explained.stderr.ends_with("hint: govern link evil DIR\n"), "{when}\n{explained}");
        });
        fs::remove_file(pin).unwrap();
    }
    assert_eq!(world.mirror.requests("/dl/"), asked, "nobody was asked for it");
    let new: Vec<String> = names(&world.home.layout().data).into_iter().filter(|name| !before.contains(name)).collect();
    assert!(!new.contains(&"links".to_owned()), "{new:?}");
    // A path is no name.
    world.home.write("checkout/.go-version", "./go\n");
    assert_eq!(world.go("checkout", &["version"]).status, 125);
}

#[test]
fn only_a_go_that_could_run_is_linked() {
    let world = World::new(&["1.26.6"]);
    assert_eq!(world.govern(&["install", "1.26.6"]).status, 0);
    let refused = |arguments: &[&str], expect: &str| {
        let outcome = world.govern(arguments);
        assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (2, "", expect), "{outcome}");
    };
    let fact = |dir: &str, cause: &str, hint: &str| {
        format!("error: [HOME]/{dir} is no Go that can be linked\n  caused by: {cause}\nhint: {hint}\n")
    };
    refused(&["link", "tip", "none"], &fact("none", "it is not there", "govern link tip DIR"));
    world.home.write("src/go/src/make.bash", "#!/bin/bash\n");
    let built = "cd [HOME]/src/go/src && ./make.bash";
    refused(&["link", "tip", "src/go"], &fact("src/go", "the sources of Go are there, and were not built", built));
    let no_root = "it has no bin/go with a VERSION or src beside it";
    refused(&["link", "tip", "src"], &fact("src", no_root, "govern link tip DIR"));
    refused(&["link", "tip", ".govern"], &fact(".govern", no_root, "govern link tip DIR"));
    let own = "error: that is go1.26.6, which govern installed: it has a name\nhint: govern pin 1.26.6\n";
    refused(&["link", "tip", ".govern/sdks/go1.26.6"], own);
    let word = world.govern(&["link", "1.26", "src/go"]);
    assert_eq!(word.status, 2, "{word}");
    assert!(names(&world.home.layout().links()).is_empty());
}
