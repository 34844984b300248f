//! `link` and `unlink`: names for Go trees that somebody built. Leaves out using them: a name is a version like any
//! other to all other verbs.

use std::path::{Component, Path, PathBuf};

use govern_api::body::Linked;
use govern_core::link;
use govern_core::origin::{escaped, escaped_text};
use govern_core::problem::Report;
use govern_core::spec::{LinkName, Spec};

use crate::args::Link;
use crate::exit::{self, Exit};
use crate::verbs::Session;

pub(crate) fn link(session: &Session<'_>, args: &Link) -> Result<Exit, Report> {
    session.ask.mine()?;
    let dir = absolute(session, &args.dir)?;
    let (link, before) = session.ask.local()?.link(&args.name, &dir)?;
    let called = link.called.map(|called| format!(", {}", escaped_text(&called))).unwrap_or_default();
    let was = before.filter(|before| *before != dir).map(|before| format!(" (was {})", escaped(&before)));
    session.ui.done(&format!("Linked {} to {}{called}{}", args.name.as_str(), escaped(&dir), was.unwrap_or_default()));
    Ok(exit::OK)
}

/// The directory by the name that somebody typed, links and all: where a link leads may change, and the name stays.
fn absolute(session: &Session<'_>, dir: &Path) -> Result<PathBuf, Report> {
    let dir = if dir.is_absolute() { dir.to_owned() } else { session.world.logical_dir()?.join(dir) };
    let is_plain = dir.components().all(|part| part != Component::ParentDir);
    // What `..` means depends on where links lead now.
    let dir = if is_plain { dir } else { dir.canonicalize().unwrap_or(dir) };
    Ok(dir.components().collect())
}

pub(crate) fn unlink(session: &Session<'_>, name: &LinkName) -> Result<Exit, Report> {
    session.ask.mine()?;
    let local = session.ask.local()?;
    let goroot = local.unlink(name)?;
    session.ui.done(&format!("Unlinked {}; {} stays as it is", name.as_str(), escaped(&goroot)));
    // Whoever still wishes for it gets an error from now on.
    let wishes = |spec: &Spec| matches!(spec, Spec::Linked(wished) if wished == name);
    if local.settings(&session.world.vars)?.default.as_ref().is_some_and(wishes) {
        session.ui.note(&format!("`govern default` still says {}", name.as_str()));
        session.ui.hint("govern default latest");
    }
    for (dir, _) in local.overrides()?.iter().filter(|(_, spec)| wishes(spec)) {
        session.ui.note(&format!("the override for {} still says {}", escaped(dir), name.as_str()));
    }
    Ok(exit::OK)
}

/// The tree behind a name, if it can run.
pub(crate) fn find(session: &Session<'_>, name: &LinkName) -> Result<Linked, Report> {
    let mut links = session.ask.local()?.links()?.into_iter();
    match links.find(|linked| linked.name == name.as_str()) {
        None => Err(link::unknown(name)),
        Some(Linked { problem: Some(problem), .. }) => Err(problem.into()),
        Some(linked) => Ok(linked),
    }
}
