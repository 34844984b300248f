//! The kernel over std, and over the C library where std has no such function: every build but the bare one.

#![expect(unsafe_code, reason = "the C library's functions have no safe form in std")]

use core::ffi::{c_char, c_int, c_void};
use core::slice;
use core::time::Duration;
use std::boxed::Box;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;
use std::{env, process, vec};

use govern_wire::Tool;

use super::{AF_UNIX, Address, Errno};
use crate::moves::{Process, Scratch, become_another};
use crate::text::{List, Text};

unsafe extern "C" {
    safe fn geteuid() -> u32;
    safe fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn connect(socket: c_int, address: *const c_void, len: u32) -> c_int;
    fn send(socket: c_int, bytes: *const c_void, len: usize, flags: c_int) -> isize;
    fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    fn execve(program: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int;
}

/// Takes what the C library's start-up gave to `main`, and becomes another program.
///
/// # Safety
/// The arguments are those of `main`, and this is called once.
pub unsafe fn start(
    count: c_int,
    arguments: *mut *mut c_char,
    environment: *mut *mut c_char,
    tool: Tool<'static>,
) -> ! {
    static mut SCRATCH: Scratch = Scratch::ZERO;

    // SAFETY: C promises `count` pointers and a null; every system that this is built for promises the same of the
    // third argument, and that all of it lives as long as the process. `Option<Text>` is a pointer that may be null.
    let (arguments, environment) = unsafe {
        let count = usize::try_from(count).unwrap_or_default();
        let arguments = slice::from_raw_parts_mut(arguments.cast::<Option<Text<'static>>>(), count + 1);
        let environment = environment.cast::<Option<Text<'static>>>();
        let mut len = 0;
        while (*environment.add(len)).is_some() {
            len += 1;
        }
        (arguments, slice::from_raw_parts(environment, len + 1))
    };
    let uid = if is_secure() { None } else { Some(geteuid()) };
    let scratch = &raw mut SCRATCH;
    // SAFETY: this function is called once, so this is the only reference.
    let scratch = unsafe { &mut *scratch };
    become_another(Process { tool, arguments, environment, uid, executed: None }, scratch)
}

/// Says whether the program runs with more rights than its caller.
#[cfg(target_os = "linux")]
fn is_secure() -> bool {
    unsafe extern "C" {
        safe fn getauxval(kind: core::ffi::c_ulong) -> core::ffi::c_ulong;
    }
    const AT_SECURE: core::ffi::c_ulong = 23;
    getauxval(AT_SECURE) != 0
}

/// Says whether the program runs with more rights than its caller.
#[cfg(not(target_os = "linux"))]
fn is_secure() -> bool {
    unsafe extern "C" {
        safe fn issetugid() -> c_int;
    }
    issetugid() != 0
}

/// A file descriptor, closed when dropped.
pub(crate) struct Descriptor(OwnedFd);

impl Descriptor {
    /// # Safety
    /// The number is that of a descriptor which nobody else closes, or negative.
    unsafe fn of(number: RawFd) -> Option<Descriptor> {
        // SAFETY: as the caller says.
        (number >= 0).then(|| Descriptor(unsafe { OwnedFd::from_raw_fd(number) }))
    }
}

/// The number by which `/proc/self/fd` knows a descriptor.
pub(super) fn number(descriptor: &Descriptor) -> Option<u32> {
    u32::try_from(descriptor.0.as_raw_fd()).ok()
}

/// A point in time to count from.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// What is left of a limit; `None` when it has passed.
    pub(crate) fn left(&self, limit: Duration) -> Option<Duration> {
        limit.checked_sub(self.0.elapsed()).filter(|left| left.as_micros() > 0)
    }
}

/// The path of the running file.
pub(crate) fn own_path(buffer: &mut [u8]) -> Option<usize> {
    let mut path = env::current_exe().ok()?;
    // Linux gives the real path; elsewhere it may be a link, or the path by which the program was called.
    if cfg!(not(target_os = "linux")) {
        path = path.canonicalize().ok()?;
    }
    copy(&path, buffer)
}

/// Says whether a path leads to a file without going through any link. Nobody asks: see `Process::executed`.
pub(crate) fn is_real(_: Text<'_>) -> bool {
    false
}

/// The path of the working directory, as the kernel sees it.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the shims read it")]
pub(crate) fn working_directory(buffer: &mut [u8]) -> Option<usize> {
    copy(&env::current_dir().ok()?, buffer)
}

fn copy(path: &Path, buffer: &mut [u8]) -> Option<usize> {
    let bytes = path.as_os_str().as_bytes();
    buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}

/// A directory to go through by its number, where the system has `/proc/self/fd`.
#[cfg(target_os = "linux")]
pub(super) fn open_directory(path: Text<'_>) -> Option<Descriptor> {
    use std::os::unix::fs::OpenOptionsExt;

    const O_PATH: c_int = 0o10_000_000;
    let path = Path::new(std::ffi::OsStr::from_bytes(path.bytes()));
    let directory = File::options().read(true).custom_flags(O_PATH).open(path).ok()?;
    Some(Descriptor(directory.into()))
}

/// No other system has a way to connect below a directory without going there: such a home has no daemon.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_directory(_: Text<'_>) -> Option<Descriptor> {
    None
}

pub(super) fn connect_to(address: &Address, timeout: Duration) -> Option<Descriptor> {
    const SOCK_STREAM: c_int = 1;
    const F_SETFD: c_int = 2;
    const FD_CLOEXEC: c_int = 1;
    // SAFETY: the descriptor is new.
    let stream = unsafe { Descriptor::of(socket(AF_UNIX.into(), SOCK_STREAM, 0)) }?;
    let number = stream.0.as_raw_fd();
    // SAFETY: passes no pointer.
    if unsafe { fcntl(number, F_SETFD, FD_CLOEXEC) } < 0 {
        return None;
    }
    silence(number)?;
    let stream = UnixStream::from(stream.0);
    stream.set_write_timeout(Some(timeout)).ok()?;
    let len = u32::try_from(size_of::<Address>()).ok()?;
    // SAFETY: the address is as long as it is said to be.
    if unsafe { connect(number, (&raw const *address).cast(), len) } < 0 {
        return None;
    }
    Some(Descriptor(stream.into()))
}

/// Sees to it that writing to a socket whose peer is gone is an error and no signal. Linux takes that with each call.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere the kernel may refuse")]
fn silence(_: c_int) -> Option<()> {
    Some(())
}

/// Sees to it that writing to a socket whose peer is gone is an error and no signal.
#[cfg(not(target_os = "linux"))]
fn silence(socket: c_int) -> Option<()> {
    unsafe extern "C" {
        fn setsockopt(socket: c_int, level: c_int, option: c_int, value: *const c_void, len: u32) -> c_int;
    }
    const SOL_SOCKET: c_int = 0xffff;
    const SO_NOSIGPIPE: c_int = 0x1022;
    let on: c_int = 1;
    // SAFETY: the value is a c_int, four bytes.
    let result = unsafe { setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, (&raw const on).cast(), 4) };
    (result == 0).then_some(())
}

/// The user of the process at the other end.
#[cfg(target_os = "linux")]
pub(crate) fn peer_uid(socket: &Descriptor) -> Option<u32> {
    unsafe extern "C" {
        fn getsockopt(socket: c_int, level: c_int, option: c_int, value: *mut c_void, len: *mut u32) -> c_int;
    }
    // What every machine has but MIPS and SPARC, where the question fails and `govern` decides.
    const SOL_SOCKET: c_int = 1;
    const SO_PEERCRED: c_int = if cfg!(any(target_arch = "powerpc", target_arch = "powerpc64")) { 21 } else { 17 };
    let (mut process_user_group, mut len) = ([u32::MAX; 3], 12);
    let value = (&raw mut process_user_group).cast();
    // SAFETY: the kernel writes no more than `len`, the size of what the pointer points at.
    let result = unsafe { getsockopt(socket.0.as_raw_fd(), SOL_SOCKET, SO_PEERCRED, value, &raw mut len) };
    (result == 0).then_some(process_user_group[1])
}

/// The user of the process at the other end.
#[cfg(not(target_os = "linux"))]
pub(crate) fn peer_uid(socket: &Descriptor) -> Option<u32> {
    unsafe extern "C" {
        fn getpeereid(socket: c_int, user: *mut u32, group: *mut u32) -> c_int;
    }
    let (mut user, mut group) = (u32::MAX, u32::MAX);
    // SAFETY: both pointers are those of a u32.
    let result = unsafe { getpeereid(socket.0.as_raw_fd(), &raw mut user, &raw mut group) };
    (result == 0).then_some(user)
}

/// Sends all of it, or fails.
pub(crate) fn send_all(socket: &Descriptor, bytes: &[u8]) -> Option<()> {
    // A peer that is gone must not kill us with a signal. What is no flag on macOS is an option there.
    const MSG_NOSIGNAL: c_int = if cfg!(target_os = "linux") { 0x4000 } else { 0 };
    // SAFETY: the kernel reads no more than the slice's length.
    let sent = unsafe { send(socket.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), MSG_NOSIGNAL) };
    (usize::try_from(sent) == Ok(bytes.len())).then_some(())
}

/// Receives what is there, waiting for it no longer than the timeout. Zero at the end of the stream.
pub(crate) fn receive(socket: &Descriptor, buffer: &mut [u8], timeout: Duration) -> Option<usize> {
    // SAFETY: `socket` stays the owner: the stream is forgotten.
    let mut stream = mem::ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(socket.0.as_raw_fd()) });
    stream.set_read_timeout(Some(timeout)).and_then(|()| stream.read(buffer)).ok()
}

/// Takes a shared lock on a file, on a descriptor that the next program inherits.
pub(crate) fn lease(path: Text<'_>) -> Option<Descriptor> {
    const F_DUPFD: c_int = 0;
    let file = File::open(Path::new(std::ffi::OsStr::from_bytes(path.bytes()))).ok()?;
    file.try_lock_shared().ok()?;
    if file.metadata().ok()?.nlink() == 0 {
        // Removed between opening and locking: whoever removes the SDK next would lock another file.
        return None;
    }
    super::HIGH.iter().find_map(|least| {
        // SAFETY: passes no pointer, and the descriptor is new.
        unsafe { Descriptor::of(fcntl(file.as_raw_fd(), F_DUPFD, c_int::from(*least))) }
    })
}

/// A table of that many entries, all of them `None`.
#[expect(clippy::unnecessary_wraps, reason = "the bare one asks the kernel, which may refuse")]
pub(crate) fn table(len: usize) -> Option<&'static mut List<'static>> {
    Some(Box::leak(vec![None; len].into_boxed_slice()))
}

/// Becomes another program. Returns only when that fails.
pub(crate) fn become_program(program: Text<'_>, arguments: &List<'_>, environment: &List<'_>) -> Errno {
    if !matches!((arguments.last(), environment.last()), (Some(None), Some(None))) {
        return Errno::EINVAL;
    }
    // SAFETY: lists of Texts, each ended by a null; a Text ends with a zero.
    unsafe { execve(program.as_ptr(), arguments.as_ptr().cast(), environment.as_ptr().cast()) };
    io::Error::last_os_error().raw_os_error().map_or(Errno::EINVAL, Errno)
}

/// Writes to stderr, as far as that goes.
pub(crate) fn complain(message: &[u8]) {
    let _ = io::stderr().write_all(message);
}

#[expect(clippy::exit, reason = "the status is all that is left to give")]
pub(crate) fn exit(status: i32) -> ! {
    process::exit(status)
}
