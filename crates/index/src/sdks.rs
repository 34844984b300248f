//! The installed SDKs, as the last scan of the store saw them, and when each was last used.

use std::collections::HashSet;

use govern_core::platform::Platform;
use govern_core::sdk::{Sdk, SdkFacts};
use govern_core::version::Version;
use rusqlite::{Connection, Row, params};

use crate::column::{bytes, integer, path, unsigned, version};
use crate::{Error, Index};

const WHAT: &str = "the installed SDKs";

/// One installed SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdkRow {
    /// What its record says.
    pub facts: SdkFacts,
    /// When a `go` last ran from it, in seconds since the epoch; `None` when none did since it was installed.
    pub last_used: Option<u64>,
}

impl Index {
    /// Makes the index equal to a scan of the store, in one transaction. What is known of an SDK's use stays while the
    /// SDK does.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn replace_sdks(&mut self, sdks: &[SdkFacts]) -> Result<(), Error> {
        let mut replace = || {
            let transaction = self.conn.transaction()?;
            let found: HashSet<&Version> = sdks.iter().map(|facts| &facts.sdk.version).collect();
            for known in each(&transaction)? {
                if !found.contains(&known.facts.sdk.version) {
                    delete(&transaction, &known.facts.sdk.version)?;
                }
            }
            for facts in sdks {
                put(&transaction, facts)?;
            }
            transaction.commit()
        };
        replace().map_err(|source| Error::Write { what: WHAT, source })
    }

    /// Adds an SDK, or says anew what its record says.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn put_sdk(&mut self, facts: &SdkFacts) -> Result<(), Error> {
        put(&self.conn, facts).map_err(|source| Error::Write { what: WHAT, source })
    }

    /// Forgets an SDK and its use. One that is not there is no error.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn remove_sdk(&mut self, version: &Version) -> Result<(), Error> {
        delete(&self.conn, version).map_err(|source| Error::Write { what: WHAT, source })
    }

    /// All installed SDKs, oldest version first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn sdks(&self) -> Result<Vec<SdkRow>, Error> {
        let mut rows = each(&self.conn).map_err(|source| Error::Read { what: WHAT, source })?;
        rows.sort_by(|a, b| a.facts.sdk.version.cmp(&b.facts.sdk.version));
        Ok(rows)
    }
}

fn put(conn: &Connection, facts: &SdkFacts) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO sdks (version, goroot, os, arch, source, proof, proof_note, size, files, installed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (version) DO UPDATE SET
             goroot = excluded.goroot, os = excluded.os, arch = excluded.arch, source = excluded.source,
             proof = excluded.proof, proof_note = excluded.proof_note, size = excluded.size, files = excluded.files,
             installed_at = excluded.installed_at",
        params![
            facts.sdk.version.as_str(),
            bytes(&facts.sdk.goroot),
            facts.platform.os,
            facts.platform.arch,
            facts.source,
            facts.proof,
            facts.proof_note,
            integer(facts.size),
            integer(facts.files),
            integer(facts.installed_at),
        ],
    )?;
    Ok(())
}

fn delete(conn: &Connection, version: &Version) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM sdks WHERE version = ?1", [version.as_str()])?;
    Ok(())
}

fn each(conn: &Connection) -> rusqlite::Result<Vec<SdkRow>> {
    conn.prepare(
        "SELECT version, goroot, os, arch, source, proof, proof_note, size, files, installed_at, last_used FROM sdks",
    )?
    .query_map([], read)?
    .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<SdkRow> {
    Ok(SdkRow {
        facts: SdkFacts {
            sdk: Sdk { version: version(row, 0)?, goroot: path(row, 1)? },
            platform: Platform { os: row.get(2)?, arch: row.get(3)? },
            source: row.get(4)?,
            proof: row.get(5)?,
            proof_note: row.get(6)?,
            size: unsigned(row, 7)?,
            files: unsigned(row, 8)?,
            installed_at: unsigned(row, 9)?,
        },
        last_used: row.get::<_, Option<i64>>(10)?.map(|_| unsigned(row, 10)).transpose()?,
    })
}
