//! Judges the zip of a toolchain module, member by member, before anything of it is written. The `zip` crate reads the
//! format.
//!
//! A zip says everything twice, in the central directory and beside the data, and readers that believe different halves
//! see different files. So the crate is made to compare the halves, and the members must follow one another without gap
//! or overlap from the first byte to the directory, which must reach to the end. That leaves out zip64, comments of the
//! archive, encryption and self-extraction, none of which a module has.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use govern_core::proof;
use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{CompressionMethod, ExtraField, ZipArchive};

use crate::plan::{MAX_ARCHIVE, MAX_ENTRIES, MAX_RATIO, MAX_TREE, RATIO_FREE};
use crate::refusal::Refusal;
use crate::unpack::{BUFFER, Fault, Marked, Tap, Unpack, fill};

/// The record at the very end.
const END: u64 = 22;
/// What stands behind the data of a member that was written as a stream.
const DESCRIPTOR: u64 = 16;
/// The largest central directory; that of an SDK has 2 MB.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Sizes and sum stand behind the data; bits 1 and 2 are a hint of the compressor; the name is UTF-8.
const KNOWN_FLAGS: u16 = HAS_DESCRIPTOR | 0b110 | IS_UTF8;
const HAS_DESCRIPTOR: u16 = 1 << 3;
const IS_UTF8: u16 = 1 << 11;
/// Encrypted, strongly encrypted, encrypted directory.
const ENCRYPTED_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;

/// Unpacks a whole zip file, and gives its length and digest. It may be one that is still coming, as long as whoever reads
/// it waits for what is not there; two read it, each from a place of its own.
pub(crate) fn unpack<R>(mut archive: R, unpack: &mut Unpack<'_, '_>) -> Result<(u64, proof::Sha256), Fault>
where
    R: Read + Seek + Clone + Send,
{
    let hashed = archive.clone();
    let is_refused = AtomicBool::new(false);
    thread::scope(|scope| {
        // The bytes are hashed where they lie while the members are read in their own order.
        let digest = scope.spawn(|| digest(hashed, &is_refused));
        let unpacked = Tail::read(&mut archive).and_then(|tail| unpack_members(archive, &tail, unpack));
        is_refused.store(unpacked.is_err(), Ordering::Relaxed);
        let digest = digest.join().expect("hashing does not panic");
        unpacked?;
        Ok(digest?)
    })
}

fn unpack_members(archive: impl Read + Seek, tail: &Tail, unpack: &mut Unpack<'_, '_>) -> Result<(), Fault> {
    let (failed, ended) = (Cell::new(false), Cell::new(false));
    let fault = |error: ZipError| match error {
        ZipError::Io(error) if failed.get() => Fault::from(error),
        ZipError::Io(_) if ended.get() => Fault::archive(Refusal::Truncated),
        ZipError::CompressionMethodNotSupported(method) => Fault::archive(Refusal::Method(method.to_string())),
        ZipError::UnsupportedArchive(_) => Fault::archive(Refusal::Zip("it needs what no module has")),
        _ => Fault::archive(Refusal::Zip("it contradicts itself")),
    };
    let reader = BufReader::with_capacity(BUFFER, Marked::new(archive, &failed, &ended));
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, reader).map_err(fault)?;
    if archive.has_duplicate_names() {
        return Err(Fault::archive(Refusal::Duplicate));
    }
    let mut order: Vec<(u64, usize)> = Vec::with_capacity(archive.len());
    let mut total = 0u64;
    for index in 0..archive.len() {
        let member = archive.by_index_data(index).map_err(fault)?;
        order.push((member.header_start(), index));
        total = total.saturating_add(member.size());
    }
    if total > MAX_TREE {
        return Err(Fault::archive(Refusal::TreeTooLarge(MAX_TREE)));
    }
    unpack.need(total)?;
    order.sort_unstable();

    let mut position = 0;
    for (start, index) in order {
        // Raw first: what may not be decoded is not.
        let mut member = archive.by_index_raw(index).map_err(fault)?;
        let name = member.name_raw().to_vec();
        let refused = |reason| Fault::entry(&name, reason);
        judge(&mut member).map_err(refused)?;
        if start != position {
            return Err(refused(Refusal::Zip("members overlap or leave a gap")));
        }
        let descriptor = if member.flags().as_u16() & HAS_DESCRIPTOR == 0 { 0 } else { DESCRIPTOR };
        position = member.data_start().unwrap_or(start) + member.compressed_size() + descriptor;
        let (mode, size) = ((member.external_attributes() >> 16) & 0o7777, member.size());
        drop(member);

        let mut content = archive.by_index(index).map_err(|error| fault(error).within(&name))?;
        let unpacked = unpack.file(&name, mode, size, &mut content).and_then(|()| {
            // Reading to the end is what checks the sum.
            match content.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(refused(Refusal::Zip("there is more in it than it says"))),
                Err(error) => Err(Fault::from(error)),
            }
        });
        unpacked.map_err(|unpacked| match unpacked {
            // An error that the file below did not have is the decoder's.
            Fault::Reader(_) if !failed.get() => refused(Refusal::Damaged),
            other => other,
        })?;
    }
    if position != tail.directory {
        return Err(Fault::archive(Refusal::Zip("members overlap the directory or leave a gap before it")));
    }
    // Last, because it reads what stands before each member, and the last one comes last.
    archive.validate_header_consistency().map_err(fault)
}

/// The few words at the end of an archive that bound what the crate will read and allocate: where its directory starts.
struct Tail {
    directory: u64,
}

impl Tail {
    fn read(archive: &mut (impl Read + Seek)) -> Result<Tail, Fault> {
        let size = archive.seek(SeekFrom::End(0))?;
        if size > MAX_ARCHIVE {
            return Err(Fault::archive(Refusal::ArchiveTooLarge(MAX_ARCHIVE)));
        }
        let at = size.checked_sub(END).ok_or(Fault::archive(Refusal::Truncated))?;
        let mut end = [0; END as usize];
        archive.seek(SeekFrom::Start(at))?;
        archive.read_exact(&mut end)?;
        let word = |at: usize| u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]);
        let half = |at: usize| u16::from_le_bytes([end[at], end[at + 1]]);
        if word(0) != u32::from_le_bytes(*b"PK\x05\x06") || half(20) != 0 {
            return Err(Fault::archive(Refusal::Zip("it does not end in a directory without a comment")));
        }
        let (entries, length, directory) = (half(10), u64::from(word(12)), u64::from(word(16)));
        if word(4) != 0 || half(8) != entries {
            return Err(Fault::archive(Refusal::Zip("it consists of several disks")));
        }
        if u32::from(entries) > MAX_ENTRIES {
            return Err(Fault::archive(Refusal::TooManyEntries(MAX_ENTRIES)));
        }
        if length > MAX_DIRECTORY {
            return Err(Fault::archive(Refusal::Zip("its directory is larger than 16 MiB")));
        }
        if directory + length != at {
            return Err(Fault::archive(Refusal::Zip("the directory is not where its end says")));
        }
        Ok(Tail { directory })
    }
}

/// Refuses what no module has.
fn judge(member: &mut ZipFile<'_, impl Read>) -> Result<(), Refusal> {
    let flags = member.flags().as_u16();
    if flags & ENCRYPTED_FLAGS != 0 {
        return Err(Refusal::Encrypted);
    }
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Refusal::Zip("a flag that no module needs"));
    }
    let (packed, size) = (member.compressed_size(), member.size());
    match member.compression() {
        CompressionMethod::Stored if packed != size => return Err(Refusal::Zip("a stored member has two sizes")),
        CompressionMethod::Stored | CompressionMethod::Deflated => {}
        other => return Err(Refusal::Method(other.to_string())),
    }
    if size > RATIO_FREE && size / MAX_RATIO > packed {
        return Err(Refusal::Bomb(MAX_RATIO));
    }
    // Without the flag the name would be in a code page of the reader's choice.
    if !member.name_raw().is_ascii() && flags & IS_UTF8 == 0 {
        return Err(Refusal::Zip("a name in an unknown character set"));
    }
    match (member.external_attributes() >> 16) & 0o170_000 {
        0 | 0o100_000 => {}
        0o120_000 => return Err(Refusal::Kind("a symbolic link")),
        0o040_000 => return Err(Refusal::Kind("a directory, which no module lists")),
        _ => return Err(Refusal::Kind("a special file")),
    }
    if member.external_attributes() & 0x10 != 0 {
        return Err(Refusal::Kind("a directory, which no module lists"));
    }
    // Extra fields may hold times and owners, but nothing that says a name or a size once more.
    let is_harmless = |field: &ExtraField| matches!(field, ExtraField::ExtendedTimestamp(_) | ExtraField::Ntfs(_));
    if !member.extra_data_fields().all(is_harmless) {
        return Err(Refusal::Zip("an extra field that no module needs"));
    }
    Ok(())
}

/// Length and digest of the whole archive.
fn digest(mut archive: impl Read + Seek, is_refused: &AtomicBool) -> io::Result<(u64, proof::Sha256)> {
    archive.rewind()?;
    let mut tap = Tap::new(archive, MAX_ARCHIVE);
    let mut buffer = vec![0; BUFFER];
    while fill(&mut tap, &mut buffer)? == buffer.len() && !is_refused.load(Ordering::Relaxed) {}
    Ok(tap.finish())
}

/// Reads a file from a place of its own, which a clone goes on from by itself.
#[derive(Clone)]
pub(crate) struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl From<File> for Cursor {
    fn from(file: File) -> Cursor {
        Cursor { file: Arc::new(file), at: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
