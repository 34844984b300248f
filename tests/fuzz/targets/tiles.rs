//! Authenticates tiles of a known log, honest ones and changed ones.
#![no_main]

use govern_fuzz::{seeds, tiles};

libfuzzer_sys::fuzz_target!(init: seeds::write("tiles", tiles::seeds()), |data: &[u8]| tiles::check(data));
