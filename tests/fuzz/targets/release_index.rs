//! Reads lists of releases: a download page's, a module proxy's, the cache's.
#![no_main]

use govern_fuzz::{releases, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("release_index", releases::seeds()), |data: &[u8]| releases::check(data));
