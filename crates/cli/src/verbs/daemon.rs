//! `daemon …`: starts, stops and shows the background daemon. Leaves out putting it into the system (`service`).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};

use crate::args::{Daemon, Json, Logs};
use crate::background;
use crate::exit::{self, Exit};
use crate::launch;
use crate::replace::cannot;
use crate::text::columns;
use crate::verbs::status::daemon_rows;
use crate::verbs::{Session, service};

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) fn daemon(session: &Session<'_>, verb: &Daemon) -> Result<Exit, Report> {
    match verb {
        Daemon::Start => start(session),
        Daemon::Stop => {
            stop(session)?;
            Ok(exit::OK)
        }
        Daemon::Restart => {
            match stop(session) {
                // There was none to stop.
                Err(report) if report.code == Code::Daemon => session.ask.allowed()?,
                stopped => stopped?,
            }
            start(session)
        }
        Daemon::Status(args) => status(session, args),
        Daemon::Run => run(session),
        Daemon::Logs(args) => logs(session, args),
        Daemon::Install => service::install(session),
        Daemon::Uninstall => service::uninstall(session),
    }
}

fn start(session: &Session<'_>) -> Result<Exit, Report> {
    let (status, is_new) = session.ask.start()?;
    match is_new {
        true => session.ui.done(&format!("Started governd {} (pid {})", status.version, status.pid)),
        false => session.ui.talk(&format!("governd {} is already running (pid {})", status.version, status.pid)),
    }
    Ok(exit::OK)
}

fn stop(session: &Session<'_>) -> Result<(), Report> {
    let pid = session.ask.stop()?;
    session.ui.done(&format!("Stopped governd (pid {pid})"));
    Ok(())
}

fn status(session: &Session<'_>, args: &Json) -> Result<Exit, Report> {
    let status = session.ask.status()?;
    if args.json {
        session.ui.json(&status)?;
    } else {
        session.ui.answer(&columns(&daemon_rows(&status, &escaped(&session.ask.layout().api_socket())), ""))?;
    }
    Ok(exit::OK)
}

/// Becomes the daemon.
fn run(session: &Session<'_>) -> Result<Exit, Report> {
    session.ask.mine()?;
    let governd = background::program(session.world, session.ask.layout())?;
    let failed = launch::become_program(launch::program(governd.as_os_str(), &[]), None);
    session.ui.error(&failed.report);
    Ok(failed.exit)
}

fn logs(session: &Session<'_>, args: &Logs) -> Result<Exit, Report> {
    let path = session.ask.layout().log();
    let file = File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            let fact = format!("there is no log at {}", escaped(&path));
            Report::new(Code::Failure, fact).hint("journalctl --user --unit governd")
        }
        _ => cannot("read", &path, &e),
    })?;
    let mut log = BufReader::new(file);
    let text = last_lines(&mut log, args.lines).map_err(|e| cannot("read", &path, &e))?;
    session.ui.answer(&text)?;
    if args.follow {
        session.ask.every(LOOK, || {
            let mut more = Vec::new();
            // A log that was cut is read from its new beginning.
            let is_cut = log.get_ref().metadata().and_then(|meta| Ok(meta.len() < log.stream_position()?));
            if is_cut.unwrap_or(false) {
                log.seek(SeekFrom::Start(0)).map_err(|e| cannot("read", &path, &e))?;
            }
            log.read_to_end(&mut more).map_err(|e| cannot("read", &path, &e))?;
            session.ui.stream(&more)
        })?;
    }
    Ok(exit::OK)
}

/// The last lines of a text, read to its end.
fn last_lines(log: &mut impl BufRead, number: usize) -> io::Result<String> {
    let mut last = VecDeque::new();
    loop {
        let mut line = Vec::new();
        if log.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        last.push_back(String::from_utf8_lossy(&line).into_owned());
        if last.len() > number {
            last.pop_front();
        }
    }
    Ok(last.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_the_last_ones() {
        let check = |text: &str, number: usize, expect: &str| {
            assert_eq!(last_lines(&mut text.as_bytes(), number).unwrap(), expect);
        };
        check("a\nb\nc\n", 2, "b\nc\n");
        check("a\nb", 5, "a\nb");
        check("a\n", 0, "");
        check("", 5, "");
    }
}
