//! The record beside an SDK: `records/go1.22.4.json`, schema 1. It says where the SDK came from, what proved it, and
//! what every file must be, so that the tree can be checked without network and the index rebuilt without asking.
//!
//! It is one JSON document whose first line is everything but the manifest, so that a list of SDKs need not parse
//! 14,000 lines each. Fields are only added; a schema that is not known is refused.

use std::fs::{File, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use govern_core::platform::Platform;
use govern_core::proof::{Evidence, Format, LogRecord, Proof, Sha256};
use govern_core::version::Version;
use serde::{Deserialize, Serialize};

use crate::error::{Error, at};
use crate::manifest::TreeFile;
use crate::twins::{Means, Shared};

/// The schema that is written and the newest that is read.
const SCHEMA: u32 = 1;
/// How a temporary record is named until it is complete: this, the version, a dash, and something random.
pub(crate) const TEMPORARY: &str = ".record-";
/// The longest first line; a URL is the only part without a bound of its own.
const MAX_HEADER: u64 = 64 << 10;
/// The largest record; that of an SDK has 2 MB.
const MAX_RECORD: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    schema: u32,
    /// Without `go`.
    pub(crate) version: String,
    os: String,
    arch: String,
    /// How the archive was packed: it decides which files count for the module hash.
    format: RecordedFormat,
    /// First line of `VERSION`.
    go_version: String,
    pub(crate) source: String,
    pub(crate) proof: RecordedProof,
    /// Seconds since the epoch.
    pub(crate) installed_at: u64,
    pub(crate) size: u64,
    pub(crate) files: u64,
    /// What it shares with another SDK since it was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<RecordedShare>,
    /// Last, because readers in a hurry stop before it.
    #[serde(default)]
    manifest: Vec<RecordedFile>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum RecordedFormat {
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "module.zip")]
    ModuleZip,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedProof {
    /// `log` or `sha256`.
    pub(crate) kind: String,
    /// Digest of the archive.
    #[serde(with = "hex")]
    sha256: Sha256,
    /// Whether that digest stood in a release list.
    sha256_listed: bool,
    /// Length of the archive.
    size: u64,
    /// The module hash of the tree.
    pub(crate) h1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<RecordedLog>,
    /// Why there is no `log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_missing: Option<String>,
    /// What the log said when it was asked later, and it was not this tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contradicted: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedLog {
    database: String,
    id: u64,
    tree_size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedShare {
    /// Without `go`.
    with: String,
    /// `reflink` or `hard link`.
    means: String,
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedFile {
    path: String,
    size: u64,
    #[serde(with = "hex")]
    sha256: Sha256,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exec: bool,
}

/// What a record is about, besides its proof.
pub(crate) struct Subject<'a> {
    pub(crate) version: &'a Version,
    pub(crate) platform: &'a Platform,
    pub(crate) format: Format,
    pub(crate) go_version: &'a str,
    pub(crate) files: &'a [TreeFile],
    pub(crate) shared: &'a Option<Shared>,
}

impl RecordedProof {
    pub(crate) fn new(proof: &Proof) -> RecordedProof {
        let evidence = proof.evidence();
        let log = proof.log();
        RecordedProof {
            kind: proof.kind().to_owned(),
            sha256: evidence.sha256,
            sha256_listed: proof.has_digest(),
            size: evidence.size,
            h1: evidence.h1.clone(),
            log: log.map(|log| RecordedLog { database: log.database.clone(), id: log.id, tree_size: log.tree_size }),
            log_missing: proof.log_missing().map(str::to_owned),
            contradicted: None,
        }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence { size: self.size, sha256: self.sha256, h1: self.h1.clone() }
    }

    /// The record of the log that proved the tree, if one did.
    pub(crate) fn log_record(&self) -> Option<LogRecord> {
        let RecordedLog { database, id, tree_size } = self.log.as_ref()?;
        Some(LogRecord { database: database.clone(), id: *id, tree_size: *tree_size, h1: self.h1.clone() })
    }

    /// The word for it: `log`, `sha256` or `contradicted`.
    pub(crate) fn word(&self) -> &str {
        if self.contradicted.is_some() { "contradicted" } else { &self.kind }
    }

    /// One line for a person: which record of which log, or why there is none.
    pub(crate) fn note(&self) -> String {
        if let Some(contradiction) = &self.contradicted {
            return contradiction.clone();
        }
        match (&self.log, &self.log_missing) {
            (Some(log), _) => format!("record {} of {}", log.id, log.database),
            (None, Some(reason)) => reason.clone(),
            (None, None) => "no word about the checksum database".to_owned(),
        }
    }
}

impl Record {
    pub(crate) fn new(subject: &Subject<'_>, source: &str, proof: &Proof, installed_at: u64) -> Record {
        Record {
            schema: SCHEMA,
            version: subject.version.to_string(),
            os: subject.platform.os.clone(),
            arch: subject.platform.arch.clone(),
            format: match subject.format {
                Format::TarGz => RecordedFormat::TarGz,
                Format::ModuleZip => RecordedFormat::ModuleZip,
            },
            go_version: subject.go_version.to_owned(),
            source: source.to_owned(),
            proof: RecordedProof::new(proof),
            installed_at,
            size: subject.files.iter().map(|file| file.size).sum(),
            files: subject.files.len() as u64,
            shared: subject.shared.as_ref().map(|shared| RecordedShare {
                with: shared.with.to_string(),
                means: shared.means.word().to_owned(),
                files: shared.files,
                bytes: shared.bytes,
            }),
            manifest: subject
                .files
                .iter()
                .map(|file| RecordedFile {
                    path: file.path.clone(),
                    size: file.size,
                    sha256: file.sha256,
                    exec: file.executable,
                })
                .collect(),
        }
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform { os: self.os.clone(), arch: self.arch.clone() }
    }

    pub(crate) fn format(&self) -> Format {
        match self.format {
            RecordedFormat::TarGz => Format::TarGz,
            RecordedFormat::ModuleZip => Format::ModuleZip,
        }
    }

    /// What the SDK `version`, whose record this is, shares with another one.
    pub(crate) fn shared(&self, version: &Version) -> Option<Shared> {
        let RecordedShare { with, means, files, bytes } = self.shared.as_ref()?;
        let (with, means) = (Version::parse(with).ok()?, Means::parse(means)?);
        Some(Shared { version: version.clone(), with, means, files: *files, bytes: *bytes })
    }

    /// The files, in the order of the archive.
    pub(crate) fn into_manifest(self) -> Vec<TreeFile> {
        let file = |file: RecordedFile| TreeFile {
            path: file.path,
            size: file.size,
            executable: file.exec,
            sha256: file.sha256,
        };
        self.manifest.into_iter().map(file).collect()
    }

    /// Writes the record in one step: the old one or the new one is there, never half of it.
    pub(crate) fn save(mut self, path: &Path, durable: Durable) -> Result<(), Error> {
        let manifest = std::mem::take(&mut self.manifest);
        let text = self.text(&manifest).map_err(|source| Error::BadRecord { path: path.to_owned(), source })?;
        replace(path, &self.version, text.as_bytes(), durable)
    }

    /// The header on one line up to the opening bracket of the manifest, then a line for each file.
    fn text(&self, manifest: &[RecordedFile]) -> serde_json::Result<String> {
        let header = serde_json::to_string(self)?;
        let mut text = header.strip_suffix(END).expect("the manifest is the last field, and empty").to_owned();
        for (n, file) in manifest.iter().enumerate() {
            text.push_str(if n == 0 { "\n" } else { ",\n" });
            text.push_str(&serde_json::to_string(file)?);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        Ok(text)
    }
}

/// When what is written has to outlast a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// At once.
    Now,
    /// When the tree is made durable, which it is written for.
    WithTree,
}

/// Writes a file beside an SDK in one step. Its name becomes durable with the directory.
pub(crate) fn replace(path: &Path, version: &str, bytes: &[u8], durable: Durable) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new()
        .prefix(&format!("{TEMPORARY}{version}-"))
        .tempfile_in(directory)
        .map_err(at("create a file in", directory))?;
    file.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(at("set the mode of", path))?;
    let written = file.write_all(bytes).and_then(|()| match durable {
        Durable::Now => file.as_file().sync_all(),
        Durable::WithTree => Ok(()),
    });
    written.map_err(at("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path, error.error))?;
    Ok(())
}

/// How every record ends.
const END: &str = "]}";

/// Reads a record without its manifest; `None` when there is no record.
pub(crate) fn load_header(path: &Path) -> Result<Option<Record>, Error> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut line = Vec::new();
    BufReader::new(file.take(MAX_HEADER)).read_until(b'\n', &mut line).map_err(at("read", path))?;
    // A record that somebody formatted anew is still one: its whole text is then parsed.
    line.truncate(line.trim_ascii_end().len());
    line.extend_from_slice(END.as_bytes());
    match parse(path, &line) {
        Err(Error::BadRecord { .. }) => load(path),
        other => other.map(Some),
    }
}

/// Reads a whole record; `None` when there is no record.
pub(crate) fn load(path: &Path) -> Result<Option<Record>, Error> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut text = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut text).map_err(at("read", path))?;
    parse(path, &text).map(Some)
}

fn open(path: &Path) -> Result<Option<File>, Error> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Record, Error> {
    let bad = |source| Error::BadRecord { path: path.to_owned(), source };
    // The schema first: a newer record may lack what this one must have.
    let Schema { schema } = serde_json::from_slice(text).map_err(bad)?;
    if schema > SCHEMA {
        return Err(Error::NewerRecord { path: path.to_owned(), schema, known: SCHEMA });
    }
    serde_json::from_slice(text).map_err(bad)
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Digests as 64 hexadecimal digits.
mod hex {
    use govern_core::proof::Sha256;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(digest: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = String::deserialize(deserializer)?;
        Sha256::from_hex(&text).ok_or_else(|| D::Error::custom("a SHA-256 digest has 64 hexadecimal digits"))
    }
}
