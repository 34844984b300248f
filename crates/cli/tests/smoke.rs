//! The real binary, in a cleared environment and an empty home: it starts, refuses what is wrong, and dies of nothing.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const GOVERN: &str = env!("CARGO_BIN_EXE_govern");

fn govern(home: &Path) -> Command {
    let mut command = Command::new(GOVERN);
    command.env_clear().env("HOME", home).env("PATH", "/nowhere").env("GOVERN_NO_DAEMON", "1").current_dir(home);
    command
}

fn run(home: &Path, words: &[&str]) -> Output {
    govern(home).args(words).output().expect("govern can be run")
}

/// Exit code, stdout and stderr, as a person sees them.
fn seen(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}--\n{}",
        output.status.code().expect("it was not killed"),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[track_caller]
fn check(home: &Path, line: &str, expect: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(seen(&run(home, &words)), expect, "govern {line}");
}

#[test]
fn the_version_is_told_on_stdout() {
    let home = tempfile::tempdir().unwrap();
    check(home.path(), "--version", &format!("0\ngovern {}\n--\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_bad_version_is_refused_at_the_door() {
    let home = tempfile::tempdir().unwrap();
    let expect = "2\n--\nerror: `1.22.x.1` is not a Go version\n  1.22.x.1\n       ^ try `1.22` or `1.22.4`\n";
    check(home.path(), "install 1.22.x.1", expect);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "a usage error leaves nothing behind");
    let usage = run(home.path(), &["list", "--nope"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(usage.stdout.is_empty());
}

#[test]
fn an_empty_home_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    check(home.path(), "list", "0\n--\nno Go is installed\nhint: govern install\n");
    check(home.path(), "list -q", "0\n--\n");
    check(home.path(), "list --json", "0\n{\n  \"schema\": 1,\n  \"installed\": [],\n  \"linked\": []\n}\n--\n");
    check(home.path(), "which", "4\n--\nerror: no Go is installed\nhint: govern install\n");
    check(home.path(), "uninstall 1.22.4", "4\n--\nerror: go1.22.4 is not installed\nhint: govern list\n");
    check(home.path(), "default", "0\nlatest\n--\n");
}

#[test]
fn a_missing_pin_is_told_in_three_lines() {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("shop");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join(".go-version"), "1.22.9\n").unwrap();
    let at = format!("{}/.go-version:1", project.display());
    let output = govern(home.path()).arg("which").current_dir(&project).output().unwrap();
    let expect = format!("4\n--\nerror: go1.22.9 is not installed\n  wanted by {at}\nhint: govern install\n");
    assert_eq!(seen(&output), expect);
    let shim = || {
        let mut shim = govern(home.path());
        shim.args(["__shim", "go", "--version", "-q"]).current_dir(&project).env("GOVERN_AUTO_INSTALL", "0");
        shim
    };
    let expect = format!("127\n--\nerror: go1.22.9 is not installed\n  wanted by {at}\nhint: govern install 1.22.9\n");
    assert_eq!(seen(&shim().output().unwrap()), expect);
    let expect = expect.replace("govern install", "GOVERN_OFFLINE=0 govern install");
    assert_eq!(seen(&shim().env("GOVERN_AUTO_INSTALL", "1").env("GOVERN_OFFLINE", "1").output().unwrap()), expect);
}

#[test]
fn verbs_that_need_the_daemon_say_so() {
    let home = tempfile::tempdir().unwrap();
    for verb in ["status", "projects"] {
        let output = govern(home.path()).arg(verb).env_remove("GOVERN_NO_DAEMON").output().unwrap();
        let expect = "6\n--\nerror: the govern daemon is not running\nhint: govern daemon start\n";
        assert_eq!(seen(&output), expect, "{verb}");
    }
    check(
        home.path(),
        "daemon stop",
        "6\n--\nerror: no daemon is asked: GOVERN_NO_DAEMON is set\nhint: unset GOVERN_NO_DAEMON\n",
    );
}

#[test]
fn a_pin_is_written_and_taken_away_and_a_file_keeps_what_is_not_ours() {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("shop");
    std::fs::create_dir(&project).unwrap();
    let file = |name: &str| std::fs::read_to_string(project.join(name)).ok();
    let in_project = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        seen(&govern(home.path()).args(words).current_dir(&project).output().unwrap())
    };
    assert_eq!(in_project("pin go1.22.4 --no-install"), "0\n--\nPinned 1.22.4 in .go-version\n");
    assert_eq!(file(".go-version").as_deref(), Some("1.22.4\n"));
    assert_eq!(in_project("use 1.23 --no-install"), "0\n--\nPinned 1.23 in .go-version (was 1.22.4)\n");
    let removed = "0\n--\nRemoved the pin 1.23 from .go-version\nnow latest, wanted by govern's own default, the newest release\n";
    assert_eq!(in_project("unpin"), removed);
    assert_eq!(file(".go-version"), None);
    std::fs::write(project.join(".go-version"), "1.2.x.y\n").unwrap();
    assert!(in_project("pin").starts_with("4\n--\nerror: `1.2.x.y` is not a Go version\n  wanted by "));
    assert!(in_project("unpin").starts_with("0\n--\nRemoved the pin 1.2.x.y from .go-version\n"));
    assert!(in_project("unpin").starts_with("1\n--\nerror: "), "there is none left");
    std::fs::write(project.join(".tool-versions"), "# tools\nnodejs 20\ngolang 1.21.0 # old\n").unwrap();
    let pinned = in_project("pin 1.26 --no-install");
    assert_eq!(pinned, "0\n--\nPinned 1.26 in .tool-versions (was 1.21.0)\n");
    assert_eq!(file(".tool-versions").as_deref(), Some("# tools\nnodejs 20\ngolang 1.26 # old\n"));
    let kept = format!("0\n--\nPinned 1.25 for {}, kept by govern\n", project.display());
    assert_eq!(in_project("pin 1.25 --to override --no-install"), kept);
    let again = in_project("pin 1.27 --to .tool-versions --no-install");
    let other = format!("note: the override for {} decides here all the same: 1.25\n", project.display());
    assert_eq!(again, format!("0\n--\nPinned 1.27 in .tool-versions (was 1.26)\n{other}"));
    let removed = format!(
        "0\n--\nRemoved the override 1.25 for {0}\nnow 1.27, wanted by {0}/.tool-versions:3\n",
        project.display()
    );
    assert_eq!(in_project("unpin"), removed);
}

#[test]
fn a_closed_pipe_is_no_reason_to_panic() {
    let home = tempfile::tempdir().unwrap();
    for words in [&["--help"][..], &["explain"], &["list", "--json"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = govern(home.path()).args(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(seen(&output), "0\n--\n", "{words:?}");
    }
    let full = File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        let output = govern(home.path()).arg("explain").stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "an answer that is lost is a failure");
    }
}

#[test]
fn a_shim_never_reads_gos_words_as_its_own() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("theirs");
    std::fs::create_dir(&bin).unwrap();
    let go = bin.join("go");
    std::fs::write(&go, "#!/bin/sh\nprintf '%s|' \"$@\"\nprintf '%s' \"${GOROOT-none}\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&go, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut shim = govern(home.path());
    shim.args(["__shim", "go", "--help", "-q", "--json", "__shim"]);
    let output = shim.env("PATH", &bin).env("GOROOT", "/stale").output().unwrap();
    assert_eq!(seen(&output), "7\n--help|-q|--json|__shim|none--\n");
}

#[test]
fn setup_puts_the_programs_and_one_line_in_place_and_once_more_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (home, built) = (dir.path().join("home"), dir.path().join("built"));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir_all(&built).unwrap();
    std::fs::write(home.join(".bashrc"), "[ -z \"$PS1\" ] && return\n").unwrap();
    std::fs::write(built.join("governd"), "a daemon").unwrap();
    for shim in ["go", "gofmt"] {
        std::fs::write(built.join(shim), "a real Go").unwrap();
    }
    let setup = || seen(&govern(&home).args(["setup", "--shims"]).arg(&built).output().unwrap());
    let refused = setup();
    assert!(refused.starts_with("1\n--\nerror: cannot find the shim `go`, which belongs to govern\n"), "{refused}");
    for shim in ["go", "gofmt"] {
        std::fs::write(built.join(shim), "__shim, one").unwrap();
    }
    let data = home.join(".local/share/govern");
    let (home_text, data_text) = (home.display().to_string(), data.display().to_string());
    let told = setup().replace(&data_text, "DATA").replace(&home_text, "HOME");
    let expect = "0\n--\n + DATA/bin/govern\n + DATA/bin/governd\n + DATA/bin/go\n + DATA/bin/gofmt\n + HOME/.profile\n \
                  ~ HOME/.bashrc\nSet up govern in DATA\nnext: open a new terminal, or type  . \
                  \"$HOME/.local/share/govern/env\"  in this one; then  go version\n";
    assert_eq!(told, expect);
    let bashrc = std::fs::read_to_string(home.join(".bashrc")).unwrap();
    let line = "if [ -r \"$HOME/.local/share/govern/env\" ]; then . \"$HOME/.local/share/govern/env\"; fi # govern\n";
    assert_eq!(bashrc, format!("{line}[ -z \"$PS1\" ] && return\n"), "at the top");

    std::fs::write(built.join("go"), "__shim, two").unwrap();
    let again = setup();
    assert!(again.starts_with(&format!("0\n--\n + {data_text}/bin/go\nSet up ")), "only what is new: {again}");
    assert_eq!(std::fs::read_to_string(home.join(".bashrc")).unwrap(), bashrc);
    assert_eq!(std::fs::read_to_string(data.join("bin/go")).unwrap(), "__shim, two");

    // The installed program finds its home without any variable.
    let installed = data.join("bin/govern");
    let listed = Command::new(installed).env_clear().args(["default", "-v"]).output().unwrap();
    assert_eq!(seen(&listed), "0\nlatest\n--\n");
}
