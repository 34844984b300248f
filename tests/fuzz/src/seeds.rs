//! Inputs to begin with, as files where libFuzzer looks for them.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Longer inputs are more work for the fuzzer than they are worth.
pub const LONGEST: usize = 32 << 10;

/// Puts seeds into a target's corpus, under names of their own, before the fuzzer reads it.
///
/// # Panics
/// When the corpus cannot be written, or no seed is left: the target would then look at next to nothing.
pub fn write(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&corpus).unwrap();
    let mut written = 0;
    for (n, seed) in seeds.into_iter().enumerate().filter(|(_, seed)| seed.len() <= LONGEST) {
        fs::write(corpus.join(format!("seed-{n:03}")), seed).unwrap();
        written += 1;
    }
    assert!(written > 0, "no seeds for {target}");
    eprintln!("{target}: {written} seeds");
}

/// Inputs for targets that read a structure out of any bytes: the same ones every time, of many lengths.
pub(crate) fn noise(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| {
        let blocks = (0..=n).flat_map(move |block| Sha256::digest(format!("{n} {block}")));
        blocks.take(8 + 12 * n).collect()
    })
}
