//! The pins seen in files, and a copy of the overrides: where the watcher looks, and what `projects` can show without
//! walking the disk. The files are the truth.

use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use crate::column::{bytes, integer, path, unsigned};
use crate::{Error, Index};

const PINS: &str = "the pins";
const OVERRIDES: &str = "the overrides";

/// A line that pins a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRow {
    /// The directory it speaks for.
    pub directory: PathBuf,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What the line says.
    pub text: String,
}

impl Index {
    /// Makes the pins of one directory these and no others, in one transaction. Every row must be of that directory.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn replace_pins(&mut self, directory: &Path, pins: &[PinRow]) -> Result<(), Error> {
        debug_assert!(pins.iter().all(|pin| pin.directory == directory), "a pin of another directory");
        let mut replace = || {
            let transaction = self.conn.transaction()?;
            transaction.execute("DELETE FROM pins WHERE directory = ?1", [bytes(directory)])?;
            for pin in pins {
                transaction.execute(
                    "INSERT OR REPLACE INTO pins (directory, file, line, text) VALUES (?1, ?2, ?3, ?4)",
                    params![bytes(directory), bytes(&pin.file), integer(pin.line), pin.text],
                )?;
            }
            transaction.commit()
        };
        replace().map_err(|source| Error::Write { what: PINS, source })
    }

    /// All pins, by directory, file and line.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn pins(&self) -> Result<Vec<PinRow>, Error> {
        let all = || -> rusqlite::Result<Vec<PinRow>> {
            self.conn
                .prepare("SELECT directory, file, line, text FROM pins ORDER BY directory, file, line")?
                .query_map([], read)?
                .collect()
        };
        all().map_err(|source| Error::Read { what: PINS, source })
    }

    /// Makes the overrides these and no others: a directory, and the wish as it was typed.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn replace_overrides(&mut self, overrides: &[(PathBuf, String)]) -> Result<(), Error> {
        let mut replace = || {
            let transaction = self.conn.transaction()?;
            transaction.execute("DELETE FROM overrides", [])?;
            for (directory, spec) in overrides {
                transaction.execute(
                    "INSERT OR REPLACE INTO overrides (directory, spec) VALUES (?1, ?2)",
                    params![bytes(directory), spec],
                )?;
            }
            transaction.commit()
        };
        replace().map_err(|source| Error::Write { what: OVERRIDES, source })
    }

    /// All overrides, in the order of their directories' bytes.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn overrides(&self) -> Result<Vec<(PathBuf, String)>, Error> {
        let all = || -> rusqlite::Result<Vec<(PathBuf, String)>> {
            self.conn
                .prepare("SELECT directory, spec FROM overrides ORDER BY directory")?
                .query_map([], |row| Ok((path(row, 0)?, row.get(1)?)))?
                .collect()
        };
        all().map_err(|source| Error::Read { what: OVERRIDES, source })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<PinRow> {
    Ok(PinRow { directory: path(row, 0)?, file: path(row, 1)?, line: unsigned(row, 2)?, text: row.get(3)? })
}
