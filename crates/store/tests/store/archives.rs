//! Archives made byte by byte, so that every field can lie; and honest ones made by the tar and zip crates, which
//! know nothing of our readers.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use zip::write::SimpleFileOptions;

use crate::support::Files;

/// Packs a tree as the download page does, through the tar crate.
pub(crate) fn tar_gz(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, (content, exec)) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(if *exec { 0o755 } else { 0o644 });
        tar.append_data(&mut header, format!("go/{path}"), content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Packs a tree as cmd/distpack packs the module, through the zip crate.
pub(crate) fn module_zip(files: &Files) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, (content, exec)) in files {
        if ["api/", "doc/", "misc/", "test/"].iter().any(|top| path.starts_with(top)) {
            continue;
        }
        let mode = if *exec { 0o755 } else { 0o644 };
        let path = match path.strip_suffix("go.mod") {
            Some(dir) if dir.is_empty() || dir.ends_with('/') => format!("{dir}_go.mod"),
            _ => path.clone(),
        };
        let options = SimpleFileOptions::default().unix_permissions(mode);
        zip.start_file(format!("{MODULE}{path}"), options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The prefix of all names in the module of go1.22.4 for linux/amd64.
pub(crate) const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64/";

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// One tar entry, header and content, in which everything can be said.
#[derive(Clone)]
pub(crate) struct TarEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: Vec<u8>,
    pub(crate) uid: Vec<u8>,
    pub(crate) size: Option<Vec<u8>>,
    pub(crate) mtime: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) magic: Vec<u8>,
    /// Added to the right check sum.
    pub(crate) sum_error: u32,
    pub(crate) content: Vec<u8>,
}

impl TarEntry {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> TarEntry {
        TarEntry {
            name: name.as_ref().to_vec(),
            prefix: Vec::new(),
            kind,
            mode: b"0000644\0".to_vec(),
            uid: b"0000000\0".to_vec(),
            size: None,
            mtime: b"00000000000\0".to_vec(),
            link: Vec::new(),
            magic: b"ustar\x0000".to_vec(),
            sum_error: 0,
            content: Vec::new(),
        }
    }

    pub(crate) fn file(name: impl AsRef<[u8]>) -> TarEntry {
        TarEntry { content: b"evil\n".to_vec(), ..TarEntry::new(b'0', name) }
    }

    pub(crate) fn directory(name: impl AsRef<[u8]>) -> TarEntry {
        TarEntry { mode: b"0000755\0".to_vec(), ..TarEntry::new(b'5', name) }
    }

    pub(crate) fn link(kind: u8, name: &str, target: &str) -> TarEntry {
        TarEntry { link: target.as_bytes().to_vec(), ..TarEntry::new(kind, name) }
    }

    /// A PAX header with the records as given.
    pub(crate) fn pax(records: impl AsRef<[u8]>) -> TarEntry {
        TarEntry { content: records.as_ref().to_vec(), ..TarEntry::new(b'x', "PaxHeaders.0/x") }
    }

    pub(crate) fn with_mode(self, mode: u32) -> TarEntry {
        TarEntry { mode: format!("{mode:07o}\0").into_bytes(), ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let size = self.size.clone().unwrap_or_else(|| format!("{:011o}\0", self.content.len()).into_bytes());
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, &self.mode);
        put(108, &self.uid);
        put(116, b"0000000\0");
        put(124, &size);
        put(136, &self.mtime);
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link);
        put(257, &self.magic);
        put(345, &self.prefix);
        let sum = block.iter().map(|byte| u32::from(*byte)).sum::<u32>() + self.sum_error;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = block.to_vec();
        bytes.extend_from_slice(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// A PAX record with its right length.
pub(crate) fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length =
        (1..6).map(|digits| digits + rest.len()).find(|length| length.to_string().len() + rest.len() == *length);
    format!("{}{rest}", length.unwrap())
}

/// The entries of a tree, without an end mark.
pub(crate) fn tar_entries(files: &Files) -> Vec<u8> {
    let entry = |(path, (content, exec)): (&String, &(Vec<u8>, bool))| {
        let name = if path.is_ascii() { format!("go/{path}") } else { return Vec::new() };
        let mode = if *exec { 0o755 } else { 0o644 };
        TarEntry { content: content.clone(), ..TarEntry::file(name).with_mode(mode) }.bytes()
    };
    files.iter().flat_map(entry).collect()
}

/// Two blocks of zeros.
pub(crate) const TAR_END: [u8; 1024] = [0; 1024];

/// One zip member, once as the data has it and once as the directory has it.
#[derive(Clone)]
pub(crate) struct ZipMember {
    pub(crate) local: ZipHeader,
    pub(crate) central: ZipHeader,
    pub(crate) data: Vec<u8>,
    /// Crc, packed and unpacked size behind the data.
    pub(crate) descriptor: Option<[u32; 3]>,
    /// Where the directory says that it starts, when that is a lie.
    pub(crate) offset: Option<u32>,
    pub(crate) attributes: u32,
    pub(crate) is_in_directory: bool,
    pub(crate) is_in_data: bool,
}

#[derive(Clone)]
pub(crate) struct ZipHeader {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u32,
    pub(crate) size: u32,
    pub(crate) extra: Vec<u8>,
}

impl ZipMember {
    /// An honest member, deflated.
    pub(crate) fn new(name: impl AsRef<[u8]>, content: &[u8]) -> ZipMember {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        ZipMember::packed(name, content, 8, encoder.finish().unwrap())
    }

    /// An honest member, stored.
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: &[u8]) -> ZipMember {
        ZipMember::packed(name, content, 0, content.to_vec())
    }

    fn packed(name: impl AsRef<[u8]>, content: &[u8], method: u16, data: Vec<u8>) -> ZipMember {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let header = ZipHeader {
            name: name.as_ref().to_vec(),
            flags: 0,
            method,
            crc: crc.sum(),
            packed: data.len() as u32,
            size: content.len() as u32,
            extra: Vec::new(),
        };
        ZipMember {
            local: header.clone(),
            central: header,
            data,
            descriptor: None,
            offset: None,
            attributes: 0o100_644 << 16,
            is_in_directory: true,
            is_in_data: true,
        }
    }

    /// As Go's writer does it: zeros before the data, sums behind it.
    pub(crate) fn streamed(mut self) -> ZipMember {
        self.descriptor = Some([self.central.crc, self.central.packed, self.central.size]);
        self.central.flags |= 8;
        self.local = ZipHeader { crc: 0, packed: 0, size: 0, flags: self.local.flags | 8, ..self.local };
        self
    }

    /// Changes both headers alike.
    pub(crate) fn both(mut self, change: impl Fn(&mut ZipHeader)) -> ZipMember {
        change(&mut self.local);
        change(&mut self.central);
        self
    }
}

/// How a zip ends.
pub(crate) struct ZipEnd {
    pub(crate) entries_error: i32,
    pub(crate) offset_error: i32,
    pub(crate) disk: u16,
    pub(crate) comment: Vec<u8>,
    /// Bytes between the directory and its end record.
    pub(crate) before: Vec<u8>,
}

pub(crate) const HONEST_END: ZipEnd =
    ZipEnd { entries_error: 0, offset_error: 0, disk: 0, comment: Vec::new(), before: Vec::new() };

pub(crate) fn zip(members: &[ZipMember], end: &ZipEnd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    let mut entries = 0;
    for member in members {
        let offset = member.offset.unwrap_or(bytes.len() as u32);
        if member.is_in_data {
            bytes.extend(b"PK\x03\x04\x14\0");
            bytes.extend(zip_header(&member.local));
            bytes.extend(lengths(&member.local));
            bytes.extend(&member.local.name);
            bytes.extend(&member.local.extra);
            bytes.extend(&member.data);
            if let Some(sums) = member.descriptor {
                bytes.extend(b"PK\x07\x08");
                bytes.extend(sums.into_iter().flat_map(u32::to_le_bytes));
            }
        }
        if member.is_in_directory {
            entries += 1;
            directory.extend(b"PK\x01\x02\x14\x03\x14\0");
            directory.extend(zip_header(&member.central));
            directory.extend(lengths(&member.central));
            directory.extend([0; 6]);
            directory.extend(member.attributes.to_le_bytes());
            directory.extend(offset.to_le_bytes());
            directory.extend(&member.central.name);
            directory.extend(&member.central.extra);
        }
    }
    let offset = (bytes.len() as i64 + i64::from(end.offset_error)) as u32;
    bytes.extend(&directory);
    bytes.extend(&end.before);
    bytes.extend(b"PK\x05\x06");
    bytes.extend(end.disk.to_le_bytes());
    bytes.extend(end.disk.to_le_bytes());
    let entries = ((entries + end.entries_error) as u16).to_le_bytes();
    bytes.extend(entries);
    bytes.extend(entries);
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend((end.comment.len() as u16).to_le_bytes());
    bytes.extend(&end.comment);
    bytes
}

fn zip_header(header: &ZipHeader) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(header.flags.to_le_bytes());
    bytes.extend(header.method.to_le_bytes());
    bytes.extend([0; 4]);
    for number in [header.crc, header.packed, header.size] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn lengths(header: &ZipHeader) -> Vec<u8> {
    [header.name.len() as u16, header.extra.len() as u16].into_iter().flat_map(u16::to_le_bytes).collect()
}
