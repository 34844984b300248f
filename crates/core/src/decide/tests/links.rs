//! Trees that the user built and linked: every wish may name one, a checkout no other.

use super::{World, at, check, check_notes, linked_names, seen};
use crate::decide::{Question, Surroundings};

const TIP: &str = "devel go1.28-abcdef";

fn tip() -> World {
    at("/p").linking("tip", TIP)
}

#[test]
fn every_wish_may_name_a_linked_tree() {
    check(tip().call("+tip version"), "1 pin `+tip` on the command line -> linked tip");
    check(tip().var("GOVERN_GO_VERSION", "tip"), "2 pin $GOVERN_GO_VERSION -> linked tip");
    check(tip().overriding("/p", "tip"), "4 pin the override for /p -> linked tip");
    check(tip().file("/p/.go-version", "tip"), "5 pin /p/.go-version:1 -> linked tip");
    check(tip().file("/p/.tool-versions", "golang tip"), "5 pin /p/.tool-versions:1 -> linked tip");
    check(tip().file("/.go-version", "tip"), "7 default /.go-version:1 -> linked tip");
    check(tip().default("tip"), "8 default govern default -> linked tip");
    // A module's lines name releases of Go alone, and so do GOTOOLCHAIN and the launchers.
    check(
        tip().file("/p/go.mod", "go 1.24\ntoolchain tip"),
        "8 default govern's own default, the newest release -> 1.27.3",
    );
    check(tip().var("GOTOOLCHAIN", "tip"), "8 default govern's own default, the newest release -> 1.27.3");
}

#[test]
fn nothing_but_its_name_leads_to_a_linked_tree() {
    let newest = |world: World| check(world, "8 default govern's own default, the newest release -> 1.27.3");
    newest(at("/p").linking("tip", "go1.99.0"));
    check(at("/p").linking("tip", "go1.99.0").default(">=1.27"), "8 default govern default -> 1.27.3");
    check(at("/p").linking("fork", "go1.26.9").file("/p/.go-version", "1.26"), "5 pin /p/.go-version:1 -> 1.26.6");
    check(
        at("/p").linking("fork", "go1.29.1").file("/p/go.mod", "go 1.29"),
        "6 floor /p/go.mod:1 -> install 1.29 at least 1.29 for a checkout",
    );
}

#[test]
fn a_name_that_nothing_is_linked_under_waits_for_its_user() {
    check(tip().file("/p/.go-version", "evil"), "5 pin /p/.go-version:1 -> install evil for a checkout");
    check(tip().default("evil"), "8 default govern default -> install evil");
    // What can be had without anybody's doing comes before it; what is there comes before both.
    let listed = |line: &str, expect: &str| {
        check(tip().file("/p/.tool-versions", line), &format!("5 pin /p/.tool-versions:1 -> {expect}"));
    };
    listed("go evil 1.24.9", "install 1.24.9 for a checkout");
    listed("go evil 1.24.9 tip", "linked tip");
    listed("go evil system", "go on PATH");
    listed("go evil worse", "install evil for a checkout");
    listed("go 1.24.9 evil", "install 1.24.9 for a checkout");
}

#[test]
fn a_tree_that_is_gone_is_still_the_one_that_was_wished_for() {
    let gone = || at("/p").linking_gone("tip");
    check(gone().file("/p/.go-version", "tip"), "5 pin /p/.go-version:1 -> broken tip");
    check(gone().default("tip").file("/p/go.mod", "go 1.24"), "8 default govern default -> broken tip");
    check(gone().file("/p/.tool-versions", "go tip 1.24"), "5 pin /p/.tool-versions:1 -> 1.24.11");
    check(gone().file("/p/.tool-versions", "go tip 1.24.9"), "5 pin /p/.tool-versions:1 -> broken tip");
}

#[test]
fn a_linked_default_meets_the_floors_that_go_itself_would_let_it_meet() {
    let floor = |called: &str, line: &str, expect: &str| {
        check(at("/p").linking("tip", called).default("tip").file("/p/go.mod", line), expect);
    };
    let serves = "8 default govern default -> linked tip";
    floor(TIP, "go 1.28", serves);
    floor(TIP, "go 1.24.3", serves);
    // A development tree is below the release that it becomes, in Go's own order.
    floor(TIP, "go 1.28.0", "6 floor /p/go.mod:1 -> install 1.28 at least 1.28.0 for a checkout");
    floor(TIP, "go 1.29", "6 floor /p/go.mod:1 -> install 1.29 at least 1.29 for a checkout");
    floor("go1.26.3-fork", "go 1.26.3", serves);
    floor("go1.26.3-fork", "go 1.26.4", "6 floor /p/go.mod:1 -> 1.26.6");
    floor("", "go 1.99", serves);
    let unknown = at("/p").linking("tip", "our own").default("tip").file("/p/go.mod", "go 1.99");
    let assumed = "the default does not say what it is, and is taken to be new enough";
    check_notes(unknown, &[&format!("/p/go.mod:1 asks for at least 1.99; {assumed}")]);
    let unlinked = at("/p").default("tip").file("/p/go.mod", "go 1.26.4");
    let lost = "8 govern default tip: nothing is linked under this name";
    assert_eq!(seen(&unlinked), ["6 /p/go.mod:1 go 1.26.4: wins", lost]);
}

#[test]
fn module_files_count_for_a_package_at_a_version_as_the_tree_itself_counts_them() {
    let install = |called: &str, expect: &str| {
        let world = at("/p").linking("tip", called).default("tip").file("/p/go.mod", "go 1.27.0");
        check(world.call("install example.com/x@latest"), expect);
    };
    install("go1.24.1", "8 default govern default -> linked tip");
    install("go1.26.1", "6 floor /p/go.mod:1 -> 1.27.3");
    install("", "8 default govern default -> linked tip");
}

#[test]
fn only_the_trees_that_a_question_names_are_looked_at() {
    let world = at("/p/q")
        .file("/p/q/.go-version", "near\n1.22")
        .file("/p/.tool-versions", "golang 1.22 above")
        .file("/home/ana/.go-version", "elsewhere")
        .overriding("/p", "over")
        .overriding("/other", "stranger")
        .default("default-one");
    let names = |world: &World| -> Vec<String> {
        let question = Question { tool: world.tool.clone(), args: world.args.clone(), vars: world.vars.clone() };
        let around = world.around();
        let names = linked_names(&question, &around, &world.settings);
        names.iter().map(|name| name.as_str().to_owned()).collect()
    };
    assert_eq!(names(&world), ["over", "near", "above", "default-one"]);
    let called = world.call("+plus build").var("GOVERN_GO_VERSION", "variable");
    assert_eq!(names(&called), ["plus", "variable", "over", "near", "above", "default-one"]);
    let nothing = at("/p").file("/p/.go-version", "1.22");
    assert_eq!(names(&nothing), [""; 0]);
    let question = Question { tool: nothing.tool, args: nothing.args, vars: nothing.vars };
    assert_eq!(linked_names(&question, &Surroundings::default(), &nothing.settings), []);
}
