//! Go's own order, as tables computed with the real `gover.Compare`, and as laws over generated versions.

use std::cmp::Ordering::{self, Equal, Greater, Less};

use proptest::prelude::*;

use super::{Parts, Version, compare, from_toolchain, is_lang, is_valid, lang, parse};

/// Every row was answered by `internal/gover` of Go 1.27.3.
const ORDER: &[(&str, &str, Ordering)] = &[
    ("", "", Equal),
    ("x", "y", Equal),
    ("", "1", Less),
    ("x", "1.0", Less),
    ("1", "1.0", Equal),
    ("1", "1.0.0", Equal),
    ("1", "1.1", Less),
    ("1.0", "1.0.1", Less),
    ("1.2", "1.2.0", Equal),
    ("1.2.2", "1.3rc1", Less),
    ("1.3rc1", "1.3", Less),
    ("1.4beta1", "1.4rc1", Less),
    ("1.9beta1", "1.9beta2", Less),
    ("1.9beta2", "1.9rc1", Less),
    ("1.9rc2", "1.9", Less),
    ("1.9", "1.9.1", Less),
    ("1.9", "1.10", Less),
    ("1.9.7", "1.10beta2", Less),
    ("1.24.11", "1.24.2", Greater),
    ("1.9.2rc2", "1.9.2", Less),
    ("1.18beta2", "1.18rc1", Less),
    ("1.19rc1", "1.19", Less),
    ("1.19", "1.19.0", Equal),
    ("1.20", "1.20.0", Equal),
    ("1.20rc3", "1.20", Less),
    ("1.20rc3", "1.20.0", Less),
    ("1.20.0", "1.20rc1", Greater),
    ("1.20", "1.20.1", Less),
    ("1.20.14", "1.21", Less),
    ("1.20.14", "1.21rc1", Less),
    ("1.21", "1.21rc1", Less),
    ("1.21", "1.21.0", Less),
    ("1.21rc1", "1.21rc2", Less),
    ("1.21rc2", "1.21rc10", Less),
    ("1.21rc4", "1.21.0", Less),
    ("1.21.0", "1.21.1", Less),
    ("1.21.9", "1.21.10", Less),
    ("1.21.13", "1.22", Less),
    ("1.22", "1.22rc1", Less),
    ("1.22.0", "1.22", Greater),
    ("1.21.1rc1", "1.0", Less),
    ("1.21.1rc1", "", Equal),
    ("1.21alpha1", "1.21beta1", Less),
    ("1.21beta1", "1.21rc1", Less),
    ("1.21rc", "1.21rc1", Less),
    ("1.21rc", "1.21", Greater),
    ("1.999testmod", "1.999", Greater),
    ("1.999testmod", "1.999rc1", Greater),
    ("1.999testmod", "1.999.0", Less),
    ("2", "1.99", Greater),
    ("2.0", "1.99.99", Greater),
    ("10.0", "9.99", Greater),
    ("1.21.0", "1.021.0", Greater),
    ("01.21", "1.21", Less),
    ("1.21.", "1.21", Less),
    ("1..21", "1.21", Less),
    ("go1.21", "1.21", Less),
    ("1.21.0-foo", "1.21.0", Less),
    ("1.21RC1", "1.21", Less),
    ("1.99999999999999998", "1.99999999999999999", Less),
    // The two-part releases end with 1.20 whatever the major number; see `Parts`.
    ("2.5", "2.5.0", Equal),
    ("2.21", "2.21.0", Less),
    // All malformed texts are one value.
    ("1.9.2rc2", "1.21.3rc1", Equal),
    ("1.9.2rc2", "", Equal),
    ("1.9.2rc2", "1", Less),
    ("1.22.4-bigcorp", "1.22.4+auto", Equal),
    ("1.22.x", "1.0", Less),
    (" 1.22", "1.22", Less),
    ("1.22 ", "1.22", Less),
    ("1.22rc01", "1.22", Less),
    ("-1.22", "1", Less),
    ("1.22.00", "1.22", Less),
    // `0` is a number like others.
    ("0", "1", Less),
    ("0.1", "0.1.0", Equal),
    ("1.21rc0", "1.21rc1", Less),
    ("1.21rc0", "1.21rc", Greater),
];

#[test]
fn versions_are_ordered_as_in_go() {
    for (a, b, expect) in ORDER {
        assert_eq!(compare(a, b), *expect, "{a:?} against {b:?}");
        assert_eq!(compare(b, a), expect.reverse(), "{b:?} against {a:?}");
    }
    println!("{} comparisons with Go's own order", ORDER.len());
    assert!(ORDER.len() >= 60);
}

#[test]
fn the_order_of_a_version_is_the_order_of_its_text() {
    let mut compared = 0;
    for (a, b, expect) in ORDER {
        // A name with a suffix compares by its base, which the table does not show.
        if a.contains('-') || b.contains('-') || a.starts_with("go") || b.starts_with("go") {
            continue;
        }
        if let (Ok(x), Ok(y)) = (Version::parse(a), Version::parse(b)) {
            assert_eq!(x.cmp_go(&y), *expect, "{a} against {b}");
            assert!(*expect == Equal || x.cmp(&y) == *expect, "{a} against {b}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn go_orders_a_whole_list_of_releases_as_it_lists_them() {
    let ordered = [
        "1.9.2rc2",
        "1",
        "1.2.2",
        "1.3rc1",
        "1.3",
        "1.9beta1",
        "1.9rc1",
        "1.9",
        "1.9.7",
        "1.10beta1",
        "1.10",
        "1.20rc1",
        "1.20",
        "1.20.1",
        "1.20.14",
        "1.21",
        "1.21rc2",
        "1.21.0",
        "1.21.0-bigcorp",
        "1.21.1",
        "1.21.13",
        "1.22rc1",
        "1.22.0",
        "1.22.9",
        "1.22.10",
        "1.28rc1",
        "2.0",
    ];
    let mut versions: Vec<Version> = ordered.iter().rev().map(|v| v.parse().unwrap()).collect();
    versions.sort();
    assert_eq!(versions.iter().map(Version::as_str).collect::<Vec<_>>(), ordered);
}

#[test]
fn validity_language_and_parts_are_those_of_go() {
    let check = |text: &str, lang_of: &str, is_lang_version: bool, parts: Option<[&str; 5]>| {
        let parts = parts.map(|[major, minor, patch, kind, pre]| Parts { major, minor, patch, kind, pre });
        assert_eq!(parse(text), parts, "{text:?}");
        assert_eq!(is_valid(text), parts.is_some(), "{text:?}");
        assert_eq!(is_lang(text), is_lang_version, "{text:?}");
        assert_eq!(lang(text), lang_of, "{text:?}");
    };
    check("1", "1", false, Some(["1", "0", "0", "", ""]));
    check("1.0", "1", false, Some(["1", "0", "0", "", ""]));
    check("1.0.3", "1", false, Some(["1", "0", "3", "", ""]));
    check("1.20", "1.20", false, Some(["1", "20", "0", "", ""]));
    check("1.20.0", "1.20", false, Some(["1", "20", "0", "", ""]));
    check("1.20rc1", "1.20", false, Some(["1", "20", "", "rc", "1"]));
    check("1.21", "1.21", true, Some(["1", "21", "", "", ""]));
    check("1.22", "1.22", true, Some(["1", "22", "", "", ""]));
    check("1.21.0", "1.21", false, Some(["1", "21", "0", "", ""]));
    check("1.21rc2", "1.21", false, Some(["1", "21", "", "rc", "2"]));
    check("1.9beta1", "1.9", false, Some(["1", "9", "", "beta", "1"]));
    check("1.21rc", "1.21", false, Some(["1", "21", "", "rc", ""]));
    check("1.999testmod", "1.999", false, Some(["1", "999", "", "testmod", ""]));
    check("2.0", "2.0", false, Some(["2", "0", "0", "", ""]));
    check("1.21.3rc1", "", false, None);
    check("1.9.2rc2", "", false, None);
    check("1.021", "", false, None);
    check("v1.21", "", false, None);
    check("1.21-devel", "", false, None);
    check("1.600+auto", "", false, None);
    check("1.2\u{e9}", "", false, None);
    check("\u{661}.2", "", false, None);
    check("", "", false, None);
}

#[test]
fn toolchain_names_are_read_as_go_reads_them() {
    let check = |name: &str, expect: &str| assert_eq!(from_toolchain(name), expect, "{name:?}");
    check("go1.20", "1.20");
    check("go1.21", "1.21");
    check("go1.21.0", "1.21.0");
    check("go1.21rc2", "1.21rc2");
    check("go1.9beta1", "1.9beta1");
    check("go1.22.3-bigcorp", "1.22.3");
    check("go1.22.3 X:boringcrypto", "1.22.3");
    check("go1.22.3\tX", "1.22.3");
    check("go1.5 (bigcorp)", "1.5");
    check("go1.25-devel_abc", "1.25");
    check("go2.0", "2.0");
    check("devel go1.25-abcdef Tue", "");
    check("go1.26-20250101-RC00 cl/1 +abc", "");
    check("go1.27.3-/../x", "");
    check("go1.27.3-\\x", "");
    check("gccgo-go1.24", "");
    check("1.21.0", "");
    check("GO1.21.0", "");
    check("golang1.21", "");
    check("go1.x", "");
    check("go1.22.3+auto", "");
    check("go1.22.3.linux-amd64", "");
    check("go1.9.2rc2", "");
    check("go", "");
    check("local", "");
    check("", "");
}

#[test]
fn a_version_is_what_go_calls_one_with_a_suffix_or_the_one_old_oddity() {
    let accept = |text: &str, name: &str| assert_eq!(Version::parse(text).unwrap().as_str(), name, "{text:?}");
    accept("1.22.4", "1.22.4");
    accept("go1.22.4", "1.22.4");
    accept("1", "1");
    accept("1.22", "1.22");
    accept("1.28rc1", "1.28rc1");
    accept("go1.9.2rc2", "1.9.2rc2");
    accept("1.22.4-bigcorp", "1.22.4-bigcorp");
    accept("1.22.4-Big_Corp.2-x", "1.22.4-Big_Corp.2-x");
    let refuse = |text: &str| {
        let error = Version::parse(text).unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error}");
    };
    refuse("");
    refuse("go");
    refuse("gogo1.22");
    refuse("v1.22.4");
    refuse("1.22.x");
    refuse("1.22.4 ");
    refuse("1.22.4-");
    refuse("1.22.4-..");
    refuse("1.22.4-a..b");
    refuse("1.22.4-a/b");
    refuse("1.22.4-a b");
    refuse("1.22.4-\u{202e}");
    refuse("1.22.4+auto");
    refuse("1.9.2rc");
    refuse("1.9.2rc02");
    refuse("1.9.2.1rc2");
    refuse("../1.22.4");
    refuse("1.22.4\0");
    refuse("\x1b[31m1.22");
    refuse(&format!("1.22.4-{}", "x".repeat(Version::MAX_LEN - 6)));
    accept(&format!("1.22.4-{}", "x".repeat(Version::MAX_LEN - 7)), &format!("1.22.4-{}", "x".repeat(57)));
}

#[test]
fn a_version_knows_its_parts() {
    let check = |text: &str, family: Option<(u32, u32)>, patch: Option<u32>, prerelease: bool, suffix: Option<&str>| {
        let version = Version::parse(text).unwrap();
        assert_eq!(version.family(), family, "{text}");
        assert_eq!(version.patch(), patch, "{text}");
        assert_eq!(version.is_prerelease(), prerelease, "{text}");
        assert_eq!(version.suffix(), suffix, "{text}");
        assert_eq!(version.toolchain(), format!("go{text}"));
    };
    check("1.22.4", Some((1, 22)), Some(4), false, None);
    check("1.22.4-big-corp", Some((1, 22)), Some(4), false, Some("big-corp"));
    check("1.20", Some((1, 20)), Some(0), false, None);
    check("1.22", Some((1, 22)), None, false, None);
    check("1.28rc1", Some((1, 28)), None, true, None);
    check("1.18beta2", Some((1, 18)), None, true, None);
    check("1.9.2rc2", None, None, true, None);
    check("1", Some((1, 0)), Some(0), false, None);
    check("1.99999999999", None, None, false, None);
}

/// Texts that are versions, near misses among them.
fn version_text() -> impl Strategy<Value = String> {
    let number = prop_oneof![4 => 0u64..3, 4 => 18u64..24, 1 => any::<u64>()];
    let kind = prop_oneof![Just("alpha"), Just("beta"), Just("rc"), Just("testmod")];
    let tail = prop_oneof![
        Just(String::new()),
        number.clone().prop_map(|patch| format!(".{patch}")),
        (kind, proptest::option::of(number.clone()))
            .prop_map(|(kind, pre)| format!("{kind}{}", pre.map_or(String::new(), |n| n.to_string()))),
    ];
    let suffix = prop_oneof![3 => Just(""), 1 => Just("-bigcorp"), 1 => Just("-x.1")];
    prop_oneof![
        8 => (1u32..3, number, tail, suffix).prop_map(|(major, minor, tail, s)| format!("{major}.{minor}{tail}{s}")),
        1 => Just("1.9.2rc2".to_owned()),
        1 => Just("1.8.5rc4".to_owned()),
        1 => Just("1".to_owned()),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    version_text().prop_map(|text| Version::parse(&text).unwrap())
}

proptest! {
    #[test]
    fn parsing_what_was_printed_is_the_identity(text in version_text()) {
        let version = Version::parse(&text).unwrap();
        prop_assert_eq!(version.to_string(), text);
        prop_assert_eq!(&Version::parse(&version.to_string()).unwrap(), &version);
        prop_assert_eq!(&Version::parse(&version.toolchain()).unwrap(), &version);
    }

    #[test]
    fn the_order_is_total(a in version(), b in version(), c in version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Equal, a == b);
        let mut sorted = [&a, &b, &c];
        sorted.sort();
        let [low, middle, high] = sorted;
        prop_assert!(low <= middle && middle <= high && low <= high);
        prop_assert!(low.cmp_go(middle).is_le() && middle.cmp_go(high).is_le() && low.cmp_go(high).is_le());
    }

    #[test]
    fn the_order_of_texts_is_a_weak_order(a in "[0-9a-z.]{0,8}", b in "[0-9a-z.]{0,8}", c in "[0-9a-z.]{0,8}") {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le(), "{a} {b} {c}");
        }
        if !is_valid(&a) && is_valid(&b) {
            prop_assert_eq!(compare(&a, &b), Less);
        }
    }

    #[test]
    fn nothing_makes_the_parsers_panic(text in any::<String>(), near in "(go)?[0-9.]{0,6}[a-z]{0,3}[0-9]{0,2}[-. é\u{202e}]?[a-z./]{0,3}") {
        for text in [&text, &near] {
            let _ = (is_valid(text), is_lang(text), lang(text), compare(text, &near));
            prop_assert!(text.contains(from_toolchain(text)));
            match Version::parse(text) {
                Ok(version) => {
                    prop_assert!(version.as_str().len() <= Version::MAX_LEN);
                    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
                    prop_assert!(version.as_str().bytes().all(is_plain) && !version.as_str().contains(".."));
                    let _ = (version.family(), version.patch(), version.is_prerelease(), version.suffix());
                }
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }
    }
}
