//! Where the threads wait for the shims: a listener, and a bell that rings once, when it is no longer the one to wait at.
//!
//! On Linux each thread waits in an epoll set of its own, and the kernel wakes one of them for a connection
//! (`EPOLLEXCLUSIVE`): with a lock that they take in turn, a second thread had to be woken for every question, on the
//! way to its answer. Elsewhere all that wait are woken, and one of them gets it.

use std::io::{self, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

/// A listener and its bell.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    /// Readable for good once something is written to the other end.
    bell: UnixStream,
    rope: UnixStream,
}

impl Door {
    /// A door in front of a listener that does not block.
    pub(super) fn new(listener: UnixListener) -> io::Result<Door> {
        let (bell, rope) = UnixStream::pair()?;
        Ok(Door { listener, bell, rope })
    }

    /// Wakes everybody who waits here, now and later.
    pub(super) fn close(&self) {
        // Two bytes are in no danger of being refused.
        let _ = (&self.rope).write(&[0]);
    }
}

/// One thread's place at a door.
#[derive(Debug)]
pub(super) struct Place {
    door: Arc<Door>,
    #[cfg(target_os = "linux")]
    epoll: std::os::fd::OwnedFd,
}

impl Place {
    #[cfg(target_os = "linux")]
    pub(super) fn at(door: Arc<Door>) -> io::Result<Place> {
        use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&set, &door.listener, EventData::new_u64(0), EventFlags::IN | EventFlags::EXCLUSIVE)?;
        epoll::add(&set, &door.bell, EventData::new_u64(1), EventFlags::IN)?;
        Ok(Place { door, epoll: set })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "a place costs a descriptor on Linux")]
    pub(super) fn at(door: Arc<Door>) -> io::Result<Place> {
        Ok(Place { door })
    }

    pub(super) fn is_at(&self, door: &Arc<Door>) -> bool {
        Arc::ptr_eq(&self.door, door)
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.door.listener
    }

    /// Waits until there may be a connection, or the door is closed. An interrupted wait is one that ended.
    #[cfg(target_os = "linux")]
    pub(super) fn wait(&self) {
        use rustix::event::epoll::{self, Event, EventData, EventFlags};
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 2];
        let _ = epoll::wait(&self.epoll, &mut events, None);
    }

    /// Waits until there may be a connection, or the door is closed. An interrupted wait is one that ended.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn wait(&self) {
        use rustix::event::{PollFd, PollFlags};
        let mut fds = [PollFd::new(&self.door.listener, PollFlags::IN), PollFd::new(&self.door.bell, PollFlags::IN)];
        let _ = rustix::event::poll(&mut fds, None);
    }
}
