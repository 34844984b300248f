//! Lists of releases. Whatever is read is in order, safe to make paths and URLs of, and kept as it is.

use govern_sources::{Release, fuzzing};

/// Pages, module lists and kept releases.
pub fn seeds() -> impl Iterator<Item = Vec<u8>> {
    const DIGEST: &str = "d0398903a16ba2232b389fb31032ddf57cac34efda306a0eebac34f0965a0742";
    let file = |version: &str, platform: &str, kind: &str| {
        let (os, arch) = platform.split_once('-').unwrap();
        format!(
            r#"{{"filename":"{version}.{platform}.tar.gz","os":"{os}","arch":"{arch}","version":"{version}",
            "sha256":"{DIGEST}","size":66500000,"kind":"{kind}"}}"#
        )
    };
    let entry = |version: &str, stable: bool| {
        let files = ["linux-amd64", "linux-armv6l", "darwin-arm64"].map(|platform| file(version, platform, "archive"));
        let source = file(version, "src-src", "source");
        format!(r#"{{"version":"{version}","stable":{stable},"files":[{},{source}]}}"#, files.join(","))
    };
    let page = format!("[{},{},{}]", entry("go1.22.4", true), entry("go1.23rc1", false), entry("go1.4", true));
    let releases = fuzzing::page(page.as_bytes()).expect("the seed is a page");
    let kept = releases.iter().map(|release| [b"k", &fuzzing::keep(release)[..]].concat()).collect::<Vec<_>>();
    let old = r#"p[{"version":"go1.3","files":[{"filename":"go1.3.darwin-amd64-osx10.8.tar.gz","os":"darwin",
        "arch":"amd64","kind":"archive","sha256":"","size":-1},7,null]},5]"#;
    let list = "lv0.0.1-go1.21.0.linux-amd64\nv0.0.1-go1.22rc1.linux-amd64 2023-08-08T00:00:00Z\nbad\n";
    let others = [format!("p{page}"), old.to_owned(), list.to_owned(), "p".to_owned() + &"[".repeat(400)];
    others.into_iter().map(String::into_bytes).chain(kept)
}

/// The first byte says what the rest is: a page, a module list, or a release as the cache keeps it.
///
/// # Panics
/// When a list is not in order, a word in it could lead elsewhere, or the cache would change it.
pub fn check(data: &[u8]) {
    let releases = match data.split_first() {
        Some((b'p', page)) => fuzzing::page(page),
        Some((b'l', list)) => fuzzing::module_list(list),
        Some((b'k', kept)) => fuzzing::kept(kept).map(|release| vec![release]),
        _ => None,
    };
    let Some(releases) = releases else { return };
    assert!(!releases.is_empty(), "a list without releases");
    assert!(releases.is_sorted_by(|a, b| a.version > b.version), "not newest first, or one twice");
    releases.iter().for_each(check_release);
}

fn check_release(release: &Release) {
    let is_plain = |text: &str, more: &[u8]| {
        let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
        !text.contains("..") && text.bytes().all(is_harmless)
    };
    assert!(is_plain(release.version.as_str(), b".-_+~"), "{}", release.version);
    for platform in release.platforms() {
        for word in [&platform.os, &platform.arch] {
            assert!((1..=16).contains(&word.len()) && is_plain(word, b""), "{platform}");
        }
    }
    for name in fuzzing::file_names(release) {
        assert!(name.len() <= 160 && is_plain(name, b"._-"), "{name}");
    }
    let kept = fuzzing::keep(release);
    assert_eq!(fuzzing::kept(&kept).as_ref(), Some(release), "the cache changes it");
}
