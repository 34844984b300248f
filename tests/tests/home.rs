//! The programs, installed as a user has them, give a directory its Go: proof that all the rooms are wired together.
//! Leaves out what a crate can test by itself, and real SDKs.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::mirror::Mirror;

/// A mirror of fake SDKs for this machine.
fn mirror(directory: &Path, versions: &[&str]) -> Mirror {
    for text in versions {
        fake::tarball(directory, &Version::parse(text).unwrap(), &here()).unwrap();
    }
    Mirror::serve(directory).unwrap()
}

fn here() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

/// Asks the `go` on PATH, beside a pin file.
fn check(home: &TestHome, file: &Path, expect: &str) {
    let mut go = home.go(["version"]);
    go.current_dir(file.parent().unwrap());
    let said = home.run(go);
    assert_eq!((said.status, said.stdout.split(' ').nth(2)), (0, Some(expect)), "{said}");
}

#[test]
fn nested_directories_get_their_go_with_and_without_the_daemon() {
    let archives = tempfile::tempdir().unwrap();
    let mirror = mirror(archives.path(), &["1.26.6", "1.27.3"]);
    let mut home = TestHome::new();
    home.export("GOVERN_DL_URL", mirror.url());
    let outer = home.write("a/.go-version", "1.26.6\n");
    let inner = home.write("a/b/go.mod", "module b\n\ngo 1.26.0\n\ntoolchain go1.27.3\n");
    home.start_daemon();
    let installed = home.run(home.govern(["install", "1.26.6", "1.27.3"]));
    assert_eq!(installed.status, 0, "{installed}");
    check(&home, &outer, "go1.26.6");
    check(&home, &inner, "go1.27.3");
    fs::write(&outer, "1.27.3\n").unwrap();
    check(&home, &outer, "go1.27.3");
    home.stop_daemon();
    home.export("GOVERN_NO_DAEMON", "1");
    fs::write(&outer, "1.26.6\n").unwrap();
    check(&home, &outer, "go1.26.6");
    check(&home, &inner, "go1.27.3");
    let archive = here().archive(&Version::parse("1.26.6").unwrap());
    assert_eq!(mirror.requests(&format!("/dl/{archive}")), 1);
}
