//! The functions that compiled Rust takes for granted, and a libc would bring. Volatile, or in assembly: the compiler
//! would turn a plain loop into a call of the very function.

#![expect(unsafe_code, reason = "these are memory itself")]

use core::ffi::c_int;

/// C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: as the caller says: both are valid for `len` bytes and do not overlap.
    unsafe { copy_forward(to, from, len) };
    to
}

/// C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: as the caller says; no byte is written before it is read.
        unsafe { copy_forward(to, from, len) };
        return to;
    }
    for at in (0..len).rev() {
        // SAFETY: both are valid for `len` bytes.
        unsafe { to.add(at).write_volatile(from.add(at).read()) };
    }
    to
}

/// C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, len: usize) -> *mut u8 {
    for at in 0..len {
        // SAFETY: the caller says that `to` is valid for `len` bytes.
        unsafe { to.add(at).write_volatile(byte as u8) };
    }
    to
}

/// C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> c_int {
    for at in 0..len {
        // SAFETY: the caller says that both are valid for `len` bytes.
        let (l, r) = unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if l != r {
            return c_int::from(l) - c_int::from(r);
        }
    }
    0
}

/// What LLVM calls when only equality matters.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> c_int {
    // SAFETY: the same demands.
    unsafe { memcmp(left, right, len) }
}

/// What LLVM makes of a loop that looks for a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller says that there is a zero; nothing behind it is read.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// # Safety
/// Both are valid for `len` bytes, and `to` does not begin within `from`.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_forward(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the instruction copies `len` bytes; the direction flag is clear, as the ABI says.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// Both are valid for `len` bytes, and `to` does not begin within `from`.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy_forward(to: *mut u8, from: *const u8, len: usize) {
    for at in 0..len {
        // SAFETY: both are valid for `len` bytes.
        unsafe { to.add(at).write_volatile(from.add(at).read()) };
    }
}
