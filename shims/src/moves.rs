//! The two moves. What of the first goes wrong is not told: the second says it better, being `govern` itself.

use core::convert::Infallible;
use core::mem;
use core::time::Duration;

use govern_wire::{Answer, Question, Tool};

use crate::environment::{edited, edited_len, told};
use crate::home::Home;
use crate::sys::{self, Clock, Errno};
use crate::text::{Arena, List, ListBuilder, Text, decimal};

/// For connecting, asking and hearing together. What is promised is 50 ms; the kernel counts in ticks, of 10 ms at
/// worst, and lets one more pass.
const DEADLINE: Duration = Duration::from_millis(40);

/// The least that a socket waits.
const GLANCE: Duration = Duration::from_micros(1);

/// Exit status: `govern` failed, here by not being there.
const FAILED: i32 = 125;

/// Exit status: `govern` cannot be executed.
const CANNOT_EXECUTE: i32 = 126;

/// What the kernel gave to this process.
pub(crate) struct Process {
    /// What the program was built as.
    pub(crate) tool: Tool<'static>,
    /// `argv`, with its end.
    pub(crate) arguments: &'static mut List<'static>,
    /// `environ`, with its end.
    pub(crate) environment: &'static List<'static>,
    /// The effective user, or `None` when the program runs with more rights than its caller: such a one asks nobody.
    pub(crate) uid: Option<u32>,
    /// The path that the caller executed, where the kernel tells. A link perhaps, or a script that has us run it.
    pub(crate) executed: Option<Text<'static>>,
}

/// All the memory there is: zeros, of which the kernel gives only the pages that are touched.
///
/// Each page touched costs a fault, which on a virtual machine is dearer than most system calls. So the first move's
/// table is small and lies in one page with the beginning of its space, which is all that most calls use.
#[repr(C, align(4096))]
pub(crate) struct Scratch {
    first: Memory<{ 512 * 1024 }>,
    /// Apart, so that the second move has room however far the first came.
    second: Memory<{ 16 * 1024 }>,
}

#[repr(C)]
struct Memory<const SPACE: usize> {
    /// For a usual environment, or list of arguments. Those that need more get it by [`large_enough`].
    table: [Option<Text<'static>>; 160],
    space: [u8; SPACE],
}

impl<const SPACE: usize> Memory<SPACE> {
    const ZERO: Memory<SPACE> = Memory { table: [None; 160], space: [0; SPACE] };
}

impl Scratch {
    pub(crate) const ZERO: Scratch = Scratch { first: Memory::ZERO, second: Memory::ZERO };
}

/// Becomes another program.
pub(crate) fn become_another(mut process: Process, scratch: &'static mut Scratch) -> ! {
    let mut space = Arena::new(&mut scratch.first.space);
    let mut last_space = Arena::new(&mut scratch.second.space);
    let Some(own) = executed(&process).or_else(|| space.fill(sys::own_path)) else {
        sys::complain(b"error: cannot find the path of this program\nhint: mount -t proc proc /proc\n");
        sys::exit(FAILED);
    };
    let Some(home) = Home::of(own) else {
        let hint = b" does not lie in the `bin` of govern\nhint: ~/.local/share/govern/bin/govern setup\n";
        sys::complain(last_space.bytes(&[b"error: ", own, hint]).unwrap_or(hint));
        sys::exit(FAILED);
    };
    if let Some(launcher) = home.launcher {
        process.tool = Tool::Launcher(launcher);
    }
    let None = run(&mut process, &home, &mut space, &mut scratch.first.table);
    let errno = fall_back(&process, &home, &mut last_space, &mut scratch.second.table).unwrap_or(Errno::ENOMEM);
    sys::exit(explain(errno, &home, &mut last_space));
}

/// The path of the running file, where the one that was executed is its real one: asking for it costs more than all
/// else that is done here, because the kernel makes up a directory in `/proc` for every process that is asked about.
fn executed(process: &Process) -> Option<&'static [u8]> {
    let path = process.executed?;
    let Home { launcher, .. } = Home::of(path.bytes())?;
    // The name is no link's and no script's: those come by their own.
    let is_ours = launcher.is_some() || path.bytes().rsplit(|byte| *byte == b'/').next() == Some(process.tool.name());
    (is_ours && sys::is_real(path)).then(|| path.bytes())
}

/// The first move: what the daemon names. Returns only when nothing has happened.
fn run(
    process: &mut Process,
    home: &Home<'_>,
    space: &mut Arena<'static>,
    table: &'static mut List<'static>,
) -> Option<Infallible> {
    let Answer::Run(run) = Answer::decode(ask(process, home, space)?).ok()? else { return None };
    let program = space.text(&[run.program])?;
    // Before the program is looked for: whoever removes it takes the lease first.
    let _lease = match run.lease {
        Some(path) => Some(sys::lease(space.text(&[path])?)?),
        None => None,
    };
    let table = large_enough(table, edited_len(process.environment, &run))?;
    let environment = edited(process.environment, &run, space, table)?;

    let name = *process.arguments.first()?;
    let arguments = process.arguments.get_mut(usize::try_from(run.drop_arguments).ok()?..)?;
    if run.drop_arguments > 0 && arguments.len() < 2 {
        return None;
    }
    // In place, for there may be a megabyte of them: argv[0] takes the seat of the last one dropped.
    let dropped = mem::replace(arguments.first_mut()?, name);
    // Whether the program is there and may be run is for `execve` to say: nobody could change it in between.
    sys::become_program(program, arguments, environment);
    *arguments.first_mut()? = dropped;
    None
}

/// Asks the daemon. `None` when there is none, it is not ours, or it says nothing of use in time.
fn ask(process: &Process, home: &Home<'_>, space: &mut Arena<'static>) -> Option<&'static [u8]> {
    let uid = process.uid?;
    let clock = Clock::start();
    let socket = sys::connect(&[home.directory, b"/run"], b"/shim.sock", space, DEADLINE)?;
    if sys::peer_uid(&socket)? != uid {
        return None;
    }
    // A directory outside this process's root has no name that the daemon could follow.
    let cwd = space.fill(sys::working_directory).filter(|cwd| cwd.starts_with(b"/"))?;
    let question = space.fill(|buffer| {
        let arguments = process.arguments.iter().flatten().skip(1).map(|argument| argument.bytes());
        Question::encode(buffer, process.tool, cwd, arguments, told(process.environment)).ok().map(<[u8]>::len)
    })?;
    sys::send_all(&socket, question)?;
    space.fill(|buffer| {
        let mut len = 0;
        // A look at least: what took the time may have been this process, waiting for a processor.
        let mut wait = clock.left(DEADLINE).unwrap_or(GLANCE);
        loop {
            // An interruption (stopped and continued meanwhile) is no reason to start over: `govern` knows as much.
            match sys::receive(&socket, buffer.get_mut(len..)?, wait)? {
                0 => return None,
                received => len += received,
            }
            let whole = Answer::frame_len(buffer.get(..len)?).ok()?;
            if whole.is_some_and(|whole| whole <= len) {
                return Some(len);
            }
            wait = clock.left(DEADLINE)?;
        }
    })
}

/// The second move: `govern __shim TOOL ARGS…`. Returns only when that cannot be executed, with the reason unless it
/// is too little memory.
fn fall_back(
    process: &Process,
    home: &Home<'_>,
    space: &mut Arena<'static>,
    table: &'static mut List<'static>,
) -> Option<Errno> {
    let program = space.text(&[home.directory, b"/bin/govern"])?;
    let mut arguments = ListBuilder::new(large_enough(table, process.arguments.len() + 3)?);
    for prefix in [b"govern", &b"__shim"[..], process.tool.name()] {
        arguments.push(space.text(&[prefix])?)?;
    }
    for argument in process.arguments.iter().copied().flatten().skip(1) {
        arguments.push(argument)?;
    }
    Some(sys::become_program(program, arguments.finish()?, process.environment))
}

/// Says why not even `govern` runs, and gives the status to leave with.
fn explain(errno: Errno, home: &Home<'_>, space: &mut Arena<'_>) -> i32 {
    let mut number = [0; 10];
    let cause: &[&[u8]] = match errno {
        Errno::ENOENT | Errno::ENOTDIR => &[b"no such file"],
        Errno::EACCES => &[b"permission denied"],
        Errno::E2BIG => &[b"argument list too long"],
        Errno::ENOEXEC => &[b"not a program for this machine"],
        Errno::ENOMEM => &[b"out of memory"],
        Errno(code) => &[b"system error ", decimal(code.unsigned_abs(), &mut number)],
    };
    let hint: &[&[u8]] = match errno {
        Errno::EACCES => &[b"chmod +x ", home.directory, b"/bin/govern"],
        Errno::E2BIG => &[b"pass fewer arguments, or a shorter environment"],
        _ => &[b"reinstall govern, or take ", home.directory, b"/bin out of PATH"],
    };
    let mut say = |pieces: &[&[u8]]| space.bytes(pieces).unwrap_or_default();
    let (cause, hint) = (say(cause), say(hint));
    // One write, so that two shims that fail at once do not mix their lines.
    let pieces = [b"error: cannot run ", home.directory, b"/bin/govern: ", cause, b"\nhint: ", hint, b"\n"];
    sys::complain(say(&pieces));
    if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) { FAILED } else { CANNOT_EXECUTE }
}

/// The table, or a bigger one from the kernel.
fn large_enough(table: &'static mut List<'static>, len: usize) -> Option<&'static mut List<'static>> {
    if len <= table.len() { Some(table) } else { sys::table(len) }
}
