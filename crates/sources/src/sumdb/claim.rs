//! The judgement on one answer. A [`Claim`] is an answer beside the tree head that is already known; it says which tiles
//! it takes to judge it, and [`Claim::judge`] decides. Pure: the client, the offline check and the tests ask the same.

use govern_core::proof::LogRecord;

use super::answer::{self, Answer};
use super::error::Refusal;
use super::evidence::Fork;
use super::key::Verifier;
use super::note;
use super::stored;
use super::tile::{Held, Plan, Tile};
use super::tlog::{self, Head, Node, Tree};

/// The module and version that a record must speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The module: `golang.org/toolchain`.
    pub module: &'a str,
    /// Its version: `v0.0.1-go1.22.4.linux-amd64`.
    pub version: &'a str,
}

/// An answer that waits for its tiles.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    verifier: &'a Verifier,
    wanted: Wanted<'a>,
    answer: Answer<'a>,
    /// The larger one of the known head and the answer's: the tree in which the record is looked for.
    newer: Head,
    /// The smaller one, when there are two: the newer tree must begin with it.
    older: Option<Head>,
    plan: Plan,
    moves: bool,
}

/// A record found in a signed tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the record says.
    pub record: LogRecord,
    /// The answer with the head that proved it, which proves it again later, alone.
    pub proof: Vec<u8>,
    /// The record, its inclusion proof and that head as one text, for [`stored::check`].
    pub stored: String,
    /// The answer's head, when it is larger than the known one, which it extends.
    pub advance: Option<Head>,
}

impl<'a> Claim<'a> {
    /// Opens an answer and sets it beside the `known` head. Every signature is checked here; no tile is needed yet.
    ///
    /// # Errors
    /// When the answer is malformed, unsigned, or contradicts the known head at first sight.
    pub fn new(
        verifier: &'a Verifier,
        height: u8,
        known: Option<&Head>,
        bytes: &'a [u8],
        wanted: Wanted<'a>,
    ) -> Result<Claim<'a>, Refusal> {
        let answer = Answer::parse(bytes)?;
        // The very bytes of the known head need no second look at their signature.
        let head = match known.filter(|known| known.note() == answer.note) {
            Some(known) => known.clone(),
            None => Head::open(answer.note, verifier)?,
        };
        let (newer, older) = match known {
            None => (head, None),
            Some(known) if known.tree() == head.tree() => (known.clone(), None),
            Some(known) if known.tree().size == head.tree().size => {
                return Err(Refusal::Fork(Box::new(Fork::of_equal_size(known, &head))));
            }
            Some(known) if known.tree().size > head.tree().size => (known.clone(), Some(head)),
            Some(known) => (head, Some(known.clone())),
        };
        let size = newer.tree().size;
        if answer.id >= size {
            return Err(Refusal::Beyond { id: answer.id, size });
        }
        let mut nodes = vec![Node { level: 0, index: answer.id }];
        if let Some(older) = &older {
            nodes.extend(tlog::cover(0, older.tree().size));
        }
        let plan = Plan::new(*newer.tree(), height, &nodes);
        let moves = known.is_none_or(|known| known.tree().size < size);
        Ok(Claim { verifier, wanted, answer, newer, older, plan, moves })
    }

    /// The tiles to bring, in this order.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        self.plan.tiles()
    }

    /// The trees whose heads are compared, the older one first.
    #[must_use]
    pub fn heads(&self) -> (Option<&Head>, &Head) {
        (self.older.as_ref(), &self.newer)
    }

    /// Decides. The order matters: tiles, then the timeline, then the record, and only then what the record says.
    ///
    /// # Errors
    /// When anything does not fit.
    pub fn judge<D: AsRef<[u8]>>(&self, tiles: &[D]) -> Result<Verdict, Refusal> {
        let held = self.plan.authenticate(tiles)?;
        self.check_timeline(&held)?;
        let Answer { id, text, .. } = self.answer;
        let leaf = held.hash(Node { level: 0, index: id });
        if leaf != Some(tlog::Hash::of_record(text.as_bytes())) {
            return Err(Refusal::Record { id });
        }
        let h1 = answer::hash_of(text, self.wanted.module, self.wanted.version)?;
        let tree_size = self.newer.tree().size;
        // The tiles on the way from the record to the root are those that were just authenticated.
        let inclusion = held.prove_record(id).ok_or(Refusal::Record { id })?;
        let head = note::alone(self.newer.note(), self.verifier)?;
        Ok(Verdict {
            record: LogRecord { database: self.verifier.name().to_owned(), id, tree_size, h1 },
            stored: stored::text(&self.answer, &inclusion, head.as_bytes()),
            proof: self.answer.with_note(self.newer.note()),
            advance: self.moves.then(|| self.newer.clone()),
        })
    }

    /// The newer tree must begin with the older one, whichever of the two came with the answer.
    fn check_timeline<D: AsRef<[u8]>>(&self, held: &Held<'_, D>) -> Result<(), Refusal> {
        let Some(older) = &self.older else { return Ok(()) };
        let size = older.tree().size;
        let prefix = held.root(0, size).expect("the plan asked for the older tree's nodes");
        if prefix == older.tree().root {
            return Ok(());
        }
        let prefix = Tree { size, root: prefix };
        let proof = held.prove_prefix(size).filter(|proof| tlog::is_prefix(self.newer.tree(), &prefix, proof));
        Err(Refusal::Fork(Box::new(Fork::of_timelines(older, &self.newer, prefix, proof.unwrap_or_default()))))
    }
}
