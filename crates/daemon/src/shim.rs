//! Where the shims ask. Blocking threads of their own, so that no other work of the daemon ever delays a `go`.
//!
//! Every thread waits for connections by itself and serves those it gets, so that no question changes hands and none
//! wakes more than one thread (see `door`). A thread that leaves nobody behind at the door starts another, so that
//! questions which come byte by byte hold up their own thread and no one else's.

mod door;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use govern_wire::{MAX_FRAME, Question};
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SendFlags};

use crate::answer::{Reply, fallback};
use crate::answered::Answered;
use crate::os;
use door::{Door, Place};

/// Threads that wait for questions when nobody asks.
const AT_REST: usize = 4;

/// Threads at most. Questions beyond them wait in the socket's queue, and their shims decide by themselves.
const MOST: usize = 64;

/// How long a question may take to arrive, and its answer to leave. A shim waits for half of it.
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);

/// A peer that has hung up is an error, and no signal. macOS has no such flag; the process ignores the signal anyway.
#[cfg(target_os = "macos")]
const NO_SIGNAL: SendFlags = SendFlags::empty();
#[cfg(not(target_os = "macos"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// How long to wait after an error that another try at once would only repeat.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long questions that are being answered are waited for at the end.
const END: Duration = Duration::from_secs(1);

/// Turns the bytes of a question into those of an answer.
pub(crate) type Responder = Box<dyn for<'b> Fn(&[u8], &'b mut [u8]) -> Reply<'b> + Send + Sync>;

/// Takes note of an answer that was sent.
pub(crate) type Noter = Box<dyn Fn(Arc<Answered>) + Send + Sync>;

/// The threads that answer the shims.
#[derive(Clone)]
pub(crate) struct ShimLane {
    shared: Arc<Shared>,
}

struct Shared {
    /// Std mutex: held for a clone or an exchange.
    door: Mutex<Arc<Door>>,
    /// Std mutex: held for a moment.
    threads: Mutex<Threads>,
    ended: Condvar,
    deadline: Duration,
    /// The user who may ask.
    uid: u32,
    respond: Responder,
    note: Noter,
    questions: AtomicU64,
    fallbacks: AtomicU64,
}

#[derive(Default)]
struct Threads {
    alive: usize,
    /// Those that wait for a connection or for their turn to.
    idle: usize,
    ending: Option<Ending>,
}

/// What becomes of the connections that nobody has taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are answered: the socket ends with us.
    Answer,
    /// They are left to the next daemon: a service manager keeps the socket.
    Leave,
}

impl ShimLane {
    /// Starts to answer the questions that arrive on a non-blocking listener, each within [`DEADLINE`] or another time.
    pub(crate) fn start(
        listener: UnixListener,
        deadline: Duration,
        respond: Responder,
        note: Noter,
    ) -> anyhow::Result<ShimLane> {
        let door = Door::new(listener).context("cannot wait for the shims")?;
        let shared = Arc::new(Shared {
            door: Mutex::new(Arc::new(door)),
            threads: Mutex::default(),
            ended: Condvar::new(),
            deadline,
            uid: os::own_uid(),
            respond,
            note,
            questions: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
        });
        for _ in 0..AT_REST {
            Shared::grow(&shared, &mut shared.threads()).context("cannot start a thread for the shims")?;
        }
        Ok(ShimLane { shared })
    }

    /// Goes on with another listener.
    pub(crate) fn replace(&self, listener: UnixListener) -> io::Result<()> {
        let door = Arc::new(Door::new(listener)?);
        let old = std::mem::replace(&mut *self.shared.door.lock().unwrap_or_else(PoisonError::into_inner), door);
        old.close();
        Ok(())
    }

    /// Questions answered so far, and how many of them were sent to `govern`.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.questions.load(Ordering::Relaxed), self.shared.fallbacks.load(Ordering::Relaxed))
    }

    /// Ends the threads; questions that were taken are answered. Blocks.
    pub(crate) fn end(&self, ending: Ending) {
        let mut threads = self.shared.threads();
        threads.ending = Some(ending);
        self.shared.door().close();
        let wait = self.shared.ended.wait_timeout_while(threads, END, |threads| threads.alive > 0);
        let (threads, waited) = wait.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::warn!(left = threads.alive, "questions are left unanswered");
        }
    }
}

impl Shared {
    /// Starts one more thread. The caller holds the lock of the threads.
    fn grow(self: &Arc<Self>, threads: &mut Threads) -> io::Result<()> {
        let shared = Arc::clone(self);
        thread::Builder::new().name("shim".to_owned()).spawn(move || shared.work())?;
        threads.alive += 1;
        threads.idle += 1;
        Ok(())
    }

    fn work(self: Arc<Self>) {
        // Zeroed by the kernel when first touched: a question that is short costs one page.
        let (mut question, mut answer) = (vec![0; MAX_FRAME], vec![0; MAX_FRAME]);
        let mut place = None;
        while let Some(connection) = self.accept(&mut place) {
            self.leave_the_door();
            // Somebody who hangs up or is too slow has nothing to be told.
            if let Err(error) = self.serve(&connection, &mut question, &mut answer) {
                tracing::debug!(%error, "a question came to nothing");
            }
            drop(connection);
            let mut threads = self.threads();
            if threads.idle >= AT_REST && threads.ending.is_none() {
                threads.alive -= 1;
                return;
            }
            threads.idle += 1;
        }
        let mut threads = self.threads();
        threads.alive -= 1;
        threads.idle -= 1;
        self.ended.notify_all();
    }

    /// Waits for a connection. `None` at the end.
    fn accept(&self, place: &mut Option<Place>) -> Option<UnixStream> {
        loop {
            let door = self.door();
            if place.as_ref().is_none_or(|place| !place.is_at(&door)) {
                *place = Place::at(door).inspect_err(|error| tracing::warn!(%error, "no place at the door")).ok();
            }
            let place = place.as_ref();
            place.map_or_else(pause, Place::wait);
            // Before a connection is taken: whoever sets it closes the door afterwards, which ends the wait.
            let ending = self.threads().ending;
            if ending == Some(Ending::Leave) {
                return None;
            }
            let Some(place) = place else { continue };
            match place.listener().accept() {
                Ok((connection, _)) => return Some(connection),
                // Somebody else was quicker, or the door is closed.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if ending.is_some() {
                        return None;
                    }
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection of a shim can be taken");
                    pause();
                }
            }
        }
    }

    /// Makes sure that somebody waits for the next connection.
    fn leave_the_door(self: &Arc<Self>) {
        let mut threads = self.threads();
        threads.idle -= 1;
        let is_alone = threads.idle == 0 && threads.alive < MOST && threads.ending.is_none();
        if is_alone && let Err(error) = self.grow(&mut threads) {
            tracing::warn!(%error, "no further thread for the shims");
        }
    }

    fn serve(&self, connection: &UnixStream, question: &mut [u8], answer: &mut [u8]) -> io::Result<()> {
        if os::peer_uid(connection)? != self.uid {
            return Err(io::Error::other("another user asks"));
        }
        // Elsewhere a connection takes this over from the listener.
        #[cfg(not(target_os = "linux"))]
        connection.set_nonblocking(false)?;
        let len = receive(connection, question, Instant::now() + self.deadline)?;
        // A panic costs this question and no other.
        let reply = match self.respond_or_panic(&question[..len], answer) {
            Ok(reply) => reply,
            Err(_) => fallback(answer, None),
        };
        self.questions.fetch_add(1, Ordering::Relaxed);
        if reply.is_fallback {
            self.fallbacks.fetch_add(1, Ordering::Relaxed);
        }
        // Sent whole or not at all: a frame fits into an empty socket's buffer, and nobody is waited for.
        let sent = rustix::net::send(connection, reply.frame, SendFlags::DONTWAIT | NO_SIGNAL)?;
        if sent < reply.frame.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // The shim goes on while we take note.
        if let Some(answered) = reply.answered {
            (self.note)(answered);
        }
        Ok(())
    }

    fn respond_or_panic<'b>(&self, question: &[u8], answer: &'b mut [u8]) -> thread::Result<Reply<'b>> {
        panic::catch_unwind(AssertUnwindSafe(move || {
            // Moved, and not lent again: the reply outlives the closure.
            let answer = answer;
            (self.respond)(question, answer)
        }))
    }

    fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a moment pass after an error that another try at once would only repeat.
fn pause() {
    let _ = rustix::event::poll(&mut [], Some(&PAUSE));
}

/// Reads one frame, or as much as cannot become one: the answer to that is the fallback. Gives its length.
fn receive(connection: &UnixStream, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    let mut len = 0;
    loop {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| left.as_micros() > 0);
        let left = left.ok_or(io::ErrorKind::TimedOut)?;
        // Waits in the call that reads: a shim connects before it knows what to ask, and we are awake too early.
        rustix::net::sockopt::set_socket_timeout(connection, Timeout::Recv, Some(left))?;
        match rustix::net::recv(connection, &mut buffer[len..], RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((read, _)) => len += read,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(e) => return Err(e.into()),
        }
        match Question::frame_len(&buffer[..len]) {
            Ok(Some(whole)) if len >= whole => return Ok(whole),
            Ok(_) => {}
            Err(_) => return Ok(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use govern_wire::{Answer, Question, RunWriter, Tool};

    use super::{AT_REST, DEADLINE, Ending, MOST, ShimLane};
    use crate::answer::{Reply, fallback};

    /// Says that the program is the directory it was asked in, panics in `/panic`, and sends the rest to `govern`.
    fn echo<'b>(frame: &[u8], buffer: &'b mut [u8]) -> Reply<'b> {
        let Ok(question) = Question::decode(frame) else { return fallback(buffer, None) };
        assert_ne!(question.cwd, b"/panic", "on purpose");
        let frame = RunWriter::new(buffer, question.cwd, None).unwrap().finish().unwrap();
        Reply { frame, is_fallback: false, answered: None }
    }

    struct Fixture {
        lane: ShimLane,
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    fn listen(path: &Path) -> UnixListener {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }

    fn fixture(deadline: Duration) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shim.sock");
        let lane = ShimLane::start(listen(&path), deadline, Box::new(echo), Box::new(|_| {})).unwrap();
        Fixture { lane, path, _dir: dir }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            self.lane.end(Ending::Leave);
        }
    }

    fn question(cwd: &str) -> Vec<u8> {
        let mut buffer = [0; 1024];
        Question::encode(&mut buffer, Tool::Go, cwd.as_bytes(), [].into_iter(), [].into_iter()).unwrap().to_vec()
    }

    /// The answer's bytes, up to the end of the connection.
    fn answer(mut connection: &UnixStream) -> Vec<u8> {
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        answer
    }

    fn ask(path: &Path, bytes: &[u8]) -> Vec<u8> {
        let mut connection = UnixStream::connect(path).unwrap();
        connection.write_all(bytes).unwrap();
        answer(&connection)
    }

    fn program(answer: &[u8]) -> Option<&[u8]> {
        match Answer::decode(answer).unwrap() {
            Answer::Run(run) => Some(run.program),
            Answer::Fallback => None,
        }
    }

    #[test]
    fn slow_questions_hold_up_nobody() {
        let fixture = fixture(Duration::from_secs(20));
        let slow: Vec<UnixStream> = (0..MOST / 2)
            .map(|at| {
                let mut connection = UnixStream::connect(&fixture.path).unwrap();
                connection.write_all(&question("/slow")[..at % 8]).unwrap();
                connection
            })
            .collect();
        assert_eq!(program(&ask(&fixture.path, &question("/quick"))), Some(&b"/quick"[..]));
        let mut late = slow.last().unwrap();
        late.write_all(&question("/slow")[(MOST / 2 - 1) % 8..]).unwrap();
        assert_eq!(program(&answer(late)), Some(&b"/slow"[..]));
        drop(slow);
        fixture.lane.end(Ending::Leave);
        assert_eq!(fixture.lane.shared.threads().alive, 0);
    }

    #[test]
    fn a_question_that_never_ends_is_hung_up_on() {
        let fixture = fixture(DEADLINE);
        let mut connection = UnixStream::connect(&fixture.path).unwrap();
        connection.write_all(&question("/slow")[..10]).unwrap();
        assert!(answer(&connection).is_empty());
        assert_eq!(fixture.lane.counts(), (0, 0));
    }

    #[test]
    fn garbage_and_questions_of_other_protocols_are_sent_to_govern() {
        let fixture = fixture(DEADLINE);
        assert_eq!(program(&ask(&fixture.path, b"GET / HTTP/1.1\r\n\r\n")), None);
        assert_eq!(program(&ask(&fixture.path, b"gvq\xff\0\0\0\0")), None);
        assert_eq!(program(&ask(&fixture.path, b"gvq\x01\xff\xff\xff\xff")), None);
        assert_eq!(program(&ask(&fixture.path, b"gvq\x01\x02\0\0\0zz")), None);
        assert_eq!(program(&ask(&fixture.path, &question("/good"))), Some(&b"/good"[..]));
    }

    #[test]
    fn a_panic_costs_one_question() {
        let fixture = fixture(DEADLINE);
        for _ in 0..2 * MOST {
            assert_eq!(program(&ask(&fixture.path, &question("/panic"))), None);
        }
        assert_eq!(program(&ask(&fixture.path, &question("/good"))), Some(&b"/good"[..]));
        let asked = 2 * MOST as u64;
        assert_eq!(fixture.lane.counts(), (asked + 1, asked));
    }

    #[test]
    fn another_listener_takes_over() {
        let fixture = fixture(DEADLINE);
        std::fs::remove_file(&fixture.path).unwrap();
        fixture.lane.replace(listen(&fixture.path)).unwrap();
        for _ in 0..2 * AT_REST {
            assert_eq!(program(&ask(&fixture.path, &question("/new"))), Some(&b"/new"[..]));
        }
    }

    #[test]
    fn questions_that_wait_at_the_end_are_answered_or_left_to_the_next_daemon() {
        for ending in [Ending::Answer, Ending::Leave] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("shim.sock");
            let listener = listen(&path);
            let kept = listener.try_clone().unwrap();
            let waiting: Vec<UnixStream> = (0..50)
                .map(|_| {
                    let mut connection = UnixStream::connect(&path).unwrap();
                    connection.write_all(&question("/waits")).unwrap();
                    connection
                })
                .collect();
            let lane = ShimLane::start(listener, DEADLINE, Box::new(echo), Box::new(|_| {})).unwrap();
            lane.end(ending);
            let mut left = 0;
            while kept.accept().is_ok() {
                left += 1;
            }
            assert_eq!(waiting.len() - left, usize::try_from(lane.counts().0).unwrap(), "none is lost");
            assert!(ending == Ending::Leave || left == 0, "{left} left");
        }
    }
}
