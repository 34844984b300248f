//! A home with three real Go SDKs (`real`), for the tests that `.ci/real-sdks` runs, and modules for these SDKs, served
//! from files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::home::{Outcome, TestHome};
use crate::real::{self, Source};

/// Three real releases of three minors.
pub const VERSIONS: [&str; 3] = ["1.24.11", "1.26.6", "1.27.3"];

/// A program that prints which Go built it.
pub const SAYS_ITS_GO: &str =
    "package main\n\nimport (\"fmt\"; \"runtime\")\n\nfunc main() { fmt.Print(runtime.Version()) }\n";

/// A home with the three SDKs, from the module proxy when it answers, else from wheels behind a mirror.
#[derive(Debug)]
pub struct World {
    home: TestHome,
    has_proxy: bool,
    /// Kept alive: the fallback's archives and server.
    _source: Source,
}

impl World {
    /// Installs the SDKs.
    ///
    /// # Panics
    /// When they cannot be had.
    #[must_use]
    pub fn new() -> World {
        let mut home = TestHome::new();
        let source = real::install(&mut home, &VERSIONS);
        let listed = home.run(home.govern(["list", "--json"]));
        // An archive of the module proxy says so in its record.
        let has_proxy = listed.stdout.contains("/golang.org/toolchain/@v/");
        World { home, has_proxy, _source: source }
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &TestHome {
        &self.home
    }

    /// True when the module proxy answers; then it has everything, and not only the three SDKs.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.has_proxy
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
            // Go knows its own default where the machine has no other.
            return format!("{ours},{}", self.output("", &["env", "GOPROXY"]));
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
