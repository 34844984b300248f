//! The daemon's JSON interface: routes, bodies, problems, and the client that speaks them.
//! Leaves out answering (the daemon) and showing (the command line). Bodies are promises: fields are only added.

pub mod body;
pub mod client;
pub mod problem;
pub mod route;
mod sse;
