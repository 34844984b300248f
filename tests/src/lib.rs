//! What the end-to-end tests stand on: SDKs to install, a mirror to install them from, a home to install them into.
//! Leaves out the tests themselves (`tests/`), and anything that a crate can test without the real binaries.

pub mod fake;
pub mod home;
pub mod http;
pub mod log;
pub mod mirror;
pub mod question;
pub mod real;
pub mod source;
pub mod wheels;
pub mod world;

use std::path::PathBuf;

/// The directory that cargo builds into, as seen from a running test.
///
/// # Panics
/// When the running program is not one that cargo built.
#[must_use]
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    // target/debug/deps/test-0123 and target/debug/mirror: what holds cargo's tag is the target directory.
    let tagged = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    tagged.expect("a test runs from cargo's target directory").to_owned()
}

/// The directory of the programs that were built along with the running test: `target/debug`.
///
/// # Panics
/// When the running program is not one that cargo built.
#[must_use]
pub fn profile() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let directory = program.parent().expect("a program lies in a directory");
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    if is_deps { directory.parent().unwrap_or(directory).to_owned() } else { directory.to_owned() }
}
