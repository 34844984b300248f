//! The answer to a lookup: the number of a record, its text, and a signed tree head. Only [`hash_of`] the *text* is ever
//! asked for hashes, and only after the text was found in the tree.

use super::ANSWER_LIMIT;
use super::error::Refusal;
use super::note;
use super::tlog::{self, Hash};

/// An answer in its three parts. None of them is believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The record's number in the log.
    pub id: u64,
    /// The record: lines as in go.sum.
    pub text: &'a str,
    /// The signed tree head that came with it.
    pub note: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Takes an answer apart.
    ///
    /// # Errors
    /// When it has not the form `number`, record, blank line, note.
    pub fn parse(bytes: &'a [u8]) -> Result<Answer<'a>, Refusal> {
        if bytes.len() > ANSWER_LIMIT {
            return Err(Refusal::Answer("it is longer than 1,000,000 bytes"));
        }
        let line = bytes.iter().position(|&byte| byte == b'\n');
        let line = line.ok_or(Refusal::Answer("it has no record number"))?;
        let id = std::str::from_utf8(&bytes[..line]).ok().and_then(tlog::parse_number);
        let id = id.ok_or(Refusal::Answer("its record number is not a number"))?;
        let rest = &bytes[line + 1..];
        let blank = rest.windows(2).position(|pair| pair == b"\n\n");
        let blank = blank.ok_or(Refusal::Answer("it has no tree head"))?;
        let (text, note) = (&rest[..=blank], &rest[blank + 2..]);
        let text = note::plain_text(text).filter(|text| !text.starts_with('\n'));
        let text = text.ok_or(Refusal::Answer("its record is not plain text"))?;
        Ok(Answer { id, text, note })
    }

    /// The same record with another tree head: what is kept is the head that proved the record.
    #[must_use]
    pub fn with_note(&self, note: &[u8]) -> Vec<u8> {
        [format!("{}\n{}\n", self.id, self.text).as_bytes(), note].concat()
    }
}

/// The `h1:` hash that a record has for a module. The caller has authenticated the record.
///
/// # Errors
/// When there is none, or more than one, or it is no hash.
pub fn hash_of(text: &str, module: &str, version: &str) -> Result<String, Refusal> {
    let start = format!("{module} {version} h1:");
    let mut hashes = text.lines().filter_map(|line| line.strip_prefix(&start));
    let Some(hash) = hashes.next() else {
        return Err(Refusal::NoLine { module: module.to_owned(), version: version.to_owned() });
    };
    if hashes.any(|other| other != hash) {
        return Err(Refusal::Ambiguous { module: module.to_owned(), version: version.to_owned() });
    }
    if Hash::parse(hash).is_none() {
        return Err(Refusal::Hash(format!("h1:{hash}")));
    }
    Ok(format!("h1:{hash}"))
}
