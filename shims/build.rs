//! Decides whether this build is the program without a libc (`cfg(bare)`), and links it as such.
//!
//! Cargo tells build scripts the target but not the profile's panic strategy (CARGO_CFG_PANIC says `unwind` whatever
//! the profile). `opt-level = "s"` is what the profile `shim` has and no other; `src/lib.rs` checks that the
//! panic strategy came with it.

#![expect(clippy::disallowed_methods, reason = "this is how Cargo speaks to a build script")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=bare.ld");
    println!("cargo::rustc-check-cfg=cfg(bare)");
    let is = |variable, value: &str| env::var(variable).is_ok_and(|v| v == value);
    let supported = is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_POINTER_WIDTH", "64")
        && (is("CARGO_CFG_TARGET_ARCH", "x86_64") || is("CARGO_CFG_TARGET_ARCH", "aarch64"));
    if !(supported && is("OPT_LEVEL", "s")) {
        return;
    }
    println!("cargo::rustc-cfg=bare");
    // No start-up files, no library, nothing for a dynamic linker to do or an unwinder to read.
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,--no-eh-frame-hdr",
        "-T",
        concat!(env!("CARGO_MANIFEST_DIR"), "/bare.ld"),
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
