//! What the shim asks: which program does this call mean? Holds everything the decision may depend on, and no more.

use crate::frame::{BufferFull, Fault, Fields, Kind, Writer, fields, frame_len, is_absolute_path, split_variable};

/// The variables that a question carries, when the caller has them. Sorted.
pub const VARIABLES: &[&str] = &[
    "GO111MODULE",
    "GOENV",
    "GOFLAGS",
    "GOROOT",
    "GOTOOLCHAIN",
    "GOTOOLCHAIN_INTERNAL_SWITCH_COUNT",
    "GOTOOLCHAIN_INTERNAL_SWITCH_VERSION",
    "GOVERN_AUTO_INSTALL",
    "GOVERN_DEPTH",
    "GOVERN_GO_VERSION",
    "GOVERN_OFFLINE",
    "GOVERN_SET_GOTOOLCHAIN",
    "GOVERN_UNSAFE_PINS",
    "GOWORK",
    "HOME",
    "PWD",
    "TMPDIR",
    "XDG_CONFIG_HOME",
];

/// The most arguments that a question carries …
pub const MAX_ARGUMENTS: usize = 32;

/// … and the most bytes that they take together.
pub const MAX_ARGUMENT_BYTES: usize = 8 * 1024;

const TOOL: u8 = 1;
const LAUNCHER: u8 = 2;
const CWD: u8 = 3;
const ARGUMENT: u8 = 4;
const MORE_ARGUMENTS: u8 = 5;
const VARIABLE: u8 = 6;

/// Which shim asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool<'a> {
    /// `go`.
    Go,
    /// `gofmt`.
    Gofmt,
    /// A launcher, by its file name: `go1.26.3`.
    Launcher(&'a [u8]),
}

impl<'a> Tool<'a> {
    /// The name of the shim's file.
    #[must_use]
    pub fn name(self) -> &'a [u8] {
        match self {
            Tool::Go => b"go",
            Tool::Gofmt => b"gofmt",
            Tool::Launcher(name) => name,
        }
    }
}

/// A question, as read from its frame.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which shim asks.
    pub tool: Tool<'a>,
    /// The kernel's name of the working directory; absolute. What the shell calls it is the variable `PWD`.
    pub cwd: &'a [u8],
    /// The call has more arguments than [`Question::arguments`] yields.
    pub has_more_arguments: bool,
    fields: Fields<'a>,
}

impl<'a> Question<'a> {
    /// How many bytes the question takes whose beginning was received; `None` while too little of it is there to say.
    ///
    /// # Errors
    /// When the bytes cannot become a question.
    pub fn frame_len(received: &[u8]) -> Result<Option<usize>, Fault> {
        frame_len(Kind::Question, received)
    }

    /// Reads a question. Bytes after its frame are not looked at.
    ///
    /// # Errors
    /// When the bytes are not a whole question, or a field of it holds what no shim sends.
    pub fn decode(frame: &'a [u8]) -> Result<Question<'a>, Fault> {
        let fields = fields(Kind::Question, frame)?;
        let (mut tool, mut launcher, mut cwd, mut has_more_arguments) = (None, None, None, false);
        for (tag, value) in fields {
            match tag {
                TOOL => tool = Some(value),
                LAUNCHER => launcher = Some(value),
                CWD => cwd = Some(value),
                MORE_ARGUMENTS => has_more_arguments = true,
                ARGUMENT if value.contains(&0) => return Err(Fault::Bad("argument")),
                VARIABLE if split_variable(value).is_none() => return Err(Fault::Bad("variable")),
                _ => {}
            }
        }
        let tool = match tool.ok_or(Fault::Missing("tool"))? {
            [0] => Tool::Go,
            [1] => Tool::Gofmt,
            [2] => Tool::Launcher(launcher.ok_or(Fault::Missing("launcher"))?),
            _ => return Err(Fault::Bad("tool")),
        };
        if let Tool::Launcher(name) = tool
            && (name.is_empty() || name.contains(&b'/') || name.contains(&0))
        {
            return Err(Fault::Bad("launcher"));
        }
        let cwd = cwd.ok_or(Fault::Missing("cwd"))?;
        if !is_absolute_path(cwd) {
            return Err(Fault::Bad("cwd"));
        }
        Ok(Question { tool, cwd, has_more_arguments, fields })
    }

    /// The first arguments of the call, without `argv[0]`.
    pub fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.fields.all(ARGUMENT)
    }

    /// Names and values of the variables that the caller has; a value may be empty.
    pub fn variables(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        self.fields.all(VARIABLE).filter_map(split_variable)
    }

    /// Writes a question. Takes as many of the arguments (without `argv[0]`) as [`MAX_ARGUMENTS`] and
    /// [`MAX_ARGUMENT_BYTES`] let in; the variables are `NAME=value`, and choosing them is the caller's.
    ///
    /// # Errors
    /// When the question does not fit into the buffer or a frame.
    pub fn encode<'b, 'v>(
        buffer: &'b mut [u8],
        tool: Tool<'_>,
        cwd: &[u8],
        arguments: impl Iterator<Item = &'v [u8]>,
        variables: impl Iterator<Item = &'v [u8]>,
    ) -> Result<&'b [u8], BufferFull> {
        let mut writer = Writer::new(Kind::Question, buffer)?;
        match tool {
            Tool::Go => writer.field(TOOL, &[&[0]])?,
            Tool::Gofmt => writer.field(TOOL, &[&[1]])?,
            Tool::Launcher(name) => {
                writer.field(TOOL, &[&[2]])?;
                writer.field(LAUNCHER, &[name])?;
            }
        }
        writer.field(CWD, &[cwd])?;
        let mut room = MAX_ARGUMENT_BYTES;
        for (sent, argument) in arguments.enumerate() {
            match room.checked_sub(argument.len()) {
                Some(left) if sent < MAX_ARGUMENTS => room = left,
                _ => {
                    writer.field(MORE_ARGUMENTS, &[])?;
                    break;
                }
            }
            writer.field(ARGUMENT, &[argument])?;
        }
        for variable in variables {
            writer.field(VARIABLE, &[variable])?;
        }
        writer.finish()
    }
}
