//! The bytes between the shim and the daemon: one [`Question`], one [`Answer`], each of them one frame.
//! Leaves out the socket they travel on, and what they mean: nothing here reads a version or a path.
//!
//! A frame is a magic of four bytes (the last of them the protocol number), the length of what follows as a
//! little-endian `u32`, then fields: one byte of tag, a little-endian `u32` of length, that many bytes. A reader passes
//! over tags that it does not know, so fields may be added without a new protocol number, and are never removed.
//!
//! No allocation: readers borrow from the frame, writers fill a buffer of the caller's.

#![no_std]

mod answer;
mod frame;
mod question;

pub use answer::{Answer, Run, RunWriter};
pub use frame::{BufferFull, Fault, MAX_FRAME, PROTOCOL};
pub use question::{MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, Question, Tool, VARIABLES};
