//! Reads the `go` and `toolchain` lines of a go.mod or go.work as cmd/go does when it selects a toolchain.
//!
//! A deliberately lax scan, the same as `gover.GoModLookup` (`$GOROOT/src/cmd/go/internal/gover/gomod.go`): it knows
//! no blocks, no quotes and no directives, so that a file written for a newer Go can never stop us from finding that
//! Go. Whether the file is right is for the chosen SDK to say.

/// A line that the scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line's number, counted from 1.
    pub number: usize,
    /// What stands behind the key, comment and blanks cut off. May be anything.
    pub value: String,
}

/// Finds the first line that starts with `key` and a blank.
#[must_use]
pub fn scan(text: &[u8], key: &str) -> Option<Line> {
    text.split(|b| *b == b'\n').enumerate().find_map(|(at, line)| {
        let rest = trim(line).strip_prefix(key.as_bytes())?;
        if !matches!(rest.first(), Some(b' ' | b'\t')) {
            return None;
        }
        let end = rest.windows(2).position(|two| two == b"//").unwrap_or(rest.len());
        Some(Line { number: at + 1, value: String::from_utf8_lossy(trim(&rest[..end])).into_owned() })
    })
}

/// Trims what Go's `bytes.TrimSpace` trims at the ends, also beside bytes that are not UTF-8.
fn trim(bytes: &[u8]) -> &[u8] {
    let first = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let bytes = &bytes[first.len() - first.trim_start().len()..];
    let last = bytes.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty()).map_or("", |chunk| chunk.valid());
    &bytes[..bytes.len() - (last.len() - last.trim_end().len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::scan;

    #[test]
    fn lines_are_found_as_cmd_go_finds_them() {
        let check = |text: &str, key: &str, expect: Option<(usize, &str)>| {
            let found = scan(text.as_bytes(), key);
            assert_eq!(found.as_ref().map(|l| (l.number, l.value.as_str())), expect, "{text:?}");
        };
        // go-semantics.md A.3, each observed with a real go.
        check("module m\ngo 1.27.3\n", "go", Some((2, "1.27.3")));
        check("  go\t1.27.3\t//x", "go", Some((1, "1.27.3")));
        check("go 1.26.3\r\n", "go", Some((1, "1.26.3")));
        check("\u{feff}go 1.26.3\n", "go", None);
        check("go 1.20\ngo 1.27.3\n", "go", Some((1, "1.20")));
        check("require (\ngo 1.27.3\n)\n", "go", Some((2, "1.27.3")));
        check("toolchain (\n", "toolchain", Some((1, "(")));
        check("go 1.27.3 foo", "go", Some((1, "1.27.3 foo")));
        check("go \"1.27.3\"", "go", Some((1, "\"1.27.3\"")));
        check("toolchain go1.27.3 // c", "toolchain", Some((1, "go1.27.3")));
        check("toolchain default", "toolchain", Some((1, "default")));
        check("golang 1.2\ngoogle.golang.org/x v1\n", "go", None);
        check("go", "go", None);
        check("", "go", None);
        check("\u{b}\u{c}\u{85}\u{a0}\u{3000}go \t\u{2003}1.27.3\u{2028}\n", "go", Some((1, "1.27.3")));
        check("go 1.27.3 // only \"//\" begins a comment / here", "go", Some((1, "1.27.3")));
        check("go/1.27.3", "go", None);
        check("go\u{a0}1.27.3", "go", None);
        let bytes = scan(b"\x0bgo 1.27.3 //\xff\n", "go").unwrap();
        assert_eq!(bytes.value, "1.27.3", "a blank is a blank beside bytes that are not UTF-8");
        assert_eq!(scan(b"\xffgo 1.27.3", "go"), None);
    }

    proptest! {
        #[test]
        fn no_file_makes_the_scan_panic(text in proptest::collection::vec(any::<u8>(), 0..200), near in "(go|toolchain)[ \t/\u{85}\u{3000}1.x\n]{0,20}") {
            for text in [text.as_slice(), near.as_bytes()] {
                for key in ["go", "toolchain"] {
                    if let Some(line) = scan(text, key) {
                        prop_assert!(!line.value.contains("//") && !line.value.contains('\n'));
                        prop_assert_eq!(line.value.trim(), &line.value);
                    }
                }
            }
        }
    }
}
