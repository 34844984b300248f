//! `govern verify`: an installed SDK against its record, and its record against the log's proof that is kept beside it.
//! Leaves out what is done about damage (`install`) and proofs that are still to come (`later`).

use std::fmt;

use govern_core::proof::LogRecord;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_store::{Damage, Error as StoreError};

use crate::Engine;
use crate::error::Error;

/// What was found of an SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What is wrong with it; nothing: it is whole.
    pub faults: Vec<Fault>,
    /// Files that its record lists.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Something wrong with an SDK. Prints one line, path first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file of it, or what its record says.
    Damage(Damage),
    /// Its record, which should be at this path below the data directory.
    Record {
        /// The path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The log's proof beside its record.
    LogProof {
        /// The path.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Damage(damage) => damage.fmt(f),
            Fault::Record { path, reason } | Fault::LogProof { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

/// What the log's proof of an SDK is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogCheck {
    /// It holds: the recorded hash is in the log's record, and the record in the signed tree.
    Holds(LogRecord),
    /// There is none to check, for this reason: the SDK was proven by its SHA-256 alone.
    Without(String),
    /// It does not hold.
    Fails(Fault),
}

impl Engine {
    /// Compares an SDK with its record, telling of bytes as they are read. Blocks; asks no network.
    ///
    /// # Errors
    /// When it is not installed, or something of it cannot be looked at.
    pub fn verify(&self, version: &Version, read: &(dyn Fn(u64) + Sync)) -> Result<Verified, Error> {
        let broken = |reason: String| {
            let path = format!("records/{}.json", version.toolchain());
            Ok(Verified { faults: vec![Fault::Record { path, reason }], files: 0, bytes: 0 })
        };
        match self.store().verify_watched(version, read) {
            Ok(found) => {
                let faults = found.damages.into_iter().map(Fault::Damage).collect();
                Ok(Verified { faults, files: found.files, bytes: found.bytes })
            }
            Err(StoreError::NoRecord { .. }) => broken("missing".to_owned()),
            Err(StoreError::BadRecord { source, .. }) => broken(format!("damaged: {source}")),
            Err(error) => Err(error.into()),
        }
    }

    /// Proves an SDK again from what lies beside it: recorded hash, log's record, signed tree. Only where no proof is
    /// kept is the log asked for it, once.
    ///
    /// # Errors
    /// When no proof is kept and none can be had, or something cannot be read.
    pub async fn check_log_proof(&self, version: &Version, vars: &Vars) -> Result<LogCheck, Error> {
        let recorded = match self.store().log_record(version) {
            Ok(Some(recorded)) => recorded,
            Ok(None) => {
                let facts = self.store().facts(version);
                return Ok(LogCheck::Without(facts.map_or_else(|error| error.to_string(), |facts| facts.proof_note)));
            }
            // A record that is no record is a fault of `verify`'s.
            Err(StoreError::NoRecord { .. } | StoreError::BadRecord { .. }) => {
                return Ok(LogCheck::Without("its record cannot be read".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(text) = self.store().log_proof(version)? else {
            return self.fetch_log_proof(version, &recorded.h1, vars).await;
        };
        let sources = self.sources(&self.settings(vars)?, vars)?;
        let fails = |reason: String| LogCheck::Fails(log_proof_fault(version, reason));
        Ok(match sources.check_log_proof(&text, version, self.platform()) {
            Err(refusal) => fails(refusal.to_string()),
            Ok(proven) if proven.h1 != recorded.h1 => {
                fails(format!("{} has {}, the files hash to {}", proven.database, proven.h1, recorded.h1))
            }
            Ok(proven) if (&proven.database, proven.id) != (&recorded.database, recorded.id) => fails(format!(
                "it is about record {} of {}, not record {} of {}",
                proven.id, proven.database, recorded.id, recorded.database
            )),
            Ok(proven) => LogCheck::Holds(proven),
        })
    }

    /// Gets the log's proof of an SDK and keeps it, in the place of one that does not hold.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn renew_log_proof(&self, version: &Version, vars: &Vars) -> Result<LogCheck, Error> {
        let h1 = self.store().evidence(version)?.h1;
        self.fetch_log_proof(version, &h1, vars).await
    }

    async fn fetch_log_proof(&self, version: &Version, h1: &str, vars: &Vars) -> Result<LogCheck, Error> {
        let not_had = |reason: String| Error::NoLogProof { version: version.clone(), reason };
        let sources = self.sources(&self.settings(vars)?, vars)?;
        let proven = match sources.log_proof(version, self.platform()).await {
            Ok(Some(proven)) => proven,
            Ok(None) => return Err(not_had("no checksum database may be asked for it".to_owned())),
            Err(error) => return Err(not_had(error.to_string())),
        };
        if proven.record.h1 != h1 {
            let reason = format!("{} has {}, the files hash to {h1}", proven.record.database, proven.record.h1);
            return Ok(LogCheck::Fails(log_proof_fault(version, reason)));
        }
        self.store().keep_log_proof(version, &proven.stored)?;
        Ok(LogCheck::Holds(proven.record))
    }
}

fn log_proof_fault(version: &Version, reason: String) -> Fault {
    Fault::LogProof { path: format!("records/{}.tlog-proof", version.toolchain()), reason }
}
