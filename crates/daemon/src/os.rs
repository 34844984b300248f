//! What the operating system offers through C alone: the descriptors that this process was started with, the listening
//! sockets of a service manager among them, and the user at the other end of a socket. The one file of this crate with
//! `unsafe`.

#![expect(unsafe_code, reason = "neither std nor rustix has these calls for all systems")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Listening sockets that somebody else opened for us.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Where the shims ask.
    pub(crate) shim: Option<UnixListener>,
    /// Where the command line asks.
    pub(crate) api: Option<UnixListener>,
}

impl Inherited {
    /// Takes over what the service manager passed to this process, and closes everything else from 3 up: whoever
    /// waits for the end of a pipe whose other end a `go` happened to hold must not wait for the daemon. To be called
    /// once, before any thread or file is opened. What is no listening Unix socket, or has a name that means nothing
    /// here, is closed as well.
    #[must_use]
    pub(crate) fn take() -> Inherited {
        // launchd hands its sockets out when it is asked; systemd's are there from the start.
        if cfg!(target_os = "macos") {
            close_all_but(&[]);
        }
        let passed = passed();
        if !cfg!(target_os = "macos") {
            close_all_but(&passed);
        }
        let mut inherited = Inherited::default();
        for fd in passed {
            let listener = UnixListener::from(fd);
            // systemd gives all sockets of one unit the same name: the address says reliably which one it is.
            match address(&listener).as_deref().and_then(Path::file_name) {
                Some(name) if name == "shim.sock" => inherited.shim = Some(listener),
                Some(name) if name == "api.sock" => inherited.api = Some(listener),
                _ => {}
            }
        }
        inherited
    }
}

/// The path that a socket is bound to.
pub(crate) fn address(listener: &UnixListener) -> Option<PathBuf> {
    listener.local_addr().ok()?.as_pathname().map(Path::to_owned)
}

/// The user whom this process belongs to.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user who connected. Not rustix's call: its process number may not be zero, and that of a peer in another
/// container is.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("twelve bytes");
    // SAFETY: the descriptor is open for as long as `stream` is borrowed, and `peer` has the `length` bytes that the
    // kernel may write, any of which make a valid `ucred`.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

/// The user who connected.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let (mut uid, mut gid) = (libc::uid_t::MAX, libc::gid_t::MAX);
    // SAFETY: the descriptor is open for as long as `stream` is borrowed, and both results are places of the right type.
    let result = unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if result == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from 3 up that is not in `kept`.
fn close_all_but(kept: &[OwnedFd]) {
    // A list first, because the directory that is read is open itself.
    let open = fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !kept.iter().any(|kept| kept.as_raw_fd() == *fd)) {
        // SAFETY: `Inherited::take` is called before this process opened anything, so nobody here owns the descriptor;
        // of the directory's own, closed meanwhile, the call says that it is none.
        unsafe { libc::close(fd) };
    }
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the service manager opened the descriptor for this process, `LISTEN_PID` or launchd says so, and
    // `Inherited::take` is called once, before anything else could have been given the number.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(not(target_os = "macos"))]
fn passed() -> Vec<OwnedFd> {
    let is_listening = |fd: &OwnedFd| rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(false);
    // An error means that the variables make no sense: then nothing was passed.
    sd_notify::listen_fds().map(|fds| fds.map(own).filter(is_listening).collect()).unwrap_or_default()
}

#[cfg(target_os = "macos")]
fn passed() -> Vec<OwnedFd> {
    use std::ffi::{CStr, c_char, c_int};
    use std::{ptr, slice};

    unsafe extern "C" {
        /// `launch.h`: gives an array of descriptors, to be freed by the caller; 0, or an errno.
        fn launch_activate_socket(name: *const c_char, fds: *mut *mut c_int, count: *mut usize) -> c_int;
    }

    let mut passed = Vec::new();
    for name in [c"shim", c"api"] as [&CStr; 2] {
        let (mut fds, mut count) = (ptr::null_mut::<c_int>(), 0);
        // SAFETY: the name ends with a zero byte, and both results are places of the right type.
        if unsafe { launch_activate_socket(name.as_ptr(), &raw mut fds, &raw mut count) } != 0 || fds.is_null() {
            continue;
        }
        // SAFETY: on success the array has `count` descriptors.
        passed.extend(unsafe { slice::from_raw_parts(fds, count) }.iter().map(|fd| own(*fd)));
        // SAFETY: launchd allocated the array with malloc, and nothing refers to it any more.
        unsafe { libc::free(fds.cast()) };
    }
    passed
}
