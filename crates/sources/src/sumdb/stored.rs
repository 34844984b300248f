//! A record's whole proof in one text that needs nothing else to be checked but the verifier key: no cache, no tiles, no
//! network. It is [C2SP's tlog-proof v1](https://c2sp.org/tlog-proof), with the record itself in the `extra` line:
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <the record, in base64>
//! index <its number>
//! <a hash of the inclusion proof, in base64, leaf first>
//! …
//!
//! <the signed tree head, with the database's own signature alone>
//! ```
//!
//! Strict where the format leaves room: one spelling of each line, one signature. So every byte of the text counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use govern_core::proof::LogRecord;

use super::ANSWER_LIMIT;
use super::answer::{self, Answer};
use super::claim::Wanted;
use super::error::Refusal;
use super::key::Verifier;
use super::note;
use super::tlog::{self, Hash, Head};

/// The first line.
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// Writes the proof of a record that was found in the tree of `head`.
pub(super) fn text(answer: &Answer<'_>, proof: &[Hash], head: &[u8]) -> String {
    let hashes: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    let (extra, head) = (STANDARD.encode(answer.text), String::from_utf8_lossy(head));
    format!("{FORMAT}\nextra {extra}\nindex {}\n{hashes}\n{head}", answer.id)
}

/// Proves a record from such a text.
///
/// # Errors
/// When any byte of it is not what it must be.
pub fn check(text: &[u8], verifier: &Verifier, wanted: Wanted<'_>) -> Result<LogRecord, Refusal> {
    if text.len() > ANSWER_LIMIT {
        return Err(Refusal::Stored("it is longer than 1,000,000 bytes"));
    }
    let text = note::plain_text(text).ok_or(Refusal::Stored("it is not plain text"))?;
    let (proof, head) = text.split_once("\n\n").ok_or(Refusal::Stored("it has no tree head"))?;
    let mut lines = proof.split('\n');
    if lines.next() != Some(FORMAT) {
        return Err(Refusal::Stored("it does not begin with `c2sp.org/tlog-proof@v1`"));
    }
    let record = lines.next().and_then(|line| STANDARD.decode(line.strip_prefix("extra ")?).ok());
    let record = record.ok_or(Refusal::Stored("it has no record in its `extra` line"))?;
    let id = lines.next().and_then(|line| tlog::parse_number(line.strip_prefix("index ")?));
    let id = id.ok_or(Refusal::Stored("it has no `index` line"))?;
    let hashes: Option<Vec<Hash>> = lines.map(Hash::parse).collect();
    let hashes = hashes.ok_or(Refusal::Stored("a line of its inclusion proof is no hash"))?;

    let head = head.as_bytes();
    let tree = *Head::open(head, verifier)?.tree();
    // Nobody here can check the other signatures, so that they are not kept: see `claim`.
    if note::alone(head, verifier)?.as_bytes() != head {
        return Err(Refusal::Stored("it has signatures besides the database's own"));
    }
    if id >= tree.size {
        return Err(Refusal::Beyond { id, size: tree.size });
    }
    if !tlog::has_record(&tree, id, Hash::of_record(&record), &hashes) {
        return Err(Refusal::Record { id });
    }
    let record = note::plain_text(&record).ok_or(Refusal::Stored("its record is not plain text"))?;
    let h1 = answer::hash_of(record, wanted.module, wanted.version)?;
    Ok(LogRecord { database: verifier.name().to_owned(), id, tree_size: tree.size, h1 })
}
