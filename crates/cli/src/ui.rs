//! The only place that prints. The answer goes to stdout, talk goes to stderr; nothing is told by colour alone.
//! Leaves out the bars of a running change (`progress`) and how values become words (`text`).

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::builder::StyledStr;
use govern_core::problem::{Code, Report};
use govern_core::spec::ParseSpecError;
use serde::Serialize;

use crate::args::Colour;
use crate::world::World;

/// The terminal, or whatever stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    /// Colour on stdout, and on stderr.
    out: Paint,
    err: Paint,
    /// Errors only.
    pub(crate) is_quiet: bool,
    /// Details too.
    pub(crate) is_verbose: bool,
    /// Somebody looks at stderr: bars may move, notes may be taken.
    pub(crate) is_watched: bool,
}

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Bare text.
    Plain,
    /// With escape sequences.
    Coloured,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const DONE: Style = AnsiColor::Green.on_default().bold();
const STRONG: Style = Style::new().bold();

impl Paint {
    fn on(self, style: Style, words: &str) -> String {
        match self {
            Paint::Plain => words.to_owned(),
            Paint::Coloured => format!("{style}{words}{style:#}"),
        }
    }

    /// A text of clap's, with or without its colours.
    pub(crate) fn styled(self, text: &StyledStr) -> String {
        match self {
            Paint::Plain => text.to_string(),
            Paint::Coloured => text.ansi().to_string(),
        }
    }

    /// Makes words stand out.
    pub(crate) fn strong(self, words: &str) -> String {
        self.on(STRONG, words)
    }
}

impl Ui {
    /// The terminal as the command line and the environment wish it.
    pub(crate) fn new(world: &World, colour: Colour, is_quiet: bool, is_verbose: bool) -> Ui {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let paint = |is_terminal: bool| {
            let coloured = match colour {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto if world.terminal.is_colour_forced => true,
                Colour::Auto => is_terminal && !world.terminal.is_plain,
            };
            if coloured { Paint::Coloured } else { Paint::Plain }
        };
        Ui { out: paint(out), err: paint(err), is_quiet, is_verbose, is_watched: err }
    }

    /// The terminal as a shim has it: no flag was read, because every argument belongs to Go. Editors take whatever Go
    /// says on stderr for a failure, so that nothing is said where nobody looks.
    pub(crate) fn of_shim(world: &World) -> Ui {
        let ui = Ui::new(world, Colour::Auto, false, false);
        Ui { is_quiet: !ui.is_watched, ..ui }
    }

    /// Nobody looks.
    #[cfg(test)]
    pub(crate) fn silent() -> Ui {
        Ui { out: Paint::Plain, err: Paint::Plain, is_quiet: true, is_verbose: false, is_watched: false }
    }

    /// How stdout is painted.
    pub(crate) fn paint(&self) -> Paint {
        self.out
    }

    /// Prints the answer, with a newline at its end.
    pub(crate) fn answer(&self, text: &str) -> Result<(), Report> {
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.stream(format!("{text}{newline}").as_bytes()).map(drop)
    }

    /// Prints a path, byte for byte.
    pub(crate) fn path(&self, path: &Path) -> Result<(), Report> {
        self.stream(&[path.as_os_str().as_bytes(), b"\n"].concat()).map(drop)
    }

    /// Prints a part of an answer that goes on. False when nobody reads it any more.
    ///
    /// A reader that has gone (`| head`) is none of our business; a full disk is.
    pub(crate) fn stream(&self, bytes: &[u8]) -> Result<bool, Report> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(e) => Err(Report::new(Code::Failure, "cannot write to stdout").cause(e.to_string())),
        }
    }

    /// Prints the answer as one JSON document.
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Report> {
        let text = serde_json::to_string_pretty(document).map_err(|e| Report::of(Code::Failure, &e))?;
        self.answer(&text)
    }

    /// Says what was done: the first word stands out.
    pub(crate) fn done(&self, text: &str) {
        if !self.is_quiet {
            let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
            self.say(&format!("{}{rest}", self.err.on(DONE, word)));
        }
    }

    /// Says something in passing.
    pub(crate) fn talk(&self, text: &str) {
        if !self.is_quiet {
            self.say(text);
        }
    }

    /// Says something that is worth knowing.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.say(&format!("{} {text}", self.err.on(NOTE, "note:")));
        }
    }

    /// Says what to type next.
    pub(crate) fn hint(&self, text: &str) {
        if !self.is_quiet {
            self.say(&format!("{} {text}", self.err.on(HINT, "hint:")));
        }
    }

    /// Says something that only `-v` asks for.
    pub(crate) fn detail(&self, text: &str) {
        if self.is_verbose {
            self.say(text);
        }
    }

    /// Says which word of the command line cannot be read.
    pub(crate) fn misread(&self, word: &str, fault: &ParseSpecError) {
        self.say(&misread(word, fault, self.err));
    }

    /// Says what clap found wrong with the command line.
    pub(crate) fn wrong(&self, text: &StyledStr) {
        self.say(&self.err.styled(text));
    }

    /// Says why something failed.
    pub(crate) fn error(&self, report: &Report) {
        self.say(&failure(report, self.err));
    }

    /// Says something that was put into its shape already.
    pub(crate) fn say(&self, text: &str) {
        let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        // One write, so that the lines of two programs do not mix. Without a stderr there is nobody to tell.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// A failure as DESIGN §8 has it: the fact, whose wish it was, the causes, at most two commands to paste.
pub(crate) fn failure(report: &Report, paint: Paint) -> String {
    let mut text = format!("{} {}\n", paint.on(ERROR, "error:"), report.fact);
    if let Some(origin) = &report.wanted_by {
        text.push_str(&format!("  wanted by {origin}\n"));
    }
    for cause in &report.causes {
        // A cause of several lines keeps them, behind the first one's indent.
        let cause = cause.trim_end().replace('\n', "\n    ");
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    for hint in report.hints.iter().take(2) {
        text.push_str(&format!("{} {hint}\n", paint.on(HINT, "hint:")));
    }
    text
}

/// A word of the command line that cannot be read, with a caret under the fault.
fn misread(word: &str, fault: &ParseSpecError, paint: Paint) -> String {
    let shown = |text: &str| text.chars().take(64).flat_map(char::escape_debug).collect::<String>();
    let before = word.get(..fault.at).map_or(0, |before| shown(before).chars().count());
    let (error, caret) = (paint.on(ERROR, "error:"), paint.on(ERROR, "^"));
    format!("{error} {fault}\n  {}\n  {:before$}{caret} {}\n", shown(word), "", fault.reason)
}

#[cfg(test)]
mod tests {
    use govern_core::origin::Origin;
    use govern_core::problem::{Code, Report};
    use govern_core::spec::Spec;

    use super::{Paint, failure, misread};

    #[test]
    fn a_failure_has_the_shape_of_the_design() {
        let origin = Origin::File { path: "/home/ana/shop/.go-version".into(), line: 1 };
        let report = Report::new(Code::NoVersion, "go1.22.9 is not installed").wanted_by(&origin);
        let expect =
            "error: go1.22.9 is not installed\n  wanted by /home/ana/shop/.go-version:1\nhint: govern install 1.22.9\n";
        assert_eq!(failure(&report.hint("govern install 1.22.9"), Paint::Plain), expect);
    }

    #[test]
    fn causes_are_told_in_order_and_hints_are_at_most_two() {
        let mut report = Report::new(Code::Network, "cannot download go1.26.9").hint("one").hint("two").hint("three");
        report.causes = vec!["the site: connection refused\nafter 3 tries".to_owned(), "os error 111".to_owned()];
        let expect = "error: cannot download go1.26.9\n  caused by: the site: connection refused\n    after 3 tries\n  \
                      caused by: os error 111\nhint: one\nhint: two\n";
        assert_eq!(failure(&report, Paint::Plain), expect);
    }

    #[test]
    fn colour_changes_no_word() {
        let report = Report::new(Code::Failure, "x").hint("y");
        let coloured = failure(&report, Paint::Coloured);
        let mut bare = String::new();
        let mut parts = coloured.split('\u{1b}');
        bare.push_str(parts.next().unwrap());
        parts.for_each(|part| bare.push_str(part.split_once('m').unwrap().1));
        assert_ne!(coloured, bare);
        assert_eq!(bare, failure(&report, Paint::Plain));
    }

    #[test]
    fn the_caret_stands_under_the_fault() {
        let check = |word: &str, expect: &str| {
            assert_eq!(misread(word, &Spec::parse(word).unwrap_err(), Paint::Plain), expect, "{word}");
        };
        check("1.22.x.1", "error: `1.22.x.1` is not a Go version\n  1.22.x.1\n       ^ try `1.22` or `1.22.4`\n");
        check("go1.22.x", "error: `go1.22.x` is not a Go version\n  go1.22.x\n         ^ try `1.22` or `1.22.4`\n");
        check("\u{1b}1", "error: `\\u{1b}1` is not a Go version\n  \\u{1b}1\n  ^ try `1.22` or `1.22.4`\n");
        check("", "error: `` is not a Go version\n  \n  ^ nothing is asked for\n");
    }
}
