//! Runs `go` under strace, and says what it did that it must not do.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use govern_core::origin::escaped_text;
use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::{Outcome, TestHome};
use govern_tests::mirror::Mirror;
use tempfile::TempDir;

/// Nothing may take longer; strace and a busy machine included.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the mirror has: safe ones, and one below the floor of each family.
const PUBLISHED: [&str; 15] = [
    "1.20.14", "1.21.0", "1.22.3", "1.22.12", "1.23.10", "1.23.11", "1.24rc1", "1.24.4", "1.24.11", "1.25rc1",
    "1.25.0", "1.25.5", "1.25.6", "1.26.6", "1.27.3",
];

pub(crate) struct World {
    pub(crate) home: TestHome,
    pub(crate) mirror: Mirror,
    _archives: TempDir,
    traces: TempDir,
}

/// A run, and what was wrong with it.
pub(crate) struct Observed {
    pub(crate) outcome: Outcome,
    pub(crate) faults: Vec<String>,
}

impl World {
    /// A home with these SDKs, and a mirror with more. `None` without strace.
    #[expect(clippy::print_stderr, reason = "what was left out is part of the test's result")]
    #[expect(clippy::disallowed_methods, reason = "CI is told from a person's machine by a variable")]
    pub(crate) fn new(installed: &[&str]) -> Option<World> {
        if Command::new("strace").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "strace is missing\nhint: apt-get install strace");
            eprintln!("SKIPPED: strace is missing");
            return None;
        }
        let archives = TempDir::new().unwrap();
        let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
        for version in PUBLISHED {
            fake::tarball(archives.path(), &version.parse().unwrap(), &platform).unwrap();
        }
        let mirror = Mirror::serve(archives.path()).unwrap();
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        let world = World { home, mirror, _archives: archives, traces: TempDir::new().unwrap() };
        let install = world.home.run(world.home.govern([&["install"], installed].concat()));
        assert_eq!(install.status, 0, "{install}");
        world.home.stop_daemon();
        Some(world)
    }

    /// Has a daemon answer from now on, or nobody.
    pub(crate) fn daemon(&self, answers: bool) {
        if answers {
            self.home.start_daemon();
        } else {
            // There may be none.
            self.home.run(self.home.govern(["daemon", "stop"]));
            assert!(!self.home.layout().shim_socket().exists(), "the daemon stays");
        }
    }

    /// `go version` in a directory.
    pub(crate) fn observe(&self, dir: &Path, with_daemon: bool) -> Observed {
        let go = self.home.layout().bin().join("go");
        self.observe_command(dir, with_daemon, &[go.as_os_str(), OsStr::new("version")])
    }

    /// A command in a directory.
    pub(crate) fn observe_command(&self, dir: &Path, with_daemon: bool, words: &[&OsStr]) -> Observed {
        let before = self.files();
        let trace = self.traces.path().join("go.trace");
        let mut command = self.home.command("strace");
        command.args(strace(&trace)).args(words).current_dir(dir);
        if !with_daemon {
            command.env("GOVERN_NO_DAEMON", "1");
        }
        let since = Instant::now();
        let outcome = self.home.run(command);
        let mut faults = self.read_trace(&trace);
        if since.elapsed() > DEADLINE {
            faults.push(format!("it took {:?}", since.elapsed()));
        }
        if outcome.stderr.lines().any(|line| escaped_text(line) != line) {
            faults.push(format!("a terminal would obey this: {:?}", outcome.stderr));
        }
        faults.extend(differences(&before, &self.files()));
        Observed { outcome, faults }
    }

    /// A daemon under strace.
    pub(crate) fn observed_daemon(&self) -> Daemon {
        let trace = self.traces.path().join("daemon.trace");
        let mut command = self.home.command("strace");
        let child = command
            .args(strace(&trace))
            .arg(self.home.layout().bin().join("governd"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while !self.home.layout().shim_socket().exists() {
            assert!(since.elapsed() < DEADLINE, "no daemon");
            std::thread::yield_now();
        }
        Daemon { child, trace }
    }

    /// What a trace shows that must not be.
    fn read_trace(&self, trace: &Path) -> Vec<String> {
        let text = String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned();
        text.lines().filter(|line| self.is_fault(line)).map(str::to_owned).collect()
    }

    fn is_fault(&self, line: &str) -> bool {
        let data = self.home.layout().data.display().to_string();
        let quoted = line.split('"').nth(1).unwrap_or_default();
        if line.contains("execve(") {
            let programs = ["bin/go", "bin/govern", "bin/governd"].map(|name| format!("{data}/{name}"));
            let is_sdk = quoted.starts_with(&format!("{data}/sdks/go")) && quoted.ends_with("/bin/go");
            return !line.contains("= -1 ") && !is_sdk && !programs.iter().any(|program| program == quoted);
        }
        if line.contains("connect(") {
            let port = self.mirror.url();
            let port = port.trim_end_matches("/dl/").rsplit(':').next().unwrap_or_default().to_owned();
            let is_mirror = line.contains(&format!("sin_port=htons({port})")) && line.contains("127.0.0.1");
            let is_ours = line.contains("AF_UNIX")
                && (quoted.starts_with(&data) || quoted.ends_with(".sock") || line.contains("nscd"));
            return !is_mirror && !is_ours;
        }
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag));
        let dir = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(dir, _)| dir);
        let path = if quoted.starts_with('/') { quoted.to_owned() } else { format!("{dir}/{quoted}") };
        let home = self.home.path().display().to_string();
        let allowed = [data.as_str(), "/dev/null", "/proc/", &format!("{home}/runtime")];
        // A prompt would ask the terminal.
        path == "/dev/tty"
            || (writes && !line.contains("= -1 ") && !allowed.iter().any(|place| path.starts_with(place)))
    }

    /// Everything below HOME that is not govern's own.
    fn files(&self) -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let mut files = BTreeMap::new();
        let mut left = vec![self.home.path()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
                if path == self.home.layout().data || path == self.home.path().join("runtime") {
                    continue;
                }
                if meta.is_dir() {
                    left.push(path.clone());
                }
                files.insert(path, (meta.size(), meta.mtime(), meta.mtime_nsec()));
            }
        }
        files
    }
}

fn strace(trace: &Path) -> Vec<String> {
    let calls = "trace=execve,execveat,connect,open,openat,creat,mkdir,mkdirat";
    let words = ["-f", "-qq", "-y", "-s", "5000", "-e", calls, "-e", "signal=none", "-o"];
    words.iter().map(ToString::to_string).chain([trace.display().to_string()]).collect()
}

fn differences<T: PartialEq>(before: &BTreeMap<PathBuf, T>, after: &BTreeMap<PathBuf, T>) -> Vec<String> {
    let changed = |a: &BTreeMap<PathBuf, T>, b: &BTreeMap<PathBuf, T>| {
        a.iter().filter(|(path, what)| b.get(*path) != Some(what)).map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let paths = changed(before, after).into_iter().chain(changed(after, before));
    paths.map(|path| format!("{} was changed", path.display())).collect()
}

/// A daemon that is looked at.
pub(crate) struct Daemon {
    child: Child,
    trace: PathBuf,
}

impl Daemon {
    /// Ends it, and gives what was wrong with all that it did.
    pub(crate) fn end(mut self, world: &World) -> Vec<String> {
        world.home.stop_daemon();
        self.child.wait().unwrap();
        world.read_trace(&self.trace)
    }
}

/// Removes a tree however deep and whatever is in it.
pub(crate) fn remove(dir: &Path) {
    assert!(Command::new("rm").arg("-rf").arg(dir).status().unwrap().success());
}
