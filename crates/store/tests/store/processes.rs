//! What only other processes can show: locks that die with their holders, leases that children inherit, modes under
//! another umask. The other process is this test program again, running one of the ignored tests below, which takes
//! its orders on stdin.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use govern_core::event::Event;
use govern_core::layout::Layout;
use govern_core::proof::Format;
use govern_store::{Error, Store};

use crate::archives::tar_gz;
use crate::support::{Home, picture, platform, silent, small_sdk, version};

/// What a child says when it has done its part and waits.
const READY: &str = "child is ready";

/// Held by each test that starts a program: one started beside would inherit what is meant for another, a lease.
static STARTS_PROGRAMS: Mutex<()> = Mutex::new(());

struct Helper {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts this program with one ignored test, from a shell that runs `first`, on the store of `home`.
    fn start(test: &str, first: &str, home: &Home) -> Helper {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{first} exec \"$0\" --ignored --exact --nocapture \"$1\"")])
            .arg(program)
            .arg(format!("processes::{test}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{}", home.layout.data.display()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Helper { child, stdout }
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        while !line.contains(READY) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "the child ended before it was ready");
        }
    }
}

/// In a child: the store that it is told to use.
fn told_store() -> Store {
    Store::open(&Layout::under(&told_home())).unwrap()
}

fn told_home() -> PathBuf {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let home = PathBuf::from(line.trim_end());
    assert!(home.is_absolute(), "another test starts this one");
    home
}

/// In a child: says that it is ready, and waits for the end of its input.
fn ready() {
    io::stdout().write_all(format!("{READY}\n").as_bytes()).unwrap();
    io::stdin().read_to_string(&mut String::new()).unwrap();
}

#[test]
#[ignore = "the other process of a_killed_install_is_swept_and_its_lock_is_free"]
fn child_that_stops_in_the_middle_of_an_archive() {
    struct Stopping<'a>(&'a [u8]);
    impl io::Read for Stopping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                ready();
            }
            self.0.read(buffer)
        }
    }
    let store = told_store();
    let mut files = small_sdk(&version());
    files.insert("src/big".to_owned(), ((0..1_000_000_u32).flat_map(u32::to_le_bytes).collect(), false));
    let archive = tar_gz(&files);
    let staging = store.stage(store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
    let _ = staging.unpack_tar_gz(&mut Stopping(&archive[..archive.len() / 2]), &silent);
}

#[test]
fn a_killed_install_is_swept_and_its_lock_is_free() {
    let _alone = STARTS_PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Home::new();
    let before = picture(&home.layout.sdks());
    let mut helper = Helper::start("child_that_stops_in_the_middle_of_an_archive", "", &home);
    helper.wait_until_ready();

    // Alive: the sweep keeps off, and who wants the lock hears who has it.
    // What was read when the archive stopped is written soon after.
    let working = loop {
        let working = picture(&home.layout.sdks());
        if working.len() > before.len() + 5 {
            break working;
        }
        thread::yield_now();
    };
    assert_eq!(home.store.sweep().unwrap().staging, 0);
    let swept = picture(&home.layout.sdks());
    assert!(working.keys().all(|path| swept.contains_key(path)), "{working:?} {swept:?}");
    let (events, heard) = mpsc::channel();
    let store = home.store.clone();
    let waiter = thread::spawn(move || store.lock(&version(), &move |event| events.send(event).unwrap()).map(drop));
    let Event::Waiting { holder } = heard.recv().unwrap() else { panic!() };
    assert!(holder.starts_with(&format!("process {}", helper.child.id())), "{holder}");

    helper.child.kill().unwrap();
    helper.child.wait().unwrap();
    waiter.join().unwrap().unwrap();
    assert_eq!(home.store.sweep().unwrap().staging, 1);
    assert_eq!(picture(&home.layout.sdks()), before);
    home.install(&version());
}

#[test]
#[ignore = "the other process of modes_do_not_depend_on_the_umask"]
fn child_that_installs() {
    let store = told_store();
    let staging = store.stage(store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
    let unpacked = staging.unpack_tar_gz(&mut &tar_gz(&small_sdk(&version()))[..], &silent).unwrap();
    let proof = crate::support::proof(unpacked.evidence());
    unpacked.prove(proof).unwrap().publish(crate::support::SOURCE, crate::support::now()).unwrap();
    ready();
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let _alone = STARTS_PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    for umask in ["000", "027", "077"] {
        let home = Home::new();
        let mut helper = Helper::start("child_that_installs", &format!("umask {umask};"), &home);
        helper.wait_until_ready();
        drop(helper.child.stdin.take());
        assert!(helper.child.wait().unwrap().success());
        assert_eq!(home.store.verify(&version()).unwrap(), vec![], "umask {umask}");
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode();
        assert_eq!(mode(home.layout.sdk(&version())), 0o040_555);
        assert_eq!(mode(home.layout.record(&version())), 0o100_644);
        assert_eq!(mode(home.layout.lease(&version())), 0o100_644);
    }
}

#[test]
fn an_sdk_is_not_removed_while_a_program_that_inherited_the_lease_runs() {
    let _alone = STARTS_PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Home::new();
    home.install(&version());
    let lease = home.store.lease(&version()).unwrap().into_inheritable().unwrap();
    assert!(lease.as_raw_fd() >= 100);
    // The shell stands for a go command, the inner one for what it started and left running.
    let mut child = Command::new("sh").args(["-c", "sh -c 'read line'"]).stdin(Stdio::piped()).spawn().unwrap();
    drop(lease);

    match home.store.remove(&version()) {
        Err(error @ Error::InUse { .. }) => {
            let message = error.to_string();
            assert!(message.starts_with("go1.22.4 is in use"), "{message}");
            if cfg!(target_os = "linux") {
                assert!(message.contains(&format!("process {} (sh -c ", child.id())), "{message}");
            }
        }
        other => panic!("{other:?}"),
    }
    assert!(home.store.sdk(&version()).is_some());

    writeln!(child.stdin.as_mut().unwrap()).unwrap();
    assert!(child.wait().is_ok());
    home.store.remove(&version()).unwrap();
    assert_eq!(home.store.sdk(&version()), None);
}

/// What a process may have in memory that unpacks hostile archives, the test program's own few MiB included.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 64 << 20;

#[test]
#[ignore = "the other process of hostile_archives_cost_little_memory"]
fn child_that_unpacks_what_lies_beside() {
    let home = told_home();
    let store = Store::open(&Layout::under(&home)).unwrap();
    let mut refused = 0;
    for format in [Format::TarGz, Format::ModuleZip] {
        let archives = home.parent().unwrap().join(format!("{format:?}"));
        for entry in fs::read_dir(archives).unwrap() {
            let path = entry.unwrap().path();
            let staging = store.stage(store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
            let unpacked = match format {
                Format::TarGz => staging.unpack_tar_gz(&mut BufReader::new(File::open(path).unwrap()), &silent),
                Format::ModuleZip => staging.unpack_module_zip(Cursor::new(&fs::read(path).unwrap()[..]), &silent),
            };
            refused += u64::from(matches!(unpacked, Err(Error::Refused { .. })));
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    io::stdout().write_all(format!("refused {refused} within {peak} KiB\n").as_bytes()).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn hostile_archives_cost_little_memory() {
    let _alone = STARTS_PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Home::in_memory();
    let cases = crate::hostile::all_cases();
    for (format, cases) in &cases {
        let archives = home.layout.data.parent().unwrap().join(format!("{format:?}"));
        fs::create_dir_all(&archives).unwrap();
        for (at, case) in cases.iter().enumerate() {
            fs::write(archives.join(format!("{at}-{}", cases.len())), &case.archive).unwrap();
        }
    }
    let mut helper = Helper::start("child_that_unpacks_what_lies_beside", "", &home);
    drop(helper.child.stdin.take());
    let mut said = String::new();
    helper.stdout.read_to_string(&mut said).unwrap();
    let words: Vec<u64> = said
        .lines()
        .find_map(|line| line.split_once("refused ").map(|(_, rest)| rest))
        .expect("the child says what it saw")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [refused, peak] = words[..] else { panic!("{said}") };
    println!("{refused} hostile archives, one after the other, within {peak} KiB");
    assert_eq!(refused, cases.iter().map(|(_, cases)| cases.len() as u64).sum::<u64>());
    assert!(peak * 1024 < MEMORY, "{peak} KiB");
}
