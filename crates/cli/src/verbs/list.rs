//! `list`: the installed SDKs, or the releases there are.

use std::collections::BTreeMap;

use govern_api::body::{Linked, Project, Releases, Sdk};
use govern_core::origin::{escaped, escaped_text};
use govern_core::problem::Report;
use govern_core::spec::Spec;

use crate::args::List;
use crate::exit::{self, Exit};
use crate::text::{ago, columns, count, size};
use crate::verbs::Session;
use crate::verbs::install::pick;

pub(crate) fn list(session: &Session<'_>, args: &List) -> Result<Exit, Report> {
    if args.remote {
        return remote(session, args.json);
    }
    let sdks = session.ask.sdks()?;
    if args.json {
        session.ui.json(&sdks)?;
        return Ok(exit::OK);
    }
    if sdks.installed.is_empty() && sdks.linked.is_empty() {
        session.ui.talk("no Go is installed");
        session.ui.hint("govern install");
        return Ok(exit::OK);
    }
    // What is wished for here is an ornament of the list: a pin that cannot be read must not hide it.
    let here = session.here().ok();
    let mut wanted = Wanted::default();
    if let Some(here) = &here {
        let origin = if here.origin.kind == "built-in" { "default: the newest" } else { &here.origin.text };
        let linked = here.linked.as_ref().map(|linked| linked.name.as_str());
        wanted.add(linked.or(here.version.as_deref()), origin);
    }
    let default = session.ask.local()?.settings(&session.world.vars)?.default;
    match default {
        Some(Spec::Linked(name)) => wanted.add(Some(name.as_str()), "govern default"),
        Some(spec) => wanted.add(pick(&sdks.installed, &spec).map(|sdk| sdk.version.as_str()), "govern default"),
        None => {}
    }
    wanted.add_projects(&session.ask.projects_if_known(), here.map(|here| here.dir.into_path()).as_deref());
    let tables = [table(&sdks.installed, &wanted), linked_table(&sdks.linked, &wanted)];
    session.ui.answer(&tables.into_iter().filter(|table| !table.is_empty()).collect::<Vec<_>>().join("\n"))?;
    Ok(exit::OK)
}

/// Who wants an installed release, by its name.
#[derive(Default)]
struct Wanted {
    /// The release that `go` means here.
    here: Option<String>,
    by: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    fn add(&mut self, version: Option<&str>, origin: &str) {
        let Some(version) = version else { return };
        self.here.get_or_insert_with(|| version.to_owned());
        let by = self.by.entry(version.to_owned()).or_default();
        if !by.iter().any(|known| known == origin) {
            by.push(origin.to_owned());
        }
    }

    /// Counts the directories that asked, other than this one.
    fn add_projects(&mut self, projects: &[Project], here: Option<&std::path::Path>) {
        let mut last: BTreeMap<&str, (usize, String)> = BTreeMap::new();
        for project in projects.iter().filter(|project| project.kind != "default") {
            let dir = project.dir.clone().into_path();
            if here != Some(dir.as_path()) {
                // The list is sorted by use: the first one is the one that is used now.
                last.entry(&project.version).or_insert((0, escaped(&dir))).0 += 1;
            }
        }
        for (version, (number, dir)) in last {
            let others = if number > 1 { format!(" and {} more", number - 1) } else { String::new() };
            self.by.entry(version.to_owned()).or_default().push(format!("{dir}{others}"));
        }
    }
}

fn table(installed: &[Sdk], wanted: &Wanted) -> String {
    if installed.is_empty() {
        return String::new();
    }
    let mut rows = vec![["", "VERSION", "SIZE", "PROOF", "WANTED BY"].map(str::to_owned).to_vec()];
    for sdk in installed {
        let mark = if wanted.here.as_ref() == Some(&sdk.version) { "*" } else { "" };
        let by = wanted.by.get(&sdk.version).map(|by| by.join(", ")).unwrap_or_default();
        let version = sdk.version.trim_start_matches("go").to_owned();
        rows.push(vec![mark.to_owned(), version, size(sdk.size), sdk.proof.clone(), by]);
    }
    marked(&rows)
}

fn linked_table(linked: &[Linked], wanted: &Wanted) -> String {
    if linked.is_empty() {
        return String::new();
    }
    let mut rows = vec![["", "LINKED", "VERSION", "PROOF", "PATH", "WANTED BY"].map(str::to_owned).to_vec()];
    for link in linked {
        let mark = if wanted.here.as_ref() == Some(&link.name) { "*" } else { "" };
        let by = wanted.by.get(&link.name).map(|by| by.join(", ")).unwrap_or_default();
        let called = match (&link.problem, &link.version) {
            (Some(_), _) => "cannot run".to_owned(),
            (None, Some(called)) => escaped_text(called),
            (None, None) => "unknown".to_owned(),
        };
        let path = escaped(&link.goroot.clone().into_path());
        rows.push(vec![mark.to_owned(), link.name.clone(), called, link.proof.clone(), path, by]);
    }
    marked(&rows)
}

/// A table whose first column is a mark: one blank is enough behind it.
fn marked(rows: &[Vec<String>]) -> String {
    columns(rows, " ")
        .lines()
        .map(|line| format!("{}{}\n", &line[..2.min(line.len())], line.get(4..).unwrap_or_default()))
        .collect()
}

fn remote(session: &Session<'_>, is_json: bool) -> Result<Exit, Report> {
    let releases = session.ask.releases()?;
    let age = ago(releases.fetched_at, session.world.seconds());
    if releases.stale {
        session.ui.note(&format!("no source answers: this is what {} said {age}", releases.source));
    } else if !releases.source.is_empty() {
        let number = count(releases.releases.len(), "release");
        session.ui.detail(&format!("{number}, from {}, asked {age}", releases.source));
    }
    releases.notes.iter().for_each(|note| session.ui.note(&escaped_text(note)));
    if is_json {
        session.ui.json(&releases)?;
    } else {
        session.ui.answer(&remote_table(&releases))?;
    }
    Ok(exit::OK)
}

fn remote_table(releases: &Releases) -> String {
    let rows = releases.releases.iter().map(|release| {
        let marks = [(!release.stable, "prerelease"), (release.installed, "installed")];
        let marks = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark);
        let marks: Vec<&str> = release.vendor.as_deref().into_iter().chain(marks).collect();
        vec![release.version.trim_start_matches("go").to_owned(), marks.join(", ")]
    });
    columns(&rows.collect::<Vec<_>>(), "")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use govern_api::body::{Linked, Project, Release, Releases, SCHEMA, Sdk};
    use govern_core::problem::{Code, Report};

    use super::{Wanted, linked_table, remote_table, table};

    fn sdk(version: &str, size: u64, proof: &str) -> Sdk {
        Sdk {
            version: format!("go{version}"),
            goroot: Path::new("/g").into(),
            platform: "linux/amd64".to_owned(),
            source: String::new(),
            proof: proof.to_owned(),
            proof_note: String::new(),
            size,
            files: 1,
            installed_at: 0,
            last_used: None,
        }
    }

    fn project(dir: &str, version: &str) -> Project {
        Project {
            dir: Path::new(dir).into(),
            version: version.to_owned(),
            origin: String::new(),
            kind: "pin".to_owned(),
            last_used: 0,
            count: 1,
        }
    }

    #[test]
    fn the_list_says_who_wants_what() {
        let mut wanted = Wanted::default();
        wanted.add(Some("go1.26.8"), "/src/shop/.go-version:1");
        wanted.add(Some("go1.27.3"), "govern default");
        wanted.add_projects(
            &[project("/src/shop", "go1.26.8"), project("/src/old", "go1.21.13"), project("/src/older", "go1.21.13")],
            Some(Path::new("/src/shop")),
        );
        let installed = [
            sdk("1.27.3", 248_000_000, "log"),
            sdk("1.26.8", 251_000_000, "sha256"),
            sdk("1.21.13", 234_000_000, "none"),
        ];
        let expect = "   VERSION   SIZE     PROOF    WANTED BY
   1.27.3    248 MB   log      govern default
 * 1.26.8    251 MB   sha256   /src/shop/.go-version:1
   1.21.13   234 MB   none     /src/old and 1 more
";
        assert_eq!(table(&installed, &wanted), expect);
    }

    #[test]
    fn linked_trees_are_listed_apart_with_where_they_lie() {
        let mut wanted = Wanted::default();
        wanted.add(Some("tip"), "/src/shop/.go-version:1");
        let linked = |name: &str, version: Option<&str>, problem| Linked {
            name: name.to_owned(),
            goroot: Path::new("/src/go").into(),
            version: version.map(str::to_owned),
            proof: "none (linked)".to_owned(),
            problem,
        };
        let gone = Report::new(Code::NoVersion, "the Go linked as `old` cannot run");
        let linked = [
            linked("fork", None, None),
            linked("old", Some("go1.21.0"), Some(gone.into())),
            linked("tip", Some("go1.28-devel_abc"), None),
        ];
        let expect = "   LINKED   VERSION            PROOF           PATH      WANTED BY
   fork     unknown            none (linked)   /src/go
   old      cannot run         none (linked)   /src/go
 * tip      go1.28-devel_abc   none (linked)   /src/go   /src/shop/.go-version:1
";
        assert_eq!(linked_table(&linked, &wanted), expect);
        assert_eq!((linked_table(&[], &wanted), table(&[], &wanted)), (String::new(), String::new()));
    }

    #[test]
    fn releases_are_one_a_line_with_what_is_special_about_them() {
        let release = |version: &str, stable, installed| {
            let vendor = version.ends_with("-bigcorp").then(|| "bigcorp".to_owned());
            Release { version: version.to_owned(), stable, installed, vendor }
        };
        let releases = Releases {
            schema: SCHEMA,
            source: "x".to_owned(),
            fetched_at: 0,
            stale: false,
            releases: vec![
                release("go1.28rc1", false, true),
                release("go1.27.3", true, true),
                release("go1.22.4-bigcorp", true, true),
                release("go1.9", true, false),
            ],
            notes: Vec::new(),
        };
        let expect = "1.28rc1          prerelease, installed\n1.27.3           installed\n\
                      1.22.4-bigcorp   bigcorp, installed\n1.9\n";
        assert_eq!(remote_table(&releases), expect);
    }
}
