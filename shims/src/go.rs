//! The `go` on PATH, and every launcher (`go1.26.3`), which is a hard link to it. All that it does is in the library.

#![no_main]
#![cfg_attr(bare, no_std)]

govern_shim::entry!(govern_wire::Tool::Go);
