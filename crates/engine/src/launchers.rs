//! Keeps `launchers/`: names like `go1.22.4` that lead back to the shim, so that Go's own switching comes through
//! govern. `all` has every known release, `installed` what is here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use govern_core::layout::Layout;
use govern_core::version::Version;

use crate::error::{At, Error};

/// Makes both directories hold exactly the names they should. Without an installed shim there is nothing to link.
pub(crate) fn sync(layout: &Layout, installed: &[Version], known: &[Version]) -> Result<(), Error> {
    let shim = layout.bin().join("go");
    let Ok(shim_id) = fs::metadata(&shim).map(|m| (m.dev(), m.ino())) else { return Ok(()) };
    // Language versions are no releases: Go looks up literal names, and `go1.22` would promise an arbitrary patch.
    let names = |versions: &mut dyn Iterator<Item = &Version>| -> BTreeSet<String> {
        versions.filter(|v| !v.is_lang()).map(Version::toolchain).collect()
    };
    let here = names(&mut installed.iter());
    let all = names(&mut installed.iter().chain(known));
    for (dir, wanted) in [(layout.launchers_installed(), here), (layout.launchers_all(), all)] {
        fs::create_dir_all(&dir).at("create", &dir)?;
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&dir).at("read", &dir)? {
            let entry = entry.at("read", &dir)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A launcher of an older shim is replaced with the shim.
            let current = entry.metadata().is_ok_and(|m| (m.dev(), m.ino()) == shim_id);
            if wanted.contains(&name) && current {
                there.insert(name);
            } else {
                remove(&entry.path())?;
            }
        }
        for name in wanted.difference(&there) {
            link(&shim, &dir.join(name))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.at("remove", path),
    }
}

fn link(shim: &Path, launcher: &Path) -> Result<(), Error> {
    match fs::hard_link(shim, launcher) {
        // Another process keeps the same directory.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links, and every inode has a limit of them.
        Err(_) => fs::copy(shim, launcher).map(drop).at("write", launcher),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use govern_core::layout::Layout;
    use govern_core::version::Version;

    use super::sync;

    fn names(dir: &Path) -> BTreeSet<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn launchers_follow_the_sdks_and_the_shim() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(dir.path());
        let versions = |list: &[&str]| -> Vec<Version> { list.iter().map(|v| Version::parse(v).unwrap()).collect() };
        sync(&layout, &versions(&["1.22.4"]), &[]).unwrap();
        assert!(!layout.launchers_all().exists(), "no shim, no launchers");

        fs::create_dir_all(layout.bin()).unwrap();
        fs::write(layout.bin().join("go"), "one").unwrap();
        sync(&layout, &versions(&["1.22.4"]), &versions(&["1.20", "1.21", "1.21.0", "1.28rc1"])).unwrap();
        assert_eq!(names(&layout.launchers_installed()), BTreeSet::from(["go1.22.4".to_owned()]));
        let all = ["go1.20", "go1.21.0", "go1.22.4", "go1.28rc1"].map(str::to_owned);
        assert_eq!(names(&layout.launchers_all()), BTreeSet::from(all));

        fs::write(layout.bin().join(".go.new"), "two").unwrap();
        fs::rename(layout.bin().join(".go.new"), layout.bin().join("go")).unwrap();
        sync(&layout, &versions(&["1.23.1"]), &[]).unwrap();
        assert_eq!(names(&layout.launchers_installed()), BTreeSet::from(["go1.23.1".to_owned()]));
        assert_eq!(fs::read_to_string(layout.launchers_all().join("go1.23.1")).unwrap(), "two");
    }
}
