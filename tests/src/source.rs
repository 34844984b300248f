//! Rust source with its comments and literals blanked out, so that a rule about code does not trip over prose.
//! Not a parser: it knows where comments, strings and characters begin and end, and nothing else.

/// Replaces everything inside comments, strings and characters by blanks. Lines and columns stay where they are.
#[must_use]
pub fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Whole characters were blanked, byte by byte: what is left is what was there.
    String::from_utf8(out).unwrap_or_default()
}

/// The code that is shipped: [`code`] up to the `#[cfg(test)]` of the test module, which stands last.
#[must_use]
pub fn shipped(source: &str) -> String {
    let mut code = code(source);
    for attribute in ["#[cfg(test)]\nmod ", "#[cfg(all(test, "] {
        if let Some(end) = code.find(attribute) {
            code.truncate(end);
        }
    }
    code
}

/// The lines (counted from 1) of `code` that hold `word` as a whole word; `word` may hold `::` and `!`.
pub fn lines_with<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let holds = move |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
            !is_part(before) && (!is_part(after) || word.ends_with('!'))
        })
    };
    code.lines().enumerate().filter(move |(_, line)| holds(line)).map(|(number, _)| number + 1)
}

/// The end of the comment or literal that begins at `at`, or `at` when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let is_inside_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + comment_len(rest),
        [b'"', ..] => at + quoted_len(rest),
        [b'r' | b'b' | b'c', ..] if !is_inside_name => {
            let prefix = rest.iter().take(2).take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
            let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
            let is_raw = rest[..prefix].contains(&b'r');
            match rest.get(prefix + hashes) {
                Some(b'"') if is_raw => at + prefix + raw_len(&rest[prefix..], hashes),
                Some(b'"') if hashes == 0 => at + prefix + quoted_len(&rest[prefix..]),
                _ => at,
            }
        }
        // A character, not a lifetime: a lifetime has no second quote so near.
        [b'\'', b'\\', ..] => at + 3 + rest[3..].iter().position(|byte| *byte == b'\'').map_or(0, |len| len + 1),
        [b'\'', first, ..] => {
            let len = match first {
                0x00..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if rest.get(1 + len) == Some(&b'\'') { at + len + 2 } else { at }
        }
        _ => at,
    }
}

fn comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_len(rest: &[u8], hashes: usize) -> usize {
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = hashes + 1;
    rest[body..].windows(end.len()).position(|window| window == end).map_or(rest.len(), |at| body + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::{code, lines_with, shipped};

    #[test]
    fn comments_and_literals_become_blanks_and_code_stays() {
        let check = |source: &str, expect: &str| {
            let found = code(source);
            assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), expect, "{source}");
            assert_eq!((found.len(), found.lines().count()), (source.len(), source.lines().count()), "{source}");
        };
        check("a // unsafe\nb", "a b");
        check("a /* x /* y */\n z */ b", "a b");
        check(r#"f("un\"safe") + 1"#, "f( ) + 1");
        check(r##"r#"a " b"# c"##, "c");
        check(r#"br"a" b"c" c"d" e"#, "e");
        check("rb'x' bar", "rb bar");
        check(r"'\'' '\\' 'a' '\u{1f}' 'ä' b", "b");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("for r in br#x", "for r in br#x");
    }

    #[test]
    fn only_what_is_shipped_counts() {
        assert_eq!(shipped("a\n#[cfg(test)]\nmod tests { b }\n"), "a\n");
        assert_eq!(shipped("a\n#[cfg(test)]\nuse b;\nc\n"), "a\n#[cfg(test)]\nuse b;\nc\n");
    }

    #[test]
    fn words_are_whole() {
        let find = |code: &str, word: &str| lines_with(code, word).collect::<Vec<_>>();
        assert_eq!(find("x\nstd::env::var(a)\nenv::vars()", "env::var"), [2]);
        assert_eq!(find("println!(a)\neprintln!(b)", "println!"), [1]);
        assert_eq!(find("unsafe_pins\nunsafe {", "unsafe"), [2]);
    }
}
