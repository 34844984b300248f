//! The log: facts to stderr, which the starter or the service manager keeps. Leaves out files and rotation.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// What is logged when nobody says otherwise.
const DEFAULT: &str = "info";

/// Begins to log; `filter` is the value of `GOVERN_LOG`.
pub(crate) fn start(filter: Option<&str>) {
    let parsed = EnvFilter::try_new(filter.unwrap_or(DEFAULT));
    let fault = parsed.as_ref().err().map(ToString::to_string);
    tracing_subscriber::fmt()
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new(DEFAULT)))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    if let Some(fault) = fault {
        tracing::warn!(fault, "GOVERN_LOG is no filter and is passed over");
    }
}
