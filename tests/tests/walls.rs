//! The walls between the rooms, as tables: each row ends in the sentence that the offender will read. Every rule is a
//! function of the tree's files, so that each is also shown to notice its own breach.
//!
//! Leaves out what clippy can say where it happens (`clippy.toml`, the workspace's lints).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use govern_tests::source::{code, lines_with, shipped};
use toml::{Table, Value};

/// Which of our crates a crate may use (DESIGN §2), and why no others.
const ARROWS: &[(&str, &[&str], &str)] = &[
    ("govern-wire", &[], "whatever wire needs ends up in the shim"),
    ("govern-core", &[], "core is meaning alone: everybody may depend on it, so it depends on nobody"),
    ("govern-api", &["core"], "api is what goes over the socket: a client must not carry the daemon's rooms along"),
    ("govern-store", &["core"], "the store is told what to keep: it knows neither where it comes from nor who asks"),
    ("govern-index", &["core"], "the index is a view that others fill: it never looks for itself"),
    ("govern-sources", &["core"], "sources bring bytes and proofs: they do not know where these are put"),
    (
        "govern-engine",
        &["core", "store", "index", "sources"],
        "the engine runs without a daemon and without a terminal",
    ),
    (
        "govern-daemon",
        &["wire", "core", "api", "engine"],
        "the daemon reaches store, index and sources through the engine",
    ),
    (
        "govern-cli",
        &["api", "core", "engine"],
        "the terminal talks to the daemon, or to the engine where there is none",
    ),
    ("govern-shim", &["wire"], "the shim is the most-run program there is: it asks, and becomes what it is told"),
    ("govern-tests", &["api", "core"], "the end-to-end tests use the programs, not their insides"),
];

/// Which of our crates may use a crate of others: one room for each dangerous power.
const ROOMS: &[(&str, &[&str], &str)] = &[
    ("anyhow", &["govern-cli", "govern-daemon"], "a library's errors are typed, so that callers can act on them"),
    ("axum", &["govern-daemon"], "serving is the daemon's"),
    ("clap", &["govern-cli"], "words typed at a terminal are parsed at the terminal"),
    ("flate2", &["govern-store", "govern-tests"], "archives are the store's: hostile bytes meet one hardened reader"),
    ("indicatif", &["govern-cli"], "printing is the terminal's"),
    ("notify", &["govern-daemon"], "notices are hints for the daemon: no answer may rest on them"),
    ("reqwest", &["govern-sources"], "the network is the sources': one place knows proxies, proofs and offline"),
    ("rusqlite", &["govern-index"], "SQL is the index's: everything in it can be read from the disk again"),
    ("tar", &["govern-store", "govern-tests"], "archives are the store's: hostile bytes meet one hardened reader"),
    ("zip", &["govern-store", "govern-tests"], "archives are the store's: hostile bytes meet one hardened reader"),
];

/// The crates that may use these crates of others and no more.
const BARE: &[(&str, &[&str], &str)] = &[
    ("govern-core", &["semver", "thiserror"], "core has no outside: no IO, no clock, no environment, no serde"),
    ("govern-shim", &["govern-wire"], "every dependency of the shim is paid for by every `go` on the machine"),
    ("govern-wire", &[], "wire is no_std and allocates nothing: the shim has neither"),
];

/// What core's code may not name.
const OUTSIDE: &[&str] =
    &["std::env", "std::fs", "std::io", "std::net", "std::process", "std::thread", "Instant", "SystemTime", "serde"];

/// What is read once in each main and passed on.
const ENVIRONMENT: &[&str] = &[
    "args",
    "args_os",
    "current_dir",
    "current_exe",
    "home_dir",
    "remove_var",
    "set_current_dir",
    "set_var",
    "temp_dir",
    "var",
    "var_os",
    "vars",
    "vars_os",
];

const PRINTING: &[&str] = &["print!", "println!", "eprint!", "eprintln!"];

const TOP: &[&str] = &["crates", "docs", "launchd", "shims", "systemd", "tests"];

/// All files of the project by their path, and the names at its top. Binary files are left out.
#[derive(Clone)]
struct Tree {
    files: BTreeMap<String, String>,
    top: BTreeSet<String>,
}

impl Tree {
    fn read() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut tree = Tree { files: BTreeMap::new(), top: BTreeSet::new() };
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name == ".git" || name == "target" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                tree.top.insert(name.clone());
            }
            tree.add(&entry.path(), name);
        }
        tree
    }

    fn add(&mut self, path: &Path, name: String) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                let child = format!("{name}/{}", entry.file_name().into_string().unwrap());
                // What cargo-fuzz and mdbook make.
                let made = ["tests/fuzz/artifacts", "tests/fuzz/corpus", "tests/fuzz/target", "docs/book"];
                if !made.contains(&child.as_str()) {
                    self.add(&entry.path(), child);
                }
            }
        } else if let Ok(text) = fs::read_to_string(path) {
            self.files.insert(name, text);
        }
    }

    fn with(&self, path: &str, text: &str) -> Tree {
        let mut tree = self.clone();
        tree.files.insert(path.to_owned(), text.to_owned());
        tree
    }

    /// As if a manifest asked for one more crate, on some platform.
    fn with_dependency(&self, path: &str, kind: &str, line: &str) -> Tree {
        self.with(path, &format!("{}\n[target.x.{kind}]\n{line}\n", self.files[path]))
    }

    fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().filter(|(path, _)| path.ends_with(".rs"));
        files.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The code that is shipped: of the crates and the shims, without their tests.
    fn shipped(&self) -> impl Iterator<Item = (&str, String)> {
        let is_source = |path: &str| {
            let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
            (path.starts_with("crates/") || path.starts_with("shims/")) && path.contains("/src/") && !is_test
        };
        self.rust().filter(move |(path, _)| is_source(path)).map(|(path, text)| (path, shipped(text)))
    }

    /// Every package by its name, with its manifest and the path of that.
    fn packages(&self) -> BTreeMap<String, (&str, Table)> {
        let manifests = self.files.iter().filter(|(path, _)| {
            let is_member = path.starts_with("crates/") || path.starts_with("shims/") || path.starts_with("tests/");
            is_member && path.ends_with("/Cargo.toml") && !path.starts_with("tests/fuzz/")
        });
        let parse = |(path, text): (&'_ String, &'_ String)| {
            let manifest: Table = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
            (manifest["package"]["name"].as_str().unwrap().to_owned(), manifest, path.clone())
        };
        let parsed: Vec<_> = manifests.map(parse).collect();
        let of = |path: &str| self.files.get_key_value(path).unwrap().0.as_str();
        parsed.into_iter().map(|(name, manifest, path)| (name, (of(&path), manifest))).collect()
    }
}

/// The names of the crates that a manifest asks for: normal and build dependencies, on every platform; with `dev` the
/// ones for tests as well.
fn dependencies(manifest: &Table, dev: bool) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let sections = [Some(manifest)].into_iter().chain(targets.map(Value::as_table)).flatten();
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let kinds = &kinds[..if dev { 3 } else { 2 }];
    let tables = sections.flat_map(|section| kinds.iter().filter_map(|kind| section.get(*kind)?.as_table()));
    let name = |(key, value): (&String, &Value)| value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned();
    tables.flat_map(|table| table.iter().map(name).collect::<Vec<_>>()).collect()
}

fn arrows_never_turn_round(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, (path, manifest)) in tree.packages() {
        let Some((_, allowed, why)) = ARROWS.iter().find(|(from, ..)| *from == name) else {
            breaches.push(format!("{path}: {name} has no row in the table of arrows: say what it may use, and why"));
            continue;
        };
        for used in dependencies(&manifest, true) {
            let ours = used.strip_prefix("govern-").filter(|short| !allowed.contains(short));
            if ours.is_some() {
                breaches.push(format!("{path}: {name} must not use {used}: {why}"));
            }
        }
    }
    breaches
}

fn each_power_has_one_room(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, (path, manifest)) in tree.packages() {
        let used = dependencies(&manifest, false);
        for (power, rooms, why) in ROOMS {
            if used.contains(*power) && !rooms.contains(&name.as_str()) {
                breaches.push(format!("{path}: {name} must not use {power}: {why}"));
            }
        }
        for (bare, allowed, why) in BARE.iter().filter(|(bare, ..)| *bare == name) {
            for extra in used.iter().filter(|used| !allowed.contains(&used.as_str())) {
                breaches.push(format!("{path}: {bare} must not use {extra}: {why}"));
            }
        }
    }
    breaches
}

fn every_crate_has_the_lints(tree: &Tree) -> Vec<String> {
    let has_lints = |manifest: &Table| {
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        inherits.and_then(Value::as_bool) == Some(true)
    };
    let without = tree.packages().into_iter().filter(|(_, (_, manifest))| !has_lints(manifest));
    without
        .map(|(name, (path, _))| format!("{path}: {name} needs `[lints] workspace = true`: one rule for all"))
        .collect()
}

fn every_file_says_what_it_is_for(tree: &Tree) -> Vec<String> {
    let silent = tree.rust().filter(|(_, text)| !text.starts_with("//! "));
    silent.map(|(path, _)| format!("{path}: begin with `//!`: what the file is for, and what it leaves out")).collect()
}

fn the_top_holds_what_the_design_names(tree: &Tree) -> Vec<String> {
    let strange = tree.top.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()));
    let strange = strange.map(|name| format!("{name}/: the top-level directories are {TOP:?} and no others"));
    let missing = TOP.iter().filter(|name| !tree.top.contains(**name));
    strange.chain(missing.map(|name| format!("{name}/: a top-level directory of the design is missing"))).collect()
}

fn core_has_no_outside(tree: &Tree) -> Vec<String> {
    let core = tree.shipped().filter(|(path, _)| path.starts_with("crates/core/"));
    say(core, OUTSIDE, "core has no outside: take the value as an argument")
}

fn only_the_ui_prints(tree: &Tree) -> Vec<String> {
    let ui = |path: &str| path == "crates/cli/src/ui.rs" || path.starts_with("crates/cli/src/ui/");
    say(
        tree.shipped().filter(|(path, _)| !ui(path)),
        PRINTING,
        "only the command line's ui prints: stdout carries the answer, and the shim is silent",
    )
}

fn only_mains_read_the_environment(tree: &Tree) -> Vec<String> {
    let is_main = |path: &str| path.ends_with("/src/main.rs") || path.starts_with("shims/");
    let words: Vec<String> = ENVIRONMENT.iter().map(|name| format!("env::{name}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    say(
        tree.shipped().filter(|(path, _)| !is_main(path)),
        &words,
        "the environment is read once in each main and passed on as a value",
    )
}

fn unsafe_has_two_places(tree: &Tree) -> Vec<String> {
    let all = tree.rust().filter(|(path, _)| !path.starts_with("shims/"));
    let found: Vec<_> = all.filter(|(_, text)| lines_with(&code(text), "unsafe").next().is_some()).collect();
    let (may, must_not): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|(path, _)| path)
        .partition(|path| path.starts_with("crates/wire/src/") || path.starts_with("crates/daemon/src/"));
    let second = may.into_iter().skip(1);
    must_not
        .into_iter()
        .chain(second)
        .map(|path| format!("{path}: unsafe is for the shims and one file of wire or daemon: it must stay reviewable"))
        .collect()
}

fn the_engine_enters_the_terminal_by_one_door(tree: &Tree) -> Vec<String> {
    let cli = tree.shipped().filter(|(path, _)| path.starts_with("crates/cli/"));
    let users: Vec<_> = cli.filter(|(_, code)| lines_with(code, "govern_engine").next().is_some()).collect();
    let second = users.iter().skip(1);
    second
        .map(|(path, _)| format!("{path}: only {} uses the engine: the daemonless fallback is one file", users[0].0))
        .collect()
}

fn no_file_knows_this_machine(tree: &Tree, root: &str, home: &str) -> Vec<String> {
    // `/` and the like say nothing about a machine.
    let telling = [root, home].into_iter().filter(|place| place.matches('/').count() > 1 || *place == "/root");
    let places: Vec<String> = telling.map(|place| format!("{}/", place.trim_end_matches('/'))).collect();
    let mut breaches = Vec::new();
    for (path, text) in &tree.files {
        for place in places.iter().filter(|place| text.contains(place.as_str())) {
            breaches.push(format!("{path}: `{place}` is a path of one developer's machine"));
        }
    }
    breaches
}

/// `path:line: word: why` for every line of `files` that holds one of `words`.
fn say<'a>(files: impl Iterator<Item = (&'a str, String)>, words: &[&str], why: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, code) in files {
        for word in words {
            breaches.extend(lines_with(&code, word).map(|line| format!("{path}:{line}: `{word}`: {why}")));
        }
    }
    breaches
}

type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[Rule] = &[
    arrows_never_turn_round,
    each_power_has_one_room,
    every_crate_has_the_lints,
    every_file_says_what_it_is_for,
    the_top_holds_what_the_design_names,
    core_has_no_outside,
    only_the_ui_prints,
    only_mains_read_the_environment,
    unsafe_has_two_places,
    the_engine_enters_the_terminal_by_one_door,
];

#[test]
fn the_walls_stand() {
    let tree = Tree::read();
    let mut breaches: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "whose path must not stand in a file, only the environment knows")]
    let home = std::env::var("HOME").unwrap_or_default();
    breaches.extend(no_file_knows_this_machine(&tree, root.to_str().unwrap(), &home));
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn every_wall_notices_its_breach() {
    let tree = Tree::read();
    let check = |rule: Rule, broken: &Tree, expect: &str| {
        let breaches = rule(broken);
        assert!(breaches.len() == 1 && breaches[0].contains(expect), "expected `{expect}`, got {breaches:#?}");
    };
    let add = |path: &str, line: &str| tree.with_dependency(path, "dependencies", line);

    for (name, _, why) in ARROWS {
        let path = tree.packages()[*name].0.to_owned();
        // Nobody may use the terminal, and the terminal may not use the store.
        let wrong = if *name == "govern-cli" { "govern-store" } else { "govern-cli" };
        let broken = tree.with_dependency(&path, "dev-dependencies", &format!("{wrong} = \"1\""));
        check(arrows_never_turn_round, &broken, &format!("{name} must not use {wrong}: {why}"));
    }
    let stranger = tree.with("crates/x/Cargo.toml", "package.name = \"govern-x\"");
    check(arrows_never_turn_round, &stranger, "govern-x has no row");
    for (power, _, why) in ROOMS {
        let broken = add("crates/api/Cargo.toml", &format!("{power} = \"1\""));
        check(each_power_has_one_room, &broken, &format!("govern-api must not use {power}: {why}"));
    }
    let renamed = add("crates/api/Cargo.toml", "sql = { package = \"rusqlite\", version = \"1\" }");
    check(each_power_has_one_room, &renamed, "govern-api must not use rusqlite");
    for (bare, _, why) in BARE {
        let path = tree.packages()[*bare].0.to_owned();
        check(each_power_has_one_room, &add(&path, "serde = \"1\""), &format!("{bare} must not use serde: {why}"));
    }
    let loose = tree.with("crates/api/Cargo.toml", "package.name = \"govern-api\"");
    check(every_crate_has_the_lints, &loose, "govern-api needs");
    check(every_file_says_what_it_is_for, &tree.with("tests/x.rs", "\n//! Late.\n"), "tests/x.rs: begin with");
    let mut strange = tree.clone();
    strange.top.insert("scripts".to_owned());
    check(the_top_holds_what_the_design_names, &strange, "scripts/: ");
    strange = tree.clone();
    strange.top.remove("docs");
    check(the_top_holds_what_the_design_names, &strange, "docs/: ");

    let empty = Tree { files: BTreeMap::new(), top: BTreeSet::new() };
    let file = |path: &str, line: &str| empty.with(path, &format!("//! X.\nfn x() {{\n    {line}\n}}\n"));
    for word in OUTSIDE {
        let broken = file("crates/core/src/x.rs", &format!("{word};"));
        check(core_has_no_outside, &broken, &format!("crates/core/src/x.rs:3: `{word}`"));
    }
    for word in PRINTING {
        let broken = file("crates/cli/src/verbs/x.rs", &format!("{word}(\"x\");"));
        check(only_the_ui_prints, &broken, &format!("x.rs:3: `{word}`"));
    }
    for word in ENVIRONMENT {
        let broken = file("crates/engine/src/x.rs", &format!("std::env::{word}(\"x\");"));
        check(only_mains_read_the_environment, &broken, &format!("x.rs:3: `env::{word}`"));
    }
    check(unsafe_has_two_places, &file("crates/store/src/x.rs", "unsafe {}"), "crates/store/src/x.rs");
    check(unsafe_has_two_places, &file("tests/x.rs", "unsafe {}"), "tests/x.rs");
    let two =
        file("crates/wire/src/aaa.rs", "unsafe {}").with("crates/daemon/src/zzz.rs", "//! X.\nunsafe fn x() {}\n");
    assert!(!unsafe_has_two_places(&two).is_empty(), "a second file of wire or daemon");
    let two =
        file("crates/cli/src/aaa.rs", "govern_engine::x()").with("crates/cli/src/zzz.rs", "use govern_engine::x;");
    assert!(!the_engine_enters_the_terminal_by_one_door(&two).is_empty(), "a second file of the terminal");

    let told = empty.with("docs/x.md", "see /srv/ana/govern/x and /home/zoe/notes");
    let breaches = no_file_knows_this_machine(&told, "/srv/ana/govern", "/home/zoe");
    assert_eq!(breaches.len(), 2, "{breaches:?}");
    assert_eq!(no_file_knows_this_machine(&told, "/", "/"), [""; 0]);
}
