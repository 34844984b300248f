//! What can go wrong between a question to a checksum database and its proven answer.

use std::path::PathBuf;

use super::evidence::Fork;
use super::keep::KeepError;

/// Why there is no proven record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not completely. Nothing is known.
    #[error("the checksum database {database} is out of reach: {reason}")]
    OutOfReach {
        /// Its name.
        database: String,
        /// What stood in the way.
        reason: String,
    },
    /// The database has no record of the module. Unproven: whoever sits between may say so.
    #[error("the checksum database {database} has no record of {module} {version}")]
    NotFound {
        /// Its name.
        database: String,
        /// The module.
        module: String,
        /// Its version.
        version: String,
    },
    /// What came is not what an honest database says: stop, and use nothing of it.
    #[error("security: the checksum database {database} cannot be believed{}", named(evidence.as_ref()))]
    Security {
        /// Its name.
        database: String,
        /// What is wrong.
        source: Refusal,
        /// The file that holds both sides of the contradiction, when there are two.
        evidence: Option<PathBuf>,
    },
    /// The tree head kept from earlier answers is damaged. Without it a log that goes back would not be noticed.
    #[error("the tree head of {database} kept in {} is damaged; remove the file to begin anew", path.display())]
    Kept {
        /// The database's name.
        database: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Refusal,
    },
    /// No proof was kept that still holds together.
    #[error("no proof of {module} {version} from {database} is kept: {reason}")]
    NotKept {
        /// The database's name.
        database: String,
        /// The module.
        module: String,
        /// Its version.
        version: String,
        /// What is missing or damaged.
        reason: String,
    },
    /// The module's path or version cannot stand in a question.
    #[error("`{0}` cannot be asked for: it is not a module and version")]
    Name(String),
    /// A file of ours could not be read or written.
    #[error(transparent)]
    Io(#[from] KeepError),
}

impl Error {
    /// True when the database has nothing to say, rather than something that cannot be believed.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Error::NotFound { .. } | Error::OutOfReach { .. })
    }
}

/// Why bytes were not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A signed note breaks the rules of its format.
    #[error("a signed note is malformed: {0}")]
    Note(&'static str),
    /// A signature of the known key that is not one.
    #[error("a signature by {name} is wrong")]
    Signature {
        /// The signer.
        name: String,
    },
    /// The known key did not sign.
    #[error("a note is not signed by {name}")]
    Unsigned {
        /// The signer that was expected.
        name: String,
    },
    /// A signed text is no tree head.
    #[error("a signed note is not a tree head")]
    Tree,
    /// A stored proof breaks the rules of its format.
    #[error("the stored proof is malformed: {0}")]
    Stored(&'static str),
    /// The answer to a lookup breaks the rules of its format.
    #[error("the answer is malformed: {0}")]
    Answer(&'static str),
    /// The record has a number that the signed tree does not reach.
    #[error("the answer is record {id}, but the signed tree has {size}")]
    Beyond {
        /// The record's number.
        id: u64,
        /// The tree's size.
        size: u64,
    },
    /// A tile has another length than its place in the tree demands.
    #[error("{tile} is {got} bytes long, not {expected}")]
    TileLength {
        /// The tile's path.
        tile: String,
        /// The length it must have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// The tiles at the top do not add up to the signed root.
    #[error("the tiles do not belong to the signed tree of {size} records")]
    Root {
        /// The tree's size.
        size: u64,
    },
    /// A tile does not hash to what its parent tile says.
    #[error("{tile} does not belong to the signed tree")]
    Tile {
        /// The tile's path.
        tile: String,
    },
    /// The log has another record at that number.
    #[error("the answer is not record {id} of the log")]
    Record {
        /// The number.
        id: u64,
    },
    /// The record says nothing about the module that was asked for.
    #[error("the record has no line `{module} {version} h1:`")]
    NoLine {
        /// The module.
        module: String,
        /// Its version.
        version: String,
    },
    /// The record has more than one hash for the module.
    #[error("the record has several hashes for {module} {version}")]
    Ambiguous {
        /// The module.
        module: String,
        /// Its version.
        version: String,
    },
    /// The record's hash is not a hash.
    #[error("the record's hash `{0}` is malformed")]
    Hash(String),
    /// Two signed trees of which neither begins with the other.
    #[error("it signed two trees that contradict each other")]
    Fork(Box<Fork>),
}

fn named(evidence: Option<&PathBuf>) -> String {
    evidence.map(|path| format!("; the evidence is in {}", path.display())).unwrap_or_default()
}
