//! The shims as they are released, and as every other build has them: what they tell a daemon, what they make of its
//! answer, and that whatever goes wrong ends in `govern`. Linux only: the programs report from /proc.

#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::iter;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use govern_wire::{MAX_ARGUMENTS, MAX_FRAME};

use support::{Asked, Build, Daemon, Home, Report, builds, hear, is_root, link, report};

/// Runs `go build ./...` and demands that `govern` is what runs, with everything as it was.
fn check_fallback(home: &Home, why: &str) {
    let report = report(home.command("bin/go").args(["build", "./..."]).env("PATH", "/bin").env("GOROOT", "/stale"));
    assert_eq!(report.program, home.text("bin/govern"), "{why}");
    assert_eq!(report.arguments, ["__shim", "go", "build", "./..."], "{why}");
    assert_eq!(sorted(&report.environment), ["GOROOT=/stale", "PATH=/bin"], "{why}");
    assert!(report.descriptors.values().all(|target| !target.contains("/leases/")), "{why}: {report:?}");
}

fn sorted(lines: &[String]) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.sort_unstable();
    lines
}

/// Runs a test for both builds, and by itself: a daemon's thread that waits for other tests answers too late.
#[expect(clippy::print_stderr, reason = "says to which build a failure belongs")]
fn for_each_build(test: impl Fn(&Build)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for build in builds() {
        eprintln!("the {} build", build.name);
        test(build);
    }
}

#[test]
fn the_daemon_is_told_what_it_needs_and_no_more() {
    for_each_build(|build| {
        let home = Home::new(build);
        let daemon = Daemon::falling_back(&home);
        let work = home.text("work");
        report(
            home.command("bin/gofmt")
                .args(["-l", "", "."])
                .envs([("GOFLAGS", "-mod=mod"), ("GOWORK", ""), ("PWD", "/logical"), ("HOME", "/h")])
                .envs([("SECRET", "1"), ("PATH", "/bin")]),
        );
        let variables = [("GOFLAGS", "-mod=mod"), ("GOWORK", ""), ("PWD", "/logical"), ("HOME", "/h")];
        let expected = Asked {
            tool: "gofmt".into(),
            cwd: work,
            arguments: vec!["-l".into(), String::new(), ".".into()],
            has_more_arguments: false,
            variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
        };
        assert_eq!(daemon.asked(), Some(expected));
    });
}

#[test]
fn the_answer_is_followed() {
    for_each_build(|build| {
        let home = Home::new(build);
        let answer = home.run(|writer| {
            let writer = writer.set(b"GOTOOLCHAIN", b"go1.22.4").and_then(|w| w.set(b"GOVERN_DEPTH", b"1")).unwrap();
            writer.unset(b"GOROOT").and_then(|w| w.append_path(b"/h/launchers/all")).unwrap()
        });
        let daemon = Daemon::answering(&home, answer);
        let report = report(home.command("bin/go").args(["build", "./..."]).envs([
            ("PATH", "/bin:/usr/bin"),
            ("GOROOT", "/stale"),
            ("GOVERN_DEPTH", "0"),
            ("OTHER", "x"),
        ]));
        assert_eq!(report.program, home.text("sdks/go1.22.4/bin/go"));
        assert_eq!(report.arguments, ["build", "./..."]);
        let expected = ["GOTOOLCHAIN=go1.22.4", "GOVERN_DEPTH=1", "OTHER=x", "PATH=/bin:/usr/bin:/h/launchers/all"];
        assert_eq!(sorted(&report.environment), expected);
        let lease = home.text("leases/go1.22.4.lease");
        let held: Vec<_> = report.descriptors.iter().filter(|(_, target)| **target == lease).collect();
        assert!(matches!(held[..], [(100.., _)]), "{report:?}");
        assert!(daemon.asked().is_some());
    });
}

#[test]
fn the_lease_is_held_for_as_long_as_the_program_runs() {
    for_each_build(|build| {
        let home = Home::new(build);
        let lease = File::options().read(true).write(true).open(home.join("leases/go1.22.4.lease")).unwrap();
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        let mut child = home.command("bin/go").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_until(b'\n', &mut Vec::new()).unwrap();
        assert!(lease.try_lock().is_err(), "a running program holds no lease");
        drop(child.stdin.take());
        stdout.read_to_end(&mut Vec::new()).unwrap();
        child.wait().unwrap();
        lease.try_lock().unwrap();
    });
}

#[test]
fn a_low_limit_on_open_files_moves_the_lease_down_and_loses_nothing() {
    for_each_build(|build| {
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -n 20; exec \"$0\" version"]).arg(home.join("bin/go")).env_clear();
        let report = report(&mut shell);
        let lease = home.text("leases/go1.22.4.lease");
        let held = report.descriptors.iter().find(|(_, target)| **target == lease);
        assert!(matches!(held, Some((10.., _))), "{report:?}");
    });
}

#[test]
fn argv0_and_the_state_of_the_process_pass_through() {
    for_each_build(|build| {
        let home = Home::new(build);
        let call = |program: PathBuf| {
            let mut command = Command::new(program);
            command.arg0("whatever the caller said").args(["/proc/self/cmdline", "/proc/self/status"]).env_clear();
            let Output { status, stdout, stderr } = command.output().unwrap();
            assert!(status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
            let kept = ["whatever", "Umask:", "SigBlk:", "SigIgn:", "SigCgt:", "Groups:", "NoNewPrivs:"];
            let text = String::from_utf8_lossy(&stdout).into_owned();
            let lines = text.lines().filter(|line| kept.iter().any(|start| line.starts_with(start)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let direct = call("/bin/cat".into());
        assert_eq!(direct.len(), 7, "{direct:?}");
        let _daemon = Daemon::answering(&home, home.run_program("/bin/cat", |w| w));
        assert_eq!(call(home.join("bin/go")), direct);
    });
}

#[test]
fn leading_arguments_are_dropped_when_the_answer_says_so() {
    for_each_build(|build| {
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(1).unwrap()));
        let report = report(home.command("bin/go").args(["+1.22.4", "build", "+1.21"]));
        assert_eq!(report.arguments, ["build", "+1.21"]);

        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(2).unwrap()));
        assert_eq!(support::report(home.command("bin/go").args(["a", "b"])).arguments, [""; 0]);

        for too_many in [3, u32::MAX] {
            let home = Home::new(build);
            let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(too_many).unwrap()));
            check_fallback(&home, "more arguments to drop than there are");
        }
    });
}

#[test]
fn arguments_survive_a_first_move_that_fails_after_dropping_some() {
    for_each_build(|build| {
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run_program("/nonexistent/go", |w| w.drop_arguments(2).unwrap()));
        check_fallback(&home, "the program is missing");
    });
}

#[test]
fn a_program_that_cannot_be_executed_is_left_to_govern() {
    for_each_build(|build| {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("not-executable");
        fs::write(&plain, "text").unwrap();
        let no_format = directory.path().join("no-format");
        fs::write(&no_format, "text").unwrap();
        fs::set_permissions(&no_format, Permissions::from_mode(0o755)).unwrap();
        for program in [directory.path(), &plain, &no_format] {
            let home = Home::new(build);
            let _daemon = Daemon::answering(&home, home.run_program(program.to_str().unwrap(), |w| w));
            check_fallback(&home, program.to_str().unwrap());
        }
    });
}

#[test]
fn a_lease_that_cannot_be_had_is_left_to_govern() {
    for_each_build(|build| {
        let home = Home::new(build);
        let lease = File::open(home.join("leases/go1.22.4.lease")).unwrap();
        lease.lock().unwrap();
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        check_fallback(&home, "somebody removes the SDK");

        let home = Home::new(build);
        fs::remove_file(home.join("leases/go1.22.4.lease")).unwrap();
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        check_fallback(&home, "the lease is gone");

        // A file without a name can still be opened through somebody who has it open, as by a shim that was too slow.
        let home = Home::new(build);
        let removed = tempfile::tempfile().unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), removed.as_raw_fd());
        let mut buffer = [0; 512];
        let program = home.text("sdks/go1.22.4/bin/go");
        let answer = govern_wire::RunWriter::new(&mut buffer, program.as_bytes(), Some(path.as_bytes()));
        let _daemon = Daemon::answering(&home, answer.and_then(|w| w.finish()).unwrap().to_vec());
        check_fallback(&home, "the lease has been removed meanwhile");
    });
}

#[test]
fn a_tree_without_a_lease_runs() {
    for_each_build(|build| {
        let home = Home::new(build);
        let mut buffer = [0; 512];
        let program = home.text("sdks/go1.22.4/bin/go");
        let answer = govern_wire::RunWriter::new(&mut buffer, program.as_bytes(), None);
        let _daemon = Daemon::answering(&home, answer.and_then(|w| w.finish()).unwrap().to_vec());
        assert_eq!(report(&mut home.command("bin/go")).program, program);
    });
}

#[test]
fn without_a_daemon_govern_runs() {
    for_each_build(|build| {
        check_fallback(&Home::new(build), "no socket");

        let home = Home::new(build);
        drop(Daemon::falling_back(&home).asked());
        check_fallback(&home, "a socket that nobody listens at");

        let home = Home::new(build);
        fs::remove_dir(home.join("run")).unwrap();
        check_fallback(&home, "no directory for the socket");

        let home = Home::new(build);
        let report = report(&mut home.command("bin/gofmt"));
        assert_eq!(report.arguments, ["__shim", "gofmt"]);
        assert_eq!(report.environment, [""; 0]);
    });
}

#[test]
fn every_answer_that_is_none_is_left_to_govern() {
    for_each_build(|build| {
        let answers = |home: &Home| {
            let good = home.run(|w| w);
            let changed = |at: usize, bytes: &[u8]| {
                let mut answer = good.clone();
                answer[at..at + bytes.len()].copy_from_slice(bytes);
                answer
            };
            let huge = [&b"gva\x01"[..], &[0xff; 4], &[0; 4096]].concat();
            [
                ("nothing", Vec::new()),
                ("garbage", vec![0xa5; 1000]),
                ("the web", b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec()),
                ("half a header", good[..5].to_vec()),
                ("half a frame", good[..good.len() - 1].to_vec()),
                ("another protocol", changed(3, &[2])),
                ("a question's magic", changed(2, b"q")),
                ("a huge length", huge),
                ("a field longer than the frame", changed(9, &[0xff])),
                ("a status nobody knows", changed(13, &[9])),
                ("a relative program", changed(19, b".")),
                ("the fallback", govern_wire::Answer::encode_fallback(&mut [0; 64]).unwrap().to_vec()),
            ]
        };
        for at in 0..answers(&Home::new(build)).len() {
            let home = Home::new(build);
            let (why, answer) = answers(&home)[at].clone();
            let _daemon = Daemon::answering(&home, answer);
            check_fallback(&home, why);
        }
    });
}

#[test]
fn an_answer_may_come_in_pieces() {
    for_each_build(|build| {
        let home = Home::new(build);
        let answer = home.run(|w| w);
        let _daemon = Daemon::doing(&home, move |mut stream| {
            let asked = hear(&mut stream);
            answer.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
            asked
        });
        assert_eq!(report(&mut home.command("bin/go")).program, home.text("sdks/go1.22.4/bin/go"));
    });
}

#[test]
fn a_daemon_that_hangs_or_dawdles_is_not_waited_for() {
    for_each_build(|build| {
        let hangs = |stream: std::os::unix::net::UnixStream| {
            // Until the shim has gone.
            let _ = BufReader::new(stream).read_to_end(&mut Vec::new());
            None
        };
        let home = Home::new(build);
        let daemon = Daemon::doing(&home, hangs);
        let start = Instant::now();
        check_fallback(&home, "no answer");
        let took = start.elapsed();
        // Far above 50 ms, for a busy machine; far below any other time-out.
        assert!(took > Duration::from_millis(40) && took < Duration::from_secs(2), "{took:?}");
        daemon.asked();

        // One byte each 5 ms would take twenty minutes.
        let home = Home::new(build);
        let daemon = Daemon::doing(&home, |mut stream| {
            let mut frame = [&b"gva\x01"[..], &60_000_u32.to_le_bytes()].concat();
            frame.extend(iter::repeat_n(0, 60_000));
            hear(&mut stream);
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            for byte in frame {
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                let _ = stream.read(&mut [0]);
            }
            None
        });
        let start = Instant::now();
        check_fallback(&home, "an answer that never ends");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        daemon.asked();
    });
}

#[test]
fn a_launcher_asks_for_the_version_in_its_name() {
    for_each_build(|build| {
        for (launcher, name) in
            [("launchers/all/go1.26.3", "go1.26.3"), ("launchers/installed/go1.9.2rc2", "go1.9.2rc2")]
        {
            let home = Home::new(build);
            let daemon = Daemon::falling_back(&home);
            // Go calls launchers by the caller's argv[0].
            let report = report(home.command(launcher).arg0("/elsewhere/bin/go").arg("version"));
            assert_eq!(report.program, home.text("bin/govern"));
            assert_eq!(report.arguments, ["__shim", name, "version"]);
            assert_eq!(daemon.asked().unwrap().tool, name);
        }
    });
}

#[test]
fn a_link_from_elsewhere_leads_home() {
    for_each_build(|build| {
        let home = Home::new(build);
        let elsewhere = home.join("usr/local/bin/go1.99");
        link(&home.join("bin/go"), &elsewhere);
        let daemon = Daemon::answering(&home, home.run(|w| w));
        let report = report(Command::new(&elsewhere).arg("version").env_clear());
        assert_eq!(report.program, home.text("sdks/go1.22.4/bin/go"));
        assert_eq!(daemon.asked().unwrap().tool, "go");
    });
}

#[test]
fn a_home_with_a_long_path_has_a_daemon_too() {
    for_each_build(|build| {
        let home = Home::below(build, &Path::new(&"d".repeat(120)).join("e".repeat(200)));
        assert!(home.text("run/shim.sock").len() > 300);
        let daemon = Daemon::answering(&home, home.run(|w| w));
        let report = report(&mut home.command("bin/go"));
        assert_eq!(report.program, home.text("sdks/go1.22.4/bin/go"));
        let run = home.text("run");
        assert!(report.descriptors.values().all(|target| *target != run), "{report:?}");
        assert!(daemon.asked().is_some());
    });
}

#[test]
fn thousands_of_arguments_and_variables_pass_in_order() {
    for_each_build(|build| {
        let arguments: Vec<String> = (0..20_000).map(|n| format!("file{n}.go")).collect();
        let variables: Vec<(String, String)> = (0..9000).map(|n| (format!("V{n:05}"), n.to_string())).collect();
        let call = |home: &Home| {
            let mut command = home.command("bin/go");
            command.args(&arguments).envs(variables.iter().cloned());
            report(&mut command)
        };
        let expected: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();

        let home = Home::new(build);
        let daemon = Daemon::answering(&home, home.run(|w| w.set(b"W", b"1").unwrap().drop_arguments(1).unwrap()));
        let ran = call(&home);
        assert_eq!(ran.program, home.text("sdks/go1.22.4/bin/go"));
        assert_eq!(ran.arguments, arguments[1..]);
        assert_eq!(ran.environment[..expected.len()], expected);
        assert_eq!(ran.environment[expected.len()..], ["W=1"]);
        let asked = daemon.asked().unwrap();
        assert_eq!((asked.arguments.len(), asked.has_more_arguments), (MAX_ARGUMENTS, true));

        let home = Home::new(build);
        let fell_back = call(&home);
        assert_eq!(fell_back.arguments[..2], ["__shim", "go"]);
        assert_eq!(fell_back.arguments[2..], arguments);
        assert_eq!(fell_back.environment, expected);
    });
}

#[test]
fn a_question_too_long_for_a_frame_is_left_to_govern() {
    for_each_build(|build| {
        let home = Home::new(build);
        let daemon = Daemon::falling_back(&home);
        let report = report(home.command("bin/go").env("GOFLAGS", "x".repeat(MAX_FRAME)));
        assert_eq!(report.program, home.text("bin/govern"));
        assert_eq!(daemon.asked(), None);
    });
}

#[test]
fn a_working_directory_without_a_name_is_left_to_govern() {
    for_each_build(|build| {
        let home = Home::new(build);
        let daemon = Daemon::answering(&home, home.run(|w| w));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\""]).arg(home.join("bin/go"));
        // The shells complain of the directory; what is asked here is who runs.
        let Output { stdout, .. } = shell.current_dir(home.join("work")).output().unwrap();
        assert_eq!(Report::read(&stdout).program, home.text("bin/govern"));
        assert_eq!(daemon.asked(), None);
    });
}

#[test]
fn a_shim_that_was_replaced_while_it_started_knows_its_home() {
    for_each_build(|build| {
        let home = Home::new(build);
        // The shell removes the file after opening it, and before executing it by its descriptor.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec 3<\"$0\" && rm \"$0\" && exec /proc/self/fd/3 version"]).arg(home.join("bin/go"));
        assert_eq!(report(shell.env("PATH", "/bin:/usr/bin")).program, home.text("bin/govern"));
    });
}

#[test]
fn another_users_daemon_is_not_asked() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    for_each_build(|build| {
        let home = Home::new(build);
        let (heard, hears) = mpsc::channel();
        let _daemon = Daemon::doing(&home, move |mut stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            heard.send(bytes).unwrap();
            None
        });
        fs::set_permissions(home.join("run/shim.sock"), Permissions::from_mode(0o777)).unwrap();
        let above = home.path.ancestors().filter(|directory| directory.starts_with(env!("CARGO_TARGET_TMPDIR")));
        above.for_each(|directory| fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap());
        match home.command("bin/go").uid(65534).gid(65534).output() {
            Ok(output) => assert_eq!(Report::of(&output).program, home.text("bin/govern")),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                eprintln!("SKIPPED: nobody else may enter {}", env!("CARGO_TARGET_TMPDIR"));
                return;
            }
            Err(error) => panic!("{error}"),
        }
        let heard = hears.recv_timeout(Duration::from_secs(10)).expect("the shim connects");
        assert!(heard.is_empty(), "a stranger was told {heard:?}");
    });
}

#[test]
fn a_shim_with_more_rights_than_its_caller_asks_nobody() {
    if !is_root() {
        eprintln!("SKIPPED: only root can give a program to another group");
        return;
    }
    for_each_build(|build| {
        let home = Home::new(build);
        // A copy: the other tests run the same file.
        fs::remove_file(home.join("bin/go")).unwrap();
        let with_group = |program: &Path, at: PathBuf| {
            let copied = Command::new("/bin/cp").arg(program).arg(&at).status().unwrap();
            assert!(copied.success());
            chown(&at, None, Some(65534)).unwrap();
            fs::set_permissions(&at, Permissions::from_mode(0o2755)).unwrap();
            at
        };
        let id = with_group(Path::new("/usr/bin/id"), home.join("id"));
        if Command::new(id).arg("-g").output().unwrap().stdout != b"65534\n" {
            eprintln!("SKIPPED: the file system does not know set-group-ID");
            return;
        }
        with_group(&build.programs.join("go"), home.join("bin/go"));
        let daemon = Daemon::answering(&home, home.run(|w| w));
        check_fallback(&home, "set-group-ID");
        assert_eq!(daemon.asked(), None);
    });
}

#[test]
fn when_govern_is_missing_the_shim_says_so_once() {
    for_each_build(|build| {
        let check = |prepare: &dyn Fn(&Path), code, cause: &str, hint: &str| {
            let home = Home::new(build);
            let govern = home.join("bin/govern");
            fs::remove_file(&govern).unwrap();
            prepare(&govern);
            let Output { status, stdout, stderr } = home.command("bin/go").arg("version").output().unwrap();
            let home = home.text("");
            let home = home.trim_end_matches('/');
            let expected = format!("error: cannot run {home}/bin/govern: {cause}\nhint: {hint}\n").replace("$H", home);
            assert_eq!(String::from_utf8(stderr).unwrap(), expected);
            assert_eq!((status.code(), stdout.as_slice()), (Some(code), &b""[..]));
        };
        let reinstall = "reinstall govern, or take $H/bin out of PATH";
        check(&|_| {}, 125, "no such file", reinstall);
        check(&|at| fs::write(at, "x").unwrap(), 126, "permission denied", "chmod +x $H/bin/govern");
        check(&|at| link(at, at), 126, "system error 40", reinstall);
        let text = |at: &Path| {
            fs::write(at, "x").unwrap();
            fs::set_permissions(at, Permissions::from_mode(0o755)).unwrap();
        };
        check(&text, 126, "not a program for this machine", reinstall);
    });
}

#[test]
fn a_shim_that_lies_elsewhere_says_so() {
    for_each_build(|build| {
        let Output { status, stderr, .. } = Command::new(build.programs.join("go")).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        let own = build.programs.join("go").canonicalize().unwrap();
        assert!(stderr.starts_with(&format!("error: {} does not lie in the `bin` of govern\nhint: ", own.display())));
        assert_eq!((status.code(), stderr.lines().count()), (Some(125), 2), "{stderr}");
    });
}

#[test]
fn the_released_shims_are_small() {
    for build in builds().iter().filter(|build| build.name == "bare") {
        for program in ["go", "gofmt"] {
            let size = fs::metadata(build.programs.join(program)).unwrap().len();
            eprintln!("{program}: {size} bytes");
            assert!(size <= 16 * 1024, "{program} has {size} bytes");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "CI is a property of where the tests run")]
fn the_released_shim_makes_at_most_30_system_calls() {
    let Some(build) = builds().iter().find(|build| build.name == "bare") else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is missing\nhint: apt-get install strace");
        eprintln!("SKIPPED: strace is missing");
        return;
    }
    let home = Home::new(build);
    let _daemon = Daemon::answering(&home, home.run(|w| w.set(b"GOTOOLCHAIN", b"go1.22.4").unwrap()));
    let trace = home.text("trace");
    let mut strace = Command::new("strace");
    let output = strace.args(["-qq", "-o", &trace]).arg(home.join("bin/go")).arg("version").output().unwrap();
    assert_eq!(Report::of(&output).program, home.text("sdks/go1.22.4/bin/go"));
    let trace = fs::read_to_string(trace).unwrap();
    let calls: Vec<&str> = trace.lines().skip(1).collect();
    let last = calls.iter().position(|call| call.starts_with("execve(")).unwrap();
    let shown = calls[..=last].join("\n");
    eprintln!("{} system calls", last + 1);
    assert!(last < 30, "{shown}");
    assert!(!shown.contains("mmap") && !shown.contains("brk"), "the shim allocates:\n{shown}");
}
