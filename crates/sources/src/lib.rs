//! Where Go SDKs come from: download pages of the go.dev shape, GOPROXY, directories; and the checksum database's word.
//!
//! The one room with sockets to the outside. It fetches lists, says what an archive must be ([`Artifact`]), and brings its
//! bytes. Leaves out unpacking and judging them (`store`, `govern_core::proof`) and choosing a release (`engine`). Reads no
//! environment: [`Settings`] come in as a value. [`mirror`] is the one server that others may reach.

mod base;
mod checklog;
mod client;
mod download;
mod egress;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod goproxy;
mod http;
mod listing;
mod lists;
mod local;
pub mod mirror;
mod netrc;
mod pace;
mod part;
mod range;
mod releases;
mod settings;
mod sources;
mod stored;
pub mod sumdb;
mod transfer;

pub use download::{Download, Stopped};
pub use error::{Cause, Error};
pub use pace::Pace;
pub use releases::{Freshness, Release, Releases, known_releases};
pub use settings::{DEFAULT_DL_URL, Settings, Source, Stored};
pub use sources::{LogProof, Sources};
