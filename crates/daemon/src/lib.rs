//! `governd`: answers the shims, does what the command line asks for, keeps the index, watches pins. One for each
//! installation of a user, in the foreground always: whoever starts it decides about sessions and logs.
//!
//! The disk is the truth and this is an accelerator: stop it for ever, and `go` still works.

mod answer;
mod answered;
mod api;
mod changes;
mod claim;
mod daemon;
mod fault;
mod file_id;
mod index;
mod job;
mod jobs;
mod log;
mod os;
mod run_dir;
mod shim;
mod sockets;
mod watch;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use govern_core::layout::Layout;
use govern_core::origin::escaped_text;
use govern_core::platform::Platform;
use govern_core::problem::Code;
use govern_core::vars::Vars;
use govern_engine::home;
use rustix::fs::Mode;
use rustix::process::Resource;
use sd_notify::NotifyState;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::{DRAIN, Daemon, Hints, Setup};
use crate::os::Inherited;

const USAGE: &str = "\
governd, the background daemon of govern: answers the go and gofmt shims

Usage: governd [--home DIR]

      --home DIR  keep everything under DIR, as GOVERN_HOME does
  -V, --version   print the version
  -h, --help      print this

It stays in the foreground. `govern daemon start` puts it in the background.
";

/// Open files that are enough for every client and every question at once; macOS allows no more.
const OPEN_FILES: u64 = 10_240;

/// Blocking work that outlives the daemon is waited for this long: the disk may hang.
const LAST: Duration = Duration::from_millis(500);

/// What the daemon knows of the process it runs in. Read once.
#[derive(Debug)]
pub struct Env {
    args: Vec<OsString>,
    cwd: io::Result<PathBuf>,
    exe: Option<PathBuf>,
    vars: Vars,
    inherited: Inherited,
}

impl Env {
    /// Reads it. To be called once, before any thread or file is opened: it takes over the descriptors that a service
    /// manager passed on, and closes all others.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where main reads the environment")]
    pub fn of_this_process() -> Env {
        Env {
            inherited: Inherited::take(),
            args: std::env::args_os().skip(1).collect(),
            cwd: std::env::current_dir(),
            exe: std::env::current_exe().ok(),
            vars: Vars::collect(std::env::vars_os()),
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Run { home: Option<PathBuf> },
    Version,
    Help,
}

/// Does what the command line asks for, and gives the process's exit code.
#[must_use]
pub fn run(env: Env) -> ExitCode {
    match parse(&env.args) {
        Ok(Command::Version) => say(&format!("governd {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Help) => say(USAGE),
        Ok(Command::Run { home }) => match serve(env, home) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(Code::Failure, &error),
        },
        Err(fault) => complain(Code::Usage, &anyhow::anyhow!(fault)),
    }
}

fn parse(args: &[OsString]) -> Result<Command, String> {
    let mut command = Command::Run { home: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("-V" | "--version") => return Ok(Command::Version),
            Some("-h" | "--help") => return Ok(Command::Help),
            Some("--home") => {
                let dir = args.next().ok_or("`--home` needs a directory")?;
                command = Command::Run { home: Some(dir.into()) };
            }
            _ => return Err(format!("`{}` is no option of governd", escaped_text(&arg.to_string_lossy()))),
        }
    }
    Ok(command)
}

fn serve(env: Env, home: Option<PathBuf>) -> anyhow::Result<()> {
    log::start(env.vars.text("GOVERN_LOG"));
    // Everything the daemon makes is its user's alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    raise_open_files();
    let layout = match home {
        Some(dir) => Layout::under(&env.cwd.context("the working directory is gone")?.join(dir)),
        None => home::find(env.exe.as_deref(), &env.vars)?,
    };
    let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let setup = Setup { layout, platform, vars: env.vars, inherited: env.inherited, drain: DRAIN, hints: Hints::Watch };
    let result = runtime.block_on(live(setup));
    runtime.shutdown_timeout(LAST);
    result
}

async fn live(setup: Setup) -> anyhow::Result<()> {
    // Before anything is begun that a signal could cut off.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    // A terminal that closes is none of our business. Handled is ignored.
    let _hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let Some(daemon) = Daemon::start(setup)? else {
        tracing::info!("another daemon runs already");
        // One that ends without having been ready would be started again and again.
        notify(NotifyState::Ready);
        return Ok(());
    };
    notify(NotifyState::Ready);
    let (stop, cut) = (daemon.stop(), daemon.cut());
    let mut running = tokio::spawn(daemon.run());
    loop {
        tokio::select! {
            ended = &mut running => return ended.context("the daemon has a bug"),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            // Asked twice.
            cut.cancel();
        }
        notify(NotifyState::Stopping);
        stop.cancel();
    }
}

/// Tells the service manager, if there is one.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Takes more open files than the 1,024 or 256 that systems begin with for the sake of old programs.
fn raise_open_files() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    let allowed = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    limit.current = limit.current.map(|current| current.max(allowed));
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever closed the pipe has read enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn complain(code: Code, error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  {cause}\n"));
    }
    if code == Code::Usage {
        text.push_str("hint: governd --help\n");
    }
    // Without stderr there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(code.exit())
}
