//! Writes and takes away pins: the text of `.go-version`, the line of `.tool-versions`. Text in, text out.
//! Leaves out go.mod, which a Go edits, and overrides, which the engine keeps.

use govern_core::spec::Spec;

/// A wish as a file holds it: one word, without `go` in front, because other tools read it too.
pub(crate) fn written(spec: &Spec) -> String {
    spec.to_string().split_whitespace().collect()
}

/// A wish as it is pasted behind `govern install`.
pub(crate) fn pasted(spec: &Spec) -> String {
    let text = written(spec);
    if text.contains(['<', '>', '~', '^', '*']) { format!("'{text}'") } else { text }
}

/// A `.tool-versions` with `spec` for Go. All other lines stay as they are, and so do comments.
pub(crate) fn with_tool(text: &str, spec: &str) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    match lines.iter_mut().find(|line| is_go(line)) {
        Some(line) => *line = with_version(line, spec),
        None => {
            let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            lines.push(format!("{newline}golang {spec}\n"));
        }
    }
    lines.concat()
}

/// One line with another version in it: the gap before it, the comment and the line's end stay.
fn with_version(line: &str, spec: &str) -> String {
    let words = line.split(['#', '\n', '\r']).next().unwrap_or_default();
    let name = words.find(|c: char| !c.is_whitespace() && c != '\u{feff}').unwrap_or_default();
    let gap = words[name..].find(char::is_whitespace).map_or(words.len(), |at| name + at);
    match words[gap..].find(|c: char| !c.is_whitespace()).map(|at| gap + at) {
        Some(version) => format!("{}{spec}{}", &line[..version], &line[words.trim_end().len()..]),
        None => format!("{} {spec}{}", &line[..gap], &line[gap..]),
    }
}

/// A `.tool-versions` without its line for Go; `None` when nothing is left of it.
pub(crate) fn without_tool(text: &str) -> Option<String> {
    let mut is_gone = false;
    let rest: String = text
        .split_inclusive('\n')
        .filter(|line| {
            let goes = !is_gone && is_go(line);
            is_gone |= goes;
            !goes
        })
        .collect();
    (!rest.trim().is_empty()).then_some(rest)
}

/// The line that `pinfile::tool_versions` reads.
fn is_go(line: &str) -> bool {
    let words = line.split('#').next().unwrap_or_default().trim_start_matches('\u{feff}');
    matches!(words.split_whitespace().next(), Some("golang" | "go"))
}

#[cfg(test)]
mod tests {
    use govern_core::pinfile::{Wish, tool_versions};
    use govern_core::spec::Spec;

    use super::{with_tool, without_tool, written};

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
    fn only_the_line_for_go_changes() {
        let check = |before: &str, expect: &str| {
            let after = with_tool(before, "1.26.4");
            assert_eq!(after, expect, "{before:?}");
            let entries = tool_versions(after.as_bytes());
            assert!(matches!(&entries[0].wish, Ok(Wish::Spec(spec)) if spec.to_string() == "1.26.4"), "{after:?}");
        };
        check("", "golang 1.26.4\n");
        check("nodejs 20\n", "nodejs 20\ngolang 1.26.4\n");
        check("nodejs 20", "nodejs 20\ngolang 1.26.4\n");
        check("# tools\nnodejs 20\ngolang 1.22.4\nruby 3\n", "# tools\nnodejs 20\ngolang 1.26.4\nruby 3\n");
        check("golang   1.22.4   # because\nruby   3\n", "golang   1.26.4   # because\nruby   3\n");
        check("go\t1.22.4 1.21.13 system\r\nruby 3\r\n", "go\t1.26.4\r\nruby 3\r\n");
        check("golang 1.22.4", "golang 1.26.4");
        check("golang\n", "golang 1.26.4\n");
        check("golangci-lint 1.60\n", "golangci-lint 1.60\ngolang 1.26.4\n");
        check("#golang 1.1\n", "#golang 1.1\ngolang 1.26.4\n");
        check("\u{feff}golang 1.22\n", "\u{feff}golang 1.26.4\n");
        check("golang 1.22\ngo 1.20\n", "golang 1.26.4\ngo 1.20\n");
    }

    #[test]
    fn the_line_for_go_is_taken_away_and_an_empty_file_with_it() {
        let check =
            |before: &str, expect: Option<&str>| assert_eq!(without_tool(before).as_deref(), expect, "{before:?}");
        check("golang 1.22\n", None);
        check("nodejs 20\ngolang 1.22 # x\nruby 3", Some("nodejs 20\nruby 3"));
        check("# why\ngolang 1.22\n", Some("# why\n"));
        check("nodejs 20\n", Some("nodejs 20\n"));
    }
}
