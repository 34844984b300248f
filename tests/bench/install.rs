//! Installing and uninstalling beside what anybody can type instead: `curl`, `sha256sum` and `tar`, then `rm -rf`. All of
//! them get the same archive from one mirror on loopback, which is a thread of this process.
//!
//! Leaves out the checksum database, which `curl` does not ask either: the mirror's list says the digest.

use std::cell::Cell;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use govern_core::version::Version;
use govern_tests::mirror::Mirror;

use crate::archives::Archives;
use crate::table::{Row, print as print_rows};
use crate::{cc, end, start};

/// Three times what an archive and its tree take in the page cache.
const MEMORY: usize = 1 << 30;

/// What an install is timed against, first.
const WAYS: [&str; 3] = ["curl, sha256sum, tar", "govern install without a daemon", "govern install with the daemon"];

/// Prints the rows of installs, of the next patch of the minor, and of uninstalls.
pub(crate) fn print(programs: &Path, archives: Option<Archives>, pairs: usize) {
    let scratch = Scratch(tempfile::tempdir().unwrap());
    let Some(archives) = archives.or_else(|| Archives::made(scratch.0.path())) else {
        println!(
            "\nno installs: there is no Go to make archives of. Give a directory of them: just bench ROUNDS ARCHIVES"
        );
        return;
    };
    let mirror = Mirror::serve(&archives.directory).unwrap();
    let measure = scratch.0.path().join("measure");
    cc("measure.c", &["-O2"], &measure);
    let place = Place { programs, measure, url: mirror.url(), archives, scratch, made: Cell::new(0) };
    let first = &place.archives.first;

    let (mut rows, mut peaks) = (WAYS.map(Row::of), [0; WAYS.len()]);
    let (mut next, mut part_of_disk) = (place.archives.next.as_ref().map(|next| Row::of(&installing(next))), 0.0);
    let (mut unpacked, mut installed) = (Vec::new(), Vec::new());
    // The first round warms what is warm later on, and counts for nothing.
    for round in 0..=pairs {
        let counts = round > 0;
        for at in 0..WAYS.len() {
            let at = (at + round) % WAYS.len();
            let home = place.fresh();
            let run = match at {
                0 => place.curl(&home),
                1 => place.install(&home, first),
                _ => place.install_with_daemon(&home, first),
            };
            if counts {
                rows[at].times.push(run.time);
                peaks[at] = peaks[at].max(run.kib);
            }
            match (at, &mut next) {
                (1, Some(row)) => {
                    let (version, before) = (place.archives.next.as_ref().unwrap(), disk(&home));
                    let run = place.install(&home, version);
                    row.times.extend(counts.then_some(run.time));
                    part_of_disk = (disk(&home) - before) / before;
                }
                (0, _) if counts => unpacked.push(home),
                (2, _) if counts => installed.push(home),
                _ => {}
            }
        }
    }
    let megabytes = fs::metadata(place.archives.path(first)).unwrap().len() / 1_000_000;
    print_rows(&format!("{}, an archive of {megabytes} MB", first.toolchain()), &rows, 0, 0);
    let [curl, alone, daemon] = peaks.map(|kib| kib as f64 / 1024.0);
    println!("  peak of resident memory in MiB: curl and so on {curl:.1}, govern {alone:.1}, the daemon {daemon:.1}");
    if let Some(next) = next {
        let [_, alone, _] = rows;
        print_rows("the next patch, without a daemon", &[alone.renamed(&installing(first)), next], 0, 0);
        println!("  it takes {part_of_disk:.2} of the first one's disk");
    }

    // The trees of the command line alone share files by now.
    let mut rows = ["rm -rf", "govern uninstall without a daemon"].map(Row::of);
    for (round, (unpacked, installed)) in unpacked.iter().zip(&installed).enumerate() {
        for at in [round % 2, (round + 1) % 2] {
            let run = match at {
                0 => place.timed(unpacked, &["rm", "-rf", "go"]),
                _ => place.govern(installed, "uninstall", first),
            };
            rows[at].times.push(run.time);
        }
    }
    print_rows("and away with it", &rows, 0, 0);
}

fn installing(version: &Version) -> String {
    format!("govern install {version}")
}

/// Where nothing is deleted before the end: for minutes after a deletion an ext4 without a journal searches the inodes
/// that became free, at every file that it makes (`recently_deleted` in its ialloc.c), and who comes next pays.
struct Scratch(tempfile::TempDir);

impl Drop for Scratch {
    fn drop(&mut self) {
        // SDKs are read-only, their directories too.
        Command::new("chmod").args(["-R", "u+w"]).arg(self.0.path()).status().ok();
    }
}

/// What a run took.
struct Run {
    time: Duration,
    /// The most memory that was resident.
    kib: u64,
}

/// What all runs have in common.
struct Place<'a> {
    programs: &'a Path,
    /// The program that runs another and says what it took.
    measure: PathBuf,
    url: String,
    archives: Archives,
    scratch: Scratch,
    /// Homes so far.
    made: Cell<usize>,
}

impl Place<'_> {
    fn fresh(&self) -> PathBuf {
        self.made.set(self.made.get() + 1);
        let home = self.scratch.0.path().join(format!("home-{}", self.made.get()));
        fs::create_dir(&home).unwrap();
        home
    }

    /// Durable it is not, which the others are.
    fn curl(&self, home: &Path) -> Run {
        let archive = self.archives.path(&self.archives.first);
        let name = archive.file_name().unwrap().to_str().unwrap();
        let script = format!("curl -sfo f {}{name} && sha256sum f > sum && tar xzf f", self.url);
        self.timed(home, &["sh", "-c", &script])
    }

    fn install(&self, home: &Path, version: &Version) -> Run {
        let run = self.govern(home, "install", version);
        assert!(root(home).join(format!("sdks/{}/bin/go", version.toolchain())).exists());
        run
    }

    /// The memory is the daemon's.
    fn install_with_daemon(&self, home: &Path, version: &Version) -> Run {
        let mut governd = Command::new(self.programs.join("governd"));
        governd.arg("--home").arg(root(home));
        self.equip(&mut governd, home);
        let mut daemon = start(governd, &root(home), &home.join("log"));
        let mut run = self.timed(home, &[&self.program("govern"), "install", version.as_str()]);
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        run.kib = peak.trim().trim_end_matches(" kB").parse().unwrap();
        end(&mut daemon);
        assert!(root(home).join(format!("sdks/{}/bin/go", version.toolchain())).exists());
        run
    }

    /// Without a daemon.
    fn govern(&self, home: &Path, verb: &str, version: &Version) -> Run {
        self.timed(home, &["env", "GOVERN_NO_DAEMON=1", &self.program("govern"), verb, version.as_str()])
    }

    fn program(&self, name: &str) -> String {
        self.programs.join(name).to_str().expect("the programs' path is text").to_owned()
    }

    fn timed(&self, home: &Path, line: &[&str]) -> Run {
        // What others left to be written is not for this one to wait for.
        assert!(Command::new("sync").status().unwrap().success());
        use_memory();
        let mut command = Command::new(&self.measure);
        self.equip(&mut command, home);
        let output = command.args(line).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let (time, kib) = said.trim().split_once(' ').unwrap();
        Run { time: Duration::from_micros(time.parse().unwrap()), kib: kib.parse().unwrap() }
    }

    fn equip(&self, command: &mut Command, home: &Path) {
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").env("GOVERN_HOME", root(home));
        command.env("GOVERN_DL_URL", &self.url).env("GOPROXY", "off").env("GOSUMDB", "off");
        command.current_dir(home).stdin(Stdio::null());
    }
}

/// Uses more memory than a run does, and gives it back. Where a hypervisor lends memory, whoever uses a page first waits
/// for it, and by chance: of three hundred megabytes of files all or none may be new.
fn use_memory() {
    black_box(vec![1u8; MEMORY]);
}

/// All that govern has.
fn root(home: &Path) -> PathBuf {
    home.join("g")
}

/// KiB that the SDKs take, what they share counted once.
fn disk(home: &Path) -> f64 {
    let output = Command::new("du").arg("-sk").arg(root(home).join("sdks")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}
