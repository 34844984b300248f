//! Unpacks tarballs: as they come, and with their check sums set right.
#![no_main]

use govern_fuzz::{seeds, unpacking};

libfuzzer_sys::fuzz_target!(init: seeds::write("tar_planner", unpacking::tar_seeds()), |data: &[u8]| unpacking::check_tar(data));
