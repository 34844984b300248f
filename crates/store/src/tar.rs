//! Judges a tar stream, entry by entry, before anything of it is written. The `tar` crate reads the format.
//!
//! Two readers of one tarball may see different trees: sizes given twice, names given three times, numbers with signs,
//! global headers, sparse maps. Several advisories against tar libraries are of that kind. So the crate is asked for the
//! entries as they stand (`raw`), extension headers among them, and only what packers of SDKs write is accepted: ustar,
//! PAX paths, GNU long names.

use std::cell::Cell;
use std::io::Read;

use tar::{Archive, EntryType, Header, PaxExtensions};

use crate::refusal::Refusal;
use crate::unpack::{Fault, Marked, Unpack, fill};

const BLOCK: usize = 512;
/// The largest PAX header or GNU long name.
const MAX_EXTENSION: u64 = 64 << 10;
/// The most zeros after the end mark; packers fill up to a record of 10 KiB.
const MAX_PADDING: u64 = 1 << 20;

/// Unpacks a whole tar stream.
pub(crate) fn unpack(stream: &mut dyn Read, unpack: &mut Unpack<'_, '_>) -> Result<(), Fault> {
    let (failed, ended) = (Cell::new(false), Cell::new(false));
    let mut archive = Archive::new(Marked::new(stream, &failed, &ended));
    let malformed = |error: std::io::Error| match () {
        () if failed.get() => Fault::from(error),
        () if ended.get() => Fault::archive(Refusal::Truncated),
        () => Fault::archive(Refusal::Tar("a header that cannot be read")),
    };
    // What an extension header said of the entry that follows it: a name, unless the entry's own holds.
    let mut ahead: Option<Option<Vec<u8>>> = None;
    for entry in archive.entries().map_err(malformed)?.raw(true) {
        let mut entry = entry.map_err(malformed)?;
        let own_name = entry.path_bytes().into_owned();
        let size = entry.size();
        judge(entry.header()).map_err(|reason| Fault::entry(&own_name, reason))?;
        let kind = entry.header().entry_type();
        if kind.is_pax_local_extensions() || kind.is_gnu_longname() {
            if ahead.is_some() {
                return Err(Fault::entry(&own_name, Refusal::Tar("one entry has several extension headers")));
            }
            ahead = Some(read_ahead(&mut entry, kind, size).map_err(|fault| fault.within(&own_name))?);
            continue;
        }
        let name = ahead.take().flatten().unwrap_or(own_name);
        let mode = entry.header().mode().map_err(malformed)?;
        unpack_entry(&mut entry, unpack, &name, kind, mode, size)?;
    }
    if ahead.is_some() {
        return Err(Fault::archive(Refusal::Tar("an extension header without an entry")));
    }
    end(&mut archive.into_inner(), &ended)
}

/// Reads the content of an extension header.
fn read_ahead(content: &mut dyn Read, kind: EntryType, size: u64) -> Result<Option<Vec<u8>>, Fault> {
    if size > MAX_EXTENSION {
        return Err(Fault::archive(Refusal::Tar("an extension header of more than 64 KiB")));
    }
    let mut bytes = vec![0; size as usize];
    if fill(content, &mut bytes)? < bytes.len() {
        return Err(Fault::archive(Refusal::Truncated));
    }
    if kind.is_pax_local_extensions() {
        return pax_path(&bytes).map_err(Fault::archive);
    }
    if bytes.pop() != Some(0) || bytes.is_empty() {
        return Err(Fault::archive(Refusal::Tar("a long name is empty or does not end in a zero byte")));
    }
    Ok(Some(bytes))
}

fn unpack_entry(
    content: &mut dyn Read,
    unpack: &mut Unpack<'_, '_>,
    name: &[u8],
    kind: EntryType,
    mode: u32,
    size: u64,
) -> Result<(), Fault> {
    let refused = |reason| Err(Fault::entry(name, reason));
    // Old packers put the type of the file into its mode as well.
    let (type_bits, mode) = (mode & !0o7777, mode & 0o7777);
    match kind {
        EntryType::Regular if type_bits != 0 && type_bits != 0o100_000 => refused(Refusal::Tar("mode and type differ")),
        EntryType::Regular => unpack.file(name, mode, size, content),
        EntryType::Directory if size != 0 => refused(Refusal::Tar("a directory with content")),
        EntryType::Directory if type_bits != 0 && type_bits != 0o040_000 => {
            refused(Refusal::Tar("mode and type differ"))
        }
        EntryType::Directory => unpack.directory(name.strip_suffix(b"/").unwrap_or(name), mode),
        EntryType::Link => refused(Refusal::Kind("a hard link")),
        EntryType::Symlink => refused(Refusal::Kind("a symbolic link")),
        EntryType::Char => refused(Refusal::Kind("a character device")),
        EntryType::Block => refused(Refusal::Kind("a block device")),
        EntryType::Fifo => refused(Refusal::Kind("a named pipe")),
        EntryType::Continuous => refused(Refusal::Kind("a contiguous file")),
        EntryType::GNUSparse => refused(Refusal::Kind("a sparse file")),
        EntryType::XGlobalHeader => refused(Refusal::Pax("a global header")),
        EntryType::GNULongLink => refused(Refusal::Kind("the target of a link")),
        _ => refused(Refusal::Kind("of an unknown type")),
    }
}

/// What follows the entries: one block of zeros was read by the crate, or the stream has ended.
pub(crate) fn end(rest: &mut dyn Read, ended: &Cell<bool>) -> Result<(), Fault> {
    let mut block = [0; BLOCK];
    if ended.get() || fill(rest, &mut block)? < BLOCK {
        return Err(Fault::archive(Refusal::Truncated));
    }
    if block != [0; BLOCK] {
        return Err(Fault::archive(Refusal::Tar("a block of zeros amid the entries")));
    }
    let mut padding = 0;
    let mut buffer = [0; 8 * BLOCK];
    loop {
        let read = fill(rest, &mut buffer)?;
        padding += read as u64;
        if padding > MAX_PADDING || buffer[..read].iter().any(|byte| *byte != 0) {
            return Err(Fault::archive(Refusal::Trailing));
        }
        if read < buffer.len() {
            return Ok(());
        }
    }
}

/// Refuses a header whose fields are not all plain: others may read them otherwise than the crate does.
pub(crate) fn judge(header: &Header) -> Result<(), Refusal> {
    let old = header.as_old();
    let ended = "bytes follow the end of a name";
    if !is_text(&old.name) || header.as_ustar().is_some_and(|ustar| !is_text(&ustar.prefix)) {
        return Err(Refusal::Tar(ended));
    }
    if header.as_ustar().is_none() && header.as_gnu().is_none() {
        return Err(Refusal::Tar("the magic number is not ustar"));
    }
    if matches!(header.entry_type(), EntryType::Regular | EntryType::Directory) && header.link_name_bytes().is_some() {
        return Err(Refusal::Tar("a target of a link where there is no link"));
    }
    if !is_octal(&old.size) {
        return Err(Refusal::Tar("the size is no octal number"));
    }
    if !is_octal(&old.mode) {
        return Err(Refusal::Tar("the mode is no octal number"));
    }
    if ![&old.uid[..], &old.gid, &old.mtime].into_iter().all(is_octal) {
        return Err(Refusal::Tar("an owner or a time is no octal number"));
    }
    Ok(())
}

/// True for text up to the first zero byte, with nothing but zero bytes after it.
fn is_text(field: &[u8]) -> bool {
    field.iter().skip_while(|byte| **byte != 0).all(|byte| *byte == 0)
}

/// True for octal digits, perhaps after spaces, then zero bytes or spaces.
fn is_octal(field: &[u8]) -> bool {
    let digits = field.iter().skip_while(|byte| **byte == b' ').skip_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.into_iter().all(|byte| matches!(byte, 0 | b' '))
}

/// The path in the PAX records of one entry, if they have one.
///
/// Sizes are refused even where they agree: no file of an SDK needs one, and a size that two readers take from two
/// places is how one archive hides another (RUSTSEC-2026-0068).
fn pax_path(records: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut path = None;
    let mut keys: Vec<&[u8]> = Vec::new();
    // The crate stops at an empty line: what stands behind one would be read by others alone.
    if records.last() != Some(&b'\n') || records.windows(2).any(|pair| pair == b"\n\n") {
        return Err(Refusal::Pax("a record is cut or has a wrong length"));
    }
    for record in PaxExtensions::new(records) {
        let record = record.map_err(|_| Refusal::Pax("a record is cut or has a wrong length"))?;
        let (key, value) = (record.key_bytes(), record.value_bytes());
        if keys.contains(&key) {
            return Err(Refusal::Pax("a key appears twice"));
        }
        match key {
            b"path" if value.is_empty() => return Err(Refusal::Pax("an empty path")),
            b"path" => path = Some(value.to_vec()),
            b"mtime" | b"atime" | b"ctime" | b"uid" | b"gid" | b"uname" | b"gname" | b"comment" => {}
            b"size" => return Err(Refusal::Pax("a second size")),
            b"linkpath" => return Err(Refusal::Pax("a target of a link")),
            _ => return Err(Refusal::Pax("a key that no SDK needs")),
        }
        keys.push(key);
    }
    Ok(path)
}
