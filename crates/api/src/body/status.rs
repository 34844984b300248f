//! What only a running daemon knows: how it is, and the directories that asked.

use serde::{Deserialize, Serialize};

use super::{Job, OsText};

/// The directories that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projects {
    /// The version of this document.
    pub schema: u32,
    /// The directories, last used first; of very many those where a wish stands, and then the latest.
    pub projects: Vec<Project>,
}

/// A directory that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The directory.
    pub dir: OsText,
    /// The release that ran there last.
    pub version: String,
    /// Whose wish it was.
    pub origin: String,
    /// `pin`, `floor` or `default`.
    pub kind: String,
    /// Seconds since the epoch.
    pub last_used: u64,
    /// How often it asked.
    pub count: u64,
    /// The directory is not there any more, as far as whoever shows this could see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this document.
    pub schema: u32,
    /// govern's own version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// Its resident memory in bytes, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Questions of shims answered, and how many of them were sent to the fallback.
    pub questions: u64,
    /// See `questions`.
    pub fallbacks: u64,
    /// Directories that are watched.
    pub watched: u64,
    /// Installed SDKs.
    pub sdks: u64,
    /// Running jobs.
    pub jobs: Vec<Job>,
    /// What happened to the index at start: `fine`, `created` or `rebuilt`.
    pub index: String,
    /// The base directory.
    pub home: OsText,
    /// What the SDKs share.
    #[serde(default)]
    pub shared: Vec<Shared>,
}

/// What an SDK shares with another one since it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The SDK.
    pub version: String,
    /// Whose files it has.
    pub with: String,
    /// `reflink` (the same blocks until one is written to) or `hard link` (the same files).
    pub means: String,
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
