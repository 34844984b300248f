//! Replaces a whole file, or leaves the old one: written beside it, made durable, renamed over it.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};
use tempfile::NamedTempFile;

/// Writes a text file. An existing file keeps its mode; where it is a link, as dotfile managers make them, what it
/// points at is replaced.
pub(crate) fn text(path: &Path, text: &str) -> Result<(), Report> {
    let target = followed(path);
    // The mode of a new file is the umask's business, which a temporary file does not ask.
    let permissions = match fs::metadata(&target) {
        Ok(meta) => Some(meta.permissions()),
        Err(_) => None,
    };
    stage(&target, permissions, |file| file.write_all(text.as_bytes())).map_err(|e| cannot("write", path, &e))
}

/// Copies a program to its place, while the old one may be running.
pub(crate) fn program(from: &Path, to: &Path) -> Result<(), Report> {
    let mut source = fs::File::open(from).map_err(|e| cannot("read", from, &e))?;
    let copy = |file: &mut fs::File| io::copy(&mut source, file).map(drop);
    stage(to, Some(Permissions::from_mode(0o755)), copy).map_err(|e| cannot("write", to, &e))
}

/// Reads a text file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Report> {
    let mut text = String::new();
    match fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(cannot("read", path, &e)),
    }
}

/// A failure of the file system, with its place.
pub(crate) fn cannot(action: &str, path: &Path, source: &io::Error) -> Report {
    // What the system said, without the name of a temporary file around it.
    let bare = source.get_ref().and_then(|wrapped| wrapped.source()).map(ToString::to_string);
    let cause = bare.unwrap_or_else(|| source.to_string());
    Report::new(Code::Failure, format!("cannot {action} {}", escaped(path))).cause(cause)
}

fn followed(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(target) => target,
        // A link that points at nothing yet: there the file belongs.
        Err(_) => match fs::read_link(path) {
            Ok(target) => path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => path.to_owned(),
        },
    }
}

fn stage(
    target: &Path,
    permissions: Option<Permissions>,
    write: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".govern-");
    // Without a wish the mode is what any program's new file gets: 0666, less the umask.
    let permissions = permissions.unwrap_or(Permissions::from_mode(0o666));
    let is_new = fs::symlink_metadata(target).is_err();
    if is_new {
        builder.permissions(permissions.clone());
    }
    let mut staged: NamedTempFile = builder.tempfile_in(dir)?;
    write(staged.as_file_mut())?;
    if !is_new || permissions.mode() & 0o111 != 0 {
        staged.as_file().set_permissions(permissions)?;
    }
    staged.as_file().sync_all()?;
    staged.persist(target).map_err(|e| e.error)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("dotfiles/profile"), dir.path().join(".profile"));
        fs::create_dir(dir.path().join("dotfiles")).unwrap();
        fs::write(&file, "old\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("dotfiles/profile", &link).unwrap();
        super::text(&link, "new\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path().join("dotfiles")).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_new_file_gets_the_mode_that_any_program_gives() {
        let dir = tempfile::tempdir().unwrap();
        super::text(&dir.path().join("sub/new"), "x").unwrap();
        fs::write(dir.path().join("sub/plain"), "x").unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join("sub").join(name)).unwrap().permissions().mode();
        assert_eq!(mode("new"), mode("plain"));
    }

    #[test]
    fn a_program_is_replaced_while_it_runs_and_may_be_executed() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("built"), dir.path().join("bin/go"));
        fs::write(&from, "two").unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(&to, "one").unwrap();
        let running = fs::File::open(&to).unwrap();
        super::program(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(std::io::read_to_string(running).unwrap(), "one");
    }
}
