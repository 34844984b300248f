//! The command line, read once: every word becomes a value here or is refused with a caret under its fault.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use govern_core::platform::Platform;
use govern_core::spec::{LinkName, ParseSpecError, Spec};

const HEADERS: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
A SPEC is 1.22 (its newest patch), 1.22.4, 1.28rc1, latest, oldstable, '>=1.25, <1.27' or a linked name.
One call with another Go:  go +1.22.4 build ./...";

/// The heading of the flags that every verb has.
const TALK: &str = "Talk";

/// Gives every directory its Go.
#[derive(Debug, Parser)]
#[command(name = "govern", version, styles = HEADERS, after_help = AFTER, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) manner: Manner,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How to talk.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Manner {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = TALK)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = TALK)]
    pub(crate) verbose: bool,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Colour::Auto, help_heading = TALK)]
    pub(crate) color: Colour,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Put govern's programs in place and on PATH
    Setup(Setup),
    /// Install Go versions; none named: what this directory wants
    Install(Install),
    /// Remove installed Go versions
    Uninstall(Uninstall),
    /// Give a Go that you built a name, to be pinned like a version
    Link(Link),
    /// Take such a name away; the Go stays where it is
    Unlink(Unlink),
    /// Show the installed Go versions, or those that exist
    #[command(visible_alias = "ls", alias = "versions")]
    List(List),
    /// Show all Go versions that exist
    #[command(hide = true, alias = "ls-remote")]
    Listall(Json),
    /// Say which Go this directory gets; nothing named: show what decides
    #[command(aliases = ["use", "local"])]
    Pin(Pin),
    /// Take this directory's pin away
    Unpin(Unpin),
    /// Show or set the Go for directories that want none
    #[command(alias = "global")]
    Default(DefaultGo),
    /// Show the path of the program that `go` means here
    Which(Which),
    /// Show what decides which Go runs, and what else was looked at
    Explain(Explain),
    /// Run a command with another Go first on PATH
    #[command(alias = "exec")]
    Run(Run),
    /// Print shell code that puts a Go first on PATH
    Env(Env),
    /// Compare installed Go versions with their records, file by file
    Verify(Verify),
    /// Show how the daemon is, and what it does
    Status(Json),
    /// Start, stop or look at the background daemon
    #[command(subcommand)]
    Daemon(Daemon),
    /// Show the directories that asked for a Go
    Projects(Json),
    /// Put Go into a file for machines without a network
    #[command(subcommand)]
    Bundle(Bundle),
    /// Give Go on to other machines
    #[command(subcommand)]
    Mirror(Mirror),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `setup`.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Leave the shells' start-up files alone
    #[arg(long)]
    pub(crate) no_modify_path: bool,
    /// Where the built `go` and `gofmt` shims are, when not beside this program
    #[arg(long, value_name = "DIR")]
    pub(crate) shims: Option<PathBuf>,
}

/// `install`.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// The versions
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) specs: Vec<Spec>,
    /// Install from a bundle or a directory, without network; no SPEC: all that is in it
    #[arg(long, value_name = "PATH")]
    pub(crate) from: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `uninstall`.
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// The versions
    #[arg(value_name = "SPEC", value_parser = spec, required = true)]
    pub(crate) specs: Vec<Spec>,
}

/// `link`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The name: small letters, digits, `-` and `_`, such as tip
    #[arg(value_name = "NAME", value_parser = link_name)]
    pub(crate) name: LinkName,
    /// The root of the Go: the directory with bin/go in it
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// `unlink`.
#[derive(Debug, Args)]
pub(crate) struct Unlink {
    /// The name
    #[arg(value_name = "NAME", value_parser = link_name)]
    pub(crate) name: LinkName,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show the versions that exist, not those that are installed
    #[arg(long)]
    pub(crate) remote: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The versions; none named: all that are installed
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) specs: Vec<Spec>,
    /// Check the checksum database's proof of each once more, without network
    #[arg(long)]
    pub(crate) proof: bool,
    /// Put a fresh one in the place of each that is damaged
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A verb whose only choice is JSON.
#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pin`.
#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// The version, written down as you type it
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) spec: Option<Spec>,
    /// Where to write it: the file that decides here already, else .go-version
    #[arg(long, value_name = "WHERE", value_enum, requires = "spec")]
    pub(crate) to: Option<Place>,
    /// Do not install it now
    #[arg(long, requires = "spec")]
    pub(crate) no_install: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "spec")]
    pub(crate) json: bool,
}

/// Where a pin is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The file that most tools read
    #[value(name = ".go-version", alias = "go-version")]
    GoVersion,
    /// The file of asdf and mise
    #[value(name = ".tool-versions", alias = "tool-versions")]
    ToolVersions,
    /// The toolchain line of go.mod
    #[value(name = "go.mod", alias = "mod")]
    GoMod,
    /// Not in the directory: kept by govern for you alone
    Override,
}

/// `unpin`.
#[derive(Debug, Args)]
pub(crate) struct Unpin {
    /// Where to take it away, when the directory has several pins
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(crate) from: Option<Place>,
}

/// `default`.
#[derive(Debug, Args)]
pub(crate) struct DefaultGo {
    /// The version
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) spec: Option<Spec>,
    /// Do not install it now
    #[arg(long, requires = "spec")]
    pub(crate) no_install: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "spec")]
    pub(crate) json: bool,
}

/// `which`.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The program
    #[arg(value_name = "TOOL", value_parser = ["go", "gofmt"], default_value = "go")]
    pub(crate) tool: String,
    /// Print the root of the Go instead
    #[arg(long)]
    pub(crate) goroot: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The directory, instead of this one
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The arguments of the go command that is meant
    #[arg(value_name = "GO ARGS", last = true)]
    pub(crate) args: Vec<OsString>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `run`.
#[derive(Debug, Args)]
#[command(override_usage = "govern run [OPTIONS] <SPEC> -- <CMD>...")]
pub(crate) struct Run {
    /// The version
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) spec: Spec,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// `env`.
#[derive(Debug, Args)]
pub(crate) struct Env {
    /// The version; none: what this directory wants
    #[arg(value_name = "SPEC", value_parser = spec)]
    pub(crate) spec: Option<Spec>,
    /// The shell that reads it; else the one you use
    #[arg(long, value_enum)]
    pub(crate) shell: Option<Shell>,
    /// Print JSON instead
    #[arg(long, conflicts_with = "shell")]
    pub(crate) json: bool,
}

/// A shell that `env` can write for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// Any other sh
    Sh,
    /// fish
    Fish,
    /// Nushell
    Nu,
    /// PowerShell
    Pwsh,
}

/// `daemon`.
#[derive(Debug, Subcommand)]
pub(crate) enum Daemon {
    /// Start it in the background
    Start,
    /// Let it finish what it does, and end it
    Stop,
    /// Stop it, and start it again
    Restart,
    /// Show how it is
    Status(Json),
    /// Run it here, in the foreground
    Run,
    /// Show what it wrote down
    Logs(Logs),
    /// Have the system start it when it is first asked
    Install,
    /// Take it out of the system again
    Uninstall,
}

/// `daemon logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on as more is written
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last lines
    #[arg(short = 'n', long, default_value_t = 200)]
    pub(crate) lines: usize,
}

/// `bundle`.
#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Write archives and their proofs into one file; `govern install --from FILE` installs from it
    Create(BundleCreate),
}

/// `bundle create`.
#[derive(Debug, Args)]
pub(crate) struct BundleCreate {
    /// The versions
    #[arg(value_name = "SPEC", value_parser = spec, required = true)]
    pub(crate) specs: Vec<Spec>,
    /// The file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// For which machines, such as linux/arm64; else this one
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    pub(crate) platform: Vec<Platform>,
}

/// `mirror`.
#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    /// Serve archives over HTTP, read-only, in the shapes of go.dev/dl and of a module proxy
    Serve(Serve),
}

/// `mirror serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; 0.0.0.0:8090 lets others in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Give out what is here and download nothing
    #[arg(long)]
    pub(crate) offline: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// A word that should have been a [`Spec`].
#[derive(Debug)]
pub(crate) struct Misread {
    /// As it was typed.
    pub(crate) word: String,
    /// What is wrong with it.
    pub(crate) fault: ParseSpecError,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl Error for Misread {}

fn platform(word: &str) -> Result<Platform, &'static str> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match word.split_once('/') {
        Some((os, arch)) if is_word(os) && is_word(arch) => Ok(Platform { os: os.to_owned(), arch: arch.to_owned() }),
        _ => Err("a platform is GOOS/GOARCH, such as linux/arm64"),
    }
}

fn spec(word: &str) -> Result<Spec, Misread> {
    Spec::parse(word).map_err(|fault| Misread { word: word.to_owned(), fault })
}

fn link_name(word: &str) -> Result<LinkName, String> {
    LinkName::parse(word).map_err(|fault| match Spec::parse(word) {
        Ok(_) => fault.reason.to_owned(),
        Err(_) => "a name is a small letter, then small letters, digits, `-` and `_`, such as `tip`".to_owned(),
    })
}

/// Why there is no command to obey.
pub(crate) enum Stop {
    /// Help or the version were asked for: the answer.
    Told(clap::builder::StyledStr),
    /// A word is no version.
    Misread(String, ParseSpecError),
    /// The command line is wrong in another way, as clap tells it.
    Wrong(clap::builder::StyledStr),
}

/// Reads a command line, the program's name first.
pub(crate) fn read(args: &[OsString]) -> Result<Cli, Stop> {
    Cli::try_parse_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Told(error.render()),
        _ => match error.source().and_then(|source| source.downcast_ref::<Misread>()) {
            Some(misread) => Stop::Misread(misread.word.clone(), misread.fault.clone()),
            None => Stop::Wrong(error.render()),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::{Cli, Place, Stop, Verb, read};

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_has_no_contradiction_in_it() {
        Cli::command().debug_assert();
    }

    #[test]
    fn habits_of_other_managers_are_understood() {
        let check = |line: &str, expect: fn(&Verb) -> bool| {
            let Ok(cli) = read(&words(line)) else { panic!("{line} is refused") };
            assert!(expect(&cli.verb), "{line} gave {:?}", cli.verb);
        };
        check("govern use 1.22", |verb| matches!(verb, Verb::Pin(pin) if pin.spec.is_some()));
        check("govern local go1.22.4", |verb| matches!(verb, Verb::Pin(_)));
        check("govern global 1.22", |verb| matches!(verb, Verb::Default(_)));
        check("govern ls", |verb| matches!(verb, Verb::List(_)));
        check("govern versions", |verb| matches!(verb, Verb::List(list) if !list.remote));
        check("govern listall", |verb| matches!(verb, Verb::Listall(_)));
        check("govern exec 1.22 -- go test -v", |verb| matches!(verb, Verb::Run(run) if run.command.len() == 3));
        check("govern run 1.22 go test -v -q", |verb| matches!(verb, Verb::Run(run) if run.command.len() == 4));
        check("govern pin 1.22 --to go-version", |verb| matches!(verb, Verb::Pin(p) if p.to == Some(Place::GoVersion)));
        check("govern explain /tmp -- -C x build", |verb| matches!(verb, Verb::Explain(e) if e.args.len() == 3));
        check("govern link tip ../go", |verb| matches!(verb, Verb::Link(link) if link.name.as_str() == "tip"));
        check("govern explain -- build", |verb| matches!(verb, Verb::Explain(e) if e.dir.is_none()));
    }

    #[test]
    fn a_bad_version_is_told_apart_from_other_faults() {
        assert!(matches!(read(&words("govern install 1.22.x")), Err(Stop::Misread(word, _)) if word == "1.22.x"));
        assert!(matches!(read(&words("govern instal")), Err(Stop::Wrong(_))));
        assert!(matches!(read(&words("govern uninstall")), Err(Stop::Wrong(_))));
        assert!(matches!(read(&words("govern --version")), Err(Stop::Told(_))));
        assert!(matches!(read(&words("govern")), Err(Stop::Wrong(_))));
        for name in ["1.22", "go1.22.4", "latest", "Tip", "a/b", "-x", "system"] {
            assert!(matches!(read(&words(&format!("govern link {name} /go"))), Err(Stop::Wrong(_))), "{name}");
        }
    }
}
