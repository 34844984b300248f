//! Who wins: the ranks, the walk upward, one directory, the home directory, a workspace elsewhere.

use super::{at, check, check_notes, seen};
use crate::decide::Tool;

#[test]
fn each_rank_beats_those_below() {
    let mut world = at("/p/q");
    check(&world, "8 default govern's own default, the newest release -> 1.27.3");
    world = world.default("1.26.3");
    check(&world, "8 default govern default -> 1.26.3");
    world = world.file("/.tool-versions", "golang 1.25.6");
    check(&world, "7 default /.tool-versions:1 -> 1.25.6");
    world = world.file("/p/q/go.mod", "module m\n\ngo 1.26.0\n");
    check(&world, "6 floor /p/q/go.mod:3 -> 1.26.6");
    world = world.file("/p/.go-version", "1.24");
    check(&world, "5 pin /p/.go-version:1 -> 1.24.11");
    world = world.overriding("/p", "1.20.14");
    check(&world, "4 pin the override for /p -> 1.20.14");
    world = world.var("GOTOOLCHAIN", "go1.26.6");
    check(&world, "3 pin $GOTOOLCHAIN -> 1.26.6");
    world = world.var("GOVERN_GO_VERSION", "1.28rc1");
    check(&world, "2 pin $GOVERN_GO_VERSION -> 1.28rc1");
    world = world.call("+1.24.10 build");
    check(&world, "1 pin `+1.24.10` on the command line -> 1.24.10");
    world = world.launcher("1.25.6");
    check(&world, "1 pin the program name go1.25.6 -> 1.25.6");
    assert_eq!(
        seen(&world),
        [
            "1 the program name go1.25.6 go1.25.6: wins",
            "1 `+1.24.10` on the command line 1.24.10: a higher rank decides",
            "2 $GOVERN_GO_VERSION 1.28rc1: a higher rank decides",
            "3 $GOTOOLCHAIN go1.26.6: a higher rank decides",
            "4 the override for /p 1.20.14: a higher rank decides",
            "5 /p/.go-version:1 1.24: a higher rank decides",
            "6 /p/q/go.mod:3 go 1.26.0: a pin is exact",
            "7 /.tool-versions:1 1.25.6: a higher rank decides",
            "8 govern default 1.26.3: a higher rank decides",
        ]
    );
}

#[test]
fn three_nested_directories_have_three_gos() {
    let world = |cwd: &str| {
        at(cwd)
            .file("/a/.go-version", "1.26.6\n")
            .file("/a/b/go.mod", "module example.com/b\n\ngo 1.24.0\n\ntoolchain go1.27.3\n")
            .file("/a/b/c/.go-version", "1.24.11\n")
    };
    let a = "5 pin /a/.go-version:1 -> 1.26.6";
    let b = "5 pin /a/b/go.mod:5 -> 1.27.3";
    let c = "5 pin /a/b/c/.go-version:1 -> 1.24.11";
    for tool in [Tool::Go, Tool::Gofmt] {
        check(world("/a").tool(tool.clone()), a);
        check(world("/a/other").tool(tool.clone()), a);
        check(world("/a/b").tool(tool.clone()), b);
        check(world("/a/b/internal/x").tool(tool.clone()), b);
        check(world("/a/b/c").tool(tool.clone()), c);
        check(world("/a/b/c/d").tool(tool), c);
    }
    assert_eq!(
        seen(&world("/a/b/c")),
        [
            "5 /a/b/c/.go-version:1 1.24.11: wins",
            "5 /a/b/go.mod:5 go1.27.3: a nearer one decides",
            "5 /a/.go-version:1 1.26.6: a nearer one decides",
            "6 /a/b/go.mod:3 go 1.24.0: a pin is exact",
        ]
    );
    check(world("/"), "8 default govern's own default, the newest release -> 1.27.3");
}

#[test]
fn the_nearest_directory_decides_whatever_its_file_is_called() {
    let go_mod = "module m\ngo 1.24\ntoolchain go1.26.3\n";
    let near_far = |near: &str, near_text: &str, far: &str, far_text: &str| {
        at("/p/q/r").file(&format!("/p/q/{near}"), near_text).file(&format!("/p/{far}"), far_text)
    };
    check(near_far(".go-version", "1.25.6", ".go-version", "1.26.6"), "5 pin /p/q/.go-version:1 -> 1.25.6");
    check(near_far(".tool-versions", "go 1.25.6", ".go-version", "1.26.6"), "5 pin /p/q/.tool-versions:1 -> 1.25.6");
    check(near_far("go.mod", go_mod, ".go-version", "1.26.6"), "5 pin /p/q/go.mod:3 -> 1.26.3");
    check(
        near_far("go.work", "go 1.24\ntoolchain go1.26.3", ".go-version", "1.25.6"),
        "5 pin /p/q/go.work:2 -> 1.26.3",
    );
    check(near_far(".go-version", "1.25.6", "go.mod", go_mod), "5 pin /p/q/.go-version:1 -> 1.25.6");
    check(near_far(".tool-versions", "go 1.25.6", "go.mod", go_mod), "5 pin /p/q/.tool-versions:1 -> 1.25.6");
    // A file without a word about Go is none.
    check(near_far(".go-version", "# later\n", ".go-version", "1.26.6"), "5 pin /p/.go-version:1 -> 1.26.6");
    check(near_far(".tool-versions", "nodejs 20", ".go-version", "1.26.6"), "5 pin /p/.go-version:1 -> 1.26.6");
    // A pin far away beats a minimum nearby.
    check(near_far("go.mod", "go 1.27.3", ".go-version", "1.25.6"), "5 pin /p/.go-version:1 -> 1.25.6");
}

#[test]
fn in_one_directory_the_files_have_an_order_and_differences_are_noted() {
    let go_mod = "module m\n\ngo 1.24.0\ntoolchain go1.27.3\n";
    let all =
        at("/p").file("/p/.go-version", "1.26.6").file("/p/.tool-versions", "go 1.25.6").file("/p/go.mod", go_mod);
    check(&all, "5 pin /p/.go-version:1 -> 1.26.6");
    let losers = seen(&all).into_iter().filter(|line| line.ends_with("another file of this directory decides"));
    assert_eq!(losers.count(), 2);
    check_notes(
        all,
        &[
            "/p/.go-version:1 says 1.26.6, /p/.tool-versions:1 says 1.25.6: the first one counts",
            "/p/.go-version:1 says 1.26.6, /p/go.mod:4 says go1.27.3: the first one counts",
        ],
    );
    let two = at("/p").file("/p/.tool-versions", "nodejs 20\ngolang 1.25.6\n").file("/p/go.mod", go_mod);
    check(&two, "5 pin /p/.tool-versions:2 -> 1.25.6");
    check_notes(two, &["/p/.tool-versions:2 says 1.25.6, /p/go.mod:4 says go1.27.3: the first one counts"]);
    // Agreement is no news, however it is spelt; nor is a file of another directory.
    check_notes(at("/p").file("/p/.go-version", "v1.27.3").file("/p/go.mod", go_mod), &[]);
    check_notes(at("/p/q").file("/p/.go-version", "1.26.6").file("/p/q/go.mod", go_mod), &[]);
}

#[test]
fn the_nearest_override_above_the_directory_decides() {
    let world = |cwd: &str| {
        at(cwd)
            .overriding("/p", "1.26.3")
            .overriding("/p/q/r", "1.25")
            .overriding("/p/q", "1.24.10")
            .overriding("/", "1.20")
    };
    check(world("/p/q/r/s"), "4 pin the override for /p/q/r -> 1.25.6");
    check(world("/p/q/x"), "4 pin the override for /p/q -> 1.24.10");
    check(world("/p"), "4 pin the override for /p -> 1.26.3");
    check(world("/pq"), "4 pin the override for / -> 1.20.14");
    // An override stands above the files of the checkout, however near.
    check(world("/p/x").file("/p/x/.go-version", "1.27.3"), "4 pin the override for /p -> 1.26.3");
    check(at("/p").overriding("/q", "1.25.6"), "8 default govern's own default, the newest release -> 1.27.3");
    check(at("/p").overriding("/p", "1.22"), "4 pin the override for /p -> install 1.22");
}

#[test]
fn pin_files_at_or_above_home_are_defaults() {
    let world = |cwd: &str| at(cwd).file("/home/ana/.tool-versions", "golang 1.25.6").default("1.26.3");
    check(world("/home/ana/shop/api"), "7 default /home/ana/.tool-versions:1 -> 1.25.6");
    check(world("/home/ana"), "7 default /home/ana/.tool-versions:1 -> 1.25.6");
    check(world("/srv"), "8 default govern default -> 1.26.3");
    check(
        world("/home/ana/shop").file("/home/ana/shop/.go-version", "1.24.10"),
        "5 pin /home/ana/shop/.go-version:1 -> 1.24.10",
    );
    check(
        world("/home/ana/shop").file("/home/ana/shop/go.mod", "go 1.24.2"),
        "7 default /home/ana/.tool-versions:1 -> 1.25.6",
    );
    check(
        world("/home/ana/shop").file("/home/ana/shop/go.mod", "go 1.26.1"),
        "6 floor /home/ana/shop/go.mod:1 -> 1.26.6",
    );
    check(at("/home/ana/x").file("/home/.go-version", "1.24.10"), "7 default /home/.go-version:1 -> 1.24.10");
    check(at("/srv/x").file("/.go-version", "1.24.10"), "7 default /.go-version:1 -> 1.24.10");
    check(at("/srv/x").file("/srv/.go-version", "1.24.10"), "5 pin /srv/.go-version:1 -> 1.24.10");
    // Of several, the nearest; in one directory the usual order.
    let two = at("/home/ana/x").file("/home/ana/.tool-versions", "go 1.25.6").file("/home/.go-version", "1.26.6");
    check(&two, "7 default /home/ana/.tool-versions:1 -> 1.25.6");
    check(two.file("/home/ana/.go-version", "1.24.11"), "7 default /home/ana/.go-version:1 -> 1.24.11");
    let mut nowhere = at("/home/ana/x").file("/home/ana/.go-version", "1.25.6");
    nowhere.home = None;
    check(nowhere, "5 pin /home/ana/.go-version:1 -> 1.25.6");
    // A default that is not there is installed for the user, not for a checkout.
    check(
        at("/home/ana/x").file("/home/ana/.go-version", "1.22.3"),
        "7 default /home/ana/.go-version:1 -> install 1.22.3",
    );
}

#[test]
fn a_module_at_or_above_home_keeps_its_toolchain_line_as_a_pin() {
    let go_mod = "go 1.24.0\ntoolchain go1.26.3";
    check(at("/home/ana").file("/home/ana/go.mod", go_mod), "5 pin /home/ana/go.mod:2 -> 1.26.3");
    let below = at("/home/ana/p").file("/home/ana/go.mod", go_mod).file("/home/ana/p/.go-version", "1.25.6");
    check(below, "5 pin /home/ana/p/.go-version:1 -> 1.25.6");
}

#[test]
fn a_go_work_outside_the_walk_comes_after_the_files_on_it() {
    let world =
        || at("/p/q").var("GOWORK", "/elsewhere/go.work").file("/elsewhere/go.work", "go 1.24.0\ntoolchain go1.26.3");
    check(world(), "5 pin /elsewhere/go.work:2 -> 1.26.3");
    check(world().file("/p/.go-version", "1.25.6"), "5 pin /p/.go-version:1 -> 1.25.6");
    check(world().file("/p/q/go.mod", "go 1.24.0\ntoolchain go1.27.3"), "5 pin /elsewhere/go.work:2 -> 1.26.3");
    let floor =
        at("/p/q").var("GOWORK", "/elsewhere/go.work").file("/elsewhere/go.work", "go 1.26.0").default("1.25.6");
    check(floor, "6 floor /elsewhere/go.work:1 -> 1.26.6");
}
