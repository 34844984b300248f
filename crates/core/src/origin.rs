//! Where a wish came from. Every decision and every error about a version carries one.

use std::fmt;
use std::path::PathBuf;

/// The place where somebody said which Go they want.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A word on the command line: `+1.22.4`, or the argument of a verb.
    Flag(String),
    /// The program was called by a launcher's name.
    Launcher(String),
    /// An environment variable, by name.
    Variable(&'static str),
    /// A line of a file; lines count from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An override that govern keeps for a directory.
    Override(PathBuf),
    /// `govern default`.
    Default,
    /// Nobody said anything: the newest release.
    BuiltIn,
    /// A policy of this machine.
    Policy(String),
}

/// Prints the origin as it stands after `wanted by` in a message.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(word) => write!(f, "`{}` on the command line", word.escape_debug()),
            Origin::Launcher(name) => write!(f, "the program name {name}"),
            Origin::Variable(name) => write!(f, "${name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", escaped(path)),
            Origin::Override(dir) => write!(f, "the override for {}", escaped(dir)),
            Origin::Default => f.write_str("govern default"),
            Origin::BuiltIn => f.write_str("nobody: the newest release is the built-in default"),
            Origin::Policy(name) => write!(f, "the policy {name}"),
        }
    }
}

/// A path as it may stand in a message: control and bidirectional characters escaped, letters left alone.
#[must_use]
pub fn escaped(path: &std::path::Path) -> String {
    escaped_text(&path.to_string_lossy())
}

/// A text from outside as it may stand in a message.
#[must_use]
pub fn escaped_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let bidi =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || bidi {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
