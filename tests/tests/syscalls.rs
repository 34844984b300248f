//! What only a look at the system calls can tell, with the real programs under strace: how often the kernel is asked for
//! one question, by the shim and by the daemon, from a directory twelve levels deep, which is the same on every machine,
//! however busy; and that an install is on the disk before it is seen.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use govern_core::platform::Platform;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::mirror::Mirror;

/// The most calls that a question may cost the shim, up to and with the `execve` of Go …
const SHIM: usize = 30;

/// … and the daemon, what it notes for later included.
const DAEMON: f64 = 40.0;

/// Questions that are counted together.
const QUESTIONS: usize = 100;

/// For the daemon to answer, and then for what it has read to be old enough to be remembered.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon under strace, and a project twelve levels below HOME.
struct Traced {
    home: TestHome,
    cwd: PathBuf,
    trace: PathBuf,
    strace: Child,
}

impl Traced {
    fn start() -> Traced {
        let home = TestHome::new();
        let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
        for version in ["1.22.12", "1.24.11", "1.25.6", "1.26.6", "1.27.3"] {
            let version = version.parse().unwrap();
            fake::tree(&home.layout().sdk(&version), &version, &platform).unwrap();
        }
        for (path, text) in [
            ("a/.go-version", "1.27.3\n"),
            ("a/b/c/.tool-versions", "nodejs 20.1.0\ngolang 1.26.6\n"),
            ("a/b/c/d/go.work", "go 1.22.0\n\nuse ./e/f\n"),
            ("a/b/c/d/e/f/go.mod", "module m\n\ngo 1.22.0\n"),
            ("a/b/c/d/e/f/g/h/.go-version", "1.24.11\n"),
            ("a/b/c/d/e/f/g/h/i/j/k/l/main.go", "package main\n"),
        ] {
            home.write(path, text);
        }
        let cwd = home.path().join("a/b/c/d/e/f/g/h/i/j/k/l");
        let trace = home.path().join("trace");
        let mut strace = home.command("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&trace).arg(home.layout().bin().join("governd")).stderr(Stdio::null());
        let traced = Traced { strace: strace.spawn().unwrap(), home, cwd, trace };
        let begin = Instant::now();
        while UnixStream::connect(traced.home.layout().shim_socket()).is_err() {
            assert!(begin.elapsed() < PATIENCE, "no daemon: {}", traced.home.log());
            std::thread::yield_now();
        }
        traced
    }

    fn ask(&self) {
        let mut go = self.home.go(["version"]);
        go.current_dir(&self.cwd).env("PWD", &self.cwd);
        let outcome = self.home.run(go);
        assert!(outcome.status == 0 && outcome.stdout.contains("go1.24.11"), "{outcome}");
    }

    /// The daemon's calls since the last time.
    fn calls(trace: &mut File) -> Vec<String> {
        let mut text = String::new();
        trace.read_to_string(&mut text).unwrap();
        // The second half of a call is none, and std's debug build asks whether what it closes is open.
        let is_call = |line: &&str| !line.contains(" resumed>") && !line.contains("F_GETFD");
        text.lines().filter(is_call).map(ToOwned::to_owned).collect()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.home.stop_daemon();
        self.strace.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "CI is a property of where the tests run")]
fn has_strace() -> bool {
    let has =
        Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output().is_ok_and(|o| o.status.success());
    assert!(has || std::env::var_os("CI").is_none(), "strace is missing\nhint: apt-get install strace");
    has
}

#[test]
fn a_question_costs_few_system_calls() {
    if !has_strace() {
        eprintln!("SKIPPED: strace is missing");
        return;
    }
    let traced = Traced::start();
    let mut trace = File::open(&traced.trace).unwrap();
    let begin = Instant::now();
    // Again until it is all from memory: what was written a moment ago is too young, and others write in `/tmp`.
    let each = loop {
        Traced::calls(&mut trace);
        (0..QUESTIONS).for_each(|_| traced.ask());
        let calls = Traced::calls(&mut trace);
        let each = calls.len() as f64 / QUESTIONS as f64;
        if each <= DAEMON {
            break each;
        }
        let last = calls[calls.len().saturating_sub(60)..].join("\n");
        assert!(begin.elapsed() < PATIENCE, "{each} calls of the daemon for each question, at last\n{last}");
    };
    assert!(each > 10.0, "{each} calls of the daemon for each question: nothing was counted");

    let own = traced.home.path().join("own-trace");
    let mut strace = traced.home.command("strace");
    strace.args(["-qq", "-o"]).arg(&own).arg(traced.home.layout().bin().join("go")).arg("version");
    strace.current_dir(&traced.cwd).env("PWD", &traced.cwd);
    assert!(traced.home.run(strace).stdout.contains("go1.24.11"));
    let own = fs::read_to_string(own).unwrap();
    let last = own.lines().skip(1).position(|call| call.starts_with("execve(") && call.contains("/sdks/"));
    let calls = last.expect("the shim becomes an SDK's go") + 2;
    assert!(calls <= SHIM, "{calls} calls of the shim\n{own}");
    eprintln!("{each:.1} calls of the daemon for each question, {calls} of the shim");
}

#[test]
fn an_install_is_on_the_disk_before_it_is_seen() {
    if !has_strace() {
        eprintln!("SKIPPED: strace is missing");
        return;
    }
    let archives = tempfile::tempdir().unwrap();
    let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
    fake::tarball(archives.path(), &"1.26.6".parse().unwrap(), &platform).unwrap();
    let mirror = Mirror::serve(archives.path()).unwrap();
    let mut home = TestHome::new();
    home.export("GOVERN_DL_URL", mirror.url());
    home.export("GOVERN_NO_DAEMON", "1");
    let trace = home.path().join("trace");
    let mut strace = home.command("strace");
    strace.env("GOVERN_HOME", &home.layout().data);
    // Each call is one line of one thread; `-y` says which directory a descriptor is.
    strace.args(["-f", "-qq", "-y", "-o"]).arg(&trace);
    strace.args(["-e", "trace=/^(openat|unlink|unlinkat|f?sync|fdatasync|syncfs|rename.*|fchmodat)$"]);
    strace.arg(home.layout().bin().join("govern")).args(["install", "1.26.6"]);
    let outcome = home.run(strace);
    assert_eq!(outcome.status, 0, "{outcome}");

    let trace = fs::read_to_string(trace).unwrap();
    let calls: Vec<&str> = trace.lines().collect();
    let word = |at: usize, n: usize| calls[at].split_whitespace().nth(n).unwrap_or_default();
    let all = |call: &str, about: &str| -> Vec<usize> {
        (0..calls.len()).filter(|at| word(*at, 1).starts_with(call) && calls[*at].contains(about)).collect()
    };
    let one = |call: &str, about: &str| match all(call, about)[..] {
        [at] => at,
        ref other => panic!("{call} {about}: {other:?}\n{trace}"),
    };
    // Where another thread's call comes between, the end of a call has a line of its own.
    let end = |at: usize| match calls[at].ends_with("<unfinished ...>") {
        true => (at..calls.len()).find(|later| word(*later, 0) == word(at, 0) && calls[*later].contains(" resumed>")),
        false => Some(at),
    };
    let is_done = |at: usize| end(at).is_some_and(|at| calls[at].ends_with(" = 0"));
    let made: Vec<usize> = all("openat(", "/.stage-").into_iter().filter(|at| calls[*at].contains("O_CREAT")).collect();
    let sealed = all("fchmodat(", "/.stage-");
    let fetched: Vec<usize> = all("unlink(", "/downloads/").into_iter().filter(|at| is_done(*at)).collect();
    let (recorded, synced) = (one("rename", "/records/go1.26.6.json"), one("syncfs(", "/.stage-"));
    let seen = one("rename", "/sdks/go1.26.6\"");
    assert!(made.len() > 5 && !sealed.is_empty() && !fetched.is_empty(), "too little was seen\n{trace}");
    assert!(made.iter().chain(&sealed).all(|at| *at < synced), "written after it was synced\n{trace}");
    // What is deleted need not be written first.
    assert!(fetched.iter().all(|at| *at < synced), "the download is deleted too late\n{trace}");
    assert!(is_done(recorded) && is_done(synced) && is_done(seen), "{trace}");
    assert!(end(recorded) < Some(synced) && end(synced) < Some(seen), "{recorded}, {synced}, {seen}\n{trace}");
    let last = all("fsync(", "/sdks>");
    assert!(last.iter().any(|at| *at > seen && is_done(*at)), "its name is not synced\n{trace}");
}
