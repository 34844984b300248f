//! PATH: entries put in front or behind, and the `go` further down it that is not ours.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;

/// The entries of a PATH, as they stand there; an empty one means the working directory.
fn entries(path: &OsStr) -> impl Iterator<Item = &Path> {
    path.as_bytes().split(|byte| *byte == b':').map(|entry| Path::new(OsStr::from_bytes(entry)))
}

/// `path` with `dir` at its end; `None` when it is in it already, or no PATH can hold it.
pub(crate) fn appended(path: Option<&OsStr>, dir: &Path) -> Option<OsString> {
    if dir.as_os_str().as_bytes().contains(&b':') {
        return None;
    }
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Some(dir.into()) };
    if entries(path).any(|entry| entry.as_os_str() == dir.as_os_str()) {
        return None;
    }
    Some(joined(path, dir.as_os_str()))
}

/// `path` with `dir` as its first entry, and nowhere else in it.
pub(crate) fn prepended(path: Option<&OsStr>, dir: &Path) -> OsString {
    let rest = path.filter(|path| !path.is_empty()).map(entries).into_iter().flatten();
    rest.filter(|entry| *entry != dir).fold(dir.into(), |path: OsString, entry| joined(&path, entry.as_os_str()))
}

fn joined(a: &OsStr, b: &OsStr) -> OsString {
    OsString::from_vec([a.as_bytes(), b":", b.as_bytes()].concat())
}

/// The first program called `name` on `path` that is not govern's own. Relative entries do not count: what is found
/// must not depend on the directory that a checkout was unpacked in.
pub(crate) fn find_foreign(name: &str, path: Option<&OsStr>, layout: &Layout) -> Option<PathBuf> {
    let own_dirs = [layout.bin(), layout.launchers_all(), layout.launchers_installed()];
    let own_dirs: Vec<PathBuf> = own_dirs.into_iter().map(|dir| fs::canonicalize(&dir).unwrap_or(dir)).collect();
    let own_files: Vec<(u64, u64)> = ["go", "gofmt"].iter().filter_map(|own| id(&layout.bin().join(own))).collect();
    let dirs = entries(path?).filter(|dir| dir.is_absolute());
    let dirs = dirs.filter(|dir| fs::canonicalize(dir).is_ok_and(|dir| !own_dirs.contains(&dir)));
    let programs = dirs.map(|dir| dir.join(name)).filter(|program| is_program(program));
    // A link elsewhere that leads back to the shim (`/usr/local/bin/go`) is the shim.
    programs.into_iter().find(|program| id(program).is_some_and(|id| !own_files.contains(&id)))
}

/// The first program called `name` on `path`, whoever's it is.
pub(crate) fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    entries(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file()) && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok()
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use govern_core::layout::Layout;

    use super::{appended, find_foreign, prepended};

    #[test]
    fn an_entry_is_appended_once() {
        let check = |path: Option<&str>, dir: &str, expect: Option<&str>| {
            assert_eq!(appended(path.map(OsStr::new), Path::new(dir)).as_deref(), expect.map(OsStr::new), "{path:?}");
        };
        check(Some("/bin:/usr/bin"), "/l", Some("/bin:/usr/bin:/l"));
        check(Some("/bin:/l:/usr/bin"), "/l", None);
        check(Some("/bin:/l/x"), "/l", Some("/bin:/l/x:/l"));
        check(Some(""), "/l", Some("/l"));
        check(None, "/l", Some("/l"));
        // Two colons mean the working directory: they stay as the user has them.
        check(Some("/bin:"), "/l", Some("/bin::/l"));
        check(Some("/bin"), "/a:b", None);
    }

    #[test]
    fn an_entry_is_put_in_front_and_taken_from_where_it_was() {
        let check = |path: Option<&str>, expect: &str| {
            assert_eq!(prepended(path.map(OsStr::new), Path::new("/s/bin")), OsString::from(expect), "{path:?}");
        };
        check(Some("/bin:/usr/bin"), "/s/bin:/bin:/usr/bin");
        check(Some("/bin:/s/bin:/usr/bin"), "/s/bin:/bin:/usr/bin");
        check(Some("/bin::/usr/bin"), "/s/bin:/bin::/usr/bin");
        check(Some(""), "/s/bin");
        check(None, "/s/bin");
    }

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_go_further_down_path_is_never_our_own() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(&dir.path().join("home"));
        let at = |name: &str| dir.path().join(name);
        program(&layout.bin().join("go"));
        program(&layout.bin().join("gofmt"));
        program(&at("theirs/go"));
        fs::create_dir_all(at("links")).unwrap();
        symlink(layout.bin().join("go"), at("links/go")).unwrap();
        symlink(layout.bin(), at("bin-link")).unwrap();
        fs::create_dir_all(at("directory/go")).unwrap();
        fs::create_dir_all(at("data")).unwrap();
        fs::write(at("data/go"), "").unwrap();
        let path = |dirs: &[PathBuf]| dirs.iter().map(|d| d.to_str().unwrap()).collect::<Vec<_>>().join(":");
        let ours = [layout.bin(), at("bin-link"), at("links"), at("directory"), at("data"), at("absent")];
        assert_eq!(find_foreign("go", Some(OsStr::new(&path(&ours))), &layout), None);
        let all = format!("relative:.::{}:{}", path(&ours), at("theirs").display());
        assert_eq!(find_foreign("go", Some(OsStr::new(&all)), &layout), Some(at("theirs/go")));
        assert_eq!(find_foreign("gofmt", Some(OsStr::new(&all)), &layout), None);
        assert_eq!(find_foreign("go", None, &layout), None);
    }
}
