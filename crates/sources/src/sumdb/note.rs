//! Signed notes: text, a blank line, and lines of signatures. Decides whether a known key signed the text; what the
//! text says is for others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ANSWER_LIMIT;
use super::error::Refusal;
use super::key::Verifier;

/// Signature lines begin with an em dash and a space.
const MARK: &str = "\u{2014} ";
/// More lines than this are an attack on our time.
const MAX_SIGNATURES: usize = 100;

/// Opens a note and returns its text, which the verifier's key signed.
///
/// Signatures of other keys are not looked at. Of our key the first one counts: a wrong one refuses the note, and after
/// a right one the rest is repetition.
///
/// # Errors
/// When the note is malformed, or our key's signature is wrong or missing.
pub fn open<'a>(message: &'a [u8], verifier: &Verifier) -> Result<&'a str, Refusal> {
    let (text, signatures) = split(message)?;
    let mut signed = false;
    for (count, line) in signatures.split_terminator('\n').enumerate() {
        let (name, hash, signature) = parse_signature(line)?;
        if count >= MAX_SIGNATURES {
            return Err(Refusal::Note("it has more than 100 signatures"));
        }
        let ours = name == verifier.name() && hash == verifier.key_hash();
        if !ours || signed {
            continue;
        }
        if !verifier.accepts(text.as_bytes(), &signature) {
            return Err(Refusal::Signature { name: name.to_owned() });
        }
        signed = true;
    }
    if signed { Ok(text) } else { Err(Refusal::Unsigned { name: verifier.name().to_owned() }) }
}

/// The note with the verifier's own signature and no other.
///
/// # Errors
/// As [`open`].
pub(super) fn alone(message: &[u8], verifier: &Verifier) -> Result<String, Refusal> {
    let text = open(message, verifier)?;
    let (_, signatures) = split(message)?;
    let is_ours = |line: &&str| {
        parse_signature(line).is_ok_and(|(name, hash, _)| name == verifier.name() && hash == verifier.key_hash())
    };
    let ours = signatures.split_terminator('\n').find(is_ours).unwrap_or_default();
    Ok(format!("{text}\n{ours}\n"))
}

/// Parts the text, which ends in a newline, from the lines of signatures, which each end in one.
fn split(message: &[u8]) -> Result<(&str, &str), Refusal> {
    if message.len() > ANSWER_LIMIT {
        return Err(Refusal::Note("it is longer than 1,000,000 bytes"));
    }
    let message = plain_text(message).ok_or(Refusal::Note("it is not plain text"))?;
    // The last blank line: the text itself may have some.
    let blank = message.rfind("\n\n").ok_or(Refusal::Note("it has no signatures"))?;
    let (text, signatures) = (&message[..=blank], &message[blank + 2..]);
    if !signatures.ends_with('\n') {
        return Err(Refusal::Note("it does not end in a line of signature"));
    }
    Ok((text, signatures))
}

/// `— name base64(hash, signature)`.
fn parse_signature(line: &str) -> Result<(&str, u32, Vec<u8>), Refusal> {
    let malformed = Refusal::Note("a line of signature is malformed");
    let Some((name, encoded)) = line.strip_prefix(MARK).and_then(|rest| rest.split_once(' ')) else {
        return Err(malformed);
    };
    let is_name = !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace());
    // Strict base64: with stray bits in the last character, two notes of different bytes would be one.
    let (true, Ok(bytes)) = (is_name, STANDARD.decode(encoded)) else {
        return Err(malformed);
    };
    match bytes.split_first_chunk::<4>() {
        Some((hash, signature)) if !signature.is_empty() => Ok((name, u32::from_be_bytes(*hash), signature.to_vec())),
        _ => Err(malformed),
    }
}

/// UTF-8 without control characters other than the newline, which is what notes and records are made of.
pub(super) fn plain_text(bytes: &[u8]) -> Option<&str> {
    let has_control = bytes.iter().any(|&byte| byte < 0x20 && byte != b'\n');
    if has_control { None } else { std::str::from_utf8(bytes).ok() }
}
