//! A home of its own for one test: the real programs, installed below a temporary directory, run in a cleared
//! environment. When the test fails, the daemon's log is printed.
//!
//! Leaves out where the SDKs come from (`mirror`, `fake`, `wheels`) and what is expected of the programs.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use govern_core::layout::Layout;
use tempfile::TempDir;

/// The longest that one command of a test may take. An install of a real SDK takes seconds.
const DEADLINE: Duration = Duration::from_secs(300);

/// An installation of govern that nothing else knows of.
#[derive(Debug)]
pub struct TestHome {
    directory: TempDir,
    layout: Layout,
    /// Set on every command.
    variables: Vec<(String, String)>,
}

impl TestHome {
    /// Lets `govern setup` install the programs that were built along with the test.
    ///
    /// # Panics
    /// When that fails, or they are not built.
    #[must_use]
    pub fn new() -> TestHome {
        let directory = tempfile::Builder::new().prefix("govern-").tempdir().expect("a temporary directory");
        let path = directory.path().join("home");
        let home = TestHome { layout: Layout::under(&path.join(".govern")), directory, variables: Vec::new() };
        for made in [path.join("tmp"), path.join("runtime")] {
            fs::create_dir_all(made).expect("a new directory");
        }
        // Where systemd would put it; programs refuse one that others can enter.
        fs::set_permissions(path.join("runtime"), fs::Permissions::from_mode(0o700)).expect("a directory of ours");
        let built = crate::profile();
        for program in ["govern", "governd"].map(|name| built.join(name)) {
            assert!(program.is_file(), "{} is not built: cargo build --workspace", program.display());
        }
        let mut setup = home.command(built.join("govern"));
        setup.env("GOVERN_HOME", &home.layout.data).args(["setup", "--no-modify-path", "--shims"]).arg(shims());
        let set_up = home.run(setup);
        assert!(set_up.status == 0, "govern setup failed\n{set_up}");
        home
    }

    /// Sets a variable on every later command, as a user's profile would.
    pub fn export(&mut self, name: &str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Where everything of govern lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// HOME.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Writes a file below HOME, with the directories above it, and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a new directory");
        fs::write(&path, text).expect("a new file");
        path
    }

    /// `govern`, with these arguments.
    pub fn govern<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(self.layout.bin().join("govern"));
        command.env("GOVERN_HOME", &self.layout.data).args(arguments);
        command
    }

    /// `go` as PATH finds it, with these arguments. It is told nothing of govern: it must find its home by itself.
    pub fn go<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(self.layout.bin().join("go"));
        command.args(arguments);
        command
    }

    /// A program in a cleared environment: what is listed here and what was exported, and nothing of the machine's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let home = self.path();
        let mut command = Command::new(program);
        command
            .current_dir(&home)
            .env_clear()
            .env("HOME", &home)
            .env("LANG", "C.UTF-8")
            .env("PATH", format!("{}:/usr/bin:/bin", self.layout.bin().display()))
            // Go and the shells make files here; the machine's own directory may hold somebody's go.mod.
            .env("TMPDIR", home.join("tmp"))
            .env("XDG_RUNTIME_DIR", home.join("runtime"))
            // Nothing reaches out by accident: a test that wants a source names it.
            .env("GOPROXY", "off")
            .env("GOSUMDB", "off")
            .env("RUST_BACKTRACE", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started, or does not end in time.
    pub fn run(&self, mut command: Command) -> Outcome {
        let shown = format!("{command:?}");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
        let (pid, (sender, receiver)) = (child.id(), mpsc::channel());
        let waiting = thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(DEADLINE) else {
            // The thread still owns the child, so that its number cannot have become another process's.
            Command::new("kill").args(["-9", &pid.to_string()]).status().ok();
            panic!("{shown} did not end within {DEADLINE:?}");
        };
        waiting.join().expect("it has sent").ok();
        self.outcome(&output.unwrap_or_else(|e| panic!("cannot wait for {shown}: {e}")))
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_daemon(&self) {
        let started = self.run(self.govern(["daemon", "start"]));
        assert!(started.status == 0, "the daemon does not start\n{started}");
    }

    /// Stops the daemon and waits until it is gone.
    ///
    /// # Panics
    /// When it stays.
    pub fn stop_daemon(&self) {
        let stopped = self.run(self.govern(["daemon", "stop"]));
        assert!(stopped.status == 0, "the daemon does not stop\n{stopped}");
    }

    /// What the daemon wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.layout.log()).unwrap_or_else(|e| format!("no log: {e}\n"))
    }

    fn outcome(&self, output: &Output) -> Outcome {
        let home = self.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home, "[HOME]");
        let status = output.status;
        Outcome {
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Default for TestHome {
    fn default() -> TestHome {
        TestHome::new()
    }
}

impl Drop for TestHome {
    #[expect(clippy::print_stderr, reason = "the log of the daemon is part of the test's failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {}\n{}---", self.layout.log().display(), self.log());
        }
        // No daemon, no harm: a daemon that nobody stops outlives the test.
        let stopped = self.govern(["daemon", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        stopped.ok();
        // One that a `go` started just now does not answer yet. Without its program no more of them can follow.
        fs::remove_dir_all(self.layout.bin()).ok();
        for process in processes_of(self.directory.path()) {
            Command::new("kill").args(["-9", &process]).status().ok();
        }
        // SDKs are read-only, and so are their directories.
        make_writable(self.directory.path()).ok();
    }
}

/// How a command ended, and all that it said; HOME stands as `[HOME]`. Printed, it is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code, or 128 and the signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status: {}", self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}

/// The directory of the shims as they are shipped: static, without libc on Linux. Built when they are not up to date.
fn shims() -> PathBuf {
    let target = crate::target();
    // One build for all tests of a run; cargo's own lock would make the others wait without a word.
    let lock = File::create(target.join("shims.lock")).expect("a lock file in the target directory");
    lock.lock().expect("the lock of the shims' build");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "shim", "-p", "govern-shim", "--target-dir"])
        .arg(&target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the shims do not build\n{}", String::from_utf8_lossy(&output.stderr));
    target.join("shim")
}

/// The numbers of the processes whose program or working directory lies below `directory`; none where there is no
/// `/proc` to ask.
fn processes_of(directory: &Path) -> Vec<String> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let is_below = |link: PathBuf| fs::read_link(link).is_ok_and(|target| target.starts_with(directory));
    let ours =
        all.flatten().filter(|process| is_below(process.path().join("exe")) || is_below(process.path().join("cwd")));
    ours.filter_map(|process| process.file_name().into_string().ok()).collect()
}

fn make_writable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
