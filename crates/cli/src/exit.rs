//! The exit codes, all of them. A number never changes its meaning and is never used again.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | it went well |
//! | 1 | a failure without a code of its own |
//! | 2 | the command line is wrong |
//! | 3 | there is no such SDK for this platform |
//! | 4 | there is no such version, or it is not installed |
//! | 5 | the network, or what is behind it, does not answer |
//! | 6 | the daemon does not answer (verbs that need it; `go` goes on working) |
//! | 7 | what came is not what was promised |
//! | 8 | a rule of the user's or of the machine's forbids it |
//! | 125 | a shim: govern failed |
//! | 126 | a shim, `govern run`: the program cannot be executed |
//! | 127 | a shim, `govern run`: there is no such program, or no such Go |
//!
//! Any other status of a shim or of `govern run` is that of the program that it became.

use govern_core::problem::{Code, Report};

/// What the process leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

/// It went well.
pub(crate) const OK: Exit = Exit(0);
/// A shim: govern failed.
pub(crate) const SHIM_FAILED: Exit = Exit(125);
/// The program cannot be executed.
pub(crate) const CANNOT_EXECUTE: Exit = Exit(126);
/// There is no such program, or the Go for it is not installed.
pub(crate) const NOT_FOUND: Exit = Exit(127);

/// The code of a verb that failed.
pub(crate) fn of_verb(report: &Report) -> Exit {
    Exit(report.code.exit())
}

/// The code of a shim that failed. A rule that forbids keeps its code: retrying is of no use, asking somebody is.
pub(crate) fn of_shim(report: &Report) -> Exit {
    match report.code {
        Code::Policy => Exit(Code::Policy.exit()),
        _ => SHIM_FAILED,
    }
}
