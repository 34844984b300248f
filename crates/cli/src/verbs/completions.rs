//! `completions`: a script that completes verbs and flags in one shell.

use govern_core::problem::Report;

use crate::args::Completions;
use crate::exit::{self, Exit};
use crate::verbs::Session;

pub(crate) fn completions(session: &Session<'_>, args: &Completions) -> Result<Exit, Report> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::grammar(), "govern", &mut script);
    session.ui.answer(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}
