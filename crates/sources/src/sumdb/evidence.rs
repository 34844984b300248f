//! What is kept when a checksum database contradicts itself: both signed heads and the proof that they cannot both be
//! honest, in one text that needs nothing else to be checked. Writes nothing.

use std::fmt;

use super::tlog::{Hash, Head, Tree};

/// Two signed trees that cannot belong to one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    older: Vec<u8>,
    newer: Vec<u8>,
    finding: Finding,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// As many records, another root.
    EqualSize,
    /// The newer tree begins with other records; the hashes are RFC 6962's consistency proof of that beginning.
    Timelines { prefix: Tree, newer: Tree, proof: Vec<Hash> },
    /// The tiles that came belong to neither tree, so that nothing could be compared.
    Unproven,
}

impl Fork {
    pub(super) fn of_equal_size(known: &Head, other: &Head) -> Fork {
        Fork { older: known.note().to_vec(), newer: other.note().to_vec(), finding: Finding::EqualSize }
    }

    pub(super) fn of_timelines(older: &Head, newer: &Head, prefix: Tree, proof: Vec<Hash>) -> Fork {
        let finding = Finding::Timelines { prefix, newer: *newer.tree(), proof };
        Fork { older: older.note().to_vec(), newer: newer.note().to_vec(), finding }
    }

    pub(super) fn unproven(older: &Head, newer: &Head) -> Fork {
        Fork { older: older.note().to_vec(), newer: newer.note().to_vec(), finding: Finding::Unproven }
    }
}

/// Prints the evidence, for a person to send to whoever runs the database.
impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |note: &[u8]| String::from_utf8_lossy(note).lines().map(|line| format!("    {line}\n")).collect();
        let (older, newer): (String, String) = (quoted(&self.older), quoted(&self.newer));
        writeln!(f, "SECURITY: a checksum database contradicts itself.\n")?;
        writeln!(f, "Older signed tree head:\n\n{older}\nNewer signed tree head:\n\n{newer}")?;
        match &self.finding {
            Finding::EqualSize => writeln!(f, "Both have the same number of records, and different roots."),
            Finding::Timelines { prefix, newer, proof } => {
                writeln!(
                    f,
                    "The first {} of the {} records of the newer tree have this root:",
                    prefix.size, newer.size
                )?;
                writeln!(f, "\n    {}\n", prefix.root)?;
                writeln!(f, "Proof of that (RFC 6962, section 2.1.2):\n")?;
                proof.iter().try_for_each(|hash| writeln!(f, "    {hash}"))
            }
            Finding::Unproven => {
                writeln!(
                    f,
                    "The tiles that were served do not belong to the newer tree; the two could not be compared."
                )
            }
        }
    }
}
