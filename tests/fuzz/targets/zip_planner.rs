//! Unpacks module zips.
#![no_main]

use govern_fuzz::{seeds, unpacking};

libfuzzer_sys::fuzz_target!(init: seeds::write("zip_planner", unpacking::zip_seeds()), |data: &[u8]| unpacking::check_zip(data));
