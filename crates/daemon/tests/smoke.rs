//! The real `governd`: starts, answers, lets a second one go, ends on a signal. What it answers is tested within the
//! crate.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as a test may")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LONG: Duration = Duration::from_secs(30);

fn governd(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_governd"));
    command.env_clear().env("HOME", home).env("GOVERN_HOME", home.join("govern")).stdin(Stdio::null());
    command
}

/// A daemon and the directory it runs in. Killed with the test.
struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = governd(dir.path()).stderr(log).spawn().unwrap();
        let daemon = Daemon { child, dir };
        daemon.wait_for("sockets", || daemon.connect("api.sock").and(daemon.connect("shim.sock")));
        daemon
    }

    fn connect(&self, socket: &str) -> Option<UnixStream> {
        UnixStream::connect(self.dir.path().join("govern/run").join(socket)).ok()
    }

    fn wait_for<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(begin.elapsed() < LONG, "no {what}; the log:\n{}", log());
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < LONG, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_pipe_of_whoever_started_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut through_sh = Command::new("sh");
    through_sh.args(["-c", "exec \"$0\" 7>&1 >/dev/null", env!("CARGO_BIN_EXE_governd")]);
    through_sh.env_clear().env("HOME", dir.path()).env("GOVERN_HOME", dir.path().join("govern"));
    let mut child = through_sh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let daemon = Daemon { child, dir };
    let (ended, end) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || ended.send(pipe.read(&mut [0]).unwrap()).unwrap());
    assert_eq!(end.recv_timeout(LONG), Ok(0), "the end of the pipe is seen while the daemon runs");
    reader.join().unwrap();
    daemon.wait_for("sockets", || daemon.connect("api.sock").and(daemon.connect("shim.sock")));
}

#[test]
fn it_answers_lets_a_second_one_go_and_ends_on_sigterm() {
    let mut daemon = Daemon::start();
    let mut connection = daemon.connect("api.sock").unwrap();
    connection.write_all(b"GET /v1/status HTTP/1.1\r\nHost: govern.local\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"schema\":1"), "{answer}");

    let second = governd(daemon.dir.path()).env("GOVERN_LOG", "warn").output().unwrap();
    assert_eq!(text(&second), (Some(0), String::new(), String::new()));
    daemon.signal(Signal::HUP);
    assert!(daemon.connect("shim.sock").is_some(), "the first one is untouched");

    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code(), Some(0));
    assert!(daemon.connect("api.sock").is_none());
}

#[test]
fn one_that_was_killed_is_followed_by_another() {
    let mut first = Daemon::start();
    first.signal(Signal::KILL);
    assert_eq!(first.end().code(), None);
    let mut second = governd(first.dir.path()).stderr(Stdio::null()).spawn().unwrap();
    first.wait_for("second daemon", || first.connect("api.sock"));
    kill_process(Pid::from_child(&second), Signal::INT).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn it_takes_the_sockets_of_systemd_and_tells_it_how_it_goes() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    let dir = tempfile::tempdir().unwrap();
    let manager = dir.path().join("manager");
    fs::create_dir(&manager).unwrap();
    let [shim, api] = ["shim.sock", "api.sock"].map(|name| UnixListener::bind(manager.join(name)).unwrap());
    let told = UnixDatagram::bind(manager.join("notify")).unwrap();
    told.set_read_timeout(Some(LONG)).unwrap();
    let message = || {
        let mut buffer = [0; 100];
        let len = told.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    // As systemd does it: descriptors from 3 on, and the number of the process that they are for.
    let script = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=shim:shim exec \"$0\" 3<&0 4<&1 0</dev/null 1>/dev/null";
    let mut child = Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_governd")])
        .env_clear()
        .env("HOME", dir.path())
        .env("GOVERN_HOME", dir.path().join("govern"))
        .env("NOTIFY_SOCKET", manager.join("notify"))
        .stdin(OwnedFd::from(shim))
        .stdout(OwnedFd::from(api))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(message(), "READY=1\n");
    assert_eq!(fs::read_link(dir.path().join("govern/run")).unwrap(), manager);
    let mut connection = UnixStream::connect(manager.join("shim.sock")).unwrap();
    connection.write_all(b"what?\n\n\n").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(!answer.is_empty());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(message(), "STOPPING=1\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(manager.join("shim.sock").exists() && manager.join("api.sock").exists(), "they are systemd's");
}

#[test]
fn its_command_line_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| text(&governd(dir.path()).args(args).output().unwrap());
    let version = format!("governd {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (Some(0), version, String::new()));
    let (code, help, _) = run(&["--help"]);
    assert!(code == Some(0) && help.contains("--home DIR"), "{help}");
    let usage = "error: `--detach` is no option of governd\nhint: governd --help\n";
    assert_eq!(run(&["--detach"]), (Some(2), String::new(), usage.to_owned()));
    fs::write(dir.path().join("govern"), "a file in its place").unwrap();
    let (code, out, err) = run(&[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("error: ") && err.contains("govern"), "{err}");
}
