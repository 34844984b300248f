//! Random directories, environments and command lines of the kind that Go's selection reads. Seeded: a run can be
//! repeated. Leaves out what is expected of them.

use std::fmt::Write as _;

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).expect("less than n")
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// What is installed.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    /// The SDKs, oldest first, without `go`.
    pub(crate) sdks: Vec<&'static str>,
    /// The default, one of them: the Go that a plain `go` is.
    pub(crate) default: &'static str,
}

impl Installed {
    /// The newest patch of each family that is newer than the default: what a minimum may name and get exactly.
    fn exact_and_newer(&self) -> Vec<&'static str> {
        let family = |sdk: &str| sdk.rsplit_once('.').map(|(family, _)| family.to_owned());
        let is_newest = |at: usize| self.sdks.get(at + 1).is_none_or(|next| family(next) != family(self.sdks[at]));
        let start = self.sdks.iter().position(|sdk| *sdk == self.default).expect("the default is installed");
        (start..self.sdks.len()).filter(|at| is_newest(*at)).map(|at| self.sdks[at]).collect()
    }
}

/// One directory tree, environment and command line. Paths are below the case's own directory, `@` stands for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Files and what they hold; a path that ends in a slash is a directory.
    pub(crate) files: Vec<(String, String)>,
    /// The working directory.
    pub(crate) cwd: String,
    /// The variables set.
    pub(crate) vars: Vec<(&'static str, String)>,
    /// The file that `go env -w` writes.
    pub(crate) go_env: String,
    /// The arguments of `go`.
    pub(crate) args: Vec<String>,
}

impl Case {
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_package_at_version(&self) -> bool {
        self.args.iter().any(|arg| arg.starts_with("example.com/"))
    }
}

const DIRECTORIES: [&str; 5] = ["", "w", "w/m", "w/m/n", "x"];

/// A case in which every release that a module file can ask for is installed exactly, is met by the default, or does
/// not exist.
pub(crate) fn exact(dice: &mut Dice, installed: &Installed) -> Case {
    let mut case = Case { cwd: dice.of(&DIRECTORIES).to_owned(), ..Case::default() };
    for directory in DIRECTORIES {
        let slash = if directory.is_empty() { "" } else { "/" };
        // What is nowhere named still is a directory.
        case.files.push((format!("{directory}{slash}.keep"), String::new()));
        case.files.push((format!("{directory}{slash}rel.env"), "GOTOOLCHAIN=local\n".to_owned()));
        if dice.percent(45) {
            case.files.push((format!("{directory}{slash}go.mod"), module_file(dice, installed)));
        } else if dice.percent(4) {
            case.files.push((format!("{directory}{slash}go.mod/"), String::new()));
        }
        if dice.percent(if directory.contains('/') { 4 } else { 14 }) {
            case.files.push((format!("{directory}{slash}go.work"), module_file(dice, installed)));
        }
    }
    variables(dice, installed, &mut case);
    case.args = arguments(dice);
    case
}

fn module_file(dice: &mut Dice, installed: &Installed) -> String {
    let newer = installed.exact_and_newer();
    let go = match dice.below(100) {
        0..35 => newer[dice.below(newer.len())].to_owned(),
        35..60 => dice.of(&["1", "1.16", "1.20", "1.20.3", "1.21", "1.21rc2", "1.21.0", installed.default]).to_owned(),
        60..70 => dice.of(&["1.99.0", "1.99", "1.99rc1"]).to_owned(),
        70..82 => dice
            .of(&["v1.27", "1.27.x", "1.99.1rc1", "\"1.27.3\"", "1.26.6 foo", "2.0", "01.27", "go1.27.3", "local"])
            .to_owned(),
        _ => String::new(),
    };
    let toolchain = match dice.below(100) {
        0..20 => format!("go{}", newer[dice.below(newer.len())]),
        20..32 => "default".to_owned(),
        32..40 => format!("go{}", installed.default),
        40..46 => dice.of(&["go1.20", "go1.21.0", "go1.99.0", "go1.99", "go1.99rc1", "go1.99.0-bigcorp"]).to_owned(),
        46..52 => dice.of(&["local", "go1.x", "go2.0", "go1.27.3+auto", "(", "go1.27.3-/../x", "auto", ""]).to_owned(),
        _ => String::new(),
    };
    let mut lines = vec!["module m".to_owned()];
    let mut push = |dice: &mut Dice, key: &str, value: String| {
        lines.push(match dice.below(10) {
            0 => format!("  {key}\t{value}\t//x"),
            1 => format!("{key} {value} // go 1.99.0"),
            2 => format!("require (\n{key} {value}\n)"),
            3 => format!("{key} {value}\n{key} 1.99.0"),
            4 => format!("\t {key} \t {value} \u{b}"),
            _ => format!("{key} {value}"),
        });
    };
    let is_go_first = dice.percent(80);
    for is_go in [is_go_first, !is_go_first] {
        match is_go {
            true if !go.is_empty() => push(dice, "go", go.clone()),
            false if !toolchain.is_empty() => push(dice, "toolchain", toolchain.clone()),
            _ => {}
        }
    }
    lines.extend(["// go 1.99.0", "godebug default=go1.99", "newdirective ( x"].map(str::to_owned));
    let mut text = lines.join(if dice.percent(12) { "\r\n" } else { "\n" });
    if dice.percent(6) {
        text = format!("\u{feff}{}", text.trim_start_matches("module m\n"));
    }
    if dice.percent(85) {
        text.push('\n');
    }
    text
}

fn gotoolchain(dice: &mut Dice, installed: &Installed) -> String {
    let any = format!("go{}", installed.sdks[dice.below(installed.sdks.len())]);
    match dice.below(100) {
        0..14 => "auto".to_owned(),
        14..28 => "path".to_owned(),
        28..40 => "local".to_owned(),
        40..44 => dice.of(&["local+auto", "local+path"]).to_owned(),
        44..58 => any,
        58..70 => any + "+auto",
        70..82 => any + "+path",
        82..88 => dice.of(&["go1.99.0", "go1.99.0+auto", "go1.99.0+path", "go1.20.3", "go1.99rc1"]).to_owned(),
        88..92 => dice.of(&["go1.24", "go1.24+auto", "go1.99", "go1.99+path"]).to_owned(),
        92..98 => dice
            .of(&["asdf", "go1.24.11+foo", "auto+auto", "local+", "go2.0", "1.24.11", "+auto", "default"])
            .to_owned(),
        _ => String::new(),
    }
}

fn variables(dice: &mut Dice, installed: &Installed, case: &mut Case) {
    if dice.percent(50) {
        case.vars.push(("GOTOOLCHAIN", gotoolchain(dice, installed)));
    }
    if dice.percent(25) {
        writeln!(case.go_env, "GOTOOLCHAIN={}", gotoolchain(dice, installed)).expect("a string grows");
    }
    let gowork = |dice: &mut Dice| dice.of(&["off", "auto", "", "@/x/go.work", "@/missing.work", "go.work"]).to_owned();
    if dice.percent(20) {
        case.vars.push(("GOWORK", gowork(dice)));
    }
    if dice.percent(8) {
        writeln!(case.go_env, "GOWORK={}", gowork(dice)).expect("a string grows");
    }
    let module_mode = |dice: &mut Dice| dice.of(&["off", "auto", "auto", "on", "garbage"]).to_owned();
    if dice.percent(18) {
        case.vars.push(("GO111MODULE", module_mode(dice)));
    }
    if dice.percent(6) {
        writeln!(case.go_env, "GO111MODULE={}", module_mode(dice)).expect("a string grows");
    }
    if dice.percent(8) {
        case.vars.push(("GOFLAGS", dice.of(&["-modfile=@/x/go.mod", "-mod=mod", "-modcacherw"]).to_owned()));
    }
    if dice.percent(6) {
        case.vars.push(("GOENV", dice.of(&["off", "@/none", "rel.env"]).to_owned()));
    }
    if dice.percent(4) {
        case.vars.push(("XDG_CONFIG_HOME", dice.of(&["@/none", "relative"]).to_owned()));
    }
    if dice.percent(6) {
        case.vars.push(("TMPDIR", dice.of(&["@", "@/w", "@/w/m"]).to_owned()));
    }
    if case.cwd == "w/m" && dice.percent(30) {
        // A link whose textual parents are others than the directory's own.
        case.vars.push(("PWD", "@/x/link".to_owned()));
    } else if dice.percent(30) {
        case.vars.push(("PWD", dice.of(&["@/x", "@", "/nowhere", "relative"]).to_owned()));
    }
}

fn arguments(dice: &mut Dice) -> Vec<String> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let to = dice.of(&[".", "..", "n", "m", "../..", "@/x", "@/w/m/n", "@/x/link", "missing"]);
    match dice.below(100) {
        0..42 => words("version"),
        42..52 => words("env GOVERSION"),
        52..56 => words("env GOROOT"),
        56..68 => {
            let line = dice.of(&[
                "-C @@ version",
                "-C=@@ version",
                "--C @@ version",
                "version -C @@",
                "env -C=@@ GOVERSION",
                "env --C @@ GOVERSION",
                "env GOVERSION -C @@",
            ]);
            words(&line.replace("@@", to))
        }
        68..78 => words(dice.of(&[
            "env GOTOOLCHAIN",
            "env -w GOTOOLCHAIN=auto",
            "env GOMOD",
            "env GOWORK",
            "env GOMOD GOWORK",
            "env GOTOOLCHAIN GOVERSION",
            "env -C .. GOTOOLCHAIN",
        ])),
        78..80 => words(dice.of(&["help environment", "nosuch", "mod nosuch"])),
        _ => {
            let line = dice.of(&[
                "run @@",
                "install @@",
                "install -v -ldflags -s @@",
                "run -race @@ x",
                "install -unknownflag arg @@",
                "run -unknownflag @@",
                "run -unknown=flag @@",
                "run -- @@",
                "-C .. install @@",
                "install -C .. @@",
            ]);
            let package = dice.of(&["old@v1.0.0", "old@v1.0.0", "old@latest", "mid@v1.0.0", "mid@v1", "new@v1.0.0"]);
            words(&line.replace("@@", &format!("example.com/{package}")))
        }
    }
}
