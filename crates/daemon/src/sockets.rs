//! The two listening sockets. Opened under the claim only, so that a stale file may be taken away without asking whose
//! it is; taken over from a service manager where one has opened them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use govern_core::origin::escaped;

use crate::file_id::FileId;
use crate::os;

/// Where a socket stands on disk, and that it is still the one we listen on.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    id: FileId,
    /// A service manager's socket outlives us.
    is_inherited: bool,
}

impl Place {
    /// Takes over a socket that somebody else opened.
    pub(crate) fn inherited(listener: &UnixListener) -> anyhow::Result<Place> {
        let path = os::address(listener).context("an inherited socket has no path")?;
        let id = FileId::of_path(&path).with_context(|| format!("cannot look at {}", escaped(&path)))?;
        listener.set_nonblocking(true).with_context(|| format!("cannot set up {}", escaped(&path)))?;
        Ok(Place { path, id, is_inherited: true })
    }

    /// Opens a socket, taking away what stands there.
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<(Place, UnixListener)> {
        let open = || -> io::Result<(FileId, UnixListener)> {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let listener = bind(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok((FileId::of_path(&path)?, listener))
        };
        let (id, listener) = open().with_context(|| format!("cannot listen on {}", escaped(&path)))?;
        Ok((Place { path, id, is_inherited: false }, listener))
    }

    /// False when somebody, a cleaner of temporary files say, took the socket away: nobody can ask us there any more.
    pub(crate) fn stands(&self) -> bool {
        self.id.is_at(&self.path)
    }

    /// The socket's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// True when a service manager keeps the socket.
    pub(crate) fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// Takes the socket away, if it is ours.
    pub(crate) fn clear(&self) {
        if !self.is_inherited && self.stands() {
            // What stays is stale, and the next daemon takes it away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds, also where the path is longer than a socket's address may be.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        #[cfg(target_os = "linux")]
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            use std::fs::File;
            use std::os::fd::AsRawFd as _;

            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(e) };
            let dir = File::open(dir)?;
            UnixListener::bind(Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    use super::Place;

    #[test]
    fn a_stale_socket_is_replaced_by_a_private_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(Place::open(path.clone()).unwrap().1);
        assert!(UnixStream::connect(&path).is_err(), "stale");
        let (place, _listener) = Place::open(path.clone()).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(place.stands());
        place.clear();
        assert!(!path.exists() && !place.stands());
    }

    #[test]
    fn a_socket_that_somebody_else_put_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (old, _old) = Place::open(path.clone()).unwrap();
        let (_new, _listener) = Place::open(path.clone()).unwrap();
        assert!(!old.stands());
        old.clear();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn an_inherited_socket_outlives_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shim.sock");
        let (_place, listener) = Place::open(path.clone()).unwrap();
        let inherited = Place::inherited(&listener).unwrap();
        assert!(inherited.stands());
        inherited.clear();
        assert!(path.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_path_longer_than_an_address_works() {
        use std::os::unix::fs::FileTypeExt as _;

        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let (place, _listener) = Place::open(deep.join("s.sock")).unwrap();
        assert!(fs::metadata(deep.join("s.sock")).unwrap().file_type().is_socket());
        assert!(place.stands());
    }
}
