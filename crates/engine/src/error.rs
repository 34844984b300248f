//! What can go wrong in a verb, and what a person is told about it.

use std::io;
use std::path::{Path, PathBuf};

use govern_core::decide::Refusal;
use govern_core::link::{self, Link};
use govern_core::origin::{Origin, escaped};
use govern_core::platform::Platform;
use govern_core::problem::{Code, Report};
use govern_core::proof::Mismatch;
use govern_core::safe_floor::Advisory;
use govern_core::spec::{LinkName, Spec};
use govern_core::version::Version;
use govern_sources::Error as SourceError;
use govern_store::Error as StoreError;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no home directory to keep anything under.
    #[error("there is no home directory: neither HOME nor GOVERN_HOME is set")]
    NoHome,
    /// `GOVERN_HOME` is not absolute.
    #[error("GOVERN_HOME must be an absolute path, and is `{}`", escaped(home))]
    RelativeHome {
        /// What it is.
        home: PathBuf,
    },
    /// A variable has a value that means nothing.
    #[error("${name} is `{value}`, and should be {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A settings file cannot be understood.
    #[error("cannot understand {}", escaped(path))]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A path cannot be written into a settings file.
    #[error("{} is not UTF-8, and settings files are", escaped(path))]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A file of govern's own cannot be read or written.
    #[error("cannot {action} {}", escaped(path))]
    File {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The question has no decision.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No release is what was asked for.
    #[error("no Go release matches `{spec}`")]
    NoSuchRelease {
        /// What was asked for.
        spec: Spec,
        /// The nearest releases, best first.
        nearest: Vec<Version>,
        /// Who says so.
        source_name: String,
    },
    /// The newest release of the family is older than the module file's minimum.
    #[error("no release of Go {spec} is as new as {floor}: the newest is {newest}")]
    BelowFloor {
        /// The family.
        spec: Spec,
        /// The minimum.
        floor: Version,
        /// The newest.
        newest: Version,
    },
    /// The release exists, and not for this platform.
    #[error("{} is not built for {platform}", version.toolchain())]
    NotForPlatform {
        /// The release.
        version: Version,
        /// This platform.
        platform: Platform,
        /// The nearest releases that are, best first.
        nearest: Vec<Version>,
    },
    /// A repository asks for a release in which a checkout can run its own code.
    #[error("{} is not installed because a repository alone asks for it: {} ({})", version.toolchain(), advisory.what, advisory.id)]
    UnsafePin {
        /// The release.
        version: Version,
        /// The hole.
        advisory: Advisory,
    },
    /// Nothing is linked under that name.
    #[error("no Go is linked as `{}`", name.as_str())]
    NotLinked {
        /// The name.
        name: LinkName,
    },
    /// A linked tree is wished for where something must be installed.
    #[error("`{}` is a Go of your own: there is nothing to install", name.as_str())]
    Linked {
        /// The name.
        name: LinkName,
    },
    /// A directory holds no Go that could be linked.
    #[error("{} is no Go that can be linked", escaped(&link.goroot))]
    NoTree {
        /// The link as it would be, with its fault.
        link: Box<Link>,
    },
    /// A directory that shall be linked is one of govern's own SDKs, which come and go.
    #[error("that is {}, which govern installed: it has a name", version.toolchain())]
    OwnTree {
        /// The release.
        version: Version,
    },
    /// The SDK is not installed.
    #[error("{} is not installed", version.toolchain())]
    NotInstalled {
        /// The release.
        version: Version,
    },
    /// No source has a build with this suffix.
    #[error("no source has {}", version.toolchain())]
    NoSuchBuild {
        /// The build.
        version: Version,
        /// The sources that were asked.
        asked: Vec<String>,
        /// A vendor is declared, and so no one but vendors was asked.
        has_vendors: bool,
        /// The nearest builds, newest first.
        nearest: Vec<Version>,
    },
    /// What came is not what was promised.
    #[error("{url} is not what {publisher} published")]
    Mismatch {
        /// `the Go project`, or a vendor.
        publisher: String,
        /// Where it came from.
        url: String,
        /// What differs.
        source: Mismatch,
    },
    /// The proof of an SDK is to be checked, is not kept, and cannot be had.
    #[error("the log's proof of {} is not kept here and cannot be had now", version.toolchain())]
    NoLogProof {
        /// The release.
        version: Version,
        /// Why not.
        reason: String,
    },
    /// What came is no archive that can be unpacked.
    #[error("{url} is no sound archive of a Go SDK")]
    BadArchive {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        source: Box<StoreError>,
    },
    /// A bundle or directory does not have what is to be installed from it.
    #[error("{} holds no {} for {platform}", escaped(from), spec.as_ref().map_or_else(|| "Go".to_owned(), |spec| format!("Go {spec}")))]
    NotInBundle {
        /// What was asked for; nothing where everything was.
        spec: Option<Spec>,
        /// The bundle.
        from: PathBuf,
        /// This platform.
        platform: Platform,
        /// What it holds, for messages.
        held: Vec<String>,
        /// It has what was asked for, for other platforms.
        is_for_others: bool,
    },
    /// An archive that should be given on cannot be proven.
    #[error("nothing proves {}: {reason}", version.toolchain())]
    NoProof {
        /// The release.
        version: Version,
        /// Why.
        reason: String,
    },
    /// The settings leave nowhere to ask.
    #[error("there is no source to install from: GOPROXY is off and no download site is set")]
    NoSource,
    /// A source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A worker thread panicked: a bug, and nobody's fault but ours.
    #[error("govern has a bug: a worker panicked")]
    Panicked(#[source] tokio::task::JoinError),
}

/// Adds what was tried, and where, to an I/O error.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::File { action, path: path.to_owned(), source })
    }
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Error::Variable { .. } | Error::RelativeHome { .. } => Code::Usage,
            Error::Linked { .. } | Error::NoTree { .. } | Error::OwnTree { .. } => Code::Usage,
            Error::Refused(Refusal::BadPin { .. })
            | Error::NoSuchRelease { .. }
            | Error::NoSuchBuild { .. }
            | Error::BelowFloor { .. }
            | Error::NotLinked { .. }
            | Error::NotInstalled { .. } => Code::NoVersion,
            Error::NotForPlatform { .. } | Error::NotInBundle { is_for_others: true, .. } => Code::NoArtifact,
            Error::NotInBundle { .. } => Code::NoVersion,
            Error::NoProof { .. } => Code::Integrity,
            Error::UnsafePin { .. } => Code::Policy,
            Error::NoSource => Code::Policy,
            Error::Mismatch { .. } | Error::BadArchive { .. } => Code::Integrity,
            Error::NoLogProof { .. } => Code::Network,
            Error::Source(error) => error.code(),
            Error::Store(StoreError::NotInstalled { .. }) => Code::NoVersion,
            Error::Store(StoreError::Refused { .. } | StoreError::ForeignProof { .. }) => Code::Integrity,
            Error::Store(_) => Code::Failure,
            Error::NoHome
            | Error::Config { .. }
            | Error::NotUtf8 { .. }
            | Error::File { .. }
            | Error::Refused(Refusal::Loop(_))
            | Error::Panicked(_) => Code::Failure,
        }
    }

    /// True when the bytes of an archive could not be had, rather than were wrong.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Error::Store(StoreError::Archive { .. }))
    }

    /// True when one source failed or is not to be believed, and another may well have what is wanted. What comes from
    /// there has its own proof.
    pub(crate) fn is_of_one_source(&self) -> bool {
        match self {
            Error::Mismatch { .. } | Error::BadArchive { .. } => true,
            Error::Source(error) => {
                let is_refused = matches!(error, SourceError::Unproven { .. } | SourceError::TooLong { .. });
                error.is_unreachable() || error.is_absent() || is_refused
            }
            _ => false,
        }
    }

    /// True when the one source looked, and has no such thing.
    pub(crate) fn is_absent(&self) -> bool {
        if let Error::Source(error) = self { error.is_absent() } else { false }
    }

    /// The error and its causes in one line, for a place that keeps no chain.
    pub(crate) fn in_full(&self) -> String {
        let report = Report::of(self.code(), self);
        [report.fact].into_iter().chain(report.causes).collect::<Vec<_>>().join(": ")
    }

    /// As a person is told.
    #[must_use]
    pub fn report(&self) -> Report {
        let report = Report::of(self.code(), self);
        match self {
            Error::Refused(refusal) => match refusal.origin() {
                Some(origin) => report.wanted_by(origin).hint(match origin {
                    Origin::Flag(_) => "go +latest version",
                    Origin::Variable("GOVERN_GO_VERSION") => "unset GOVERN_GO_VERSION",
                    _ => "govern pin latest",
                }),
                None => report.hint("govern explain"),
            },
            Error::NoSuchRelease { nearest, .. }
            | Error::NotForPlatform { nearest, .. }
            | Error::Source(SourceError::NoVersion { nearest, .. }) => with_nearest(report, nearest),
            Error::Source(SourceError::NoPlatform { nearest, .. }) => with_nearest(report, nearest),
            Error::NoSuchBuild { asked, has_vendors, nearest, .. } => {
                let report = report.cause(format!("asked: {}", asked.join(", ")));
                let undeclared = "a build with a suffix comes from a [[vendor]] in config.toml, and there is none";
                let report = if *has_vendors { report } else { report.cause(undeclared) };
                let near = nearest.iter().map(Version::as_str).collect::<Vec<_>>().join(", ");
                let report = if near.is_empty() { report } else { report.cause(format!("the nearest are {near}")) };
                report.hint("govern list --remote")
            }
            Error::UnsafePin { version, advisory } => {
                report.hint(format!("govern pin {}", advisory.fixed)).hint(format!("govern install {version}"))
            }
            Error::NotLinked { name } => link::unknown(name),
            Error::Linked { .. } => report.hint("govern list"),
            Error::NoTree { link } => link.refused().unwrap_or(report),
            Error::OwnTree { version } => report.hint(format!("govern pin {version}")),
            Error::NoLogProof { reason, .. } => report.cause(reason),
            Error::NotInstalled { version } => report.hint(format!("govern install {version}")),
            Error::NotInBundle { held, .. } if held.is_empty() => report.cause("nothing is in it"),
            Error::NotInBundle { held, .. } => report.cause(format!("it holds {}", held.join(", "))),
            Error::BelowFloor { .. } => report.hint("govern list --remote"),
            _ => report,
        }
    }
}

/// Adds the releases that may be meant instead.
fn with_nearest(report: Report, nearest: &[Version]) -> Report {
    let near = nearest.iter().map(Version::as_str).collect::<Vec<_>>().join(", ");
    let report = if near.is_empty() { report } else { report.cause(format!("the nearest are {near}")) };
    let first = nearest.first().map(|version| format!("govern install {version}"));
    first.into_iter().chain(["govern list --remote".to_owned()]).fold(report, Report::hint)
}
