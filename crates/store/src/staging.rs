//! The way of an SDK into the store: `Staging → Unpacked → Proven → Sdk`. Each step consumes the one before, and
//! dropping any of them removes everything, so that nothing but a proven, complete tree is ever seen under a name
//! that a version has.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use govern_core::event::Watch;
use govern_core::platform::Platform;
use govern_core::proof::{self, Evidence, Format, Proof};
use govern_core::sdk::Sdk;
use govern_core::version::Version;

use crate::error::{Error, at};
use crate::gunzip::Gunzip;
use crate::lock::{self, VersionLock};
use crate::manifest::{Manifest, TreeFile};
use crate::plan::{MAX_ARCHIVE, Planner};
use crate::record::{self, Durable, Record, Subject};
use crate::remove;
use crate::tree::Tree;
use crate::twins::{Shared, Twins};
use crate::unpack::{Fault, Unpack};
use crate::{Store, disk, h1, pipe, tar, walk, zip};

/// How a staging directory is named: this, the version, a dash, and something random.
pub(crate) const PREFIX: &str = ".stage-";

/// An empty directory on the file system of the SDKs, for one release.
#[derive(Debug)]
pub struct Staging {
    stage: Stage,
}

/// A complete, read-only tree in staging, and what was computed from its bytes.
#[derive(Debug)]
pub struct Unpacked {
    stage: Stage,
    format: Format,
    evidence: Evidence,
    go_version: String,
    files: Vec<TreeFile>,
    shared: Option<Shared>,
}

/// A tree in staging that is what the Go project published.
#[derive(Debug)]
pub struct Proven {
    unpacked: Unpacked,
    proof: Proof,
    /// The log's proof as a text that stands alone.
    log_proof: Option<String>,
}

/// The staging directory and the lock that keeps others away from it. Drop removes the directory first.
#[derive(Debug)]
struct Stage {
    store: Store,
    path: PathBuf,
    platform: Platform,
    /// Released after the directory is gone or published.
    lock: VersionLock,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be deleted now is swept at the next start. After publishing there is nothing here.
        let _ = walk::delete(&self.path);
    }
}

impl Store {
    /// Makes a staging directory for the release that `lock` holds. The lock stays held until the SDK is published
    /// or the attempt is dropped.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn stage(&self, lock: VersionLock, platform: &Platform) -> Result<Staging, Error> {
        let sdks = self.layout.sdks();
        let path = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", lock.version()))
            .tempdir_in(&sdks)
            .map_err(at("create a directory in", &sdks))?
            .keep();
        Ok(Staging { stage: Stage { store: self.clone(), path, platform: platform.clone(), lock } })
    }
}

impl Staging {
    /// Unpacks a binary archive of the download page as its bytes arrive.
    ///
    /// # Errors
    /// [`Error::Refused`] for every archive that is not plainly an SDK, [`Error::Archive`] when `archive` fails, and
    /// errors of the disk. The staging directory is gone then.
    pub fn unpack_tar_gz(self, archive: &mut dyn Read, watch: &dyn Watch) -> Result<Unpacked, Error> {
        self.unpack(Format::TarGz, watch, |unpack| {
            let mut stream = Gunzip::new(archive, MAX_ARCHIVE);
            tar::unpack(&mut stream, unpack)?;
            stream.finish()
        })
    }

    /// Unpacks a zip of the module `golang.org/toolchain`, as its bytes arrive once its directory is there: a read waits
    /// for bytes that are still to come, and a clone reads by itself.
    ///
    /// # Errors
    /// As [`Staging::unpack_tar_gz`].
    pub fn unpack_module_zip<R>(self, archive: R, watch: &dyn Watch) -> Result<Unpacked, Error>
    where
        R: Read + Seek + Clone + Send,
    {
        self.unpack(Format::ModuleZip, watch, |unpack| zip::unpack(archive, unpack))
    }

    fn unpack(
        self,
        format: Format,
        watch: &dyn Watch,
        read: impl FnOnce(&mut Unpack<'_, '_>) -> Result<(u64, proof::Sha256), Fault>,
    ) -> Result<Unpacked, Error> {
        let stage = self.stage;
        let (version, platform) = (stage.lock.version(), &stage.platform);
        let archive = archive_name(format, version, platform);
        let mut manifest = Manifest::default();
        let mut tree = Tree::new(&stage.path, Twins::of(&stage.store, version))?;
        let read = pipe::split(&mut [&mut manifest, &mut tree], |pipe| {
            let mut unpack = Unpack::new(Planner::new(format, version, platform), pipe, watch);
            let read = read(&mut unpack)?;
            unpack.finish();
            Ok(read)
        });
        let (size, sha256) = read.map_err(|fault| fault.of(&archive))?;
        let shared = tree.seal()?;
        manifest.judge(&archive, version, platform)?;
        let h1 = h1::hash(format, version, platform, manifest.files());
        let evidence = Evidence { size, sha256, h1 };
        let go_version = manifest.go_version();
        Ok(Unpacked { stage, format, evidence, go_version, files: manifest.into_files(), shared })
    }
}

/// The name of an archive of this release, as those who publish it have it.
#[must_use]
pub fn archive_name(format: Format, version: &Version, platform: &Platform) -> String {
    match format {
        Format::TarGz => platform.archive(version),
        Format::ModuleZip => format!("{}.zip", platform.module_version(version)),
    }
}

impl Unpacked {
    /// What was computed from the bytes, for [`govern_core::proof::Artifact::check`].
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Takes the judge's word on the evidence.
    ///
    /// # Errors
    /// [`Error::ForeignProof`] when the proof is about other bytes.
    pub fn prove(self, proof: Proof) -> Result<Proven, Error> {
        if *proof.evidence() != self.evidence {
            return Err(Error::ForeignProof { version: self.stage.lock.version().clone() });
        }
        Ok(Proven { unpacked: self, proof, log_proof: None })
    }
}

impl Proven {
    /// Has the log's proof kept beside the record.
    #[must_use]
    pub fn with_log_proof(self, text: String) -> Proven {
        Proven { log_proof: Some(text), ..self }
    }

    /// Makes the tree durable and visible, in this order, and keeps a record of where it came from.
    ///
    /// An SDK that is there already stays as it is, and is returned.
    ///
    /// # Errors
    /// When something cannot be written. The version is then as it was before, unless it is only the last sync that
    /// failed: then the SDK is there, and may be gone after a power cut.
    pub fn publish(self, source: &str, now: SystemTime) -> Result<Sdk, Error> {
        let (store, version) = (self.store(), self.version());
        if let Some(published) = store.sdk(version) {
            return Ok(published);
        }
        let goroot = store.layout.sdk(version);
        remove::clear_wreck(store, version, &goroot)?;

        // The record goes first, so that an SDK that can be seen has one. Should the power fail between here and the
        // rename, a record without an SDK stays behind, and is swept.
        let stage = &self.unpacked.stage;
        let durable = match disk::syncs_as_well(&stage.path, &store.layout.records()) {
            true => Durable::WithTree,
            false => Durable::Now,
        };
        self.write_beside(source, now, durable)?;
        if let Err(error) = publish_tree(stage, &goroot, durable) {
            let _ = fs::remove_file(store.layout.record(version));
            let _ = fs::remove_file(store.layout.log_proof(version));
            return Err(error);
        }
        disk::sync_directory(&store.layout.sdks())?;
        Ok(Sdk { version: version.clone(), goroot })
    }

    /// Puts the tree in the place of a damaged one, in one step: at no moment is there no SDK. The old tree is deleted
    /// when nobody runs from it, and else left to the sweep that finds it unused.
    ///
    /// # Errors
    /// When something cannot be written; the old tree is then in its place. Where the file system cannot exchange
    /// directories, [`Error::InUse`] as long as somebody runs from the old one.
    pub fn replace(self, source: &str, now: SystemTime) -> Result<Sdk, Error> {
        let (store, version) = (self.store(), self.version());
        let goroot = store.layout.sdk(version);
        match fs::symlink_metadata(&goroot) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.publish(source, now),
            Err(error) => return Err(Error::io("look at", &goroot, error)),
            Ok(found) if !found.is_dir() => return Err(Error::Obstructed { path: goroot }),
            Ok(_) => {}
        }
        let stage = &self.unpacked.stage;
        lock::open_lease(&store.layout.lease(version))?;
        disk::sync_tree(&walk::open_root(&stage.path)?, &stage.path)?;
        // The new tree waits under the name of trash, which is what is there after the exchange, whatever ends us.
        let trash = remove::new_trash(store, version)?;
        fs::rename(&stage.path, &trash).map_err(at("rename", &stage.path))?;
        if let Err(error) = swap(store, version, &trash, &goroot) {
            let _ = walk::delete(&trash);
            return Err(error);
        }
        if let Err(error) = self.write_beside(source, now, Durable::Now) {
            // With the old record the old tree: it is damaged, and known to be.
            let _ = swap(store, version, &trash, &goroot);
            let _ = walk::delete(&trash);
            return Err(error);
        }
        disk::sync_directory(&store.layout.records())?;
        disk::sync_directory(&store.layout.sdks())?;
        if let Some(_lease) = store.unused(version)? {
            // What cannot be deleted now is swept at the next start.
            let _ = walk::delete(&trash);
        }
        Ok(Sdk { version: version.clone(), goroot })
    }

    /// Writes the record, and the log's proof before it.
    fn write_beside(&self, source: &str, now: SystemTime, durable: Durable) -> Result<(), Error> {
        let Unpacked { stage, format, go_version, files, shared, .. } = &self.unpacked;
        let (layout, version) = (&self.store().layout, self.version());
        let subject = Subject { version, platform: &stage.platform, format: *format, go_version, files, shared };
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match &self.log_proof {
            Some(text) => record::replace(&layout.log_proof(version), version.as_str(), text.as_bytes(), durable)?,
            // One that is there belongs to an SDK of another day.
            None => drop(remove::delete_file(&layout.log_proof(version))?),
        }
        Record::new(&subject, source, &self.proof, seconds).save(&layout.record(version), durable)
    }

    fn store(&self) -> &Store {
        &self.unpacked.stage.store
    }

    fn version(&self) -> &Version {
        self.unpacked.stage.lock.version()
    }
}

/// Exchanges a new tree and the one in the place of an SDK. Where that takes two steps, nobody may run from the SDK, and
/// whoever asks for a lease waits until both are done.
fn swap(store: &Store, version: &Version, new: &Path, goroot: &Path) -> Result<(), Error> {
    if disk::exchange(new, goroot).map_err(at("exchange", goroot))? {
        return Ok(());
    }
    let _lease = store.unused(version)?.ok_or_else(|| store.in_use(version))?;
    let aside = remove::new_trash(store, version)?;
    fs::rename(goroot, &aside).map_err(at("rename", goroot))?;
    if let Err(error) = fs::rename(new, goroot) {
        let _ = fs::rename(&aside, goroot);
        return Err(Error::io("rename", new, error));
    }
    fs::rename(&aside, new).map_err(at("rename", &aside))
}

/// Makes a staged tree durable, with what was written beside it, and gives it its name.
fn publish_tree(stage: &Stage, goroot: &Path, beside: Durable) -> Result<(), Error> {
    let layout = &stage.store.layout;
    // Whoever runs from the SDK will lock this; making it now lets those do so who may only read.
    lock::open_lease(&layout.lease(stage.lock.version()))?;
    if beside == Durable::Now {
        disk::sync_directory(&layout.records())?;
    }
    disk::sync_tree(&walk::open_root(&stage.path)?, &stage.path)?;
    match disk::rename_new(&stage.path, goroot) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::Obstructed { path: goroot.to_owned() })
        }
        other => other.map_err(at("create", goroot)),
    }
}
