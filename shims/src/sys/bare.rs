//! The kernel without a libc: Linux on x86_64 and aarch64.

#![expect(unsafe_code, reason = "system calls are instructions, and pointers all that the kernel passes")]

use core::arch::asm;
use core::hint;
use core::mem;
use core::panic::PanicInfo;
use core::ptr;
use core::slice;
use core::time::Duration;

use govern_wire::Tool;

use super::{AF_UNIX, Address, Errno};
use crate::moves::{Process, Scratch, become_another};
use crate::text::{List, Text};

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const WRITE: usize = 1;
    pub(super) const CLOSE: usize = 3;
    pub(super) const FSTAT: usize = 5;
    pub(super) const MMAP: usize = 9;
    pub(super) const SCHED_YIELD: usize = 24;
    pub(super) const SOCKET: usize = 41;
    pub(super) const CONNECT: usize = 42;
    pub(super) const SENDTO: usize = 44;
    pub(super) const RECVFROM: usize = 45;
    pub(super) const SETSOCKOPT: usize = 54;
    pub(super) const GETSOCKOPT: usize = 55;
    pub(super) const EXECVE: usize = 59;
    pub(super) const FCNTL: usize = 72;
    pub(super) const FLOCK: usize = 73;
    pub(super) const GETCWD: usize = 79;
    pub(super) const CLOCK_GETTIME: usize = 228;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const OPENAT: usize = 257;
    pub(super) const READLINKAT: usize = 267;
    pub(super) const OPENAT2: usize = 437;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const GETCWD: usize = 17;
    pub(super) const FCNTL: usize = 25;
    pub(super) const FLOCK: usize = 32;
    pub(super) const OPENAT: usize = 56;
    pub(super) const CLOSE: usize = 57;
    pub(super) const WRITE: usize = 64;
    pub(super) const READLINKAT: usize = 78;
    pub(super) const FSTAT: usize = 80;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const CLOCK_GETTIME: usize = 113;
    pub(super) const SCHED_YIELD: usize = 124;
    pub(super) const SOCKET: usize = 198;
    pub(super) const CONNECT: usize = 203;
    pub(super) const SENDTO: usize = 206;
    pub(super) const RECVFROM: usize = 207;
    pub(super) const SETSOCKOPT: usize = 208;
    pub(super) const GETSOCKOPT: usize = 209;
    pub(super) const EXECVE: usize = 221;
    pub(super) const MMAP: usize = 222;
    pub(super) const OPENAT2: usize = 437;
}

const AT_FDCWD: usize = -100_isize as usize;
const O_CLOEXEC: usize = 0o2_000_000;
const O_PATH: usize = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
const O_DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "aarch64")]
const O_DIRECTORY: usize = 0o40_000;

/// Reads what the kernel left on the stack of a new process, and becomes another program.
///
/// # Safety
/// `stack` is the stack pointer at the program's first instruction, and this is called once.
pub unsafe fn start(stack: *mut usize, tool: Tool<'static>) -> ! {
    /// A `static`, not a local: half a megabyte of zeros costs nothing there.
    static mut SCRATCH: Scratch = Scratch::ZERO;

    // SAFETY: the kernel put there, one after the other: argc, that many pointers and a null, the environment's
    // pointers and a null, and pairs of words up to one with a first word of zero (AT_NULL). All of it lives until the
    // next execve, and nobody else has a pointer to it. `Option<Text>` is a pointer that may be null.
    let (arguments, environment, auxiliary) = unsafe {
        let arguments = stack.add(1).cast::<Option<Text<'static>>>();
        let arguments = slice::from_raw_parts_mut(arguments, *stack + 1);
        let environment = arguments.as_ptr_range().end;
        let mut len = 0;
        while (*environment.add(len)).is_some() {
            len += 1;
        }
        let environment = slice::from_raw_parts(environment, len + 1);
        (arguments, environment, environment.as_ptr_range().end.cast::<[usize; 2]>())
    };
    const AT_NULL: usize = 0;
    const AT_EUID: usize = 12;
    const AT_SECURE: usize = 23;
    const AT_EXECFN: usize = 31;
    let (mut uid, mut is_secure, mut executed) = (None, true, None);
    let mut pair = auxiliary;
    loop {
        // SAFETY: no pair behind AT_NULL is read.
        let [kind, value] = unsafe { *pair };
        match kind {
            AT_NULL => break,
            AT_EUID => uid = u32::try_from(value).ok(),
            AT_SECURE => is_secure = value != 0,
            // SAFETY: the kernel put a string that ends with a zero there, and it lives as long as the arguments.
            AT_EXECFN => executed = unsafe { Text::at(value) },
            _ => {}
        }
        // SAFETY: this pair was not the last.
        pair = unsafe { pair.add(1) };
    }
    let uid = if is_secure { None } else { uid };
    let scratch = &raw mut SCRATCH;
    // SAFETY: this function is called once, so this is the only reference.
    let scratch = unsafe { &mut *scratch };
    become_another(Process { tool, arguments, environment, uid, executed }, scratch)
}

/// Nothing here panics on purpose; this ends a program that has a bug.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    complain(b"error: govern's shim has a bug\nhint: govern doctor\n");
    exit(125)
}

/// A file descriptor, closed when dropped.
pub(crate) struct Descriptor(i32);

impl Descriptor {
    fn of(result: Result<usize, Errno>) -> Option<Descriptor> {
        i32::try_from(result.ok()?).ok().map(Descriptor)
    }

    fn word(&self) -> usize {
        self.0 as usize
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody uses it after this.
        let _ = unsafe { call(number::CLOSE, [self.word(), 0, 0, 0, 0, 0]) };
    }
}

/// The number by which `/proc/self/fd` knows a descriptor.
pub(super) fn number(descriptor: &Descriptor) -> Option<u32> {
    u32::try_from(descriptor.0).ok()
}

/// A point in time to count from, in microseconds.
pub(crate) struct Clock(u64);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(now())
    }

    /// What is left of a limit; `None` when it has passed. Never zero, which a socket would take for no limit at all.
    pub(crate) fn left(&self, limit: Duration) -> Option<Duration> {
        let limit = u64::try_from(limit.as_micros()).ok()?;
        let left = limit.checked_sub(now().checked_sub(self.0)?)?;
        (left > 0).then(|| Duration::from_micros(left))
    }
}

fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_u64; 2];
    // SAFETY: a timespec is two words on these machines. The call cannot fail on this clock.
    let _ = unsafe { call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, (&raw mut time).expose_provenance(), 0, 0, 0, 0]) };
    let [seconds, nanoseconds] = time;
    seconds.wrapping_mul(1_000_000).wrapping_add(nanoseconds / 1000)
}

/// The path of the running file.
pub(crate) fn own_path(buffer: &mut [u8]) -> Option<usize> {
    let path = c"/proc/self/exe".as_ptr().expose_provenance();
    // SAFETY: the path ends with a zero, and the kernel writes no more than the buffer's length.
    unsafe { call(number::READLINKAT, [AT_FDCWD, path, buffer.as_mut_ptr().expose_provenance(), buffer.len(), 0, 0]) }
        .ok()
}

/// Says whether a path is absolute, and leads to a file without going through any link. Kernels before 5.6 cannot tell.
pub(crate) fn is_real(path: Text<'_>) -> bool {
    const RESOLVE_NO_SYMLINKS: u64 = 4;
    if !path.bytes().starts_with(b"/") {
        return false;
    }
    // C's `struct open_how`: flags, mode, and how to resolve the path.
    let how = [(O_PATH | O_CLOEXEC) as u64, 0, RESOLVE_NO_SYMLINKS];
    let (pointer, len) = (how.as_ptr().expose_provenance(), size_of_val(&how));
    // SAFETY: a Text ends with a zero, and the structure is as long as it is said to be.
    let open = unsafe { call(number::OPENAT2, [AT_FDCWD, path.as_ptr().expose_provenance(), pointer, len, 0, 0]) };
    Descriptor::of(open).is_some()
}

/// The path of the working directory, as the kernel sees it.
pub(crate) fn working_directory(buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the kernel writes no more than the buffer's length.
    let len =
        unsafe { call(number::GETCWD, [buffer.as_mut_ptr().expose_provenance(), buffer.len(), 0, 0, 0, 0]) }.ok()?;
    // Its length counts the zero at the end.
    len.checked_sub(1)
}

pub(super) fn open_directory(path: Text<'_>) -> Option<Descriptor> {
    open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)
}

fn open(path: Text<'_>, flags: usize) -> Option<Descriptor> {
    // SAFETY: a Text ends with a zero.
    Descriptor::of(unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr().expose_provenance(), flags, 0, 0, 0]) })
}

const SOL_SOCKET: usize = 1;

pub(super) fn connect_to(address: &Address, timeout: Duration) -> Option<Descriptor> {
    const SOCK_STREAM_CLOEXEC: usize = 1 | O_CLOEXEC;
    const SO_SNDTIMEO: usize = 21;
    // SAFETY: passes no pointer.
    let socket = Descriptor::of(unsafe { call(number::SOCKET, [AF_UNIX.into(), SOCK_STREAM_CLOEXEC, 0, 0, 0, 0]) })?;
    set_timeout(&socket, SO_SNDTIMEO, timeout)?;
    let (pointer, len) = (ptr::from_ref(address).expose_provenance(), size_of::<Address>());
    // SAFETY: the address is as long as it is said to be.
    unsafe { call(number::CONNECT, [socket.word(), pointer, len, 0, 0, 0]) }.ok()?;
    Some(socket)
}

fn set_timeout(socket: &Descriptor, option: usize, timeout: Duration) -> Option<()> {
    let time = [timeout.as_secs(), timeout.subsec_micros().into()];
    let (pointer, len) = (time.as_ptr().expose_provenance(), size_of_val(&time));
    // SAFETY: a timeval is two words on these machines.
    unsafe { call(number::SETSOCKOPT, [socket.word(), SOL_SOCKET, option, pointer, len, 0]) }.ok()?;
    Some(())
}

/// The user of the process at the other end.
pub(crate) fn peer_uid(socket: &Descriptor) -> Option<u32> {
    const SO_PEERCRED: usize = 17;
    let (mut process_user_group, mut len) = ([0_u32; 3], size_of::<[u32; 3]>() as u32);
    let (pointer, len_pointer) =
        ((&raw mut process_user_group).expose_provenance(), (&raw mut len).expose_provenance());
    // SAFETY: the kernel writes no more than `len`, the size of what the pointer points at.
    unsafe { call(number::GETSOCKOPT, [socket.word(), SOL_SOCKET, SO_PEERCRED, pointer, len_pointer, 0]) }.ok()?;
    Some(process_user_group[1])
}

/// Sends all of it, or fails.
pub(crate) fn send_all(socket: &Descriptor, bytes: &[u8]) -> Option<()> {
    // A peer that is gone must not kill us with a signal.
    const MSG_NOSIGNAL: usize = 0x4000;
    // SAFETY: the kernel reads no more than the slice's length.
    let sent = unsafe {
        call(number::SENDTO, [socket.word(), bytes.as_ptr().expose_provenance(), bytes.len(), MSG_NOSIGNAL, 0, 0])
    };
    (sent == Ok(bytes.len())).then_some(())
}

/// How often an answer is looked for before this process sleeps until it comes …
const LOOKS: usize = 6;

/// … and the processor's pauses after each look. All of them take some 150 µs, three times what a daemon that was asleep
/// takes to answer.
const PAUSES: usize = 800;

/// Receives what is there, waiting for it no longer than the timeout. Zero at the end of the stream.
///
/// Stays awake at first: on a virtual machine a processor that has gone to sleep takes as long to wake as the daemon takes
/// to answer. Whoever waits for this very processor, which may be the daemon, has it before.
pub(crate) fn receive(socket: &Descriptor, buffer: &mut [u8], timeout: Duration) -> Option<usize> {
    const SO_RCVTIMEO: usize = 20;
    const MSG_DONTWAIT: usize = 0x40;
    let mut receive = |flags| {
        let (pointer, len) = (buffer.as_mut_ptr().expose_provenance(), buffer.len());
        // SAFETY: the kernel writes no more than the slice's length.
        unsafe { call(number::RECVFROM, [socket.word(), pointer, len, flags, 0, 0]) }.ok()
    };
    // SAFETY: passes no pointer. It does not fail.
    let _ = unsafe { call(number::SCHED_YIELD, [0; 6]) };
    for _ in 0..LOOKS {
        if let Some(received) = receive(MSG_DONTWAIT) {
            return Some(received);
        }
        for _ in 0..PAUSES {
            hint::spin_loop();
        }
    }
    set_timeout(socket, SO_RCVTIMEO, timeout)?;
    receive(0)
}

/// Takes a shared lock on a file, on a descriptor that the next program inherits.
pub(crate) fn lease(path: Text<'_>) -> Option<Descriptor> {
    const LOCK_SHARED_NOW: usize = 1 | 4;
    const F_DUPFD: usize = 0;
    let file = open(path, O_CLOEXEC)?;
    // SAFETY: passes no pointer.
    unsafe { call(number::FLOCK, [file.word(), LOCK_SHARED_NOW, 0, 0, 0, 0]) }.ok()?;
    if links(&file)? == 0 {
        // Removed between opening and locking: whoever removes the SDK next would lock another file.
        return None;
    }
    let high = super::HIGH.iter().find_map(|least| {
        // SAFETY: passes no pointer.
        Descriptor::of(unsafe { call(number::FCNTL, [file.word(), F_DUPFD, usize::from(*least), 0, 0, 0]) })
    })?;
    // The next execve closes it: O_CLOEXEC.
    mem::forget(file);
    Some(high)
}

/// How many names a file has.
fn links(file: &Descriptor) -> Option<u32> {
    // C's `struct stat` has 144 bytes on x86_64 and 128 on aarch64.
    let mut stat = [0_u32; 36];
    // SAFETY: there is room for the bigger of the two.
    unsafe { call(number::FSTAT, [file.word(), (&raw mut stat).expose_provenance(), 0, 0, 0, 0]) }.ok()?;
    // st_nlink: a u64 at byte 16, or a u32 at byte 20.
    Some(if cfg!(target_arch = "x86_64") { stat[4] } else { stat[5] })
}

/// A table of that many entries, all of them `None`.
pub(crate) fn table(len: usize) -> Option<&'static mut List<'static>> {
    const PROT_READ_WRITE: usize = 1 | 2;
    const MAP_PRIVATE_ANONYMOUS: usize = 0x02 | 0x20;
    let bytes = len.checked_mul(size_of::<Option<Text<'static>>>())?;
    let no_file = usize::MAX;
    // SAFETY: asks for memory wherever there is some.
    let mapped = unsafe { call(number::MMAP, [0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, no_file, 0]) }.ok()?;
    // SAFETY: the memory is new, ours for ever, of that size and zero, which is `None` for every entry.
    Some(unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(mapped), len) })
}

/// Becomes another program. Returns only when that fails.
pub(crate) fn become_program(program: Text<'_>, arguments: &List<'_>, environment: &List<'_>) -> Errno {
    if !matches!((arguments.last(), environment.last()), (Some(None), Some(None))) {
        return Errno::EINVAL;
    }
    let (program, arguments) = (program.as_ptr().expose_provenance(), arguments.as_ptr().expose_provenance());
    // SAFETY: lists of Texts, each ended by a null; a Text ends with a zero.
    let result =
        unsafe { call(number::EXECVE, [program, arguments, environment.as_ptr().expose_provenance(), 0, 0, 0]) };
    result.err().unwrap_or(Errno::EINVAL)
}

/// Writes to stderr, as far as that goes.
pub(crate) fn complain(message: &[u8]) {
    // SAFETY: the kernel reads no more than the slice's length.
    let _ = unsafe { call(number::WRITE, [2, message.as_ptr().expose_provenance(), message.len(), 0, 0, 0]) };
}

pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: passes no pointer, and does not return.
        let _ = unsafe { call(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// One system call.
///
/// # Safety
/// As the call's manual page says of its arguments. Memory behind pointers is taken to be read and written.
unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel's calling convention; what it clobbers is named.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    // The last page of addresses is for errors.
    match i32::try_from(result) {
        Ok(code @ -4095..=-1) => Err(Errno(-code)),
        _ => Ok(result as usize),
    }
}
