//! The client of Go's checksum database: what the public log says about one module, proven, or an error.
//!
//! Pure parts first: [`key`] (whom to believe), [`note`] (signed text), [`tlog`] (trees and their hashes), [`tile`]
//! (authenticated pieces of a tree), [`answer`] and [`claim`] (a lookup and the judgement on it), [`stored`] (a proof
//! that stands alone). They take bytes and
//! give verdicts; no byte that they have not authenticated decides anything. Around them [`client`] fetches and [`keep`]
//! remembers. Leaves out HTTP, the way through GOPROXY, and what an SDK without a record is worth: callers bring a
//! [`Remote`] and judge [`Error::NotFound`] and [`Error::OutOfReach`] themselves.
//!
//! Three holes of Go's own client, fixed there in 2026, are closed here by construction and have tests of their names:
//! a record without a line for the module (CVE-2026-42501), lines taken from outside the record (CVE-2026-56864), and
//! tiles that were never compared with their parents (CVE-2026-56865).

pub mod answer;
pub mod claim;
pub mod client;
mod error;
pub mod evidence;
pub mod keep;
pub mod key;
pub mod note;
pub mod stored;
pub mod tile;
pub mod tlog;

pub use client::{Client, Proven, Remote, RemoteError};
pub use error::{Error, Refusal};
pub use keep::{DiskKeep, Keep, KeepError};
pub use key::{KeyError, Setting, Verifier};

/// The most bytes that any answer of a checksum database may have; a [`Remote`] stops reading there.
pub const ANSWER_LIMIT: usize = 1_000_000;
