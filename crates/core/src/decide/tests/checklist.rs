//! Go's own conformance cases for the selection of a toolchain (`cmd/go/testdata/script/gotoolchain_*.txt` and their
//! kin), numbered as in this project's reference. A row says which SDK govern starts, with module files read as Go reads
//! them. Where Go switches by itself from there, or says what is wrong, the row is the SDK that does so.
//!
//! Go's scripts fake toolchains that are named like language versions, `go1.500`. No SDK has such a name, so that ours
//! end in `.0`. The rows whose rules need a certain Go have a real version for it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use super::{World, at, show_target};
use crate::decide::{Modules, Tool};
use crate::goenv::user_file;
use crate::settings::ToolchainLine;
use crate::vars::Vars;

/// What became of the numbers.
#[derive(Default)]
struct Ledger {
    decided: BTreeSet<u32>,
    passed_on: BTreeMap<u32, &'static str>,
}

impl Ledger {
    #[track_caller]
    fn decided(&mut self, numbers: &[u32], world: impl Borrow<World>, expect: &str) {
        let decision = world.borrow().decide().unwrap();
        assert_eq!(show_target(&decision.target), expect, "case {numbers:?}, by {}", decision.origin);
        self.decided.extend(numbers);
    }

    fn passed_on(&mut self, numbers: impl IntoIterator<Item = u32>, reason: &'static str) {
        self.passed_on.extend(numbers.into_iter().map(|number| (number, reason)));
    }
}

fn local(default: &str, others: &str) -> World {
    let world = at("/p").installed(&format!("{default} {others}")).default(default);
    world.with(|settings| settings.toolchain_line = ToolchainLine::Minimum)
}

/// A go.mod with these two lines; `-` for one that is absent.
fn lines(go: &str, toolchain: &str) -> String {
    let line = |key: &str, value: &str| if value == "-" { String::new() } else { format!("{key} {value}\n") };
    format!("module m\n\n{}{}", line("go", go), line("toolchain", toolchain))
}

fn in_mod(world: World, go: &str, toolchain: &str) -> World {
    world.file("/p/go.mod", &lines(go, toolchain))
}

fn in_work(world: World, go: &str, toolchain: &str) -> World {
    world.file("/p/go.work", &lines(go, toolchain))
}

#[test]
fn every_case_of_gos_own_scripts_is_decided_or_passed_on_to_go() {
    let mut ledger = Ledger::default();
    names_and_lines(&mut ledger);
    vendors(&mut ledger);
    packages_at_versions(&mut ledger);
    traces(&mut ledger);
    releases_that_are_not_here(&mut ledger);
    switches(&mut ledger);
    the_rest(&mut ledger);
    let both: Vec<_> = ledger.decided.iter().filter(|number| ledger.passed_on.contains_key(number)).collect();
    assert!(both.is_empty(), "decided and passed on: {both:?}");
    let known = |number: &u32| ledger.decided.contains(number) || ledger.passed_on.contains_key(number);
    let forgotten: Vec<u32> = (1..=117).filter(|number| !known(number)).collect();
    assert!(forgotten.is_empty(), "neither decided nor passed on: {forgotten:?}");
    let (decided, passed_on) = (ledger.decided.len(), ledger.passed_on.len());
    ledger.passed_on.iter().for_each(|(number, reason)| println!("{number:>3} is Go's: {reason}"));
    println!("117 cases: {decided} decided here, {passed_on} passed on to Go");
    assert_eq!(decided + passed_on, 117);
    assert!(decided >= 85, "so few are not the checklist: {decided}");
}

/// F.1, `gotoolchain_local`, with the default as the local toolchain.
fn names_and_lines(ledger: &mut Ledger) {
    let all = "1.300.0 1.400.0 1.600.0 1.700.0 1.800.0-bigcorp 1.999.0 1.600.0-right 1.999.0-wrong";
    let says = |value: &str| local("1.500.0", all).var("GOTOOLCHAIN", value);
    ledger.decided(&[1], says("auto"), "1.500.0");
    ledger.decided(&[2], says("path"), "1.500.0");
    // That it is no GOTOOLCHAIN, Go says.
    ledger.decided(&[3], says("asdf"), "1.500.0");
    ledger.decided(&[4], says("go1.600.0"), "1.600.0");
    ledger.decided(&[5], says("go1.400.0"), "1.400.0");
    ledger.decided(&[6], says("go1.600.0+auto"), "1.600.0");
    ledger.decided(&[7], says("go1.400.0+auto"), "1.400.0");
    ledger.decided(&[8], says("go1.600.0+path"), "1.600.0");
    ledger.decided(&[9], says("go1.400.0+path"), "1.400.0");
    for (mode, first) in [("auto", 10), ("path", 15)] {
        ledger.decided(&[first], in_mod(says(mode), "1.700", "-"), "1.700.0");
        ledger.decided(&[first + 1], in_mod(says(mode), "1.300", "-"), "1.500.0");
        ledger.decided(&[first + 2], in_mod(says(mode), "1.700", "go1.300.0"), "1.700.0");
        ledger.decided(&[first + 3], in_mod(says(mode), "1.300", "default"), "1.500.0");
        // 14 and 19: what `go build` says then is Go's.
        ledger.decided(&[first + 4], in_mod(says(mode), "1.700", "default"), "1.500.0");
    }
    ledger.decided(&[20], in_mod(says("go1.400.0+auto"), "1.300", "default"), "1.400.0");
    ledger.decided(&[21], in_mod(says("go1.600.0+auto"), "1.300", "default"), "1.600.0");
    ledger.decided(&[22], in_mod(says("go1.800.0-bigcorp"), "1.300", "default"), "1.800.0-bigcorp");
    ledger.decided(&[23], in_mod(says("auto"), "1.999", "go1.800.0-bigcorp"), "1.999.0");
    ledger.decided(&[24], in_mod(says("auto"), "1.777", "go1.800.0-bigcorp"), "1.800.0-bigcorp");
    let member = in_mod(says("auto"), "1.700", "go1.999.0-wrong");
    ledger.decided(&[25], in_work(member, "1.400", "go1.600.0-right"), "1.600.0-right");
    ledger.decided(&[26], in_work(says("auto"), "1.400", "default"), "1.500.0");
    ledger.decided(&[27], in_work(says("auto"), "1.600", "default").call("work edit -go=1.600"), "1.500.0");
    ledger.decided(&[28], in_work(local("1.500.0", "1.600.0"), "1.600", "-"), "1.600.0");
    ledger.decided(&[29], in_mod(says("auto"), "1.600", "default").call("mod edit -go=1.600"), "1.500.0");
    ledger.decided(&[30], in_mod(local("1.500.0", "1.600.0"), "1.600", "-"), "1.600.0");
}

/// A local toolchain with a suffix: equal in order, another in name.
fn vendors(ledger: &mut Ledger) {
    let says = |go: &str, toolchain: &str| in_mod(local("1.500.0-bigcorp", "1.501.0 1.500.0"), go, toolchain);
    ledger.decided(&[31], says("1.499", "-"), "1.500.0-bigcorp");
    ledger.decided(&[32], says("1.499", "go1.499.0"), "1.500.0-bigcorp");
    ledger.decided(&[33], says("1.500", "-"), "1.500.0-bigcorp");
    ledger.decided(&[34], says("1.500", "go1.500.0"), "1.500.0-bigcorp");
    ledger.decided(&[35], says("1.501", "-"), "1.501.0");
    ledger.decided(&[36], says("1.499", "go1.501.0"), "1.501.0");
    ledger
        .passed_on(37..=39, "`go1.500 (bigcorp)` is what a special build calls itself; no SDK here can have the name");
}

/// `go install` and `go run` of a package at a version: what the package needs is for the started Go to find out.
fn packages_at_versions(ledger: &mut Ledger) {
    let says = |default: &str, line: &str, go: &str, toolchain: &str| {
        in_mod(local(default, "1.23.0 1.26rc1 1.27.3 1.998.0 1.999.0"), go, toolchain).call(line)
    };
    let named = says("1.24.11", "install example.com/x@v0.0.1", "1.21", "-").var("GOTOOLCHAIN", "go1.23.0+auto");
    ledger.decided(&[40], named, "1.23.0");
    ledger.decided(&[41], says("1.24.11", "install example.com/x@v0.0.1", "1.999", "go1.998.0"), "1.24.11");
    ledger.decided(&[42], says("1.24.11", "run example.com/x@v0.0.1", "1.999", "go1.998.0"), "1.24.11");
    for verb in ["install", "run"] {
        let line = format!("{verb} example.com/x@v0.0.1");
        ledger.decided(&[43], says("1.25.6", &line, "1.1.1", "go1.1.1"), "1.25.6");
        ledger.decided(&[44], says("1.25.6", &line, "1.26rc1", "go1.1.1"), "1.26rc1");
        ledger.decided(&[45], says("1.25.6", &line, "1.26rc1", "go1.998.0"), "1.998.0");
    }
    // The module file shows whether the line is taken for one with a package at a version.
    let ignored = |line: &str| (says("1.24.11", line, "1.999", "-"), "1.24.11");
    let counted = |line: &str| (says("1.24.11", line, "1.999", "-"), "1.999.0");
    for (number, (world, expect)) in [
        (46, ignored("install -unknownflag example.com/x@v0.0.1")),
        (47, ignored("install -unknownflag arg example.com/x@v0.0.1")),
        (48, counted("run -unknownflag example.com/x@v0.0.1")),
        (49, counted("run -unknownflag oops example.com/x@v0.0.1")),
        (50, ignored("run -unknown=flag example.com/x@v0.0.1")),
        (51, ignored("install example.com/x@v0.0")),
        (52, ignored("install example.com/x@v0")),
        (53, ignored("install example.com/x@v1")),
        (54, ignored("run example.com/x@v1")),
    ] {
        ledger.decided(&[number], world, expect);
    }
}

/// F.2, `gotoolchain_godebug_trace`: the result of each; the lines of the trace are Go's.
fn traces(ledger: &mut Ledger) {
    let says = |value: &str, others: &str, go: &str, toolchain: &str| {
        in_mod(local("1.21.0", others), go, toolchain).var("GOTOOLCHAIN", value)
    };
    ledger.decided(&[55], says("auto", "1.21.1", "1.21.1", "-"), "1.21.1");
    ledger.decided(&[56], says("auto", "1.21.1 1.21.2", "1.21.1", "go1.21.2"), "1.21.2");
    ledger.decided(&[57], says("auto", "1.21.2 1.22.0", "1.22", "go1.21.2"), "1.22.0");
    ledger.decided(&[58], says("auto", "1.21.2", "1.21.0", "go1.21.0"), "1.21.0");
    // From here Go goes up by itself: through the launcher of go1.22.0.
    ledger.decided(&[59], says("go1.21.0+auto", "1.22.0", "1.22", "go1.21.2"), "1.21.0");
    ledger.decided(&[60], says("go1.21.1", "1.21.1 1.22.0", "1.22", "go1.21.2"), "1.21.1");
    ledger.decided(&[61], says("go1.22.0+auto", "1.22.0", "1.21.1", "go1.21.2"), "1.22.0");
    ledger.decided(&[62], says("local", "1.21.1 1.21.2", "1.21.1", "go1.21.2"), "1.21.0");
    ledger.decided(&[63], says("auto", "1.22.0", "1.22.0", "-"), "1.22.0");
}

/// F.3, `gotoolchain_issue66175`: what Go would download, govern wants installed; what Go refuses, it is left to refuse.
fn releases_that_are_not_here(ledger: &mut Ledger) {
    let says = |value: &str| local("1.14", "").var("GOTOOLCHAIN", value);
    ledger.decided(&[64], in_mod(says("auto"), "1.14", "go1.22"), "1.14");
    ledger.decided(&[65], in_mod(says("auto"), "1.14", "go1.21"), "1.14");
    ledger.decided(&[66], in_mod(says("auto"), "1.14", "go1.20"), "install 1.20 at least 1.20 for a checkout");
    ledger.decided(&[67], says("go1.14"), "1.14");
    ledger.decided(&[68], says("go1.20"), "install 1.20.0");
    ledger.decided(&[69], says("go1.21"), "1.14");
    ledger.decided(&[70], says("go1.22"), "1.14");
    ledger.decided(&[71], says("go1.20+auto"), "install 1.20.0");
    ledger.decided(&[72], says("go1.21+auto"), "1.14");
    ledger.decided(&[73], says("go1.22+auto"), "1.14");
    ledger.decided(&[74], says("go1.21rc3"), "install 1.21rc3");
    ledger.decided(&[75], says("go1.22rc2"), "install 1.22rc2");
    ledger.decided(&[76], says("go1.66"), "1.14");
    ledger.decided(&[77], says("go1.18beta2"), "install 1.18beta2");
    ledger.decided(&[78], says("go1.20+path"), "install 1.20.0");
    ledger.decided(&[79], says("go1.21+path"), "1.14");
    ledger.decided(&[80], says("go1.22+path"), "1.14");
    ledger.decided(&[81], in_mod(says("auto"), "1.300", "-"), "install 1.300 at least 1.300 for a checkout");
    ledger.decided(&[82], in_mod(says("auto"), "1.21", "-"), "install 1.21 at least 1.21 for a checkout");
    ledger.decided(&[83], in_mod(says("auto"), "1.22", "-"), "install 1.22 at least 1.22 for a checkout");
    ledger.decided(&[84], in_mod(says("auto"), "1.15", "-"), "install 1.15 at least 1.15 for a checkout");
}

/// F.4 to F.6: loops, downloads, programs on PATH.
fn switches(ledger: &mut Ledger) {
    let minimum = |world: World| in_mod(world, "1.21.99", "-");
    ledger.decided(&[85], minimum(local("1.21.1", "1.21.99")), "1.21.99");
    // A launcher serves the release that it is named after, so that no switching Go gets another one.
    let called = minimum(local("1.21.1", "1.21.99")).tool(Tool::Launcher("1.21.99".parse().unwrap()));
    ledger.decided(&[86], called.var("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.21.99"), "1.21.99");
    ledger.passed_on([87], "Go counts its own switches; the count passes through, and govern counts its own calls");
    ledger.passed_on([88], "which variables the programs see that go test and go run start");
    ledger.decided(&[89], local("1.21.0", "").var("GOTOOLCHAIN", "go1.9999x"), "install 1.9999x");
    ledger.passed_on(90..=94, "how cmd/go downloads and checks a toolchain");
    let says = |value: &str| local("1.21rc3", "1.50.0").var("GOTOOLCHAIN", value);
    ledger.decided(&[95], says(""), "1.21rc3");
    ledger.decided(&[96], says("go1.50.0"), "1.50.0");
    ledger.decided(&[97], in_mod(says("path"), "-", "go1.50.0"), "1.50.0");
    ledger.decided(&[98], in_mod(says("path"), "1.50.0", "-"), "1.50.0");
    ledger.decided(&[99], in_mod(says("auto"), "1.21", "go1.50.0"), "1.50.0");
    ledger.decided(&[100], in_mod(says("auto"), "1.50.0", "-"), "1.50.0");
    // The package needs more; Go finds the launcher of go1.50.0.
    ledger.decided(&[101], in_mod(says("path"), "1.21", "-").call("run rsc.io/fortune@v0.0.1"), "1.21rc3");
}

/// F.7 and F.8.
fn the_rest(ledger: &mut Ledger) {
    ledger.passed_on(102..=104, "what a dependency needs, go mod and go get find out");
    ledger.passed_on([105], "the versions of go and toolchain that go list prints");
    ledger.passed_on([106], "go get switches in the middle of its work");
    ledger.passed_on(107..=108, "how cmd/go checks a toolchain that it downloads");
    let workspace = |default: &str| {
        let world = local(default, "1.24.0 1.28.0").modules(Modules::OnFromGo127);
        in_work(world, "1.28.0", "-")
    };
    ledger.decided(&[109], workspace("1.27.0"), "1.28.0");
    ledger.decided(&[109], workspace("1.23.0"), "1.23.0");
    for variable in ["GOMOD", "GOWORK"] {
        let asked = |default: &str| in_mod(local(default, "1.700.0"), "1.700", "-").call(&format!("env {variable}"));
        ledger.decided(&[110], asked("1.23.0"), "1.23.0");
        ledger.decided(&[110], asked("1.22.0"), "1.700.0");
    }
    for name in ["go1.999999-/run.sh", "go1.999999-/../../run.sh"] {
        ledger.decided(&[111], in_mod(local("1.24.11", ""), "1.21", name), "1.24.11");
    }
    let too_new = in_mod(local("1.24.11", "1.99999.0"), "1.99999", "-").var("GOTOOLCHAIN", "local");
    ledger.decided(&[112], too_new, "1.24.11");
    ledger.passed_on(113..=115, "go work use, go get and go mod switch in the middle of their work");
    let mut vars = Vars::default();
    vars.set("HOME", "/h");
    assert_eq!(user_file(&vars, "linux"), Some("/h/.config/go/env".into()));
    assert_eq!(user_file(&vars, "darwin"), Some("/h/Library/Application Support/go/env".into()));
    // Any GOTOOLCHAIN can be written, and a wrong one unwritten.
    let wrong = || local("1.24.11", "").go_env("GOTOOLCHAIN=go1.99.0\nUNKNOWN=x\n");
    ledger.decided(&[116], in_mod(wrong(), "1.99.0", "-").call("env -w GOTOOLCHAIN=auto"), "1.24.11");
    ledger.decided(&[116], in_mod(wrong(), "1.99.0", "-"), "1.24.11");
    ledger.passed_on(
        [117],
        "the order of versions is `crate::version`'s, with Go's own table; newer_toolchain is a switch",
    );
}
