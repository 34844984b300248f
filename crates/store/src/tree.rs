//! Writes an admitted tree into staging: directories by descriptor, files with `O_EXCL`.
//! Leaves out what may be written (`plan`), where it comes from (`tar`, `zip`) and what its digests are (`manifest`): this
//! is an end of the pipe, on a thread of its own.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::disk;
use crate::error::{Error, at};
use crate::pipe::Sink;
use crate::plan::PlannedFile;
use crate::twins::{Shared, Twin, Twins};

/// The mode of a file that may be run.
pub(crate) const EXECUTABLE: Mode = Mode::from_bits_truncate(0o555);
/// The mode of any other file.
pub(crate) const PLAIN: Mode = Mode::from_bits_truncate(0o444);
/// The mode of a directory.
pub(crate) const DIRECTORY: Mode = Mode::from_bits_truncate(0o555);

/// Files from this size on go to the disk while the rest is unpacked: some 60 of an SDK's, with more than half its bytes.
const WORTH_STARTING: u64 = 256 << 10;

/// A tree being written below one directory.
pub(crate) struct Tree {
    path: PathBuf,
    root: OwnedFd,
    /// The way to the directory of the last file, open.
    way: Vec<(String, OwnedFd)>,
    /// All directories, each after the one it lies in.
    directories: Vec<String>,
    open: Option<OpenFile>,
    need: Option<u64>,
    twins: Option<Twins>,
    /// See [`Tree::takes_bits`]; of plain files and of executables.
    takes_bits: [Option<bool>; 2],
}

struct OpenFile {
    to: To,
    planned: PlannedFile,
}

/// Where the bytes of a file go.
enum To {
    File(File),
    /// Nowhere as long as they are those that another SDK has.
    Twin(Twin),
}

impl Tree {
    /// Starts a tree in the empty directory `path`, which may share what `twins` have.
    pub(crate) fn new(path: &Path, twins: Option<Twins>) -> Result<Tree, Error> {
        let root = open_directory(CWD, path).map_err(at("open", path))?;
        Ok(Tree {
            path: path.to_owned(),
            root,
            way: Vec::new(),
            directories: Vec::new(),
            open: None,
            need: None,
            twins,
            takes_bits: [None; 2],
        })
    }

    /// An error of the disk about something below the root.
    fn fault(&self, action: &'static str, path: &str, source: impl Into<io::Error>) -> Error {
        let error = Error::io(action, &self.path.join(path), source);
        match self.need {
            Some(need) => error.with_need(need),
            None => error,
        }
    }

    /// Makes all directories read-only, the inner ones first, and says what the tree shares with another SDK.
    pub(crate) fn seal(mut self) -> Result<Option<Shared>, Error> {
        self.way.clear();
        for directory in self.directories.iter().rev() {
            // Path names are safe here: everything below the root was made by this tree, and none of it is a link.
            rustix::fs::chmodat(&self.root, directory.as_str(), DIRECTORY, rustix::fs::AtFlags::empty())
                .map_err(at("set the mode of", &self.path.join(directory)))?;
        }
        rustix::fs::fchmod(&self.root, DIRECTORY).map_err(at("set the mode of", &self.path))?;
        Ok(self.twins.and_then(Twins::shared))
    }

    /// Makes an empty file, and the directories above it.
    fn create(&mut self, planned: &PlannedFile) -> Result<File, Error> {
        let (directory, name) = split(&planned.path);
        let mode = mode(planned.executable);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.enter(directory)?, name, flags, mode);
        let fd = fd.map_err(|error| self.fault("create", &planned.path, error))?;
        if self.takes_bits(&fd, mode, &planned.path)? {
            rustix::fs::fchmod(&fd, mode).map_err(|error| self.fault("set the mode of", &planned.path, error))?;
        }
        Ok(File::from(fd))
    }

    /// Takes a file's content from its twin, if it has one that was the same to its end. False where it must be written.
    fn share(&mut self, open: &OpenFile) -> Result<bool, Error> {
        let To::Twin(twin) = &open.to else { return Ok(true) };
        let Some(mut twins) = self.twins.take() else { return Ok(false) };
        let path = &open.planned.path;
        // A descriptor of its own, because making a file for a reflink needs the tree.
        let directory =
            self.enter(split(path).0)?.try_clone_to_owned().map_err(|error| self.fault("open", path, error))?;
        let is_shared = twins.share(twin, path, directory.as_fd(), || self.create(&open.planned).ok());
        self.twins = Some(twins);
        Ok(is_shared)
    }

    /// Writes what a file and its twin had in common into a file of its own.
    fn part(&mut self, from: To, planned: &PlannedFile) -> Result<To, Error> {
        let To::Twin(twin) = from else { return Ok(from) };
        let mut file = self.create(planned)?;
        file.write_all(twin.same()).map_err(|error| self.fault("write", &planned.path, error))?;
        self.done(twin);
        Ok(To::File(file))
    }

    fn done(&mut self, twin: Twin) {
        if let Some(twins) = &mut self.twins {
            twins.done(twin);
        }
    }

    /// Whether files get a lesser mode than was asked for, by the umask or a default of the directory. All files of a tree
    /// meet the same, so that one of each mode is looked at, and the other thousands are not.
    fn takes_bits(&mut self, file: &OwnedFd, mode: Mode, path: &str) -> Result<bool, Error> {
        let kind = usize::from(mode == EXECUTABLE);
        if let Some(known) = self.takes_bits[kind] {
            return Ok(known);
        }
        let stat = rustix::fs::fstat(file).map_err(|error| self.fault("look at", path, error))?;
        Ok(*self.takes_bits[kind].insert(Mode::from_raw_mode(stat.st_mode) != mode))
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
                Err(error) => return Err(self.fault("create", &path, error)),
            }
            let fd = open_directory(parent, element).map_err(|error| self.fault("open", &path, error))?;
            self.way.push((element.to_owned(), fd));
        }
        Ok(self.way.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }
}

/// The directory of a file, and its name there.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The mode that a file has on disk.
pub(crate) fn mode(executable: bool) -> Mode {
    if executable { EXECUTABLE } else { PLAIN }
}

fn open_directory(parent: BorrowedFd<'_>, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}

impl Sink for Tree {
    fn need(&mut self, total: u64) -> Result<(), Error> {
        self.need = Some(total);
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<(), Error> {
        self.enter(path).map(|_| ())
    }

    fn expect(&mut self, planned: &PlannedFile) {
        if let Some(twins) = &mut self.twins {
            twins.expect(&planned.path, planned.size);
        }
    }

    fn begin(&mut self, planned: &PlannedFile) -> Result<(), Error> {
        let mode = mode(planned.executable);
        let twin = self.twins.as_mut().and_then(|twins| twins.open(&planned.path, planned.size, mode));
        let to = match twin {
            Some(twin) => To::Twin(twin),
            None => To::File(self.create(planned)?),
        };
        self.open = Some(OpenFile { to, planned: planned.clone() });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut open = self.open.take().expect("a reader begins a file before it writes");
        if let To::Twin(twin) = &mut open.to
            && !twin.goes_on_with(bytes)
        {
            open.to = self.part(open.to, &open.planned)?;
        }
        if let To::File(file) = &mut open.to {
            file.write_all(bytes).map_err(|error| self.fault("write", &open.planned.path, error))?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let mut open = self.open.take().expect("a reader begins a file before it ends it");
        if !self.share(&open)? {
            open.to = self.part(open.to, &open.planned)?;
        }
        match open.to {
            To::File(file) if open.planned.size >= WORTH_STARTING => disk::start_writing(&file),
            To::File(_) => {}
            To::Twin(twin) => self.done(twin),
        }
        Ok(())
    }
}
