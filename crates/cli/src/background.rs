//! Starts the daemon in the background, so that it outlives the terminal and holds nothing of it.
//! Leaves out asking it (`ask`).
//!
//! Two steps: `govern __start-daemon` begins a session of its own, starts governd in it and ends. So governd is a child
//! of init, not of a `go` that somebody waits for, and no terminal that closes takes it along.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};

use crate::exit::{self, Exit};
use crate::replace::cannot;
use crate::world::World;

/// The hidden verb of the first step. Its arguments: the program, the log.
pub(crate) const VERB: &str = "__start-daemon";

/// Two starts within this time are one: a daemon that dies at once is not started by every `go` of a build.
const PAUSE: Duration = Duration::from_secs(5);

/// What belongs to whoever started us, and must not reach a daemon: it would report to their service manager, or count
/// as one of their calls.
const NOT_INHERITED: &[&str] = &[
    "GOVERN_DEPTH",
    "GOVERN_SET_GOTOOLCHAIN",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Where governd is: in the installation, else beside this program.
pub(crate) fn program(world: &World, layout: &Layout) -> Result<PathBuf, Report> {
    let beside = world.exe.as_ref().map(|exe| exe.with_file_name("governd"));
    let candidates = [Some(layout.bin().join("governd")), beside];
    candidates.into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        Report::new(Code::Daemon, format!("governd is not installed in {}", escaped(&layout.bin())))
            .hint("govern setup")
    })
}

/// Starts the daemon. Returns as soon as it runs, which is before it listens.
pub(crate) fn start(world: &World, layout: &Layout) -> Result<(), Report> {
    let governd = program(world, layout)?;
    let own = Some(layout.bin().join("govern")).filter(|path| path.is_file()).or_else(|| world.exe.clone());
    let own = own.ok_or_else(|| Report::new(Code::Failure, "cannot find the path of this program"))?;
    let mut command = Command::new(&own);
    command.arg(VERB).arg(&governd).arg(layout.log());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    let status = command.status().map_err(|e| cannot("run", &own, &e))?;
    if status.success() { Ok(()) } else { Err(failed(&governd, status, layout)) }
}

fn failed(governd: &Path, status: ExitStatus, layout: &Layout) -> Report {
    let cause = match status.code() {
        // The second step leaves with the number of the system's error.
        Some(number) => io::Error::from_raw_os_error(number).to_string(),
        None => status.to_string(),
    };
    let report = Report::new(Code::Daemon, format!("cannot start {}", escaped(governd))).cause(cause);
    report.hint(format!("tail {}", escaped(&layout.log())))
}

/// Starts the daemon unless somebody tried just now. For a shim, which has nobody to tell when it fails.
pub(crate) fn start_quietly(world: &World, layout: &Layout) {
    let stamp = layout.state.join("daemon-start");
    drop(fs::create_dir_all(&layout.state));
    let is_recent = fs::metadata(&stamp)
        .and_then(|meta| meta.modified())
        .is_ok_and(|then| world.now.duration_since(then).is_ok_and(|since| since < PAUSE));
    if is_recent || File::create(&stamp).is_err() {
        return;
    }
    drop(start(world, layout));
}

/// The second step: leaves the session, starts the program, ends.
pub(crate) fn detach(args: &[OsString]) -> Exit {
    let [program, log] = args else { return Exit(Code::Usage.exit()) };
    match spawn(Path::new(program), Path::new(log)) {
        Ok(()) => exit::OK,
        Err(e) => Exit(e.raw_os_error().and_then(|number| u8::try_from(number).ok()).unwrap_or(1)),
    }
}

fn spawn(program: &Path, log: &Path) -> io::Result<()> {
    rustix::process::setsid()?;
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    let errors = log.try_clone()?;
    // Never waited for: this process ends now, and init takes over.
    Command::new(program).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map(drop)
}
