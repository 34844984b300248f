//! Compares an installed SDK with its record, file by file. Changes nothing and needs no network.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use govern_core::origin::escaped;
use govern_core::proof::Sha256;
use govern_core::version::Version;
use rustix::fs::{FileType, Mode, OFlags};
use sha2::Digest as _;

use crate::error::{Error, at};
use crate::manifest::TreeFile;
use crate::tree::DIRECTORY;
use crate::unpack::BUFFER;
use crate::{Store, h1, record, twins, walk};

/// One difference between an SDK and its record. Paths are below the GOROOT.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// A file is not there.
    Missing(PathBuf),
    /// A file has other content, or is something else than a file.
    Changed(PathBuf),
    /// A file or directory has another mode.
    Mode {
        /// Which.
        path: PathBuf,
        /// The mode it should have.
        expected: u32,
        /// The mode it has.
        found: u32,
    },
    /// Something is there that was not published.
    Extra(PathBuf),
    /// A file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The files in the record do not hash to the module hash that was proven: the record itself was changed.
    Record {
        /// The hash that was proven.
        proven: String,
        /// The hash of the files in the record.
        found: String,
    },
    /// Another SDK has the same damaged files (hard links): it is as damaged as this one.
    Shared {
        /// The first of the files.
        path: PathBuf,
        /// How many more there are.
        more: usize,
        /// The other SDK.
        with: Version,
    },
    /// The log, asked after the install, has another hash than that of the files that were installed.
    Contradicted(String),
}

impl Damage {
    /// The file that is there, and damaged.
    fn content(&self) -> Option<&Path> {
        match self {
            Damage::Changed(path) | Damage::Mode { path, .. } | Damage::Unreadable { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// Prints one line, path first.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Missing(path) => write!(f, "{}: missing", escaped(path)),
            Damage::Changed(path) => write!(f, "{}: changed", escaped(path)),
            Damage::Mode { path, expected, found } => {
                write!(f, "{}: mode {found:04o} instead of {expected:04o}", escaped(path))
            }
            Damage::Extra(path) => write!(f, "{}: not part of the SDK", escaped(path)),
            Damage::Unreadable { path, reason } => write!(f, "{}: unreadable: {reason}", escaped(path)),
            Damage::Record { proven, found } => {
                write!(f, "the record's files hash to {found}, {proven} was proven")
            }
            Damage::Shared { path, more: 0, with } => {
                write!(f, "{}: {} has the same file, and this damage", escaped(path), with.toolchain())
            }
            Damage::Shared { path, more, with } => {
                let with = with.toolchain();
                write!(f, "{} and {more} more: {with} has the same files, and their damage", escaped(path))
            }
            Damage::Contradicted(contradiction) => f.write_str(contradiction),
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The differences, sorted. None: the SDK is whole.
    pub damages: Vec<Damage>,
    /// Files that the record lists.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// All versions that have a directory, newest first: SDKs, and what is left of some.
    ///
    /// # Errors
    /// When the directory of the SDKs cannot be listed.
    pub fn trees(&self) -> Result<Vec<Version>, Error> {
        let mut versions: Vec<Version> = self.named()?.into_iter().filter(|version| self.has_tree(version)).collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(versions)
    }

    /// Compares every file with the record, and the record with what was proven. No damage, no entry.
    ///
    /// # Errors
    /// When the SDK or its record is not there, or a directory cannot be listed.
    pub fn verify(&self, version: &Version) -> Result<Vec<Damage>, Error> {
        Ok(self.verify_watched(version, &|_| {})?.damages)
    }

    /// The same, telling of bytes as they are read. All cores read; calls come from any of them.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn verify_watched(&self, version: &Version, read: &(dyn Fn(u64) + Sync)) -> Result<Verified, Error> {
        // Whoever wants to remove it waits; where leases cannot be kept, nobody removes anything.
        let _lease = self.lease(version).ok();
        if !self.has_tree(version) {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        let path = self.layout.record(version);
        let record = record::load(&path)?.ok_or_else(|| Error::NoRecord { version: version.clone(), path })?;
        let mut damages = Vec::new();
        if let Some(contradiction) = &record.proof.contradicted {
            damages.push(Damage::Contradicted(contradiction.clone()));
        }
        let (proven, platform, format) = (record.proof.h1.clone(), record.platform(), record.format());
        let manifest = record.into_manifest();
        let found = h1::hash(format, version, &platform, &manifest);
        if found != proven {
            damages.push(Damage::Record { proven, found });
        }
        compare(&self.layout.sdk(version), &manifest, read, &mut damages)?;
        let damaged: Vec<&Path> = damages.iter().filter_map(Damage::content).collect();
        for (with, paths) in twins::others_with(self, version, &damaged) {
            let more = paths.len() - 1;
            damages.extend(paths.into_iter().next().map(|path| Damage::Shared { path, more, with }));
        }
        damages.sort_unstable();
        let bytes = manifest.iter().map(|file| file.size).sum();
        Ok(Verified { damages, files: manifest.len() as u64, bytes })
    }
}

fn compare(
    goroot: &Path,
    manifest: &[TreeFile],
    read: &(dyn Fn(u64) + Sync),
    damages: &mut Vec<Damage>,
) -> Result<(), Error> {
    let mut expected: HashMap<&Path, &TreeFile> = manifest.iter().map(|file| (Path::new(&file.path), file)).collect();
    let root = walk::open_root(goroot)?;
    check_mode(
        Path::new("."),
        DIRECTORY,
        Mode::from_raw_mode(rustix::fs::fstat(&root).map_err(at("look at", goroot))?.st_mode),
        damages,
    );
    // The walk is quick, reading the files is not: that is for all cores together.
    let mut to_read = Vec::new();
    walk::walk(&root, goroot, &mut |found| {
        let file = expected.remove(found.path);
        let path = found.path.to_owned();
        match (found.kind(), file) {
            // Directories stand in no manifest: what matters is in them.
            (FileType::Directory, None) => check_mode(&path, DIRECTORY, found.mode(), damages),
            (_, None) => damages.push(Damage::Extra(path)),
            (FileType::RegularFile, Some(file)) => {
                check_mode(&path, file.mode(), found.mode(), damages);
                to_read.push((path, file));
            }
            (_, Some(_)) => damages.push(Damage::Changed(path)),
        }
        Ok(())
    })?;
    damages.extend(expected.into_keys().map(|path| Damage::Missing(path.to_owned())));
    damages.extend(read_all(&root, &to_read, read));
    Ok(())
}

/// Reads the files and compares their digests, on all cores.
fn read_all(root: &OwnedFd, files: &[(PathBuf, &TreeFile)], read: &(dyn Fn(u64) + Sync)) -> Vec<Damage> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut buffer, mut damages) = (vec![0; BUFFER], Vec::new());
        while let Some((path, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match digest(root, path, &mut buffer, read) {
                Ok(sha256) if sha256 == file.sha256 => {}
                Ok(_) => damages.push(Damage::Changed(path.clone())),
                Err(error) => damages.push(Damage::Unreadable { path: path.clone(), reason: error.to_string() }),
            }
        }
        damages
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut damages = work();
        for worker in workers {
            damages.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        damages
    })
}

fn check_mode(path: &Path, expected: Mode, found: Mode, damages: &mut Vec<Damage>) {
    if found != expected {
        let (expected, found) = (octal(expected), octal(found));
        damages.push(Damage::Mode { path: path.to_owned(), expected, found });
    }
}

/// The twelve bits of a mode as a number of one size on all systems.
fn octal(mode: Mode) -> u32 {
    (0..12).filter(|bit| mode.contains(Mode::from_bits_retain(1 << bit))).map(|bit| 1 << bit).sum()
}

fn digest(root: &OwnedFd, path: &Path, buffer: &mut [u8], told: &(dyn Fn(u64) + Sync)) -> io::Result<Sha256> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(root, path, flags, Mode::empty())?);
    let mut hash = sha2::Sha256::new();
    loop {
        match file.read(buffer)? {
            0 => return Ok(Sha256(hash.finalize().into())),
            read => {
                hash.update(&buffer[..read]);
                told(read as u64);
            }
        }
    }
}
