//! How values stand in columns: paths as bytes, counts as SQLite's signed integers, versions as text.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use govern_core::version::Version;
use rusqlite::Row;
use rusqlite::types::Type;

/// The bytes of a path.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A count or a time; beyond SQLite's range the largest value stands.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a path.
pub(crate) fn path(row: &Row<'_>, at: usize) -> rusqlite::Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(row.get(at)?)))
}

/// Reads a count or a time. The schema has none below zero.
pub(crate) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, value))
}

/// Reads a version.
pub(crate) fn version(row: &Row<'_>, at: usize) -> rusqlite::Result<Version> {
    let text: String = row.get(at)?;
    Version::parse(&text).map_err(|e| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(e)))
}
