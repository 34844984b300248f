//! `status` and `projects`: what only a running daemon knows.

use std::path::Path;

use govern_api::body::{Decision, Job, Project, Sdk, Shared, Status};
use govern_core::origin::{escaped, escaped_text};
use govern_core::problem::Report;

use crate::args::Json;
use crate::exit::{self, Exit};
use crate::text::{ago, columns, count, lasting, size};
use crate::verbs::Session;

pub(crate) fn status(session: &Session<'_>, args: &Json) -> Result<Exit, Report> {
    let status = session.ask.status()?;
    if args.json {
        session.ui.json(&status)?;
        return Ok(exit::OK);
    }
    let mut rows = daemon_rows(&status, &escaped(&session.ask.layout().api_socket()));
    // A directory whose pin cannot be read is a matter for `explain`.
    rows.extend(session.here().ok().map(|here| here_row(&here)));
    let sdks = session.ask.sdks()?.installed;
    let total: u64 = sdks.iter().map(|sdk| sdk.size).sum();
    rows.push(row("installed", format!("{}, {}", count(sdks.len(), "version"), size(total))));
    rows.extend(status.shared.iter().map(shared_row));
    rows.extend(sdks.iter().filter(|sdk| sdk.proof == "contradicted").map(damage_row));
    let projects = session.ask.projects_if_known();
    let watched = usize::try_from(status.watched).unwrap_or(usize::MAX);
    rows.push(row("projects", format!("{} seen, {} watched", projects.len(), count_of_directories(watched))));
    rows.extend(status.jobs.iter().filter(|job| job.state == "running").map(job_row));
    session.ui.answer(&columns(&rows, ""))?;
    Ok(exit::OK)
}

fn row(name: &str, text: String) -> Vec<String> {
    vec![name.to_owned(), text]
}

fn count_of_directories(number: usize) -> String {
    if number == 1 { "1 directory".to_owned() } else { format!("{number} directories") }
}

/// How the daemon is.
pub(crate) fn daemon_rows(status: &Status, socket: &str) -> Vec<Vec<String>> {
    let memory = status.memory.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
    let up = lasting(status.uptime);
    let questions = usize::try_from(status.questions).unwrap_or(usize::MAX);
    vec![
        row("daemon", format!("governd {}, pid {}, up {up}{memory}", status.version, status.pid)),
        row("socket", socket.to_owned()),
        row("answered", format!("{}, {} of them by govern itself", count(questions, "call"), status.fallbacks)),
    ]
}

fn here_row(here: &Decision) -> Vec<String> {
    let version =
        here.version.clone().or_else(|| here.wanted.as_ref().map(|wanted| format!("{wanted} (not installed)")));
    let version = version.unwrap_or_else(|| "the go on PATH".to_owned());
    row("here", format!("{version}, wanted by {}", here.origin.text))
}

/// What two SDKs have in common on the disk.
fn shared_row(shared: &Shared) -> Vec<String> {
    let Shared { version, with, means, files, bytes } = shared;
    let files = count(usize::try_from(*files).unwrap_or(usize::MAX), "file");
    row("shared", format!("{} of {version} are {with}'s ({files}, by {means})", size(*bytes)))
}

/// An SDK that the log contradicts.
fn damage_row(sdk: &Sdk) -> Vec<String> {
    row("damage", format!("{}: {}", sdk.version, escaped_text(&sdk.proof_note)))
}

fn job_row(job: &Job) -> Vec<String> {
    let done = match job.total.filter(|total| *total > 0) {
        Some(total) => format!(", {} of {}", size(job.bytes), size(total)),
        None if job.bytes > 0 => format!(", {}", size(job.bytes)),
        None => String::new(),
    };
    row("job", format!("{} {}{done}", job.verb, job.version))
}

pub(crate) fn projects(session: &Session<'_>, args: &Json) -> Result<Exit, Report> {
    let mut projects = session.ask.projects()?;
    // Looked at here and not by the daemon: a directory on a dead server makes who looks wait.
    projects.projects.iter_mut().for_each(|project| project.gone = is_gone(&project.dir.clone().into_path()));
    if args.json {
        session.ui.json(&projects)?;
    } else if projects.projects.is_empty() {
        session.ui.talk("no directory has asked for a Go yet");
    } else {
        session.ui.answer(&table(&projects.projects, session.world.seconds()))?;
    }
    Ok(exit::OK)
}

/// True when the directory is certainly not there; one that cannot be looked at may be.
fn is_gone(dir: &Path) -> bool {
    dir.try_exists().is_ok_and(|exists| !exists)
}

fn table(projects: &[Project], now: u64) -> String {
    let mut rows = vec![["DIRECTORY", "GO", "USED", "WANTED BY"].map(str::to_owned).to_vec()];
    rows.extend(projects.iter().map(|project| {
        let gone = if project.gone { " (gone)" } else { "" };
        let dir = format!("{}{gone}", escaped(&project.dir.clone().into_path()));
        let version = project.version.trim_start_matches("go").to_owned();
        vec![dir, version, ago(project.last_used, now), escaped_text(&project.origin)]
    }));
    columns(&rows, "")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use govern_api::body::{Job, Project, SCHEMA, Shared, Status};

    use super::{daemon_rows, job_row, shared_row, table};
    use crate::text::columns;

    #[test]
    fn the_daemon_is_told_in_three_lines() {
        let status = Status {
            schema: SCHEMA,
            version: "0.1.0".to_owned(),
            pid: 4711,
            uptime: 3 * 86_400,
            memory: Some(11_000_000),
            questions: 1203,
            fallbacks: 2,
            watched: 11,
            sdks: 5,
            jobs: Vec::new(),
            index: "fine".to_owned(),
            home: Path::new("/g").into(),
            shared: Vec::new(),
        };
        let expect = "\
daemon     governd 0.1.0, pid 4711, up 3 d, 11.0 MB
socket     /g/run/api.sock
answered   1203 calls, 2 of them by govern itself
";
        assert_eq!(columns(&daemon_rows(&status, "/g/run/api.sock"), ""), expect);
    }

    #[test]
    fn a_job_tells_how_far_it_is() {
        let job = |bytes, total| Job {
            id: 1,
            verb: "install".to_owned(),
            version: "go1.26.8".to_owned(),
            state: "running".to_owned(),
            bytes,
            total,
            joined: false,
        };
        assert_eq!(job_row(&job(31_000_000, Some(100_000_000)))[1], "install go1.26.8, 31.0 MB of 100 MB");
        assert_eq!(job_row(&job(31_000_000, None))[1], "install go1.26.8, 31.0 MB");
        assert_eq!(job_row(&job(0, None))[1], "install go1.26.8");
    }

    #[test]
    fn what_is_shared_is_told_in_a_line() {
        let shared = Shared {
            version: "go1.26.8".to_owned(),
            with: "go1.26.6".to_owned(),
            means: "hard link".to_owned(),
            files: 9876,
            bytes: 98_000_000,
        };
        assert_eq!(shared_row(&shared)[1], "98.0 MB of go1.26.8 are go1.26.6's (9876 files, by hard link)");
    }

    #[test]
    fn projects_are_a_table() {
        let project = Project {
            dir: Path::new("/src/shop").into(),
            version: "go1.26.8".to_owned(),
            origin: "/src/shop/.go-version:1".to_owned(),
            kind: "pin".to_owned(),
            last_used: 1000,
            count: 7,
            gone: false,
        };
        let gone = Project { dir: Path::new("/src/old").into(), gone: true, ..project.clone() };
        let expect = "\
DIRECTORY         GO       USED        WANTED BY
/src/shop         1.26.8   2 min ago   /src/shop/.go-version:1
/src/old (gone)   1.26.8   2 min ago   /src/shop/.go-version:1
";
        assert_eq!(table(&[project, gone], 1130), expect);
    }
}
