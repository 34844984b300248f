//! What a person may type, where the fault is when they may not, and which release is meant.

use proptest::prelude::*;

use super::{LinkName, Spec, fault_in, to_semver};
use crate::version::Version;

/// A wish, with its kind: `family 1.22`.
fn show(spec: &Spec) -> String {
    let kind = match spec {
        Spec::Exact(_) => "exact",
        Spec::Family(..) => "family",
        Spec::Latest | Spec::OldStable => "word",
        Spec::Range(_) => "range",
        Spec::Linked(_) => "linked",
    };
    format!("{kind} {spec}")
}

#[test]
fn a_wish_is_read_as_a_person_means_it() {
    let check = |text: &str, expect: &str| {
        assert_eq!(Spec::parse(text).map(|spec| show(&spec)), Ok(expect.to_owned()), "{text:?}");
    };
    check("1.22", "family 1.22");
    check("go1.22", "family 1.22");
    check("1.20", "family 1.20");
    check("1.4", "family 1.4");
    check("2.0", "family 2.0");
    check("1.22.4", "exact 1.22.4");
    check("go1.22.4", "exact 1.22.4");
    check("v1.22.4", "exact 1.22.4");
    check("go-1.22.4", "exact 1.22.4");
    check("golang-1.22.4", "exact 1.22.4");
    check("golang1.22.4", "exact 1.22.4");
    check("  1.22.4\t", "exact 1.22.4");
    check("1.22.0", "exact 1.22.0");
    check("1.21.0", "exact 1.21.0");
    check("1.20.0", "exact 1.20.0");
    check("2.0.0", "exact 2.0.0");
    check("1.20.10", "exact 1.20.10");
    check("1.28rc1", "exact 1.28rc1");
    check("1.9beta2", "exact 1.9beta2");
    check("1.9.2rc2", "exact 1.9.2rc2");
    check("1.22.4-bigcorp", "exact 1.22.4-bigcorp");
    check("1.20-x.0", "exact 1.20-x.0");
    check("1.0.3", "exact 1.0.3");
    check("latest", "word latest");
    check("stable", "word latest");
    check("oldstable", "word oldstable");
    check("tip", "linked tip");
    check("gotip", "linked gotip");
    check("my-go_2", "linked my-go_2");
    check(">=1.25, <1.27", "range >=1.25, <1.27");
    check(">=1.25,<1.27", "range >=1.25, <1.27");
    check(">=1.25 <1.27", "range >=1.25, <1.27");
    check(">= 1.25   < 1.27", "range >=1.25, <1.27");
    check(">1.25 ,<=1.27.1", "range >1.25, <=1.27.1");
    check(">=go1.25, <go1.27", "range >=1.25, <1.27");
    check("~1.25.3", "range ~1.25.3");
    check("^1.25", "range ^1.25");
    check("=1.25", "range =1.25");
    check(">=1.28rc1", "range >=1.28rc1");
    check(">=go1.28rc1 <1.29beta2", "range >=1.28rc1, <1.29beta2");
    check(">=1.28.0-rc.1", "range >=1.28rc1");
    check(">=1.22.0-0", "range >=1.22.0-0");
}

#[test]
fn the_first_release_of_an_old_family_has_no_zero_in_its_name() {
    let check = |text: &str, name: &str| assert_eq!(Spec::parse(text).unwrap().exact().unwrap().as_str(), name);
    check("1.20.0", "1.20");
    check("go1.2.0", "1.2");
    check("1.21.0", "1.21.0");
    check("1.20.1", "1.20.1");
}

#[test]
fn what_is_no_wish_is_refused_at_the_place_of_the_fault() {
    let check = |text: &str, at: usize| {
        let error = Spec::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text:?}: {error:?}");
        assert!(text.is_char_boundary(at), "{text:?}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    };
    check("", 0);
    check("   ", 0);
    check("1", 0);
    check("go1", 2);
    check("1.22.x", 5);
    check("go1.22.x", 7);
    check("  v1.22.x", 8);
    check("1.22.4.5", 6);
    check("1.22.", 4);
    check("1..22", 2);
    check("01.22", 1);
    check("1.022", 3);
    check("1.22rc1x", 7);
    check("1.22RC1", 4);
    check("1.22.4+auto", 6);
    check("1.22$(id)", 4);
    check("1.22.4 1.21", 6);
    check("1.22.\u{e9}", 5);
    check("1.22.4\0", 6);
    check("1.22rc1.0", 7);
    check("1.20rc1.0", 7);
    check("1.21-x", 5);
    check("1.99999999999", 12);
    check("Tip", 0);
    check("-v", 0);
    check("../../evil", 0);
    check("/usr/local/go", 0);
    check("path:/tmp/go", 0);
    check("https://example.com/go", 0);
    check("\x1b[31m1.22", 0);
    check("\u{202e}1.22", 0);
    check("a-name-that-is-longer-than-32-bytes", 0);
    check(">=1.25,", 0);
    check("  >=1.25 and", 2);
    check(">=", 0);
    check(">=1.25, , <1.27", 0);
    check("><1.25", 0);
    check(">=1.25-bigcorp x", 0);
    check(&"1".repeat(300), 0);
    check(&format!("1.22.4-{}", "x".repeat(60)), 64);
    for word in ["system", "default", "local", "auto", "path", "go", "off"] {
        check(word, 0);
    }
}

#[test]
fn a_linked_name_is_no_word_that_means_a_version() {
    assert_eq!(LinkName::parse("tip").unwrap().as_str(), "tip");
    for text in ["latest", "stable", "oldstable", "1.22", "go1.22.4", "system", "Tip", "a b", "../x", ""] {
        assert!(LinkName::parse(text).is_err(), "{text}");
    }
}

/// Everything that the release list of a day might hold, and what nobody means by a family or a word.
const RELEASES: &[&str] = &[
    "1.9.2rc2",
    "1.19.13",
    "1.20rc3",
    "1.20",
    "1.20.1",
    "1.20.14",
    "1.21rc2",
    "1.21.0",
    "1.21.13",
    "1.22.0",
    "1.22.4",
    "1.22.9-bigcorp",
    "1.22.10",
    "1.25.6",
    "1.26.0",
    "1.26.6",
    "1.27rc2",
    "1.27.0",
    "1.27.3",
    "1.27.9-bigcorp",
    "1.28beta1",
    "1.28rc1",
    "1.28rc2",
    "1.28rc3-bigcorp",
];

fn pick(wish: &str, from: &[&str]) -> String {
    let from: Vec<Version> = from.iter().map(|v| v.parse().unwrap()).collect();
    let spec = Spec::parse(wish).unwrap();
    let picked = spec.pick(from.iter()).map_or_else(|| "nothing".to_owned(), Version::to_string);
    let backwards = spec.pick(from.iter().rev()).map_or_else(|| "nothing".to_owned(), Version::to_string);
    assert_eq!(picked, backwards, "{wish}: the order of the list plays no part");
    picked
}

#[test]
fn the_newest_release_that_a_wish_admits_is_picked() {
    let check = |wish: &str, expect: &str| assert_eq!(pick(wish, RELEASES), expect, "{wish}");
    check("1.22", "1.22.10");
    check("1.20", "1.20.14");
    check("1.20.0", "1.20");
    check("1.21", "1.21.13");
    check("1.19", "1.19.13");
    check("1.24", "nothing");
    check("1.27", "1.27.3");
    check("1.22.4", "1.22.4");
    check("1.22.9", "nothing");
    check("1.22.9-bigcorp", "1.22.9-bigcorp");
    check("1.9.2rc2", "1.9.2rc2");
    check("1.9", "nothing");
    // A family of which only prereleases exist.
    check("1.28", "1.28rc2");
    check("1.28rc1", "1.28rc1");
    check("latest", "1.27.3");
    check("oldstable", "1.26.6");
    check("tip", "nothing");
    check(">=1.25, <1.27", "1.26.6");
    check(">=1.25 <1.27", "1.26.6");
    check(">1.27.0", "1.27.3");
    check("<1.21", "1.20.14");
    check("<=1.20.0", "1.20");
    check("~1.22.0", "1.22.10");
    check("=1.22", "1.22.10");
    check("=1.20.0", "1.20");
    check("^1.19", "1.27.3");
    check(">=1.30", "nothing");
    // A range means stable releases, unless it names a prerelease: then those of that family too.
    check(">=1.28", "nothing");
    check(">=1.28rc1", "1.28rc2");
    check(">=1.28beta1, <1.28rc2", "1.28rc1");
    check("=1.28rc1", "1.28rc1");
    check(">=1.26rc1", "1.27.3");
    check("<1.28rc2, >=1.27", "1.28rc1");
}

#[test]
fn the_words_need_what_they_speak_of() {
    assert_eq!(pick("latest", &[]), "nothing");
    assert_eq!(pick("latest", &["1.28rc1", "1.9.2rc2", "1.27.3-bigcorp", "1.27"]), "nothing");
    assert_eq!(pick("oldstable", &["1.27.1", "1.27.3"]), "nothing");
    assert_eq!(pick("oldstable", &["1.27.3", "1.25.6", "1.25.7"]), "1.25.7");
    assert_eq!(pick("1.28", &["1.28", "1.28rc1"]), "1.28rc1");
}

/// Releases without suffix: what a range may speak of.
fn release() -> impl Strategy<Value = Version> {
    let number = prop_oneof![0u32..4, 19u32..23, any::<u32>()];
    let kind = prop_oneof![Just("alpha"), Just("beta"), Just("rc"), Just("rca")];
    let tail = prop_oneof![
        Just(String::new()),
        number.clone().prop_map(|patch| format!(".{patch}")),
        kind.clone().prop_map(str::to_owned),
        (kind, any::<u64>()).prop_map(|(kind, pre)| format!("{kind}{pre}")),
        (0u32..12).prop_map(|pre| format!("rc{pre}")),
    ];
    (1u32..3, number, tail).prop_map(|(major, minor, tail)| Version::parse(&format!("{major}.{minor}{tail}")).unwrap())
}

#[test]
fn what_has_no_place_among_semantic_versions_is_in_no_range() {
    for text in ["1.9.2rc2", "1.22.99999999999", "1.99999999999.1"] {
        assert_eq!(to_semver(&text.parse().unwrap()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn the_map_to_semantic_versions_keeps_gos_order(a in release(), b in release()) {
        let mapped = to_semver(&a).unwrap().cmp(&to_semver(&b).unwrap());
        prop_assert_eq!(mapped, a.cmp_go(&b), "{} {}", a, b);
    }

    #[test]
    fn parsing_a_printed_wish_is_the_identity(
        text in prop_oneof![
            release().prop_map(|v| v.to_string()),
            (release(), release(), "(>|>=|=|~|\\^)", "(<|<=)").prop_map(|(a, b, x, y)| format!("{x}{a}, {y}{b}")),
            "[a-z][a-z0-9_-]{0,8}",
            "[0-9.>=<~^, rc]{0,12}",
        ],
    ) {
        if let Ok(spec) = Spec::parse(&text) {
            prop_assert_eq!(Spec::parse(&spec.to_string()), Ok(spec.clone()), "{} {}", text, spec);
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in any::<String>(), near in "[ v]{0,2}(go|>=)?[0-9.]{0,6}[a-zé-]{0,3}[0-9,é]{0,2}") {
        for text in [&text, &near] {
            let _ = LinkName::parse(text);
            if let Err(error) = Spec::parse(text) {
                prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{:?}", error);
                prop_assert!(!error.to_string().contains(char::is_control));
            }
            prop_assert!(text.is_char_boundary(fault_in(text)));
        }
    }

    #[test]
    fn what_is_picked_is_admitted_and_nothing_admitted_is_newer(
        wish in "(1\\.2[0-9]|latest|>=1\\.2[0-9]|<1\\.2[0-9]|1\\.2[0-9]\\.[0-9])",
        from in proptest::collection::vec(release(), 0..12),
    ) {
        let spec = Spec::parse(&wish).unwrap();
        match spec.pick(from.iter()) {
            Some(picked) if spec.admits(picked) => {
                prop_assert!(from.iter().filter(|v| spec.admits(v)).all(|v| v <= picked));
            }
            // Only a family falls back on its prereleases.
            Some(picked) => prop_assert!(matches!(spec, Spec::Family(..)) && picked.is_prerelease()),
            None => prop_assert!(!from.iter().any(|v| spec.admits(v))),
        }
    }
}
