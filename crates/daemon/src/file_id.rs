//! Tells whether a path still leads to the file that it led to.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What makes a file this one and no other for as long as somebody holds it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    /// The file that a path leads to now, a link counting as itself.
    pub(crate) fn of_path(path: &Path) -> io::Result<FileId> {
        fs::symlink_metadata(path).map(|found| FileId::new(&found))
    }

    /// An open file.
    pub(crate) fn of_file(file: &File) -> io::Result<FileId> {
        file.metadata().map(|found| FileId::new(&found))
    }

    /// True when the path leads to this file.
    pub(crate) fn is_at(self, path: &Path) -> bool {
        FileId::of_path(path).is_ok_and(|now| now == self)
    }

    fn new(found: &Metadata) -> FileId {
        FileId(found.dev(), found.ino())
    }
}
