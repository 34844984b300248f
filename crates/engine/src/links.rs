//! `link` and `unlink`: names for Go trees that the user built. A name is a symbolic link `links/NAME` to a GOROOT: made
//! and replaced in one step, and read with one call.
//!
//! The trees are only ever looked at. Nothing here proves, changes, leases or removes one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;
use govern_core::link::{Link, TreeFault, version_of};
use govern_core::spec::LinkName;
use rustix::fs::{Access, Mode, OFlags};

use crate::error::{At, Error};

/// The names and where they lead, sorted by name. What is no link, no name or leads nowhere absolute is nobody's.
pub(crate) fn read(layout: &Layout) -> Result<Vec<(LinkName, PathBuf)>, Error> {
    let dir = layout.links();
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", &dir)?,
    };
    let mut links = Vec::new();
    for entry in entries {
        let entry = entry.at("read", &dir)?;
        let name = entry.file_name().to_str().and_then(|name| LinkName::parse(name).ok());
        let Some(name) = name.filter(|name| entry.file_name() == name.as_str()) else { continue };
        if let Some(goroot) = fs::read_link(entry.path()).ok().filter(|goroot| goroot.is_absolute()) {
            links.push((name, goroot));
        }
    }
    links.sort_unstable();
    Ok(links)
}

/// Links a name to a tree, whatever it led to before.
pub(crate) fn write(layout: &Layout, name: &LinkName, goroot: &Path) -> Result<(), Error> {
    let dir = layout.links();
    fs::create_dir_all(&dir).at("create", &dir)?;
    // A dot and a capital: no name of a link, and so nobody's if it is left behind.
    let make = |path: &Path| symlink(goroot, path);
    let link = tempfile::Builder::new().prefix(".New-").make_in(&dir, make).at("write in", &dir)?;
    let path = dir.join(name.as_str());
    link.persist(&path).map_err(|e| e.error).at("write", &path)?;
    File::open(&dir).and_then(|dir| dir.sync_all()).at("write in", &dir)
}

/// Takes a name away. The tree stays as it is.
pub(crate) fn remove(layout: &Layout, name: &LinkName) -> Result<(), Error> {
    let dir = layout.links();
    let path = dir.join(name.as_str());
    fs::remove_file(&path).at("remove", &path)?;
    File::open(&dir).and_then(|dir| dir.sync_all()).at("write in", &dir)
}

/// Looks at a tree.
pub(crate) fn look_at(layout: &Layout, name: LinkName, goroot: PathBuf) -> Link {
    let fault = fault_of(layout, &goroot);
    let called = first_line(&goroot.join("VERSION")).or_else(|| first_line(&goroot.join("VERSION.cache")));
    let version = version_of(called.as_deref(), minor(&goroot));
    Link { name, goroot, called, version, fault }
}

fn fault_of(layout: &Layout, goroot: &Path) -> Option<TreeFault> {
    match fs::metadata(goroot) {
        Err(_) => return Some(TreeFault::Gone),
        Ok(meta) if !meta.is_dir() => return Some(TreeFault::NotADirectory),
        Ok(_) => {}
    }
    let go = goroot.join("bin/go");
    let is_source = goroot.join("src").is_dir();
    match fs::metadata(&go) {
        Err(_) if is_source && goroot.join("src/make.bash").is_file() => return Some(TreeFault::NotBuilt),
        Ok(go) if go.is_file() && (is_source || goroot.join("VERSION").is_file()) => {}
        _ => return Some(TreeFault::NotARoot),
    }
    let id = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    if id(&go)
        .is_some_and(|go| [layout.bin().join("go"), layout.bin().join("govern")].iter().any(|own| id(own) == Some(go)))
    {
        return Some(TreeFault::Shim);
    }
    rustix::fs::access(&go, Access::EXEC_OK).is_err().then_some(TreeFault::NotExecutable)
}

/// The first line of a small file, if it has one of text.
fn first_line(path: &Path) -> Option<String> {
    let text = head(path, 256)?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The language version that a tree implements: `const Version = 28` of its own sources.
fn minor(goroot: &Path) -> Option<u32> {
    let text = head(&goroot.join("src/internal/goversion/goversion.go"), 4096)?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("const Version = "))?;
    line.trim().parse().ok()
}

/// The beginning of a regular file, opened so that nothing can block.
fn head(path: &Path, most: u64) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: File = rustix::fs::open(path, flags, Mode::empty()).ok()?.into();
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use govern_core::layout::Layout;
    use govern_core::link::TreeFault;
    use govern_core::spec::LinkName;

    use super::{look_at, read, remove, write};

    fn name(text: &str) -> LinkName {
        LinkName::parse(text).unwrap()
    }

    fn make(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn names_come_go_and_change_and_what_is_no_link_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(dir.path());
        assert_eq!(read(&layout).unwrap(), []);
        write(&layout, &name("tip"), Path::new("/src/go")).unwrap();
        write(&layout, &name("fork"), Path::new("/src/a fork\u{e9}")).unwrap();
        let fork = (name("fork"), PathBuf::from("/src/a fork\u{e9}"));
        assert_eq!(read(&layout).unwrap(), [fork.clone(), (name("tip"), PathBuf::from("/src/go"))]);
        write(&layout, &name("tip"), Path::new("/src/other")).unwrap();
        assert_eq!(read(&layout).unwrap(), [fork.clone(), (name("tip"), PathBuf::from("/src/other"))]);
        remove(&layout, &name("tip")).unwrap();
        assert!(remove(&layout, &name("tip")).is_err());

        fs::create_dir(layout.links().join("directory")).unwrap();
        fs::write(layout.links().join("file"), "/src/go").unwrap();
        symlink("relative", layout.links().join("relative")).unwrap();
        symlink("/src/go", layout.links().join("latest")).unwrap();
        symlink("/src/go", layout.links().join("1.22.4")).unwrap();
        symlink("/src/go", layout.links().join("Tip")).unwrap();
        symlink("/src/go", layout.links().join(".New-1")).unwrap();
        assert_eq!(read(&layout).unwrap(), [fork]);
    }

    #[test]
    fn only_a_tree_with_a_go_that_can_run_is_sound() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(&dir.path().join("govern"));
        make(&layout.bin().join("go"), "shim", 0o755);
        let at = |path: &str| dir.path().join(path);
        let check = |root: &str, expect: Option<TreeFault>| {
            assert_eq!(look_at(&layout, name("tip"), at(root)).fault, expect, "{root}");
        };
        check("absent", Some(TreeFault::Gone));
        make(&at("file"), "", 0o755);
        check("file", Some(TreeFault::NotADirectory));
        check("file/below", Some(TreeFault::Gone));
        make(&at("source/src/make.bash"), "", 0o755);
        check("source", Some(TreeFault::NotBuilt));
        make(&at("source/bin/go"), "", 0o755);
        check("source", None);
        make(&at("release/VERSION"), "go1.22.4\n", 0o644);
        check("release", Some(TreeFault::NotARoot));
        make(&at("release/bin/go"), "", 0o644);
        check("release", Some(TreeFault::NotExecutable));
        make(&at("release/bin/go"), "", 0o755);
        check("release", None);
        make(&at("usr/bin/go"), "", 0o755);
        check("usr", Some(TreeFault::NotARoot));
        make(&at("odd/bin/go/x"), "", 0o755);
        make(&at("odd/VERSION"), "", 0o644);
        check("odd", Some(TreeFault::NotARoot));
        fs::create_dir_all(at("loop/bin")).unwrap();
        fs::create_dir_all(at("loop/src")).unwrap();
        symlink(layout.bin().join("go"), at("loop/bin/go")).unwrap();
        check("loop", Some(TreeFault::Shim));
    }

    #[test]
    fn a_tree_says_what_it_is_in_the_file_that_go_asks_first() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(&dir.path().join("govern"));
        let goroot = dir.path().join("go");
        let says = || {
            let link = look_at(&layout, name("tip"), goroot.clone());
            (link.called.unwrap_or_default(), link.version.map(|version| version.to_string()).unwrap_or_default())
        };
        assert_eq!(says(), (String::new(), String::new()));
        make(&goroot.join("src/internal/goversion/goversion.go"), "package goversion\n\nconst Version = 28\n", 0o644);
        assert_eq!(says(), (String::new(), "1.28".to_owned()));
        make(&goroot.join("VERSION.cache"), "devel go1.28-abc Tue Nov 24\n", 0o644);
        assert_eq!(says(), ("devel go1.28-abc Tue Nov 24".to_owned(), "1.28".to_owned()));
        make(&goroot.join("VERSION"), "go1.28.2-fork\ntime 2026-11-24\n", 0o644);
        assert_eq!(says(), ("go1.28.2-fork".to_owned(), "1.28.2".to_owned()));
    }
}
