//! What is known of an installed SDK, and the proof that may be found for it later. Reads records; what their files
//! look like is `record`'s affair.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use govern_core::event::Event;
use govern_core::platform::Platform;
use govern_core::proof::{Evidence, LogRecord, Proof};
use govern_core::sdk::{Sdk, SdkFacts};
use govern_core::version::Version;
use rustix::fs::FileType;

use crate::error::{Error, at};
use crate::record::{self, Durable, RecordedProof};
use crate::{Store, disk, walk};

/// The longest proof that is read; one has 3 kB.
const MAX_LOG_PROOF: u64 = 1_000_001;

impl Store {
    /// What is known of one SDK, from its record without the manifest. Where the record is gone, from the tree.
    ///
    /// # Errors
    /// When it is not installed, or the record or the tree cannot be read.
    pub fn facts(&self, version: &Version) -> Result<SdkFacts, Error> {
        let sdk = self.sdk(version).ok_or_else(|| Error::NotInstalled { version: version.clone() })?;
        let Some(record) = record::load_header(&self.layout.record(version))? else { return facts_of_tree(sdk) };
        Ok(SdkFacts {
            sdk,
            platform: record.platform(),
            proof_note: record.proof.note(),
            source: record.source,
            proof: record.proof.word().to_owned(),
            size: record.size,
            files: record.files,
            installed_at: record.installed_at,
        })
    }

    /// What is known of an SDK whose record tells nothing: what its tree says, as far as that can be read, and `why`.
    #[must_use]
    pub fn facts_without_record(&self, sdk: Sdk, why: String) -> SdkFacts {
        let unknown = || Platform { os: "unknown".to_owned(), arch: "unknown".to_owned() };
        let bare = |sdk| SdkFacts {
            sdk,
            platform: unknown(),
            source: String::new(),
            proof: "none".to_owned(),
            proof_note: String::new(),
            size: 0,
            files: 0,
            installed_at: 0,
        };
        let facts = facts_of_tree(sdk.clone()).unwrap_or_else(|_| bare(sdk));
        SdkFacts { proof_note: why, ..facts }
    }

    /// What was computed from the bytes of an SDK when it was installed, to be judged again.
    ///
    /// # Errors
    /// When it is not installed, or its record is not there or cannot be read.
    pub fn evidence(&self, version: &Version) -> Result<Evidence, Error> {
        if self.sdk(version).is_none() {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        let path = self.layout.record(version);
        let record = record::load_header(&path)?;
        Ok(record.ok_or_else(|| Error::NoRecord { version: version.clone(), path })?.proof.evidence())
    }

    /// Writes down a proof that was found after the install, when the checksum database was within reach again.
    /// A weaker proof than the one that is written down changes nothing.
    ///
    /// # Errors
    /// [`Error::ForeignProof`] when the proof is about other bytes, and all errors of [`Store::evidence`].
    pub fn reprove(&self, version: &Version, proof: &Proof) -> Result<(), Error> {
        let _lock = self.lock(version, &|_: Event| {})?;
        if self.evidence(version)? != *proof.evidence() {
            return Err(Error::ForeignProof { version: version.clone() });
        }
        let path = self.layout.record(version);
        let Some(mut record) = record::load(&path)? else {
            return Err(Error::NoRecord { version: version.clone(), path });
        };
        if record.proof.log.is_some() && proof.log().is_none() {
            return Ok(());
        }
        record.proof = RecordedProof::new(proof);
        record.save(&path, Durable::Now)?;
        disk::sync_directory(&self.layout.records())
    }

    /// Writes down that the log, asked later, has another hash than the one that was computed from the bytes. The SDK
    /// stays where it is: somebody may be building with it.
    ///
    /// # Errors
    /// As [`Store::evidence`].
    pub fn contradict(&self, version: &Version, contradiction: &str) -> Result<(), Error> {
        let _lock = self.lock(version, &|_: Event| {})?;
        let path = self.layout.record(version);
        let Some(mut record) = record::load(&path)? else {
            return Err(Error::NoRecord { version: version.clone(), path });
        };
        record.proof.contradicted = Some(contradiction.to_owned());
        record.save(&path, Durable::Now)?;
        disk::sync_directory(&self.layout.records())
    }

    /// The record of the log that proved an SDK, if one did. Its number and size are as they were then.
    ///
    /// # Errors
    /// When the record of the SDK is not there or cannot be read.
    pub fn log_record(&self, version: &Version) -> Result<Option<LogRecord>, Error> {
        let path = self.layout.record(version);
        let record = record::load_header(&path)?;
        Ok(record.ok_or_else(|| Error::NoRecord { version: version.clone(), path })?.proof.log_record())
    }

    /// The proof that is kept beside the record of an SDK. Nobody has checked it.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn log_proof(&self, version: &Version) -> Result<Option<Vec<u8>>, Error> {
        let path = self.layout.log_proof(version);
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_LOG_PROOF).read_to_end(&mut text)) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Keeps a proof of the log beside the record of an SDK.
    ///
    /// # Errors
    /// When the SDK is not there, or the file cannot be written.
    pub fn keep_log_proof(&self, version: &Version, text: &str) -> Result<(), Error> {
        let _lock = self.lock(version, &|_: Event| {})?;
        if !self.has_tree(version) {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        record::replace(&self.layout.log_proof(version), version.as_str(), text.as_bytes(), Durable::Now)?;
        disk::sync_directory(&self.layout.records())
    }
}

/// What a tree says of itself when nobody kept a record.
fn facts_of_tree(sdk: Sdk) -> Result<SdkFacts, Error> {
    let goroot = sdk.goroot.clone();
    let (mut size, mut files) = (0, 0);
    walk::walk(walk::open_root(&goroot)?, &goroot, &mut |found| {
        if found.kind() == FileType::RegularFile {
            files += 1;
            size += u64::try_from(found.stat.st_size).unwrap_or(0);
        }
        Ok(())
    })?;
    // The tools lie in `pkg/tool/linux_amd64`.
    let tools = goroot.join("pkg/tool");
    let names = fs::read_dir(&tools).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(at("list", &tools))?;
    let platform = names.iter().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.split_once('_').map(|(os, arch)| Platform { os: os.to_owned(), arch: arch.to_owned() })
    });
    let root = fs::symlink_metadata(&goroot).map_err(at("look at", &goroot))?;
    Ok(SdkFacts {
        sdk,
        platform: platform.unwrap_or(Platform { os: "unknown".to_owned(), arch: "unknown".to_owned() }),
        source: String::new(),
        proof: "none".to_owned(),
        proof_note: "its record is gone".to_owned(),
        size,
        files,
        installed_at: u64::try_from(root.mtime()).unwrap_or(0),
    })
}
