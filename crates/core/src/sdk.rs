//! An installed SDK, as the rooms tell one another about it.

use std::path::PathBuf;

use crate::platform::Platform;
use crate::version::Version;

/// An installed, complete, proven tree. Made by the store alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdk {
    /// The release.
    pub version: Version,
    /// Its GOROOT.
    pub goroot: PathBuf,
}

/// What the record beside an SDK says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdkFacts {
    /// The SDK.
    pub sdk: Sdk,
    /// The platform it runs on.
    pub platform: Platform,
    /// Where the archive came from.
    pub source: String,
    /// `log`, `sha256`, `none` where the record is gone, or `contradicted` where the log says that it is something else.
    pub proof: String,
    /// One line about the proof: the record's number, or why there is no log proof.
    pub proof_note: String,
    /// Bytes of all files.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// When it was installed, in seconds since the epoch.
    pub installed_at: u64,
}
