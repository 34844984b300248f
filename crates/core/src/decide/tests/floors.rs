//! Module files: the `go` line as a minimum, the `toolchain` line as a pin or a minimum, and the settings for both.

use super::{World, at, check, check_notes, seen};
use crate::settings::{GoLine, ToolchainLine};

/// A module with these lines in /p, and a default.
fn module(lines: &str, default: &str) -> World {
    at("/p/q").file("/p/go.mod", &format!("module m\n{lines}")).default(default)
}

#[test]
fn a_go_line_is_met_by_the_default_when_that_is_new_enough() {
    let met = |go: &str, default: &str| check(module(go, default), "8 default govern default -> 1.26.6");
    met("go 1.24", "1.26");
    met("go 1.26", "1.26");
    met("go 1.26.6", "1.26.6");
    met("go 1.26rc1", "1.26.6");
    met("go 1", "1.26.6");
    // Go holds a release candidate to be newer than the language version.
    check(module("go 1.28", "1.28rc1"), "8 default govern default -> 1.28rc1");
    let world = module("go 1.24.2", "1.26");
    check_notes(&world, &["/p/go.mod:2 asks for at least 1.24.2; the default is new enough"]);
    assert_eq!(seen(&world), ["6 /p/go.mod:2 go 1.24.2: met by the default", "8 govern default 1.26: wins"]);
}

#[test]
fn a_go_line_above_the_default_means_the_newest_patch_of_its_family() {
    let floor = |go: &str, expect: &str| check(module(go, "1.20.14"), &format!("6 floor /p/go.mod:2 -> {expect}"));
    floor("go 1.24", "1.24.11");
    floor("go 1.24.0", "1.24.11");
    floor("go 1.24.11", "1.24.11");
    floor("go 1.24rc2", "1.24.11");
    floor("go 1.26.1", "1.26.6");
    floor("go 1.28rc1", "1.28rc1");
    // Never a bare `.0` because a line says so, and never below it.
    floor("go 1.24.12", "install 1.24 at least 1.24.12 for a checkout, instead 1.27.3");
    floor("go 1.22", "install 1.22 at least 1.22 for a checkout, instead 1.27.3");
    floor("go 1.22.0", "install 1.22 at least 1.22.0 for a checkout, instead 1.27.3");
    floor("go 1.28rc2", "install 1.28 at least 1.28rc2 for a checkout");
    floor("go 1.29", "install 1.29 at least 1.29 for a checkout");
    // A release candidate is no patch of a family, but better than nothing.
    floor("go 1.28", "install 1.28 at least 1.28 for a checkout, instead 1.28rc1");
    floor("go 1.99999999999", "install 1.99999999999 at least 1.99999999999 for a checkout");
    let world = module("go 1.24.2", "1.20.14");
    assert_eq!(seen(&world), ["6 /p/go.mod:2 go 1.24.2: wins", "8 govern default 1.20.14: older than 1.24.2"]);
    check_notes(world, &[]);
}

#[test]
fn a_vendors_build_never_meets_a_floor_by_itself() {
    let world = module("go 1.24.2", "1.20.14").installed("1.20.14 1.24.11-bigcorp");
    check(world, "6 floor /p/go.mod:2 -> install 1.24 at least 1.24.2 for a checkout, instead 1.24.11-bigcorp");
}

#[test]
fn a_vendors_build_serves_whoever_names_it_and_nobody_else() {
    let vendors = |world: World| world.installed("1.26.9-bigcorp 1.28.1-bigcorp");
    check(vendors(at("/p")), "8 default govern's own default, the newest release -> go on PATH, or install latest");
    for wish in ["latest", "oldstable", "1.26", ">=1.24"] {
        let expect = format!("5 pin /p/.go-version:1 -> install {wish} for a checkout");
        check(vendors(at("/p").file("/p/.go-version", wish)), &expect);
    }
    check(
        vendors(at("/p").file("/p/.go-version", "1.26.9")),
        "5 pin /p/.go-version:1 -> install 1.26.9 for a checkout",
    );
    check(vendors(at("/p").file("/p/.go-version", "1.26.9-bigcorp")), "5 pin /p/.go-version:1 -> 1.26.9-bigcorp");
    let line = "go 1.26\ntoolchain go1.26.9-bigcorp";
    check(vendors(at("/p").file("/p/go.mod", line)), "5 pin /p/go.mod:2 -> 1.26.9-bigcorp");
}

#[test]
fn a_default_that_is_not_installed_is_installed_when_it_will_be_new_enough() {
    let floor = |go: &str, default: &str, expect: &str| check(module(go, default), expect);
    floor("go 1.24", "1.25.9", "8 default govern default -> install 1.25.9 at least 1.24");
    floor("go 1.24.5", "1.29", "8 default govern default -> install 1.29 at least 1.24.5");
    floor("go 1.22.5", "1.22", "8 default govern default -> install 1.22 at least 1.22.5");
    floor("go 1.26.4", "1.23.1", "6 floor /p/go.mod:2 -> 1.26.6");
    floor("go 1.26.4", "1.23", "6 floor /p/go.mod:2 -> 1.26.6");
    floor("go 1.26.4", ">=1.29", "6 floor /p/go.mod:2 -> 1.26.6");
    floor("go 1.26.4", "tip", "6 floor /p/go.mod:2 -> 1.26.6");
    let latest = module("go 1.29", "latest").installed("");
    check(latest, "8 default govern default -> install latest at least 1.29");
}

#[test]
fn a_floor_is_a_wish_so_no_go_of_unknown_age_serves_it() {
    let nothing = at("/p").file("/p/go.mod", "go 1.24.2").installed("");
    check(nothing, "8 default govern's own default, the newest release -> install latest at least 1.24.2");
    // Who says `system` means it; that Go reads the line itself.
    let system = at("/p").file("/p/go.mod", "go 1.24.2").file("/.tool-versions", "golang system");
    check(&system, "7 default /.tool-versions:1 -> go on PATH");
    check_notes(system, &["/p/go.mod:1 asks for at least 1.24.2; the go further down PATH has to see to it"]);
}

#[test]
fn a_go_line_that_go_calls_malformed_is_none() {
    let ignored = "8 default govern default -> 1.20.14";
    for line in
        ["1.99.1rc1", "1.9.2rc2", "v1.27", "go1.27", "1.27.x", "1.27.3 foo", "\"1.27.3\"", "1.27-x", "01.27", ""]
    {
        check(module(&format!("go {line}"), "1.20.14"), ignored);
        check(module(&format!("go {line}"), "1.20.14").with(|s| s.go_line = GoLine::Pin), ignored);
    }
}

#[test]
fn no_go_line_brings_in_an_oddity_behind_the_safe_floors_back() {
    let world = module("go 1.9.2rc2", "1.25").installed("1.20.14");
    check(world, "8 default govern default -> install 1.25");
}

#[test]
fn the_go_line_is_a_pin_or_nothing_where_the_settings_say_so() {
    let pin = |lines: &str| module(lines, "1.27.3").with(|s| s.go_line = GoLine::Pin);
    check(pin("go 1.24"), "5 pin /p/go.mod:2 -> 1.24.11");
    check(pin("go 1.24.10"), "5 pin /p/go.mod:2 -> 1.24.10");
    check(pin("go 1.24.0"), "5 pin /p/go.mod:2 -> install 1.24.0 for a checkout");
    check(pin("go 1.22"), "5 pin /p/go.mod:2 -> install 1.22 for a checkout");
    check(pin("go 1.20.0"), "5 pin /p/go.mod:2 -> install 1.20.0 for a checkout");
    check(pin("go 1.24\ntoolchain go1.26.3"), "5 pin /p/go.mod:3 -> 1.26.3");
    check(pin("go 1.24").file("/p/q/.go-version", "1.25.6"), "5 pin /p/q/.go-version:1 -> 1.25.6");
    let ignored = |lines: &str| module(lines, "1.20.14").with(|s| s.go_line = GoLine::Ignore);
    check(ignored("go 1.27.3"), "8 default govern default -> 1.20.14");
    assert_eq!(seen(&ignored("go 1.27.3")), ["8 govern default 1.20.14: wins"]);
    check(ignored("go 1.24\ntoolchain go1.26.3"), "5 pin /p/go.mod:3 -> 1.26.3");
}

#[test]
fn a_toolchain_line_is_a_pin() {
    let line = |name: &str, expect: &str| check(module(&format!("go 1.24.0\ntoolchain {name}"), "1.25.6"), expect);
    line("go1.26.3", "5 pin /p/go.mod:3 -> 1.26.3");
    line("go1.26.3 // by go get", "5 pin /p/go.mod:3 -> 1.26.3");
    line("go1.26.5", "5 pin /p/go.mod:3 -> install 1.26.5 for a checkout");
    line("go1.28rc1", "5 pin /p/go.mod:3 -> 1.28rc1");
    line("go1.26.3-bigcorp", "5 pin /p/go.mod:3 -> install 1.26.3-bigcorp for a checkout");
    line("go1.24.0", "8 default govern default -> 1.25.6");
    // No release, no wish: what Go makes of the rest is Go's to say.
    for name in ["default", "local", "go1.26", "go1.x", "go2.0", "go1.27.3+auto", "\"go1.27.3\"", "go1.27.3-/../x", "("]
    {
        line(name, "8 default govern default -> 1.25.6");
    }
    check(module("go 1.26.1\ntoolchain default", "1.25.6"), "6 floor /p/go.mod:2 -> 1.26.6");
    check(module("toolchain go1.26.3", "1.25.6"), "5 pin /p/go.mod:2 -> 1.26.3");
    let world = module("go 1.24.0\ntoolchain go1.26.3", "1.25.6");
    assert_eq!(
        seen(&world),
        [
            "5 /p/go.mod:3 go1.26.3: wins",
            "6 /p/go.mod:2 go 1.24.0: a pin is exact",
            "8 govern default 1.25.6: a higher rank decides",
        ]
    );
}

#[test]
fn a_toolchain_line_is_a_minimum_where_the_settings_say_so() {
    let minimum =
        |lines: &str, default: &str| module(lines, default).with(|s| s.toolchain_line = ToolchainLine::Minimum);
    check(minimum("go 1.24.0\ntoolchain go1.26.3", "1.27.3"), "8 default govern default -> 1.27.3");
    check(minimum("go 1.24.0\ntoolchain go1.26.3", "1.25.6"), "6 floor /p/go.mod:3 -> 1.26.6");
    check(minimum("go 1.26.4\ntoolchain go1.26.3", "1.25.6"), "6 floor /p/go.mod:2 -> 1.26.6");
    check(minimum("toolchain go1.26.3", "1.25.6"), "6 floor /p/go.mod:2 -> 1.26.6");
    check(
        minimum("go 1.27.0\ntoolchain go1.26.3", "1.25.6").with(|s| s.go_line = GoLine::Ignore),
        "6 floor /p/go.mod:3 -> 1.26.6",
    );
    check(
        minimum("go 1.24\ntoolchain go1.26.3", "1.25.6").with(|s| s.go_line = GoLine::Pin),
        "5 pin /p/go.mod:2 -> 1.24.11",
    );
    assert_eq!(
        seen(&minimum("go 1.24.0\ntoolchain go1.26.3", "1.25.6")),
        [
            "6 /p/go.mod:3 toolchain go1.26.3: wins",
            "6 /p/go.mod:2 go 1.24.0: lower than `toolchain go1.26.3`",
            "8 govern default 1.25.6: older than 1.26.3",
        ]
    );
}

#[test]
fn a_stale_toolchain_line_counts_as_a_minimum() {
    let stale = || module("go 1.21\ntoolchain go1.22.3", "1.25.6");
    check(stale(), "8 default govern default -> 1.25.6");
    check_notes(
        stale(),
        &[
            "/p/go.mod:3: go1.22.3 is below the safe floor and counts as a minimum",
            "/p/go.mod:3 asks for at least 1.22.3; the default is new enough",
        ],
    );
    check(
        stale().default("1.20.14"),
        "6 floor /p/go.mod:3 -> install 1.22 at least 1.22.3 for a checkout, instead 1.27.3",
    );
    // Installed, it was somebody's choice; and the user may allow it.
    check(stale().installed("1.22.3 1.25.6"), "5 pin /p/go.mod:3 -> 1.22.3");
    check(stale().with(|s| s.unsafe_pins = true), "5 pin /p/go.mod:3 -> install 1.22.3 for a checkout");
    // The line alone is lax like that: a file that exists only to pin is answered with the advisory.
    check(at("/p").file("/p/.go-version", "1.22.3"), "5 pin /p/.go-version:1 -> install 1.22.3 for a checkout");
}

#[test]
fn a_toolchain_line_below_the_go_line_counts_for_nothing_as_in_go() {
    let world = || module("go 1.27.1\ntoolchain go1.26.3", "1.25.6");
    check(world(), "6 floor /p/go.mod:2 -> 1.27.3");
    check_notes(world(), &["/p/go.mod:3: go1.26.3 is older than `go 1.27.1` and counts for nothing"]);
    assert_eq!(
        seen(&world()),
        [
            "6 /p/go.mod:2 go 1.27.1: wins",
            "6 /p/go.mod:3 toolchain go1.26.3: lower than `go 1.27.1`",
            "8 govern default 1.25.6: older than 1.27.1",
        ]
    );
    check(world().with(|s| s.go_line = GoLine::Pin), "5 pin /p/go.mod:2 -> install 1.27.1 for a checkout");
    // Who ignores the one line has the other.
    check(world().with(|s| s.go_line = GoLine::Ignore), "5 pin /p/go.mod:3 -> 1.26.3");
    check(module("go 1.27.3\ntoolchain go1.27.3", "1.25.6"), "5 pin /p/go.mod:3 -> 1.27.3");
    check(module("go 1.28\ntoolchain go1.28rc1", "1.25.6"), "5 pin /p/go.mod:3 -> 1.28rc1");
}

#[test]
fn the_active_file_alone_counts() {
    let world = at("/p/q").file("/p/go.work", "go 1.24.0").file("/p/q/go.mod", "go 1.26.0\ntoolchain go1.27.3");
    check(world.default("1.20.14"), "6 floor /p/go.work:1 -> 1.24.11");
    let nested = at("/p/q").file("/p/go.mod", "go 1.26.0").file("/p/q/go.mod", "go 1.24.0").default("1.20.14");
    check(nested, "6 floor /p/q/go.mod:1 -> 1.24.11");
}
