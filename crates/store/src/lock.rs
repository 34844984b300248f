//! The two locks of a version: the exclusive one of whoever changes its SDK, and the shared one of whoever runs from
//! it. Both are flocks, so that the kernel releases them when their last holder dies, however it dies.
//! The files themselves are never deleted: a lock on a name that is gone would be nobody's.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use govern_core::event::{Event, Watch};
use govern_core::version::Version;

use crate::Store;
use crate::error::{Error, at};

/// The lowest descriptor that a lease is moved to: low ones are what Go programs hand to their children by number.
const LEASE_DESCRIPTOR: i32 = 100;
/// The longest text about a holder that is read.
const MAX_HOLDER: u64 = 256;

/// A locked file. Unlocked on drop and not only closed: a program that another thread is just starting has a copy of
/// every descriptor until its `exec`, and would hold the lock for that moment.
#[derive(Debug)]
pub(crate) struct Held(Option<File>);

impl Held {
    pub(crate) fn new(file: File) -> Held {
        Held(Some(file))
    }

    fn file(&self) -> &File {
        self.0.as_ref().expect("only `into_file` and drop take the file, and both end the value")
    }

    /// Gives the file away, still locked.
    fn into_file(mut self) -> File {
        self.0.take().expect("only `into_file` and drop take the file, and both end the value")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            let _ = file.unlock();
        }
    }
}

/// The right to change the SDK of one version, in this process alone. Released on drop.
#[derive(Debug)]
pub struct VersionLock {
    held: Held,
    version: Version,
}

impl VersionLock {
    /// The version that is locked.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    fn new(mut file: File, version: &Version) -> VersionLock {
        // What those who wait are told. Not worth an error: the lock itself is held.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder().as_bytes()));
        VersionLock { held: Held::new(file), version: version.clone() }
    }
}

impl Drop for VersionLock {
    fn drop(&mut self) {
        let _ = self.held.file().set_len(0);
    }
}

/// The right to find an SDK in its place: as long as one process holds a lease, nobody removes it.
#[derive(Debug)]
pub struct Lease {
    held: Held,
    path: PathBuf,
}

impl Lease {
    /// Moves the lease to a high descriptor that a program started by `exec` inherits. From then on the lease lasts
    /// until the returned descriptor is closed here and every program that inherited it has ended; in a process that
    /// starts several programs, that is all of them.
    ///
    /// # Errors
    /// When no descriptor is free.
    pub fn into_inheritable(self) -> Result<OwnedFd, Error> {
        let Lease { held, path } = self;
        let file = held.into_file();
        let high = rustix::io::fcntl_dupfd_cloexec(&file, LEASE_DESCRIPTOR).map_err(at("keep open", &path))?;
        rustix::io::fcntl_setfd(&high, rustix::io::FdFlags::empty()).map_err(at("keep open", &path))?;
        Ok(high)
    }
}

impl Store {
    /// Takes the lock of a version, waiting as long as somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be made or the file system has no locks.
    pub fn lock(&self, version: &Version, watch: &dyn Watch) -> Result<VersionLock, Error> {
        if let Some(lock) = self.try_lock(version)? {
            return Ok(lock);
        }
        let path = self.layout.lock(version);
        let file = open_lock(&path)?;
        let mut text = String::new();
        let known = (&file).take(MAX_HOLDER).read_to_string(&mut text).is_ok() && !text.is_empty();
        watch.event(Event::Waiting { holder: if known { text } else { "another process".to_owned() } });
        loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(at("lock", &path))?,
            }
        }
        Ok(VersionLock::new(file, version))
    }

    /// Takes the lock of a version, unless somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be made or the file system has no locks.
    pub fn try_lock(&self, version: &Version) -> Result<Option<VersionLock>, Error> {
        let path = self.layout.lock(version);
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(VersionLock::new(file, version))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
        }
    }

    /// Takes a lease on an SDK.
    ///
    /// # Errors
    /// When it is not installed, or the file system has no locks.
    pub fn lease(&self, version: &Version) -> Result<Lease, Error> {
        let path = self.layout.lease(version);
        let file = open_lease(&path)?;
        loop {
            match file.lock_shared() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(at("lock", &path))?,
            }
        }
        let held = Held::new(file);
        // Only now: whoever removes the SDK holds the lease exclusively until it is out of sight.
        if self.sdk(version).is_none() {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        Ok(Lease { held, path })
    }
}

/// Opens the file of a lease. On a read-only file system an existing one serves as well. One that is made can be read by
/// all who may read the SDK, whatever the umask: who cannot open it holds no lease.
pub(crate) fn open_lease(path: &Path) -> Result<File, Error> {
    File::open(path).or_else(|_| {
        let file = open_lock(path)?;
        file.set_permissions(Permissions::from_mode(0o644)).map_err(at("set the mode of", path))?;
        Ok(file)
    })
}

/// Opens the file of a lock, and makes it if need be.
pub(crate) fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
        .map_err(at("open", path))
}

/// This process, as others are told of it.
fn holder() -> String {
    let pid = process::id();
    let name = if cfg!(target_os = "linux") { std::fs::read_to_string("/proc/self/comm").ok() } else { None };
    name.map_or_else(|| format!("process {pid}"), |name| format!("process {pid} ({})", name.trim_end()))
}
