//! Reads `.go-version` and `.tool-versions`. A file found by walking up may only name versions: no path, no URL, no
//! command, no template is understood. Leaves out go.mod and go.work (`gomod`) and finding the files (the engine).

use crate::spec::{ParseSpecError, Spec};
use crate::version::Version;

/// The longest pin file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// One thing that a pin file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A Go that govern keeps.
    Spec(Spec),
    /// The word `system`: a Go that is on PATH without govern.
    System,
}

/// One word of a pin file, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line, counted from 1.
    pub line: usize,
    /// The word as it stands there, control characters escaped.
    pub word: String,
    /// What it means, or why it means nothing.
    pub wish: Result<Wish, ParseSpecError>,
}

/// Reads a `.go-version`: the first word of every line that is neither empty nor a comment, or a range up to the
/// line's end.
///
/// Tolerates what goenv, gvm, asdf and their users write: `go`, `v` and `go-` before the number, CRLF, a byte order
/// mark, several lines as a list of preference.
#[must_use]
pub fn go_version(text: &[u8]) -> Vec<Entry> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    lines(text).filter_map(|(line, words)| range(line, &words).or_else(|| Some(entry(line, words.first()?)))).collect()
}

/// Reads the first line for `golang` or `go` of a `.tool-versions`: the words after the name, or a range. mise's
/// `prefix:1.22` is what `1.22` is here.
#[must_use]
pub fn tool_versions(text: &[u8]) -> Vec<Entry> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    lines(text)
        // `golang:` is a spelling that mise tolerates.
        .find(|(_, words)| matches!(words.first().map(|w| w.strip_suffix(b":").unwrap_or(w)), Some(b"golang" | b"go")))
        .map(|(line, words)| match range(line, &words[1..]) {
            Some(range) => vec![range],
            None => words[1..].iter().map(|word| entry(line, word.strip_prefix(b"prefix:").unwrap_or(word))).collect(),
        })
        .unwrap_or_default()
}

/// Words that begin as a range are one wish up to the line's end: half of a range would be another wish.
fn range(line: usize, words: &[&[u8]]) -> Option<Entry> {
    let is_range = b"><=~^".contains(words.first()?.first()?);
    is_range.then(|| entry(line, &words.join(&b' ')))
}

/// Lines with a word in them: their numbers and words, comments cut off.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    text.split(|b| *b == b'\n').enumerate().filter_map(|(at, line)| {
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
        (!words.is_empty()).then_some((at + 1, words))
    })
}

fn entry(line: usize, word: &[u8]) -> Entry {
    let text = String::from_utf8_lossy(&word[..word.len().min(Version::MAX_LEN + 1)]);
    let wish = match text.as_ref() {
        "system" => Ok(Wish::System),
        // The replacement character and anything too long fall through to the parser's refusal.
        text if word.len() > Version::MAX_LEN => Spec::parse(&format!("{text}…")).map(Wish::Spec),
        text => Spec::parse(text).map(Wish::Spec),
    };
    Entry { line, word: crate::origin::escaped_text(&text), wish }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Entry, Wish, go_version, tool_versions};
    use crate::version::Version;

    fn show(entries: &[Entry]) -> String {
        let one = |e: &Entry| match &e.wish {
            Ok(Wish::Spec(spec)) => format!("{}:{spec}", e.line),
            Ok(Wish::System) => format!("{}:system", e.line),
            Err(_) => format!("{}:bad({})", e.line, e.word),
        };
        entries.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn go_version_files_of_all_managers_are_read() {
        let check = |text: &[u8], expect: &str| assert_eq!(show(&go_version(text)), expect, "{text:?}");
        check(b"1.22.4", "1:1.22.4");
        check(b"1.22.4\r\n", "1:1.22.4");
        check(b"\xef\xbb\xbf1.22.4\n", "1:1.22.4");
        check(b"go1.22.4\n", "1:1.22.4");
        check(b"v1.22\n", "1:1.22");
        check(b"go-1.22.4\n", "1:1.22.4");
        check(b"# why\n\n1.22.4 # because\n1.21.13\n", "3:1.22.4 4:1.21.13");
        check(b"system\n", "1:system");
        check(b"1.20.0\n", "1:1.20.0");
        check(b"1.20\n", "1:1.20");
        check(b"1.28rc1\n", "1:1.28rc1");
        check(b">=1.25, <1.27 # both\n1.24.11 1.23.1\n", "1:>=1.25, <1.27 2:1.24.11");
        check(b">=1.25 <1.27\n", "1:>=1.25, <1.27");
        check(b"< 1.27\n", "1:<1.27");
        check(b"~1.25, >1.25.3\n", "1:~1.25, >1.25.3");
        check(b"\n# none\n\r\n>=1.25,<1.27", "4:>=1.25, <1.27");
        check(b"", "");
        check(b"   \n\t\n", "");
    }

    #[test]
    fn hostile_go_version_files_name_nothing() {
        let check = |text: &[u8]| {
            let entries = go_version(text);
            assert!(entries.iter().all(|e| e.wish.is_err()), "{text:?} gave {entries:?}");
            assert!(entries.iter().all(|e| !e.word.contains(|c: char| c.is_control())), "{entries:?}");
        };
        check(b"../../evil");
        check(b"/etc/passwd");
        check(b"1.22$(id)");
        check(b"go1.22;rm");
        check(b"-v");
        check(b"1.22.4\0");
        check(b"\x1b[31m1.22");
        check(b"\xff\xfe1.22");
        check(b"1.22.4\xe2\x80\xae");
        check(&[b'1'; 4096]);
        check(b"1.22.x.1");
        check(b">=1.25, evil");
        check(b">=1.25, <1.27 /etc/passwd");
        check(
            &[b">=1.25, ".as_slice(), &[b' '; 64], b"<1.27, <1.28, <1.29, <1.30, <1.31, <1.32, <1.33, <1.34, <1.35"]
                .concat(),
        );
        check(b"go 1.22.4");
        check(b"path:/tmp/go");
        check(b"https://example.com/go");
    }

    #[test]
    fn tool_versions_files_are_read() {
        let check = |text: &[u8], expect: &str| assert_eq!(show(&tool_versions(text)), expect, "{text:?}");
        check(b"nodejs 20\ngolang 1.22.4\n", "2:1.22.4");
        check(b"golang\t1.22.4\n", "1:1.22.4");
        check(b"go 1.22.4 1.21.13 system # c\ngolang 1.20\n", "1:1.22.4 1:1.21.13 1:system");
        check(b"golang ref:master 1.22.4\n", "1:bad(ref:master) 1:1.22.4");
        check(b"golangci-lint 1.60\n", "");
        check(b"golang >=1.25, <1.27\n", "1:>=1.25, <1.27");
        check(b"golang >=1.25 1.24.11\n", "1:bad(>=1.25 1.24.11)");
        check(b"golang 1.24.11 >=1.25\n", "1:1.24.11 1:>=1.25");
        check(b"golang\n", "");
        check(b"golang: 1.22.4\n", "1:1.22.4");
        check(b"go prefix:1.20\n", "1:1.20");
        check(b"golang path:/tmp/go prefix:../x\n", "1:bad(path:/tmp/go) 1:bad(../x)");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_readers_panic_or_yields_more_than_short_words(
            text in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "(golang |go )?[0-9a-z.>=<, #\n\r\x1b\u{202e}\u{e9}-]{0,200}".prop_map(String::into_bytes),
            ],
        ) {
            for entry in go_version(&text).into_iter().chain(tool_versions(&text)) {
                prop_assert!(entry.line <= 1 + text.iter().filter(|b| **b == b'\n').count());
                prop_assert!(!entry.word.contains(char::is_control));
                if let Ok(Wish::Spec(spec)) = entry.wish {
                    prop_assert!(entry.word.len() <= Version::MAX_LEN, "{spec} from {}", entry.word);
                }
            }
        }
    }
}
