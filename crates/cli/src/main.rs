//! `govern`, the command line: reads what a process is born with, once, and hands it on.

use std::env;
use std::process::ExitCode;

use govern_cli::World;

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment and the directory")]
fn main() -> ExitCode {
    govern_cli::run(&World::new(env::args_os(), env::vars_os(), env::current_dir(), env::current_exe()))
}
