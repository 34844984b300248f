//! The two ways to run a case, and what is compared of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use govern_tests::home::{Outcome, TestHome};
use govern_tests::real::{self, Source};

use crate::case::{Case, Installed};

/// What of a run is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It ended well and said so.
    Said(String),
    /// It failed for this reason.
    Failed(&'static str),
    /// It failed for none of the known reasons; the first line.
    Other(String),
}

impl Ran {
    fn of(outcome: &Outcome) -> Ran {
        let text = &outcome.stderr;
        if outcome.status == 0 {
            return Ran::Said(outcome.stdout.trim_end().to_owned());
        }
        // Whichever Go meets such a package says the path of its own GOROOT.
        if let Some((_, rest)) = text.split_once("is not in std (") {
            let goroot = rest.split_once("/src/").map_or(rest, |(goroot, _)| goroot);
            return Ran::Said(goroot.rsplit('/').next().unwrap_or_default().to_owned());
        }
        // cmd/go's own words, and govern's for the same thing.
        let reasons: [(&str, &[&str]); 10] = [
            (
                "a toolchain that is not to be had",
                // The last is said of the package by the Go that looks first, which may be another one.
                &[
                    "toolchain not available",
                    "in PATH",
                    "is installed",
                    "is not installed",
                    "requires go >= 1.99.0 (running",
                ],
            ),
            ("a package that needs a newer Go", &["requires go >= "]),
            ("a language version", &["is a language version but not a toolchain version"]),
            ("an invalid GOTOOLCHAIN", &["invalid GOTOOLCHAIN", "invalid toolchain:"]),
            ("an invalid toolchain line", &["invalid toolchain "]),
            ("an invalid GOWORK", &["invalid GOWORK"]),
            ("no such directory", &["chdir"]),
            ("an unknown flag", &["flag provided but not defined"]),
            ("a usage error", &["unknown command", "-C flag must be first"]),
            ("modules are off", &["GO111MODULE=off", "must use modules", "modules disabled"]),
        ];
        let known = reasons.iter().find(|(_, words)| words.iter().any(|word| text.contains(word)));
        match known {
            Some((reason, _)) => Ran::Failed(reason),
            None => Ran::Other(text.lines().next().unwrap_or_default().to_owned()),
        }
    }

    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Ran::Said(_))
    }

    /// The version that ran, where the run tells.
    pub(crate) fn ran(&self) -> Option<&str> {
        match self {
            Ran::Said(text) => {
                let word = text.strip_prefix("go version ").unwrap_or(text).split_whitespace().next()?;
                word.rsplit('/').next()?.strip_prefix("go").filter(|version| version.starts_with("1."))
            }
            Ran::Failed(_) | Ran::Other(_) => None,
        }
    }
}

/// `GOTOOLCHAIN=go1.X.Y+auto` names the SDK that runs (DESIGN §5, rank 3), so that its own rules hold and not those of
/// the default. Where a rule changed between the two, that is a difference on purpose.
pub(crate) fn starts_from_another_base(case: &Case, installed: &Installed) -> bool {
    let minor = |version: &str| version.trim_start_matches("go").split('.').nth(1)?.parse::<u32>().ok();
    let named = case.var("GOTOOLCHAIN").and_then(|value| value.split_once('+')).and_then(|(name, _)| minor(name));
    let is_between = |changed: u32| named.is_some_and(|n| (n < changed) != (minor(installed.default) < Some(changed)));
    let looks_at_file = case.args.iter().any(|arg| arg == "GOMOD" || arg == "GOWORK");
    let is_automatic = case.var("GO111MODULE") == Some("auto") || case.go_env.contains("GO111MODULE=auto");
    (case.is_package_at_version() && is_between(25))
        || (looks_at_file && is_between(23))
        || (is_automatic && is_between(27))
}

/// A home with real SDKs, and a module proxy on disk that has one module for a Go that does not exist.
pub(crate) struct World {
    pub(crate) home: TestHome,
    _source: Source,
    all: Vec<&'static str>,
    has_daemon: bool,
}

impl World {
    pub(crate) fn new(versions: &[&'static str]) -> World {
        let mut home = TestHome::new();
        let source = real::install(&mut home, versions);
        for directory in ["parked", "plain"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        for (name, go) in [("old", "1.20"), ("mid", "1.26.2"), ("new", "1.99.0")] {
            serve_a_module(&home.path().join("proxy"), name, go);
        }
        home.export("GOPROXY", format!("file://{}", home.path().join("proxy").display()));
        home.export("GOSUMDB", "off");
        home.export("GOVERN_DL_URL", "");
        World { home, _source: source, all: versions.to_vec(), has_daemon: false }
    }

    /// Lets these SDKs be there and no others, under these settings.
    pub(crate) fn install(&mut self, installed: &Installed, settings: &str) {
        self.with_daemon(false);
        let sdks = self.home.layout().sdks();
        for version in &self.all {
            let name = format!("go{version}");
            let (here, parked) = (sdks.join(&name), self.home.path().join("parked").join(&name));
            let plain = self.home.path().join("plain").join(&name);
            fs::remove_file(&plain).ok();
            if installed.sdks.contains(version) {
                moved(&parked, &here);
                symlink(here.join("bin/go"), &plain).unwrap();
            } else {
                moved(&here, &parked);
            }
        }
        let text = format!("default = \"{}\"\nauto_install = false\n{settings}", installed.default);
        let config = self.home.layout().config_file();
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(config, text).unwrap();
        self.with_daemon(true);
    }

    pub(crate) fn with_daemon(&mut self, wanted: bool) {
        match (wanted, self.has_daemon) {
            (true, false) => self.home.start_daemon(),
            (false, true) => self.home.stop_daemon(),
            _ => {}
        }
        self.has_daemon = wanted;
    }

    /// Runs a case without govern and with it.
    pub(crate) fn both(&self, case: &Case, installed: &Installed) -> (Ran, Ran) {
        let home = self.home.path();
        self.lay(case);
        let goroot = self.home.layout().sdks().join(format!("go{}", installed.default));
        let mut plain = self.command(goroot.join("bin/go"), case);
        plain.env("PATH", format!("{}:/usr/bin:/bin", home.join("plain").display()));
        let plain = self.home.run(plain);
        // `go env -w` has changed it.
        fs::write(home.join(".config/go/env"), &case.go_env).unwrap();
        let governed = self.home.run(self.command(self.home.layout().bin().join("go"), case));
        (Ran::of(&plain), Ran::of(&governed))
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("case")
    }

    fn lay(&self, case: &Case) {
        let root = self.root();
        fs::remove_dir_all(&root).ok();
        for (path, text) in &case.files {
            let path = root.join(path);
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                fs::create_dir_all(&path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        fs::create_dir_all(root.join("w/m/n")).unwrap();
        fs::create_dir_all(root.join("x")).unwrap();
        symlink(root.join("w/m"), root.join("x/link")).unwrap();
        fs::create_dir_all(self.home.path().join(".config/go")).unwrap();
        fs::write(self.home.path().join(".config/go/env"), &case.go_env).unwrap();
    }

    fn command(&self, program: PathBuf, case: &Case) -> Command {
        let root = self.root();
        let place = |text: &str| {
            text.replacen('@', &root.display().to_string(), usize::from(text.starts_with('@') || text.contains("=@")))
        };
        let mut command = self.home.command(program);
        command.current_dir(root.join(&case.cwd)).args(case.args.iter().map(|arg| place(arg)));
        if !self.has_daemon {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        for (name, value) in &case.vars {
            command.env(name, place(value));
        }
        command
    }
}

/// Moves an SDK, whose directories are read-only.
fn moved(from: &Path, to: &Path) {
    if from.exists() {
        fs::set_permissions(from, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(from, to).unwrap();
        fs::set_permissions(to, fs::Permissions::from_mode(0o555)).unwrap();
    }
}

/// `example.com/NAME@v1.0.0`, which no Go can build: the error says which Go it is.
fn serve_a_module(proxy: &Path, name: &str, go: &str) {
    let versions = proxy.join("example.com").join(name).join("@v");
    fs::create_dir_all(&versions).unwrap();
    let gomod = format!("module example.com/{name}\n\ngo {go}\n");
    fs::write(versions.join("v1.0.0.mod"), &gomod).unwrap();
    fs::write(versions.join("v1.0.0.info"), "{\"Version\":\"v1.0.0\"}").unwrap();
    fs::write(versions.join("list"), "v1.0.0\n").unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(versions.join("v1.0.0.zip")).unwrap());
    for (file, text) in
        [("go.mod", gomod.as_str()), ("main.go", "package main\n\nimport _ \"nosuch\"\n\nfunc main() {}\n")]
    {
        let path = format!("example.com/{name}@v1.0.0/{file}");
        zip.start_file(path, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}
