//! Opens signed notes: as they come, signed here, and changed after that.
#![no_main]

use govern_fuzz::{notes, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("signed_notes", notes::seeds()), |data: &[u8]| notes::check(data));
