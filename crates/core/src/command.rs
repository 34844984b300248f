//! Reads a go command line as far as the choice of a Go depends on it: `+SPEC`, a leading `-C`, `pkg@version`, and the
//! shapes of `go env` that mend a GOTOOLCHAIN.
//! Leaves out everything else: the line is passed on as it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a command line says about the choice of a Go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Command {
    /// The word behind a leading `+`.
    pub plus: Option<String>,
    /// The directory of a `-C` where Go honours it before it selects a toolchain.
    pub chdir: Option<OsString>,
    /// `go install pkg@version` or `go run pkg@version`.
    pub package_at_version: bool,
    /// What Go's own selection makes of it otherwise.
    pub shape: Shape,
}

/// The command lines behind which Go's own selection does not look at everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// All others.
    #[default]
    Plain,
    /// `go env GOTOOLCHAIN` or `go env -w GOTOOLCHAIN=…`, and not a word more: the way out of a wrong GOTOOLCHAIN.
    EnvToolchain,
    /// `go env GOMOD` or `go env GOWORK`, and not a word more.
    EnvModuleFile,
}

/// Go's commands: Go 1.27's list. `help` is none of them: main handles it after the `-C`.
const COMMANDS: &[&str] = &[
    "bug",
    "build",
    "clean",
    "doc",
    "env",
    "fix",
    "fmt",
    "generate",
    "get",
    "install",
    "list",
    "mod",
    "run",
    "telemetry",
    "test",
    "tool",
    "version",
    "vet",
    "work",
];

/// The second words of the commands that have some.
const SUBCOMMANDS: &[(&str, &[&str])] = &[
    ("mod", &["download", "edit", "graph", "init", "tidy", "vendor", "verify", "why"]),
    ("work", &["edit", "init", "sync", "use", "vendor"]),
];

/// Flags of `go install` and `go run` that take no value.
const BOOL_FLAGS: &[&str] = &[
    "a",
    "n",
    "v",
    "x",
    "race",
    "msan",
    "asan",
    "cover",
    "work",
    "json",
    "linkshared",
    "modcacherw",
    "trimpath",
    "buildvcs",
];

/// Flags of `go install` and `go run` whose value may be the next argument.
const VALUE_FLAGS: &[&str] = &[
    "C",
    "p",
    "covermode",
    "coverpkg",
    "asmflags",
    "buildmode",
    "compiler",
    "debug-actiongraph",
    "debug-runtime-trace",
    "debug-trace",
    "exec",
    "gccgoflags",
    "gcflags",
    "installsuffix",
    "ldflags",
    "mod",
    "modfile",
    "overlay",
    "pgo",
    "pkgdir",
    "tags",
    "toolexec",
];

impl Command {
    /// Reads the arguments after the program's name. There may be fewer than the caller has: what is cut off is far
    /// behind anything that matters.
    #[must_use]
    pub fn parse(args: &[impl AsRef<OsStr>]) -> Command {
        let args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        let mut args = args.as_slice();
        let plus = word(args, 0).and_then(|a| a.strip_prefix('+')).map(str::to_owned);
        if plus.is_some() {
            args = &args[1..];
        }
        let (chdir, rest) = cut_chdir(args);
        Command { plus, chdir, package_at_version: package_at_version(&rest), shape: shape(&rest) }
    }

    /// Reads the arguments of a program that is not `go`: only a leading `+SPEC` is for us.
    #[must_use]
    pub fn parse_plus(args: &[impl AsRef<OsStr>]) -> Command {
        Command { plus: Command::parse(args.get(..1).unwrap_or_default()).plus, ..Command::default() }
    }
}

fn shape(args: &[&OsStr]) -> Shape {
    let words: Vec<&[u8]> = args.iter().take(4).map(|a| a.as_bytes()).collect();
    match words[..] {
        [b"env", b"GOTOOLCHAIN"] => Shape::EnvToolchain,
        [b"env", b"-w", line] if line.starts_with(b"GOTOOLCHAIN=") => Shape::EnvToolchain,
        [b"env", b"GOMOD" | b"GOWORK"] => Shape::EnvModuleFile,
        _ => Shape::Plain,
    }
}

fn word<'a>(args: &[&'a OsStr], at: usize) -> Option<&'a str> {
    args.get(at).and_then(|a| a.to_str())
}

/// Finds the `-C` that Go obeys at start (`cmd/go/main.go`, `handleChdirFlag`) and gives the arguments without it.
fn cut_chdir<'a>(args: &[&'a OsStr]) -> (Option<OsString>, Vec<&'a OsStr>) {
    let command = word(args, 0).filter(|w| COMMANDS.contains(w));
    let subcommands = SUBCOMMANDS.iter().find(|(name, _)| Some(*name) == command).map_or(&[][..], |(_, subs)| *subs);
    let has_sub = word(args, 1).is_some_and(|w| subcommands.contains(&w));
    let last = usize::from(command.is_some()) + usize::from(command.is_some() && has_sub);
    let all = || args.iter().copied();
    for at in 0..=last {
        let Some(arg) = args.get(at) else { break };
        let bytes = arg.as_bytes();
        if let Some(dir) = bytes.strip_prefix(b"-C=").or_else(|| bytes.strip_prefix(b"--C=")) {
            let rest = all().enumerate().filter(|(i, _)| *i != at).map(|(_, a)| a).collect();
            return (Some(OsStr::from_bytes(dir).to_owned()), rest);
        }
        if *arg == "-C" || *arg == "--C" {
            let rest = all().enumerate().filter(|(i, _)| *i != at && *i != at + 1).map(|(_, a)| a).collect();
            return (args.get(at + 1).map(|dir| (*dir).to_owned()), rest);
        }
    }
    (None, all().collect())
}

/// Recognises `install pkg@version` and `run pkg@version` as `cmd/go/internal/toolchain/select.go` does
/// (`maybeSwitchForGoInstallVersion`): best effort over the flags.
fn package_at_version(args: &[&OsStr]) -> bool {
    let is_run = match args.first().and_then(|a| a.to_str()) {
        Some("run") => true,
        Some("install") => false,
        _ => return false,
    };
    let mut package = None;
    let mut at = 1;
    while let Some(arg) = args.get(at).map(|a| a.to_string_lossy()) {
        at += 1;
        if !arg.starts_with('-') {
            package = Some(arg.into_owned());
            break;
        }
        if arg == "--" {
            package = args.get(at).map(|a| a.to_string_lossy().into_owned());
            break;
        }
        let flag = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).unwrap_or(&arg);
        if flag.contains('=') || BOOL_FLAGS.contains(&flag) {
            continue;
        }
        if VALUE_FLAGS.contains(&flag) {
            at += 1;
            continue;
        }
        if is_run {
            return false;
        }
        // An unknown flag: the last argument is taken for the package.
        package = args.get(at..).unwrap_or_default().last().map(|a| a.to_string_lossy().into_owned());
        package = package.filter(|last| !last.starts_with('-'));
        break;
    }
    let Some(package) = package else { return false };
    let Some((path, version)) = package.split_once('@') else { return false };
    let local =
        path.starts_with("./") || path.starts_with("../") || path.starts_with('/') || matches!(path, "." | "..");
    !local && !path.is_empty() && !version.is_empty() && !matches!(path, "go" | "toolchain")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use proptest::prelude::*;

    use super::{Command, Shape};

    fn parse(line: &str) -> Command {
        Command::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_leading_chdir_is_found_where_go_finds_it() {
        let check = |line: &str, expect: Option<&str>| {
            assert_eq!(parse(line).chdir.as_deref(), expect.map(std::ffi::OsStr::new), "{line}");
        };
        check("-C d version", Some("d"));
        check("-C=d version", Some("d"));
        check("--C d version", Some("d"));
        check("--C=d version", Some("d"));
        check("version -C d", Some("d"));
        check("list -C d -m", Some("d"));
        check("mod -C d edit", Some("d"));
        check("mod edit -C d", Some("d"));
        check("+1.22 -C d version", Some("d"));
        check("build -v -C d", None);
        check("nosuch -C d", None);
        check("tool -C d", Some("d"));
        check("help -C d", None);
        check("mod nosuch -C d", None);
        check("work -C=d sync", Some("d"));
        check("-C d1 version -C d2", Some("d1"));
        check("-Cd version", None);
        check("tool compile -C d", None);
        check("version", None);
        check("", None);
        check("-C", None);
    }

    #[test]
    fn a_package_at_a_version_is_recognised_as_cmd_go_does() {
        let check = |line: &str, expect: bool| assert_eq!(parse(line).package_at_version, expect, "{line}");
        check("install example.com/tool@v1.0.0", true);
        check("install -C d example.com/tool@v1.0.0", true);
        check("-C d install example.com/tool@latest", true);
        check("run example.com/tool@latest -x", true);
        check("install -v -ldflags -s example.com/tool@v1", true);
        check("install -unknownflag pkg@v0.0.1", true);
        check("install -unknownflag arg pkg@v0.0.1", true);
        check("run -unknownflag pkg@v0.0.1", false);
        check("run -unknown=flag pkg@v0.0.1", true);
        check("run -- pkg@v1", true);
        check("install ./cmd@v1", false);
        check("install /abs@v1", false);
        check("install pkg", false);
        check("install pkg@", false);
        check("get pkg@v1", false);
        check("install toolchain@go1.22", false);
        check("run . pkg@v1", false);
        check("install -unknown", false);
        check("install -unknown -x@v1", false);
        check("install -o out pkg@v1", true);
        check("run -o out pkg@v1", false);
        check("run --race --exec x pkg@v1", true);
        check("run ---race pkg@v1", false);
    }

    #[test]
    fn the_ways_out_of_a_wrong_gotoolchain_are_told_by_their_exact_shape() {
        let check = |line: &str, expect: Shape| assert_eq!(parse(line).shape, expect, "{line}");
        check("env GOTOOLCHAIN", Shape::EnvToolchain);
        check("env -w GOTOOLCHAIN=auto", Shape::EnvToolchain);
        check("-C d env GOTOOLCHAIN", Shape::EnvToolchain);
        check("env -C d GOTOOLCHAIN", Shape::EnvToolchain);
        check("+1.22 env GOTOOLCHAIN", Shape::EnvToolchain);
        check("env GOMOD", Shape::EnvModuleFile);
        check("env GOWORK", Shape::EnvModuleFile);
        for line in ["env", "env GOROOT", "env GOMOD GOWORK", "env -json GOMOD", "env -u GOTOOLCHAIN", "list GOMOD"] {
            check(line, Shape::Plain);
        }
        check("env -w GOTOOLCHAIN=auto GOFLAGS=", Shape::Plain);
        check("env -w GOFLAGS=", Shape::Plain);
    }

    #[test]
    fn a_plus_word_is_the_first_argument_only() {
        assert_eq!(parse("+1.22.4 build").plus.as_deref(), Some("1.22.4"));
        assert_eq!(parse("build +1.22.4").plus, None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(
            line in proptest::collection::vec("(-C|--C=|\\+|install|run|mod|edit|-x|--|-tags|a@b|.{0,4})", 0..6),
        ) {
            let args: Vec<OsString> = line.iter().map(OsString::from).collect();
            let command = Command::parse(&args);
            prop_assert_eq!(command.plus.is_some(), line.first().is_some_and(|word| word.starts_with('+')));
            prop_assert!(!command.package_at_version || line.iter().any(|word| word.contains('@')));
            prop_assert!(command.chdir.is_none() || line.iter().any(|word| word.contains("-C")));
        }
    }
}
