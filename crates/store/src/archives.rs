//! Archives kept as they were fetched, each of them proven: what a mirror gives out and a bundle is made of. A cache: what
//! is in it is hashed again before it is used, and may be deleted at any time.
//!
//! Beside each archive lies a note, `NAME.json`, of what it is and what proved it; it is written last, so that what has
//! one is whole. Leaves out where archives come from (`engine`) and who asks for them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use govern_core::platform::Platform;
use govern_core::proof::{Artifact, Format, Proof, Sha256};
use govern_core::version::Version;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::Store;
use crate::error::{Error, at};
use crate::staging::archive_name;
use crate::unpack::BUFFER;

/// A proven archive at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The release that it holds.
    pub version: Version,
    /// The platform that it is for.
    pub platform: Platform,
    /// How it is packed.
    pub format: Format,
    /// Where it lies.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// The module hash of its files.
    pub h1: String,
    /// Where it came from.
    pub source: String,
    /// `log` or `sha256`.
    pub proof: String,
}

/// What is written down of an archive. Fields are only added.
#[derive(Serialize, Deserialize)]
struct Note {
    schema: u32,
    version: String,
    os: String,
    arch: String,
    size: u64,
    sha256: String,
    h1: String,
    source: String,
    proof: String,
}

const SCHEMA: u32 = 1;

impl Store {
    /// The archives at hand, in the order of their names. What is no archive of ours is passed over.
    ///
    /// # Errors
    /// When the cache cannot be listed.
    pub fn archives(&self) -> Result<Vec<Archive>, Error> {
        let dir = self.layout.archives();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(at("list", &dir))?,
        };
        let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
        let mut archives: Vec<Archive> = names.filter_map(|name| read(&dir, name.strip_suffix(".json")?)).collect();
        archives.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(archives)
    }

    /// One archive, if it is at hand and still what it was: its bytes are hashed again.
    #[must_use]
    pub fn archive(&self, format: Format, version: &Version, platform: &Platform) -> Option<Archive> {
        let archive = read(&self.layout.archives(), &archive_name(format, version, platform))?;
        digest(&archive.path).is_ok_and(|found| found == (archive.size, archive.sha256)).then_some(archive)
    }

    /// Moves a finished download, which was proven, into the cache.
    ///
    /// # Errors
    /// When it cannot be moved, or its note not be written.
    pub fn keep_archive(&self, artifact: &Artifact, proof: &Proof, download: &Path) -> Result<Archive, Error> {
        let (dir, evidence) = (self.layout.archives(), proof.evidence());
        let name = archive_name(artifact.format, &artifact.version, &artifact.platform);
        let (path, note_path) = (dir.join(&name), dir.join(format!("{name}.json")));
        let note = Note {
            schema: SCHEMA,
            version: artifact.version.to_string(),
            os: artifact.platform.os.clone(),
            arch: artifact.platform.arch.clone(),
            size: evidence.size,
            sha256: evidence.sha256.to_string(),
            h1: evidence.h1.clone(),
            source: artifact.url.clone(),
            proof: proof.kind().to_owned(),
        };
        let text = serde_json::to_vec(&note).map_err(|source| Error::BadRecord { path: note_path.clone(), source })?;
        fs::create_dir_all(&dir).map_err(at("create", &dir))?;
        // Whoever reads an old note beside new bytes finds that the digest differs.
        fs::rename(download, &path).map_err(at("keep", &path))?;
        let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(at("create a file in", &dir))?;
        file.write_all(&text).map_err(at("write", &note_path))?;
        file.persist(&note_path).map_err(|error| Error::io("write", &note_path, error.error))?;
        Ok(Archive {
            version: artifact.version.clone(),
            platform: artifact.platform.clone(),
            format: artifact.format,
            path,
            size: evidence.size,
            sha256: evidence.sha256,
            h1: note.h1,
            source: note.source,
            proof: note.proof,
        })
    }
}

/// The archive that the note of this name describes, if such an archive gets this name.
fn read(dir: &Path, name: &str) -> Option<Archive> {
    let note = fs::read(dir.join(format!("{name}.json"))).ok()?;
    let note: Note = serde_json::from_slice(&note).ok().filter(|note: &Note| note.schema <= SCHEMA)?;
    let version = Version::parse(&note.version).ok()?;
    let platform = Platform { os: note.os, arch: note.arch };
    let formats = [Format::TarGz, Format::ModuleZip];
    let format = formats.into_iter().find(|format| archive_name(*format, &version, &platform) == name)?;
    Some(Archive {
        path: dir.join(name),
        format,
        size: note.size,
        sha256: Sha256::from_hex(&note.sha256)?,
        h1: note.h1,
        source: note.source,
        proof: note.proof,
        version,
        platform,
    })
}

pub(crate) fn digest(path: &Path) -> io::Result<(u64, Sha256)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size, mut buffer) = (sha2::Sha256::new(), 0, vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, Sha256(hash.finalize().into()))),
            read => {
                size += read as u64;
                hash.update(&buffer[..read]);
            }
        }
    }
}
