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
use govern_tests::mirror::{Fault, Mirror};
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

/// Writes the configuration that declares these vendors.
fn declare(world: &World, vendors: &[(&str, &str)], more: &str) {
    let entry = |(name, url): &(&str, &str)| format!("[[vendor]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    let text = format!("{more}{}", vendors.iter().map(entry).collect::<String>());
    world.home.write(".govern/config/config.toml", &text);
}

fn archive(text: &str) -> String {
    platform().archive(&version(text))
}

#[test]
fn a_vendors_build_is_installed_by_its_own_name_and_runs() {
    let world = World::new(&["1.22.4", "1.26.6"]);
    let (vendor, _archives) = mirror_of(&["1.22.4-bigcorp", "1.26.1-bigcorp"]);
    declare(&world, &[("bigcorp", &vendor.url())], "");
    // Listed beside the Go project's, with whose it is; not picked by any word but its own name.
    let listed = world.govern(&["list", "--remote"]);
    assert_eq!(listed.stdout, "1.26.6\n1.26.1-bigcorp   bigcorp\n1.22.4-bigcorp   bigcorp\n1.22.4\n", "{listed}");
    let remote = json(&world.govern(&["list", "--remote", "--json"]));
    let build = remote["releases"].as_array().unwrap().iter().find(|release| release["version"] == "go1.22.4-bigcorp");
    assert_eq!(build.unwrap()["vendor"], "bigcorp", "{remote}");

    world.with_and_without_daemon(|when| {
        let installed = world.govern(&["install", "1.22.4-bigcorp"]);
        assert_eq!(installed.status, 0, "{when}\n{installed}");
        let list = json(&world.govern(&["list", "--json"]));
        let sdk = &list["installed"][0];
        assert_eq!((&sdk["version"], &sdk["proof"]), (&"go1.22.4-bigcorp".into(), &"sha256".into()), "{when}\n{list}");
        let from = format!("bigcorp {}{}", vendor.url(), archive("1.22.4-bigcorp"));
        assert_eq!(sdk["source"], from.as_str(), "{when}");
        world.home.write("p/.go-version", "1.22.4-bigcorp\n");
        let told = world.go("p", &["build"]);
        let pinned = "GOTOOLCHAIN=go1.22.4-bigcorp\n";
        assert!(told.stdout.contains("tool: go go1.22.4-bigcorp") && told.stdout.contains(pinned), "{when}\n{told}");
        // Go's own switching looks for this name on PATH.
        for launchers in [world.home.layout().launchers_installed(), world.home.layout().launchers_all()] {
            let mut launcher = world.home.command(launchers.join("go1.22.4-bigcorp"));
            launcher.arg("probe");
            assert!(world.home.run(launcher).stdout.contains("tool: go go1.22.4-bigcorp"), "{when}");
        }
        let removed = world.govern(&["uninstall", "1.22.4-bigcorp"]);
        assert_eq!(removed.status, 0, "{when}\n{removed}");
    });
    assert_eq!(world.govern(&["install", "1.22.4-bigcorp", "1.22", "latest"]).status, 0);
    for (word, expect) in [("1.22", "go1.22.4"), ("latest", "go1.26.6"), (">=1.20, <1.24", "go1.22.4")] {
        world.home.write("q/.go-version", &format!("{word}\n"));
        let said = world.go("q", &["version"]);
        assert_eq!(said.stdout, format!("go version {expect} {}\n", platform()), "{word}\n{said}");
    }
    // A checkout's toolchain line names it, and it is installed on the way.
    world.home.write("m/go.mod", "module m\n\ngo 1.24\n\ntoolchain go1.26.1-bigcorp\n");
    assert!(world.go("m", &["build"]).stdout.contains("tool: go go1.26.1-bigcorp"));
    assert_eq!(world.mirror.requests(&format!("/dl/{}", archive("1.26.1-bigcorp"))), 0);
}

#[test]
fn a_vendor_cannot_stand_in_for_the_go_project() {
    let world = World::new(&["1.22.3"]);
    let (vendor, _archives) = mirror_of(&["1.22.3", "1.22.4", "1.99.0", "1.22.4-bigcorp"]);
    declare(&world, &[("bigcorp", &vendor.url())], "");
    for daemon in [true, false] {
        world.is_alone.set(!daemon);
        for word in ["1.22.4", "1.99", "1.99.0"] {
            let refused = world.govern(&["install", word]);
            assert_eq!(refused.status, 4, "{word}\n{refused}");
        }
        let listed = world.govern(&["list", "--remote"]).stdout;
        assert_eq!(listed, "1.22.4-bigcorp   bigcorp\n1.22.3\n");
    }
    world.is_alone.set(false);
    assert_eq!(world.govern(&["install", "1.22"]).status, 0);
    assert_eq!(names(&world.home.layout().sdks()), ["go1.22.3"]);
    for plain in ["1.22.3", "1.22.4", "1.99.0"] {
        assert_eq!(vendor.requests(&format!("/dl/{}", archive(plain))), 0, "{plain}");
    }
    assert_eq!(world.mirror.requests(&format!("/dl/{}", archive("1.22.3"))), 1);
}

#[test]
fn what_a_vendor_does_not_prove_or_have_is_refused_with_whom_was_asked() {
    let world = World::new(&["1.22.4"]);
    let (vendor, _archives) = mirror_of(&["1.22.4-bigcorp", "1.22.5-bigcorp", "1.21.9-bigcorp"]);
    let (other, _others) = mirror_of(&["1.22.4-other"]);
    declare(&world, &[("bigcorp", &vendor.url()), ("other", &other.url())], "");
    vendor.inject(&archive("1.22.4-bigcorp"), Fault::WrongChecksum);
    vendor.inject(&archive("1.22.5-bigcorp"), Fault::Flip(900));
    for daemon in [true, false] {
        world.is_alone.set(!daemon);
        for build in ["1.22.4-bigcorp", "1.22.5-bigcorp"] {
            let refused = world.govern(&["install", build]);
            assert_eq!((refused.status, refused.stdout.as_str()), (7, ""), "{refused}");
            assert!(refused.stderr.contains(build), "{refused}");
        }
        let wrong = world.govern(&["install", "1.22.4-bigcorp"]).stderr;
        assert!(wrong.contains("is not what bigcorp published\n") && wrong.contains("SHA-256"), "{wrong}");
        assert!(names(&world.home.layout().sdks()).is_empty() && names(&world.home.layout().downloads()).is_empty());

        let unknown = world.govern(&["install", "1.22.6-bigcorp"]);
        let said = format!(
            "error: no source has go1.22.6-bigcorp\n  wanted by `1.22.6-bigcorp` on the command line\n  caused by: asked: \
             bigcorp ({}), other ({})\n  caused by: the nearest are 1.22.5-bigcorp, 1.22.4-bigcorp, 1.21.9-bigcorp\n\
             hint: govern list --remote\n",
            vendor.url(),
            other.url()
        );
        assert!(unknown.status == 4 && unknown.stderr.ends_with(&said), "{unknown}");
    }
    assert_eq!(world.mirror.requests("/dl/"), 0, "nobody else hears of a vendor's build");

    // A rule of the user's, a vendor that is out of reach, and no vendor at all.
    world.is_alone.set(true);
    vendor.heal();
    declare(&world, &[("bigcorp", &vendor.url())], "require_log = true\n");
    let ruled = world.govern(&["install", "1.22.4-bigcorp"]);
    assert_eq!(ruled.status, 7, "{ruled}");
    assert!(ruled.stderr.contains("`require_log` is set"), "{ruled}");
    declare(&world, &[("dead", "http://127.0.0.1:1/dl/"), ("other", &other.url())], "");
    let dead = world.govern(&["install", "1.22.4-bigcorp"]);
    assert_eq!(dead.status, 5, "{dead}");
    assert!(dead.stderr.contains("127.0.0.1:1"), "{dead}");
    let listed = world.govern(&["list", "--remote"]);
    assert_eq!((listed.status, listed.stdout.as_str()), (0, "1.22.4-other   other\n1.22.4\n"), "{listed}");
    assert!(listed.stderr.starts_with("note: dead: http://127.0.0.1:1/dl/ does not answer: "), "{listed}");
    declare(&world, &[("bigcorp", "http://go.bigcorp.example/dl/")], "");
    let plain = world.govern(&["install", "1.22.4-bigcorp"]);
    assert_eq!(plain.status, 1, "{plain}");
    assert!(plain.stderr.contains("has the scheme `http`: https and file can be used"), "{plain}");
    declare(&world, &[], "");
    let none = world.govern(&["install", "1.22.4-bigcorp"]);
    assert_eq!(none.status, 4, "{none}");
    let undeclared = "caused by: a build with a suffix comes from a [[vendor]] in config.toml, and there is none\n";
    assert!(none.stderr.contains(undeclared), "{none}");
}

#[test]
fn a_vendor_is_declared_by_the_user_and_not_by_a_checkout() {
    let world = World::new(&["1.22.4"]);
    let (vendor, _archives) = mirror_of(&["1.26.4-evil"]);
    let text = format!("[[vendor]]\nname = \"evil\"\nurl = \"{}\"\n", vendor.url());
    for file in ["config.toml", "govern.toml", ".govern.toml", ".config/govern/config.toml", ".govern/config.toml"] {
        world.home.write(&format!("checkout/{file}"), &text);
    }
    world.home.write("checkout/.go-version", "1.26.4-evil\n");
    for daemon in [true, false] {
        world.is_alone.set(!daemon);
        let mut command = world.go_command("checkout", &["version"]);
        command.env("GOVERN_VENDOR", vendor.url());
        let refused = world.home.run(command);
        assert_eq!((refused.status, refused.stdout.as_str()), (125, ""), "{refused}");
        assert!(refused.stderr.contains("wanted by [HOME]/checkout/.go-version:1\n"), "{refused}");
    }
    assert_eq!(vendor.requests("/dl/"), 0);
}
