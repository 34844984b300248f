//! Reads a tar stream in the one way in which it can be read.
//!
//! Two readers of one tarball may see different trees: sizes given twice, names given three times, numbers with signs,
//! global headers, sparse maps. Several advisories against tar libraries are of that kind. So this reader accepts what
//! packers of SDKs write (ustar, PAX paths, GNU long names) and refuses the rest instead of choosing a meaning.

use std::io::Read;

use crate::refusal::Refusal;
use crate::unpack::{Fault, Unpack, fill};

const BLOCK: usize = 512;
/// The largest PAX header or GNU long name.
const MAX_EXTENSION: u64 = 64 << 10;
/// The most zeros after the end mark; packers fill up to a record of 10 KiB.
const MAX_PADDING: u64 = 1 << 20;

/// What an extension header said of the entry that follows it.
struct Ahead {
    /// The name, unless it stays as it is in the entry's own header.
    name: Option<Vec<u8>>,
}

/// Unpacks a whole tar stream.
pub(crate) fn unpack(stream: &mut dyn Read, unpack: &mut Unpack<'_>) -> Result<(), Fault> {
    let mut ahead: Option<Ahead> = None;
    while let Some(block) = next_header(stream)? {
        let header = Header::parse(&block).map_err(Fault::archive)?;
        if matches!(header.kind, b'x' | b'L') {
            if ahead.is_some() {
                return Err(Fault::entry(&header.name, Refusal::Tar("one entry has several extension headers")));
            }
            ahead = Some(read_ahead(stream, &header).map_err(|fault| fault.within(&header.name))?);
            continue;
        }
        let name = ahead.take().and_then(|ahead| ahead.name).unwrap_or(header.name);
        entry(stream, unpack, &name, header.kind, header.mode, header.size)?;
    }
    if ahead.is_some() {
        return Err(Fault::archive(Refusal::Tar("an extension header without an entry")));
    }
    Ok(())
}

/// Reads the content of an extension header.
fn read_ahead(stream: &mut dyn Read, header: &Header) -> Result<Ahead, Fault> {
    if header.size > MAX_EXTENSION {
        return Err(Fault::archive(Refusal::Tar("an extension header of more than 64 KiB")));
    }
    let mut content = vec![0; header.size as usize];
    if fill(stream, &mut content)? < content.len() {
        return Err(Fault::archive(Refusal::Truncated));
    }
    skip_padding(stream, header.size)?;
    if header.kind == b'x' {
        let path = pax_path(&content).map_err(Fault::archive)?;
        return Ok(Ahead { name: path.map(<[u8]>::to_vec) });
    }
    if content.pop() != Some(0) || content.is_empty() {
        return Err(Fault::archive(Refusal::Tar("a long name is empty or does not end in a zero byte")));
    }
    Ok(Ahead { name: Some(content) })
}

fn entry(
    stream: &mut dyn Read,
    unpack: &mut Unpack<'_>,
    name: &[u8],
    kind: u8,
    mode: u32,
    size: u64,
) -> Result<(), Fault> {
    let refused = |reason| Err(Fault::entry(name, reason));
    // Old packers put the type of the file into its mode as well.
    let (type_bits, mode) = (mode & !0o7777, mode & 0o7777);
    match kind {
        b'0' | 0 if type_bits != 0 && type_bits != 0o100_000 => refused(Refusal::Tar("mode and type differ")),
        b'0' | 0 => {
            unpack.file(name, mode, size, stream)?;
            skip_padding(stream, size).map_err(|fault| fault.within(name))
        }
        b'5' if size != 0 => refused(Refusal::Tar("a directory with content")),
        b'5' if type_bits != 0 && type_bits != 0o040_000 => refused(Refusal::Tar("mode and type differ")),
        b'5' => unpack.directory(name.strip_suffix(b"/").unwrap_or(name), mode),
        b'1' => refused(Refusal::Kind("a hard link")),
        b'2' => refused(Refusal::Kind("a symbolic link")),
        b'3' => refused(Refusal::Kind("a character device")),
        b'4' => refused(Refusal::Kind("a block device")),
        b'6' => refused(Refusal::Kind("a named pipe")),
        b'7' => refused(Refusal::Kind("a contiguous file")),
        b'S' => refused(Refusal::Kind("a sparse file")),
        b's' => refused(Refusal::Kind("a socket")),
        b'g' => refused(Refusal::Pax("a global header")),
        b'K' => refused(Refusal::Kind("the target of a link")),
        _ => refused(Refusal::Kind("of an unknown type")),
    }
}

/// The next header block, or `None` after the two blocks of zeros that end every tar file.
fn next_header(stream: &mut dyn Read) -> Result<Option<[u8; BLOCK]>, Fault> {
    let block = read_block(stream)?;
    if block != [0; BLOCK] {
        return Ok(Some(block));
    }
    if read_block(stream)? != [0; BLOCK] {
        return Err(Fault::archive(Refusal::Tar("a block of zeros amid the entries")));
    }
    let mut padding = 0;
    let mut buffer = [0; 8 * BLOCK];
    loop {
        let read = fill(stream, &mut buffer)?;
        padding += read as u64;
        if padding > MAX_PADDING || buffer[..read].iter().any(|byte| *byte != 0) {
            return Err(Fault::archive(Refusal::Trailing));
        }
        if read < buffer.len() {
            return Ok(None);
        }
    }
}

fn read_block(stream: &mut dyn Read) -> Result<[u8; BLOCK], Fault> {
    let mut block = [0; BLOCK];
    if fill(stream, &mut block)? < BLOCK {
        return Err(Fault::archive(Refusal::Truncated));
    }
    Ok(block)
}

fn skip_padding(stream: &mut dyn Read, size: u64) -> Result<(), Fault> {
    let padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
    let mut block = [0; BLOCK];
    if fill(stream, &mut block[..padding])? < padding {
        return Err(Fault::archive(Refusal::Truncated));
    }
    Ok(())
}

struct Header {
    name: Vec<u8>,
    mode: u32,
    size: u64,
    kind: u8,
}

impl Header {
    fn parse(block: &[u8; BLOCK]) -> Result<Header, Refusal> {
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let sum_field: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
        if octal(&block[148..156]) != Some(sum - sum_field + 8 * u64::from(b' ')) {
            return Err(Refusal::Tar("the check sum is wrong"));
        }
        let name = text(&block[..100])?;
        let name = match &block[257..265] {
            b"ustar\x0000" => match text(&block[345..500])? {
                [] => name.to_vec(),
                prefix => [prefix, b"/", name].concat(),
            },
            // GNU keeps times and sparse maps where ustar has the prefix.
            b"ustar  \0" => name.to_vec(),
            _ => return Err(Refusal::Tar("the magic number is not ustar")),
        };
        let kind = block[156];
        if matches!(kind, b'0' | 0 | b'5') && !text(&block[157..257])?.is_empty() {
            return Err(Refusal::Tar("a target of a link where there is no link"));
        }
        // What nobody uses must still be a number that all readers read alike.
        let unused = [&block[108..116], &block[116..124], &block[136..148]];
        if unused.into_iter().any(|field| octal(field).is_none()) {
            return Err(Refusal::Tar("an owner or a time is no octal number"));
        }
        let mode = octal(&block[100..108]).and_then(|mode| u32::try_from(mode).ok());
        let mode = mode.ok_or(Refusal::Tar("the mode is no octal number"))?;
        let size = octal(&block[124..136]).ok_or(Refusal::Tar("the size is no octal number"))?;
        Ok(Header { name, mode, size, kind })
    }
}

/// A text field: up to the first zero byte, and nothing but zero bytes after it.
fn text(field: &[u8]) -> Result<&[u8], Refusal> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    if field[end..].iter().any(|byte| *byte != 0) {
        return Err(Refusal::Tar("bytes follow the end of a name"));
    }
    Ok(&field[..end])
}

/// A number field: octal digits, perhaps after spaces, then zero bytes or spaces. Empty is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let text = &field[field.iter().take_while(|byte| **byte == b' ').count()..];
    let end = text.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    // At most twelve digits of three bits each: no overflow.
    digits
        .iter()
        .try_fold(0, |number, digit| matches!(digit, b'0'..=b'7').then(|| number * 8 + u64::from(digit - b'0')))
}

/// Reads PAX records (`LENGTH KEY=VALUE\n`) and gives the path, if they have one.
///
/// Sizes are refused even where they agree: no file of an SDK needs one, and a size that two readers take from two
/// places is how one archive hides another (RUSTSEC-2026-0068).
fn pax_path(mut records: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let mut path = None;
    let mut keys: Vec<&[u8]> = Vec::new();
    while !records.is_empty() {
        let (record, rest) = pax_record(records).ok_or(Refusal::Pax("a record is cut or has a wrong length"))?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(Refusal::Pax("a record without `=`"))?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if keys.contains(&key) {
            return Err(Refusal::Pax("a key appears twice"));
        }
        match key {
            b"path" if value.is_empty() => return Err(Refusal::Pax("an empty path")),
            b"path" => path = Some(value),
            b"mtime" | b"atime" | b"ctime" | b"uid" | b"gid" | b"uname" | b"gname" | b"comment" => {}
            b"size" => return Err(Refusal::Pax("a second size")),
            b"linkpath" => return Err(Refusal::Pax("a target of a link")),
            _ => return Err(Refusal::Pax("a key that no SDK needs")),
        }
        keys.push(key);
        records = rest;
    }
    Ok(path)
}

/// The first record without its length and line end, and what follows it.
fn pax_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ').filter(|space| (1..=5).contains(space))?;
    let digits = records[..space].iter().all(u8::is_ascii_digit);
    let length: usize = std::str::from_utf8(&records[..space]).ok().filter(|_| digits)?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &records[length..]))
}
