//! What is written is what other tools read. Their grammars stand here as oracles, from their own sources (goenv 2
//! `goenv-version-file-read`, goenv 3 `internal/manager/version.go`, asdf `internal/toolversions`, mise's idiomatic files
//! and `.tool-versions`, setup-go `src/installer.ts`).

use govern_core::pinfile::{Wish, go_version, tool_versions};
use govern_core::spec::Spec;

use super::{with_tool, with_wish, without_tool, without_wish, written};

/// goenv 2: the first word of every line that is no comment, unless it looks like a path.
fn goenv_2(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let words = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.contains("..") && !word.contains('/')).map(str::to_owned).collect()
}

/// goenv 3: whole lines without a blank in them.
fn goenv_3(text: &str) -> Vec<String> {
    let is_word = |line: &&str| {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '\\';
        !line.is_empty()
            && line.len() <= 255
            && !line.contains(is_odd)
            && !line.contains("..")
            && !line.starts_with('.')
    };
    text.lines().map(str::trim).filter(is_word).map(str::to_owned).collect()
}

/// mise: comments go, and what is left is one word; a `v` in front is dropped.
fn mise(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    vec![text.trim().trim_start_matches('v').to_owned()]
}

/// setup-go, and asdf's plugin: the whole file.
fn whole(text: &str) -> Vec<String> {
    vec![text.trim().to_owned()]
}

/// asdf's own file: cut at `#`, split at blanks and nothing else; the plugin is called `golang`.
fn asdf_tools(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end());
    let split = lines.map(|line| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    let line = split.into_iter().find(|words| words.first() == Some(&"golang"));
    line.unwrap_or_default().iter().skip(1).map(ToString::to_string).collect()
}

/// mise and goenv 3: any white space, and both names.
fn mise_tools(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut split = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_go = |words: &Vec<&str>| matches!(words.first().map(|n| n.trim_end_matches(':')), Some("go" | "golang"));
    split.find(is_go).unwrap_or_default().iter().skip(1).map(ToString::to_string).collect()
}

/// setup-go: `^golang\s+([^\n#]+)`, trimmed.
fn setup_go_tools(text: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with("golang ") || line.starts_with("golang\t"));
    let rest = line.map(|line| line["golang".len()..].split('#').next().unwrap_or_default().trim().to_owned());
    rest.into_iter().collect()
}

#[test]
fn a_wish_is_written_so_that_it_is_read_back() {
    let check = |typed: &str, expect: &str| {
        let spec = Spec::parse(typed).unwrap();
        assert_eq!(written(&spec), expect);
        assert_eq!(Spec::parse(expect).unwrap(), spec);
    };
    check("1.22", "1.22");
    check("go1.22.4", "1.22.4");
    check("v1.28rc1", "1.28rc1");
    check("1.20.0", "1.20.0");
    check("1.20", "1.20");
    check("1.21.0", "1.21.0");
    check("latest", "latest");
    check(">=1.25, <1.27", ">=1.25,<1.27");
}

#[test]
fn every_tool_reads_a_new_file() {
    for typed in ["1.26.4", "go1.22.4", "1.28rc1", "1.20.0", "1.26"] {
        let word = written(&Spec::parse(typed).unwrap());
        let file = with_wish("", &word);
        for reader in [goenv_2, goenv_3, mise, whole] {
            assert_eq!(reader(&file), [word.as_str()], "{file:?}");
        }
        let file = with_tool("", &word);
        for reader in [asdf_tools, mise_tools, setup_go_tools] {
            assert_eq!(reader(&file), [word.as_str()], "{file:?}");
        }
    }
}

#[test]
fn only_the_wish_of_a_go_version_file_changes() {
    let check = |before: &str, expect: &str| {
        let after = with_wish(before, "1.26.4");
        assert_eq!(after, expect, "{before:?}");
        let entries = go_version(after.as_bytes());
        assert!(matches!(&entries[..], [one] if one.word == "1.26.4"), "{after:?}");
        assert_eq!(
            (goenv_2(&after), mise(&after.replace('\u{feff}', ""))),
            (vec!["1.26.4".to_owned()], vec!["1.26.4".to_owned()])
        );
    };
    check("1.22.4\n", "1.26.4\n");
    check("1.22.4", "1.26.4");
    check("go1.22.4\r\n", "1.26.4\r\n");
    check("# why\n\n1.22.4 # because\n1.21.13\n", "# why\n\n1.26.4 # because\n");
    check("1.22.4\r\n# why\r\n1.21.13 # old\r\n", "1.26.4\r\n# why\r\n# old\r\n");
    check(">=1.25, <1.27 # both\n", "1.26.4 # both\n");
    check("# nothing\r\n", "# nothing\r\n1.26.4\r\n");
    check("# nothing", "# nothing\n1.26.4\n");
    check("../../evil\n", "1.26.4\n");
    check("\n", "\n1.26.4\n");
}

#[test]
fn a_byte_order_mark_stays_at_the_front() {
    assert_eq!(with_wish("\u{feff}1.22.4\n", "1.26"), "\u{feff}1.26\n");
    assert_eq!(with_wish("\u{feff}", "1.26"), "\u{feff}1.26\n");
    assert_eq!(without_wish("\u{feff}1.22\n"), None);
    assert_eq!(without_tool("\u{feff}go 1.22\n"), None);
}

#[test]
fn the_wish_is_taken_away_and_an_empty_file_with_it() {
    let check = |before: &str, expect: Option<&str>| assert_eq!(without_wish(before).as_deref(), expect, "{before:?}");
    check("1.22\n", None);
    check("1.22\n1.21\n\n", None);
    check("# why\r\n1.22 # x\r\n", Some("# why\r\n# x\r\n"));
}

#[test]
fn only_the_lines_for_go_change() {
    let check = |before: &str, expect: &str| {
        let after = with_tool(before, "1.26.4");
        assert_eq!(after, expect, "{before:?}");
        let entries = tool_versions(after.as_bytes());
        assert!(matches!(&entries[0].wish, Ok(Wish::Spec(spec)) if spec.to_string() == "1.26.4"), "{after:?}");
        assert_eq!(mise_tools(&after.replace('\u{feff}', "")), ["1.26.4"], "{after:?}");
        // Who has lines for `go` alone has no asdf.
        if after.contains("golang ") && !before.contains('\u{feff}') {
            assert_eq!((asdf_tools(&after), setup_go_tools(&after)), (vec!["1.26.4".into()], vec!["1.26.4".into()]));
        }
    };
    check("", "golang 1.26.4\n");
    check("nodejs 20\n", "nodejs 20\ngolang 1.26.4\n");
    check("nodejs 20", "nodejs 20\ngolang 1.26.4\n");
    check("nodejs 20\r\n", "nodejs 20\r\ngolang 1.26.4\r\n");
    check("# tools\nnodejs 20\ngolang 1.22.4\nruby 3\n", "# tools\nnodejs 20\ngolang 1.26.4\nruby 3\n");
    check("golang   1.22.4   # because\nruby   3\n", "golang   1.26.4   # because\nruby   3\n");
    check("go 1.22.4 1.21.13 system\r\nruby 3\r\n", "go 1.26.4\r\nruby 3\r\n");
    check("golang\t1.22.4\nruby\t3\n", "golang 1.26.4\nruby\t3\n");
    check("golang 1.22.4", "golang 1.26.4");
    check("golang\n", "golang 1.26.4\n");
    check("golangci-lint 1.60\n", "golangci-lint 1.60\ngolang 1.26.4\n");
    check("#golang 1.1\n", "#golang 1.1\ngolang 1.26.4\n");
    check("\u{feff}golang 1.22\n", "\u{feff}golang 1.26.4\n");
    check("go 1.20\ngolang 1.22\n", "go 1.26.4\ngolang 1.26.4\n");
    check("go: 1.20\n", "go: 1.26.4\n");
}

#[test]
fn the_lines_for_go_are_taken_away_and_an_empty_file_with_them() {
    let check = |before: &str, expect: Option<&str>| assert_eq!(without_tool(before).as_deref(), expect, "{before:?}");
    check("golang 1.22\n", None);
    check("nodejs 20\ngolang 1.22 # x\nruby 3", Some("nodejs 20\nruby 3"));
    check("# why\ngolang 1.22\n", Some("# why\n"));
    check("golang 1.22\nnodejs 20\ngo 1.20\n", Some("nodejs 20\n"));
    check("nodejs 20\n", Some("nodejs 20\n"));
}
