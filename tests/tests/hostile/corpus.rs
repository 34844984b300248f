//! The checkouts: one for each hole that a version manager is known to have had, and for each thing that a file can be.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// What comes of a checkout.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// This release runs, without a word.
    Runs(&'static str),
    /// The exit code, and a part of what is said.
    Fails(i32, &'static str),
}

use Then::{Fails, Runs};

pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) plant: Box<dyn Fn(&Path)>,
    /// Where below the checkout `go` is called.
    pub(crate) below: &'static str,
    pub(crate) then: Then,
}

/// What runs where nothing is pinned.
const DEFAULT: Then = Runs("1.26.6");

/// A word that is no version.
const NO_VERSION: Then = Fails(125, "is not a Go version");

pub(crate) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    words(&mut all);
    tool_versions(&mut all);
    module_files(&mut all);
    other_managers(&mut all);
    kinds_of_file(&mut all);
    places(&mut all);
    all
}

fn add(all: &mut Vec<Case>, what: &str, then: Then, plant: impl Fn(&Path) + 'static) {
    all.push(Case { what: what.to_owned(), plant: Box::new(plant), below: "cmd", then });
}

fn file(all: &mut Vec<Case>, what: &str, name: &'static str, text: impl Into<Vec<u8>>, then: Then) {
    let text = text.into();
    add(all, what, then, move |dir| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &text).unwrap();
    });
}

/// Words that are no versions.
fn words(all: &mut Vec<Case>) {
    let mut pin = |what: &str, text: &[u8]| file(all, what, ".go-version", text, NO_VERSION);
    pin("a path upwards", b"../../evil\n");
    pin("a path upwards behind a version", b"1.26.6/../../evil\n");
    pin("an absolute path", b"/bin/sh\n");
    pin("a command substitution", b"1.26$(touch${IFS}pwned)\n");
    pin("backquotes", b"`touch pwned`\n");
    pin("a second command", b"1.26.6;touch pwned\n");
    pin("a pipe", b"1.26.6|sh\n");
    pin("an option", b"-toolexec=./evil\n");
    pin("a long option", b"--help\n");
    pin("a variable", b"$HOME\n");
    pin("a glob", b"1.26.*\n");
    pin("a NUL", b"1.26.6\0\n");
    pin("invalid UTF-8", b"\xff\xfe1\x002\x00\n");
    pin("an escape sequence", b"\x1b]0;owned\x071.26.6\n");
    pin("a C1 control", "\u{9b}31m1.26.6\n".as_bytes());
    pin("bidirectional overrides", "1.26\u{202e}6.\u{2066}\n".as_bytes());
    pin("invisible characters", "1.26\u{200b}.6\u{feff}\n".as_bytes());
    pin("digits of another script", "1.\u{662}\u{666}\n".as_bytes());
    pin("a word of a million bytes", &[b'1'; 1_000_000]);
    pin("a number beyond every integer", b"1.99999999999999999999999999\n");
    pin("a URL", b"https://evil.example/go1.26.6.tar.gz\n");
    pin("a printf format", b"%s%n%x\n");
    pin("a template", b"{{ exec(command='touch pwned') }}\n");
    file(
        all,
        "a name of a linked Go that nobody linked",
        ".go-version",
        "evil\n",
        Fails(127, "no Go is linked as `evil`"),
    );
    file(
        all,
        "a carriage return that hides a word",
        ".go-version",
        "evil\r1.26.6\n",
        Fails(127, "no Go is linked as `evil`"),
    );
    file(all, "the word system", ".go-version", "system\n", Fails(127, "no go on PATH"));
    file(all, "a byte order mark", ".go-version", "\u{feff}1.24.11\n", Runs("1.24.11"));
    file(all, "DOS line ends", ".go-version", "1.24.11\r\n", Runs("1.24.11"));
    let many: String = (0..10_000).map(|n| format!("1.99.{n}\n")).collect();
    file(all, "10,000 pins", ".go-version", many, Fails(125, "1.99.0"));
    let late: String = (0..10_000).map(|n| format!("../{n}\n")).chain(["1.24.11\n".to_owned()]).collect();
    file(all, "10,000 words before a pin", ".go-version", late, Runs("1.24.11"));
}

fn tool_versions(all: &mut Vec<Case>) {
    let mut pin = |what: &str, text: &str| file(all, what, ".tool-versions", text, NO_VERSION);
    pin("asdf: a path", "golang path:./evil\n");
    pin("asdf: a ref", "golang ref:master\n");
    pin("mise: an exec template", "golang {{exec(command=\"touch pwned\")}}\n");
    pin("mise: a prefix and a path upwards", "go prefix:../../evil\n");
    pin("mise: sub", "go sub-1:latest/../x\n");
    pin("an escape sequence for Go", "golang \x1b[2J\x1b[1;1H\n");
    file(all, "plugins with commands", ".tool-versions", "evil $(touch pwned)\ngolang 1.24.11\n", Runs("1.24.11"));
}

fn module_files(all: &mut Vec<Case>) {
    let mut module = |what: &str, text: &str, then: Then| file(all, what, "go.mod", text, then);
    module("a toolchain line with a path", "module m\n\ngo 1.21\n\ntoolchain ../../evil\n", DEFAULT);
    module("a toolchain line with an absolute path", "module m\n\ntoolchain /bin/sh\n", DEFAULT);
    module("CVE-2023-39320: a name with a directory", "module m\n\ntoolchain go1.26.6-/../../evil\n", DEFAULT);
    module("a toolchain line with a suffix", "module m\n\ntoolchain go1.22.3-$(id)\n", DEFAULT);
    module("a toolchain line with an escape sequence", "module m\n\ntoolchain \x1b]0;x\x07\n", DEFAULT);
    module("a go line with metacharacters", "module m\n\ngo 1.26;id\n", DEFAULT);
    module("tool and replace directives", "module m\n\ngo 1.24\n\ntool ./evil\n\nreplace x => ../../..\n", DEFAULT);
    module("a go line of the far future", "module m\n\ngo 1.999\n", Fails(125, "1.999"));
    module("a go line beyond every integer", "module m\n\ngo 1.99999999999999999999\n", Fails(125, "1.9999"));
    add(all, "a go.work whose modules lie elsewhere", DEFAULT, |dir| {
        fs::write(dir.join("go.work"), "go 1.24\n\nuse ../../../..\nuse /etc\n").unwrap();
    });
    add(all, "GOFLAGS and toolexec in the checkout", DEFAULT, |dir| {
        fs::create_dir_all(dir.join("cmd/.config/go")).unwrap();
        for name in ["go.env", "env", ".config/go/env", "cmd/go.env", "cmd/.config/go/env", ".env"] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "GOFLAGS=-toolexec=./evil\nGOTOOLCHAIN=go1.22.3\nGOPROXY=http://192.0.2.1/\n").unwrap();
        }
    });
    add(all, "a go in the checkout", DEFAULT, |dir| {
        for name in ["go", "bin/go", "cmd/go", "cmd/go1.22.3", "govern", "cmd/governd"] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "#!/bin/sh\ntouch pwned\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    });
}

/// Files of other managers, none of which is read.
fn other_managers(all: &mut Vec<Case>) {
    let mut other = |what: &str, name: &'static str, text: &str| file(all, what, name, text, DEFAULT);
    other("volta: hooks", ".volta/hooks.json", r#"{"node":{"index":{"bin":"./evil"}}}"#);
    other("volta: package.json", "package.json", r#"{"volta":{"extends":"../../../../etc/passwd"}}"#);
    other("bazelisk: another base", ".bazeliskrc", "BAZELISK_BASE_URL=http://192.0.2.1\nUSE_BAZEL_VERSION=../x\n");
    other("bazel: a wrapper", "tools/bazel", "#!/bin/sh\ntouch pwned\n");
    other(
        "mise: env, tasks, hooks",
        "mise.toml",
        "[env]\nGOFLAGS='-toolexec=x'\n_.source='./e'\n[hooks]\nenter='touch p'\n[tools]\ngo='{{exec(command=\"id\")}}'\n",
    );
    other("mise: hidden", ".mise.toml", "[tools]\ngo='1.22.3'\n[settings]\nyes=true\n");
    other("direnv", ".envrc", "export GOVERN_GO_VERSION=1.22.3\ntouch pwned\n");
    other("asdf: a plugin", ".asdf/plugins/golang/bin/exec-env", "#!/bin/sh\ntouch pwned\n");
    other("asdf: settings", ".asdfrc", "pre_asdf_install_golang = touch pwned\n");
    other("goenv: hooks", ".goenv/hooks/exec/evil.bash", "touch pwned\n");
    other("proto", ".prototools", "go = \"1.22.3\"\n[plugins.tools]\ngo='http://192.0.2.1/x.wasm'\n");
    other("rustup", "rust-toolchain.toml", "[toolchain]\npath = './evil'\n");
    other("sdkman", ".sdkmanrc", "go=1.22.3\n");
    other("devbox", "devbox.json", r#"{"packages":["go@1.22.3"],"shell":{"init_hook":["touch pwned"]}}"#);
    other("govern's own names", "config.toml", "unsafe_pins = \"allow\"\ndl_urls = [\"http://192.0.2.1/\"]\n");
    other("govern's own directory", ".govern/config.toml", "unsafe_pins = \"allow\"\n");
    other("git: hooks and a monitor", ".git/config", "[core]\n\tfsmonitor = touch pwned\n\thooksPath = ./evil\n");
    other("Mercurial: hooks", ".hg/hgrc", "[hooks]\nupdate = touch pwned\n");
}

fn kinds_of_file(all: &mut Vec<Case>) {
    for name in [".go-version", "go.mod"] {
        add(all, &format!("a FIFO as {name}"), DEFAULT, move |dir| run("mkfifo", &[], &dir.join(name)));
        add(all, &format!("a device as {name}"), DEFAULT, move |dir| symlink("/dev/zero", dir.join(name)).unwrap());
        add(all, &format!("a terminal as {name}"), DEFAULT, move |dir| symlink("/dev/tty", dir.join(name)).unwrap());
        add(all, &format!("a link to itself as {name}"), DEFAULT, move |dir| symlink(name, dir.join(name)).unwrap());
        add(all, &format!("a sparse file of 1 GiB as {name}"), DEFAULT, move |dir| {
            File::create(dir.join(name)).unwrap().set_len(1 << 30).unwrap();
        });
        add(all, &format!("a directory as {name}"), DEFAULT, move |dir| fs::create_dir(dir.join(name)).unwrap());
    }
    add(all, "a socket", DEFAULT, |dir| drop(UnixListener::bind(dir.join(".go-version")).unwrap()));
    add(all, "a full file of 1 GiB", DEFAULT, |dir| {
        run("fallocate", &["-l", "1G"], &dir.join(".tool-versions"));
    });
    add(all, "a chain of links too long", DEFAULT, |dir| {
        for at in 0..64 {
            symlink(format!("link{}", at + 1), dir.join(format!("link{at}"))).unwrap();
        }
        symlink("link0", dir.join(".go-version")).unwrap();
    });
    add(all, "a link to a file that is nobody's business", NO_VERSION, |dir| {
        symlink("/etc/passwd", dir.join(".go-version")).unwrap();
    });
    // It fails as a broken disk does, and that is never passed over.
    add(all, "a link into the memory of the process", Fails(125, "cannot read"), |dir| {
        symlink("/proc/self/mem", dir.join(".go-version")).unwrap();
    });
    file(all, "an empty file", ".go-version", "", DEFAULT);
}

fn places(all: &mut Vec<Case>) {
    add(all, "a directory with an escape sequence in its name", DEFAULT, |dir| {
        fs::create_dir(dir.join("\x1b[31m\u{202e}x")).unwrap();
    });
    all.push(Case {
        what: "a bad pin in a directory with an escape sequence in its name".to_owned(),
        plant: Box::new(|dir| {
            fs::create_dir(dir.join("\x1b[31m\u{202e}x")).unwrap();
            fs::write(dir.join("\x1b[31m\u{202e}x/.go-version"), "../x\n").unwrap();
        }),
        below: "\x1b[31m\u{202e}x",
        then: NO_VERSION,
    });
    add(all, "parents that everybody may write", Runs("1.24.11"), |dir| {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(dir.join(".go-version"), "1.24.11\n").unwrap();
        fs::set_permissions(dir.join(".go-version"), fs::Permissions::from_mode(0o666)).unwrap();
    });
    add(all, "files of another owner", Runs("1.24.11"), |dir| {
        fs::write(dir.join(".go-version"), "1.24.11\n").unwrap();
        // Without privileges it stays ours.
        Command::new("chown").args(["-R", "65534:65534"]).arg(dir).output().ok();
    });
    all.push(Case {
        what: "1,500 directories deep".to_owned(),
        plant: Box::new(|dir| fs::write(dir.join(".go-version"), "../x\n").unwrap()),
        below: DEEP,
        // Nobody looks so far up.
        then: DEFAULT,
    });
    all.push(Case {
        what: "a pin at every level, the nearest one bad".to_owned(),
        plant: Box::new(|dir| {
            for level in dir.join(&DEEP[..400]).ancestors().take_while(|level| level.starts_with(dir)) {
                fs::create_dir_all(level).unwrap();
                fs::write(level.join(".go-version"), "`id`\n").unwrap();
            }
        }),
        below: DEEP.split_at(400).0,
        then: NO_VERSION,
    });
}

/// 1,500 directories in each other.
const DEEP: &str = match str::from_utf8(&DEEP_BYTES) {
    Ok(deep) => deep,
    Err(_) => "",
};

const DEEP_BYTES: [u8; 3_000] = {
    let mut bytes = [b'd'; 3_000];
    let mut at = 1;
    while at < bytes.len() {
        bytes[at] = b'/';
        at += 2;
    }
    bytes
};

fn run(program: &str, arguments: &[&str], path: &Path) {
    assert!(Command::new(program).args(arguments).arg(path).status().unwrap().success(), "{program}");
}
