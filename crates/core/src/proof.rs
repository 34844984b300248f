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
        // At once: a record has one for each of 14,000 files.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.map(|byte| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]));
        f.write_str(str::from_utf8(digits.as_flattened()).map_err(|_| fmt::Error)?)
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

/// Why there is no log record where the log is [`Log::Silent`].
pub const SILENT: &str = "the checksum database has no record of this release";

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
            Log::Silent => Some(SILENT),
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
                return Err(Mismatch::Unproven(SILENT.to_owned()));
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

#[cfg(test)]
mod tests {
    use super::{Artifact, Evidence, Expected, Format, Log, LogRecord, LogRequired, Mismatch, Proof, Sha256};
    use crate::platform::Platform;
    use crate::version::Version;

    const GOOD: Sha256 = Sha256([0xab; 32]);
    const OTHER: Sha256 = Sha256([0xcd; 32]);

    fn record(h1: &str) -> Log {
        Log::Record(LogRecord { database: "sum.example".to_owned(), id: 7, tree_size: 9, h1: h1.to_owned() })
    }

    fn out_of_reach() -> Log {
        Log::OutOfReach("no route".to_owned())
    }

    /// Judges 100 bytes with digest `GOOD` and module hash `h1:good`.
    fn judge(size: Option<u64>, sha256: Option<Sha256>, log: Log, required: LogRequired) -> Result<Proof, Mismatch> {
        let artifact = Artifact {
            version: Version::parse("1.22.4").unwrap(),
            platform: Platform::from_rust("linux", "x86_64"),
            url: "https://example.com/go1.22.4.linux-amd64.tar.gz".to_owned(),
            format: Format::TarGz,
            size,
            expected: Expected { sha256, log },
        };
        artifact.check(Evidence { size: 100, sha256: GOOD, h1: "h1:good".to_owned() }, required)
    }

    fn show(judgement: &Result<Proof, Mismatch>) -> String {
        match judgement {
            Err(mismatch) => format!("refused: {mismatch}"),
            Ok(proof) => {
                let digest = if proof.has_digest() { ", digest" } else { "" };
                let log = proof.log().map_or(String::new(), |record| format!(", record {}", record.id));
                let missing = proof.log_missing().map_or(String::new(), |why| format!(", no log: {why}"));
                format!("{}{digest}{log}{missing}", proof.kind())
            }
        }
    }

    #[test]
    fn an_archive_is_proven_by_all_that_must_hold_and_by_something() {
        use LogRequired::{No, Yes};
        let check = |size: Option<u64>, sha256: Option<Sha256>, log: Log, required: LogRequired, expect: &str| {
            let judgement = judge(size, sha256, log, required);
            assert_eq!(show(&judgement), expect);
            if let Ok(proof) = judgement {
                assert_eq!((proof.evidence().size, proof.evidence().h1.as_str()), (100, "h1:good"));
            }
        };
        let short = "refused: it is 100 bytes long, 101 were promised";
        let digest = format!("refused: its SHA-256 is {GOOD}, {OTHER} was promised");
        let contradicts = "refused: its files hash to h1:good, sum.example has h1:evil";
        let silent = "the checksum database has no record of this release";
        let only_digest = format!("sha256, digest, no log: {silent}");
        let no_record = format!("refused: nothing proves it: {silent}");

        // The log agrees: nothing more is needed, and a digest that is there must agree too.
        check(Some(100), Some(GOOD), record("h1:good"), No, "log, digest, record 7");
        check(None, None, record("h1:good"), No, "log, record 7");
        check(None, Some(GOOD), record("h1:good"), Yes, "log, digest, record 7");
        check(None, None, record("h1:good"), Yes, "log, record 7");
        check(Some(100), Some(OTHER), record("h1:good"), No, &digest);
        check(Some(101), Some(GOOD), record("h1:good"), No, short);
        // The log contradicts: nothing helps.
        check(Some(100), Some(GOOD), record("h1:evil"), No, contradicts);
        check(None, None, record("h1:evil"), No, contradicts);
        check(Some(100), Some(GOOD), record("h1:evil"), Yes, contradicts);
        check(None, None, record(""), No, "refused: its files hash to h1:good, sum.example has ");
        // The log is out of reach: a digest is enough, unless the log is required.
        check(Some(100), Some(GOOD), out_of_reach(), No, "sha256, digest, no log: no route");
        check(None, Some(GOOD), out_of_reach(), No, "sha256, digest, no log: no route");
        check(None, Some(GOOD), out_of_reach(), Yes, "refused: nothing proves it: no route");
        check(Some(100), None, out_of_reach(), No, "refused: nothing proves it: no route");
        check(Some(100), Some(OTHER), out_of_reach(), No, &digest);
        // The log is silent: the same.
        check(Some(100), Some(GOOD), Log::Silent, No, &only_digest);
        check(Some(100), Some(GOOD), Log::Silent, Yes, &no_record);
        check(Some(100), None, Log::Silent, No, &no_record);
        check(None, None, Log::Silent, Yes, &no_record);
        check(Some(99), Some(GOOD), Log::Silent, No, "refused: it is 100 bytes long, 99 were promised");
    }

    #[test]
    fn a_digest_is_read_from_its_64_digits_alone() {
        let text = GOOD.to_string();
        assert_eq!(text, "ab".repeat(32));
        assert_eq!(Sha256::from_hex(&text), Some(GOOD));
        assert_eq!(Sha256::from_hex(&text.to_uppercase()), Some(GOOD));
        assert_eq!(
            Sha256::from_hex(&format!("00{}ff", "10".repeat(30))).map(|d| (d.0[0], d.0[1], d.0[31])),
            Some((0, 16, 255))
        );
        for bad in ["", "ab", &text[1..], &format!("{text}a"), &"+f".repeat(32), &"g0".repeat(32), &"\u{e9}".repeat(32)]
        {
            assert_eq!(Sha256::from_hex(bad), None, "{bad}");
        }
    }
}
