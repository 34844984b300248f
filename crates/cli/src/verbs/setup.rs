//! `setup`: puts govern's programs into the one directory that is on PATH, and that directory on PATH. Once more does
//! no harm, also while the programs run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};

use crate::args::Setup;
use crate::exit::{self, Exit};
use crate::local;
use crate::path::find_foreign;
use crate::replace::{self, cannot};
use crate::start_up::{self, MARKER, Shells, StartUp, What};
use crate::text::count;
use crate::verbs::Session;

/// The programs of an installation, and whether each is a shim.
const PROGRAMS: [(&str, bool); 4] = [("govern", false), ("governd", false), ("go", true), ("gofmt", true)];

/// What every shim has in it, and no Go: the words of its second move.
const SHIM_MARK: &[u8] = b"__shim";

pub(crate) fn setup(session: &Session<'_>, args: &Setup) -> Result<Exit, Report> {
    session.ask.mine()?;
    let layout = session.ask.layout();
    let bin = layout.bin();
    if bin.as_os_str().as_encoded_bytes().contains(&b':') {
        let fact = format!("{} cannot stand on PATH: there is a colon in it", escaped(&bin));
        return Err(Report::new(Code::Usage, fact).hint("GOVERN_HOME=$HOME/.govern govern setup"));
    }
    let sources = sources(session, args.shims.as_deref())?;
    for dir in [&bin, &layout.sdks(), &layout.records(), &layout.leases(), &layout.config, &layout.cache, &layout.state]
    {
        fs::create_dir_all(dir).map_err(|e| cannot("create", dir, &e))?;
    }
    let mut new = Vec::new();
    for (name, from) in &sources {
        if put(from, &bin.join(name))? {
            new.push(*name);
        }
    }
    local::write_paths(layout)?;
    // Whoever may run the programs must be able to read where the rest is.
    let paths = layout.paths_file();
    fs::set_permissions(&paths, Permissions::from_mode(0o644)).map_err(|e| cannot("change", &paths, &e))?;
    for name in &new {
        session.ui.talk(&format!(" + {}", escaped(&bin.join(name))));
    }
    session.ask.local()?.sync_launchers()?;

    let home = session.world.home();
    write_snippets(layout, home)?;
    match home.filter(|_| !args.no_modify_path) {
        Some(home) => modify_path(session, home)?,
        None if args.no_modify_path => {}
        None => session.ui.note("HOME is not set: no shell's start-up file was touched"),
    }
    tell(session, home, args.no_modify_path);
    if new.contains(&"governd") && session.ask.is_anybody_there() {
        session.ui.hint("govern daemon restart");
    }
    Ok(exit::OK)
}

/// Where each program is copied from.
fn sources(session: &Session<'_>, shims: Option<&Path>) -> Result<Vec<(&'static str, PathBuf)>, Report> {
    let exe = session.world.exe.as_deref().and_then(|exe| fs::canonicalize(exe).ok());
    let exe = exe.ok_or_else(|| Report::new(Code::Failure, "cannot find the path of this program"))?;
    let beside = exe.parent().unwrap_or(Path::new("/")).to_owned();
    let shims = shims.map(|dir| session.world.dir().map(|cwd| cwd.join(dir))).transpose()?;
    // A directory that was named is the only place for shims: others would be a silent surprise.
    let is_named = shims.is_some();
    let dirs: Vec<PathBuf> = shims.into_iter().chain([beside, session.ask.layout().bin()]).collect();
    PROGRAMS
        .into_iter()
        .map(|(name, is_shim)| {
            if name == "govern" {
                return Ok((name, exe.clone()));
            }
            let dirs = if is_shim && is_named { &dirs[..1] } else { &dirs[..] };
            let mut candidates = dirs.iter().map(|dir| dir.join(name));
            let found = candidates.find(|path| path.is_file() && (!is_shim || has_mark(path)));
            found.map(|path| (name, path)).ok_or_else(|| missing(name, is_shim, dirs))
        })
        .collect()
}

/// A `go` that lies beside govern may be a real one.
fn has_mark(path: &Path) -> bool {
    let is_small = fs::metadata(path).is_ok_and(|meta| meta.len() < 8 << 20);
    is_small && fs::read(path).is_ok_and(|bytes| bytes.windows(SHIM_MARK.len()).any(|window| window == SHIM_MARK))
}

fn missing(name: &str, is_shim: bool, dirs: &[PathBuf]) -> Report {
    let kind = if is_shim { "the shim " } else { "" };
    let looked: Vec<String> = dirs.iter().map(|dir| escaped(dir)).collect();
    let fact = format!("cannot find {kind}`{name}`, which belongs to govern");
    let report = Report::new(Code::Failure, fact).cause(format!("it is not in {}", looked.join(", ")));
    if is_shim { report.hint("govern setup --shims DIR") } else { report }
}

/// Copies a program to its place. False when it is there already.
fn put(from: &Path, to: &Path) -> Result<bool, Report> {
    let is_there = fs::canonicalize(to).is_ok_and(|to| fs::canonicalize(from).is_ok_and(|from| from == to));
    let is_same = || {
        Some(
            fs::metadata(from).ok()?.len() == fs::metadata(to).ok()?.len()
                && fs::read(from).ok()? == fs::read(to).ok()?,
        )
    };
    if is_there || is_same().unwrap_or(false) {
        return Ok(false);
    }
    replace::program(from, to)?;
    Ok(true)
}

fn env(layout: &Layout) -> PathBuf {
    layout.data.join("env")
}

fn env_login(layout: &Layout) -> PathBuf {
    layout.data.join("env.login")
}

fn write_snippets(layout: &Layout, home: Option<&Path>) -> Result<(), Report> {
    let bin = start_up::quoted(&layout.bin(), home);
    replace::text(&env(layout), &start_up::env(&bin))?;
    replace::text(&env_login(layout), &start_up::env_login(&bin))
}

/// Puts the line into every start-up file that it belongs into.
fn modify_path(session: &Session<'_>, home: &Path) -> Result<(), Report> {
    let layout = session.ask.layout();
    let terminal = &session.world.terminal;
    let config = session.world.vars.os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let uses_zsh = terminal.shell.as_deref().and_then(Path::file_name).is_some_and(|name| name == "zsh");
    let on_path = || session.world.vars.os("PATH").and_then(|path| crate::path::find("zsh".as_ref(), path));
    let shells = Shells {
        home,
        config: &config.unwrap_or_else(|| home.join(".config")),
        zdotdir: terminal.zdotdir.as_deref(),
        has_zsh: uses_zsh || on_path().is_some(),
    };
    for StartUp { path, what } in start_up::files(&shells, Path::exists) {
        let old = match replace::read(&path) {
            Ok(old) => old,
            Err(report) => {
                session.ui.note(&format!("{}: {}", report.fact, report.causes.join(": ")));
                continue;
            }
        };
        let line = match what {
            What::Line | What::TopLine => start_up::line(&start_up::quoted(&env(layout), Some(home))),
            What::LoginLine => start_up::line(&start_up::quoted(&env_login(layout), Some(home))),
            What::Fish => start_up::fish(&start_up::quoted(&layout.bin(), Some(home))),
        };
        let new = match what {
            What::Fish => Some(line.clone()).filter(|text| old.as_ref() != Some(text)),
            _ => start_up::with_line(old.as_deref().unwrap_or_default(), &line, what),
        };
        let Some(new) = new else { continue };
        match replace::text(&path, &new) {
            Ok(()) => session.ui.talk(&format!(" {} {}", if old.is_some() { '~' } else { '+' }, escaped(&path))),
            // Home managers of some systems own these files and keep them read-only.
            Err(report) => {
                session.ui.note(&format!("{}: {}; put this line there", report.fact, report.causes.join(": ")));
                session.ui.talk(&format!("  {}", line.trim_end()));
            }
        }
    }
    Ok(())
}

/// What to type next.
fn tell(session: &Session<'_>, home: Option<&Path>, is_path_left_alone: bool) {
    let layout = session.ask.layout();
    let bin = layout.bin();
    let path = session.world.vars.os("PATH");
    if let Some(program) = find_foreign("go", path, layout) {
        session.ui.talk(&format!(
            "{} stays as it is; where govern's directory comes first, `go` is govern's",
            escaped(&program)
        ));
    }
    let is_on_path = path.is_some_and(|path| std::env::split_paths(path).any(|entry| entry == bin));
    session.ui.done(&format!("Set up govern in {}", escaped(&layout.data)));
    let env = start_up::quoted(&env(layout), home);
    let next = match (is_on_path, is_path_left_alone) {
        (true, _) => "next: go version".to_owned(),
        (false, false) => format!("next: open a new terminal, or type  . \"{env}\"  in this one; then  go version"),
        (false, true) => format!("next: . \"{env}\"; go version"),
    };
    session.ui.talk(&next);
    let files = session.ask.sdks().map_or(0, |sdks| sdks.installed.len());
    session.ui.detail(&format!("{}; lines in start-up files end with `{MARKER}`", count(files, "installed version")));
}
