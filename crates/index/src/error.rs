//! What can go wrong with the index, and whether beginning anew would help.

use std::io;
use std::path::PathBuf;

use govern_core::origin::escaped;
use rusqlite::ErrorCode;

/// Why the index cannot be opened, read or written. None of these stops a `go` from running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory of the index cannot be made.
    #[error("cannot create the directory {}", escaped(path))]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made or opened, for a reason that a new file would not cure.
    #[error("cannot open the index {}", escaped(path))]
    Touch {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite cannot open it, for a reason that a new file would not cure: the disk is full, another process holds it.
    #[error("cannot open the index {}", escaped(path))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// What stands in the way of a new index cannot be moved.
    #[error("cannot move the index {} aside ({reason})", escaped(path))]
    MoveAside {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Why it stays.
        source: io::Error,
    },
    /// The index was begun anew, and the new one is no good either.
    #[error("the new index {} cannot be used ({reason})", escaped(path))]
    Hopeless {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A question failed.
    #[error("cannot read {what} from the index")]
    Read {
        /// What was asked for.
        what: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// A change failed; nothing of it was kept.
    #[error("cannot write {what} to the index")]
    Write {
        /// What was to be written.
        what: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
}

impl Error {
    /// True when the file itself is at fault: closing the index and opening it again begins a new one.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Open { source, .. } | Error::Read { source, .. } | Error::Write { source, .. } => {
                is_cured_by_a_new_file(source)
            }
            Error::CreateDirectory { .. } | Error::Touch { .. } | Error::MoveAside { .. } | Error::Hopeless { .. } => {
                false
            }
        }
    }
}

/// Tells a bad file from a bad moment. A full disk or a busy file must never cost a good index.
pub(crate) fn is_cured_by_a_new_file(error: &rusqlite::Error) -> bool {
    // No code of SQLite's own: a row that does not decode.
    let Some(failure) = error.sqlite_error() else { return true };
    match failure.code {
        ErrorCode::PermissionDenied
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::OutOfMemory
        | ErrorCode::ReadOnly
        | ErrorCode::OperationInterrupted
        | ErrorCode::DiskFull
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport => false,
        ErrorCode::SystemIoFailure => matches!(
            failure.extended_code,
            rusqlite::ffi::SQLITE_IOERR_READ
                | rusqlite::ffi::SQLITE_IOERR_SHORT_READ
                | rusqlite::ffi::SQLITE_IOERR_CORRUPTFS
        ),
        _ => true,
    }
}
