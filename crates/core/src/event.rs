//! What a running change tells those who watch it.

use crate::version::Version;

/// One step of an install. Counts only grow, except that a retry from another source starts again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The wish was resolved.
    Resolved {
        /// The release it means.
        version: Version,
    },
    /// Another process holds the lock of this version.
    Waiting {
        /// Who, as far as it is known.
        holder: String,
    },
    /// A source was chosen and answers.
    Source {
        /// The URL of the archive.
        url: String,
        /// Its length in bytes, when known.
        size: Option<u64>,
    },
    /// A source does not answer; the next one is tried, or the same one again.
    Trouble {
        /// What went wrong.
        reason: String,
    },
    /// Bytes of the archive that have arrived, counting what was resumed.
    Downloaded {
        /// Bytes so far.
        bytes: u64,
    },
    /// Files written to staging.
    Unpacked {
        /// Files so far.
        files: u64,
    },
    /// All bytes are there; the proof is checked and the tree is made durable.
    Proving,
}

/// Somebody who watches a change. Called from any thread; must not block for long.
pub trait Watch: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Watch for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
