//! Where DESIGN §5 differs from cmd/go on purpose: each class with its cases and the version that they expect.
//! `docs/user/pins.md` gives the reasons under the same names.

use crate::case::{Case, Dice};

/// One way to differ.
pub(crate) struct Class {
    /// As it stands in `docs/user/pins.md`.
    pub(crate) name: &'static str,
    /// The default Go of its cases.
    pub(crate) default: &'static str,
    /// A case, and the version that runs under govern.
    pub(crate) case: fn(&mut Dice) -> (Case, &'static str),
}

pub(crate) const ALL: [Class; 8] = [
    Class { name: "A pin file decides", default: "1.24.11", case: pin_file },
    Class { name: "A `toolchain` line is exact", default: "1.27.3", case: toolchain_line },
    Class { name: "A `go` line gets the newest patch", default: "1.24.11", case: newest_patch },
    Class { name: "A newer Go serves where the right one cannot be had", default: "1.24.11", case: instead },
    Class { name: "`toolchain default` is no wish", default: "1.24.11", case: toolchain_default },
    Class { name: "The Go that GOTOOLCHAIN names applies its own rules", default: "1.26.6", case: named_base },
    Class { name: "A GOROOT that was left behind does not count", default: "1.26.6", case: stale_goroot },
    Class { name: "Go's own switch variables do not leak", default: "1.26.6", case: leaked_switch },
];

fn file(path: &str, text: impl Into<String>) -> (String, String) {
    (path.to_owned(), text.into())
}

/// A working directory at or below `w`, and one of the two ways to ask which Go it is.
fn below_w(dice: &mut Dice) -> Case {
    let args = dice.of(&["version", "env GOVERSION"]).split(' ').map(str::to_owned).collect();
    Case { cwd: dice.of(&["w", "w/m", "w/m/n"]).to_owned(), args, ..Case::default() }
}

fn pin_file(dice: &mut Dice) -> (Case, &'static str) {
    let pins =
        [("1.21.13", "1.21.13"), ("1.26", "1.26.6"), ("go1.26.3", "1.26.3"), ("1.27", "1.27.3"), ("1.25.5", "1.25.5")];
    let (text, version) = pins[dice.below(pins.len())];
    let mut case = below_w(dice);
    case.files.push(match dice.below(3) {
        0 => file("w/.tool-versions", format!("nodejs 22.1.0\ngolang {text}\n")),
        1 => file("w/.go-version", format!("# ours\n{text}\r\n")),
        _ => file("w/.go-version", text),
    });
    // Neither a newer minimum nor what `go env -w` says moves a pin.
    if dice.percent(50) {
        case.files.push(file("w/m/go.mod", "module m\n\ngo 1.99.0\n"));
    }
    if dice.percent(30) {
        case.go_env = "GOTOOLCHAIN=go1.24.11\n".to_owned();
    }
    (case, version)
}

fn toolchain_line(dice: &mut Dice) -> (Case, &'static str) {
    let version = dice.of(&["1.21.13", "1.24.11", "1.25.5", "1.26.3", "1.26.6"]);
    let name = dice.of(&["w/go.mod", "w/go.work"]);
    let mut case = below_w(dice);
    case.files.push(file(name, format!("module m\n\ngo 1.21\n\ntoolchain go{version}\n")));
    (case, version)
}

fn newest_patch(dice: &mut Dice) -> (Case, &'static str) {
    let go = dice.of(&["1.26", "1.26.0", "1.26.1", "1.26.3", "1.26rc2", "1.26.5"]);
    let name = dice.of(&["w/go.mod", "w/go.work"]);
    let mut case = below_w(dice);
    case.files.push(file(name, format!("module m\n\ngo {go}\n")));
    (case, "1.26.6")
}

fn instead(dice: &mut Dice) -> (Case, &'static str) {
    let go = dice.of(&["1.25.6", "1.25.7", "1.26.7", "1.26.12"]);
    let mut case = below_w(dice);
    case.files.push(file("w/go.mod", format!("module m\n\ngo {go}\n")));
    (case, "1.27.3")
}

fn toolchain_default(dice: &mut Dice) -> (Case, &'static str) {
    let (go, version) = [("1.27.3", "1.27.3"), ("1.25.5", "1.25.5"), ("1.26.6", "1.26.6")][dice.below(3)];
    let mut case = below_w(dice);
    case.files.push(file("w/go.mod", format!("module m\n\ngo {go}\n\ntoolchain default\n")));
    (case, version)
}

fn named_base(dice: &mut Dice) -> (Case, &'static str) {
    let version = dice.of(&["1.21.13", "1.24.11"]);
    let mut case = below_w(dice);
    case.files.push(file("w/go.mod", "module m\n\ngo 1.27.3\n"));
    case.vars.push(("GOTOOLCHAIN", format!("go{version}+{}", dice.of(&["auto", "path"]))));
    case.args = vec![dice.of(&["install", "run"]).to_owned(), "example.com/old@v1.0.0".to_owned()];
    (case, version)
}

fn stale_goroot(dice: &mut Dice) -> (Case, &'static str) {
    let mut case = below_w(dice);
    case.vars.push(("GOROOT", dice.of(&["/nowhere", "@/w", "/usr/lib/go"]).to_owned()));
    case.args = vec!["env".to_owned(), "GOROOT".to_owned()];
    (case, "1.26.6")
}

fn leaked_switch(dice: &mut Dice) -> (Case, &'static str) {
    let mut case = below_w(dice);
    let version = dice.of(&["go1.27.3", "go1.99.0", "go1.24.11"]);
    case.vars.push(("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", version.to_owned()));
    case.vars.push(("GOTOOLCHAIN_INTERNAL_SWITCH_COUNT", "1".to_owned()));
    (case, "1.26.6")
}
