//! The second move: whatever goes wrong ends in `govern`, or in one message when that is missing.

use std::fs::{self, File, Permissions};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::iter;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use govern_wire::{Answer, MAX_FRAME, RunWriter};

use crate::support::{Daemon, Home, Report, for_each_build, hear, is_root, link, report, sorted};

/// Runs `go build ./...` and demands that `govern` is what runs, with everything as it was.
fn check_fallback(home: &Home, why: &str) {
    let report = report(home.command("bin/go").args(["build", "./..."]).env("PATH", "/bin").env("GOROOT", "/stale"));
    assert_eq!(report.program, home.text("bin/govern"), "{why}");
    assert_eq!(report.arguments, ["__shim", "go", "build", "./..."], "{why}");
    assert_eq!(sorted(&report.environment), ["GOROOT=/stale", "PATH=/bin"], "{why}");
    assert!(report.descriptors.values().all(|target| !target.contains("/leases/")), "{why}: {report:?}");
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
fn an_answer_that_drops_more_arguments_than_there_are_is_left_to_govern() {
    for_each_build(|build| {
        for too_many in [3, u32::MAX] {
            let home = Home::new(build);
            let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(too_many).unwrap()));
            check_fallback(&home, "more arguments to drop than there are");
        }
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
        let answer = RunWriter::new(&mut buffer, program.as_bytes(), Some(path.as_bytes()));
        let _daemon = Daemon::answering(&home, answer.and_then(|w| w.finish()).unwrap().to_vec());
        check_fallback(&home, "the lease has been removed meanwhile");
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
                ("the fallback", Answer::encode_fallback(&mut [0; 64]).unwrap().to_vec()),
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
fn a_daemon_that_hangs_or_dawdles_is_not_waited_for() {
    for_each_build(|build| {
        let hangs = |stream: UnixStream| {
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
        assert!(took > Duration::from_millis(35) && took < Duration::from_secs(2), "{took:?}");
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
fn a_shim_that_is_reached_through_a_link_or_a_script_knows_its_home() {
    for_each_build(|build| {
        let (home, other) = (Home::new(build), Home::new(build));
        let daemon = Daemon::falling_back(&other);
        fs::remove_file(other.join("bin/go")).unwrap();
        link(&home.join("bin/go"), &other.join("bin/go"));
        link(&home.join("launchers/all/go1.26.3"), &other.join("launchers/all/go1.27.0"));
        link(&home.join("bin"), &other.join("elsewhere/bin"));
        fs::write(other.join("bin/script"), format!("#!{} run\n", home.text("bin/go"))).unwrap();
        fs::set_permissions(other.join("bin/script"), Permissions::from_mode(0o755)).unwrap();
        for (called, tool) in [
            ("bin/go", "go"),
            ("elsewhere/bin/gofmt", "gofmt"),
            ("launchers/all/go1.27.0", "go1.26.3"),
            ("bin/script", "go"),
        ] {
            let report = report(&mut other.command(called));
            assert_eq!(report.program, home.text("bin/govern"), "{called}");
            assert_eq!(report.arguments[..2], ["__shim", tool], "{called}");
        }
        let mut relative = Command::new("/bin/sh");
        relative.args(["-c", "cd \"$0\" && exec ./go"]).arg(home.join("bin"));
        assert_eq!(report(&mut relative).program, home.text("bin/govern"));
        assert_eq!(daemon.asked(), None);
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
