//! The environment of the chosen Go: GOROOT, GOTOOLCHAIN, Go's switch variables, launchers, the depth.

use std::borrow::Borrow;

use super::{World, at};
use crate::decide::{Launchers, Tool};

/// The edits but for the depth, in order of name: `GOROOT=sdk` where the SDK's own root is set, `-NAME` for a removal.
fn show(world: &World) -> String {
    let edits = world.decide().unwrap().edits;
    let mut all: Vec<String> = edits.unset.iter().map(|name| format!("-{name}")).collect();
    all.extend(
        edits.set.iter().filter(|(name, _)| *name != "GOVERN_DEPTH").map(|(name, value)| format!("{name}={value}")),
    );
    if edits.set_goroot {
        all.push("GOROOT=sdk".to_owned());
    }
    let short =
        |word: String| word.replace("GOTOOLCHAIN_INTERNAL_SWITCH_", "").replace("GOVERN_SET_GOTOOLCHAIN", "MARK");
    let mut all: Vec<String> = all.into_iter().map(short).collect();
    all.sort_by(|a, b| a.trim_start_matches('-').cmp(b.trim_start_matches('-')));
    all.join(" ")
}

#[track_caller]
fn check(world: impl Borrow<World>, expect: &str) {
    assert_eq!(show(world.borrow()), expect);
}

fn pinned(version: &str) -> World {
    at("/p").file("/p/.go-version", version)
}

#[test]
fn a_pin_exports_gotoolchain_and_marks_it() {
    check(pinned("1.24.11"), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(pinned("1.24"), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(pinned("1.24").tool(Tool::Gofmt), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    // Old Go ignores it; a newer child does not.
    check(pinned("1.20.14"), "-GOROOT GOTOOLCHAIN=go1.20.14 MARK=go1.20.14 -VERSION");
    check(at("/p").call("+1.26.3 build"), "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION");
    check(at("/p").var("GOVERN_GO_VERSION", "1.26.3"), "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION");
    check(at("/p").overriding("/", "1.26.3"), "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION");
    check(
        at("/p").file("/p/go.mod", "go 1.24\ntoolchain go1.26.3"),
        "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION",
    );
}

#[test]
fn without_a_pin_gotoolchain_is_left_alone() {
    check(at("/p"), "-GOROOT -VERSION");
    check(at("/p").default("1.24"), "-GOROOT -VERSION");
    check(at("/p").file("/.go-version", "1.24"), "-GOROOT -VERSION");
    check(at("/p").file("/p/go.mod", "go 1.26.0").default("1.24"), "-GOROOT -VERSION");
    check(pinned("system"), "-GOROOT -VERSION");
    check(pinned("1.22.3"), "-GOROOT -VERSION");
}

#[test]
fn what_the_user_exported_stays_unless_a_higher_rank_names_another_release() {
    let stays = |world: World| check(world, "-GOROOT -VERSION");
    for value in ["auto", "path", "local", "local+auto", "go1.26.3", "go1.26.3+auto", "go1.26.3+path"] {
        stays(at("/p").var("GOTOOLCHAIN", value));
        stays(pinned("1.24").var("GOTOOLCHAIN", value));
    }
    let outranked = "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION";
    check(at("/p").call("+1.24 build").var("GOTOOLCHAIN", "go1.26.3"), outranked);
    check(at("/p").call("+1.24 build").var("GOTOOLCHAIN", "go1.26.3+auto"), outranked);
    check(at("/p").var("GOVERN_GO_VERSION", "1.24").var("GOTOOLCHAIN", "go1.26.3"), outranked);
    check(at("/p").launcher("1.24.11").var("GOTOOLCHAIN", "go1.26.3"), outranked);
    stays(at("/p").call("+1.24 build").var("GOTOOLCHAIN", "auto"));
    stays(at("/p").call("+1.24 build").var("GOTOOLCHAIN", "local"));
}

#[test]
fn a_linked_tree_is_itself_whatever_it_is_called() {
    let local = "-GOROOT GOTOOLCHAIN=local MARK=local -VERSION";
    for called in ["devel go1.28-abcdef", "go1.26.3", "go1.26.3-fork", ""] {
        check(pinned("tip").linking("tip", called), local);
    }
    let tip = || at("/p").linking("tip", "devel go1.28-abcdef");
    check(tip().call("+tip build"), local);
    check(tip().call("+tip build").var("GOTOOLCHAIN", "go1.26.3"), local);
    let install = "-GOROOT GOTOOLCHAIN=local+path MARK=local+path -VERSION";
    check(tip().file("/p/.go-version", "tip").call("install example.com/tool@v1.0.0"), install);
    check(tip().file("/p/.go-version", "tip").var("GOTOOLCHAIN", "auto"), "-GOROOT -VERSION");
    check(tip().default("tip"), "-GOROOT -VERSION");
    // A nested project is decided afresh, and so is one within it.
    let inherited = |world: World| world.var("GOTOOLCHAIN", "local").var("GOVERN_SET_GOTOOLCHAIN", "local");
    check(inherited(pinned("1.24")), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(inherited(tip().file("/p/.go-version", "tip")), local);
    check(tip().file("/p/.go-version", "tip").with(|s| s.managed_only = true), local);
    let root = "-GOROOT GOROOT=sdk GOTOOLCHAIN=local MARK=local -VERSION";
    check(tip().file("/p/.go-version", "tip").go_env("GOROOT=/usr/lib/go\n"), root);
    check(pinned("old").linking("old", "go1.9.7"), root);
}

#[test]
fn what_govern_exported_for_another_project_is_decided_afresh() {
    let inherited = |world: World| world.var("GOTOOLCHAIN", "go1.26.3").var("GOVERN_SET_GOTOOLCHAIN", "go1.26.3");
    check(inherited(pinned("1.24")), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(inherited(at("/p")), "-GOROOT -GOTOOLCHAIN -MARK -VERSION");
    check(inherited(at("/p").file("/p/go.mod", "go 1.24")), "-GOROOT -GOTOOLCHAIN -MARK -VERSION");
    check(inherited(pinned("system")), "-GOROOT -GOTOOLCHAIN -MARK -VERSION");
}

#[test]
fn a_pinned_go_may_switch_to_one_of_ours_for_a_package_at_a_version() {
    let install = "install example.com/tool@v1.0.0";
    check(pinned("1.24").call(install), "-GOROOT GOTOOLCHAIN=go1.24.11+path MARK=go1.24.11+path -VERSION");
    check(pinned("1.26.3").call(install), "-GOROOT GOTOOLCHAIN=go1.26.3+path MARK=go1.26.3+path -VERSION");
    check(pinned("1.24").call("install ./x"), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(at("/p").call(install), "-GOROOT -VERSION");
}

#[test]
fn goroot_is_removed_and_set_only_where_nothing_else_helps() {
    let set = |world: World| assert!(show(&world).starts_with("-GOROOT GOROOT=sdk"), "{}", show(&world));
    let unset = |world: World| assert!(!show(&world).contains("GOROOT=sdk"), "{}", show(&world));
    unset(at("/p").var("GOROOT", "/usr/lib/go"));
    unset(pinned("1.10").installed("1.10"));
    unset(pinned("1.10rc1").installed("1.10rc1"));
    unset(pinned("1.20.14"));
    set(pinned("1.9.7").installed("1.9.7"));
    set(pinned("1.4").installed("1.4"));
    set(pinned("1.9.2rc2").installed("1.9.2rc2"));
    set(pinned("1.26.3").go_env("GOROOT=/usr/lib/go\n"));
    set(at("/p").go_env("GOFLAGS=-v\nGOROOT=/usr/lib/go\n"));
    set(at("/p").launcher("1.26.3").go_env("GOROOT=/x").var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.26.3"));
    unset(pinned("1.26.3").go_env("GOROOT=\n"));
    unset(pinned("1.26.3").go_env("# GOROOT=/x\n"));
    // There is no root of ours for a go that is not ours: it obeys its own file.
    unset(pinned("system").go_env("GOROOT=/usr/lib/go\n"));
}

#[test]
fn a_launcher_keeps_the_variables_of_a_switching_go() {
    let switching = |version: &str| {
        at("/p")
            .launcher(version)
            .var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", &format!("go{version}"))
            .var("GOTOOLCHAIN_INTERNAL_SWITCH_COUNT", "1")
    };
    check(switching("1.26.3"), "-GOROOT");
    check(switching("1.26.3").var("GOTOOLCHAIN", "go1.24.11+auto"), "-GOROOT");
    let ours = switching("1.26.3").var("GOTOOLCHAIN", "go1.24.11+path").var("GOVERN_SET_GOTOOLCHAIN", "go1.24.11+path");
    check(ours, "-GOROOT");
    // Go before 1.21 never clears them.
    check(switching("1.20.14"), "-COUNT -GOROOT -VERSION");
    check(switching("1.9.2rc2").installed("1.9.2rc2"), "-COUNT -GOROOT GOROOT=sdk -VERSION");
    check(switching("1.21rc2").installed("1.21rc2"), "-GOROOT");
}

#[test]
fn a_launcher_that_somebody_typed_is_exact() {
    check(at("/p").launcher("1.26.3"), "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION");
    // The name of another release leaked from a Go above: with it, this one would refuse to run.
    let leaked = at("/p").launcher("1.26.3").var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.24.11");
    check(leaked, "-GOROOT GOTOOLCHAIN=go1.26.3 MARK=go1.26.3 -VERSION");
}

#[test]
fn nothing_downloads_behind_governs_back_where_all_is_managed() {
    let managed = |world: World| world.with(|s| s.managed_only = true);
    check(managed(at("/p")), "-GOROOT GOTOOLCHAIN=path MARK=path -VERSION");
    check(managed(at("/p").file("/p/go.mod", "go 1.24")), "-GOROOT GOTOOLCHAIN=path MARK=path -VERSION");
    check(managed(pinned("1.24")), "-GOROOT GOTOOLCHAIN=go1.24.11 MARK=go1.24.11 -VERSION");
    check(managed(pinned("system")), "-GOROOT GOTOOLCHAIN=path MARK=path -VERSION");
    // A value of the user's keeps its meaning, but for the download, and stays theirs.
    let exported = |value: &str, expect: &str| check(managed(at("/p").var("GOTOOLCHAIN", value)), expect);
    exported("auto", "-GOROOT GOTOOLCHAIN=path -MARK -VERSION");
    exported("go1.26.3+auto", "-GOROOT GOTOOLCHAIN=go1.26.3+path -MARK -VERSION");
    exported("local+auto", "-GOROOT GOTOOLCHAIN=local+path -MARK -VERSION");
    for value in ["path", "local", "go1.26.3", "go1.26.3+path", "go1.26.3-auto"] {
        exported(value, "-GOROOT -VERSION");
    }
    check(managed(pinned("1.24").var("GOTOOLCHAIN", "auto")), "-GOROOT GOTOOLCHAIN=path -MARK -VERSION");
}

#[test]
fn path_gets_the_launchers_that_may_be_used() {
    let launchers = |world: World| world.decide().unwrap().edits.launchers;
    assert_eq!(launchers(at("/p")), Launchers::All);
    assert_eq!(launchers(at("/p").with(|s| s.auto_install = false)), Launchers::Installed);
    assert_eq!(launchers(at("/p").with(|s| s.offline = true)), Launchers::Installed);
}

#[test]
fn every_call_counts_the_depth() {
    let depth = |world: World| {
        let set = world.decide().unwrap().edits.set;
        set.iter().find(|(name, _)| *name == "GOVERN_DEPTH").map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(depth(at("/p")), "1");
    assert_eq!(depth(at("/p").var("GOVERN_DEPTH", "7")), "8");
    assert_eq!(depth(at("/p").var("GOVERN_DEPTH", "x")), "1");
    let switching = at("/p").launcher("1.26.3").var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.26.3");
    assert_eq!(depth(switching.var("GOVERN_DEPTH", "2")), "3");
}
