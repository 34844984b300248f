//! The first move: what a daemon is told, and what becomes of its answer.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use govern_wire::{MAX_ARGUMENTS, RunWriter};

use crate::support::{Asked, Daemon, Home, for_each_build, for_each_build_in_time, hear, link, report, sorted};

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
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let answer = home.run(|writer| {
            let writer = writer.set(b"GOTOOLCHAIN", b"go1.22.4").and_then(|w| w.set(b"GOVERN_DEPTH", b"1")).unwrap();
            writer.unset(b"GOROOT").and_then(|w| w.append_path(b"/h/launchers/all")).unwrap()
        });
        let daemon = Daemon::answering(&home, answer);
        let report = home.report_of_sdk(home.command("bin/go").args(["build", "./..."]).envs([
            ("PATH", "/bin:/usr/bin"),
            ("GOROOT", "/stale"),
            ("GOVERN_DEPTH", "0"),
            ("OTHER", "x"),
        ]))?;
        assert_eq!(report.arguments, ["build", "./..."]);
        let expected = ["GOTOOLCHAIN=go1.22.4", "GOVERN_DEPTH=1", "OTHER=x", "PATH=/bin:/usr/bin:/h/launchers/all"];
        assert_eq!(sorted(&report.environment), expected);
        let lease = home.text("leases/go1.22.4.lease");
        let held: Vec<_> = report.descriptors.iter().filter(|(_, target)| **target == lease).collect();
        assert!(matches!(held[..], [(100.., _)]), "{report:?}");
        assert!(daemon.asked().is_some());
        Some(())
    });
}

#[test]
fn the_lease_is_held_for_as_long_as_the_program_runs() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let lease = File::options().read(true).write(true).open(home.join("leases/go1.22.4.lease")).unwrap();
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        let mut child = home.command("bin/go").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut called = String::new();
        stdout.read_line(&mut called).unwrap();
        let is_late = called.contains("__shim");
        assert!(is_late || lease.try_lock().is_err(), "a running program holds no lease");
        drop(child.stdin.take());
        stdout.read_to_end(&mut Vec::new()).unwrap();
        child.wait().unwrap();
        lease.try_lock().unwrap();
        (!is_late).then_some(())
    });
}

#[test]
fn a_low_limit_on_open_files_moves_the_lease_down_and_loses_nothing() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -n 20; exec \"$0\" version"]).arg(home.join("bin/go")).env_clear();
        let report = home.report_of_sdk(&mut shell)?;
        let lease = home.text("leases/go1.22.4.lease");
        let held = report.descriptors.iter().find(|(_, target)| **target == lease);
        assert!(matches!(held, Some((10.., _))), "{report:?}");
        Some(())
    });
}

#[test]
fn argv0_and_the_state_of_the_process_pass_through() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let call = |program: PathBuf| {
            let mut command = Command::new(program);
            command.arg0("whatever the caller said").args(["/proc/self/cmdline", "/proc/self/status"]).env_clear();
            let Output { status, stdout, stderr } = command.output().unwrap();
            let is_govern = status.code() == Some(7);
            assert!(is_govern || status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
            let kept = ["whatever", "Umask:", "SigBlk:", "SigIgn:", "SigCgt:", "Groups:", "NoNewPrivs:"];
            let text = String::from_utf8_lossy(&stdout).into_owned();
            let lines = text.lines().filter(|line| kept.iter().any(|start| line.starts_with(start)));
            (!is_govern).then(|| lines.map(str::to_owned).collect::<Vec<_>>())
        };
        let direct = call("/bin/cat".into())?;
        assert_eq!(direct.len(), 7, "{direct:?}");
        let _daemon = Daemon::answering(&home, home.run_program("/bin/cat", |w| w));
        assert_eq!(call(home.join("bin/go"))?, direct);
        Some(())
    });
}

#[test]
fn leading_arguments_are_dropped_when_the_answer_says_so() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(1).unwrap()));
        let report = home.report_of_sdk(home.command("bin/go").args(["+1.22.4", "build", "+1.21"]))?;
        assert_eq!(report.arguments, ["build", "+1.21"]);

        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w.drop_arguments(2).unwrap()));
        assert_eq!(home.report_of_sdk(home.command("bin/go").args(["a", "b"]))?.arguments, [""; 0]);
        Some(())
    });
}

#[test]
fn a_tree_without_a_lease_runs() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let mut buffer = [0; 512];
        let program = home.text("sdks/go1.22.4/bin/go");
        let answer = RunWriter::new(&mut buffer, program.as_bytes(), None);
        let _daemon = Daemon::answering(&home, answer.and_then(|w| w.finish()).unwrap().to_vec());
        home.report_of_sdk(&mut home.command("bin/go"))?;
        Some(())
    });
}

#[test]
fn an_answer_may_come_in_pieces() {
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let answer = home.run(|w| w);
        let _daemon = Daemon::doing(&home, move |mut stream| {
            let asked = hear(&mut stream);
            stream.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
            // Half a header, half a frame, the rest; the shim, which has asked all that it will, hears each by itself.
            for piece in [&answer[..5], &answer[5..40], &answer[40..]] {
                let _ = stream.read(&mut [0]);
                let _ = stream.write_all(piece);
            }
            asked
        });
        home.report_of_sdk(&mut home.command("bin/go"))?;
        Some(())
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
    for_each_build_in_time(|build| {
        let home = Home::new(build);
        let elsewhere = home.join("usr/local/bin/go1.99");
        link(&home.join("bin/go"), &elsewhere);
        let daemon = Daemon::answering(&home, home.run(|w| w));
        home.report_of_sdk(Command::new(&elsewhere).arg("version").env_clear())?;
        assert_eq!(daemon.asked().unwrap().tool, "go");
        Some(())
    });
}

#[test]
fn a_home_with_a_long_path_has_a_daemon_too() {
    for_each_build_in_time(|build| {
        let home = Home::below(build, &Path::new(&"d".repeat(120)).join("e".repeat(200)));
        assert!(home.text("run/shim.sock").len() > 300);
        let daemon = Daemon::answering(&home, home.run(|w| w));
        let report = home.report_of_sdk(&mut home.command("bin/go"))?;
        let run = home.text("run");
        assert!(report.descriptors.values().all(|target| *target != run), "{report:?}");
        assert!(daemon.asked().is_some());
        Some(())
    });
}

#[test]
fn thousands_of_arguments_and_variables_pass_in_order() {
    for_each_build_in_time(|build| {
        let arguments: Vec<String> = (0..20_000).map(|n| format!("file{n}.go")).collect();
        let variables: Vec<(String, String)> = (0..9000).map(|n| (format!("V{n:05}"), n.to_string())).collect();
        let call = |home: &Home| {
            let mut command = home.command("bin/go");
            command.args(&arguments).envs(variables.iter().cloned());
            command
        };
        let expected: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();

        let home = Home::new(build);
        let daemon = Daemon::answering(&home, home.run(|w| w.set(b"W", b"1").unwrap().drop_arguments(1).unwrap()));
        let ran = home.report_of_sdk(&mut call(&home))?;
        assert_eq!(ran.program, home.text("sdks/go1.22.4/bin/go"));
        assert_eq!(ran.arguments, arguments[1..]);
        assert_eq!(ran.environment[..expected.len()], expected);
        assert_eq!(ran.environment[expected.len()..], ["W=1"]);
        let asked = daemon.asked().unwrap();
        assert_eq!((asked.arguments.len(), asked.has_more_arguments), (MAX_ARGUMENTS, true));

        let home = Home::new(build);
        let fell_back = report(&mut call(&home));
        assert_eq!(fell_back.arguments[..2], ["__shim", "go"]);
        assert_eq!(fell_back.arguments[2..], arguments);
        assert_eq!(fell_back.environment, expected);
        Some(())
    });
}
