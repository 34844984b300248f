//! Several downloads at once, and none at all: `govern install` of many versions, and a govern that is offline.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
#[cfg(target_os = "linux")]
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::process::Command;
#[cfg(target_os = "linux")]
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use govern_core::platform::Platform;
use govern_core::version::Version;
use govern_tests::fake;
use govern_tests::home::TestHome;
use govern_tests::mirror::{Fault, Gate, Mirror};
use tempfile::TempDir;

fn archive(version: &str) -> String {
    let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
    platform.archive(&version.parse::<Version>().unwrap())
}

fn mirror_of(versions: &[&str]) -> (TempDir, Mirror) {
    let archives = TempDir::new().unwrap();
    let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
    for version in versions {
        fake::tarball(archives.path(), &version.parse().unwrap(), &platform).unwrap();
    }
    let mirror = Mirror::serve(archives.path()).unwrap();
    (archives, mirror)
}

fn installed(home: &TestHome) -> BTreeSet<String> {
    let names = fs::read_dir(home.layout().sdks()).into_iter().flatten();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn several_versions_are_downloaded_at_once_and_one_that_fails_stops_no_other() {
    let versions = ["1.24.11", "1.25.7", "1.26.6"];
    for daemon in [false, true] {
        let (_archives, mirror) = mirror_of(&versions);
        let mut home = TestHome::new();
        home.export("GOVERN_DL_URL", mirror.url());
        if !daemon {
            home.export("GOVERN_NO_DAEMON", "1");
        }
        let gates = versions.map(|version| {
            let gate = Gate::new();
            mirror.inject(&archive(version), Fault::Hold(1000, gate.clone()));
            gate
        });
        let outcome = thread::scope(|scope| {
            let mut wishes = vec!["install", "1.23.4"];
            wishes.extend(versions);
            wishes.push("1.22.1");
            let running = scope.spawn(|| home.run(home.govern(wishes)));
            // None of them goes on before all of them are under way.
            gates.iter().for_each(Gate::wait_until_reached);
            gates.iter().for_each(Gate::open);
            running.join().unwrap()
        });
        assert_eq!((outcome.status, outcome.stdout.as_str()), (4, ""), "the code of the first failure\n{outcome}");
        let expect: BTreeSet<String> = versions.iter().map(|version| format!("go{version}")).collect();
        assert_eq!(installed(&home), expect, "{outcome}");
        for said in ["Installed 3 versions", "no Go release matches `1.23.4`", "no Go release matches `1.22.1`"] {
            assert!(outcome.stderr.contains(said), "`{said}` is missing\n{outcome}");
        }
    }
}

#[test]
fn the_first_failure_gives_the_code_and_what_worked_is_kept() {
    let (_archives, mirror) = mirror_of(&["1.25.7", "1.26.6"]);
    mirror.inject(&archive("1.25.7"), Fault::WrongChecksum);
    let mut home = TestHome::new();
    home.export("GOVERN_DL_URL", mirror.url());
    for (daemon, wishes, status) in
        [("1", ["install", "1.25.7", "1.26.6", "1.99"], 7), ("0", ["install", "1.99", "1.26.6", "1.25.7"], 4)]
    {
        home.export("GOVERN_NO_DAEMON", daemon);
        let outcome = home.run(home.govern(wishes));
        assert_eq!(outcome.status, status, "{outcome}");
        assert_eq!(installed(&home), BTreeSet::from(["go1.26.6".to_owned()]), "{outcome}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_govern_that_is_offline_opens_no_socket_of_the_internet() {
    // Counts who comes; nobody may.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (_archives, mirror) = mirror_of(&["1.26.6"]);
    let mut home = TestHome::new();
    home.export("GOVERN_DL_URL", mirror.url());
    assert_eq!(home.run(home.govern(["install", "1.26.6"])).status, 0);
    home.stop_daemon();
    home.export("GOVERN_OFFLINE", "1");
    home.export("GOVERN_DL_URL", format!("http://{address}/dl/,https://go.invalid/dl/"));
    home.export("GOPROXY", format!("http://{address}|https://proxy.invalid,direct"));
    home.export("GOSUMDB", format!("sum.golang.org http://{address}"));
    home.export("HTTPS_PROXY", format!("http://{address}"));
    home.export("HTTP_PROXY", format!("http://{address}"));
    home.write("p/.go-version", "1.25.1\n");
    let can_trace =
        Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output().is_ok_and(|o| o.status.success());
    let trace = home.path().join("trace");
    let traced = |command: Command| {
        if !can_trace {
            return command;
        }
        let mut traced = home.command("strace");
        traced.args(["-f", "-A", "-e", "trace=connect,sendto", "-o"]).arg(&trace);
        traced.arg(command.get_program()).args(command.get_args()).current_dir(home.path().join("p"));
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        traced
    };
    let mut asked = 0;
    for daemon in [false, true] {
        // Traced to its end: it is waited for below.
        let mut started = daemon.then(|| traced(home.govern(["daemon", "start"])).spawn().unwrap());
        if daemon {
            home.start_daemon();
        }
        for arguments in [
            &["install", "1.25.1"][..],
            &["install"],
            &["install", "1.26.6"],
            &["list", "--remote"],
            &["explain"],
            &["run", "1.26.6", "--", "true"],
            &["run", "1.25", "--", "true"],
        ] {
            let mut command = home.govern(arguments);
            command.current_dir(home.path().join("p"));
            if !daemon {
                command.env("GOVERN_NO_DAEMON", "1");
            }
            let outcome = home.run(traced(command));
            assert!([0, 8, 127].contains(&outcome.status), "{arguments:?}\n{outcome}");
            asked += 1;
        }
        if let Some(started) = &mut started {
            home.stop_daemon();
            started.wait().unwrap();
        }
    }
    assert_eq!(asked, 14);
    let mut lines = 0;
    if can_trace {
        let text = fs::read_to_string(&trace).unwrap();
        lines = text.lines().count();
        let out = text.lines().filter(|line| line.contains("AF_INET")).collect::<Vec<_>>();
        assert!(out.is_empty(), "{out:#?}");
        assert!(lines > 10, "nothing was traced");
    }
    println!("{lines} calls traced, {} connections", visits.load(Ordering::SeqCst));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}
