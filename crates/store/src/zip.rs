//! Reads the zip of a toolchain module in the one way in which it can be read.
//!
//! A zip says everything twice, in the central directory and beside the data, and readers that believe different
//! halves see different files. So this reader demands that both agree, that the members follow one another without
//! gap or overlap from the first byte to the directory, and that the directory reaches to the end: every byte of the
//! archive has one meaning. That leaves out zip64, comments of the archive, encryption and self-extraction, none of
//! which a module has.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use govern_core::proof;

use crate::plan::{MAX_ARCHIVE, MAX_ENTRIES, MAX_RATIO, RATIO_FREE};
use crate::refusal::Refusal;
use crate::unpack::{BUFFER, Fault, Tap, Unpack, fill};

const LOCAL_HEADER: usize = 30;
const DESCRIPTOR: usize = 16;
const CENTRAL_HEADER: usize = 46;
const END: usize = 22;
/// The largest central directory; that of an SDK has 2 MB.
const MAX_DIRECTORY: u64 = 16 << 20;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Sizes and sum stand behind the data.
const HAS_DESCRIPTOR: u16 = 1 << 3;
const IS_UTF8: u16 = 1 << 11;
/// Bits 1 and 2 are a hint of the compressor.
const KNOWN_FLAGS: u16 = HAS_DESCRIPTOR | IS_UTF8 | 0b110;
/// Encrypted, strongly encrypted, encrypted directory.
const ENCRYPTED_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;

/// Unpacks a whole zip file, and gives its length and digest.
pub(crate) fn unpack(mut archive: File, unpack: &mut Unpack<'_>) -> Result<(u64, proof::Sha256), Fault> {
    let tail = Tail::read(&mut archive)?;
    let mut members = tail.members()?;
    members.sort_unstable_by_key(|member| member.offset);
    let total = members.iter().map(|member| member.size).sum();

    archive.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(BUFFER, Tap::new(archive, MAX_ARCHIVE));
    let mut position = 0;
    for member in &members {
        if member.offset != position {
            return Err(member.fault("members overlap or leave a gap"));
        }
        position += local_header(&mut reader, member)?;
        content(&mut reader, member, unpack).map_err(|fault| match fault {
            Fault::Disk(error) => Fault::Disk(error.with_need(total)),
            other => other,
        })?;
        position += member.packed + descriptor(&mut reader, member)?;
    }
    if position != tail.offset {
        return Err(Fault::archive(Refusal::Zip("members overlap the directory or leave a gap before it")));
    }
    tail.compare(&mut reader)?;
    Ok(reader.into_inner().finish())
}

/// The central directory and the record that ends it, up to the end of the archive.
struct Tail {
    bytes: Vec<u8>,
    /// Where in the archive it starts.
    offset: u64,
    entries: u16,
}

impl Tail {
    fn read(archive: &mut File) -> Result<Tail, Fault> {
        let size = archive.seek(SeekFrom::End(0))?;
        if size > MAX_ARCHIVE {
            return Err(Fault::archive(Refusal::ArchiveTooLarge(MAX_ARCHIVE)));
        }
        let end_offset = size.checked_sub(END as u64).ok_or(Fault::archive(Refusal::Truncated))?;
        let mut end = [0; END];
        archive.seek(SeekFrom::Start(end_offset))?;
        archive.read_exact(&mut end)?;
        if end[..4] != *b"PK\x05\x06" || end[20..] != [0, 0] {
            return Err(Fault::archive(Refusal::Zip("it does not end in a directory without a comment")));
        }
        let entries = u16_at(&end, 10);
        let (directory_size, offset) = (u64::from(u32_at(&end, 12)), u64::from(u32_at(&end, 16)));
        if u32_at(&end, 4) != 0 || u16_at(&end, 8) != entries {
            return Err(Fault::archive(Refusal::Zip("it consists of several disks")));
        }
        if u32::from(entries) > MAX_ENTRIES {
            return Err(Fault::archive(Refusal::TooManyEntries(MAX_ENTRIES)));
        }
        if directory_size > MAX_DIRECTORY {
            return Err(Fault::archive(Refusal::Zip("its directory is larger than 16 MiB")));
        }
        if offset + directory_size != end_offset {
            return Err(Fault::archive(Refusal::Zip("the directory is not where its end says")));
        }
        let mut bytes = vec![0; directory_size as usize + END];
        archive.seek(SeekFrom::Start(offset))?;
        archive.read_exact(&mut bytes)?;
        Ok(Tail { bytes, offset, entries })
    }

    fn members(&self) -> Result<Vec<Member<'_>>, Fault> {
        let mut directory = &self.bytes[..self.bytes.len() - END];
        let mut members = Vec::with_capacity(self.entries.into());
        while !directory.is_empty() {
            let damaged = || Fault::archive(Refusal::Zip("the directory is damaged"));
            let (member, rest) = Member::parse(directory).ok_or_else(damaged)?;
            member.check().map_err(|reason| Fault::entry(member.name, reason))?;
            members.push(member);
            directory = rest;
        }
        if members.len() != usize::from(self.entries) {
            return Err(Fault::archive(Refusal::Zip("the directory has another number of members than its end says")));
        }
        Ok(members)
    }

    /// What was parsed at first must be what is hashed now.
    fn compare(&self, reader: &mut dyn Read) -> Result<(), Fault> {
        let mut buffer = vec![0; BUFFER];
        for expected in self.bytes.chunks(BUFFER) {
            let read = fill(reader, &mut buffer[..expected.len()])?;
            if buffer[..read] != *expected {
                return Err(Fault::archive(Refusal::Zip("it changed while it was read")));
            }
        }
        Ok(())
    }
}

/// A member as the central directory has it.
struct Member<'a> {
    name: &'a [u8],
    extra: &'a [u8],
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Type and mode, where a Unix wrote the zip.
    unix_mode: u32,
    dos_attributes: u32,
    disk: u16,
    offset: u64,
}

impl<'a> Member<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Member<'a>, &'a [u8])> {
        let (head, rest) = bytes.split_at_checked(CENTRAL_HEADER)?;
        if head[..4] != *b"PK\x01\x02" {
            return None;
        }
        let (name, rest) = rest.split_at_checked(u16_at(head, 28).into())?;
        let (extra, rest) = rest.split_at_checked(u16_at(head, 30).into())?;
        let (_comment, rest) = rest.split_at_checked(u16_at(head, 32).into())?;
        let attributes = u32_at(head, 38);
        let member = Member {
            name,
            extra,
            flags: u16_at(head, 8),
            method: u16_at(head, 10),
            crc: u32_at(head, 16),
            packed: u32_at(head, 20).into(),
            size: u32_at(head, 24).into(),
            unix_mode: attributes >> 16,
            dos_attributes: attributes & 0xff,
            disk: u16_at(head, 34),
            offset: u32_at(head, 42).into(),
        };
        Some((member, rest))
    }

    fn has_descriptor(&self) -> bool {
        self.flags & HAS_DESCRIPTOR != 0
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault::entry(self.name, Refusal::Zip(what))
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.flags & ENCRYPTED_FLAGS != 0 {
            return Err(Refusal::Encrypted);
        }
        if self.flags & !KNOWN_FLAGS != 0 {
            return Err(Refusal::Zip("a flag that no module needs"));
        }
        if !matches!(self.method, STORED | DEFLATED) {
            return Err(Refusal::Method(self.method));
        }
        if self.method == STORED && self.packed != self.size {
            return Err(Refusal::Zip("a stored member has two sizes"));
        }
        if self.size > RATIO_FREE && self.size / MAX_RATIO > self.packed {
            return Err(Refusal::Bomb(MAX_RATIO));
        }
        if self.disk != 0 {
            return Err(Refusal::Zip("it consists of several disks"));
        }
        // Without the flag the name would be in a code page of the reader's choice.
        if !self.name.is_ascii() && self.flags & IS_UTF8 == 0 {
            return Err(Refusal::Zip("a name in an unknown character set"));
        }
        match self.unix_mode & 0o170_000 {
            0 | 0o100_000 => {}
            0o120_000 => return Err(Refusal::Kind("a symbolic link")),
            0o040_000 => return Err(Refusal::Kind("a directory, which no module lists")),
            _ => return Err(Refusal::Kind("a special file")),
        }
        if self.dos_attributes & 0x10 != 0 {
            return Err(Refusal::Kind("a directory, which no module lists"));
        }
        check_extra(self.extra)
    }
}

/// Extra fields may hold times and owners, but nothing that says a name or a size once more.
fn check_extra(mut extra: &[u8]) -> Result<(), Refusal> {
    while !extra.is_empty() {
        let (head, rest) = extra.split_at_checked(4).ok_or(Refusal::Zip("a cut extra field"))?;
        let (_, rest) = rest.split_at_checked(u16_at(head, 2).into()).ok_or(Refusal::Zip("a cut extra field"))?;
        match u16_at(head, 0) {
            0x0001 => return Err(Refusal::Zip("zip64 sizes")),
            0x7075 | 0x6375 => return Err(Refusal::Zip("a second name")),
            0x9901 | 0x0017 => return Err(Refusal::Encrypted),
            _ => extra = rest,
        }
    }
    Ok(())
}

/// Reads the header beside the data, compares it with the directory's, and gives its length.
fn local_header(reader: &mut dyn Read, member: &Member<'_>) -> Result<u64, Fault> {
    let mut head = [0; LOCAL_HEADER];
    exact(reader, &mut head, member)?;
    if head[..4] != *b"PK\x03\x04" {
        return Err(member.fault("there is no member where the directory says"));
    }
    let mut name = vec![0; u16_at(&head, 26).into()];
    let mut extra = vec![0; u16_at(&head, 28).into()];
    exact(reader, &mut name, member)?;
    exact(reader, &mut extra, member)?;
    let sums = (u32_at(&head, 14), u64::from(u32_at(&head, 18)), u64::from(u32_at(&head, 22)));
    let sums_agree = sums == (member.crc, member.packed, member.size) || member.has_descriptor() && sums == (0, 0, 0);
    if name != member.name || u16_at(&head, 6) != member.flags || u16_at(&head, 8) != member.method || !sums_agree {
        return Err(member.fault("the directory and the member disagree"));
    }
    check_extra(&extra).map_err(|reason| Fault::entry(member.name, reason))?;
    Ok((LOCAL_HEADER + name.len() + extra.len()) as u64)
}

/// Unpacks the data of one member.
fn content(reader: &mut BufReader<Tap<File>>, member: &Member<'_>, unpack: &mut Unpack<'_>) -> Result<(), Fault> {
    let mut packed = reader.by_ref().take(member.packed);
    let unpacked = if member.method == STORED {
        checked_file(&mut packed, member, unpack)
    } else {
        checked_file(&mut DeflateDecoder::new(&mut packed), member, unpack)
    };
    let left = packed.limit();
    match unpacked {
        // An error that the file below did not have is the decoder's.
        Err(Fault::Reader(_)) if !reader.get_ref().has_failed() => Err(Fault::entry(member.name, Refusal::Damaged)),
        Ok(()) if left > 0 => Err(member.fault("bytes follow the end of the compressed data")),
        other => other,
    }
}

fn checked_file(bytes: &mut dyn Read, member: &Member<'_>, unpack: &mut Unpack<'_>) -> Result<(), Fault> {
    let mut checked = Checked { bytes, crc: Crc::new() };
    unpack.file(member.name, member.unix_mode & 0o7777, member.size, &mut checked)?;
    if checked.read(&mut [0])? != 0 {
        return Err(member.fault("there is more in it than it says"));
    }
    if checked.crc.sum() != member.crc {
        return Err(Fault::entry(member.name, Refusal::Damaged));
    }
    Ok(())
}

/// Sums the bytes that pass.
struct Checked<'a> {
    bytes: &'a mut dyn Read,
    crc: Crc,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.crc.update(&buffer[..read]);
        Ok(read)
    }
}

/// Reads what stands behind the data, where the flags say that something does, and gives its length.
fn descriptor(reader: &mut dyn Read, member: &Member<'_>) -> Result<u64, Fault> {
    if !member.has_descriptor() {
        return Ok(0);
    }
    let mut bytes = [0; DESCRIPTOR];
    exact(reader, &mut bytes, member)?;
    let sums = (u32_at(&bytes, 4), u64::from(u32_at(&bytes, 8)), u64::from(u32_at(&bytes, 12)));
    if bytes[..4] != *b"PK\x07\x08" || sums != (member.crc, member.packed, member.size) {
        return Err(member.fault("the directory and the sums behind the data disagree"));
    }
    Ok(DESCRIPTOR as u64)
}

fn exact(reader: &mut dyn Read, buffer: &mut [u8], member: &Member<'_>) -> Result<(), Fault> {
    if fill(reader, buffer)? < buffer.len() {
        return Err(Fault::entry(member.name, Refusal::Truncated));
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
