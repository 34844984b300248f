//! Judges answers to lookups in two logs that one key signed, honest ones and changed ones.
#![no_main]

use govern_fuzz::{lookups, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("lookups", lookups::seeds()), |data: &[u8]| lookups::check(data));
