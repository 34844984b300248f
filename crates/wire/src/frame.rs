//! The frame and its fields, which question and answer share.

use core::error::Error;
use core::fmt;

/// The version of the frame's shape. Another number is not read at all; added fields do not raise it.
pub const PROTOCOL: u8 = 1;

/// The most bytes that a frame takes, header included. A buffer of this size holds every frame.
pub const MAX_FRAME: usize = 64 * 1024;

/// Magic and length.
const HEADER: usize = 8;

/// Tag and length.
const FIELD_HEADER: usize = 5;

/// Why bytes are no frame of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes start with another magic.
    Foreign,
    /// The frame has the shape of another protocol number.
    Protocol(u8),
    /// The frame says that its body has this many bytes, which is more than [`MAX_FRAME`] leaves.
    TooLong(u32),
    /// The frame, or a field in it, ends before its length says.
    Cut,
    /// The field is needed and absent.
    Missing(&'static str),
    /// The field is there and holds what it must not.
    Bad(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Foreign => f.write_str("not a frame of govern"),
            Fault::Protocol(number) => write!(f, "protocol {number} instead of {PROTOCOL}"),
            Fault::TooLong(length) => write!(f, "a frame of {length} bytes, more than {MAX_FRAME}"),
            Fault::Cut => f.write_str("the frame is cut short"),
            Fault::Missing(field) => write!(f, "the field `{field}` is missing"),
            Fault::Bad(field) => write!(f, "the field `{field}` holds what it must not"),
        }
    }
}

impl Error for Fault {}

/// The caller's buffer, or a frame, is too small for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferFull;

impl fmt::Display for BufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the frame does not fit")
    }
}

impl Error for BufferFull {}

/// What a frame holds. Two magics, so that a question that is echoed is not taken for its answer.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Question,
    Answer,
}

impl Kind {
    fn magic(self) -> [u8; 4] {
        match self {
            Kind::Question => [b'g', b'v', b'q', PROTOCOL],
            Kind::Answer => [b'g', b'v', b'a', PROTOCOL],
        }
    }
}

/// How many bytes the frame takes whose beginning was received, or `None` while its header is not complete.
pub(crate) fn frame_len(kind: Kind, received: &[u8]) -> Result<Option<usize>, Fault> {
    let magic = kind.magic();
    let Some((header, _)) = received.split_first_chunk::<HEADER>() else {
        let foreign = received.iter().zip(&magic).any(|(got, wanted)| got != wanted);
        return if foreign { Err(Fault::Foreign) } else { Ok(None) };
    };
    let [a, b, c, protocol, l0, l1, l2, l3] = *header;
    if [a, b, c] != magic[..3] {
        return Err(Fault::Foreign);
    }
    if protocol != PROTOCOL {
        return Err(Fault::Protocol(protocol));
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    match usize::try_from(length) {
        Ok(body) if body <= MAX_FRAME - HEADER => Ok(Some(HEADER + body)),
        _ => Err(Fault::TooLong(length)),
    }
}

/// The fields of a frame, checked to be whole.
pub(crate) fn fields(kind: Kind, frame: &[u8]) -> Result<Fields<'_>, Fault> {
    let len = frame_len(kind, frame)?.ok_or(Fault::Cut)?;
    let body = frame.get(HEADER..len).ok_or(Fault::Cut)?;
    let mut rest = body;
    while !rest.is_empty() {
        (_, _, rest) = split_field(rest).ok_or(Fault::Cut)?;
    }
    Ok(Fields(body))
}

/// Iterates over tags and values. A value borrows from the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, value, rest) = split_field(self.0)?;
        self.0 = rest;
        Some((tag, value))
    }
}

impl<'a> Fields<'a> {
    /// The values of one tag, in order.
    pub(crate) fn all(self, wanted: u8) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.filter(move |(tag, _)| *tag == wanted).map(|(_, value)| value)
    }
}

fn split_field(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([tag, l0, l1, l2, l3], rest) = bytes.split_first_chunk::<FIELD_HEADER>()?;
    let length = usize::try_from(u32::from_le_bytes([*l0, *l1, *l2, *l3])).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

/// Fills a buffer with one frame.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Never above the buffer's length nor [`MAX_FRAME`].
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(kind: Kind, buffer: &'b mut [u8]) -> Result<Writer<'b>, BufferFull> {
        let mut writer = Writer { buffer, len: 0 };
        writer.bytes(&kind.magic())?;
        writer.bytes(&[0; 4])?;
        Ok(writer)
    }

    /// Adds a field whose value is the pieces one after the other.
    pub(crate) fn field(&mut self, tag: u8, pieces: &[&[u8]]) -> Result<(), BufferFull> {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let [l0, l1, l2, l3] = u32::try_from(length).map_err(|_| BufferFull)?.to_le_bytes();
        self.bytes(&[tag, l0, l1, l2, l3])?;
        pieces.iter().try_for_each(|piece| self.bytes(piece))
    }

    pub(crate) fn finish(self) -> Result<&'b [u8], BufferFull> {
        let frame = self.buffer.get_mut(..self.len).ok_or(BufferFull)?;
        let (header, body) = frame.split_first_chunk_mut::<HEADER>().ok_or(BufferFull)?;
        let length = u32::try_from(body.len()).map_err(|_| BufferFull)?;
        header[4..].copy_from_slice(&length.to_le_bytes());
        Ok(frame)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        let end = self.len.checked_add(bytes.len()).filter(|end| *end <= MAX_FRAME).ok_or(BufferFull)?;
        self.buffer.get_mut(self.len..end).ok_or(BufferFull)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }
}

/// Says whether the bytes can be a path for the kernel: absolute, no zero byte.
pub(crate) fn is_absolute_path(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'/') && !bytes.contains(&0)
}

/// Splits `NAME=value`; neither an empty name nor a zero byte can be in an environment.
pub(crate) fn split_variable(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    if bytes.contains(&0) {
        return None;
    }
    let (name, rest) = bytes.split_at_checked(at)?;
    Some((name, rest.get(1..)?))
}
