//! Changes to honest bytes.

use arbitrary::Arbitrary;

/// One change. Places are taken modulo the length.
#[derive(Arbitrary, Debug)]
pub(crate) enum Edit {
    Flip { at: u16, with: u8 },
    Cut { at: u16 },
    Remove { at: u16, count: u8 },
    Insert { at: u16, bytes: Vec<u8> },
    Repeat { at: u16, count: u8 },
    Replace { bytes: Vec<u8> },
}

impl Edit {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match self {
            Edit::Flip { at, with } => {
                let at = place(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= with;
                }
            }
            Edit::Cut { at } => bytes.truncate(place(*at)),
            Edit::Remove { at, count } => {
                let from = place(*at);
                let to = bytes.len().min(from + usize::from(*count));
                bytes.drain(from..to);
            }
            Edit::Insert { at, bytes: more } => {
                let at = place(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Repeat { at, count } => {
                let from = place(*at);
                let to = bytes.len().min(from + usize::from(*count));
                bytes.extend_from_within(from..to);
            }
            Edit::Replace { bytes: other } => bytes.clone_from(other),
        }
    }
}
