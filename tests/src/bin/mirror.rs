//! `mirror --sdks DIR [--listen ADDRESS]`: serves a directory of Go archives as go.dev does, until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, thread};

use govern_tests::mirror::Mirror;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal")]
fn main() -> ExitCode {
    let Some((sdks, address)) = read_arguments() else {
        eprintln!("usage: mirror --sdks DIR [--listen 127.0.0.1:PORT]");
        return ExitCode::from(2);
    };
    let mirror = match Mirror::serve_on(address, &sdks) {
        Ok(mirror) => mirror,
        Err(e) => {
            eprintln!("error: cannot serve {}: {e}", sdks.display());
            return ExitCode::FAILURE;
        }
    };
    for archive in mirror.archives() {
        eprintln!("{archive}");
    }
    println!("GOVERN_DL_URL={}", mirror.url());
    loop {
        thread::park();
    }
}

fn read_arguments() -> Option<(PathBuf, SocketAddr)> {
    let (mut sdks, mut address) = (None, SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut arguments = env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next()?;
        match argument.to_str()? {
            "--sdks" => sdks = Some(PathBuf::from(value)),
            "--listen" => address = value.to_str()?.parse().ok()?,
            _ => return None,
        }
    }
    Some((sdks?, address))
}
