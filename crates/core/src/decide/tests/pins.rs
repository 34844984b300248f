//! What a pin means: its forms, what is installed for it, and how a bad one is refused. Launchers, `system`, nothing at
//! all, `pkg@version`, the circle.

use super::{World, at, check, check_notes, seen};
use crate::decide::{Question, Surroundings, Tool, decide};
use crate::settings::{GoLine, Settings};
use crate::vars::Vars;

#[test]
fn every_form_of_gotoolchain_is_a_pin_or_is_none() {
    let none = "8 default govern's own default, the newest release -> 1.27.3";
    let form = |value: &str, expect: &str| check(at("/p").var("GOTOOLCHAIN", value), expect);
    form("go1.26.3", "3 pin $GOTOOLCHAIN -> 1.26.3");
    form("go1.26.3+auto", "3 pin $GOTOOLCHAIN -> 1.26.3");
    form("go1.26.3+path", "3 pin $GOTOOLCHAIN -> 1.26.3");
    form("go1.28rc1", "3 pin $GOTOOLCHAIN -> 1.28rc1");
    form("go1.22.3", "3 pin $GOTOOLCHAIN -> install 1.22.3");
    form("go1.22.3-bigcorp", "3 pin $GOTOOLCHAIN -> install 1.22.3-bigcorp");
    for value in ["local", "auto", "path", "local+auto", "local+path", "", "off", "none", "default", "1.26.3"] {
        form(value, none);
    }
    // What Go itself refuses, or takes for another thing than a release.
    for value in ["go1.26", "go2.0", "go1.x", "gccgo-go1.24", "go1.26.3-/../x", "go1.26.3 ", "go1.9.2rc2"] {
        form(value, none);
    }
    let ours = |value: &str, mark: &str| at("/p").var("GOTOOLCHAIN", value).var("GOVERN_SET_GOTOOLCHAIN", mark);
    check(ours("go1.26.3", "go1.26.3"), none);
    check(ours("go1.26.3", "go1.26.3").file("/p/.go-version", "1.25.6"), "5 pin /p/.go-version:1 -> 1.25.6");
    // The mark of an outer shim says nothing about a value that somebody has set since.
    check(ours("go1.26.3", "go1.25.6"), "3 pin $GOTOOLCHAIN -> 1.26.3");
}

#[test]
fn a_pin_is_the_newest_installed_patch_or_the_newest_there_is() {
    let pin = |text: &str, expect: &str| {
        check(at("/p").file("/p/.go-version", text), &format!("5 pin /p/.go-version:{expect}"));
    };
    pin("1.24", "1 -> 1.24.11");
    pin("1.24.10", "1 -> 1.24.10");
    pin("1.20", "1 -> 1.20.14");
    pin("1.20.0", "1 -> install 1.20.0 for a checkout");
    pin("1.22", "1 -> install 1.22 for a checkout");
    pin("1.24.9", "1 -> install 1.24.9 for a checkout");
    pin("1.28", "1 -> 1.28rc1");
    pin("latest", "1 -> 1.27.3");
    pin("oldstable", "1 -> 1.26.6");
    pin(">=1.24, <1.26", "1 -> 1.25.6");
    pin(">=1.29", "1 -> install >=1.29 for a checkout");
    pin("tip", "1 -> install tip for a checkout");
    pin("system", "1 -> go on PATH");
    // A minimum of the module does not move it.
    check(
        at("/p").file("/p/.go-version", "1.24.10").file("/p/go.mod", "go 1.27.3"),
        "5 pin /p/.go-version:1 -> 1.24.10",
    );
}

#[test]
fn several_entries_are_tried_in_order() {
    let pin = |text: &str, expect: &str| check(at("/p").file("/p/.tool-versions", text), expect);
    pin("golang 1.22.3 1.25.6 1.24.11", "5 pin /p/.tool-versions:1 -> 1.25.6");
    pin("golang 1.22.3 1.22.4", "5 pin /p/.tool-versions:1 -> install 1.22.3 for a checkout");
    pin("golang 1.22.3 system", "5 pin /p/.tool-versions:1 -> go on PATH");
    pin("golang ref:master 1.25.6", "5 pin /p/.tool-versions:1 -> 1.25.6");
    pin("golang ref:master 1.22.3", "5 pin /p/.tool-versions:1 -> install 1.22.3 for a checkout");
    // What cannot be installed is passed over: a name that nobody publishes, a release that a checkout may not bring in.
    pin("golang tip 1.25.8", "5 pin /p/.tool-versions:1 -> install 1.25.8 for a checkout");
    pin("golang 1.25.0 1.25.8", "5 pin /p/.tool-versions:1 -> install 1.25.8 for a checkout");
    pin("golang 1.25.0 tip", "5 pin /p/.tool-versions:1 -> install 1.25.0 for a checkout");
    let lines = at("/p").file("/p/.go-version", "# first choice\n1.22.3\n\n1.24\nsystem\n");
    check(&lines, "5 pin /p/.go-version:4 -> 1.24.11");
    check(lines.clone().installed("1.27.3"), "5 pin /p/.go-version:5 -> go on PATH");
    assert_eq!(seen(&lines), ["5 /p/.go-version:4 1.24: wins"]);
}

#[test]
fn a_bad_pin_is_refused_with_its_place() {
    check(
        at("/p").file("/p/.go-version", "\n1.22.x\n"),
        "refused: `1.22.x` is not a Go version, wanted by /p/.go-version:2",
    );
    check(
        at("/p").file("/p/.tool-versions", "nodejs 20\ngolang ref:master path:/x"),
        "refused: `ref:master` is not a Go version, wanted by /p/.tool-versions:2",
    );
    check(at("/p").var("GOVERN_GO_VERSION", "x y"), "refused: `x y` is not a Go version, wanted by $GOVERN_GO_VERSION");
    check(
        at("/p").var("GOVERN_GO_VERSION", "system"),
        "refused: `system` is not a Go version, wanted by $GOVERN_GO_VERSION",
    );
    check(at("/p").call("+1.x build"), "refused: `1.x` is not a Go version, wanted by `+1.x` on the command line");
    check(at("/p").call("+ build"), "refused: `` is not a Go version, wanted by `+` on the command line");
    check(
        at("/home/ana/p").file("/home/ana/.go-version", "x/y").default("1.25.6"),
        "refused: `x/y` is not a Go version, wanted by /home/ana/.go-version:1",
    );
    // It is no reason to fall back on a wish that stands lower, nor a hindrance to one that stands higher.
    let bad = || at("/p").file("/p/.go-version", "x/y").file("/p/.tool-versions", "go 1.25.6").default("1.25.6");
    check(bad(), "refused: `x/y` is not a Go version, wanted by /p/.go-version:1");
    check(bad().call("+1.26.3 version"), "1 pin `+1.26.3` on the command line -> 1.26.3");
    check(bad().overriding("/p", "1.26.6"), "4 pin the override for /p -> 1.26.6");
}

#[test]
fn a_hostile_word_is_shown_escaped() {
    let world = at("/p/\u{202e}q\n").file("/p/\u{202e}q\n/.go-version", "1.22\x1b[2J\u{202e}");
    check(world, "refused: `1.22\\u{1b}[2J\\u{202e}` is not a Go version, wanted by /p/\\u{202e}q\\n/.go-version:1");
    let noted = at("/p").file("/p/.go-version", "1.26.6").file("/p/.tool-versions", "go \x1b[31m\u{202e}");
    check_notes(
        noted,
        &["/p/.go-version:1 says 1.26.6, /p/.tool-versions:1 says \\u{1b}[31m\\u{202e}: the first one counts"],
    );
}

#[test]
fn a_launcher_serves_the_release_of_its_name() {
    check(at("/p").launcher("1.26.3").file("/p/.go-version", "1.25.6"), "1 pin the program name go1.26.3 -> 1.26.3");
    check(at("/p").launcher("1.22.3"), "1 pin the program name go1.22.3 -> install 1.22.3");
    check(at("/p").launcher("1.9.2rc2").installed("1.9.2rc2"), "1 pin the program name go1.9.2rc2 -> 1.9.2rc2");
    check(
        at("/p").launcher("1.26.3").var("GOTOOLCHAIN", "go1.25.6").var("GOVERN_GO_VERSION", "1.27.3"),
        "1 pin the program name go1.26.3 -> 1.26.3",
    );
}

#[test]
fn a_launcher_that_go_switches_to_is_wished_for_by_a_checkout_unless_gotoolchain_names_it() {
    let switch = |version: &str| at("/p").launcher("1.22.3").var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", version);
    let checkout = "1 pin the program name go1.22.3 -> install 1.22.3 for a checkout";
    let user = "1 pin the program name go1.22.3 -> install 1.22.3";
    check(switch("go1.22.3"), checkout);
    check(switch("go1.22.3").var("GOTOOLCHAIN", "go1.21.1+auto"), checkout);
    check(switch("go1.22.3").var("GOTOOLCHAIN", "go1.22.3"), user);
    check(switch("go1.22.3").var("GOTOOLCHAIN", "go1.22.3+path"), user);
    // A name that is not the launcher's leaked from a Go above: somebody typed this one.
    check(switch("go1.24.11"), user);
}

#[test]
fn nothing_installed_means_a_go_further_down_path_or_the_newest_release() {
    let nobody = "8 default govern's own default, the newest release";
    check(at("/p").installed(""), &format!("{nobody} -> go on PATH, or install latest"));
    check(at("/p").installed("1.28rc1"), &format!("{nobody} -> 1.28rc1"));
    check(at("/p").installed("1.27.3-bigcorp 1.28rc1 1.9.2rc2"), &format!("{nobody} -> 1.28rc1"));
    check(at("/p").installed("").default("latest"), "8 default govern default -> install latest");
    check(at("/p").installed("").default("1.26"), "8 default govern default -> install 1.26");
    check(at("/p").default("1.22.3"), "8 default govern default -> install 1.22.3");
    check(at("/p").default("latest"), "8 default govern default -> 1.27.3");
    check(at("/p").default("oldstable"), "8 default govern default -> 1.26.6");
}

#[test]
fn system_means_a_go_on_path_and_nothing_else() {
    check(at("/p").file("/p/.go-version", "system"), "5 pin /p/.go-version:1 -> go on PATH");
    check(at("/p").file("/.tool-versions", "golang system"), "7 default /.tool-versions:1 -> go on PATH");
    check(at("/p").file("/p/.go-version", "system").installed(""), "5 pin /p/.go-version:1 -> go on PATH");
}

#[test]
fn a_package_at_a_version_ignores_module_files_below_1_25() {
    let install = "install example.com/tool@v1.0.0";
    let in_module =
        |default: &str| at("/p").call(install).file("/p/go.mod", "go 1.26.0\ntoolchain go1.26.3").default(default);
    check(in_module("1.24.11"), "8 default govern default -> 1.24.11");
    check(in_module("1.24"), "8 default govern default -> 1.24.11");
    check(in_module("1.24.9"), "8 default govern default -> install 1.24.9");
    check(in_module("1.23"), "8 default govern default -> install 1.23");
    check(in_module("1.9.2rc2").installed("1.9.2rc2"), "8 default govern default -> 1.9.2rc2");
    check(in_module("1.25.6"), "5 pin /p/go.mod:2 -> 1.26.3");
    check(in_module("1.25"), "5 pin /p/go.mod:2 -> 1.26.3");
    check(in_module("latest").installed(""), "5 pin /p/go.mod:2 -> install 1.26.3 for a checkout");
    check(in_module("1.24.11").call("run example.com/tool@latest"), "8 default govern default -> 1.24.11");
    check(in_module("1.24.11").call("install ./cmd/tool"), "5 pin /p/go.mod:2 -> 1.26.3");
    check(in_module("1.24.11").call("-C /p install example.com/tool@v1"), "8 default govern default -> 1.24.11");
    // Pins are obeyed, files that are no module files among them.
    check(in_module("1.27.3").file("/p/.go-version", "1.24.11"), "5 pin /p/.go-version:1 -> 1.24.11");
    check(in_module("1.27.3").call(&format!("+1.24.11 {install}")), "1 pin `+1.24.11` on the command line -> 1.24.11");
    check(in_module("1.24.11").with(|s| s.go_line = GoLine::Pin), "8 default govern default -> 1.24.11");
}

#[test]
fn a_plus_word_is_taken_off_the_command_line() {
    let drop = |world: World| world.decide().unwrap().drop_args;
    assert_eq!(drop(at("/p")), 0);
    assert_eq!(drop(at("/p").call("+1.26.3 build")), 1);
    assert_eq!(drop(at("/p").call("build +1.26.3")), 0);
}

#[test]
fn a_circle_ends_at_the_eighth_call() {
    let deep = |depth: &str| at("/p").var("GOVERN_DEPTH", depth);
    check(deep("7"), "8 default govern's own default, the newest release -> 1.27.3");
    check(deep("8"), "refused: govern has called itself 8 times in a row");
    check(deep("9").call("+x/y version"), "refused: govern has called itself 9 times in a row");
    check(deep("-1"), "8 default govern's own default, the newest release -> 1.27.3");
    check(deep("many"), "8 default govern's own default, the newest release -> 1.27.3");
}

#[test]
fn what_was_passed_over_is_noted() {
    let question = Question { tool: Tool::Go, args: Vec::new(), vars: Vars::default() };
    let around = Surroundings { passed_over: vec!["/p/.go-version is a socket".to_owned()], ..Surroundings::default() };
    let decision = decide(&question, &around, &[], &Settings::default()).unwrap();
    assert_eq!(decision.notes, ["/p/.go-version is a socket"]);
}
