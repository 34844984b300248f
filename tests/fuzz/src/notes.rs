//! Signed notes and the keys that open them. A note that opens says what was signed, and nothing else; what was signed
//! opens.

use std::collections::HashSet;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use govern_sources::sumdb::tlog::{Head, Tree};
use govern_sources::sumdb::{Setting, Verifier, note};

use crate::edit::Edit;
use crate::log::{self, NAME, VERIFIER as KEY};
use crate::logs::{HONEST, VERIFIER};

/// What was ever signed, besides what a check signs itself.
static SIGNED: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let text = |head: &Head| note::open(head.note(), &VERIFIER).unwrap().as_bytes().to_vec();
    HONEST.heads.iter().map(text).collect()
});

/// Notes, texts to sign, keys.
pub fn seeds() -> impl Iterator<Item = Vec<u8>> {
    let notes = [0, 1, 7, 300].map(|size| HONEST.heads[size].note().to_vec());
    let other = format!("\u{2014} other {}\n", STANDARD.encode([7; 68]));
    let cosigned = [&notes[1][..], other.as_bytes()].concat();
    let twice = [&notes[1][..], notes[1].rsplitn(3, |byte| *byte == b'\n').nth(1).unwrap(), b"\n"].concat();
    let opened = notes.into_iter().chain([cosigned, twice]).map(|note| [b"m", &note[..]].concat());
    let texts = ["one line\n", "two\n\nparts\n", "no end", "\n", "umlaut \u{e4}\n"];
    let signed = texts.into_iter().flat_map(|text| [format!("s{text}"), format!("e\x01\0\0\0\x05\0\x07{text}")]);
    let keys = [KEY, "off", "sum.golang.org https://sum.example/", "sum.golang.google.cn"];
    opened.chain(signed.map(String::into_bytes)).chain(keys.map(|key| format!("k{key}").into_bytes()))
}

/// The first byte says what the rest is: a message, a text to sign, changes and a text to sign, a value of GOSUMDB.
///
/// # Panics
/// When a text opens that was not signed, or one that was signed does not.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'm', message)) => {
            if let Some(text) = open(message) {
                assert!(SIGNED.contains(text.as_bytes()), "opened, though nobody signed it: {text:?}");
                let head = Head::open(message, &VERIFIER).unwrap();
                assert_eq!((head.tree(), head.note()), (&HONEST.tree(head.tree().size), message));
            }
        }
        Some((b's', text)) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            let is_plain = text.ends_with('\n') && text.bytes().all(|byte| byte >= 0x20 || byte == b'\n');
            let message = log::sign(text);
            assert_eq!(open(&message), is_plain.then_some(text));
            if let Ok(tree) = Tree::parse(text) {
                let printed = format!("go.sum database tree\n{}\n{}\n", tree.size, tree.root);
                assert!(text.starts_with(&printed), "two spellings of one tree: {text:?}");
            }
        }
        Some((b'e', rest)) => {
            let mut rest = Unstructured::new(rest);
            let (Ok(count), mut edits) = (rest.int_in_range(1..=4), Vec::new()) else { return };
            for _ in 0..count {
                edits.extend(rest.arbitrary::<Edit>());
            }
            let Ok(text) = std::str::from_utf8(rest.take_rest()) else { return };
            let mut message = log::sign(text);
            edits.iter().for_each(|edit| edit.apply(&mut message));
            if let Some(opened) = open(&message) {
                assert_eq!(opened, text, "a changed text opens");
            }
        }
        Some((b'k', value)) => {
            let Ok(value) = std::str::from_utf8(value) else { return };
            if let Ok(Some(setting)) = Setting::parse(value) {
                let verifier = setting.verifier;
                assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier.clone()));
                let name = verifier.name();
                assert!(!name.contains("..") && !name.starts_with('/') && !name.contains('\\'), "{name}");
                assert!(setting.url.is_none_or(|url| url.starts_with("https://") || url.starts_with("http://")));
            }
        }
        _ => {}
    }
}

/// Opens a note, and looks for the signature that it opened by: some line of our key's must verify the text.
fn open(message: &[u8]) -> Option<&str> {
    let text = note::open(message, &VERIFIER).ok()?;
    let rest = message.strip_prefix(text.as_bytes()).expect("the text is the beginning of the message");
    let rest = std::str::from_utf8(rest).unwrap();
    let ours = format!("\u{2014} {NAME} ");
    let is_signed = rest.lines().filter_map(|line| line.strip_prefix(&ours)).any(|signature| {
        let bytes = STANDARD.decode(signature).unwrap();
        bytes[..4] == VERIFIER.key_hash().to_be_bytes() && VERIFIER.accepts(text.as_bytes(), &bytes[4..])
    });
    assert!(is_signed, "opened without a signature: {message:?}");
    Some(text)
}
