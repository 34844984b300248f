//! The shims as they are released, and as every other build has them: here how big and busy they are, in `moves` what
//! they do. Linux only: the programs that they run report from /proc.

#![cfg(target_os = "linux")]

mod moves;
mod support;

use std::fs;
use std::process::Command;

use support::{Daemon, Home, builds, for_each_build_in_time};

#[test]
fn the_released_shims_are_small() {
    for build in builds().iter().filter(|build| build.name == "bare") {
        for program in ["go", "gofmt"] {
            let size = fs::metadata(build.programs.join(program)).unwrap().len();
            assert!(size <= 16 * 1024, "{program} has {size} bytes");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "CI is a property of where the tests run")]
fn the_released_shim_makes_at_most_30_system_calls() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is missing\nhint: apt-get install strace");
        eprintln!("SKIPPED: strace is missing");
        return;
    }
    for_each_build_in_time(|build| {
        if build.name != "bare" {
            return Some(());
        }
        let home = Home::new(build);
        let _daemon = Daemon::answering(&home, home.run(|w| w.set(b"GOTOOLCHAIN", b"go1.22.4").unwrap()));
        let trace = home.text("trace");
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", &trace]).arg(home.join("bin/go")).arg("version").env_clear();
        home.report_of_sdk(&mut strace)?;
        let trace = fs::read_to_string(trace).unwrap();
        let calls: Vec<&str> = trace.lines().skip(1).collect();
        let last = calls.iter().position(|call| call.starts_with("execve(")).unwrap();
        let shown = calls[..=last].join("\n");
        assert!(last < 30, "{} calls:\n{shown}", last + 1);
        assert!(!shown.contains("mmap") && !shown.contains("brk"), "the shim allocates:\n{shown}");
        Some(())
    });
}
