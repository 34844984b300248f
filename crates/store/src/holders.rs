//! Finds the processes that hold a lease, for a message. Linux tells in `/proc`; elsewhere nobody is named.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The longest command line that is shown, in characters.
const MAX_COMMAND: usize = 80;

/// Process ids and command lines of those who hold a lock on `file`, as far as this user may see them.
pub(crate) fn of(file: &File) -> Vec<(u32, String)> {
    let Ok(wanted) = file.metadata() else { return Vec::new() };
    let mut found: Vec<_> = entries(Path::new("/proc"))
        .filter_map(|name| name.parse().ok())
        .filter(|pid| holds_lock(*pid, wanted.dev(), wanted.ino()))
        .map(|pid| (pid, command(pid)))
        .collect();
    found.sort_unstable();
    found
}

/// True when a descriptor of the process is the file, and the lock was taken through it. Descriptors that children
/// inherited count: they share the lock.
fn holds_lock(pid: u32, dev: u64, ino: u64) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    entries(&process.join("fd")).any(|fd| {
        let same = fs::metadata(process.join("fd").join(&fd)).is_ok_and(|m| m.dev() == dev && m.ino() == ino);
        same && fs::read_to_string(process.join("fdinfo").join(&fd)).is_ok_and(|info| info.contains("FLOCK"))
    })
}

fn entries(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// The command line with the program's file name instead of its path.
fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split_terminator('\0');
    let program = words.next().and_then(|path| path.rsplit('/').next()).unwrap_or("?");
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ").chars().take(MAX_COMMAND).collect()
}
