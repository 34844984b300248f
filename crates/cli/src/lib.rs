//! The terminal: reads a command line, asks the daemon or answers itself, and tells a person. The program is a
//! library that gives an exit code. Leaves out every decision about Go, which is core's, and every change, the engine's.

mod args;
mod ask;
mod background;
mod exit;
mod launch;
mod local;
mod path;
mod pins;
mod progress;
mod replace;
mod socket;
mod start_up;
mod text;
mod ui;
mod verbs;
mod world;

use std::process::ExitCode;

use govern_core::problem::Code;

use crate::args::{Cli, Colour, Stop};
use crate::ask::Ask;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::verbs::{Session, obey, shim};

pub use crate::world::World;

/// Runs one process.
#[must_use]
pub fn run(world: &World) -> ExitCode {
    let hidden = world.args.get(1).and_then(|word| word.to_str());
    let rest = world.args.get(2..).unwrap_or_default();
    let Exit(code) = match hidden {
        // Not read as a command line: these words belong to Go.
        Some(shim::VERB) => shim::shim(world, rest),
        Some(background::VERB) => background::detach(rest),
        _ => command(world),
    };
    ExitCode::from(code)
}

fn command(world: &World) -> Exit {
    let cli = match args::read(&world.args) {
        Ok(cli) => cli,
        Err(stop) => return stopped(world, stop),
    };
    let ui = Ui::new(world, cli.manner.color, cli.manner.quiet, cli.manner.verbose);
    let done = local::layout(world).and_then(|layout| {
        let session = Session { world, ui: &ui, ask: Ask::new(world, &ui, layout) };
        obey(&session, &cli.verb)
    });
    done.unwrap_or_else(|report| {
        ui.error(&report);
        exit::of_verb(&report)
    })
}

/// There is no command to obey: help was asked for, or a word is wrong.
fn stopped(world: &World, stop: Stop) -> Exit {
    let ui = Ui::new(world, Colour::Auto, false, false);
    match stop {
        Stop::Told(text) => match ui.answer(&ui.paint().styled(&text)) {
            Ok(()) => exit::OK,
            Err(report) => exit::of_verb(&report),
        },
        Stop::Misread(word, fault) => {
            ui.misread(&word, &fault);
            Exit(Code::Usage.exit())
        }
        Stop::Wrong(text) => {
            ui.wrong(&text);
            Exit(Code::Usage.exit())
        }
    }
}

/// The command line's grammar, for what writes completion scripts.
fn grammar() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
