//! What happens once a decision is followed: Go's own switch and refusal, as `explain` tells them.

use super::{World, at};
use crate::decide::next;

/// One step a line: `origin: text`, or the text alone.
#[track_caller]
fn check(world: &World, expect: &[&str]) {
    let decision = world.decide().unwrap();
    // All releases but one have a launcher.
    let has_launcher = |name: &str| name != "go1.27.99";
    let steps = next(&world.question(), &world.around(), &world.installed, &world.settings, &decision, has_launcher);
    let shown: Vec<String> = steps
        .iter()
        .map(|next| match &next.origin {
            Some(origin) => format!("{:?} {origin}: {}", next.step, next.text),
            None => format!("{:?} {}", next.step, next.text),
        })
        .collect();
    assert_eq!(shown, expect);
}

const BELOW: &str = "a module below that asks for more gets it by a launcher";

#[test]
fn a_pin_holds_and_go_refuses_what_asks_for_more() {
    let pinned = at("/p").file("/p/.go-version", "1.26.6");
    let runs = "Run /p/.go-version:1: go1.26.6 runs, and switches to no other: GOTOOLCHAIN=go1.26.6";
    check(&pinned, &[runs]);
    check(&pinned.clone().file("/p/go.mod", "module p\ngo 1.25.0\ntoolchain go1.27.3"), &[runs]);
    let fails = "Refuse /p/go.mod:2: commands that load the module fail: \
                 go.mod requires go >= 1.27.0 (running go 1.26.6; GOTOOLCHAIN=go1.26.6)";
    check(&pinned.clone().file("/p/go.mod", "module p\ngo 1.27.0"), &[runs, fails]);
    let fails = "Refuse /p/go.work:1: commands that load the module fail: \
                 go.work requires go >= 1.27 (running go 1.26.6; GOTOOLCHAIN=go1.26.6)";
    check(&pinned.file("/p/go.work", "go 1.27"), &[runs, fails]);
}

#[test]
fn what_nobody_pinned_may_go_up_by_a_launcher() {
    let floor = at("/p").file("/p/go.mod", "go 1.26.1").default("1.25.6");
    check(&floor, &[&format!("Run go1.26.6 runs; {BELOW}")]);
    let default = at("/p").default("1.25.6");
    check(&default, &[&format!("Run go1.25.6 runs; {BELOW}")]);
    let get = "Switch a dependency that needs a newer Go gets one, by a launcher";
    check(&default.clone().call("get example.com/x@latest"), &[&format!("Run go1.25.6 runs; {BELOW}"), get]);
    let frozen = default.file("/p/go.mod", "go 1.25\ntoolchain default");
    check(&frozen, &[&format!("Run go1.25.6 runs; {BELOW}")]);
}

#[test]
fn go_switches_by_itself_where_a_variable_lets_it() {
    let module = at("/p").file("/p/go.mod", "go 1.26.6\ntoolchain go1.27.3");
    let auto = module.var("GOTOOLCHAIN", "go1.25.6+auto");
    check(&auto, &["Switch /p/go.mod:2: go1.25.6 hands over to go1.27.3, by a launcher"]);
    let missing = auto.installed("1.25.6");
    check(&missing, &["Switch /p/go.mod:2: go1.25.6 hands over to go1.27.3, by a launcher that installs it first"]);
    let language = at("/p").file("/p/go.mod", "go 1.27").var("GOTOOLCHAIN", "go1.25.6+path");
    check(&language, &["Switch /p/go.mod:1: go1.25.6 hands over to go1.27.0, by a launcher that installs it first"]);
    let unknown = at("/p").file("/p/go.mod", "go 1.27.99");
    check(
        &unknown.clone().var("GOTOOLCHAIN", "go1.25.6+path"),
        &["Refuse /p/go.mod:1: go fails: cannot find \"go1.27.99\" in PATH"],
    );
    check(
        &unknown.var("GOTOOLCHAIN", "go1.25.6+auto"),
        &["Download /p/go.mod:1: go1.25.6 looks for go1.27.99 on PATH, then downloads it by itself"],
    );
    let bad = at("/p").default("1.25.6").var("GOTOOLCHAIN", "go1.x");
    check(&bad, &["Refuse $GOTOOLCHAIN: go fails: invalid GOTOOLCHAIN \"go1.x\""]);
}

#[test]
fn the_file_of_go_env_counts_below_a_pin_and_above_nothing() {
    let written = at("/p").default("1.25.6").go_env("A=b\nGOTOOLCHAIN=go1.26.3\n");
    check(&written, &["Switch /home/ana/.config/go/env:2: go1.25.6 hands over to go1.26.3, by a launcher"]);
    check(
        &written.file("/p/.go-version", "1.26.6"),
        &[
            "Run /p/.go-version:1: go1.26.6 runs, and switches to no other: GOTOOLCHAIN=go1.26.6",
            "Note /home/ana/.config/go/env:2: GOTOOLCHAIN=go1.26.3 of `go env -w` yields to go1.26.6",
        ],
    );
    let root = at("/p").default("1.25.6").go_env("GOROOT=/usr/lib/go\n");
    check(
        &root,
        &[
            &format!("Run go1.25.6 runs; {BELOW}"),
            "Note /home/ana/.config/go/env:1: GOROOT=/usr/lib/go of `go env -w` yields to the chosen SDK's own root",
        ],
    );
}

#[test]
fn a_package_at_a_version_may_get_the_go_that_it_needs() {
    let pinned = at("/p").file("/p/.go-version", "1.24.11").file("/p/go.mod", "go 1.27.0");
    check(
        &pinned.call("install example.com/tool@latest"),
        &[
            &format!("Run /p/.go-version:1: go1.24.11 runs; {BELOW}"),
            "Switch a package that needs a newer Go gets one, by a launcher",
        ],
    );
    let fixed = at("/p").var("GOTOOLCHAIN", "go1.24.11").call("run example.com/tool@v1.0.0");
    check(
        &fixed,
        &[
            "Run $GOTOOLCHAIN: go1.24.11 runs, and switches to no other: GOTOOLCHAIN=go1.24.11",
            "Refuse a package that needs a newer Go is refused: GOTOOLCHAIN=go1.24.11",
        ],
    );
}

#[test]
fn what_is_missing_is_installed_first_or_cannot_be() {
    let missing = at("/p").file("/p/.go-version", "1.26.1");
    check(
        &missing,
        &[
            "Install /p/.go-version:1: go1.26.1 is installed first",
            "Run /p/.go-version:1: go1.26.1 runs, and switches to no other: GOTOOLCHAIN=go1.26.1",
        ],
    );
    check(
        &missing.clone().with(|settings| settings.offline = true),
        &["Refuse /p/.go-version:1: go fails: go1.26.1 is not installed, and govern is offline"],
    );
    check(
        &missing.with(|settings| settings.auto_install = false),
        &["Refuse /p/.go-version:1: go fails: go1.26.1 is not installed, and auto_install is off"],
    );
    let hole = at("/p").file("/p/.go-version", "1.25.0");
    check(
        &hole,
        &["Refuse /p/.go-version:1: go fails: a file of a checkout may not install go1.25.0 (CVE-2025-68119)"],
    );
    let family = at("/p").file("/p/.go-version", "1.23");
    check(&family, &["Install /p/.go-version:1: the newest of 1.23 is installed first"]);
}

#[test]
fn a_go_that_never_switches_says_so() {
    check(
        &at("/p").file("/p/.go-version", "1.20.14"),
        &["Run go1.20.14 runs: it knows no toolchain lines and never switches"],
    );
    let off = at("/p").file("/p/.go-version", "1.26.6").var("GO111MODULE", "off");
    check(&off, &["Run go1.26.6 runs, and never switches: GO111MODULE=off"]);
    let system = at("/p").file("/p/.go-version", "system");
    check(&system, &["Run the go further down PATH decides for itself whether it switches"]);
}
