//! The verbs, one file for each group of them, and the way from the command line to each.

mod bundle;
mod completions;
mod daemon;
mod explain;
mod install;
mod link;
mod list;
mod mirror;
mod pin;
mod run;
mod service;
mod setup;
pub(crate) mod shim;
mod status;
mod verify;

use std::ffi::OsString;

use govern_api::body;
use govern_core::problem::Report;

use crate::args::{Bundle, List, Mirror, Verb};
use crate::ask::Ask;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world::World;

/// What every verb works with.
pub(crate) struct Session<'a> {
    pub(crate) world: &'a World,
    pub(crate) ui: &'a Ui,
    pub(crate) ask: Ask<'a>,
}

impl Session<'_> {
    /// The question which Go a program called here means.
    fn question(&self, tool: &str, args: &[OsString]) -> Result<body::Ask, Report> {
        Ok(body::Ask {
            tool: tool.to_owned(),
            dir: self.world.dir()?.into(),
            args: args.iter().cloned().map(Into::into).collect(),
            vars: (&self.world.vars).into(),
        })
    }

    /// What `go` means here.
    fn here(&self) -> Result<body::Decision, Report> {
        self.ask.decision(&self.question("go", &[])?)
    }
}

/// Does what the command line says.
pub(crate) fn obey(session: &Session<'_>, verb: &Verb) -> Result<Exit, Report> {
    match verb {
        Verb::Setup(args) => setup::setup(session, args),
        Verb::Install(args) => install::install(session, args),
        Verb::Uninstall(args) => install::uninstall(session, args),
        Verb::Link(args) => link::link(session, args),
        Verb::Unlink(args) => link::unlink(session, &args.name),
        Verb::List(args) => list::list(session, args),
        Verb::Listall(args) => list::list(session, &List { remote: true, json: args.json }),
        Verb::Pin(args) => pin::pin(session, args),
        Verb::Unpin(args) => pin::unpin(session, args),
        Verb::Default(args) => pin::default(session, args),
        Verb::Which(args) => explain::which(session, args),
        Verb::Explain(args) => explain::explain(session, args),
        Verb::Run(args) => run::run(session, args),
        Verb::Env(args) => run::env(session, args),
        Verb::Verify(args) => verify::verify(session, args),
        Verb::Status(args) => status::status(session, args),
        Verb::Daemon(args) => daemon::daemon(session, args),
        Verb::Projects(args) => status::projects(session, args),
        Verb::Bundle(Bundle::Create(args)) => bundle::create(session, args),
        Verb::Mirror(Mirror::Serve(args)) => mirror::serve(session, args),
        Verb::Completions(args) => completions::completions(session, args),
    }
}
