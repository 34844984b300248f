//! The shim: becomes the Go that the daemon names, or `govern`. No third move: it never downloads, waits for a job,
//! parses a file, or prints, except when even the second move fails.
//!
//! Built with `--profile shim` for Linux on x86_64 or aarch64 it is a static program without a libc (`cfg(bare)`, see
//! `build.rs`): on a virtual machine a libc's start-up alone costs more than everything that is done here. Every other
//! build is the same code over std (`sys/hosted.rs`), without std's start-up, which would change how signals are
//! handled in the program that follows.
//!
//! Everything is `no_std` but `sys/hosted.rs`; nothing is allocated.

#![no_std]

#[cfg(all(bare, not(panic = "abort")))]
compile_error!("opt-level \"s\" asks for the shim without a libc, which cannot unwind: build it with --profile shim");

#[cfg(not(bare))]
extern crate std;

mod environment;
mod home;
mod moves;
mod sys;
mod text;

pub use sys::start;

/// The entry point of a shim, for the tool that it stands for.
///
/// A macro, because the symbol has to be in the program: no linker looks for it in a library.
#[cfg(bare)]
#[macro_export]
macro_rules! entry {
    ($tool:expr) => {
        #[expect(unsafe_code, reason = "the first instructions of a program are not Rust")]
        mod entry {
            /// Where the kernel starts the program: the stack pointer is all there is.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn _start() -> ! {
                #[cfg(target_arch = "x86_64")]
                core::arch::naked_asm!(
                    "xor ebp, ebp",
                    "mov rdi, rsp",
                    "and rsp, -16",
                    "call {enter}",
                    enter = sym enter,
                );
                #[cfg(target_arch = "aarch64")]
                core::arch::naked_asm!(
                    "mov x29, xzr",
                    "mov x30, xzr",
                    "mov x0, sp",
                    "bl {enter}",
                    enter = sym enter,
                );
            }

            unsafe extern "C" fn enter(stack: *mut usize) -> ! {
                // SAFETY: `_start` passes the stack pointer as the kernel set it, and is called once.
                unsafe { $crate::start(stack, $tool) }
            }
        }
    };
}

/// The entry point of a shim, for the tool that it stands for.
#[cfg(not(bare))]
#[macro_export]
macro_rules! entry {
    ($tool:expr) => {
        #[expect(unsafe_code, reason = "C's `main`, not Rust's: see the crate's documentation")]
        mod entry {
            use core::ffi::{c_char, c_int};

            /// The `main` that the C library's start-up calls.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn main(
                count: c_int,
                arguments: *mut *mut c_char,
                environment: *mut *mut c_char,
            ) -> c_int {
                // SAFETY: these are the C library's own arguments, and `main` is called once.
                unsafe { $crate::start(count, arguments, environment, $tool) }
            }
        }
    };
}
