//! The daemon's socket, as something to look at: whether anybody holds it, and who. Leaves out speaking (`ask`).

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use tokio::net::UnixStream;

/// The longest path of a socket that every system takes.
const MAX_PATH: usize = 100;

/// The socket that the command line asks on.
pub(crate) struct Socket {
    path: PathBuf,
    /// Directories that paths given out lead through, kept open.
    ways: RefCell<Vec<File>>,
}

impl Socket {
    /// That of an installation.
    pub(crate) fn of(layout: &Layout) -> Socket {
        Socket { path: layout.api_socket(), ways: RefCell::default() }
    }

    /// Where to connect now: a daemon that starts may put its directory elsewhere.
    pub(crate) fn path(&self) -> PathBuf {
        self.short_path().unwrap_or_else(|| self.path.clone())
    }

    /// A path that is too long for a socket's address leads through an open directory, to which Linux gives a name.
    fn short_path(&self) -> Option<PathBuf> {
        let (dir, name) = (self.path.parent()?, self.path.file_name()?);
        if self.path.as_os_str().len() <= MAX_PATH || !cfg!(target_os = "linux") {
            return None;
        }
        let way = File::open(dir).ok()?;
        let path = Path::new("/proc/self/fd").join(way.as_raw_fd().to_string()).join(name);
        self.ways.borrow_mut().push(way);
        Some(path)
    }

    /// True when somebody holds it open, whether they answer or not.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.connect(), Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS))
    }

    /// Connects without waiting: a daemon that was stopped has a full queue some day.
    fn connect(&self) -> Result<(), Errno> {
        let address = SocketAddrUnix::new(self.path())?;
        let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        fcntl_setfl(&socket, OFlags::NONBLOCK)?;
        net::connect(&socket, &address)
    }

    /// The process that holds it, where the system tells.
    pub(crate) async fn holder(&self) -> Option<i32> {
        UnixStream::connect(self.path()).await.ok()?.peer_cred().ok()?.pid()
    }
}

/// Whether a process still runs; one that has ended and that nobody has waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        return fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    use govern_core::layout::Layout;

    use super::{Socket, is_alive};

    #[test]
    fn a_socket_is_held_for_as_long_as_somebody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let names = if cfg!(target_os = "linux") {
            vec!["short".to_owned(), "long".repeat(40)]
        } else {
            vec!["short".to_owned()]
        };
        for name in names {
            let layout = Layout::under(&dir.path().join(name));
            let socket = Socket::of(&layout);
            assert!(!socket.is_held(), "there is none");
            fs::create_dir_all(layout.run()).unwrap();
            let listener = UnixListener::bind(socket.path()).unwrap();
            assert!(socket.is_held(), "somebody listens and accepts nothing");
            drop(listener);
            // A child that another test starts has a copy of the listener from its fork until it executes its program.
            let begin = Instant::now();
            while socket.is_held() {
                assert!(begin.elapsed() < Duration::from_secs(10), "nobody listens any more");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive() {
        assert!(is_alive(std::process::id()));
        let mut child =
            Command::new("sh").args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(is_alive(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!is_alive(child.id()));
    }
}
