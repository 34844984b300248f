//! cmd/go beside govern: the same directory, environment and command line, once with a plain `go` that finds every
//! installed SDK as `go1.X.Y` on PATH, once through the shim. Real SDKs; run by `.ci/real-sdks`.
//!
//! Leaves out what needs no real Go: `crates/core/src/decide/tests`, where Go's own conformance cases stand.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and this one says what it counted")]

mod case;
mod classes;
mod world;

use case::{Dice, Installed};
use world::World;

/// Releases of five families, on both sides of every change that Go's selection has seen since 1.22.
const VERSIONS: [&str; 6] = ["1.21.13", "1.24.11", "1.25.5", "1.26.3", "1.26.6", "1.27.3"];

/// What is installed, and which of it is the default.
fn installations() -> Vec<Installed> {
    let of = |sdks: &[&'static str], default| Installed { sdks: sdks.to_vec(), default };
    let mut all: Vec<Installed> = VERSIONS.iter().map(|default| of(&VERSIONS, default)).collect();
    all.push(of(&["1.24.11", "1.27.3"], "1.24.11"));
    all.push(of(&["1.21.13", "1.25.5", "1.26.3"], "1.21.13"));
    all.push(of(&["1.21.13", "1.25.5", "1.26.3"], "1.25.5"));
    all.push(of(&["1.26.6"], "1.26.6"));
    all
}

#[test]
#[ignore = "downloads six SDKs; .ci/real-sdks runs it"]
fn govern_chooses_the_go_that_go_would_choose_but_where_it_says_otherwise() {
    let mut world = World::new(&VERSIONS);
    on_purpose(&mut world);
    alike(&mut world);
}

/// With Go's own reading of module files, the Go that runs is the one that runs without govern.
fn alike(world: &mut World) {
    let mut dice = Dice(20_261_125);
    let (mut cases, mut moved, mut failures) = (0, 0, 0);
    let mut differences = Vec::new();
    for installed in installations() {
        world.install(&installed, "toolchain_line = \"minimum\"\ngo_line = \"minimum\"\n");
        for number in 0..230 {
            let case = case::exact(&mut dice, &installed);
            if world::starts_from_another_base(&case, &installed) {
                continue;
            }
            // The last few without a daemon: the same code, another process.
            world.with_daemon(number < 218);
            let (plain, governed) = world.both(&case, &installed);
            cases += 1;
            failures += usize::from(plain.is_failure());
            moved += usize::from(plain.ran().is_some_and(|version| version != installed.default));
            if plain != governed {
                differences.push(format!("{installed:?}\n{case:#?}\nplain:    {plain:?}\ngoverned: {governed:?}"));
            }
        }
    }
    for difference in differences.iter().take(25) {
        println!("--- {difference}");
    }
    println!(
        "{cases} cases, {} differences; {moved} ran another Go than the default, {failures} failed alike",
        differences.len()
    );
    assert!(differences.is_empty(), "govern chooses another Go than Go does");
    assert!(cases >= 2_000, "too few cases say nothing: {cases}");
    assert!(moved >= 300 && failures >= 300, "the cases are too tame: {moved} moved, {failures} failed");
}

/// Where govern differs, its guide says so, and why.
fn on_purpose(world: &mut World) {
    let guide = include_str!("../../../docs/user/pins.md");
    let mut dice = Dice(20_261_126);
    let mut counts = Vec::new();
    for class in classes::ALL {
        assert!(guide.contains(class.name), "docs/user/pins.md does not say: {}", class.name);
        let installed = Installed { sdks: VERSIONS.to_vec(), default: class.default };
        world.install(&installed, "");
        let mut differences = 0;
        for _ in 0..40 {
            let (case, expect) = (class.case)(&mut dice);
            let (plain, governed) = world.both(&case, &installed);
            assert_eq!(
                governed.ran(),
                Some(expect),
                "{}\n{case:#?}\nplain: {plain:?}\ngoverned: {governed:?}",
                class.name
            );
            differences += usize::from(plain != governed);
        }
        counts.push((class.name, differences));
    }
    counts.iter().for_each(|(name, differences)| println!("{differences:>3} of 40 differ: {name}"));
    let all: usize = counts.iter().map(|(_, differences)| differences).sum();
    println!("{} classes, {all} differences on purpose", counts.len());
    assert!(counts.iter().all(|(_, differences)| *differences >= 20), "a class that hardly differs is none");
}
