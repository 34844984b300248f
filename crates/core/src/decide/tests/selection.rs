//! Where GOTOOLCHAIN, module mode or the command line itself say that Go does not go up to a `go` line.

use super::{World, at, check, check_notes, seen};
use crate::decide::{Modules, Tool};
use crate::settings::ToolchainLine;

/// A module that asks for more than the default is.
fn newer() -> World {
    at("/p/q").file("/p/go.mod", "module m\ngo 1.27.3\n").default("1.24")
}

const DEFAULT: &str = "8 default govern default -> 1.24.11";
const FLOOR: &str = "6 floor /p/go.mod:2 -> 1.27.3";

#[test]
fn a_minimum_counts_where_gotoolchain_lets_go_up() {
    for value in ["auto", "path", "local+auto", "local+path", ""] {
        check(newer().var("GOTOOLCHAIN", value), FLOOR);
        if !value.is_empty() {
            check(newer().go_env(&format!("GOTOOLCHAIN={value}\n")), FLOOR);
            check(newer().sdk_says("1.24.11", value), FLOOR);
        }
    }
    // `local`, a release, and what Go refuses to understand: the default is started, and Go does the rest.
    for value in ["local", "go1.24", "asdf", "local+", "go1.26.3+foo", "go2.0"] {
        check(newer().var("GOTOOLCHAIN", value), DEFAULT);
        check(newer().go_env(&format!("GOTOOLCHAIN={value}\n")), DEFAULT);
        check(newer().sdk_says("1.24.11", value), DEFAULT);
    }
    check(newer().go_env("GOTOOLCHAIN=go1.26.3\n"), DEFAULT);
    check(newer().go_env("GOTOOLCHAIN=\n"), DEFAULT);
    check(newer().go_env("GOTOOLCHAIN=auto\r\n"), DEFAULT);
}

#[test]
fn the_environment_comes_before_the_file_and_the_file_before_the_sdk() {
    check(newer().var("GOTOOLCHAIN", "auto").go_env("GOTOOLCHAIN=local\n"), FLOOR);
    check(newer().var("GOTOOLCHAIN", "local").go_env("GOTOOLCHAIN=auto\n"), DEFAULT);
    check(newer().go_env("GOTOOLCHAIN=auto\n").sdk_says("1.24.11", "local"), FLOOR);
    // It is the default's own file that counts.
    check(newer().sdk_says("1.27.3", "local"), FLOOR);
    // What govern exported for another project says nothing.
    check(newer().var("GOTOOLCHAIN", "go1.26.3").var("GOVERN_SET_GOTOOLCHAIN", "go1.26.3"), FLOOR);
    // Go before 1.21 knows no GOTOOLCHAIN.
    check(newer().default("1.20.14").go_env("GOTOOLCHAIN=local\n"), FLOOR);
}

#[test]
fn a_minimum_that_go_would_not_go_up_to_needs_no_sdk() {
    let far = || at("/p").file("/p/go.mod", "module m\ngo 1.99.0\n").default("1.24");
    check(far(), "6 floor /p/go.mod:2 -> install 1.99 at least 1.99.0 for a checkout");
    check(far().go_env("GOTOOLCHAIN=go1.26.3\n"), DEFAULT);
    check(far().go_env("GOTOOLCHAIN=go1.99.1+auto\n"), DEFAULT);
    check(
        far().go_env("GOTOOLCHAIN=go1.98.0+auto\n"),
        "6 floor /p/go.mod:2 -> install 1.99 at least 1.99.0 for a checkout",
    );
    let fixed = far().go_env("GOTOOLCHAIN=go1.26.3\n");
    assert_eq!(
        seen(&fixed),
        [
            "6 /p/go.mod:2 go 1.99.0: GOTOOLCHAIN=go1.26.3 in the file of go env -w decides",
            "8 govern default 1.24: wins"
        ]
    );
}

#[test]
fn a_release_that_go_would_pass_over_is_not_wanted() {
    let value = |value: &str| newer().var("GOTOOLCHAIN", value);
    check(value("go1.22.0+auto"), FLOOR);
    check(value("go1.22.0"), "3 pin $GOTOOLCHAIN -> install 1.22.0");
    check(value("go1.99.0+auto"), "3 pin $GOTOOLCHAIN -> install 1.99.0");
    check(value("go1.26.3+auto"), "3 pin $GOTOOLCHAIN -> 1.26.3");
    check(value("go1.99.0+auto").modules(Modules::Refused), DEFAULT);
    assert_eq!(
        seen(&value("go1.22.0+auto")),
        [
            "3 $GOTOOLCHAIN go1.22.0+auto: Go itself goes beyond it",
            "6 /p/go.mod:2 go 1.27.3: wins",
            "8 govern default 1.24: older than 1.27.3",
        ]
    );
}

#[test]
fn without_modules_go_reads_no_gotoolchain_and_no_module_file() {
    let off = || at("/p").default("1.24").modules(Modules::Off);
    check(off().var("GOTOOLCHAIN", "go1.26.3"), DEFAULT);
    check(off().var("GOTOOLCHAIN", "go1.99.0"), DEFAULT);
    assert_eq!(
        seen(&off().var("GOTOOLCHAIN", "go1.26.3")),
        ["3 $GOTOOLCHAIN go1.26.3: without modules Go does not read it", "8 govern default 1.24: wins"]
    );
    // A pin is govern's own matter.
    check(off().file("/p/.go-version", "1.26.3").var("GOTOOLCHAIN", "go1.27.3"), "5 pin /p/.go-version:1 -> 1.26.3");
    check(off().var("GOVERN_GO_VERSION", "1.26.3"), "2 pin $GOVERN_GO_VERSION -> 1.26.3");
    let workspace = |default: &str| {
        let world = at("/p").file("/p/go.work", "go 1.28rc1\n").default(default).modules(Modules::OnFromGo127);
        world.var("GOTOOLCHAIN", "auto")
    };
    check(workspace("1.26.3"), "8 default govern default -> 1.26.3");
    check(workspace("1.26.3").var("GOTOOLCHAIN", "go1.24.11"), "8 default govern default -> 1.26.3");
    check(workspace("1.27.3"), "6 floor /p/go.work:1 -> 1.28rc1");
    check(workspace("1.27.3").var("GOTOOLCHAIN", "go1.24.11"), "3 pin $GOTOOLCHAIN -> 1.24.11");
}

#[test]
fn what_mends_a_gotoolchain_does_not_need_it() {
    for line in ["env GOTOOLCHAIN", "env -w GOTOOLCHAIN=auto", "-C q env GOTOOLCHAIN"] {
        check(newer().call(line), DEFAULT);
        check(newer().call(line).var("GOTOOLCHAIN", "go1.99.0"), DEFAULT);
        // gofmt has no such commands.
        check(newer().call(line).tool(Tool::Gofmt), FLOOR);
    }
    check(newer().call("env -u GOTOOLCHAIN"), FLOOR);
    check(newer().call("env GOMOD"), DEFAULT);
    check(newer().call("env GOMOD").installed("1.22.0 1.27.3").default("1.22.0"), FLOOR);
    let pinned = || newer().file("/p/q/.go-version", "1.26.3");
    check(pinned().call("env GOTOOLCHAIN"), "5 pin /p/q/.go-version:1 -> 1.26.3");
    let line = at("/p").file("/p/go.mod", "go 1.24.0\ntoolchain go1.26.3\n").default("1.24");
    check(line.call("env GOTOOLCHAIN"), "5 pin /p/go.mod:2 -> 1.26.3");
}

#[test]
fn gofmt_is_that_of_the_go_which_go_would_switch_to() {
    let gofmt = || newer().tool(Tool::Gofmt);
    check(gofmt(), FLOOR);
    check(gofmt().go_env("GOTOOLCHAIN=go1.26.3\n"), "8 default govern default -> 1.26.3");
    check(gofmt().go_env("GOTOOLCHAIN=go1.26.3+auto\n"), FLOOR);
    check(gofmt().go_env("GOTOOLCHAIN=go1.28rc1+auto\n"), "8 default govern default -> 1.28rc1");
    check(gofmt().var("GOTOOLCHAIN", "go1.26.3"), "3 pin $GOTOOLCHAIN -> 1.26.3");
    check(gofmt().var("GOTOOLCHAIN", "go1.26.3+path"), "3 pin $GOTOOLCHAIN -> 1.27.3");
    check(gofmt().var("GOTOOLCHAIN", "go1.28rc1+path"), "3 pin $GOTOOLCHAIN -> 1.28rc1");
    check(gofmt().var("GOTOOLCHAIN", "local"), DEFAULT);
    // What is not here is not fetched for it: the Go that would have to fetch it is the better one.
    check(gofmt().go_env("GOTOOLCHAIN=go1.99.0\n"), DEFAULT);
    let pinned = gofmt().file("/p/q/.go-version", "1.26.3").go_env("GOTOOLCHAIN=go1.24.11\n");
    check(pinned, "5 pin /p/q/.go-version:1 -> 1.26.3");
    check(gofmt().modules(Modules::Off).go_env("GOTOOLCHAIN=go1.26.3\n"), DEFAULT);
}

#[test]
fn a_module_file_that_go_refuses_needs_no_sdk() {
    let refused = |lines: &str| {
        let world = at("/p").file("/p/go.mod", lines).default("1.24");
        check(world.clone().with(|s| s.toolchain_line = ToolchainLine::Minimum), DEFAULT);
        check(world.var("GOTOOLCHAIN", "go1.99.0+auto").with(|s| s.toolchain_line = ToolchainLine::Minimum), DEFAULT);
    };
    refused("go 1.99.0\ntoolchain local");
    refused("go 1.99.0\ntoolchain go2.0");
    refused("go 2.0\ntoolchain go1.26.3");
    let frozen = at("/p").file("/p/go.mod", "go 1.99.0\ntoolchain default\n").default("1.24");
    check(frozen.clone(), "6 floor /p/go.mod:1 -> install 1.99 at least 1.99.0 for a checkout");
    let frozen = frozen.with(|s| s.toolchain_line = ToolchainLine::Minimum);
    check(&frozen, DEFAULT);
    check_notes(&frozen, &["/p/go.mod:2: with `toolchain default` Go does not go up"]);
}
