//! Which directories asked for a Go, what they got last, and how often.

use std::path::{Path, PathBuf};

use govern_core::version::Version;
use rusqlite::{Row, params};

use crate::column::{bytes, integer, path, unsigned, version};
use crate::{Error, Index};

const WHAT: &str = "the projects";

/// That a directory was answered `count` times, the last time at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The directory that asked.
    pub directory: PathBuf,
    /// What it got.
    pub version: Version,
    /// Whose wish that was, as it stands in messages.
    pub origin: String,
    /// `pin`, `floor` or `default`.
    pub kind: String,
    /// The last time, in seconds since the epoch.
    pub at: u64,
    /// How many times since the last report.
    pub count: u32,
}

/// A directory that asked for a Go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The directory.
    pub directory: PathBuf,
    /// What it got last.
    pub version: Version,
    /// Whose wish that was.
    pub origin: String,
    /// `pin`, `floor` or `default`.
    pub kind: String,
    /// The first time, in seconds since the epoch.
    pub first_use: u64,
    /// The last time, in seconds since the epoch.
    pub last_use: u64,
    /// How many times in all.
    pub count: u64,
}

impl Index {
    /// Notes a batch of answers, in one transaction. What stands later in the batch is newer, whatever the clock said:
    /// times only grow, so that a clock set back never makes an SDK look unused.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn record_use(&mut self, uses: &[Use]) -> Result<(), Error> {
        let mut record = || {
            let transaction = self.conn.transaction()?;
            {
                let mut project = transaction.prepare(
                    // The cap keeps a sum from leaving the integers, which a STRICT table refuses for ever after.
                    "INSERT INTO projects (directory, version, origin, kind, first_use, last_use, count)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
                     ON CONFLICT (directory) DO UPDATE SET
                         version = excluded.version, origin = excluded.origin, kind = excluded.kind,
                         first_use = min(first_use, excluded.first_use),
                         last_use = max(last_use, excluded.last_use),
                         count = min(count, 1 << 62) + excluded.count",
                )?;
                let mut sdk = transaction
                    .prepare("UPDATE sdks SET last_used = max(coalesce(last_used, 0), ?2) WHERE version = ?1")?;
                for one in uses {
                    let (version, at) = (one.version.as_str(), integer(one.at));
                    project.execute(params![bytes(&one.directory), version, one.origin, one.kind, at, one.count])?;
                    sdk.execute(params![version, at])?;
                }
            }
            transaction.commit()
        };
        record().map_err(|source| Error::Write { what: WHAT, source })
    }

    /// The directories that asked, at most so many: those where a wish stands come first, then those that asked last.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn projects(&self, most: usize) -> Result<Vec<Project>, Error> {
        let some = || -> rusqlite::Result<Vec<Project>> {
            self.conn
                .prepare(
                    "SELECT directory, version, origin, kind, first_use, last_use, count FROM projects
                     ORDER BY kind = 'default', last_use DESC, directory LIMIT ?1",
                )?
                .query_map([integer(most as u64)], read)?
                .collect()
        };
        some().map_err(|source| Error::Read { what: WHAT, source })
    }

    /// Shows every directory that asked, one by one: together they may be more than fit into memory.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn each_project(&self, mut show: impl FnMut(Project)) -> Result<(), Error> {
        let mut all = || -> rusqlite::Result<()> {
            self.conn
                .prepare("SELECT directory, version, origin, kind, first_use, last_use, count FROM projects")?
                .query_map([], read)?
                .try_for_each(|project| project.map(&mut show))
        };
        all().map_err(|source| Error::Read { what: WHAT, source })
    }

    /// Forgets a directory. One that is not there is no error.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn forget_project(&mut self, directory: &Path) -> Result<(), Error> {
        self.conn
            .execute("DELETE FROM projects WHERE directory = ?1", [bytes(directory)])
            .map(|_| ())
            .map_err(|source| Error::Write { what: WHAT, source })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        directory: path(row, 0)?,
        version: version(row, 1)?,
        origin: row.get(2)?,
        kind: row.get(3)?,
        first_use: unsigned(row, 4)?,
        last_use: unsigned(row, 5)?,
        count: unsigned(row, 6)?,
    })
}
