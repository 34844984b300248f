//! The bodies of requests and answers. Nobody's domain types: made from core's values and turned back at the edge.
//! New fields are optional; none is ever removed or changes its meaning.

mod job;
mod status;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use govern_core::decide::{self, Kind, Launchers, Step, Target, Tool};
use govern_core::link;
use govern_core::origin;
use govern_core::sdk::SdkFacts;
use govern_core::vars::Vars;
use govern_core::version::{ParseVersionError, Version};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

pub use job::{Job, JobEvent, Jobs, NewJob};
pub use status::{Project, Projects, Shared, Status};

/// The version of the documents that `--json` prints.
pub const SCHEMA: u32 = 1;

/// A text of the operating system: a JSON string when it is UTF-8, else its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OsText {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl From<OsString> for OsText {
    fn from(text: OsString) -> OsText {
        text.into_string().map_or_else(|other| OsText::Bytes(other.into_vec()), OsText::Text)
    }
}

impl From<&Path> for OsText {
    fn from(path: &Path) -> OsText {
        path.as_os_str().to_owned().into()
    }
}

impl From<OsText> for OsString {
    fn from(text: OsText) -> OsString {
        match text {
            OsText::Text(text) => text.into(),
            OsText::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

impl OsText {
    /// As a path.
    #[must_use]
    pub fn into_path(self) -> PathBuf {
        OsString::from(self).into()
    }
}

/// The caller's variables, those of `vars::READ` that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VarsBody(BTreeMap<String, OsText>);

impl From<&Vars> for VarsBody {
    fn from(vars: &Vars) -> VarsBody {
        VarsBody(vars.iter().map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect())
    }
}

impl From<VarsBody> for Vars {
    fn from(body: VarsBody) -> Vars {
        let mut vars = Vars::default();
        body.0.into_iter().for_each(|(name, value)| vars.set(&name, OsString::from(value)));
        vars
    }
}

/// Which Go would run there?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// `go`, `gofmt` or a launcher's name.
    pub tool: String,
    /// The working directory, physical.
    pub dir: OsText,
    /// The arguments after the program's name.
    #[serde(default)]
    pub args: Vec<OsText>,
    /// The caller's variables.
    #[serde(default)]
    pub vars: VarsBody,
}

/// Reads the name of a program that a shim may be called by.
///
/// # Errors
/// When a launcher's name is no version.
pub fn tool(name: &str) -> Result<Tool, ParseVersionError> {
    match name {
        "go" => Ok(Tool::Go),
        "gofmt" => Ok(Tool::Gofmt),
        launcher => Version::parse(launcher).map(Tool::Launcher),
    }
}

/// Which Go, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of this document.
    pub schema: u32,
    /// The directory looked at, after `-C`.
    pub dir: OsText,
    /// `sdk`: it is installed. `install`: it is not. `linked`: a tree of the user's own. `path`: a go further down PATH.
    pub target: String,
    /// The release, when it is installed; what a linked tree calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goroot: Option<OsText>,
    /// The program that would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<OsText>,
    /// The tree of the user's own, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Linked>,
    /// What must be installed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The minimum that it must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// Whose wish it was.
    pub origin: Origin,
    /// `pin`, `floor` or `default`.
    pub kind: String,
    /// The rank that decided, from 1 to 8.
    pub rank: u8,
    /// Every wish that was seen.
    #[serde(default)]
    pub seen: Vec<Seen>,
    /// Things worth knowing.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Variables that the chosen Go gets.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Variables that the chosen Go does not get.
    #[serde(default)]
    pub unset: Vec<String>,
    /// `all` or `installed`: the launchers appended to PATH.
    #[serde(default)]
    pub launchers: String,
    /// What proves the release, when it is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<SdkProof>,
    /// What following the decision leads to.
    #[serde(default)]
    pub next: Vec<Next>,
}

/// What proves an installed SDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdkProof {
    /// `log`, `sha256`, `none` or `contradicted`.
    pub kind: String,
    /// One line about it.
    pub note: String,
}

/// One thing that happens once a decision is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// `install`, `run`, `switch`, `download`, `refuse` or `note`.
    pub step: String,
    /// As a person is told.
    pub text: String,
    /// Whose doing it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl From<&decide::Next> for Next {
    fn from(next: &decide::Next) -> Next {
        let step = match next.step {
            Step::Install => "install",
            Step::Run => "run",
            Step::Switch => "switch",
            Step::Download => "download",
            Step::Refuse => "refuse",
            Step::Note => "note",
        };
        Next { step: step.to_owned(), text: next.text.clone(), origin: next.origin.as_ref().map(Origin::from) }
    }
}

/// Where a wish came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `flag`, `launcher`, `variable`, `file`, `override`, `default`, `built-in` or `policy`.
    pub kind: String,
    /// As a person is told.
    pub text: String,
    /// The file, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<OsText>,
    /// The line in it, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

impl From<&origin::Origin> for Origin {
    fn from(from: &origin::Origin) -> Origin {
        let (kind, file, line) = match from {
            origin::Origin::Flag(_) => ("flag", None, None),
            origin::Origin::Launcher(_) => ("launcher", None, None),
            origin::Origin::Variable(_) => ("variable", None, None),
            origin::Origin::File { path, line } => ("file", Some(path.as_path().into()), Some(*line)),
            origin::Origin::Override(dir) => ("override", Some(dir.as_path().into()), None),
            origin::Origin::Default => ("default", None, None),
            origin::Origin::BuiltIn => ("built-in", None, None),
            origin::Origin::Policy(_) => ("policy", None, None),
        };
        Origin { kind: kind.to_owned(), text: from.to_string(), file, line }
    }
}

/// A wish that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its rank.
    pub rank: u8,
    /// Where it stands.
    pub origin: Origin,
    /// The wish as written.
    pub text: String,
    /// Why it did not win; absent for the winner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

impl Decision {
    /// The body for a decision in `dir`; `goroot` is where a release has its root.
    #[must_use]
    pub fn new(decision: &decide::Decision, tool: &Tool, dir: &Path, goroot: impl Fn(&Version) -> PathBuf) -> Decision {
        let (target, version, install) = match &decision.target {
            Target::Sdk(version) => ("sdk", Some(version), None),
            Target::Linked(_) => ("linked", None, None),
            Target::Install(install) => ("install", None, Some(install)),
            Target::PathGo { or_install } => ("path", None, or_install.as_ref()),
        };
        let link = if let Target::Linked(link) = &decision.target { Some(link) } else { None };
        let goroot = version.map(goroot).or_else(|| link.map(|link| link.goroot.clone()));
        let can_run = link.is_none_or(|link| link.fault.is_none());
        let program = goroot.as_ref().filter(|_| can_run).map(|root| root.join("bin").join(tool.program()));
        let mut set: BTreeMap<String, String> =
            decision.edits.set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let Some(root) = goroot.as_ref().filter(|_| decision.edits.set_goroot) {
            set.insert("GOROOT".to_owned(), root.to_string_lossy().into_owned());
        }
        Decision {
            schema: SCHEMA,
            dir: dir.into(),
            target: target.to_owned(),
            version: version.map(Version::toolchain).or_else(|| link.and_then(|link| link.called.clone())),
            linked: link.map(Linked::from),
            goroot: goroot.as_deref().map(Into::into),
            program: program.as_deref().map(Into::into),
            wanted: install.map(|install| install.spec.to_string()),
            at_least: install.and_then(|install| install.floor.as_ref()).map(Version::to_string),
            origin: (&decision.origin).into(),
            kind: match decision.kind {
                Kind::Pin => "pin",
                Kind::Floor => "floor",
                Kind::Default => "default",
            }
            .to_owned(),
            rank: decision.rank,
            seen: decision
                .seen
                .iter()
                .map(|s| Seen { rank: s.rank, origin: (&s.origin).into(), text: s.text.clone(), lost: s.lost.clone() })
                .collect(),
            notes: decision.notes.clone(),
            set,
            unset: decision.edits.unset.iter().map(|name| (*name).to_owned()).collect(),
            launchers: match decision.edits.launchers {
                Launchers::All => "all",
                Launchers::Installed => "installed",
            }
            .to_owned(),
            proof: None,
            next: Vec::new(),
        }
    }

    /// Adds what proves the release that was chosen, if its SDK is known.
    #[must_use]
    pub fn with_proof(mut self, facts: impl Fn(&Version) -> Option<SdkFacts>) -> Decision {
        let facts = self.version.as_deref().and_then(|version| Version::parse(version).ok()).and_then(|v| facts(&v));
        self.proof = facts.map(|facts| SdkProof { kind: facts.proof, note: facts.proof_note });
        self
    }
}

/// The installed SDKs, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sdks {
    /// The version of this document.
    pub schema: u32,
    /// The SDKs.
    pub installed: Vec<Sdk>,
    /// The trees of the user's own, by name.
    #[serde(default)]
    pub linked: Vec<Linked>,
}

/// A Go tree that the user built and linked under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// The name: `tip`.
    pub name: String,
    /// Its root.
    pub goroot: OsText,
    /// What it calls itself: the first line of its `VERSION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `none (linked)`: nobody published it.
    pub proof: String,
    /// Why it cannot run, when it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl From<&link::Link> for Linked {
    fn from(link: &link::Link) -> Linked {
        Linked {
            name: link.name.as_str().to_owned(),
            goroot: link.goroot.as_path().into(),
            version: link.called.clone(),
            proof: link::PROOF.to_owned(),
            problem: link.broken().map(Into::into),
        }
    }
}

/// An installed SDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sdk {
    /// The release: `go1.22.4`.
    pub version: String,
    /// Its root.
    pub goroot: OsText,
    /// `linux/amd64`.
    pub platform: String,
    /// Where the archive came from.
    pub source: String,
    /// `log`, `sha256`, `none` or `contradicted`.
    pub proof: String,
    /// One line about the proof.
    pub proof_note: String,
    /// Bytes on disk.
    pub size: u64,
    /// Files.
    pub files: u64,
    /// Seconds since the epoch.
    pub installed_at: u64,
    /// Seconds since the epoch; known to a running daemon only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
}

impl From<&SdkFacts> for Sdk {
    fn from(facts: &SdkFacts) -> Sdk {
        Sdk {
            version: facts.sdk.version.toolchain(),
            goroot: facts.sdk.goroot.as_path().into(),
            platform: facts.platform.to_string(),
            source: facts.source.clone(),
            proof: facts.proof.clone(),
            proof_note: facts.proof_note.clone(),
            size: facts.size,
            files: facts.files,
            installed_at: facts.installed_at,
            last_used: None,
        }
    }
}

/// A wish for the list of releases.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReleasesWanted {
    /// The caller's variables.
    #[serde(default)]
    pub vars: VarsBody,
    /// Ask the sources even if the list at hand is young.
    #[serde(default)]
    pub refresh: bool,
}

/// The releases there are for this platform, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// The version of this document.
    pub schema: u32,
    /// Who said so.
    pub source: String,
    /// Seconds since the epoch.
    pub fetched_at: u64,
    /// No source answers now: this is what they said then.
    pub stale: bool,
    /// The releases.
    pub releases: Vec<Release>,
    /// Who does not answer, and why, each one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// `go1.22.4`.
    pub version: String,
    /// Neither a beta nor a release candidate.
    pub stable: bool,
    /// It is installed here.
    pub installed: bool,
    /// The vendor whose build it is; absent for the Go project's releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}
