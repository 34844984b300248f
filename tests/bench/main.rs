//! Times what a person waits for, side by side in one run: the shim with a daemon, without one and with a hung one, beside
//! programs that do nothing but the least that is possible; then a crowd of shims, the reading verbs, installing and
//! uninstalling.
//!
//! Says ratios, because the machines are noisy; judges nothing and asserts no time. The `go` behind the shim is a static
//! program that ends at once, so that nothing hides what is added.

#![expect(clippy::print_stdout, reason = "the table is the answer")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

mod archives;
mod install;
mod scale;
mod table;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use archives::Archives;
use table::{Row, print};

/// SDKs that are installed.
const INSTALLED: [&str; 5] = ["go1.22.12", "go1.24.11", "go1.25.6", "go1.26.6", "go1.27.3"];

/// Callers at once, where it says parallel.
const CALLERS: usize = 8;

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next =
        |what: &str| args.next().unwrap_or_else(|| panic!("usage: bench PROGRAMS SHIMS ROUNDS [ARCHIVES]: no {what}"));
    let (programs, shims) = (PathBuf::from(next("PROGRAMS")), PathBuf::from(next("SHIMS")));
    let rounds: usize = next("ROUNDS").parse().expect("ROUNDS is a number");
    let programs = programs.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", programs.display()));
    let archives = args.next().map(|directory| {
        let archives = Archives::given(Path::new(&directory));
        archives.unwrap_or_else(|| panic!("no archive for this machine in {directory}"))
    });
    let bench = Bench::new(&programs, &shims);
    let mut daemon = bench.start_daemon();

    let [direct, trampoline, limit, shim] = bench.cases();
    // Warm: what was written a moment ago is too young to be remembered.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        bench.time(&shim);
    }
    let cases = [&direct, &trampoline, &limit, &shim];
    let rows = interleaved(&cases, rounds, |case| bench.time(case));
    print("one caller", &rows, 0, 2);
    let rows = parallel(&cases, rounds, &bench);
    print(&format!("{CALLERS} callers at once"), &rows, 0, 2);

    let before = (bench.cpu(&daemon), bench.fallbacks());
    let asked = 20_000;
    crowd(&bench, &shim, asked);
    let (cpu, fallbacks) = (bench.cpu(&daemon) - before.0, bench.fallbacks() - before.1);
    println!(
        "\n{asked} questions from {CALLERS} callers: {} µs of the daemon's CPU each, {fallbacks} left to the fallback",
        cpu.as_micros() / asked as u128
    );
    let before = bench.fallbacks();
    let late = bench.without_govern(|| at_once(&bench, &shim, 1000));
    println!("1000 shims at once: {late} gave the daemon up, {} left to the fallback", bench.fallbacks() - before);

    let nothing = Case::of("/bin/true", "/bin/true", &[]);
    let verbs: Vec<Case> = [&["which"][..], &["list"], &["explain"], &["completions", "bash"]]
        .iter()
        .map(|args| Case::of(&format!("govern {}", args.join(" ")), bench.home.join("bin/govern"), args))
        .collect();
    let cases: Vec<&Case> = [&nothing].into_iter().chain(&verbs).collect();
    let rows = interleaved(&cases, rounds.div_ceil(10), |case| bench.time(case));
    print("reading verbs, with the daemon", &rows, 0, 0);

    rustup(&bench, rounds.div_ceil(10));
    // Kept, because whatever is deleted makes an install slower (`install::Scratch`).
    let _kept = scale::print(&bench, &programs, &shims, rounds);

    signal(&daemon, "-STOP");
    let rows = interleaved(&[&direct, &shim], rounds.div_ceil(20), |case| bench.time(case));
    print("with a daemon that hangs", &rows, 0, 0);
    signal(&daemon, "-CONT");
    daemon.kill().and_then(|()| daemon.wait()).unwrap();
    // Without it nobody can start one again, which would be the next row's noise.
    fs::remove_file(bench.home.join("bin/governd")).unwrap();
    let rows = interleaved(&[&direct, &shim], rounds.div_ceil(4), |case| bench.time(case));
    print("without a daemon", &rows, 0, 0);

    // An install takes as long as some thousand calls.
    install::print(&programs, archives, rounds.div_ceil(400).max(3));
}

/// A program that is timed.
struct Case {
    name: String,
    program: PathBuf,
    args: Vec<String>,
}

impl Case {
    fn of(name: &str, program: impl Into<PathBuf>, args: &[&str]) -> Case {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Case { name: name.to_owned(), program: program.into(), args }
    }
}

/// An installation of its own, with SDKs that are one static program, and a deep directory to ask from.
struct Bench {
    dir: tempfile::TempDir,
    home: PathBuf,
    /// Twelve levels down, with go.work, go.mod and three pin files on the way.
    cwd: PathBuf,
}

impl Bench {
    fn new(programs: &Path, shims: &Path) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (home, bin) = (root.join("home"), root.join("home/bin"));
        fs::create_dir_all(&bin).unwrap();
        for (from, name) in [(programs, "govern"), (programs, "governd"), (shims, "go"), (shims, "gofmt")] {
            fs::copy(from.join(name), bin.join(name)).unwrap_or_else(|e| panic!("{}: {e}", from.join(name).display()));
        }
        for version in INSTALLED {
            let goroot = home.join("sdks").join(version);
            fs::create_dir_all(goroot.join("bin")).unwrap();
            fs::create_dir_all(goroot.join("pkg/tool/linux_amd64")).unwrap();
            fs::write(goroot.join("VERSION"), format!("{version}\n")).unwrap();
            compile(&goroot.join("bin/go"), &[]);
        }
        let cwd = root.join("a/b/c/d/e/f/g/h/i/j/k/l");
        fs::create_dir_all(&cwd).unwrap();
        for (path, text) in [
            ("a/.go-version", "1.27.3\n"),
            ("a/b/c/.tool-versions", "nodejs 20.1.0\ngolang 1.26.6\n"),
            ("a/b/c/d/go.work", "go 1.22.0\n\nuse ./e/f\n"),
            ("a/b/c/d/e/f/go.mod", "module example.com/m\n\ngo 1.22.0\n"),
            ("a/b/c/d/e/f/g/h/.go-version", "1.24.11\n"),
        ] {
            fs::write(root.join(path), text).unwrap();
        }
        let bench = Bench { dir, home, cwd };
        bench.answer_trivially();
        bench
    }

    /// What the shim becomes, and the programs between which it lies.
    fn cases(&self) -> [Case; 4] {
        let go = self.home.join("sdks/go1.24.11/bin/go");
        let (trampoline, limit) = (self.path("trampoline"), self.path("limit"));
        let program = format!("-DPROGRAM=\"{}\"", go.display());
        compile(&trampoline, &[&program]);
        compile(&limit, &[&program, &format!("-DSOCKET=\"{}\"", self.path("trivial.sock").display())]);
        [
            Case::of("the go itself", go, &["version"]),
            Case::of("trampoline without libc", trampoline, &["version"]),
            Case::of("trampoline and a bare round trip", limit, &["version"]),
            Case::of("shim", self.home.join("bin/go"), &["version"]),
        ]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A blocking server whose answer costs nothing.
    fn answer_trivially(&self) {
        let listener = UnixListener::bind(self.path("trivial.sock")).unwrap();
        for _ in 0..4 {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 512];
                for stream in listener.incoming() {
                    let mut stream: UnixStream = stream.unwrap();
                    if stream.read(&mut bytes).is_ok_and(|read| read > 0) {
                        drop(stream.write_all(&bytes[..300]));
                    }
                }
            });
        }
    }

    fn start_daemon(&self) -> Child {
        let mut governd = Command::new(self.home.join("bin/governd"));
        governd.arg("--home").arg(&self.home).env_clear().env("HOME", self.dir.path());
        start(governd, &self.home, &self.path("log"))
    }

    fn command(&self, case: &Case) -> Command {
        let mut command = Command::new(&case.program);
        command.args(&case.args).current_dir(&self.cwd);
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin").env("PWD", &self.cwd);
        command.env("GOVERN_HOME", &self.home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn time(&self, case: &Case) -> Duration {
        let mut command = self.command(case);
        let begin = Instant::now();
        let status = command.status().unwrap();
        let time = begin.elapsed();
        assert!(status.success(), "{}: {status}", case.name);
        time
    }

    /// What the daemon's process has used of the processors.
    fn cpu(&self, daemon: &Child) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Does something while govern is a program that fails: a shim that is left to it fails with it, and is counted.
    fn without_govern<T>(&self, work: impl FnOnce() -> T) -> T {
        let (govern, aside) = (self.home.join("bin/govern"), self.home.join("bin/aside"));
        fs::rename(&govern, &aside).unwrap();
        fs::copy("/bin/false", &govern).unwrap();
        let done = work();
        fs::rename(aside, govern).unwrap();
        done
    }

    fn fallbacks(&self) -> u64 {
        let mut status = self.command(&Case::of("status", self.home.join("bin/govern"), &["status", "--json"]));
        let output = status.stdout(Stdio::piped()).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["fallbacks"].as_u64().unwrap()
    }
}

fn compile(to: &Path, defines: &[&str]) {
    cc("trampoline.c", &[&["-O2", "-static", "-nostdlib", "-fno-stack-protector"], defines].concat(), to);
    fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
}

fn cc(source: &str, flags: &[&str], to: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(source);
    let status = Command::new("cc").args(flags).arg(path).arg("-o").arg(to).status().unwrap();
    assert!(status.success(), "cc cannot build {source}");
}

/// Starts a daemon over `home`, and waits until it listens.
fn start(mut governd: Command, home: &Path, log: &Path) -> Child {
    let daemon = governd.stdin(Stdio::null()).stderr(fs::File::create(log).unwrap()).spawn().unwrap();
    let begin = Instant::now();
    while UnixStream::connect(home.join("run/shim.sock")).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", fs::read_to_string(log).unwrap());
        thread::yield_now();
    }
    daemon
}

fn end(daemon: &mut Child) {
    signal(daemon, "-TERM");
    daemon.wait().unwrap();
}

fn signal(process: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
}

/// One after the other, round by round, so that what the machine does meanwhile meets them all.
fn interleaved(cases: &[&Case], rounds: usize, time: impl Fn(&Case) -> Duration) -> Vec<Row> {
    let mut rows: Vec<Row> = cases.iter().map(|case| Row::of(&case.name)).collect();
    for round in 0..rounds {
        for at in 0..cases.len() {
            let at = (at + round) % cases.len();
            rows[at].times.push(time(cases[at]));
        }
    }
    rows
}

/// The same, by several callers at once.
fn parallel(cases: &[&Case], rounds: usize, bench: &Bench) -> Vec<Row> {
    let each = rounds.div_ceil(CALLERS);
    let all: Vec<Vec<Row>> = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..CALLERS).map(|_| scope.spawn(move || interleaved(cases, each, |case| bench.time(case)))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let mut rows: Vec<Row> = cases.iter().map(|case| Row::of(&case.name)).collect();
    for caller in all {
        rows.iter_mut().zip(caller).for_each(|(row, more)| row.times.extend(more.times));
    }
    rows
}

fn crowd(bench: &Bench, shim: &Case, count: usize) {
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for _ in 0..count / CALLERS {
                    bench.time(shim);
                }
            });
        }
    });
}

/// The other manager that puts a program of its own in the place of the real one, where it is installed.
fn rustup(bench: &Bench, rounds: usize) {
    let said = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    // As its user would ask, and not as whoever cargo has started.
    let mut which = Command::new("rustup");
    which.args(["which", "cargo"]).env_remove("RUSTUP_TOOLCHAIN").current_dir(&bench.cwd);
    let (Some(direct), Some(rustup)) = (said(&mut which), said(Command::new("sh").args(["-c", "command -v rustup"])))
    else {
        println!("\nno rustup to compare with");
        return;
    };
    let cases = [
        Case::of("the cargo itself", direct, &["--version"]),
        Case::of("rustup's proxy", rustup.with_file_name("cargo"), &["--version"]),
    ];
    let time = |case: &Case| {
        let mut command = Command::new(&case.program);
        command.args(&case.args).env_remove("RUSTUP_TOOLCHAIN").current_dir(&bench.cwd);
        let begin = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        let time = begin.elapsed();
        assert!(status.success(), "{}: {status}", case.name);
        time
    };
    print("rustup's proxy", &interleaved(&[&cases[0], &cases[1]], rounds, time), 0, 0);
}

/// Starts so many before it waits for the first one; how many failed.
fn at_once(bench: &Bench, shim: &Case, count: usize) -> usize {
    let children: Vec<Child> = (0..count).map(|_| bench.command(shim).spawn().unwrap()).collect();
    children.into_iter().filter_map(|mut child| child.wait().ok()).filter(|status| !status.success()).count()
}
