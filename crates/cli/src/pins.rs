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

/// A `.go-version` with `spec` and no other wish. Comments and empty lines stay as they are, and so does the way lines
/// end.
pub(crate) fn with_wish(text: &str, spec: &str) -> String {
    let mut is_written = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match wish(line) {
            None => lines.push(line.to_owned()),
            Some(found) if !is_written => {
                lines.push(format!("{}{spec}{}", &line[..found.start], &line[found.end..]));
                is_written = true;
            }
            // A second choice is part of the wish that is replaced; what somebody noted beside it is not.
            Some(found) => lines.extend(comment(&line[found.end..])),
        }
    }
    if !is_written {
        append(text, spec, &mut lines);
    }
    lines.concat()
}

/// A `.go-version` without its wishes; `None` when nothing is left of it.
pub(crate) fn without_wish(text: &str) -> Option<String> {
    let kept = |line: &str| match wish(line) {
        None => Some(line.to_owned()),
        Some(found) => comment(&line[found.end..]),
    };
    let rest: String = text.split_inclusive('\n').filter_map(kept).collect();
    (!rest.trim_matches(is_blank).is_empty()).then_some(rest)
}

/// Where a line's wish stands: all words before a comment, which is how `pinfile::go_version` reads ranges.
fn wish(line: &str) -> Option<std::ops::Range<usize>> {
    let words = line.split('#').next().unwrap_or_default();
    let start = words.find(|c: char| !is_blank(c))?;
    Some(start..words.trim_end().len())
}

/// The comment at the end of a line whose words go.
fn comment(rest: &str) -> Option<String> {
    rest.contains('#').then(|| rest.trim_start().to_owned())
}

/// Puts a new line at the end, which ends as the others do.
fn append(text: &str, line: &str, lines: &mut Vec<String>) {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let open = if text.is_empty() || text.ends_with('\n') || text == "\u{feff}" { "" } else { end };
    lines.push(format!("{open}{line}{end}"));
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// A `.tool-versions` with `spec` for Go. All other lines stay as they are, and so do comments. Where there are lines both
/// for `golang` and `go`, all of them change: asdf reads one name and mise both.
pub(crate) fn with_tool(text: &str, spec: &str) -> String {
    let change = |line: &str| if is_go(line) { with_version(line, spec) } else { line.to_owned() };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(change).collect();
    if !text.split_inclusive('\n').any(is_go) {
        append(text, &format!("golang {spec}"), &mut lines);
    }
    lines.concat()
}

/// One line with another version in it: the comment and the line's end stay, and the gap before the version, unless it
/// has a tab in it. asdf splits at blanks only.
fn with_version(line: &str, spec: &str) -> String {
    let words = line.split(['#', '\n', '\r']).next().unwrap_or_default();
    let name = words.find(|c: char| !is_blank(c)).unwrap_or_default();
    let gap = words[name..].find(char::is_whitespace).map_or(words.len(), |at| name + at);
    match words[gap..].find(|c: char| !c.is_whitespace()).map(|at| gap + at) {
        Some(version) => {
            let blanks = if words[gap..version].contains('\t') { " " } else { &words[gap..version] };
            format!("{}{blanks}{spec}{}", &line[..gap], &line[words.trim_end().len()..])
        }
        None => format!("{} {spec}{}", &line[..gap], &line[gap..]),
    }
}

/// A `.tool-versions` without its lines for Go; `None` when nothing is left of it.
pub(crate) fn without_tool(text: &str) -> Option<String> {
    let rest: String = text.split_inclusive('\n').filter(|line| !is_go(line)).collect();
    (!rest.trim_matches(is_blank).is_empty()).then_some(rest)
}

/// A line that `pinfile::tool_versions` reads.
fn is_go(line: &str) -> bool {
    let words = line.split('#').next().unwrap_or_default().trim_start_matches('\u{feff}');
    let name = words.split_whitespace().next().map(|name| name.strip_suffix(':').unwrap_or(name));
    matches!(name, Some("golang" | "go"))
}

#[cfg(test)]
mod tests;
