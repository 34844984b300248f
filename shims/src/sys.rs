//! The edge: everything that asks the kernel for something. `bare` speaks to it alone, `hosted` over std and the C
//! library; both have the same functions. No decision is made here.

#[cfg(bare)]
mod bare;
#[cfg(not(bare))]
mod hosted;
#[cfg(bare)]
mod memory;

use core::time::Duration;

#[cfg(bare)]
use bare as platform;
#[cfg(not(bare))]
use hosted as platform;

use crate::text::Arena;

pub use platform::start;
pub(crate) use platform::{
    Clock, Descriptor, become_program, complain, exit, is_real, lease, own_path, peer_uid, receive, send_all, table,
    working_directory,
};

/// Why the kernel refused, in its own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// Those that are told apart here; they have the same numbers on every Unix.
impl Errno {
    pub(crate) const ENOENT: Errno = Errno(2);
    pub(crate) const E2BIG: Errno = Errno(7);
    pub(crate) const ENOEXEC: Errno = Errno(8);
    pub(crate) const ENOMEM: Errno = Errno(12);
    pub(crate) const EACCES: Errno = Errno(13);
    pub(crate) const ENOTDIR: Errno = Errno(20);
    pub(crate) const EINVAL: Errno = Errno(22);
}

/// The most bytes in the name of a socket, with the zero at its end.
const SUN_PATH: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

const AF_UNIX: u8 = 1;

/// From which number up a lease's descriptor may be, best first: high, so that programs which count on the numbers
/// after stderr find theirs (`ExtraFiles`, `LISTEN_FDS`); lower only where the limit on open files says so.
const HIGH: [u16; 4] = [100, 32, 10, 3];

/// C's `sockaddr_un`.
#[repr(C)]
struct Address {
    family: [u8; 2],
    path: [u8; SUN_PATH],
}

impl Address {
    /// The address of the pieces one after the other, when they fit.
    fn of(pieces: &[&[u8]]) -> Option<Address> {
        // macOS has a length in the first byte, which the kernel fills in, and the family in the second.
        let family = if cfg!(target_os = "linux") { u16::from(AF_UNIX).to_ne_bytes() } else { [0, AF_UNIX] };
        let mut address = Address { family, path: [0; SUN_PATH] };
        let mut space = Arena::new(address.path.get_mut(..SUN_PATH - 1)?);
        space.bytes(pieces)?;
        Some(address)
    }
}

/// Connects to the socket `<directory><name>`, where `name` starts with a slash. The timeout is for connecting, and
/// afterwards for sending.
pub(crate) fn connect(
    directory: &[&[u8]],
    name: &[u8],
    space: &mut Arena<'_>,
    timeout: Duration,
) -> Option<Descriptor> {
    let directory = space.text(directory)?;
    if let Some(address) = Address::of(&[directory.bytes(), name]) {
        return platform::connect_to(&address, timeout);
    }
    let open = platform::open_directory(directory)?;
    let mut digits = [0; 10];
    let number = crate::text::decimal(platform::number(&open)?, &mut digits);
    platform::connect_to(&Address::of(&[b"/proc/self/fd/", number, name])?, timeout)
}
