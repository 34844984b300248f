//! A bundle: archives, their proofs and a list in one tar file, for machines without a network. Unpacked it is a directory
//! of the go.dev shape and of a module proxy's at once.
//!
//! Its first member, `govern-bundle.json`, has the size and digest of every other one. That guards against damage; it
//! proves nothing, and leaves who is to be believed to `sources`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};

use govern_core::origin::escaped;
use govern_core::proof::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tar::{Archive, Builder, EntryType, Header};

use crate::archives::digest;
use crate::error::{Error, at};
use crate::plan::MAX_ARCHIVE;
use crate::refusal::Refusal;
use crate::tar::{end, judge};
use crate::unpack::{BUFFER, Fault, Marked, fill};

/// The first member.
const MANIFEST: &str = "govern-bundle.json";
/// The schema that is written and the newest that is read.
const SCHEMA: u32 = 1;
/// The largest manifest.
const MAX_MANIFEST: u64 = 4 << 20;
/// The most members.
const MAX_MEMBERS: usize = 20_000;
/// The longest name.
const MAX_NAME: usize = 240;
/// What a bundle holds, by its beginnings.
const ROOMS: [&str; 3] = ["dl/", "golang.org/toolchain/@v/", "sumdb/"];

/// A file that goes into a bundle.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file on disk.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    schema: u32,
    files: BTreeMap<String, Member>,
}

#[derive(Serialize, Deserialize)]
struct Member {
    size: u64,
    sha256: String,
}

/// Writes a bundle of these members, whole or not at all.
///
/// # Errors
/// When a member cannot be read, or the file not be written.
pub fn write_bundle(to: &Path, members: &BTreeMap<String, Content>) -> Result<(), Error> {
    let mut files = BTreeMap::new();
    for (name, content) in members {
        let (size, sha256) = match content {
            Content::File(path) => digest(path).map_err(at("read", path))?,
            Content::Bytes(bytes) => (bytes.len() as u64, Sha256(sha2::Sha256::digest(bytes).into())),
        };
        files.insert(name.clone(), Member { size, sha256: sha256.to_string() });
    }
    let manifest = serde_json::to_vec_pretty(&Manifest { schema: SCHEMA, files })
        .map_err(|source| Error::BadRecord { path: to.to_owned(), source })?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new();
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = temporary.tempfile_in(dir).map_err(at("create a file in", dir))?;
    let write = || -> io::Result<()> {
        let mut tar = Builder::new(BufWriter::with_capacity(BUFFER, file.as_file_mut()));
        append(&mut tar, MANIFEST, manifest.len() as u64, Cursor::new(manifest))?;
        for (name, content) in members {
            match content {
                Content::Bytes(bytes) => append(&mut tar, name, bytes.len() as u64, Cursor::new(bytes))?,
                Content::File(path) => {
                    let file = File::open(path)?;
                    append(&mut tar, name, file.metadata()?.len(), file)?;
                }
            }
        }
        tar.into_inner()?.flush()
    };
    write().map_err(at("write", to))?;
    file.as_file().sync_all().map_err(at("write", to))?;
    file.persist(to).map_err(|error| Error::io("write", to, error.error))?;
    Ok(())
}

fn append(tar: &mut Builder<impl io::Write>, name: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    tar.append(&header, content)
}

/// Unpacks a bundle into an empty directory of ours. Every byte is what the manifest says, or the bundle is refused.
///
/// # Errors
/// [`Error::Refused`] for whatever is not plainly a bundle; else when a file cannot be read or written.
pub fn unpack_bundle(bundle: &Path, dir: &Path) -> Result<(), Error> {
    let file = File::open(bundle).map_err(at("read", bundle))?;
    unpack(&mut BufReader::with_capacity(BUFFER, file), dir).map_err(|fault| fault.of(&escaped(bundle)))
}

fn unpack(stream: &mut dyn Read, dir: &Path) -> Result<(), Fault> {
    let (failed, ended) = (Cell::new(false), Cell::new(false));
    let mut archive = Archive::new(Marked::new(stream, &failed, &ended));
    let malformed = |error: io::Error| match () {
        () if failed.get() => Fault::from(error),
        () if ended.get() => Fault::archive(Refusal::Truncated),
        () => Fault::archive(Refusal::Tar("a header that cannot be read")),
    };
    let mut left: Option<BTreeMap<String, Member>> = None;
    for entry in archive.entries().map_err(malformed)?.raw(true) {
        let mut entry = entry.map_err(malformed)?;
        let (raw, size) = (entry.path_bytes().into_owned(), entry.size());
        let refused = |reason| Err(Fault::entry(&raw, reason));
        judge(entry.header()).map_err(|reason| Fault::entry(&raw, reason))?;
        if entry.header().entry_type() != EntryType::Regular {
            return refused(Refusal::Bundle("it is no regular file"));
        }
        let Some(files) = &mut left else {
            left = Some(manifest(&mut entry, &raw, size)?);
            continue;
        };
        let Some((name, member)) = std::str::from_utf8(&raw).ok().and_then(|name| files.remove_entry(name)) else {
            return refused(Refusal::Bundle("it is not in the manifest, or was there before"));
        };
        if size != member.size {
            return refused(Refusal::Bundle("it has another size than the manifest says"));
        }
        if write(&mut entry, &dir.join(&name), size).map_err(|fault| fault.within(&raw))? != member.sha256 {
            return refused(Refusal::Bundle("it has another SHA-256 than the manifest says"));
        }
    }
    match left {
        None => {
            return Err(Fault::archive(if ended.get() { Refusal::Truncated } else { Refusal::Bundle("no manifest") }));
        }
        Some(left) => {
            if let Some((name, _)) = left.first_key_value() {
                let reason = if ended.get() { Refusal::Truncated } else { Refusal::Bundle("it is missing") };
                return Err(Fault::entry(name.as_bytes(), reason));
            }
        }
    }
    end(&mut archive.into_inner(), &ended)
}

/// Reads the manifest, and refuses it when it promises what no bundle holds.
fn manifest(content: &mut dyn Read, name: &[u8], size: u64) -> Result<BTreeMap<String, Member>, Fault> {
    if name != MANIFEST.as_bytes() {
        return Err(Fault::archive(Refusal::Bundle("it does not begin with govern-bundle.json")));
    }
    let refused = |what| Err(Fault::entry(name, Refusal::Bundle(what)));
    if size > MAX_MANIFEST {
        return refused("it is larger than any manifest");
    }
    let mut bytes = vec![0; size as usize];
    if fill(content, &mut bytes)? < bytes.len() {
        return Err(Fault::entry(name, Refusal::Truncated));
    }
    // The schema first: a newer manifest may lack what this one must have.
    match serde_json::from_slice::<Schema>(&bytes) {
        Err(_) => return refused("it is no manifest"),
        Ok(Schema { schema }) if schema > SCHEMA => return refused("a newer govern wrote it"),
        Ok(_) => {}
    }
    let Ok(Manifest { files, .. }) = serde_json::from_slice(&bytes) else { return refused("it is no manifest") };
    if files.len() > MAX_MEMBERS {
        return refused("it promises more members than any bundle has");
    }
    for (name, member) in &files {
        let refused = |what| Err(Fault::entry(name.as_bytes(), Refusal::Bundle(what)));
        if !is_plain(name) {
            return refused("it has a name that no member of a bundle has");
        }
        if member.size > MAX_ARCHIVE {
            return refused("it is larger than any archive");
        }
    }
    Ok(files)
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Names that Go's download page, module proxies and checksum database have; none of them leaves the directory.
fn is_plain(name: &str) -> bool {
    let is_element = |element: &str| {
        let is_plain = element.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@.!-_+~".contains(&byte));
        is_plain && !element.is_empty() && !element.starts_with('.')
    };
    name.len() <= MAX_NAME && ROOMS.iter().any(|room| name.starts_with(room)) && name.split('/').all(is_element)
}

/// Writes a member, and gives its digest in hexadecimal digits.
fn write(content: &mut dyn Read, path: &Path, size: u64) -> Result<String, Fault> {
    let dir = path.parent().expect("a member lies below the directory");
    fs::create_dir_all(dir).map_err(at("create", dir))?;
    let mut file = File::create_new(path).map_err(at("create", path))?;
    let (mut hash, mut left, mut buffer) = (sha2::Sha256::new(), size, vec![0; BUFFER]);
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if fill(content, &mut buffer[..want])? < want {
            return Err(Fault::archive(Refusal::Truncated));
        }
        hash.update(&buffer[..want]);
        file.write_all(&buffer[..want]).map_err(at("write", path))?;
        left -= want as u64;
    }
    Ok(Sha256(hash.finalize().into()).to_string())
}
