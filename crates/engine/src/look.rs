//! Looks around a directory: pin files on the way up, the module file that Go would find, `go env -w`'s file.
//! Reads data only: regular files of limited size, opened so that nothing can block. Decides nothing.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use govern_core::command::Command;
use govern_core::decide::{Level, ModuleFile, Modules, Question, Surroundings};
use govern_core::goenv::{self, GoEnv};
use govern_core::gomod;
use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::pinfile;
use govern_core::vars::Vars;
use govern_core::version::Version;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;

/// More parents than this are not looked at: no real tree is deeper, and a hostile one must not cost time.
const MAX_LEVELS: usize = 256;

/// The variables that [`around`] looks at, and that [`directory`] does not use up.
pub(crate) const VARIABLES: [&str; 6] = ["HOME", "XDG_CONFIG_HOME", "GOENV", "GOWORK", "GO111MODULE", "TMPDIR"];

/// The files that are looked for in every directory on the way up.
pub(crate) const NAMES: [&str; 4] = [".go-version", ".tool-versions", "go.work", "go.mod"];

/// Looks around a directory. What it gives depends on the directory, on [`VARIABLES`], and on the disk: on files named
/// [`NAMES`] in it and above, and on those that [`elsewhere`] names.
///
/// # Errors
/// When a file cannot be read for a reason that is not the file's own: too many open files, a failing disk. A decision
/// without it could be another one.
pub(crate) fn around(dir: &Path, vars: &Vars, layout: &Layout, os: &str) -> Result<Surroundings, Error> {
    let mut around = Surroundings { home: crate::home::user_home(vars), ..Surroundings::default() };
    let mut passed_over = Vec::new();
    around.go_env_file = goenv::user_file(vars, os);
    around.go_env = read_go_env(around.go_env_file.clone(), &mut passed_over)?;
    for dir in levels(dir) {
        let mut entries = |name: &str, parse: fn(&[u8]) -> Vec<pinfile::Entry>| {
            Ok::<_, Error>(read(&dir.join(name), &mut passed_over)?.map(|text| parse(&text)).unwrap_or_default())
        };
        let go_version = entries(".go-version", pinfile::go_version)?;
        let tool_versions = entries(".tool-versions", pinfile::tool_versions)?;
        around.levels.push(Level { dir: dir.to_owned(), go_version, tool_versions });
    }
    (around.modules, around.module_file) = modules(dir, vars, &around.go_env, layout, &mut passed_over)?;
    around.passed_over = passed_over;
    Ok(around)
}

/// The directory and those above it, as many as are looked at.
pub(crate) fn levels(dir: &Path) -> impl Iterator<Item = &Path> {
    dir.ancestors().take(MAX_LEVELS)
}

/// The variables, a relative GOENV made absolute: it is one from where Go is started, and `-C` comes later.
pub(crate) fn with_absolute_goenv<'a>(vars: &'a Vars, cwd: &Path) -> Cow<'a, Vars> {
    match vars.os("GOENV").filter(|path| *path != "off" && !Path::new(path).is_absolute()) {
        None => Cow::Borrowed(vars),
        Some(path) => {
            let mut all = vars.clone();
            all.set("GOENV", cwd.join(path));
            Cow::Owned(all)
        }
    }
}

/// The files outside the directories on the way up that [`around`] looks at; but for a workspace that the first of them
/// names.
pub(crate) fn elsewhere(vars: &Vars, os: &str) -> Vec<PathBuf> {
    let work = vars.os("GOWORK").map(PathBuf::from).filter(|path| path.is_absolute());
    goenv::user_file(vars, os).into_iter().chain(work).collect()
}

/// The directory whose go.mod Go does not count.
pub(crate) fn temporary(vars: &Vars) -> &Path {
    vars.os("TMPDIR").map_or(Path::new("/tmp"), Path::new)
}

/// The file that `go env -w` writes, for callers that are not asking which Go to run.
pub(crate) fn go_env(vars: &Vars, os: &str) -> Result<GoEnv, Error> {
    read_go_env(goenv::user_file(vars, os).filter(|path| path.is_absolute()), &mut Vec::new())
}

/// The GOTOOLCHAIN in the `go.env` of each of these SDKs, where it is not the `auto` of every release.
pub(crate) fn sdk_toolchains(
    versions: impl Iterator<Item = Version>,
    layout: &Layout,
) -> Result<Vec<(Version, String)>, Error> {
    let mut found = Vec::new();
    for version in versions {
        let text = read(&layout.sdk(&version).join("go.env"), &mut Vec::new())?.unwrap_or_default();
        if let Some(value) = GoEnv::parse(&text).line("GOTOOLCHAIN").filter(|value| *value != "auto") {
            found.push((version, value.to_owned()));
        }
    }
    Ok(found)
}

fn read_go_env(path: Option<PathBuf>, passed_over: &mut Vec<String>) -> Result<GoEnv, Error> {
    let Some(path) = path else { return Ok(GoEnv::default()) };
    Ok(read(&path, passed_over)?.map(|text| GoEnv::parse(&text)).unwrap_or_default())
}

/// The directory that counts: the logical one of `$PWD` when it is the working directory, moved by a leading `-C`.
/// False beside it when `-C` leads nowhere, which is for Go to complain about.
/// Source: Go's `os.Getwd`, which selection walks up from.
pub(crate) fn directory(question: &Question, cwd: &Path) -> (PathBuf, bool) {
    let logical = |physical: PathBuf| {
        let pwd = question.vars.os("PWD").map(Path::new).filter(|pwd| pwd.is_absolute());
        match pwd.filter(|pwd| pwd.as_os_str() == physical.as_os_str() || is_same(pwd, &physical)) {
            Some(pwd) => clean(pwd),
            None => physical,
        }
    };
    let dir = logical(cwd.to_owned());
    match Command::parse(&question.args).chdir {
        Some(to) => match fs::canonicalize(dir.join(to)).ok().filter(|to| to.is_dir()) {
            Some(to) => (logical(to), true),
            None => (dir, false),
        },
        None => (dir, true),
    }
}

/// Drops the `.` and `..` of a path, which textual parents could not climb over.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    if path.components().all(|c| !matches!(c, Component::ParentDir | Component::CurDir)) {
        return path.components().collect();
    }
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn is_same(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

/// Whether Go works with modules, and the active go.work, else go.mod, by cmd/go's rules (`modload.WillBeEnabled`,
/// `modload.FindGoWork`, `modload.FindGoMod`).
fn modules(
    dir: &Path,
    vars: &Vars,
    go_env: &GoEnv,
    layout: &Layout,
    passed_over: &mut Vec<String>,
) -> Result<(Modules, Option<ModuleFile>), Error> {
    let is_automatic = match go_env.effective(vars, "GO111MODULE") {
        None | Some("on") => false,
        Some("auto") => true,
        Some(_) => return Ok((Modules::Off, None)),
    };
    let go_work = match go_env.effective(vars, "GOWORK") {
        Some("off") => None,
        None | Some("auto") => nearest_go_work(dir, layout),
        Some(path) if !Path::new(path).is_absolute() => {
            // Go before 1.27 looks for a go.mod only, to find out whether there are modules.
            let has_modules = !is_automatic || nearest_go_mod(dir, vars).is_some();
            return Ok((if has_modules { Modules::Refused } else { Modules::OnFromGo127 }, None));
        }
        Some(path) => Some(PathBuf::from(path)).filter(|path| path.exists()),
    };
    let go_mod = if go_work.is_none() || is_automatic { nearest_go_mod(dir, vars) } else { None };
    let modules = match (is_automatic, &go_work, &go_mod) {
        (false, _, _) | (true, _, Some(_)) => Modules::On,
        (true, Some(_), None) => Modules::OnFromGo127,
        (true, None, None) => Modules::Off,
    };
    let Some(path) = go_work.or(go_mod) else { return Ok((modules, None)) };
    let Some(text) = read(&path, passed_over)? else { return Ok((modules, None)) };
    let (go, toolchain) = (gomod::scan(&text, "go"), gomod::scan(&text, "toolchain"));
    Ok((modules, Some(ModuleFile { path, go, toolchain })))
}

fn nearest_go_work(dir: &Path, layout: &Layout) -> Option<PathBuf> {
    let sdks = layout.sdks();
    for dir in levels(dir) {
        let file = dir.join("go.work");
        if fs::metadata(&file).is_ok_and(|m| !m.is_dir()) {
            return Some(file);
        }
        // Go does not look for a workspace above its own GOROOT.
        if dir.parent().is_some_and(|parent| parent.parent() == Some(&sdks)) {
            return None;
        }
    }
    None
}

fn nearest_go_mod(dir: &Path, vars: &Vars) -> Option<PathBuf> {
    let found = levels(dir).find(|dir| fs::metadata(dir.join("go.mod")).is_ok_and(|m| !m.is_dir()))?;
    // A go.mod in the directory for temporary files itself is an accident, and ends the search.
    (!is_same(found, temporary(vars))).then(|| found.join("go.mod"))
}

/// Reads a regular file of at most [`pinfile::MAX_FILE`] bytes. Anything else that is there is noted and passed over.
fn read(path: &Path, passed_over: &mut Vec<String>) -> Result<Option<Vec<u8>>, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let done = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => read_regular(&mut fd.into()),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(e) => Err(Unread::Failed(e.into())),
    };
    let reason = match done {
        Ok(text) => return Ok(Some(text)),
        Err(Unread::Failed(source)) if is_the_machines(&source) => {
            return Err(Error::File { action: "read", path: path.to_owned(), source });
        }
        Err(Unread::Failed(source)) => source.to_string(),
        Err(Unread::Unfit(reason)) => reason,
    };
    passed_over.push(format!("{} is passed over: {reason}", escaped(path)));
    Ok(None)
}

/// Why nothing was read.
enum Unread {
    /// The system says no.
    Failed(io::Error),
    /// It is no pin file.
    Unfit(String),
}

/// True for errors that say nothing about the file.
fn is_the_machines(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO | Errno::NOBUFS))
}

fn read_regular(file: &mut File) -> Result<Vec<u8>, Unread> {
    let meta = file.metadata().map_err(Unread::Failed)?;
    if !meta.is_file() {
        return Err(Unread::Unfit("it is not a regular file".to_owned()));
    }
    if meta.len() > pinfile::MAX_FILE {
        let reason = format!("it has {} bytes; a pin file has at most {}", meta.len(), pinfile::MAX_FILE);
        return Err(Unread::Unfit(reason));
    }
    let mut text = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    // It may have grown since: the limit holds for what is read.
    file.take(pinfile::MAX_FILE).read_to_end(&mut text).map_err(Unread::Failed)?;
    Ok(text)
}
