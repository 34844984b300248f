//! The checksum-database client against a log of its own, whose key is here, and against Go's client.

#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod client;
mod forgeries;
mod holes;
mod interop;
mod lab;
mod log;
mod stored;
mod timelines;
mod vectors;
