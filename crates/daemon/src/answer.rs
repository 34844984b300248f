//! One question of a shim, from its bytes to the bytes of the answer. Names a program that is there, or sends the shim
//! to `govern`, which installs, explains and looks further down PATH: nothing here waits for anything but the disk.
//!
//! The same question is not decided twice, for as long as what it was decided by stands. Leaves out what that is (engine).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use govern_core::command::Command;
use govern_core::decide::{Launchers, Question, Target, Tool};
use govern_core::link::Link;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_engine::{Basis, Decided, Engine};
use govern_wire::{self as wire, Answer, BufferFull, RunWriter};

use crate::answered::Answered;

/// An answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Reply<'b> {
    /// The bytes.
    pub(crate) frame: &'b [u8],
    /// The shim is sent to `govern`.
    pub(crate) is_fallback: bool,
    /// What to take note of once the bytes are sent.
    pub(crate) answered: Option<Arc<Answered>>,
}

/// Answers that are remembered at once: those who build ask the same few questions over and over. Each may take some
/// kilobytes.
const MOST: usize = 256;

/// Answers questions, and remembers the answers for as long as what they were decided by stands.
#[derive(Debug)]
pub(crate) struct Answers {
    engine: Engine,
    /// Std lock: held for a look-up or an insertion.
    known: RwLock<HashMap<Key, Arc<Known>>>,
}

/// All that a question says of which Go it gets.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The program, the working directory and the variables, a zero byte behind each.
    caller: Vec<u8>,
    command: Command,
}

/// An answer that names a program, and what it was decided by.
#[derive(Debug)]
struct Known {
    basis: Basis,
    lease: Option<PathBuf>,
    frame: Vec<u8>,
    answered: Arc<Answered>,
}

impl Answers {
    /// Remembers nothing yet.
    pub(crate) fn new(engine: Engine) -> Answers {
        Answers { engine, known: RwLock::default() }
    }

    /// Answers a question; the buffer has room for every frame. Whatever cannot be answered is `govern`'s to explain.
    pub(crate) fn answer<'b>(&self, frame: &[u8], buffer: &'b mut [u8]) -> Reply<'b> {
        let question = match wire::Question::decode(frame) {
            Ok(question) => question,
            Err(fault) => {
                tracing::debug!(%fault, "a question cannot be understood");
                return fallback(buffer, None);
            }
        };
        let key = Key::of(&question);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone);
        let Some(known) = known.filter(|known| self.stands(known)) else { return self.decide(key, &question, buffer) };
        let frame = &mut buffer[..known.frame.len()];
        frame.copy_from_slice(&known.frame);
        let decided = &known.answered.decided;
        tracing::debug!(dir = ?decided.dir, target = ?decided.decision.target, "asked again");
        Reply { frame, is_fallback: false, answered: Some(Arc::clone(&known.answered)) }
    }

    fn stands(&self, known: &Known) -> bool {
        self.engine.stands(&known.basis) && known.lease.as_ref().is_none_or(|lease| lease.exists())
    }

    fn decide<'b>(&self, key: Key, question: &wire::Question<'_>, buffer: &'b mut [u8]) -> Reply<'b> {
        let engine = &self.engine;
        let (question, cwd) = match read(question) {
            Ok(read) => read,
            Err(fault) => {
                tracing::debug!(fault, "a question cannot be understood");
                return fallback(buffer, None);
            }
        };
        let (decided, basis) = match engine.decide_on_basis(&question, &cwd) {
            Ok(decided) => decided,
            Err(error) => {
                tracing::debug!(%error, ?cwd, "no decision");
                return fallback(buffer, None);
            }
        };
        let program = match &decided.decision.target {
            Target::Sdk(version) => program(engine, version, &question.tool),
            Target::Linked(link) => linked(link, &question.tool),
            Target::Install(_) | Target::PathGo { .. } => None,
        };
        let len = program.as_ref().and_then(|program| run(engine, program, &decided, buffer).ok());
        tracing::debug!(dir = ?decided.dir, target = ?decided.decision.target, "asked");
        let answered = Arc::new(Answered { cwd, vars: question.vars, decided });
        let (Some(program), Some(len)) = (program, len) else { return fallback(buffer, Some(answered)) };
        let frame = &buffer[..len];
        if let Some(basis) = basis {
            let (frame, answered) = (frame.to_vec(), Arc::clone(&answered));
            self.keep(key, Known { basis, lease: program.lease, frame, answered });
        }
        Reply { frame, is_fallback: false, answered: Some(answered) }
    }

    fn keep(&self, key: Key, answer: Known) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&key) {
            // As the engine's memory does: no order of use is kept on the path of every question.
            known.clear();
        }
        known.insert(key, Arc::new(answer));
    }
}

impl Key {
    fn of(question: &wire::Question<'_>) -> Key {
        let mut caller = Vec::with_capacity(512);
        // A launcher may be called anything, `go` for one.
        let kind = if matches!(question.tool, wire::Tool::Launcher(_)) { b"launcher" } else { &b"tool"[..] };
        for word in [kind, question.tool.name(), question.cwd] {
            caller.extend_from_slice(word);
            caller.push(0);
        }
        for (name, value) in question.variables() {
            caller.extend_from_slice(name);
            caller.push(b'=');
            caller.extend_from_slice(value);
            caller.push(0);
        }
        let arguments: Vec<&OsStr> = question.arguments().map(OsStr::from_bytes).collect();
        Key { caller, command: Command::parse(&arguments) }
    }
}

/// The answer that sends the shim to `govern`.
pub(crate) fn fallback(buffer: &mut [u8], answered: Option<Arc<Answered>>) -> Reply<'_> {
    let frame = Answer::encode_fallback(buffer).expect("a buffer for every frame has room for the shortest");
    Reply { frame, is_fallback: true, answered }
}

/// Reads a question, and the directory that it is asked in.
fn read(question: &wire::Question<'_>) -> Result<(Question, PathBuf), String> {
    let tool = match question.tool {
        wire::Tool::Go => Tool::Go,
        wire::Tool::Gofmt => Tool::Gofmt,
        wire::Tool::Launcher(name) => {
            let name = str::from_utf8(name).map_err(|_| "the launcher's name is no version".to_owned())?;
            Tool::Launcher(Version::parse(name).map_err(|fault| fault.to_string())?)
        }
    };
    let mut vars = Vars::default();
    for (name, value) in question.variables() {
        if let Ok(name) = str::from_utf8(name) {
            vars.set(name, OsStr::from_bytes(value));
        }
    }
    let args = question.arguments().map(|arg| OsStr::from_bytes(arg).to_owned()).collect();
    let cwd = PathBuf::from(OsStr::from_bytes(question.cwd));
    Ok((Question { tool, args, vars }, cwd))
}

/// What is to be run, and what is to be locked meanwhile.
struct Program {
    goroot: PathBuf,
    path: PathBuf,
    /// None for a tree that govern never removes.
    lease: Option<PathBuf>,
}

/// The program of an installed SDK, and its lease. `None` when the SDK is on its way out.
fn program(engine: &Engine, version: &Version, tool: &Tool) -> Option<Program> {
    let goroot = engine.goroot(version);
    let lease = engine.layout().lease(version);
    // The shim opens the file and makes none. Taking a lease makes it.
    if !lease.exists() {
        engine.lease(version).inspect_err(|error| tracing::debug!(%error, "no lease")).ok()?;
    }
    Some(Program { path: goroot.join("bin").join(tool.program()), goroot, lease: Some(lease) })
}

/// The program of a tree of the user's own. `None` when it cannot run: `govern` says why.
fn linked(link: &Link, tool: &Tool) -> Option<Program> {
    let goroot = link.goroot.clone();
    link.fault.is_none().then(|| Program { path: goroot.join("bin").join(tool.program()), goroot, lease: None })
}

fn run(engine: &Engine, program: &Program, decided: &Decided, buffer: &mut [u8]) -> Result<usize, BufferFull> {
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_owned();
    let edits = &decided.decision.edits;
    let lease = program.lease.as_deref().map(bytes);
    let mut writer = RunWriter::new(buffer, &bytes(&program.path), lease.as_deref())?;
    let dropped = u32::try_from(decided.decision.drop_args).map_err(|_| BufferFull)?;
    if dropped > 0 {
        writer = writer.drop_arguments(dropped)?;
    }
    for (name, value) in &edits.set {
        writer = writer.set(name.as_bytes(), value.as_bytes())?;
    }
    if edits.set_goroot {
        writer = writer.set(b"GOROOT", &bytes(&program.goroot))?;
    }
    for name in &edits.unset {
        writer = writer.unset(name.as_bytes())?;
    }
    let launchers = bytes(&match edits.launchers {
        Launchers::All => engine.layout().launchers_all(),
        Launchers::Installed => engine.layout().launchers_installed(),
    });
    // PATH has no way to write a directory with a colon.
    if !launchers.contains(&b':') {
        writer = writer.append_path(&launchers)?;
    }
    Ok(writer.finish()?.len())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use govern_engine::Engine;
    use govern_wire::{MAX_FRAME, Question, Tool};

    use super::{Answers, Key, MOST};
    use crate::tests::{Home, LONG};

    fn key(tool: Tool<'_>, dir: &str, args: &[&str], vars: &[&str]) -> Key {
        let (args, vars) = (args.iter().map(|arg| arg.as_bytes()), vars.iter().map(|var| var.as_bytes()));
        let mut buffer = vec![0; MAX_FRAME];
        let frame = Question::encode(&mut buffer, tool, dir.as_bytes(), args, vars).unwrap();
        Key::of(&Question::decode(frame).unwrap())
    }

    #[test]
    fn questions_are_the_same_when_nothing_differs_that_counts() {
        let plain = || key(Tool::Go, "/a", &["build", "./x"], &["HOME=/h", "GOWORK="]);
        assert_eq!(plain(), key(Tool::Go, "/a", &["test", "-run", "X"], &["HOME=/h", "GOWORK="]));
        for other in [
            key(Tool::Gofmt, "/a", &["build"], &["HOME=/h", "GOWORK="]),
            key(Tool::Launcher(b"go"), "/a", &["build"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/b", &["build"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/a", &["+1.22", "build"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/a", &["-C", "x", "build"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/a", &["install", "example.com/x@v1"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/a", &["env", "GOMOD"], &["HOME=/h", "GOWORK="]),
            key(Tool::Go, "/a", &["build"], &["HOME=/h", "GOWORK=off"]),
            key(Tool::Go, "/a", &["build"], &["HOME=/h"]),
        ] {
            assert_ne!(plain(), other);
        }
    }

    #[test]
    fn no_more_answers_are_remembered_than_there_is_room_for() {
        let home = Home::with(&["1.22.4"]);
        let dir = home.project("shop", "1.22.4\n");
        let answers = Answers::new(Engine::open(home.layout.clone(), home.setup().platform).unwrap());
        let mut buffer = vec![0; MAX_FRAME];
        let mut ask = |flags: usize| {
            let frame = home.question(Tool::Go, &dir, &[], &[format!("GOFLAGS={flags}")]);
            assert!(!answers.answer(&frame, &mut buffer).is_fallback);
            answers.known.read().unwrap().len()
        };
        // What was written a moment ago is not remembered at all.
        let begin = Instant::now();
        while ask(0) == 0 {
            assert!(begin.elapsed() < LONG, "nothing is ever remembered");
        }
        assert_eq!((1..=2 * MOST).map(ask).max(), Some(MOST));
    }
}
