//! `install` and `uninstall`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use govern_api::body::{JobEvent, NewJob, OsText, SCHEMA, Sdk};
use govern_core::link;
use govern_core::origin::{Origin, escaped};
use govern_core::problem::{Code, Report};
use govern_core::spec::{LinkName, Spec};
use govern_core::version::Version;
use serde_json::json;

use crate::args::{Install, Uninstall};
use crate::exit::{self, Exit};
use crate::pins::{pasted, written};
use crate::progress::Progress;
use crate::text::{count, size, took};
use crate::verbs::Session;
use crate::verbs::link::{find, unlink};

/// An install that went well.
pub(crate) struct Installed {
    /// `go1.22.4`, or the name of a linked tree.
    pub(crate) version: String,
    /// Its root.
    pub(crate) goroot: PathBuf,
    /// It was there already.
    pub(crate) already: bool,
}

pub(crate) fn install(session: &Session<'_>, args: &Install) -> Result<Exit, Report> {
    let since = Instant::now();
    let results = match &args.from {
        Some(from) => stored(session, from, &args.specs)?.into_iter().map(Ok).collect(),
        None => wished(session, &args.specs)?,
    };
    let installed: Vec<&Installed> = results.iter().flatten().collect();
    for there in installed.iter().filter(|installed| installed.already) {
        match LinkName::parse(&there.version) {
            Ok(name) => session.ui.talk(&format!("{} is linked to {}", name.as_str(), escaped(&there.goroot))),
            Err(_) => session.ui.talk(&format!("{} is already installed", there.version)),
        }
    }
    // Two wishes may mean the same release.
    let fresh: BTreeSet<&str> = installed.iter().filter(|i| !i.already).map(|i| i.version.as_str()).collect();
    match fresh.iter().collect::<Vec<_>>().as_slice() {
        [] => {}
        [one] => session.ui.done(&format!("Installed {one} in {}", took(since.elapsed()))),
        several => {
            session.ui.done(&format!("Installed {} in {}", count(several.len(), "version"), took(since.elapsed())));
            several.iter().for_each(|version| session.ui.talk(&format!(" + {version}")));
        }
    }
    if args.json {
        let one = |i: &&Installed| json!({ "version": i.version, "goroot": OsText::from(i.goroot.as_path()), "already": i.already });
        session.ui.json(&json!({ "schema": SCHEMA, "installed": installed.iter().map(one).collect::<Vec<_>>() }))?;
    }
    let mut exit = exit::OK;
    for report in results.iter().filter_map(|result| result.as_ref().err()) {
        session.ui.error(report);
        exit = if exit == exit::OK { exit::of_verb(report) } else { exit };
    }
    Ok(exit)
}

/// The wish that somebody typed.
fn typed(session: &Session<'_>, spec: &Spec) -> NewJob {
    let word = written(spec);
    NewJob::Install {
        wanted_by: Some(Origin::Flag(word.clone()).to_string()),
        spec: word,
        at_least: None,
        by_repository: false,
        vars: (&session.world.vars).into(),
    }
}

/// What this directory wishes, unless it is there.
fn wanted_here(session: &Session<'_>) -> Result<Option<NewJob>, Report> {
    let here = session.here()?;
    let origin = &here.origin.text;
    if let Some(linked) = &here.linked {
        return match &linked.problem {
            Some(problem) => Err(Report { wanted_by: Some(origin.clone()), ..problem.clone().into() }),
            None => {
                let goroot = escaped(&linked.goroot.clone().into_path());
                session.ui.talk(&format!("{} is linked to {goroot}, wanted by {origin}", linked.name));
                Ok(None)
            }
        };
    }
    if let Some(version) = &here.version {
        session.ui.talk(&format!("{version} is already installed, wanted by {origin}"));
        return Ok(None);
    }
    let Some(wanted) = here.wanted else {
        session.ui.talk(&format!("nothing to install: {origin} wants the go that is on PATH without govern"));
        return Ok(None);
    };
    Ok(Some(NewJob::Install {
        spec: wanted,
        at_least: here.at_least,
        wanted_by: Some(here.origin.text),
        // Pin and module files come with a checkout; everything else is the user's own.
        by_repository: matches!(here.rank, 5 | 6),
        vars: (&session.world.vars).into(),
    }))
}

/// Installs one version if need be, for a verb that needs it.
pub(crate) fn ensure(session: &Session<'_>, spec: &Spec) -> Result<Installed, Report> {
    if let Spec::Linked(name) = spec {
        let linked = find(session, name)?;
        return Ok(Installed { version: linked.name, goroot: linked.goroot.into_path(), already: true });
    }
    // What is installed will do: `1.22` means its newest installed patch, as the decision reads it.
    if let Some(there) = pick(&session.ask.sdks()?.installed, spec) {
        let goroot = there.goroot.clone().into_path();
        return Ok(Installed { version: there.version.clone(), goroot, already: true });
    }
    let since = Instant::now();
    let mut results = all(session, &[typed(session, spec)])?;
    let installed = results.pop().unwrap_or_else(|| Err(Report::new(Code::Failure, "nothing was installed")))?;
    if !installed.already {
        session.ui.done(&format!("Installed {} in {}", installed.version, took(since.elapsed())));
    }
    Ok(installed)
}

/// The installed SDK that a wish means.
pub(crate) fn pick<'a>(installed: &'a [Sdk], spec: &Spec) -> Option<&'a Sdk> {
    let versions: Vec<Version> = installed.iter().filter_map(|sdk| Version::parse(&sdk.version).ok()).collect();
    let picked = spec.pick(versions.iter())?.toolchain();
    installed.iter().find(|sdk| sdk.version == picked)
}

/// Installs all at once, with a bar for each.
fn all(session: &Session<'_>, wishes: &[NewJob]) -> Result<Vec<Result<Installed, Report>>, Report> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let progress = Progress::new(session.ui);
    let name = |wish: &NewJob| if let NewJob::Install { spec, .. } = wish { spec.clone() } else { String::new() };
    let bars: Vec<_> = wishes.iter().map(|wish| progress.bar(&name(wish))).collect();
    let moving = bars.clone();
    let seen = move |number: usize, event: &JobEvent| {
        if let Some(bar) = moving.get(number) {
            bar.event(event);
        }
    };
    let results = session.ask.install(wishes, &seen);
    bars.iter().for_each(crate::progress::Bar::clear);
    Ok(results?.into_iter().map(|result| result.and_then(read)).collect())
}

/// Installs what was typed; nothing typed: what this directory wants.
fn wished(session: &Session<'_>, typed_specs: &[Spec]) -> Result<Vec<Result<Installed, Report>>, Report> {
    // A linked name has nothing to be installed: it is there, or its user has to link it.
    let (names, specs): (Vec<&Spec>, Vec<&Spec>) = typed_specs.iter().partition(|spec| matches!(spec, Spec::Linked(_)));
    let wishes: Vec<NewJob> = match typed_specs {
        [] => wanted_here(session)?.into_iter().collect(),
        _ => specs.iter().map(|spec| typed(session, spec)).collect(),
    };
    let mut results: Vec<Result<Installed, Report>> = names.iter().map(|name| ensure(session, name)).collect();
    results.extend(all(session, &wishes)?);
    Ok(results)
}

/// Installs from a bundle or a directory.
fn stored(session: &Session<'_>, from: &Path, specs: &[Spec]) -> Result<Vec<Installed>, Report> {
    let bar = Progress::new(session.ui).bar("bundle");
    let moving = bar.clone();
    let results = session.ask.install_stored(from, specs, move |event| moving.event(event));
    bar.clear();
    results?.into_iter().map(read).collect()
}

/// How an install ended that ended well.
fn read(last: JobEvent) -> Result<Installed, Report> {
    match last {
        JobEvent::Done { version, goroot: Some(goroot), already, .. } => {
            Ok(Installed { version, goroot: goroot.into_path(), already })
        }
        other => Err(Report::new(Code::Daemon, format!("the daemon's answer cannot be understood: {other:?}"))),
    }
}

pub(crate) fn uninstall(session: &Session<'_>, args: &Uninstall) -> Result<Exit, Report> {
    let (installed, links) = (session.ask.sdks()?.installed, session.ask.local()?.links()?);
    // All words first: nothing is removed when one of them means nothing.
    let (mut names, mut versions) = (BTreeSet::new(), BTreeSet::new());
    for spec in &args.specs {
        match spec {
            Spec::Linked(name) if links.iter().any(|linked| linked.name == name.as_str()) => {
                names.insert(name);
            }
            Spec::Linked(name) => return Err(link::unknown(name)),
            spec => {
                versions.insert(one_of(&installed, spec)?);
            }
        }
    }
    names.iter().try_for_each(|name| unlink(session, name).map(drop))?;
    let mut exit = exit::OK;
    for version in versions {
        match session.ask.remove(version) {
            Ok(JobEvent::Done { freed: Some(bytes), .. }) => {
                session.ui.done(&format!("Removed {version} ({})", size(bytes)));
            }
            Ok(_) => session.ui.done(&format!("Removed {version}")),
            Err(report) => {
                session.ui.error(&report);
                exit = if exit == exit::OK { exit::of_verb(&report) } else { exit };
            }
        }
    }
    Ok(exit)
}

/// The one installed release that a word means. What is removed must be said plainly: a family of several is refused.
fn one_of<'a>(installed: &'a [Sdk], spec: &Spec) -> Result<&'a str, Report> {
    let word = pasted(spec);
    let meant: Vec<&str> = installed
        .iter()
        .filter(|sdk| Version::parse(&sdk.version).is_ok_and(|version| spec.admits(&version)))
        .map(|sdk| sdk.version.as_str())
        .collect();
    match (meant.as_slice(), pick(installed, spec)) {
        ([one], _) => Ok(one),
        // A family of which nothing but release candidates is here.
        ([], Some(sdk)) => Ok(&sdk.version),
        ([], None) => {
            let name = spec.exact().map_or_else(|| format!("no Go {word}"), Version::toolchain);
            let verb = if spec.exact().is_some() { "is not installed" } else { "is installed" };
            Err(Report::new(Code::NoVersion, format!("{name} {verb}")).hint("govern list"))
        }
        (several, _) => {
            let fact = format!("{word} means {}: {}", count(several.len(), "installed version"), several.join(", "));
            let first = several.last().copied().unwrap_or_default().trim_start_matches("go");
            Err(Report::new(Code::Usage, fact).hint(format!("govern uninstall {first}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use govern_api::body::Sdk;
    use govern_core::spec::Spec;

    use super::{one_of, pick};
    use crate::ui::{Paint, failure};

    fn installed() -> Vec<Sdk> {
        let sdk = |version: &str| Sdk {
            version: format!("go{version}"),
            goroot: Path::new("/g").into(),
            platform: "linux/amd64".to_owned(),
            source: String::new(),
            proof: "log".to_owned(),
            proof_note: String::new(),
            size: 1,
            files: 1,
            installed_at: 0,
            last_used: None,
        };
        ["1.28rc1", "1.26.8", "1.26.4", "1.21.13"].map(sdk).into()
    }

    #[test]
    fn what_is_removed_is_one_release() {
        let check = |word: &str, expect: &str| {
            let told = match one_of(&installed(), &Spec::parse(word).unwrap()) {
                Ok(version) => version.to_owned(),
                Err(report) => failure(&report, Paint::Plain),
            };
            assert_eq!(told, expect, "{word}");
        };
        check("1.26.4", "go1.26.4");
        check("1.21", "go1.21.13");
        check("1.28", "go1.28rc1");
        check("1.26", "error: 1.26 means 2 installed versions: go1.26.8, go1.26.4\nhint: govern uninstall 1.26.4\n");
        check("1.22.1", "error: go1.22.1 is not installed\nhint: govern list\n");
        check("1.22", "error: no Go 1.22 is installed\nhint: govern list\n");
    }

    #[test]
    fn what_is_used_is_the_newest_that_will_do() {
        let version = |word: &str| pick(&installed(), &Spec::parse(word).unwrap()).map(|sdk| sdk.version.clone());
        assert_eq!(version("1.26").as_deref(), Some("go1.26.8"));
        assert_eq!(version("latest").as_deref(), Some("go1.26.8"));
        assert_eq!(version("1.25"), None);
    }
}
