//! `governd`. Reads the world once and hands it to the library.

use std::process::ExitCode;

use govern_daemon::Env;

fn main() -> ExitCode {
    govern_daemon::run(Env::of_this_process())
}
