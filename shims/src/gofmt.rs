//! The `gofmt` on PATH. All that it does is in the library.

#![no_main]
#![cfg_attr(bare, no_std)]

govern_shim::entry!(govern_wire::Tool::Gofmt);
