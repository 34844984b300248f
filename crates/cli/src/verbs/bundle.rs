//! `bundle create`.

use govern_core::problem::Report;

use crate::args::BundleCreate;
use crate::exit::{self, Exit};
use crate::progress::Progress;
use crate::text::{count, size};
use crate::verbs::Session;

pub(crate) fn create(session: &Session<'_>, args: &BundleCreate) -> Result<Exit, Report> {
    let bar = Progress::new(session.ui).bar("bundle");
    let seen = bar.clone();
    let bundled = session.ask.bundle(args, move |event| seen.event(event));
    bar.clear();
    let bundled = bundled?;
    session.ui.done(&format!("Wrote {} to {}", count(bundled.len(), "archive"), args.output.display()));
    for one in &bundled {
        let version = one.version.toolchain();
        session.ui.talk(&format!(" + {version} for {} ({}, proof: {})", one.platform, size(one.size), one.proof));
        if one.proof == "sha256" {
            let why = "no record of the checksum database: installed only where GOSUMDB=off waives it";
            session.ui.note(&format!("{version} has {why}"));
        }
    }
    Ok(exit::OK)
}
