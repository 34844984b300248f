//! Names of files inside an SDK: what `module.CheckFilePath` admits (go-semantics C.5), and somewhat less.
//! Leaves out how names of one archive go together; that is `plan`.

use crate::refusal::NameFault;

/// The longest element of a path, as file systems have it.
const MAX_ELEMENT: usize = 255;
/// The longest path. `PATH_MAX` is 1,024 on macOS, so that a longer one could be written there and never opened.
const MAX_PATH: usize = 1024;
/// The most elements of a path; real SDKs have 14.
const MAX_DEPTH: usize = 64;

/// Names that Windows keeps for devices, whatever follows a dot.
const DEVICES: &[&str] = &[
    "con", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4",
    "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "prn", "aux", "nul",
];

/// Reads a slash-separated relative name that is safe to create below a directory.
pub(crate) fn parse(name: &[u8]) -> Result<&str, NameFault> {
    if name.first() == Some(&b'/') {
        return Err(NameFault::Absolute);
    }
    if name.contains(&0) {
        return Err(NameFault::Nul);
    }
    if name.contains(&b'\\') {
        return Err(NameFault::Backslash);
    }
    if name.len() > MAX_PATH {
        return Err(NameFault::TooLong);
    }
    let name = std::str::from_utf8(name).map_err(|_| NameFault::NotUtf8)?;
    if name.split('/').count() > MAX_DEPTH {
        return Err(NameFault::TooDeep);
    }
    name.split('/').try_for_each(check_element)?;
    Ok(name)
}

fn check_element(element: &str) -> Result<(), NameFault> {
    if element.is_empty() {
        return Err(NameFault::Empty);
    }
    if element.len() > MAX_ELEMENT {
        return Err(NameFault::TooLong);
    }
    if element.bytes().all(|b| b == b'.') {
        return Err(NameFault::Dots);
    }
    if element.ends_with(['.', ' ']) || element.starts_with(' ') {
        return Err(NameFault::Edge);
    }
    if let Some(c) = element.chars().find(|c| !is_allowed(*c)) {
        return Err(NameFault::Character(c));
    }
    let stem = element.split('.').next().unwrap_or(element);
    if DEVICES.iter().any(|device| device.eq_ignore_ascii_case(stem)) {
        return Err(NameFault::Device(stem.to_owned()));
    }
    Ok(())
}

/// Go admits all letters of Unicode. Here only blocks whose letters are their own composed form (NFC), so that no
/// two names differ in their bytes and are one name to macOS: combining marks, the Angstrom sign, compatibility
/// ideographs and conjoining Jamo stay out. SDKs have one such name so far, `test/fixedbugs/issue27836.dir/Þfoo.go`.
fn is_allowed(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '(' | ')' | '+' | ',' | '-' | '.' | '=' | '@' | '[' | ']' | '^' | '_' | '{'
        | '}' | '~' | ' ' => true,
        '\u{c0}'..='\u{24f}' | '\u{388}'..='\u{3ff}' | '\u{400}'..='\u{481}' | '\u{48a}'..='\u{52f}' => {
            c.is_alphabetic()
        }
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => true,
        _ => false,
    }
}

/// What is equal for two names that a case-insensitive file system takes for one.
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // Up and down again: lower case alone would keep the two small sigmas and the long s apart.
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{fold, parse};
    use crate::refusal::NameFault;

    #[test]
    fn names_of_real_sdks_are_admitted() {
        for name in [
            "go/VERSION",
            "go/src/cmd/go/testdata/mod/example.com_dotname_v1.0.0.txt",
            "go/test/fixedbugs/issue27836.dir/Þfoo.go",
            "golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64/src/_go.mod",
            "go/lib/time/zoneinfo.zip",
            "go/src/.gitattributes",
            "go/a b/日本語.go",
        ] {
            assert_eq!(parse(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_or_mean_two_things_are_refused() {
        let check = |name: &[u8], fault: NameFault| {
            assert_eq!(parse(name), Err(fault), "{}", String::from_utf8_lossy(name));
        };
        check(b"", NameFault::Empty);
        check(b"go//x", NameFault::Empty);
        check(b"go/", NameFault::Empty);
        check(b"/go/x", NameFault::Absolute);
        check(b"go/../x", NameFault::Dots);
        check(b"./go/x", NameFault::Dots);
        check(b"go/.../x", NameFault::Dots);
        check(b"go/x.", NameFault::Edge);
        check(b"go/x ", NameFault::Edge);
        check(b"go/ x", NameFault::Edge);
        check(b"go/x\0y", NameFault::Nul);
        check(b"go\\x", NameFault::Backslash);
        check(b"go/\xff", NameFault::NotUtf8);
        check(b"go/a:b", NameFault::Character(':'));
        check(b"go/a\nb", NameFault::Character('\n'));
        check("go/e\u{301}".as_bytes(), NameFault::Character('\u{301}'));
        check("go/\u{212b}".as_bytes(), NameFault::Character('\u{212b}'));
        check("go/\u{202e}".as_bytes(), NameFault::Character('\u{202e}'));
        check(b"go/AUX.go", NameFault::Device("AUX".to_owned()));
        check(format!("go/{}", "x".repeat(256)).as_bytes(), NameFault::TooLong);
        check("go/".repeat(500).as_bytes(), NameFault::TooLong);
        check("g/".repeat(100).as_bytes(), NameFault::TooDeep);
    }

    #[test]
    fn folding_joins_what_a_case_insensitive_file_system_joins() {
        assert_eq!(fold("FOO"), fold("foo"));
        assert_eq!(fold("ÄÞ"), fold("äþ"));
        assert_eq!(fold("ς"), fold("Σ"));
        assert_ne!(fold("a"), fold("b"));
    }
}
