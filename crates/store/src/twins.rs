//! Files that an installed SDK of the same minor has already: nine in ten of a patch release's. The archive's bytes are
//! compared with them as they come; where all are the same, the new tree gets the same blocks (a reflink, where the file
//! system can) or the same file (a hard link), and nothing is written.
//!
//! What is shared was compared with the proven archive byte by byte, at the moment of sharing. After that, a hard link
//! makes damage to one SDK damage to another. Each has its own manifest, so that `verify` finds it from either side, and it
//! names those that have the same file ([`others_with`]). A repair writes or shares anew, and never from what is damaged.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, mem};

use govern_core::version::Version;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::{Store, disk, record, walk};

/// Larger files are written: they are programs, which differ from release to release.
const MAX_SHARED: u64 = 2 << 20;

/// Files that are open and read ahead at most. A disk that is asked for one after the other answers no faster than it
/// takes for one.
const MOST_AHEAD: usize = 64;

/// How two SDKs share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Two files on the same blocks, until one is written to.
    Reflink,
    /// One file with two names.
    HardLink,
}

impl Means {
    /// The word for it in records and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Means::Reflink => "reflink",
            Means::HardLink => "hard link",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Means> {
        [Means::Reflink, Means::HardLink].into_iter().find(|means| means.word() == word)
    }
}

/// What an SDK shares with one that was there before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The SDK.
    pub version: Version,
    /// Whose files it has.
    pub with: Version,
    /// How.
    pub means: Means,
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The SDK that a new one may have files in common with.
pub(crate) struct Twins {
    of: Version,
    with: Version,
    root: OwnedFd,
    /// What the file system can, as far as was tried.
    means: Option<Means>,
    files: u64,
    bytes: u64,
    /// Files that are being read ahead, by their paths.
    ahead: HashMap<String, File>,
    /// Kept for the next file.
    buffer: Vec<u8>,
}

/// A file that is the same as the one that comes, so far.
pub(crate) struct Twin {
    file: File,
    bytes: Vec<u8>,
    same: usize,
}

impl Twin {
    /// Whether these bytes come next in it.
    pub(crate) fn goes_on_with(&mut self, bytes: &[u8]) -> bool {
        let is_same = self.bytes[self.same..].starts_with(bytes);
        if is_same {
            self.same += bytes.len();
        }
        is_same
    }

    /// What was the same.
    pub(crate) fn same(&self) -> &[u8] {
        &self.bytes[..self.same]
    }
}

impl Twins {
    /// The newest other SDK of the minor of `of`.
    pub(crate) fn of(store: &Store, of: &Version) -> Option<Twins> {
        let is_near = |other: &Version| other != of && other.family().is_some() && other.family() == of.family();
        let with = store.trees().ok()?.into_iter().find(is_near)?;
        let root = walk::open_root(&store.layout.sdk(&with)).ok()?;
        let (of, means) = (of.clone(), Some(Means::Reflink));
        Some(Twins { of, with, root, means, files: 0, bytes: 0, ahead: HashMap::new(), buffer: Vec::new() })
    }

    /// Has the file of this path read ahead.
    pub(crate) fn expect(&mut self, path: &str, size: u64) {
        if self.may_share(size)
            && self.ahead.len() < MOST_AHEAD
            && let Some(file) = self.find(path)
        {
            disk::read_ahead(&file);
            self.ahead.insert(path.to_owned(), file);
        }
    }

    fn may_share(&self, size: u64) -> bool {
        self.means.is_some() && size > 0 && size <= MAX_SHARED
    }

    fn find(&self, path: &str) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, path, flags, Mode::empty()).ok().map(File::from)
    }

    /// The file of this path, if its size and mode are right and it is ours.
    pub(crate) fn open(&mut self, path: &str, size: u64, mode: Mode) -> Option<Twin> {
        let ahead = self.ahead.remove(path);
        if !self.may_share(size) {
            return None;
        }
        let mut file = ahead.or_else(|| self.find(path))?;
        let found = rustix::fs::fstat(&file).ok()?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let is_ours = found.st_uid == rustix::process::geteuid().as_raw();
        let is_as_long = u64::try_from(found.st_size) == Ok(size);
        if !is_file || !is_ours || !is_as_long || Mode::from_raw_mode(found.st_mode) != mode {
            return None;
        }
        let mut bytes = mem::take(&mut self.buffer);
        bytes.resize(usize::try_from(size).ok()?, 0);
        file.read_exact(&mut bytes).ok()?;
        Some(Twin { file, bytes, same: 0 })
    }

    /// Gives a new name in `directory` the content of a twin that was the same to its end. `create` makes the empty file
    /// for a reflink. False where it has to be written.
    pub(crate) fn share(
        &mut self,
        twin: &Twin,
        path: &str,
        directory: BorrowedFd<'_>,
        create: impl FnOnce() -> Option<File>,
    ) -> bool {
        let Some(name) = Path::new(path).file_name().filter(|_| twin.same == twin.bytes.len()) else { return false };
        let (reflink, link) = (self.means == Some(Means::Reflink), self.means.is_some());
        let is_shared = if reflink && disk::reflink(&twin.file, directory, name, create) {
            true
        } else if link && rustix::fs::linkat(&self.root, path, directory, name, AtFlags::empty()).is_ok() {
            self.means = Some(Means::HardLink);
            true
        } else {
            // Not on this file system, or not for this user. What is there already is shared all the same.
            if self.files == 0 {
                self.means = None;
            }
            false
        };
        if is_shared {
            self.files += 1;
            self.bytes += twin.bytes.len() as u64;
        }
        is_shared
    }

    /// Takes back a twin's memory.
    pub(crate) fn done(&mut self, twin: Twin) {
        self.buffer = twin.bytes;
    }

    /// What came of it.
    pub(crate) fn shared(self) -> Option<Shared> {
        let Twins { of, with, means, files, bytes, .. } = self;
        let means = means.filter(|_| files > 0)?;
        Some(Shared { version: of, with, means, files, bytes })
    }
}

/// An installed SDK, and what its record says.
struct Installed {
    version: Version,
    /// `None` without a record.
    at: Option<u64>,
    shared: Option<Shared>,
}

impl Installed {
    fn of(store: &Store, version: Version) -> Installed {
        let record = record::load_header(&store.layout.record(&version)).ok().flatten();
        let (at, shared) = (record.as_ref().map(|r| r.installed_at), record.and_then(|r| r.shared(&version)));
        Installed { version, at, shared }
    }

    fn names(&self, other: &Installed) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.with == other.version)
    }

    /// Whether this tree was there first. Of two of one second, whoever names the other came later.
    fn is_older_than(&self, other: &Installed) -> bool {
        (self.at, self.names(other), &self.version) < (other.at, other.names(self), &other.version)
    }
}

impl Store {
    /// What the installed SDKs share, newest first. The younger of two tells it, so that nothing is counted twice.
    ///
    /// A record is believed while the tree that it names is installed, and was not installed anew or repaired since. When
    /// it is gone, others may still have the same files: hard links are then looked for, which takes a walk. Nobody can
    /// tell who has the blocks of a reflink, so that what was shared with a tree that is gone does not count.
    ///
    /// # Errors
    /// When the directory of the SDKs cannot be listed. A record or a tree that cannot be read tells nothing.
    pub fn shared(&self) -> Result<Vec<Shared>, crate::Error> {
        let all: Vec<Installed> = self.trees()?.into_iter().map(|version| Installed::of(self, version)).collect();
        let mut shared = Vec::new();
        for one in &all {
            let Some(recorded) = &one.shared else { continue };
            let older = || all.iter().filter(|other| other.is_older_than(one));
            if older().any(|other| one.names(other)) {
                shared.push(recorded.clone());
            } else if recorded.means == Means::HardLink {
                let near: Vec<&Version> = older()
                    .map(|other| &other.version)
                    .filter(|other| other.family() == one.version.family())
                    .collect();
                shared.extend(linked(self, &one.version, &near).unwrap_or_default());
            }
        }
        Ok(shared)
    }
}

/// The files that an SDK has in common with these, each counted with the first that has it.
fn linked(store: &Store, version: &Version, others: &[&Version]) -> Result<Vec<Shared>, crate::Error> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let open = |version: &Version| walk::open_root(&store.layout.sdk(version));
    let roots = others.iter().map(|other| open(other)).collect::<Result<Vec<_>, _>>()?;
    let new = |with: &&Version| Shared {
        version: version.clone(),
        with: (*with).clone(),
        means: Means::HardLink,
        files: 0,
        bytes: 0,
    };
    let mut shared: Vec<Shared> = others.iter().map(new).collect();
    walk::walk(open(version)?, &store.layout.sdk(version), &mut |found| {
        if found.kind() != FileType::RegularFile || found.stat.st_nlink == 1 {
            return Ok(());
        }
        let is_same = |root: &OwnedFd| {
            rustix::fs::statat(root, found.path, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|other| (other.st_dev, other.st_ino) == (found.stat.st_dev, found.stat.st_ino))
        };
        if let Some(at) = roots.iter().position(is_same) {
            shared[at].files += 1;
            shared[at].bytes += u64::try_from(found.stat.st_size).unwrap_or(0);
        }
        Ok(())
    })?;
    shared.retain(|shared| shared.files > 0);
    Ok(shared)
}

/// The other SDKs that have some of these files of `version`, and which: the same ones, not only ones that look the same.
pub(crate) fn others_with(store: &Store, version: &Version, paths: &[&Path]) -> BTreeMap<Version, Vec<PathBuf>> {
    let mut others: BTreeMap<Version, Vec<PathBuf>> = BTreeMap::new();
    let id = |version: &Version, path: &Path| fs::symlink_metadata(store.layout.sdk(version).join(path)).ok();
    let trees = store.trees().unwrap_or_default();
    for path in paths {
        let Some(own) = id(version, path).filter(|own| own.is_file() && own.nlink() > 1) else { continue };
        for other in trees.iter().filter(|other| *other != version) {
            if id(other, path).is_some_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino())) {
                others.entry(other.clone()).or_default().push((*path).to_owned());
            }
        }
    }
    others
}
