//! The sources against servers on this machine that cut, stall, lie and redirect. Never the internet.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod ahead;
mod artifacts;
mod credentials;
mod downloads;
mod lists;
mod log;
mod refusals;
mod resume;
mod server;
mod setup;
mod tls;
mod vendors;
