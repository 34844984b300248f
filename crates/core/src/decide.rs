//! Which Go: turns what was found into a decision with its reason (DESIGN §5). First that speaks wins.
//! Never touches the disk: callers bring the pins, the module file and the list of what is installed.

mod edits;
mod floor;
mod installed;
mod next;
mod selection;
mod wishes;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::command::Command;
use crate::goenv::GoEnv;
use crate::gomod;
use crate::link::Link;
use crate::origin::Origin;
use crate::pinfile::Entry;
use crate::settings::Settings;
use crate::spec::{LinkName, ParseSpecError, Spec};
use crate::vars::Vars;
use crate::version::Version;

use installed::Installed;

pub use edits::{Edits, Launchers, MAX_DEPTH};
pub use next::{Next, Step, next};

/// The program that somebody called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `go`.
    Go,
    /// `gofmt`.
    Gofmt,
    /// A launcher, `go1.22.4`: serves exactly that release.
    Launcher(Version),
}

impl Tool {
    /// The program's name within an SDK's `bin`.
    #[must_use]
    pub fn program(&self) -> &'static str {
        if *self == Tool::Gofmt { "gofmt" } else { "go" }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The program called.
    pub tool: Tool,
    /// The arguments after the program's name; the first few are enough.
    pub args: Vec<OsString>,
    /// The caller's variables.
    pub vars: Vars,
}

/// What the engine found on disk around the directory of a question.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The directory of the question, after `-C`, and its parents, nearest first.
    pub levels: Vec<Level>,
    /// The active go.work, else go.mod, found by Go's own rules.
    pub module_file: Option<ModuleFile>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Directories with an override, in any order.
    pub overrides: Vec<(PathBuf, Spec)>,
    /// Whether Go works with modules here.
    pub modules: Modules,
    /// The trees linked under the names that [`linked_names`] gives for this question.
    pub links: Vec<Link>,
    /// The file that `go env -w` writes.
    pub go_env: GoEnv,
    /// Where that file is.
    pub go_env_file: Option<PathBuf>,
    /// The GOTOOLCHAIN in the `go.env` of those installed SDKs where it is not `auto`.
    pub sdk_toolchains: Vec<(Version, String)>,
    /// What was passed over, and why: sockets named `.go-version`, files beyond the size limit.
    pub passed_over: Vec<String>,
}

/// Whether Go works with modules: GO111MODULE. Without them it reads neither GOTOOLCHAIN nor a module file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modules {
    /// It does.
    #[default]
    On,
    /// It does not.
    Off,
    /// It does, and refuses the GOWORK once it looks for a module file.
    Refused,
    /// It does from Go 1.27 on: `auto`, and of module files there is only a go.work.
    OnFromGo127,
}

/// One directory on the way up, with the pin files in it.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// The directory.
    pub dir: PathBuf,
    /// The entries of `.go-version`.
    pub go_version: Vec<Entry>,
    /// The entries of `.tool-versions` for Go.
    pub tool_versions: Vec<Entry>,
}

/// A go.work or go.mod as Go's own selection reads it.
#[derive(Clone, Debug)]
pub struct ModuleFile {
    /// The file.
    pub path: PathBuf,
    /// The `go` line.
    pub go: Option<gomod::Line>,
    /// The `toolchain` line.
    pub toolchain: Option<gomod::Line>,
}

/// What a wish is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An exact wish.
    Pin,
    /// A minimum.
    Floor,
    /// What holds where nobody wishes.
    Default,
}

/// What must happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This SDK is installed and is the one.
    Sdk(Version),
    /// This tree of the user's own is the one, whether it can run or not.
    Linked(Link),
    /// The wish is for something that is not installed.
    Install(Install),
    /// A `go` further down PATH.
    PathGo {
        /// What to install when there is none; `None` where the user said `system`.
        or_install: Option<Install>,
    },
}

/// A wish that cannot be met with what is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// What is wished for.
    pub spec: Spec,
    /// The minimum that it must satisfy.
    pub floor: Option<Version>,
    /// True when a file of a checkout wishes it: then the safe floor holds.
    pub by_repository: bool,
    /// An installed SDK that would satisfy the minimum, for when nothing may or can be installed.
    pub instead: Option<Version>,
}

/// Which Go, why, and with what environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What must happen.
    pub target: Target,
    /// Whose wish it was.
    pub origin: Origin,
    /// What kind of wish.
    pub kind: Kind,
    /// The rank in DESIGN §5's table, from 1.
    pub rank: u8,
    /// The edits to the environment.
    pub edits: Edits,
    /// How many leading arguments are govern's own (`+SPEC`).
    pub drop_args: usize,
    /// Every wish that was seen, in order of rank; the winner is among them.
    pub seen: Vec<Seen>,
    /// Things worth knowing, each one line.
    pub notes: Vec<String>,
}

/// A wish that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The rank in DESIGN §5's table, from 1.
    pub rank: u8,
    /// Where it stands.
    pub origin: Origin,
    /// The wish as written.
    pub text: String,
    /// Why it did not win; `None` for the winner.
    pub lost: Option<String>,
}

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A pin is no version.
    #[error("{fault}")]
    BadPin {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        fault: ParseSpecError,
    },
    /// govern called itself too often.
    #[error("govern has called itself {0} times in a row")]
    Loop(u32),
}

impl Refusal {
    /// Whose wish could not be read.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Refusal::BadPin { origin, .. } => Some(origin),
            Refusal::Loop(_) => None,
        }
    }
}

/// Everything a decision is made of.
struct Case<'a> {
    question: &'a Question,
    command: Command,
    around: &'a Surroundings,
    installed: &'a Installed<'a>,
    settings: &'a Settings,
}

/// Decides.
///
/// # Errors
/// When the winning wish cannot be read, or govern runs in a circle.
pub fn decide(
    question: &Question,
    around: &Surroundings,
    installed: &[Version],
    settings: &Settings,
) -> Result<Decision, Refusal> {
    decide_by(question, around, installed, settings).0
}

/// Decides, and says by which of the installed releases: without the others it would be the same.
pub fn decide_by<'a>(
    question: &Question,
    around: &Surroundings,
    installed: &'a [Version],
    settings: &Settings,
) -> (Result<Decision, Refusal>, Vec<&'a Version>) {
    let installed = Installed::new(installed);
    let decision = decide_among(question, around, &installed, settings);
    (decision, installed.found())
}

fn decide_among(
    question: &Question,
    around: &Surroundings,
    installed: &Installed<'_>,
    settings: &Settings,
) -> Result<Decision, Refusal> {
    let depth = edits::depth(&question.vars);
    if depth >= MAX_DEPTH {
        return Err(Refusal::Loop(depth));
    }
    let command = match question.tool {
        Tool::Gofmt => Command::parse_plus(&question.args),
        Tool::Go | Tool::Launcher(_) => Command::parse(&question.args),
    };
    let case = Case { question, command, around, installed, settings };
    let chosen = case.choose(case.reads()?)?;
    Ok(case.finish(chosen))
}

/// The names of linked trees that a question comes upon. Only those trees are looked at: what lies in the others, on a
/// disk that hangs perhaps, is none of its business.
#[must_use]
pub fn linked_names(question: &Question, around: &Surroundings, settings: &Settings) -> Vec<LinkName> {
    let installed = Installed::new(&[]);
    let case = Case { question, command: Command::parse(&question.args), around, installed: &installed, settings };
    case.linked_names()
}

/// A wish that won, before the environment is settled.
struct Chosen {
    target: Target,
    origin: Origin,
    kind: Kind,
    rank: u8,
    seen: Vec<Seen>,
    notes: Vec<String>,
}

impl Case<'_> {
    fn finish(&self, chosen: Chosen) -> Decision {
        let edits = edits::edits(self, &chosen);
        let Chosen { target, origin, kind, rank, seen, mut notes } = chosen;
        notes.extend(self.around.passed_over.iter().cloned());
        let drop_args = usize::from(self.command.plus.is_some());
        Decision { target, origin, kind, rank, edits, drop_args, seen, notes }
    }
}
