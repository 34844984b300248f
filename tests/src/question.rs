//! Questions without a shim: what one real shim asked, put to a daemon again and again, from any directory. For tests and
//! measurements of the daemon alone; thousands of programs need not be started for them.
//!
//! Leaves out what the bytes mean: a shim wrote them, and the daemon must understand them.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// More than a question or an answer takes.
const BYTES: usize = 64 * 1024;

/// What a shim asks in one directory.
#[derive(Clone, Debug)]
pub struct Question {
    bytes: Vec<u8>,
    directory: PathBuf,
}

impl Question {
    /// Lets a shim ask in a directory. The command names the shim's file and brings arguments and variables; a copy of the
    /// file is run, in a home where only a listener is at home.
    ///
    /// # Panics
    /// When the shim does not ask.
    #[must_use]
    pub fn of(shim: &Command, directory: &Path) -> Question {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (program, run) = (home.path().join("bin/go"), home.path().join("run"));
        fs::create_dir(home.path().join("bin")).expect("a new directory");
        DirBuilder::new().mode(0o700).create(&run).expect("a new directory");
        fs::copy(shim.get_program(), &program).expect("a copy of the shim");
        let listener = UnixListener::bind(run.join("shim.sock")).expect("a socket");
        listener.set_nonblocking(true).expect("a socket that does not wait");
        let mut command = Command::new(&program);
        command.args(shim.get_args()).env_clear().current_dir(directory);
        command.envs(shim.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // As a shell would.
        command.env("PWD", directory);
        // Nobody answers, and there is no govern that it could become: it complains and ends.
        let mut child = command.stderr(Stdio::null()).spawn().expect("the shim runs");
        let mut bytes = vec![0; BYTES];
        let mut stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                Err(e) => panic!("no shim can be heard: {e}"),
            }
            let ended = child.try_wait().expect("the shim's end");
            assert!(ended.is_none(), "the shim ended without a question: {ended:?}");
        };
        stream.set_nonblocking(false).expect("a socket that waits");
        let read = stream.read(&mut bytes).expect("the shim asks");
        bytes.truncate(read);
        drop(stream);
        child.wait().expect("the shim ends");
        Question { bytes, directory: directory.to_owned() }
    }

    /// The same, asked in another directory, whose path has as many bytes: nothing else in the question changes then.
    ///
    /// # Panics
    /// When the path is longer or shorter, or the question does not name the directory.
    #[must_use]
    pub fn at(&self, directory: &Path) -> Question {
        let (from, to) = (self.directory.as_os_str().as_bytes(), directory.as_os_str().as_bytes());
        assert_eq!(from.len(), to.len(), "{} is as long as {}", directory.display(), self.directory.display());
        let mut bytes = self.bytes.clone();
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert_eq!(places.len(), 2, "the kernel's name of the directory and the shell's");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        Question { bytes, directory: directory.to_owned() }
    }

    /// Asks, and gives the answer's bytes.
    ///
    /// # Errors
    /// When nobody listens, or hangs up instead of answering.
    pub fn ask(&self, socket: &Path) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(&self.bytes)?;
        let mut answer = vec![0; 2048];
        // Sent in one piece. What the daemon does afterwards is nothing that a shim waits for.
        let read = stream.read(&mut answer)?;
        answer.truncate(read);
        if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }

    /// Asks, and tells whether the answer names this program.
    ///
    /// # Errors
    /// As [`Question::ask`].
    pub fn is_answered_with(&self, program: &Path, socket: &Path) -> io::Result<bool> {
        let (answer, program) = (self.ask(socket)?, program.as_os_str().as_bytes());
        Ok(answer.windows(program.len()).any(|bytes| bytes == program))
    }
}
