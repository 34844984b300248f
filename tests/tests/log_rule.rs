//! The rule by which a tarball is held against the checksum database, on real bytes: the tree of the module zip, the tree
//! of PyPI's wheel and a Go that happens to be installed, each as a tarball through the real programs. Run by
//! `.ci/real-sdks`, which fails and never skips; kept out of `cargo test` because it downloads 500 MB.
//!
//! Found: the rule holds for every file of 1.24.11, 1.25.5 and 1.26.6, and for the 15,036 files of an installed 1.26.8 but
//! for a `go.env` that its packager had edited.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and this one says what it compared")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::Mirror;
use govern_tests::wheels::{self, Member, write_tarball};
use tempfile::TempDir;

/// Three releases of three minors that both the module proxy and PyPI have.
const VERSIONS: [&str; 3] = ["1.24.11", "1.25.5", "1.26.6"];

/// What the wheels leave out of what the module has.
const NOT_IN_WHEELS: [&str; 6] =
    ["CONTRIBUTING.md", "LICENSE", "PATENTS", "README.md", "SECURITY.md", "codereview.cfg"];

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

/// A home that reaches what this machine reaches: the module proxy, and through it the checksum database.
fn home(dl_url: &str) -> TestHome {
    let mut home = TestHome::new();
    for name in ["GOPROXY", "GOSUMDB", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        home.export(name, of_this_machine(name));
    }
    home.export("GOVERN_DL_URL", dl_url);
    home
}

#[expect(clippy::disallowed_methods, reason = "the network of this machine is what the test is about")]
fn of_this_machine(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// All files of a tree, in the order of their names.
fn members(root: &Path) -> Vec<Member> {
    let mut members = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match fs::symlink_metadata(&path).unwrap() {
                found if found.is_dir() => directories.push(path),
                found if found.is_file() => {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    members.push(Member::new(name, fs::read(&path).unwrap()));
                }
                _ => {}
            }
        }
    }
    members.sort_by(|a, b| a.path.cmp(&b.path));
    members
}

/// Installs these files as the tarball of a download page, with the real log: how it ended, and the home.
fn install_as_tarball(version: &Version, members: &[Member]) -> (Outcome, TestHome) {
    let archives = TempDir::new().unwrap();
    write_tarball(File::create(archives.path().join(platform().archive(version))).unwrap(), members).unwrap();
    let mirror = Mirror::serve(archives.path()).unwrap();
    let home = home(&mirror.url());
    let outcome = home.run(home.govern(["install", version.as_str()]));
    (outcome, home)
}

/// Asserts that the log proves a tarball of these files, and its record and proof say so.
fn is_proven(what: &str, version: &Version, members: &[Member], h1: &str) {
    let (installed, home) = install_as_tarball(version, members);
    assert_eq!(installed.status, 0, "{what}\n{installed}");
    let record = fs::read_to_string(home.layout().record(version)).unwrap();
    let header = record.lines().next().unwrap();
    assert!(header.contains("\"format\":\"tar.gz\"") && header.contains("\"kind\":\"log\""), "{what}: {header}");
    assert!(header.contains(&format!("\"h1\":\"{h1}\"")), "{what}: {header}");
    let mut alone = home.govern(["verify", "--proof"]);
    alone.env("GOVERN_OFFLINE", "1");
    let verified = home.run(alone);
    assert_eq!((verified.status, verified.stdout.as_str()), (0, ""), "{what}\n{verified}");
    println!("  {what}: {} files, proven: {}", members.len(), verified.stderr.lines().next().unwrap_or_default());
}

/// Asserts that the log refuses a tarball of these files, whose SHA-256 the list has right: what is installed is the
/// module zip of the next source, which the log is asked through.
fn is_refused(what: &str, version: &Version, members: &[Member]) {
    let (refused, home) = install_as_tarball(version, members);
    assert_eq!(refused.status, 0, "{what}\n{refused}");
    let said = ["is not what the Go project published", "its files hash to h1:"];
    assert!(said.iter().all(|words| refused.stderr.contains(words)), "{what}\n{refused}");
    let record = fs::read_to_string(home.layout().record(version)).unwrap();
    assert!(record.lines().next().unwrap().contains("\"format\":\"module.zip\""), "{what}");
}

/// The files that differ, by their names in the module: missing, added, changed.
fn differences(version: &Version, ours: &[Member], module: &[Member]) -> Vec<String> {
    let named = |members| fake::in_module(members, version, &platform()).collect::<BTreeMap<_, _>>();
    let (ours, module) = (named(ours), named(module));
    let mut found: Vec<String> = Vec::new();
    for (name, bytes) in &module {
        match ours.get(name) {
            None => found.push(format!("{}: missing", short(name))),
            Some(other) if other != bytes => found.push(format!("{}: changed", short(name))),
            Some(_) => {}
        }
    }
    found.extend(ours.keys().filter(|name| !module.contains_key(*name)).map(|name| format!("{}: added", short(name))));
    found
}

fn short(name: &str) -> &str {
    name.splitn(3, '/').nth(2).unwrap_or(name)
}

/// The files that are not in the module at all, as a tarball has them.
fn left_out() -> Vec<Member> {
    let text = |path: &str| Member::new(path, b"The module has no such file.\n".to_vec());
    vec![text("api/README"), text("doc/go_spec.html"), text("misc/go.mod"), text("test/fixedbugs/bug1.go")]
}

fn completed(mut members: Vec<Member>, with: impl IntoIterator<Item = Member>) -> Vec<Member> {
    for member in with {
        members.retain(|known| known.path != member.path);
        members.push(member);
    }
    members.sort_by(|a, b| a.path.cmp(&b.path));
    members
}

/// The tree of the module zip, which the log has proven, and the hash that the log has.
fn from_the_module(version: &Version) -> (Vec<Member>, String) {
    let home = home("off");
    let installed = home.run(home.govern(["install", version.as_str()]));
    assert_eq!(installed.status, 0, "the module proxy must answer\n{installed}");
    let record = fs::read_to_string(home.layout().record(version)).unwrap();
    let header = record.lines().next().unwrap();
    assert!(header.contains("\"format\":\"module.zip\"") && header.contains("\"kind\":\"log\""), "{header}");
    let h1 = header.split("\"h1\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut alone = home.govern(["verify", "--proof"]);
    alone.env("GOVERN_OFFLINE", "1");
    let verified = home.run(alone);
    assert_eq!((verified.status, verified.stdout.as_str()), (0, ""), "{verified}");
    println!("{}: the log has {h1}; the module zip: {}", version.toolchain(), verified.stderr.lines().next().unwrap());
    (members(&home.layout().sdk(version)), h1)
}

#[test]
#[ignore = "downloads three SDKs twice; .ci/real-sdks runs it"]
fn a_real_tarball_hashes_to_what_the_log_has() {
    let mut compared = 0;
    for text in VERSIONS {
        let version: Version = text.parse().unwrap();
        let (module, h1) = from_the_module(&version);
        assert_eq!(fake::h1(&module, &version, &platform()), h1, "computed here once more");

        // The tree that the module zip unpacks to, packed as a tarball with the directories that modules leave out.
        is_proven("module tree and what it leaves out", &version, &completed(module.clone(), left_out()), &h1);

        let wheel = wheels::tarball(&version).unwrap();
        let unpacked = TempDir::new().unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(wheel).unwrap()));
        archive.unpack(unpacked.path()).unwrap();
        let wheel = members(&unpacked.path().join("go"));
        let differ = differences(&version, &wheel, &module);
        println!("  PyPI's wheel: {} files; against the module: {}", wheel.len(), differ.join(", "));
        assert_eq!(differ, NOT_IN_WHEELS.map(|name| format!("{name}: missing")));
        is_refused("the wheel as it is", &version, &wheel);
        let missing = module.iter().filter(|member| NOT_IN_WHEELS.contains(&member.path.as_str())).cloned();
        is_proven("the wheel and the six files that it lacks", &version, &completed(wheel, missing), &h1);
        compared += 1;
    }
    println!("the rule holds for {compared} releases");
    assert_eq!(compared, 3);

    installed_go();
}

/// A Go that this machine has: the whole tree of a tarball, tests and all, but perhaps with a `go.env` of its packager's.
fn installed_go() {
    let root = Path::new("/usr/local/go");
    let Ok(said) = fs::read_to_string(root.join("VERSION")) else {
        return println!("there is no {} to compare", root.display());
    };
    let version: Version = said.lines().next().unwrap().parse().unwrap();
    let (module, h1) = from_the_module(&version);
    let ours = members(root);
    let differ = differences(&version, &ours, &module);
    println!("  {}: {} files; against the module: {}", root.display(), ours.len(), differ.join(", "));
    // Images of containers write GOTOOLCHAIN=local into it.
    let go_env = || module.iter().filter(|member| member.path == "go.env").cloned();
    if differ == ["go.env: changed"] {
        is_refused("with the packager's go.env", &version, &ours);
        is_proven("with Go's own go.env", &version, &completed(ours, go_env()), &h1);
    } else {
        assert_eq!(differ, Vec::<String>::new());
        is_proven("as it is", &version, &ours, &h1);
    }
}
