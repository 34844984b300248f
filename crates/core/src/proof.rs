//! What must hold of an archive before it may become an SDK, and the check itself.
//! Leaves out fetching the expectation (`sources`) and computing the evidence (`store`): this is the judge.

use std::fmt;

use crate::platform::Platform;
use crate::version::Version;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Sha256> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        }
        Some(Sha256(bytes))
    }
}

/// Prints 64 lower-case hexadecimal digits.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A binary archive of the download page: everything under `go/`.
    TarGz,
    /// A zip of the module `golang.org/toolchain`: everything under `golang.org/toolchain@VERSION/`.
    ModuleZip,
}

/// A remote archive that holds one SDK, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The release it holds.
    pub version: Version,
    /// The platform it runs on.
    pub platform: Platform,
    /// Where the bytes are, without user name and password.
    pub url: String,
    /// How they are packed.
    pub format: Format,
    /// Its length in bytes, when the source says.
    pub size: Option<u64>,
    /// What must hold of it.
    pub expected: Expected,
}

/// What must hold of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The digest of the archive, as the release list gives it.
    pub sha256: Option<Sha256>,
    /// What the checksum database says.
    pub log: Log,
}

/// The checksum database's word on one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// The authenticated record.
    Record(LogRecord),
    /// It could not be asked; the text says why. Enough only beside a digest, and only unless the log is required.
    OutOfReach(String),
    /// It has no such record: releases before 1.21, vendors' builds.
    Silent,
}

/// An authenticated record of the checksum database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The database's name: `sum.golang.org`.
    pub database: String,
    /// The number of the record.
    pub id: u64,
    /// The size of the signed tree that was seen to hold it.
    pub tree_size: u64,
    /// The hash of the module zip's files: `h1:` and 44 characters of base64.
    pub h1: String,
}

/// What was computed from the bytes that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Length of the archive in bytes.
    pub size: u64,
    /// Digest of the archive.
    pub sha256: Sha256,
    /// The module hash over the unpacked files, by the rules of `cmd/distpack` where the archive was a tarball.
    pub h1: String,
}

/// That an SDK is what the Go project published. Made by [`Artifact::check`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    evidence: Evidence,
    sha256_matched: bool,
    log: Log,
}

impl Proof {
    /// What was computed from the bytes.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The record of the checksum database that agrees, if one was seen.
    #[must_use]
    pub fn log(&self) -> Option<&LogRecord> {
        if let Log::Record(record) = &self.log { Some(record) } else { None }
    }

    /// Why there is no log record, when there is none.
    #[must_use]
    pub fn log_missing(&self) -> Option<&str> {
        match &self.log {
            Log::Record(_) => None,
            Log::OutOfReach(reason) => Some(reason),
            Log::Silent => Some("the checksum database has no record of this release"),
        }
    }

    /// True when the archive's digest stood in a release list and agreed.
    #[must_use]
    pub fn has_digest(&self) -> bool {
        self.sha256_matched
    }

    /// `log` or `sha256`: the stronger of the proofs that there are.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.log().is_some() { "log" } else { "sha256" }
    }
}

/// Why an archive is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The archive has another length than the release list says.
    #[error("it is {got} bytes long, {expected} were promised")]
    Size {
        /// Bytes promised.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The archive has another digest than the release list says.
    #[error("its SHA-256 is {got}, {expected} was promised")]
    Sha256 {
        /// The digest in the release list.
        expected: Sha256,
        /// The digest of what came.
        got: Sha256,
    },
    /// The checksum database has another hash.
    #[error("its files hash to {got}, {database} has {expected}")]
    Log {
        /// The checksum database.
        database: String,
        /// The hash in the log.
        expected: String,
        /// The hash of what came.
        got: String,
    },
    /// There is nothing to check it against.
    #[error("nothing proves it: {0}")]
    Unproven(String),
}

impl Artifact {
    /// Judges the bytes that arrived. A log that contradicts always refuses; a log out of reach is enough only where
    /// the digest agrees and the log is not required.
    ///
    /// # Errors
    /// When anything that must hold does not.
    pub fn check(&self, evidence: Evidence, log_required: LogRequired) -> Result<Proof, Mismatch> {
        if let Some(expected) = self.size.filter(|size| *size != evidence.size) {
            return Err(Mismatch::Size { expected, got: evidence.size });
        }
        if let Some(expected) = self.expected.sha256.filter(|digest| *digest != evidence.sha256) {
            return Err(Mismatch::Sha256 { expected, got: evidence.sha256 });
        }
        match &self.expected.log {
            Log::Record(record) if record.h1 != evidence.h1 => {
                return Err(Mismatch::Log {
                    database: record.database.clone(),
                    expected: record.h1.clone(),
                    got: evidence.h1,
                });
            }
            Log::Record(_) => {}
            Log::OutOfReach(reason) if log_required == LogRequired::Yes || self.expected.sha256.is_none() => {
                return Err(Mismatch::Unproven(reason.clone()));
            }
            Log::Silent if log_required == LogRequired::Yes || self.expected.sha256.is_none() => {
                return Err(Mismatch::Unproven("the checksum database has no record of this release".to_owned()));
            }
            Log::OutOfReach(_) | Log::Silent => {}
        }
        Ok(Proof { evidence, sha256_matched: self.expected.sha256.is_some(), log: self.expected.log.clone() })
    }
}

/// Whether an SDK without a record in the checksum database may be installed (`require_log`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRequired {
    /// Only with a record.
    Yes,
    /// A digest from the release list is enough.
    No,
}
