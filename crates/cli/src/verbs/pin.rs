//! `pin`, `unpin` and `default`: write down which Go a directory gets, or every directory that says nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use govern_api::body::{Decision, SCHEMA, Seen};
use govern_core::origin::{escaped, escaped_text};
use govern_core::pinfile::{self, Entry};
use govern_core::problem::{Code, Report};
use govern_core::spec::Spec;
use govern_core::version::Version;
use serde_json::json;

use crate::args::{DefaultGo, Pin, Place, Unpin};
use crate::exit::{self, Exit};
use crate::pins::{with_tool, without_tool, written};
use crate::replace::{self, cannot};
use crate::verbs::Session;
use crate::verbs::explain::program;
use crate::verbs::install::{ensure, pick};

/// A directory's own pins.
struct Here {
    /// The directory, by its logical name.
    dir: PathBuf,
    /// Its pins, the one that decides among them first.
    pins: Vec<Pinned>,
}

/// One pin.
struct Pinned {
    place: Place,
    /// As it is written there.
    text: String,
}

impl Here {
    /// As the decision saw them, or as they lie there: a pin that cannot be read is what these verbs repair.
    fn find(session: &Session<'_>) -> Result<Here, Report> {
        match session.here() {
            Ok(decision) => Ok(Here::of(&decision)),
            Err(report) if report.code == Code::NoVersion => Here::lying_in(session.world.logical_dir()?),
            Err(report) => Err(report),
        }
    }

    fn lying_in(dir: &Path) -> Result<Here, Report> {
        let first = |name: &str, entries: fn(&[u8]) -> Vec<Entry>| -> Result<Option<String>, Report> {
            let text = replace::read(&dir.join(name))?.unwrap_or_default();
            Ok(entries(text.as_bytes()).into_iter().next().map(|entry| entry.word))
        };
        let files = [
            (Place::GoVersion, first(".go-version", pinfile::go_version)?),
            (Place::ToolVersions, first(".tool-versions", pinfile::tool_versions)?),
        ];
        let pins = files.into_iter().filter_map(|(place, text)| Some(Pinned { place, text: text? })).collect();
        Ok(Here { dir: dir.to_owned(), pins })
    }

    fn of(decision: &Decision) -> Here {
        let dir = decision.dir.clone().into_path();
        let pins = decision.seen.iter().filter_map(|seen| Pinned::of(seen, &dir)).collect();
        Here { dir, pins }
    }

    fn at(&self, place: Place) -> Option<&Pinned> {
        self.pins.iter().find(|pinned| pinned.place == place)
    }
}

impl Pinned {
    /// The pin that was seen, when it is `dir`'s own.
    fn of(seen: &Seen, dir: &Path) -> Option<Pinned> {
        let file = seen.origin.file.clone()?.into_path();
        let place = match (seen.origin.kind.as_str(), file.file_name()?.to_str()) {
            ("override", _) if file == dir => Place::Override,
            ("file", _) if file.parent() != Some(dir) => return None,
            ("file", Some(".go-version")) => Place::GoVersion,
            ("file", Some(".tool-versions")) => Place::ToolVersions,
            // A `go` line is a minimum, and a toolchain line that counts as one is not govern's to change.
            ("file", Some("go.mod")) if seen.rank == 5 => Place::GoMod,
            _ => return None,
        };
        Some(Pinned { place, text: seen.text.clone() })
    }
}

/// A place as a person calls it.
fn name(place: Place) -> &'static str {
    match place {
        Place::GoVersion => ".go-version",
        Place::ToolVersions => ".tool-versions",
        Place::GoMod => "go.mod",
        Place::Override => "an override",
    }
}

pub(crate) fn pin(session: &Session<'_>, args: &Pin) -> Result<Exit, Report> {
    let Some(spec) = &args.spec else { return show(session, &session.here()?, args.json) };
    let here = Here::find(session)?;
    let place = args.to.or_else(|| here.pins.first().map(|pinned| pinned.place)).unwrap_or(Place::GoVersion);
    if place == Place::GoMod && !here.dir.join("go.mod").is_file() {
        let fact = format!("there is no go.mod in {}", escaped(&here.dir));
        return Err(Report::new(Code::Usage, fact).hint(format!("govern pin {}", written(spec))));
    }
    if let (Place::GoMod, Spec::Linked(name)) = (place, spec) {
        let fact = format!("a toolchain line names a release, and `{}` is a Go of your own", name.as_str());
        return Err(Report::new(Code::Usage, fact).hint(format!("govern pin {} --to override", name.as_str())));
    }
    let version = if args.no_install { None } else { Some(ensure(session, spec)?.version) };
    let text = write(session, &here.dir, place, spec, version.as_deref())?;
    let before = here.at(place).filter(|pinned| pinned.text != text);
    let was = before.map(|pinned| format!(" (was {})", escaped_text(&pinned.text))).unwrap_or_default();
    session.ui.done(&match place {
        Place::Override => format!("Pinned {text} for {}, kept by govern{was}", escaped(&here.dir)),
        file => format!("Pinned {text} in {}{was}", name(file)),
    });
    warn_of_others(session, place);
    Ok(exit::OK)
}

/// Shows what decides here.
fn show(session: &Session<'_>, decision: &Decision, is_json: bool) -> Result<Exit, Report> {
    if is_json {
        session.ui.json(decision)?;
        return Ok(exit::OK);
    }
    let linked = decision.linked.as_ref().map(|linked| linked.name.as_str());
    let answer = match linked.or(decision.version.as_deref()) {
        Some(version) => version,
        None => program(session, decision, "go").map(|_| "system")?,
    };
    session.ui.answer(&format!("{answer}   {}", decision.origin.text))?;
    Ok(exit::OK)
}

/// Writes a pin, and gives what was written.
fn write(
    session: &Session<'_>,
    dir: &Path,
    place: Place,
    spec: &Spec,
    version: Option<&str>,
) -> Result<String, Report> {
    let text = written(spec);
    match place {
        Place::GoVersion => replace::text(&dir.join(".go-version"), &format!("{text}\n"))?,
        Place::ToolVersions => {
            let path = dir.join(".tool-versions");
            let old = replace::read(&path)?.unwrap_or_default();
            replace::text(&path, &with_tool(&old, &text))?;
        }
        Place::GoMod => {
            let exact =
                version.map(str::to_owned).or_else(|| spec.exact().map(Version::toolchain)).ok_or_else(|| {
                    let fact = format!("a toolchain line names one release, and `{text}` is many");
                    Report::new(Code::Usage, fact).hint(format!("govern pin {text} --to go.mod"))
                })?;
            edit_go_mod(session, dir, &exact)?;
            return Ok(exact);
        }
        Place::Override => {
            session.ask.mine()?;
            session.ask.local()?.set_override(dir, Some(spec))?;
        }
    }
    Ok(text)
}

/// Has a Go edit the toolchain line, so that the file stays as Go would have it.
fn edit_go_mod(session: &Session<'_>, dir: &Path, toolchain: &str) -> Result<(), Report> {
    let installed = session.ask.sdks()?.installed;
    let can_edit = |version: &str| {
        Version::parse(version).ok().and_then(|version| version.family()).is_some_and(|family| family >= (1, 21))
    };
    let same = installed.iter().find(|sdk| sdk.version == toolchain && can_edit(&sdk.version));
    let editor = same.or_else(|| installed.iter().find(|sdk| can_edit(&sdk.version))).ok_or_else(|| {
        Report::new(Code::NoVersion, "a toolchain line is written by Go 1.21 or later, and none is installed")
            .hint("govern install latest")
    })?;
    let program = editor.goroot.clone().into_path().join("bin/go");
    let file = dir.join("go.mod");
    // Nothing of the project or of the user's own settings may send this Go elsewhere.
    let output = Command::new(&program)
        .args(["mod", "edit", &format!("-toolchain={toolchain}")])
        .arg(&file)
        .env("GOTOOLCHAIN", "local")
        .env("GOENV", "off")
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .env_remove("GOROOT")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| cannot("run", &program, &e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = escaped_text(String::from_utf8_lossy(&output.stderr).trim());
    Err(Report::new(Code::Failure, format!("cannot edit {}", escaped(&file))).cause(said))
}

/// Says so when something else decides all the same, or Go will refuse what was pinned.
fn warn_of_others(session: &Session<'_>, place: Place) {
    let now = match session.here() {
        Ok(now) => now,
        Err(report) => return session.ui.note(&unread(&report)),
    };
    let decides = now.seen.iter().find(|seen| seen.lost.is_none());
    let is_ours =
        decides.and_then(|seen| Pinned::of(seen, &now.dir.clone().into_path())).is_some_and(|p| p.place == place);
    if !is_ours {
        session.ui.note(&format!("{} decides here all the same: {}", now.origin.text, chosen(&now)));
    }
    if let Some(floor) = too_old(&now) {
        let (asks, version) = (escaped_text(&floor.text), chosen(&now));
        session.ui.note(&format!("{} says `{asks}`: go commands here will refuse {version}", floor.origin.text));
    }
    now.notes.iter().for_each(|note| session.ui.note(&escaped_text(note)));
}

/// The minimum that the chosen release is too old for.
fn too_old(now: &Decision) -> Option<&Seen> {
    let version = Version::parse(now.version.as_deref()?).ok()?;
    let is_above = |seen: &&Seen| {
        let floor = Version::parse(seen.text.strip_prefix("go ").unwrap_or(&seen.text));
        seen.rank == 6 && floor.is_ok_and(|floor| !version.satisfies(&floor))
    };
    now.seen.iter().find(is_above)
}

/// What a decision comes to, in a word.
fn chosen(now: &Decision) -> &str {
    let linked = now.linked.as_ref().map(|linked| linked.name.as_str());
    linked.or(now.version.as_deref()).or(now.wanted.as_deref()).unwrap_or("the go on PATH")
}

/// What is wrong with a pin, in a line.
fn unread(report: &Report) -> String {
    match &report.wanted_by {
        Some(origin) => format!("{origin}: {}", report.fact),
        None => report.fact.clone(),
    }
}

pub(crate) fn unpin(session: &Session<'_>, args: &Unpin) -> Result<Exit, Report> {
    let here = Here::find(session)?;
    let pinned = match args.from {
        Some(place) => here.at(place),
        None => here.pins.first(),
    };
    let Some(pinned) = pinned else {
        let dir = escaped(&here.dir);
        let fact = match args.from {
            Some(place) => format!("{dir} has no pin in {}", name(place)),
            None => format!("{dir} has no pin of its own"),
        };
        return Err(Report::new(Code::Failure, fact).hint("govern explain"));
    };
    match pinned.place {
        Place::GoVersion => remove(&here.dir.join(".go-version"))?,
        Place::ToolVersions => {
            let path = here.dir.join(".tool-versions");
            match without_tool(&replace::read(&path)?.unwrap_or_default()) {
                Some(rest) => replace::text(&path, &rest)?,
                None => remove(&path)?,
            }
        }
        Place::GoMod => edit_go_mod(session, &here.dir, "none")?,
        Place::Override => {
            session.ask.mine()?;
            session.ask.local()?.set_override(&here.dir, None)?;
        }
    }
    let text = escaped_text(&pinned.text);
    session.ui.done(&match pinned.place {
        Place::Override => format!("Removed the override {text} for {}", escaped(&here.dir)),
        file => format!("Removed the pin {text} from {}", name(file)),
    });
    match session.here() {
        Ok(now) => session.ui.talk(&format!("now {}, wanted by {}", chosen(&now), now.origin.text)),
        Err(report) => session.ui.note(&unread(&report)),
    }
    Ok(exit::OK)
}

fn remove(path: &Path) -> Result<(), Report> {
    fs::remove_file(path).map_err(|e| cannot("remove", path, &e))
}

pub(crate) fn default(session: &Session<'_>, args: &DefaultGo) -> Result<Exit, Report> {
    let local = session.ask.local()?;
    let Some(spec) = &args.spec else {
        let set = local.settings(&session.world.vars)?.default;
        let spec = set.clone().unwrap_or(Spec::Latest);
        let installed = session.ask.sdks()?.installed;
        let version = pick(&installed, &spec).map(|sdk| sdk.version.clone());
        if args.json {
            let set = set.as_ref().map(written);
            session.ui.json(&json!({ "schema": SCHEMA, "default": set, "version": version }))?;
        } else {
            session.ui.answer(&version.unwrap_or_else(|| written(&spec)))?;
        }
        return Ok(exit::OK);
    };
    session.ask.mine()?;
    let version = if args.no_install { None } else { Some(ensure(session, spec)?.version) };
    local.set_default(spec)?;
    let text = written(spec);
    let means = version.filter(|version| *version != format!("go{text}") && *version != text);
    let means = means.map(|version| format!(", now {version}")).unwrap_or_default();
    session.ui.done(&format!("Default is {text}{means}"));
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use govern_api::body::{Origin, Seen};
    use govern_core::origin;

    use super::{Pinned, Place};

    fn seen(rank: u8, origin: &origin::Origin) -> Seen {
        Seen { rank, origin: Origin::from(origin), text: "1.22".to_owned(), lost: None }
    }

    #[test]
    fn a_directorys_own_pins_are_told_from_those_above() {
        let check = |rank: u8, origin: origin::Origin, expect: Option<Place>| {
            let found = Pinned::of(&seen(rank, &origin), Path::new("/a/b")).map(|pinned| pinned.place);
            assert_eq!(found, expect, "{origin}");
        };
        let file = |path: &str| origin::Origin::File { path: path.into(), line: 1 };
        check(5, file("/a/b/.go-version"), Some(Place::GoVersion));
        check(7, file("/a/b/.tool-versions"), Some(Place::ToolVersions));
        check(5, file("/a/b/go.mod"), Some(Place::GoMod));
        check(6, file("/a/b/go.mod"), None);
        check(5, file("/a/b/go.work"), None);
        check(5, file("/a/.go-version"), None);
        check(4, origin::Origin::Override("/a/b".into()), Some(Place::Override));
        check(4, origin::Origin::Override("/a".into()), None);
        check(2, origin::Origin::Variable("GOVERN_GO_VERSION"), None);
    }
}
