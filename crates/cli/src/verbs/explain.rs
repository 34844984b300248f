//! `which` and `explain`: what the decision is, and everything it was made of.

use std::path::{Path, PathBuf};

use govern_api::body::{Decision, OsText, Seen};
use govern_core::link;
use govern_core::origin::{escaped, escaped_text};
use govern_core::problem::{Code, Report};
use govern_core::spec::{LinkName, Spec};

use crate::args::{Explain, Which};
use crate::exit::{self, Exit};
use crate::path::find_foreign;
use crate::replace::cannot;
use crate::text::columns;
use crate::ui::Paint;
use crate::verbs::Session;

/// The ranks of the decision, in order.
const RANKS: [&str; 8] = [
    "+SPEC or go1.X.Y",
    "GOVERN_GO_VERSION",
    "GOTOOLCHAIN",
    "override",
    "pin file, toolchain line",
    "go line",
    "pin file at home",
    "default",
];

pub(crate) fn which(session: &Session<'_>, args: &Which) -> Result<Exit, Report> {
    let decision = session.ask.decision(&session.question(&args.tool, &[])?)?;
    if args.json {
        session.ui.json(&decision)?;
        return Ok(exit::OK);
    }
    let program = program(session, &decision, &args.tool)?;
    match decision.goroot.filter(|_| args.goroot) {
        Some(goroot) => session.ui.path(&goroot.into_path())?,
        None if args.goroot => {
            let fact = format!("{} is not govern's: only it knows its root", escaped(&program));
            return Err(Report::new(Code::Failure, fact).hint("go env GOROOT"));
        }
        None => session.ui.path(&program)?,
    }
    Ok(exit::OK)
}

/// The program that a decision means.
pub(crate) fn program(session: &Session<'_>, decision: &Decision, tool: &str) -> Result<PathBuf, Report> {
    if let Some(program) = &decision.program {
        return Ok(program.clone().into_path());
    }
    let foreign = || find_foreign(tool, session.world.vars.os("PATH"), session.ask.layout());
    match foreign().filter(|_| decision.target == "path") {
        Some(program) => Ok(program),
        None => Err(broken(decision).unwrap_or_else(|| not_installed(decision))),
    }
}

/// The name that a decision wishes for and nothing is linked under.
fn unlinked(decision: &Decision) -> Option<LinkName> {
    match Spec::parse(decision.wanted.as_deref()?) {
        Ok(Spec::Linked(name)) => Some(name),
        _ => None,
    }
}

/// What is told of a decision for a linked tree that cannot run.
fn broken(decision: &Decision) -> Option<Report> {
    let problem = decision.linked.as_ref()?.problem.clone()?;
    Some(Report { wanted_by: Some(decision.origin.text.clone()), ..problem.into() })
}

/// What is told of a decision for something that is not installed.
pub(crate) fn not_installed(decision: &Decision) -> Report {
    if let Some(name) = unlinked(decision) {
        return Report { wanted_by: Some(decision.origin.text.clone()), ..link::unknown(&name) };
    }
    let is_exact = |wanted: &str| Spec::parse(wanted).is_ok_and(|spec| spec.exact().is_some());
    let (fact, hint) = match decision.wanted.as_deref() {
        Some("latest") => ("no Go is installed".to_owned(), "govern install"),
        Some(wanted) if is_exact(wanted) => (format!("go{wanted} is not installed"), "govern install"),
        Some(wanted) => (format!("no Go {wanted} is installed"), "govern install"),
        None => ("there is no go on PATH besides govern's own".to_owned(), "govern pin latest"),
    };
    // That nobody wished for it is no origin that helps anybody.
    let wanted_by = Some(decision.origin.text.clone()).filter(|_| decision.origin.kind != "built-in");
    Report { wanted_by, ..Report::new(Code::NoVersion, fact) }.hint(hint)
}

pub(crate) fn explain(session: &Session<'_>, args: &Explain) -> Result<Exit, Report> {
    let mut ask = session.question("go", &args.args)?;
    if let Some(dir) = &args.dir {
        let logical = session.world.logical_dir()?.join(dir);
        let physical = logical.canonicalize().map_err(|e| cannot("look at", dir, &e))?;
        if !physical.is_dir() {
            return Err(Report::new(Code::Usage, format!("{} is no directory", escaped(dir))).hint("govern explain ."));
        }
        let mut vars = session.world.vars.clone();
        vars.set("PWD", logical);
        ask.vars = (&vars).into();
        ask.dir = physical.as_path().into();
    }
    let decision = session.ask.decision(&ask)?;
    if args.json {
        session.ui.json(&decision)?;
        return Ok(exit::OK);
    }
    let layout = session.ask.layout();
    let launchers = if decision.launchers == "all" { layout.launchers_all() } else { layout.launchers_installed() };
    let foreign = find_foreign("go", session.world.vars.os("PATH"), layout).filter(|_| decision.target == "path");
    session.ui.answer(&rendered(&decision, foreign.as_deref(), &launchers, session.ui.paint()))?;
    match (unlinked(&decision), broken(&decision)) {
        (Some(name), _) => session.ui.hint(&format!("govern link {} DIR", name.as_str())),
        (None, Some(report)) => report.hints.iter().for_each(|hint| session.ui.hint(hint)),
        (None, None) if decision.target == "install" => session.ui.hint("govern install"),
        (None, None) => {}
    }
    Ok(exit::OK)
}

/// The decision, rank by rank.
fn rendered(decision: &Decision, foreign: Option<&Path>, launchers: &Path, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&headline(decision, foreign)));
    let mut rows = Vec::new();
    for (rank, name) in (1u8..).zip(RANKS) {
        let seen: Vec<&Seen> = decision.seen.iter().filter(|seen| seen.rank == rank).collect();
        if seen.is_empty() {
            rows.push(vec![rank.to_string(), name.to_owned(), "–".to_owned()]);
        }
        for (at, seen) in seen.into_iter().enumerate() {
            let (rank, name) = if at == 0 { (rank.to_string(), name.to_owned()) } else { Default::default() };
            rows.push(vec![rank, name, escaped_text(&seen.text), place(seen), fate(seen)]);
        }
    }
    for line in columns(&rows, "  ").lines() {
        let line = if line.ends_with(DECIDES) { paint.strong(line) } else { line.to_owned() };
        text.push_str(&format!("{line}\n"));
    }
    let list = |title: &str, items: &[String]| match items {
        [] => String::new(),
        items => format!("{title}: {}\n", items.join(", ")),
    };
    let set: Vec<String> = decision.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    decision.notes.iter().for_each(|note| text.push_str(&format!("note: {}\n", escaped_text(note))));
    text.push_str(&list("sets", &set));
    text.push_str(&list("removes", &decision.unset));
    text.push_str(&list("appends to PATH", &[escaped(launchers)]));
    text
}

const DECIDES: &str = "← decides";

fn headline(decision: &Decision, foreign: Option<&Path>) -> String {
    let at_least = decision.at_least.as_ref().map(|floor| format!(", at least {floor}")).unwrap_or_default();
    let wanted = decision.wanted.as_ref().map(|wanted| format!("{wanted}{at_least}"));
    if let Some(linked) = &decision.linked {
        let goroot = escaped(&linked.goroot.clone().into_path());
        let state = match &linked.problem {
            Some(problem) => format!("cannot run: {}", problem.causes.join(", ")),
            None => format!("linked, {}", escaped_text(linked.version.as_deref().unwrap_or("without a VERSION"))),
        };
        return format!("{}   {goroot}   {state}", linked.name);
    }
    match (&decision.version, foreign, wanted) {
        (Some(version), ..) => {
            let goroot = decision.goroot.clone().map(OsText::into_path).unwrap_or_default();
            format!("{version}   {}", escaped(&goroot))
        }
        (None, Some(program), _) => format!("go   {}", escaped(program)),
        (None, None, Some(wanted)) if unlinked(decision).is_some() => format!("{wanted}   not linked"),
        (None, None, Some(wanted)) => format!("{wanted}   not installed"),
        (None, None, None) => "go   there is none on PATH besides govern's own".to_owned(),
    }
}

/// Where a wish stands; nothing for those whose rank says it.
fn place(seen: &Seen) -> String {
    match seen.origin.kind.as_str() {
        "variable" | "built-in" => String::new(),
        _ => seen.origin.text.clone(),
    }
}

fn fate(seen: &Seen) -> String {
    seen.lost.clone().unwrap_or_else(|| DECIDES.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use govern_api::body::{Decision, Origin, SCHEMA, Seen};
    use govern_core::origin;

    use super::{not_installed, rendered};
    use crate::ui::{Paint, failure};

    fn file(path: &str, line: usize) -> Origin {
        (&origin::Origin::File { path: path.into(), line }).into()
    }

    fn seen(rank: u8, origin: Origin, text: &str, lost: Option<&str>) -> Seen {
        Seen { rank, origin, text: text.to_owned(), lost: lost.map(str::to_owned) }
    }

    fn decision() -> Decision {
        Decision {
            schema: SCHEMA,
            dir: Path::new("/src/shop/api").into(),
            target: "sdk".to_owned(),
            version: Some("go1.26.8".to_owned()),
            goroot: Some(Path::new("/g/sdks/go1.26.8").into()),
            program: Some(Path::new("/g/sdks/go1.26.8/bin/go").into()),
            linked: None,
            wanted: None,
            at_least: None,
            origin: file("/src/shop/.go-version", 1),
            kind: "pin".to_owned(),
            rank: 5,
            seen: vec![
                seen(5, file("/src/shop/.go-version", 1), "1.26.8", None),
                seen(5, file("/src/shop/go.mod", 5), "go1.27.3", Some("a higher rank decides")),
                seen(6, file("/src/shop/go.mod", 3), "go 1.25.0", Some("a pin is exact")),
                seen(8, (&origin::Origin::Default).into(), "1.27", Some("a higher rank decides")),
            ],
            notes: vec!["the first one counts".to_owned()],
            set: BTreeMap::from([("GOTOOLCHAIN".to_owned(), "go1.26.8".to_owned())]),
            unset: vec!["GOROOT".to_owned()],
            launchers: "all".to_owned(),
        }
    }

    #[test]
    fn every_rank_is_shown_and_the_deciding_one_is_marked() {
        let text = rendered(&decision(), None, Path::new("/g/launchers/all"), Paint::Plain);
        let expect = "\
go1.26.8   /g/sdks/go1.26.8
  1   +SPEC or go1.X.Y           –
  2   GOVERN_GO_VERSION          –
  3   GOTOOLCHAIN                –
  4   override                   –
  5   pin file, toolchain line   1.26.8      /src/shop/.go-version:1   ← decides
                                 go1.27.3    /src/shop/go.mod:5        a higher rank decides
  6   go line                    go 1.25.0   /src/shop/go.mod:3        a pin is exact
  7   pin file at home           –
  8   default                    1.27        govern default            a higher rank decides
note: the first one counts
sets: GOTOOLCHAIN=go1.26.8
removes: GOROOT
appends to PATH: /g/launchers/all
";
        assert_eq!(text, expect);
    }

    #[test]
    fn what_is_missing_is_said_with_its_origin() {
        let missing = Decision {
            target: "install".to_owned(),
            version: None,
            goroot: None,
            program: None,
            wanted: Some("1.22".to_owned()),
            at_least: Some("1.22.3".to_owned()),
            ..decision()
        };
        let text = rendered(&missing, None, Path::new("/l"), Paint::Plain);
        assert!(text.starts_with("1.22, at least 1.22.3   not installed\n"), "{text}");
        let expect = "error: no Go 1.22 is installed\n  wanted by /src/shop/.go-version:1\nhint: govern install\n";
        assert_eq!(failure(&not_installed(&missing), Paint::Plain), expect);
        let exact = Decision { wanted: Some("1.22.9".to_owned()), ..missing };
        assert_eq!(not_installed(&exact).fact, "go1.22.9 is not installed");
    }
}
