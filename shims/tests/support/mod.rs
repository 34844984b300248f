//! A home of govern's in a temporary directory, with both builds of the shim, a daemon that answers as it is told, and
//! programs that report how they were called. Asserts nothing about shims.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use govern_wire::{Answer, MAX_FRAME, Question, RunWriter};
use tempfile::TempDir;

/// Prints its argv and its environment, a line each, and its descriptors. Before it ends it waits for
/// its stdin to be closed, so that a test can look at it while it runs.
const REPORTER: &str = "#!/bin/sh
/bin/cat /proc/$$/cmdline; echo
/bin/cat /proc/$$/environ; echo
/bin/ls -l /proc/$$/fd
/bin/cat >/dev/null
exit 7
";

/// The files that every home is made of, written once: a file that is still open for writing somewhere, be it in a
/// child about to exec, cannot be executed.
struct Files {
    directory: TempDir,
    builds: Vec<Build>,
}

/// One build of the shims.
#[derive(Clone)]
pub(crate) struct Build {
    pub(crate) name: &'static str,
    /// Where its `go` and `gofmt` lie.
    pub(crate) programs: PathBuf,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        // Below the target directory, so that programs can be linked instead of copied.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for tests");
        let reporter = directory.path().join("reporter");
        fs::write(&reporter, REPORTER).expect("a reporter");
        fs::set_permissions(&reporter, Permissions::from_mode(0o755)).expect("an executable reporter");
        let hosted = Path::new(env!("CARGO_BIN_EXE_go")).parent().expect("a program lies in a directory");
        let mut builds = vec![Build { name: "hosted", programs: hosted.to_owned() }];
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            builds.push(Build { name: "bare", programs: build(hosted) });
        }
        Files { directory, builds }
    })
}

/// Builds the shims as they are released.
fn build(hosted: &Path) -> PathBuf {
    let target = hosted.parent().expect("a profile's directory lies in the target directory");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "shim", "--package", "govern-shim", "--bins", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // What the tests are built with (coverage, sanitizers) would need a libc.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("shim")
}

/// Both builds, or the one that this machine has.
pub(crate) fn builds() -> &'static [Build] {
    &files().builds
}

/// Runs a test for both builds, and by itself: a daemon's thread that waits for other tests answers too late.
#[expect(clippy::print_stderr, reason = "says to which build a failure belongs")]
pub(crate) fn for_each_build(test: impl Fn(&Build)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for build in builds() {
        eprintln!("the {} build", build.name);
        test(build);
    }
}

/// As [`for_each_build`], for tests of what the shim does with an answer. The test gives `None` when `govern` ran
/// instead, as it must when the machine is so busy that the daemon answers too late; then it is done again.
pub(crate) fn for_each_build_in_time(test: impl Fn(&Build) -> Option<()>) {
    for_each_build(|build| {
        for _ in 0..20 {
            let start = Instant::now();
            if test(build).is_some() {
                return;
            }
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(35), "`govern` ran, and not for want of time: {took:?}");
        }
        panic!("the daemon was late twenty times");
    });
}

/// A home with a shim, a `govern` and an SDK.
pub(crate) struct Home {
    _parent: TempDir,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new(build: &Build) -> Home {
        Home::below(build, Path::new("home"))
    }

    /// A home some directories deeper.
    pub(crate) fn below(build: &Build, directory: &Path) -> Home {
        let parent = tempfile::tempdir_in(files().directory.path()).expect("a directory for a home");
        let path = parent.path().join(directory);
        for directory in ["bin", "run", "leases", "launchers/all", "launchers/installed", "sdks/go1.22.4/bin", "work"] {
            fs::create_dir_all(path.join(directory)).expect("a home");
        }
        let home = Home { path, _parent: parent };
        let reporter = files().directory.path().join("reporter");
        for (from, to) in [
            (build.programs.join("go"), "bin/go"),
            (build.programs.join("gofmt"), "bin/gofmt"),
            (build.programs.join("go"), "launchers/all/go1.26.3"),
            (build.programs.join("go"), "launchers/installed/go1.9.2rc2"),
            (reporter.clone(), "bin/govern"),
            (reporter, "sdks/go1.22.4/bin/go"),
        ] {
            fs::hard_link(from, home.join(to)).expect("a program of the home");
        }
        File::create(home.join("leases/go1.22.4.lease")).expect("a lease");
        home
    }

    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.join(path).to_str().expect("a path in UTF-8").to_owned()
    }

    /// A call of one of the home's programs, in its `work`, with no variable at all.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.join(program));
        command.env_clear().current_dir(self.join("work"));
        command
    }

    /// Runs a call and reads the report, unless it is `govern`'s.
    pub(crate) fn report_of_sdk(&self, command: &mut Command) -> Option<Report> {
        let report = report(command);
        if report.program == self.text("bin/govern") {
            return None;
        }
        assert_eq!(report.program, self.text("sdks/go1.22.4/bin/go"));
        Some(report)
    }

    /// The answer that runs the SDK, as far as every test wants it.
    pub(crate) fn run(&self, edits: impl FnOnce(RunWriter<'_>) -> RunWriter<'_>) -> Vec<u8> {
        self.run_program(&self.text("sdks/go1.22.4/bin/go"), edits)
    }

    /// The answer that runs some program.
    pub(crate) fn run_program(&self, program: &str, edits: impl FnOnce(RunWriter<'_>) -> RunWriter<'_>) -> Vec<u8> {
        let (mut buffer, lease) = (vec![0; MAX_FRAME], self.text("leases/go1.22.4.lease"));
        let writer = RunWriter::new(&mut buffer, program.as_bytes(), Some(lease.as_bytes())).expect("paths fit");
        edits(writer).finish().expect("the answer fits").to_vec()
    }
}

/// What a daemon was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) tool: String,
    pub(crate) cwd: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) has_more_arguments: bool,
    pub(crate) variables: BTreeMap<String, String>,
}

/// A daemon for one question.
pub(crate) struct Daemon {
    /// The directory of the socket, through which it is reached however long its path is.
    run: File,
    served: JoinHandle<Option<Asked>>,
}

impl Daemon {
    /// Answers the question with these bytes, and closes.
    pub(crate) fn answering(home: &Home, answer: Vec<u8>) -> Daemon {
        Daemon::doing(home, move |mut stream| {
            let asked = hear(&mut stream)?;
            // A shim that has heard enough may be gone.
            let _ = stream.write_all(&answer);
            Some(asked)
        })
    }

    pub(crate) fn falling_back(home: &Home) -> Daemon {
        Daemon::answering(home, Answer::encode_fallback(&mut [0; 64]).expect("it fits").to_vec())
    }

    /// Does as it is told with the first connection.
    pub(crate) fn doing(home: &Home, serve: impl FnOnce(UnixStream) -> Option<Asked> + Send + 'static) -> Daemon {
        let run = File::open(home.join("run")).expect("the socket's directory");
        let listener = UnixListener::bind(socket(&run)).expect("a socket");
        let served = thread::spawn(move || listener.accept().ok().and_then(|(stream, _)| serve(stream)));
        Daemon { run, served }
    }

    /// What it was asked; `None` when nobody asked, or nothing that is a question.
    pub(crate) fn asked(self) -> Option<Asked> {
        // The connection that ends a daemon whom nobody asked; whoever came first is served first.
        drop(UnixStream::connect(socket(&self.run)));
        self.served.join().expect("the daemon does not panic")
    }
}

fn socket(run: &File) -> String {
    format!("/proc/self/fd/{}/shim.sock", run.as_raw_fd())
}

/// Reads a question. `None` when the connection ends before it is whole.
pub(crate) fn hear(stream: &mut UnixStream) -> Option<Asked> {
    let mut frame = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(len) => frame.extend(&chunk[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
        if Question::frame_len(&frame).expect("a question").is_some_and(|whole| whole <= frame.len()) {
            break;
        }
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let question = Question::decode(&frame).expect("a question");
    Some(Asked {
        tool: text(question.tool.name()),
        cwd: text(question.cwd),
        arguments: question.arguments().map(text).collect(),
        has_more_arguments: question.has_more_arguments,
        variables: question.variables().map(|(name, value)| (text(name), text(value))).collect(),
    })
}

/// How a reporter was called.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its path.
    pub(crate) program: String,
    /// Without argv[0], which the kernel replaces for a script.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) descriptors: BTreeMap<u32, String>,
}

impl Report {
    pub(crate) fn of(output: &Output) -> Report {
        let shown = format!("{output:?}");
        assert_eq!(output.status.code(), Some(7), "{shown}");
        assert!(output.stderr.is_empty(), "{shown}");
        Report::read(&output.stdout)
    }

    pub(crate) fn read(stdout: &[u8]) -> Report {
        let text = std::str::from_utf8(stdout).expect("UTF-8");
        let mut lines = text.lines();
        let mut words =
            || lines.next().unwrap_or_default().split_terminator('\0').map(str::to_owned).collect::<Vec<_>>();
        let mut arguments = words().into_iter().skip(1);
        let program = arguments.next().unwrap_or_default();
        let environment = words();
        let descriptors = lines.filter_map(|line| {
            let (before, target) = line.split_once(" -> ")?;
            Some((before.rsplit(' ').next()?.parse().ok()?, target.to_owned()))
        });
        Report { program, arguments: arguments.collect(), environment, descriptors: descriptors.collect() }
    }
}

/// Runs a call with nothing on stdin, and reads the report.
pub(crate) fn report(command: &mut Command) -> Report {
    Report::of(&command.output().expect("the shim runs"))
}

pub(crate) fn sorted(lines: &[String]) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.sort_unstable();
    lines
}

/// Says whether the tests run as root, who can give files away and become others.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|status| std::os::unix::fs::MetadataExt::uid(&status) == 0)
}

/// Makes a symbolic link, its directory included.
pub(crate) fn link(to: &Path, at: &Path) {
    fs::create_dir_all(at.parent().expect("a link lies in a directory")).expect("its directory");
    symlink(to, at).expect("a link");
}
