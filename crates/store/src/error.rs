//! What can go wrong in the store. A full disk, a quota, a read-only file system and a missing permission have
//! variants of their own, because the person in front of each has something else to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use govern_core::origin::{escaped, escaped_text};
use govern_core::version::Version;
use rustix::io::Errno;

use crate::disk;
use crate::refusal::Refusal;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such SDK.
    #[error("{} is not installed", version.toolchain())]
    NotInstalled {
        /// The release.
        version: Version,
    },
    /// Processes still run from the SDK.
    #[error("{} is in use{}", version.toolchain(), Users(pids))]
    InUse {
        /// The release.
        version: Version,
        /// Process ids and what they run; empty where the system does not tell.
        pids: Vec<(u32, String)>,
    },
    /// The archive holds something that no SDK holds, or can be read in more than one way.
    #[error("refused {archive}{}", Entry(entry.as_deref()))]
    Refused {
        /// The archive's name.
        archive: String,
        /// The entry at fault, with control characters escaped.
        entry: Option<String>,
        /// What is wrong with it.
        #[source]
        reason: Refusal,
    },
    /// The bytes of the archive stopped coming. The source is the reader's own error, unchanged.
    #[error("cannot read {archive} to its end")]
    Archive {
        /// The archive's name.
        archive: String,
        /// What the reader said.
        source: io::Error,
    },
    /// A proof was offered for other bytes than those that were unpacked.
    #[error("the proof is not about the bytes that were unpacked for {}", version.toolchain())]
    ForeignProof {
        /// The release.
        version: Version,
    },
    /// Something that is no SDK stands where the SDK belongs.
    #[error("{} is in the way: it is no directory", escaped(path))]
    Obstructed {
        /// The place.
        path: PathBuf,
    },
    /// An SDK has no record, so that there is nothing to compare it with.
    #[error("{} has no record at {}", version.toolchain(), escaped(path))]
    NoRecord {
        /// The release.
        version: Version,
        /// Where the record should be.
        path: PathBuf,
    },
    /// A record cannot be understood.
    #[error("the record {} is damaged", escaped(path))]
    BadRecord {
        /// The record.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A record was written by a newer govern.
    #[error("the record {} has schema {schema}, this govern knows {known}", escaped(path))]
    NewerRecord {
        /// The record.
        path: PathBuf,
        /// The schema it says it has.
        schema: u32,
        /// The schema that is known here.
        known: u32,
    },
    /// The file system is full.
    #[error("no space left for {}{}", escaped(path), Space { needed: *needed, free: *free, inodes: *inodes })]
    NoSpace {
        /// What could not be written.
        path: PathBuf,
        /// Bytes that the whole SDK needs, where they are known.
        needed: Option<u64>,
        /// Bytes that are free.
        free: u64,
        /// True when it is not bytes but inodes that ran out.
        inodes: bool,
        /// What the system said.
        source: io::Error,
    },
    /// The user's disk quota is used up.
    #[error("the disk quota is used up, no room for {}", escaped(path))]
    Quota {
        /// What could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error("cannot {action} {}: its file system is read-only", escaped(path))]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A permission is missing.
    #[error("no permission to {action} {}{}", escaped(path), Owner(owner.as_ref()))]
    Denied {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The nearest thing that exists on the way there, and the id of the user it belongs to.
        owner: Option<(PathBuf, u32)>,
        /// What the system said.
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} {}", escaped(path))]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Gives a system error its place and, where there is one, its own variant.
    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Error {
        let source = source.into();
        let path = path.to_owned();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC) => {
                let (free, inodes) = disk::room(&path);
                Error::NoSpace { path, needed: None, free, inodes: inodes == 0 && free > 0, source }
            }
            Some(Errno::DQUOT) => Error::Quota { path, source },
            Some(Errno::ROFS) => Error::ReadOnly { action, path, source },
            Some(Errno::ACCESS | Errno::PERM) => {
                let owner = disk::owner(&path);
                Error::Denied { action, path, owner, source }
            }
            _ => Error::Io { action, path, source },
        }
    }

    /// Adds what the whole SDK needs to the message about a full disk.
    pub(crate) fn with_need(self, bytes: u64) -> Error {
        match self {
            Error::NoSpace { path, free, inodes, source, .. } => {
                Error::NoSpace { path, needed: Some(bytes), free, inodes, source }
            }
            other => other,
        }
    }
}

/// For `map_err`: `rustix::fs::fchmod(..).map_err(at("seal", path))`.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error::io(action, path, source)
}

struct Users<'a>(&'a [(u32, String)]);

impl fmt::Display for Users<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = " by";
        for (pid, program) in self.0 {
            write!(f, "{before} process {pid} ({})", escaped_text(program))?;
            before = ",";
        }
        Ok(())
    }
}

struct Entry<'a>(Option<&'a str>);

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |entry| write!(f, ", entry `{entry}`"))
    }
}

struct Owner<'a>(Option<&'a (PathBuf, u32)>);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |(path, uid)| write!(f, ": {} belongs to user {uid}", escaped(path)))
    }
}

struct Space {
    needed: Option<u64>,
    free: u64,
    inodes: bool,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        if self.inodes {
            return f.write_str(": its file system has no inode left");
        }
        match self.needed {
            Some(needed) => write!(f, ": {} MiB are needed, {} MiB are free", needed.div_ceil(MIB), self.free / MIB),
            None => write!(f, ": {} MiB are free", self.free / MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};

    use govern_core::version::Version;
    use rustix::io::Errno;

    use super::Error;

    fn version() -> Version {
        Version::parse("1.22.4").unwrap()
    }

    fn source() -> io::Error {
        io::Error::from(io::ErrorKind::Other)
    }

    #[test]
    fn each_trouble_with_the_disk_has_a_message_of_its_own() {
        let message = |errno: Errno| Error::io("write", Path::new("/nowhere/x"), errno).to_string();
        assert!(message(Errno::NOSPC).starts_with("no space left for /nowhere/x: "), "{}", message(Errno::NOSPC));
        assert_eq!(message(Errno::DQUOT), "the disk quota is used up, no room for /nowhere/x");
        assert_eq!(message(Errno::ROFS), "cannot write /nowhere/x: its file system is read-only");
        assert!(message(Errno::ACCESS).starts_with("no permission to write /nowhere/x: / belongs to user "));
        assert_eq!(message(Errno::IO), "cannot write /nowhere/x");
    }

    #[test]
    fn a_full_disk_is_told_in_numbers() {
        let full =
            |free, inodes| Error::NoSpace { path: PathBuf::from("/x"), needed: None, free, inodes, source: source() };
        assert_eq!(full(41 << 20, false).to_string(), "no space left for /x: 41 MiB are free");
        assert_eq!(full(41 << 20, true).to_string(), "no space left for /x: its file system has no inode left");
        let message = full(41 << 20, false).with_need((312 << 20) - 1).to_string();
        assert_eq!(message, "no space left for /x: 312 MiB are needed, 41 MiB are free");
    }

    #[test]
    fn users_are_named_and_cannot_write_on_the_terminal() {
        let pids = vec![(7, "go build ./...".to_owned()), (9, "\u{1b}[2J".to_owned())];
        let error = Error::InUse { version: version(), pids };
        assert_eq!(error.to_string(), "go1.22.4 is in use by process 7 (go build ./...), process 9 (\\u{1b}[2J)");
        assert_eq!(Error::InUse { version: version(), pids: vec![] }.to_string(), "go1.22.4 is in use");
    }
}
