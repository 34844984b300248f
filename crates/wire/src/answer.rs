//! What the daemon answers: run this program so, or "not from me", which sends the shim to `govern`.

use crate::frame::{BufferFull, Fault, Fields, Kind, Writer, fields, frame_len, is_absolute_path, split_variable};

const STATUS: u8 = 1;
const PROGRAM: u8 = 2;
const LEASE: u8 = 3;
const DROP_ARGUMENTS: u8 = 4;
const SET: u8 = 5;
const UNSET: u8 = 6;
const APPEND_PATH: u8 = 7;

const RUN: u8 = 0;
const FALLBACK: u8 = 1;

/// An answer, as read from its frame.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// Become this program.
    Run(Run<'a>),
    /// Become `govern`, which installs, explains or decides what the daemon will not.
    Fallback,
}

/// The program to become, and the edits on the way.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Absolute.
    pub program: &'a [u8],
    /// The file to hold a shared lock on for as long as the program and its children run; absolute. `None` for a tree
    /// that govern never removes.
    pub lease: Option<&'a [u8]>,
    /// How many arguments after `argv[0]` are for govern and not for the program (`+1.22.4`).
    pub drop_arguments: u32,
    /// A directory for the end of `PATH`, unless it is one of its entries already. `PATH` becomes just this directory
    /// when it is unset or empty. Absolute, without a colon.
    pub append_path: Option<&'a [u8]>,
    fields: Fields<'a>,
}

impl<'a> Run<'a> {
    /// Names and values of the variables to set, whether they are in the environment or not.
    pub fn set(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        self.fields.all(SET).filter_map(split_variable)
    }

    /// Names of the variables to remove.
    pub fn unset(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.fields.all(UNSET)
    }
}

impl<'a> Answer<'a> {
    /// How many bytes the answer takes whose beginning was received; `None` while too little of it is there to say.
    ///
    /// # Errors
    /// When the bytes cannot become an answer.
    pub fn frame_len(received: &[u8]) -> Result<Option<usize>, Fault> {
        frame_len(Kind::Answer, received)
    }

    /// Reads an answer. Bytes after its frame are not looked at.
    ///
    /// # Errors
    /// When the bytes are not a whole answer, or one that cannot be followed: a relative path, a zero byte, a
    /// variable without a name, a status that only newer programs know.
    pub fn decode(frame: &'a [u8]) -> Result<Answer<'a>, Fault> {
        let fields = fields(Kind::Answer, frame)?;
        let (mut status, mut program, mut lease, mut drop, mut append_path) = (None, None, None, None, None);
        for (tag, value) in fields {
            match tag {
                STATUS => status = Some(value),
                PROGRAM => program = Some(absolute(value, "program")?),
                LEASE => lease = Some(absolute(value, "lease")?),
                DROP_ARGUMENTS => drop = Some(value.try_into().map_err(|_| Fault::Bad("drop arguments"))?),
                APPEND_PATH if value.contains(&b':') => return Err(Fault::Bad("append to PATH")),
                APPEND_PATH => append_path = Some(absolute(value, "append to PATH")?),
                SET if split_variable(value).is_none() => return Err(Fault::Bad("set")),
                UNSET if value.is_empty() || value.contains(&b'=') || value.contains(&0) => {
                    return Err(Fault::Bad("unset"));
                }
                _ => {}
            }
        }
        match status.ok_or(Fault::Missing("status"))? {
            [RUN] => Ok(Answer::Run(Run {
                program: program.ok_or(Fault::Missing("program"))?,
                lease,
                drop_arguments: drop.map_or(0, u32::from_le_bytes),
                append_path,
                fields,
            })),
            [FALLBACK] => Ok(Answer::Fallback),
            _ => Err(Fault::Bad("status")),
        }
    }

    /// Writes the answer that sends the shim to `govern`.
    ///
    /// # Errors
    /// When the buffer has not 14 bytes.
    pub fn encode_fallback(buffer: &mut [u8]) -> Result<&[u8], BufferFull> {
        let mut writer = Writer::new(Kind::Answer, buffer)?;
        writer.field(STATUS, &[&[FALLBACK]])?;
        writer.finish()
    }
}

/// Writes the answer that names a program. Every step fails when the buffer or a frame is too small.
#[derive(Debug)]
pub struct RunWriter<'b>(Writer<'b>);

#[expect(clippy::missing_errors_doc, reason = "the one error of every method is told above")]
impl<'b> RunWriter<'b> {
    /// Starts with what every such answer has; see [`Run`] for what the fields must hold.
    pub fn new(buffer: &'b mut [u8], program: &[u8], lease: Option<&[u8]>) -> Result<RunWriter<'b>, BufferFull> {
        let mut writer = Writer::new(Kind::Answer, buffer)?;
        writer.field(STATUS, &[&[RUN]])?;
        writer.field(PROGRAM, &[program])?;
        if let Some(lease) = lease {
            writer.field(LEASE, &[lease])?;
        }
        Ok(RunWriter(writer))
    }

    /// Drops the first `count` arguments after `argv[0]`.
    pub fn drop_arguments(mut self, count: u32) -> Result<RunWriter<'b>, BufferFull> {
        self.0.field(DROP_ARGUMENTS, &[&count.to_le_bytes()])?;
        Ok(self)
    }

    /// Sets a variable.
    pub fn set(mut self, name: &[u8], value: &[u8]) -> Result<RunWriter<'b>, BufferFull> {
        self.0.field(SET, &[name, b"=", value])?;
        Ok(self)
    }

    /// Removes a variable.
    pub fn unset(mut self, name: &[u8]) -> Result<RunWriter<'b>, BufferFull> {
        self.0.field(UNSET, &[name])?;
        Ok(self)
    }

    /// Appends a directory to `PATH`.
    pub fn append_path(mut self, directory: &[u8]) -> Result<RunWriter<'b>, BufferFull> {
        self.0.field(APPEND_PATH, &[directory])?;
        Ok(self)
    }

    /// The frame.
    pub fn finish(self) -> Result<&'b [u8], BufferFull> {
        self.0.finish()
    }
}

fn absolute<'a>(value: &'a [u8], field: &'static str) -> Result<&'a [u8], Fault> {
    if is_absolute_path(value) { Ok(value) } else { Err(Fault::Bad(field)) }
}
