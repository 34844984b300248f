//! What the fuzz targets do with their bytes, and what must hold then. A target is a function `check(bytes)`, which
//! panics when govern did what it must never do, and `seeds()`, inputs that reach far. `.ci/fuzz` runs them.
//!
//! The archives and the logs to begin with are those of the crates' own tests.

pub mod lookups;
pub mod notes;
pub mod releases;
pub mod seeds;
pub mod tiles;
pub mod unpacking;

#[path = "../../../crates/store/tests/store/archives.rs"]
mod archives;
mod edit;
#[expect(dead_code, unused_imports, reason = "the store's tests need more")]
#[path = "../../../crates/store/tests/store/hostile.rs"]
mod hostile;
#[path = "../../../crates/store/tests/store/hostile_tar.rs"]
mod hostile_tar;
#[path = "../../../crates/store/tests/store/hostile_zip.rs"]
mod hostile_zip;
#[expect(dead_code, reason = "the tests of the checksum database need more")]
#[path = "../../../crates/sources/tests/sumdb/log.rs"]
mod log;
mod logs;
#[expect(dead_code, reason = "the store's tests need more")]
#[path = "../../../crates/store/tests/store/support.rs"]
mod support;
