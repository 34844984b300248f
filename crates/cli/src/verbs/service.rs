//! `daemon install` and `daemon uninstall`: hands the daemon's sockets to the system's own service manager, which then
//! starts it with the first question. systemd on Linux, launchd on macOS; the units are those of the repository.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use govern_core::layout::Layout;
use govern_core::origin::{escaped, escaped_text};
use govern_core::problem::{Code, Report};

use crate::background;
use crate::exit::{self, Exit};
use crate::local;
use crate::replace::{self, cannot};
use crate::verbs::Session;

/// systemd's units: name and text as they are in the repository.
const UNITS: [(&str, &str); 3] = [
    ("governd.socket", include_str!("../../../../systemd/governd.socket")),
    ("governd-api.socket", include_str!("../../../../systemd/governd-api.socket")),
    ("governd.service", include_str!("../../../../systemd/governd.service")),
];

/// The sockets, which are what is enabled.
const SOCKETS: [&str; 2] = ["governd.socket", "governd-api.socket"];

/// launchd's agent.
const AGENT: (&str, &str) = ("dev.govern.governd", include_str!("../../../../launchd/dev.govern.governd.plist"));

/// Where the units as written look for the program.
const USUAL_PROGRAM: &str = "%h/.local/share/govern/bin/governd";

pub(crate) fn install(session: &Session<'_>) -> Result<Exit, Report> {
    session.ask.mine()?;
    let governd = background::program(session.world, session.ask.layout())?;
    // It would keep the sockets that the system is to hold.
    match session.ask.stop() {
        Err(report) if report.code != Code::Daemon => return Err(report),
        _ => {}
    }
    if cfg!(target_os = "macos") { with_launchd(session, &governd) } else { with_systemd(session, &governd) }
}

pub(crate) fn uninstall(session: &Session<'_>) -> Result<Exit, Report> {
    session.ask.mine()?;
    if cfg!(target_os = "macos") {
        let path = agent_path(session)?;
        let gone = manager("launchctl", &["bootout", &format!("{}/{}", domain(session), AGENT.0)]);
        take_away(&path)?;
        gone?;
    } else {
        let dir = unit_dir(session)?;
        let gone = manager("systemctl", &["--user", "disable", "--now", SOCKETS[0], SOCKETS[1], UNITS[2].0]);
        UNITS.iter().try_for_each(|(name, _)| take_away(&dir.join(name)))?;
        gone?;
        manager("systemctl", &["--user", "daemon-reload"])?;
    }
    session.ui.done("Removed the daemon from the system; go and govern start it themselves");
    Ok(exit::OK)
}

fn with_systemd(session: &Session<'_>, governd: &Path) -> Result<Exit, Report> {
    let dir = unit_dir(session)?;
    let runtime = session.world.vars.os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime = runtime.ok_or_else(|| {
        let fact = "there is no systemd of yours here: XDG_RUNTIME_DIR is not set";
        Report::new(Code::Failure, fact).hint("govern daemon start")
    })?;
    for (name, text) in UNITS {
        let path = dir.join(name);
        replace::text(&path, &unit(text, governd)?)?;
        session.ui.talk(&format!(" + {}", escaped(&path)));
    }
    lead(session.ask.layout(), &runtime.join("govern"))?;
    manager("systemctl", &["--user", "daemon-reload"])?;
    manager("systemctl", &["--user", "enable", "--now", SOCKETS[0], SOCKETS[1]])?;
    session.ui.done("Installed the daemon: systemd starts it with the first question");
    Ok(exit::OK)
}

/// A unit with the program's own place in it.
fn unit(text: &str, governd: &Path) -> Result<String, Report> {
    let path = governd.to_str().filter(|path| !path.chars().any(char::is_control));
    let path = path.ok_or_else(|| {
        Report::new(Code::Failure, format!("{} cannot stand in a unit", escaped(governd))).hint("govern daemon start")
    })?;
    let escaped = path.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(text.replace(USUAL_PROGRAM, &format!("\"{escaped}\"")))
}

/// Makes `<data>/run` lead to where the system holds the sockets, so that the very first question gets there.
fn lead(layout: &Layout, target: &Path) -> Result<(), Report> {
    let run = layout.run();
    if fs::read_link(&run).is_ok_and(|at| at == target) {
        return Ok(());
    }
    match DirBuilder::new().mode(0o700).create(target) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(cannot("create", target, &e)),
        _ => {}
    }
    let fresh = run.with_file_name(".run-govern");
    let made = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        symlink(target, &fresh)?;
        if fs::symlink_metadata(&run).is_ok_and(|meta| meta.is_dir()) {
            fs::remove_dir_all(&run)?;
        }
        fs::rename(&fresh, &run)
    };
    made().map_err(|e| cannot("link", &run, &e))
}

fn with_launchd(session: &Session<'_>, governd: &Path) -> Result<Exit, Report> {
    let path = agent_path(session)?;
    let layout = session.ask.layout();
    match DirBuilder::new().mode(0o700).create(layout.run()) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(cannot("create", &layout.run(), &e)),
        _ => {}
    }
    replace::text(&path, &agent(AGENT.1, governd, layout))?;
    session.ui.talk(&format!(" + {}", escaped(&path)));
    // An agent of that name that is there already is replaced; that there is none is no failure.
    drop(manager("launchctl", &["bootout", &format!("{}/{}", domain(session), AGENT.0)]));
    manager("launchctl", &["bootstrap", &domain(session), &path.to_string_lossy()])?;
    session.ui.done("Installed the daemon: launchd starts it with the first question");
    Ok(exit::OK)
}

/// The agent with the installation's own places in it.
fn agent(text: &str, governd: &Path, layout: &Layout) -> String {
    let places = [
        ("@HOME@/.local/share/govern/bin/governd", governd.to_owned()),
        ("@HOME@/.local/share/govern/run/shim.sock", layout.shim_socket()),
        ("@HOME@/.local/share/govern/run/api.sock", layout.api_socket()),
        ("@HOME@/.local/state/govern/governd.log", layout.log()),
    ];
    places.iter().fold(text.to_owned(), |text, (usual, own)| {
        let own = own.to_string_lossy().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace(usual, &own)
    })
}

fn domain(session: &Session<'_>) -> String {
    format!("gui/{}", session.world.uid)
}

fn agent_path(session: &Session<'_>) -> Result<PathBuf, Report> {
    let home = local::user_home(session.world).ok_or_else(no_home)?;
    Ok(home.join("Library/LaunchAgents").join(format!("{}.plist", AGENT.0)))
}

fn unit_dir(session: &Session<'_>) -> Result<PathBuf, Report> {
    let config = session.world.vars.os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| local::user_home(session.world).map(|home| home.join(".config")));
    Ok(config.ok_or_else(no_home)?.join("systemd/user"))
}

fn no_home() -> Report {
    Report::new(Code::Failure, "there is no home directory: HOME is not set").hint("govern daemon start")
}

fn take_away(path: &Path) -> Result<(), Report> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, &e)),
        _ => Ok(()),
    }
}

/// Asks the service manager for something.
fn manager(program: &str, args: &[&str]) -> Result<(), Report> {
    let failed = |cause: String| {
        let fact = format!("`{program} {}` failed", args.join(" "));
        Report::new(Code::Failure, fact).cause(cause).hint("govern daemon start")
    };
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(if said.trim().is_empty() { output.status.to_string() } else { escaped_text(said.trim()) }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use govern_core::layout::Layout;

    use super::{AGENT, UNITS, USUAL_PROGRAM, agent, unit};

    #[test]
    fn the_units_get_the_installations_own_places() {
        let service = UNITS[2].1;
        assert!(service.contains(USUAL_PROGRAM), "the unit no longer says where the program is");
        let own = unit(service, Path::new("/opt/g o/100%/bin/governd")).unwrap();
        assert!(own.contains("\nExecStart=\"/opt/g o/100%%/bin/governd\"\n"), "{own}");
        let text = agent(AGENT.1, Path::new("/opt/a&b/bin/governd"), &Layout::under(Path::new("/opt/a&b")));
        assert!(text.contains("<string>/opt/a&amp;b/bin/governd</string>"), "{text}");
        assert!(text.contains("<string>/opt/a&amp;b/run/shim.sock</string>"), "{text}");
        let xml = text.split("<plist").nth(1).unwrap();
        assert!(!xml.contains("@HOME@"), "a place of the agent is not filled in: {text}");
    }
}
