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

impl Origin {
    /// True when both are lines of files in one directory.
    #[must_use]
    pub fn is_beside(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::File { path, .. }, Origin::File { path: other, .. }) => path.parent() == other.parent(),
            _ => false,
        }
    }
}

/// Prints the origin as it stands after `wanted by` in a message.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(word) => write!(f, "`{}` on the command line", escaped_text(word)),
            Origin::Launcher(name) => write!(f, "the program name {name}"),
            Origin::Variable(name) => write!(f, "${name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", escaped(path)),
            Origin::Override(dir) => write!(f, "the override for {}", escaped(dir)),
            Origin::Default => f.write_str("govern default"),
            Origin::BuiltIn => f.write_str("govern's own default, the newest release"),
            Origin::Policy(name) => write!(f, "the policy {}", escaped_text(name)),
        }
    }
}

/// A path as it may stand in a message: control and bidirectional characters escaped, letters left alone.
#[must_use]
pub fn escaped(path: &std::path::Path) -> String {
    escaped_text(&path.to_string_lossy())
}

/// A text from outside as it may stand in a message: on one line, in the order in which it is written.
#[must_use]
pub fn escaped_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that turn the direction, break the line or are not seen at all.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::{Origin, escaped, escaped_text};

    #[test]
    fn an_origin_reads_on_after_wanted_by() {
        let check = |origin: Origin, expect: &str| assert_eq!(origin.to_string(), expect);
        check(Origin::Flag("+1.22.4".to_owned()), "`+1.22.4` on the command line");
        check(Origin::Flag("+1\x1b[2J`\n".to_owned()), "`+1\\u{1b}[2J`\\n` on the command line");
        check(Origin::Launcher("go1.22.4".to_owned()), "the program name go1.22.4");
        check(Origin::Variable("GOTOOLCHAIN"), "$GOTOOLCHAIN");
        check(Origin::File { path: PathBuf::from("/p/.go-version"), line: 3 }, "/p/.go-version:3");
        check(Origin::File { path: PathBuf::from("/p\n/\u{202e}x"), line: 1 }, "/p\\n/\\u{202e}x:1");
        check(Origin::Override(PathBuf::from("/p q")), "the override for /p q");
        check(Origin::Default, "govern default");
        check(Origin::BuiltIn, "govern's own default, the newest release");
        check(Origin::Policy("require_log".to_owned()), "the policy require_log");
    }

    #[test]
    fn what_would_deceive_in_a_message_is_escaped() {
        let check = |text: &str, expect: &str| assert_eq!(escaped_text(text), expect);
        check("/home/j\u{f6}rg/\u{65e5}\u{672c} '\"\\", "/home/j\u{f6}rg/\u{65e5}\u{672c} '\"\\");
        check("\x1b]0;x\x07", "\\u{1b}]0;x\\u{7}");
        check("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}");
        check("\u{9b}31m", "\\u{9b}31m");
        check("\u{202e}gpj.exe", "\\u{202e}gpj.exe");
        check("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}");
        check("\u{61c}a\u{200f}", "\\u{61c}a\\u{200f}");
        check("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}");
        check("go\u{200b}od\u{ad}\u{feff}\u{e0041}", "go\\u{200b}od\\u{ad}\\u{feff}\\u{e0041}");
    }

    #[test]
    fn a_path_that_is_no_text_is_shown_as_far_as_it_is_one() {
        assert_eq!(escaped(Path::new(OsStr::from_bytes(b"/p/\xff\x1b/q"))), "/p/\u{fffd}\\u{1b}/q");
    }

    proptest! {
        #[test]
        fn a_message_stays_on_its_line(text in any::<String>()) {
            let shown = escaped_text(&text);
            prop_assert!(!shown.contains(char::is_control), "{shown:?}");
            prop_assert_eq!(&escaped_text(&shown), &shown);
            prop_assert!(!Origin::Flag(text).to_string().contains(char::is_control));
        }
    }
}
