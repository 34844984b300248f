//! Changes: what is wished for, and how far it is.

use govern_core::event::Event;
use serde::{Deserialize, Serialize};

use super::{OsText, VarsBody};
use crate::problem::Problem;

/// A change that is wished for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum NewJob {
    /// Install a Go.
    Install {
        /// What is wished for.
        spec: String,
        /// A minimum that it must satisfy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<String>,
        /// Whose wish it is, as a person is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted_by: Option<String>,
        /// A file of a checkout wishes it: the safe floor holds.
        #[serde(default)]
        by_repository: bool,
        /// The caller's variables: proxies, sources.
        #[serde(default)]
        vars: VarsBody,
    },
    /// Remove an installed SDK.
    Remove {
        /// The release.
        version: String,
    },
    /// Put a fresh SDK in the place of an installed one.
    Repair {
        /// The release.
        version: String,
        /// The caller's variables: proxies, sources.
        #[serde(default)]
        vars: VarsBody,
    },
}

/// A running or finished change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// `install`, `remove` or `repair`.
    pub verb: String,
    /// The release.
    pub version: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// Bytes downloaded so far.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes to download, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Somebody else had started it already.
    #[serde(default)]
    pub joined: bool,
}

/// Running and lately finished changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// The version of this document.
    pub schema: u32,
    /// The jobs, newest first.
    pub jobs: Vec<Job>,
}

/// One event of a job. The last one is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JobEvent {
    /// The wish was resolved.
    Resolved {
        /// The release it means.
        version: String,
    },
    /// Another process works on this release.
    Waiting {
        /// Who.
        holder: String,
    },
    /// A source answers.
    Source {
        /// The URL of the archive.
        url: String,
        /// Bytes, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A source does not answer.
    Trouble {
        /// What went wrong.
        reason: String,
    },
    /// Bytes that have arrived.
    Downloaded {
        /// Bytes so far.
        bytes: u64,
    },
    /// Files that were written.
    Unpacked {
        /// Files so far.
        files: u64,
    },
    /// The proof is checked and the tree made durable.
    Proving,
    /// It is there, or gone.
    Done {
        /// The release.
        version: String,
        /// Its root, after an install.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goroot: Option<OsText>,
        /// It was there already.
        #[serde(default)]
        already: bool,
        /// Bytes freed, after a removal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freed: Option<u64>,
    },
    /// It failed.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// Something that a newer daemon tells.
    #[serde(other)]
    Unknown,
}

impl From<Event> for JobEvent {
    fn from(event: Event) -> JobEvent {
        match event {
            Event::Resolved { version } => JobEvent::Resolved { version: version.toolchain() },
            Event::Waiting { holder } => JobEvent::Waiting { holder },
            Event::Source { url, size } => JobEvent::Source { url, size },
            Event::Trouble { reason } => JobEvent::Trouble { reason },
            Event::Downloaded { bytes } => JobEvent::Downloaded { bytes },
            Event::Unpacked { files } => JobEvent::Unpacked { files },
            Event::Proving => JobEvent::Proving,
        }
    }
}

impl JobEvent {
    /// True for the last event of a job.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, JobEvent::Done { .. } | JobEvent::Failed { .. })
    }
}
