//! Go for machines without a network, from end to end: `govern bundle create` on one machine, `govern install --from` on
//! another, with the real programs, SDKs of a few kilobytes and a checksum database of the test's own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::log::Log;
use govern_tests::mirror::Mirror;
use tempfile::TempDir;

const VERSIONS: [&str; 2] = ["1.24.11", "1.26.6"];

/// A machine with sources, and a bundle that it made.
struct Maker {
    home: TestHome,
    mirror: Mirror,
    log: Log,
    archives: TempDir,
}

impl Maker {
    fn new() -> Maker {
        let archives = TempDir::new().unwrap();
        let mut releases = Vec::new();
        for text in VERSIONS {
            let version: Version = text.parse().unwrap();
            fake::tarball(archives.path(), &version, &platform()).unwrap();
            let h1 = fake::h1(&fake::files(&version, &platform()), &version, &platform());
            releases.push((version, h1));
        }
        let mirror = Mirror::serve(archives.path()).unwrap();
        let log = Log::serve(&releases, &platform()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        home.export("GOSUMDB", log.gosumdb());
        Maker { home, mirror, log, archives }
    }

    fn bundle(&self) -> PathBuf {
        let bundle = self.archives.path().join("go.bundle");
        let mut create = self.home.govern(["bundle", "create"]);
        create.args(VERSIONS).arg("-o").arg(&bundle);
        let created = self.home.run(create);
        assert_eq!(created.status, 0, "{created}");
        bundle
    }

    /// A machine that reaches nobody, and believes the same log.
    fn client(&self) -> TestHome {
        let mut client = TestHome::new();
        client.export("GOVERN_OFFLINE", "1");
        client.export("GOSUMDB", self.log.gosumdb());
        client
    }

    fn asked(&self) -> usize {
        let archives = VERSIONS.map(|version| format!("/dl/{}", platform().archive(&version.parse().unwrap())));
        self.log.requests() + archives.iter().map(|path| self.mirror.requests(path)).sum::<usize>()
    }
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

fn install(client: &TestHome, from: &Path) -> Outcome {
    let mut command = client.govern(["install", "--from"]);
    command.arg(from);
    client.run(command)
}

fn sdks(client: &TestHome) -> usize {
    fs::read_dir(client.layout().sdks()).map_or(0, Iterator::count)
}

#[test]
fn a_bundle_carries_go_and_its_proof_to_a_machine_without_a_network() {
    let maker = Maker::new();
    let bundle = maker.bundle();
    let asked = maker.asked();
    let client = maker.client();
    let installed = install(&client, &bundle);
    assert_eq!(installed.status, 0, "{installed}");
    let listed = client.run(client.govern(["list", "--json"]));
    assert_eq!(listed.stdout.matches("\"proof\": \"log\"").count(), 2, "{listed}");
    client.write("project/.go-version", "1.24.11\n");
    let mut go = client.go(["version"]);
    go.current_dir(client.path().join("project"));
    assert!(client.run(go).stdout.starts_with("go version go1.24.11 "));
    let again = install(&client, &bundle);
    assert_eq!(again.status, 0, "once more does no harm\n{again}");
    assert_eq!(maker.asked(), asked, "nobody was asked");
}

#[test]
fn a_bundle_that_was_changed_anywhere_installs_what_was_proven_or_nothing() {
    let maker = Maker::new();
    let bundle = maker.bundle();
    let good = fs::read(&bundle).unwrap();
    let client = maker.client();
    let bad = client.path().join("bad.bundle");
    let (mut refused, mut harmless) = (0, 0);
    let step = good.len() / 40;
    for at in (step / 2..good.len()).step_by(step) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x21;
        fs::write(&bad, &bytes).unwrap();
        let outcome = install(&client, &bad);
        if outcome.status == 0 {
            // A byte that means nothing, such as a time: then every file is what the log says all the same.
            let verified = client.run(client.govern(["verify"]));
            assert_eq!(verified.status, 0, "byte {at}\n{verified}");
            let removed = client.run(client.govern(["uninstall", VERSIONS[0], VERSIONS[1]]));
            assert_eq!(removed.status, 0, "{removed}");
            harmless += 1;
        } else {
            assert!(
                outcome.stderr.starts_with("error: ") || outcome.stderr.contains("\nerror: "),
                "byte {at}\n{outcome}"
            );
            refused += 1;
            if sdks(&client) > 0 {
                // What was proven before the fault was come upon may stay.
                let verified = client.run(client.govern(["verify"]));
                assert_eq!(verified.status, 0, "byte {at}\n{verified}");
                for version in VERSIONS {
                    client.run(client.govern(["uninstall", version]));
                }
            }
        }
        assert_eq!(sdks(&client), 0, "byte {at}: something is left");
    }
    println!("{refused} changed bundles were refused, {harmless} were the same to the proof");
    assert!(refused >= 20, "only {refused}");
}

#[test]
fn a_bundle_proves_nothing_to_those_who_believe_another_log() {
    let maker = Maker::new();
    let bundle = maker.bundle();
    let mut client = maker.client();
    // The Go project's own: it signed nothing here.
    client.export("GOSUMDB", "");
    let refused = install(&client, &bundle);
    assert_eq!((refused.status, sdks(&client)), (7, 0), "{refused}");
    // Cut off anywhere, it is no bundle.
    let client = maker.client();
    let bytes = fs::read(&bundle).unwrap();
    let cut = client.path().join("cut.bundle");
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let refused = install(&client, &cut);
    assert_eq!((refused.status, sdks(&client)), (7, 0), "{refused}");
}
