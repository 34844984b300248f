//! Finds where govern's own files are. The only place that knows the rules; creates nothing but `paths.toml`.
//!
//! A program that lies in `<data>/bin` beside a `<data>/paths.toml` belongs to that installation, whoever calls it and
//! with whatever environment: so cron, sudo, systemd units and `env -i` need no setting. Any other program (freshly
//! built, or packaged) goes by `GOVERN_HOME`, then by the XDG base directories, on macOS too: a blank in
//! `Application Support` would break Makefiles that use GOROOT.

use std::fs;
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;
use govern_core::vars::Vars;
use serde::{Deserialize, Serialize};

use crate::config::write_atomically;
use crate::error::{At, Error};

/// What `paths.toml` says: the bases that cannot be told from where the programs are.
#[derive(Serialize, Deserialize)]
struct Paths {
    config: PathBuf,
    cache: PathBuf,
    state: PathBuf,
}

/// Finds the installation that the program `exe` belongs to.
///
/// # Errors
/// When there is no home directory to put it under, or `paths.toml` cannot be read.
pub fn find(exe: Option<&Path>, vars: &Vars) -> Result<Layout, Error> {
    if let Some(data) = exe.and_then(installed_in) {
        return of_data(&data, vars);
    }
    if let Some(home) = vars.os("GOVERN_HOME").map(PathBuf::from) {
        if !home.is_absolute() {
            return Err(Error::RelativeHome { home });
        }
        return Ok(Layout::under(&home));
    }
    by_xdg(vars)
}

/// Writes `paths.toml`, so that the programs in `<data>/bin` find the rest without any variable.
///
/// # Errors
/// When it cannot be written.
pub fn write_paths(layout: &Layout) -> Result<(), Error> {
    let file = layout.paths_file();
    let mut paths = toml_edit::DocumentMut::new();
    for (key, path) in [("config", &layout.config), ("cache", &layout.cache), ("state", &layout.state)] {
        let text = path.to_str().ok_or_else(|| Error::NotUtf8 { path: path.clone() })?;
        paths[key] = toml_edit::value(text);
    }
    write_atomically(&file, paths.to_string().as_bytes())
}

/// The user's home directory: HOME, else what the system's user database says.
#[must_use]
pub fn user_home(vars: &Vars) -> Option<PathBuf> {
    let home = vars.os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    home.or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()))
}

/// The data directory of the installation that a program's real path lies in.
fn installed_in(exe: &Path) -> Option<PathBuf> {
    let exe = fs::canonicalize(exe).ok()?;
    let bin = exe.parent()?;
    let data = bin.parent().filter(|_| bin.file_name().is_some_and(|name| name == "bin"))?;
    data.join("paths.toml").is_file().then(|| data.to_owned())
}

fn of_data(data: &Path, vars: &Vars) -> Result<Layout, Error> {
    let file = data.join("paths.toml");
    let text = fs::read_to_string(&file).at("read", &file)?;
    let paths: Paths =
        toml::from_str(&text).map_err(|source| Error::Config { path: file, source: Box::new(source) })?;
    let system = by_xdg(vars).map_or_else(|_| Layout::under(data).system, |layout| layout.system);
    Ok(Layout { data: data.to_owned(), config: paths.config, cache: paths.cache, state: paths.state, system })
}

fn by_xdg(vars: &Vars) -> Result<Layout, Error> {
    let home = user_home(vars).ok_or(Error::NoHome)?;
    // A relative path in an XDG variable is to be ignored (XDG base directory specification).
    let base = |name: &str, below: &str| {
        let set = vars.os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        set.unwrap_or_else(|| home.join(below))
    };
    Ok(Layout::from_bases(
        &base("XDG_DATA_HOME", ".local/share"),
        &base("XDG_CONFIG_HOME", ".config"),
        &base("XDG_CACHE_HOME", ".cache"),
        &base("XDG_STATE_HOME", ".local/state"),
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use govern_core::layout::Layout;
    use govern_core::vars::Vars;

    use super::{find, write_paths};

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        let mut vars = Vars::default();
        pairs.iter().for_each(|(name, value)| vars.set(name, *value));
        vars
    }

    #[test]
    fn an_installed_program_needs_no_variable() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().canonicalize().unwrap().join("data");
        fs::create_dir_all(data.join("bin")).unwrap();
        fs::write(data.join("bin/govern"), "").unwrap();
        let layout = Layout { data, ..Layout::under(Path::new("/elsewhere")) };
        write_paths(&layout).unwrap();
        let exe = layout.bin().join("govern");
        assert_eq!(find(Some(&exe), &Vars::default()).unwrap(), layout);
        assert_eq!(find(Some(&exe), &vars(&[("GOVERN_HOME", "/other"), ("HOME", "/h")])).unwrap(), layout);
        let link = dir.path().join("govern");
        std::os::unix::fs::symlink(&exe, &link).unwrap();
        assert_eq!(find(Some(&link), &Vars::default()).unwrap(), layout);
    }

    #[test]
    fn any_other_program_goes_by_the_variables() {
        let under = find(None, &vars(&[("GOVERN_HOME", "/x"), ("HOME", "/h")])).unwrap();
        assert_eq!(under, Layout::under(Path::new("/x")));
        let xdg =
            find(None, &vars(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c"), ("XDG_STATE_HOME", "relative")])).unwrap();
        assert_eq!(xdg.data, Path::new("/h/.local/share/govern"));
        assert_eq!(xdg.cache, Path::new("/c/govern"));
        assert_eq!(xdg.state, Path::new("/h/.local/state/govern"));
        assert!(find(None, &vars(&[("GOVERN_HOME", "x"), ("HOME", "/h")])).is_err());
    }
}
