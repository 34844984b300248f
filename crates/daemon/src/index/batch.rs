//! Notes for the index, added up until they are written: one row for each directory and release, however often a `go`
//! ran there. Filled by whoever answers questions, emptied by the index's thread. Writes nothing itself.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use govern_core::decide::{Kind, Target};
use govern_core::origin::Origin;
use govern_core::version::Version;
use govern_engine::index::{PinRow, Use};

use crate::answered::Answered;

/// Directories and releases that make a batch worth writing at once.
pub(super) const FULL: usize = 256;

/// Directories and releases at most. The disk is slow when there are more, and notes are dropped.
const MOST: usize = 4_096;

/// Answers that are noted as they are, before they are added up.
const PENDING: usize = 64;

/// What was noted since the last writing.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Answers that are yet to be added up, by their place in memory: whoever builds is given the same one again and again,
    /// and to count it costs less than to read it.
    pending: HashMap<usize, Pending>,
    /// Each with its place in the order.
    uses: HashMap<(PathBuf, Version), (u64, Use)>,
    /// Directories where a linked tree ran last: no release of the index's does any more.
    left: HashSet<PathBuf>,
    /// Pins that were seen, by directory.
    pins: HashMap<PathBuf, Vec<PinRow>>,
    noted: u64,
}

/// An answer that was given so many times, at last at this time and place in the order.
#[derive(Debug)]
struct Pending {
    answered: Arc<Answered>,
    count: u32,
    at: SystemTime,
    noted: u64,
}

impl Batch {
    /// Adds an answer.
    pub(super) fn note(&mut self, answered: &Arc<Answered>, now: SystemTime) {
        self.noted += 1;
        let place = Arc::as_ptr(answered).addr();
        if !self.pending.contains_key(&place) && self.pending.len() >= PENDING {
            self.add_up();
        }
        let first = || Pending { answered: Arc::clone(answered), count: 0, at: now, noted: 0 };
        let pending = self.pending.entry(place).or_insert_with(first);
        (pending.count, pending.at, pending.noted) = (pending.count.saturating_add(1), now, self.noted);
    }

    /// Adds the pending answers up.
    fn add_up(&mut self) {
        let mut pending: Vec<Pending> = self.pending.drain().map(|(_, pending)| pending).collect();
        pending.sort_unstable_by_key(|pending| pending.noted);
        for pending in pending {
            if self.len() >= MOST {
                tracing::debug!("the index cannot keep up: a note is dropped");
                return;
            }
            self.add(&pending);
        }
    }

    fn add(&mut self, pending: &Pending) {
        let answered = &pending.answered;
        let decision = &answered.decided.decision;
        let origin = decision.origin.to_string();
        let mut is_known = false;
        if let Some(version) = answered.version() {
            let key = (answered.project().to_owned(), version.clone());
            self.left.remove(&key.0);
            let known = self.uses.get(&key).map(|(_, known)| known);
            // Nothing but the count changes then: no line says anything else than the last time.
            is_known = known.is_some_and(|known| known.origin == origin);
            let count = known.map_or(0, |known| known.count).saturating_add(pending.count);
            let at = pending.at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let kind = kind(decision.kind).to_owned();
            let note = Use { directory: key.0.clone(), version: version.clone(), origin, kind, at, count };
            self.uses.insert(key, (pending.noted, note));
        }
        if let Target::Linked(_) = decision.target {
            self.left.insert(answered.project().to_owned());
        }
        if !is_known {
            self.pins.extend(pins(answered));
        }
    }

    /// How much there is to write.
    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.uses.len().max(self.left.len()).max(self.pins.len())
    }

    /// Takes out the directories that no release runs in any more.
    pub(super) fn take_left(&mut self) -> HashSet<PathBuf> {
        self.add_up();
        mem::take(&mut self.left)
    }

    /// The uses, oldest first, which is how the index wants them; and the pins.
    pub(super) fn into_rows(mut self) -> (Vec<Use>, Vec<(PathBuf, Vec<PinRow>)>) {
        self.add_up();
        let mut uses: Vec<(u64, Use)> = self.uses.into_values().collect();
        uses.sort_unstable_by_key(|(number, _)| *number);
        (uses.into_iter().map(|(_, note)| note).collect(), self.pins.into_iter().collect())
    }
}

/// The pins that were seen on the way to an answer, by the directory that they stand in.
fn pins(answered: &Answered) -> HashMap<PathBuf, Vec<PinRow>> {
    let mut pins: HashMap<PathBuf, Vec<PinRow>> = HashMap::new();
    for seen in &answered.decided.decision.seen {
        let Origin::File { path: file, line } = &seen.origin else { continue };
        let Some(directory) = file.parent().map(ToOwned::to_owned) else { continue };
        let row =
            PinRow { directory: directory.clone(), file: file.clone(), line: *line as u64, text: seen.text.clone() };
        pins.entry(directory).or_default().push(row);
    }
    pins
}

/// The kind's name in JSON and in the index.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Pin => "pin",
        Kind::Floor => "floor",
        Kind::Default => "default",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use govern_core::decide::{Seen, Target};
    use govern_core::origin::Origin;
    use govern_core::version::Version;

    use super::{Batch, MOST, PENDING};
    use crate::answered::tests::answered;

    #[test]
    fn notes_of_one_directory_are_added_up_and_keep_their_order() {
        let mut batch = Batch::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut newer = answered(Path::new("/a"), &[]);
        newer.decided.decision.target = Target::Sdk(Version::parse("1.24.11").unwrap());
        let older = Arc::new(answered(Path::new("/a"), &[]));
        batch.note(&older, at(1));
        batch.note(&Arc::new(newer), at(2));
        batch.note(&Arc::new(answered(Path::new("/b"), &[])), at(3));
        batch.note(&Arc::new(answered(Path::new("/a"), &[])), at(4));
        batch.note(&older, at(5));
        let (uses, _) = batch.into_rows();
        let uses: Vec<_> =
            uses.iter().map(|u| (u.directory.to_str().unwrap(), u.version.as_str(), u.at, u.count)).collect();
        assert_eq!(uses, [("/a", "1.24.11", 2, 1), ("/b", "1.22.4", 3, 1), ("/a", "1.22.4", 5, 3)]);
    }

    #[test]
    fn a_line_that_moved_is_noted_again() {
        let mut batch = Batch::default();
        for line in [1, 1, 2] {
            let mut asked = answered(Path::new("/a"), &[]);
            let origin = Origin::File { path: "/a/.go-version".into(), line };
            asked.decided.decision.origin = origin.clone();
            asked.decided.decision.seen = vec![Seen { rank: 5, origin, text: "1.22.4".to_owned(), lost: None }];
            batch.note(&Arc::new(asked), SystemTime::UNIX_EPOCH);
        }
        let (uses, pins) = batch.into_rows();
        assert_eq!((uses.len(), uses[0].count), (1, 3));
        assert_eq!((pins.len(), pins[0].1.len(), pins[0].1[0].line), (1, 1, 2));
    }

    #[test]
    fn a_batch_that_nobody_writes_stops_growing() {
        let mut batch = Batch::default();
        for number in 0..2 * MOST {
            batch.note(&Arc::new(answered(Path::new(&format!("/{number}")), &[])), SystemTime::UNIX_EPOCH);
        }
        assert!(batch.len() <= MOST + PENDING, "{}", batch.len());
        assert_eq!(batch.into_rows().0.len(), MOST);
    }
}
