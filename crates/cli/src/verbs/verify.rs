//! `verify`: what is wrong with installed SDKs, one line for each fault on stdout, the summary on stderr; and the repair.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use govern_api::body::{JobEvent, SCHEMA};
use govern_core::problem::{Code, Report};
use govern_core::spec::Spec;
use govern_core::version::Version;
use serde_json::{Value, json};

use crate::args::Verify;
use crate::exit::{self, Exit};
use crate::local::{Fault, Local, LogCheck, Verified};
use crate::pins::pasted;
use crate::progress::Progress;
use crate::text::{count, grouped, size, took};
use crate::verbs::Session;

/// One SDK after its check.
struct Checked {
    version: Version,
    verified: Verified,
    /// What the log's proof is worth, when it was asked for.
    log: Option<LogCheck>,
    /// Why that is not known.
    unproven: Option<Report>,
    is_repaired: bool,
}

pub(crate) fn verify(session: &Session<'_>, args: &Verify) -> Result<Exit, Report> {
    let local = session.ask.local()?;
    let versions = meant(&local.trees()?, &args.specs)?;
    if versions.is_empty() {
        session.ui.talk("no Go is installed");
        session.ui.hint("govern install");
    }
    let since = Instant::now();
    let mut all = Vec::new();
    for version in versions {
        let mut checked = check(session, local, version, args.proof)?;
        if !args.json {
            let lines = checked.faults().map(|fault| format!("{}: {fault}\n", checked.version.toolchain()));
            session.ui.answer(&lines.collect::<String>())?;
        }
        if args.repair && checked.faults().next().is_some() {
            repair(session, local, &mut checked)?;
        }
        tell(session, local, &checked);
        all.push(checked);
    }
    if args.json {
        let documents: Vec<Value> = all.iter().map(|checked| document(local, checked)).collect();
        session.ui.json(&json!({ "schema": SCHEMA, "verified": documents }))?;
    }
    let damaged = all.iter().filter(|checked| checked.is_damaged()).count();
    if damaged == 0 && !all.is_empty() {
        session.ui.done(&format!("Verified {} in {}", count(all.len(), "version"), took(since.elapsed())));
    }
    let unproven = all.iter().find_map(|checked| checked.unproven.as_ref());
    Ok(match unproven {
        _ if damaged > 0 => Exit(Code::Integrity.exit()),
        Some(report) => exit::of_verb(report),
        None => exit::OK,
    })
}

/// The installed versions that the words mean: every one of a family. Without a word all of them.
fn meant(installed: &[Version], specs: &[Spec]) -> Result<Vec<Version>, Report> {
    if specs.is_empty() {
        return Ok(installed.to_vec());
    }
    let mut versions = Vec::new();
    for spec in specs {
        let mut these: Vec<&Version> = match spec {
            Spec::Latest | Spec::OldStable => Vec::new(),
            _ => installed.iter().filter(|version| spec.admits(version)).collect(),
        };
        if these.is_empty() {
            these.extend(spec.pick(installed.iter()));
        }
        if these.is_empty() {
            let name = spec.exact().map_or_else(|| format!("no Go {}", pasted(spec)), Version::toolchain);
            let verb = if spec.exact().is_some() { "is not installed" } else { "is installed" };
            return Err(Report::new(Code::NoVersion, format!("{name} {verb}")).hint("govern list"));
        }
        versions.extend(these.into_iter().filter(|version| !versions.contains(*version)).cloned().collect::<Vec<_>>());
    }
    Ok(versions)
}

fn check(session: &Session<'_>, local: &Local, version: Version, with_proof: bool) -> Result<Checked, Report> {
    let verified = compare(session, local, &version)?;
    let mut checked = Checked { version, verified, log: None, unproven: None, is_repaired: false };
    if with_proof {
        prove(session, &mut checked);
    }
    Ok(checked)
}

/// Reads every file, behind a bar.
fn compare(session: &Session<'_>, local: &Local, version: &Version) -> Result<Verified, Report> {
    let progress = Progress::new(session.ui);
    let bar = progress.bar(&version.toolchain());
    bar.event(&JobEvent::Source { url: String::new(), size: local.facts(version).map(|facts| facts.size) });
    let so_far = AtomicU64::new(0);
    let read = |bytes: u64| {
        let bytes = so_far.fetch_add(bytes, Ordering::Relaxed) + bytes;
        bar.event(&JobEvent::Downloaded { bytes });
    };
    let verified = local.verify(version, &read);
    bar.clear();
    verified
}

fn prove(session: &Session<'_>, checked: &mut Checked) {
    (checked.log, checked.unproven) = match session.ask.check_log_proof(&checked.version) {
        Ok(log) => (Some(log), None),
        Err(report) => (None, Some(report)),
    };
}

/// Makes a damaged SDK whole: by a new proof when that alone is bad, else by a fresh tree. Then everything is checked
/// once more.
fn repair(session: &Session<'_>, local: &Local, checked: &mut Checked) -> Result<(), Report> {
    let with_proof = checked.log.is_some();
    let is_whole = checked.verified.faults.is_empty();
    let renewed = is_whole && matches!(session.ask.renew_log_proof(&checked.version), Ok(LogCheck::Holds(_)));
    let since = Instant::now();
    if !renewed {
        let progress = Progress::new(session.ui);
        let bar = progress.bar(&checked.version.toolchain());
        let moving = bar.clone();
        let repaired = session.ask.repair(&checked.version, &move |_, event: &JobEvent| moving.event(event));
        bar.clear();
        if let Err(report) = repaired {
            session.ui.error(&report);
            return Ok(());
        }
    }
    *checked = Checked { is_repaired: true, ..check(session, local, checked.version.clone(), with_proof)? };
    if !checked.is_damaged() {
        session.ui.done(&format!("Repaired {} in {}", checked.version.toolchain(), took(since.elapsed())));
    }
    Ok(())
}

/// One line on stderr for each SDK; a damaged one is an error.
fn tell(session: &Session<'_>, local: &Local, checked: &Checked) {
    let name = checked.version.toolchain();
    let faults = checked.faults().count();
    if faults > 0 {
        let report = Report::new(Code::Integrity, format!("{name} is damaged: {}", count(faults, "fault")));
        return session.ui.error(&report.hint(format!("govern verify --repair {}", checked.version)));
    }
    let proof = match &checked.log {
        Some(LogCheck::Holds(record)) => format!(", proven by record {} of {}", record.id, record.database),
        _ => local.facts(&checked.version).map_or(String::new(), |facts| format!(", proof: {}", facts.proof)),
    };
    let Verified { files, bytes, .. } = checked.verified;
    session.ui.talk(&format!("{name} is whole: {} files, {}{proof}", grouped(files), size(bytes)));
    if let Some(LogCheck::Without(reason)) = &checked.log {
        session.ui.note(&format!("{name} has no proof of the log, only a SHA-256: {reason}"));
    }
    if let Some(report) = &checked.unproven {
        session.ui.error(report);
    }
}

fn document(local: &Local, checked: &Checked) -> Value {
    let facts = local.facts(&checked.version);
    let proof = facts.map(|facts| json!({ "kind": facts.proof, "note": facts.proof_note }));
    let log = match (&checked.log, &checked.unproven) {
        (Some(LogCheck::Holds(record)), _) => json!({
            "state": "holds", "database": record.database, "record": record.id,
            "tree_size": record.tree_size, "h1": record.h1,
        }),
        (Some(LogCheck::Without(reason)), _) => json!({ "state": "none", "reason": reason }),
        (Some(LogCheck::Fails(fault)), _) => json!({ "state": "fails", "reason": fault.to_string() }),
        (None, Some(report)) => json!({ "state": "unknown", "reason": report.fact }),
        (None, None) => Value::Null,
    };
    json!({
        "version": checked.version.toolchain(),
        "whole": !checked.is_damaged(),
        "repaired": checked.is_repaired,
        "files": checked.verified.files,
        "bytes": checked.verified.bytes,
        "proof": proof,
        "log_proof": log,
        "faults": checked.faults().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

impl Checked {
    fn faults(&self) -> impl Iterator<Item = &Fault> {
        let of_proof = if let Some(LogCheck::Fails(fault)) = &self.log { Some(fault) } else { None };
        self.verified.faults.iter().chain(of_proof)
    }

    fn is_damaged(&self) -> bool {
        self.faults().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use govern_core::spec::Spec;
    use govern_core::version::Version;

    use super::meant;
    use crate::ui::{Paint, failure};

    #[test]
    fn a_word_means_every_installed_release_that_it_admits() {
        let installed = ["1.28rc1", "1.26.8", "1.26.4", "1.21.13"].map(|text| Version::parse(text).unwrap());
        let check = |words: &str, expect: &str| {
            let specs: Vec<Spec> = words.split_whitespace().map(|word| Spec::parse(word).unwrap()).collect();
            let told = match meant(&installed, &specs) {
                Ok(versions) => versions.iter().map(Version::as_str).collect::<Vec<_>>().join(" "),
                Err(report) => failure(&report, Paint::Plain),
            };
            assert_eq!(told, expect, "{words}");
        };
        check("", "1.28rc1 1.26.8 1.26.4 1.21.13");
        check("1.26", "1.26.8 1.26.4");
        check("1.26 1.26.4 1.21", "1.26.8 1.26.4 1.21.13");
        check("latest", "1.26.8");
        check("1.28", "1.28rc1");
        check("1.22.1", "error: go1.22.1 is not installed\nhint: govern list\n");
        check("1.21 1.22", "error: no Go 1.22 is installed\nhint: govern list\n");
    }
}
