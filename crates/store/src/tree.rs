//! Writes an admitted tree into staging: directories by descriptor, files with `O_EXCL`, digests on the way.
//! Leaves out what may be written (`plan`) and where it comes from (`tar`, `zip`): this is the end of the pipe, and
//! could run on a thread of its own.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use govern_core::proof;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, at};
use crate::plan::PlannedFile;

/// The mode of a file that may be run.
pub(crate) const EXECUTABLE: Mode = Mode::from_bits_truncate(0o555);
/// The mode of any other file.
pub(crate) const PLAIN: Mode = Mode::from_bits_truncate(0o444);
/// The mode of a directory.
pub(crate) const DIRECTORY: Mode = Mode::from_bits_truncate(0o555);

/// What of `VERSION` is kept: more than the longest first line that can be right.
const VERSION_HEAD: usize = 256;

/// Where a reader puts what it reads, in order: directories, and files as `begin`, any number of `write`, `end`.
pub(crate) trait Sink {
    /// Makes a directory, and those above it.
    fn directory(&mut self, path: &str) -> Result<(), Error>;
    /// Starts a file, and makes the directories above it.
    fn begin(&mut self, file: PlannedFile) -> Result<(), Error>;
    /// Adds bytes to the file.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Finishes the file.
    fn end(&mut self) -> Result<(), Error>;
}

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    /// Below the root, with slashes.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) executable: bool,
    pub(crate) sha256: proof::Sha256,
}

impl TreeFile {
    /// The mode that the file has on disk.
    pub(crate) fn mode(&self) -> Mode {
        if self.executable { EXECUTABLE } else { PLAIN }
    }
}

/// A tree being written below one directory.
pub(crate) struct Tree {
    path: PathBuf,
    root: OwnedFd,
    /// The way to the directory of the last file, open.
    way: Vec<(String, OwnedFd)>,
    /// All directories, each after the one it lies in.
    directories: Vec<String>,
    files: Vec<TreeFile>,
    version: VersionLine,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    planned: PlannedFile,
    hash: Sha256,
    size: u64,
}

/// A tree with all its files and modes.
pub(crate) struct Written {
    /// In the order of the archive.
    pub(crate) files: Vec<TreeFile>,
    /// The first line of `VERSION`, empty where there is none.
    pub(crate) go_version: String,
}

/// The first line of `VERSION`, caught as its bytes pass.
#[derive(Default)]
pub(crate) struct VersionLine(Vec<u8>);

impl VersionLine {
    /// Looks at bytes of the file `path`.
    pub(crate) fn take(&mut self, path: &str, bytes: &[u8]) {
        if path == "VERSION" {
            let room = VERSION_HEAD.saturating_sub(self.0.len());
            self.0.extend(bytes.iter().take(room));
        }
    }

    /// The line; empty where there was no such file.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).lines().next().unwrap_or_default().trim_end().to_owned()
    }
}

impl Tree {
    /// Starts a tree in the empty directory `path`.
    pub(crate) fn new(path: &Path) -> Result<Tree, Error> {
        let root = open_directory(CWD, path).map_err(at("open", path))?;
        Ok(Tree {
            path: path.to_owned(),
            root,
            way: Vec::new(),
            directories: Vec::new(),
            files: Vec::new(),
            version: VersionLine::default(),
            open: None,
        })
    }

    /// Makes all directories read-only, the inner ones first.
    pub(crate) fn seal(mut self) -> Result<Written, Error> {
        self.way.clear();
        for directory in self.directories.iter().rev() {
            // Path names are safe here: everything below the root was made by this tree, and none of it is a link.
            rustix::fs::chmodat(&self.root, directory.as_str(), DIRECTORY, rustix::fs::AtFlags::empty())
                .map_err(at("set the mode of", &self.path.join(directory)))?;
        }
        rustix::fs::fchmod(&self.root, DIRECTORY).map_err(at("set the mode of", &self.path))?;
        Ok(Written { files: self.files, go_version: self.version.text() })
    }

    /// Goes to a directory, making what is not there, and gives its descriptor.
    fn enter(&mut self, directory: &str) -> Result<BorrowedFd<'_>, Error> {
        let elements = || directory.split('/').filter(|element| !element.is_empty());
        let shared = self.way.iter().zip(elements()).take_while(|((open, _), element)| open == element).count();
        self.way.truncate(shared);
        for (depth, element) in elements().enumerate().skip(shared) {
            let path = elements().take(depth + 1).collect::<Vec<_>>().join("/");
            let parent = self.way.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            match rustix::fs::mkdirat(parent, element, Mode::RWXU) {
                Ok(()) => self.directories.push(path.clone()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(Error::io("create", &self.path.join(path), error)),
            }
            let fd = open_directory(parent, element).map_err(at("open", &self.path.join(path)))?;
            self.way.push((element.to_owned(), fd));
        }
        Ok(self.way.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }
}

fn open_directory(parent: BorrowedFd<'_>, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}

impl Sink for Tree {
    fn directory(&mut self, path: &str) -> Result<(), Error> {
        self.enter(path).map(|_| ())
    }

    fn begin(&mut self, planned: PlannedFile) -> Result<(), Error> {
        let (directory, name) = planned.path.rsplit_once('/').unwrap_or(("", &planned.path));
        let mode = if planned.executable { EXECUTABLE } else { PLAIN };
        let path = self.path.join(&planned.path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.enter(directory)?, name, flags, mode).map_err(at("create", &path))?;
        // Once more, because the umask took bits away.
        rustix::fs::fchmod(&fd, mode).map_err(at("set the mode of", &path))?;
        self.open = Some(OpenFile { file: File::from(fd), planned, hash: Sha256::new(), size: 0 });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let open = self.open.as_mut().expect("a reader begins a file before it writes");
        open.hash.update(bytes);
        open.size += bytes.len() as u64;
        self.version.take(&open.planned.path, bytes);
        let written = open.file.write_all(bytes);
        written.map_err(|error| Error::io("write", &self.path.join(&open.planned.path), error))
    }

    fn end(&mut self) -> Result<(), Error> {
        let open = self.open.take().expect("a reader begins a file before it ends it");
        let PlannedFile { path, executable } = open.planned;
        let sha256 = proof::Sha256(open.hash.finalize().into());
        self.files.push(TreeFile { path, size: open.size, executable, sha256 });
        Ok(())
    }
}
