//! What can go wrong between wishing for an SDK and holding its bytes.
//! Every message names the source and the cause; none holds a user name, a password or a token.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use govern_core::origin::{escaped, escaped_text};
use govern_core::platform::Platform;
use govern_core::problem::Code;
use govern_core::version::Version;

use crate::sumdb;

/// Why a list, an artifact or its bytes are not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting has a value that means nothing.
    #[error("{variable} is malformed: {reason}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// Every source is switched off.
    #[error("there is no source to ask: GOVERN_DL_URL names none and GOPROXY is off")]
    NoSource,
    /// A directory that should be a source has the shape of none.
    #[error("{} holds no Go archives: neither index.json nor golang.org/toolchain/@v/list is in it", escaped(dir))]
    NotStored {
        /// The directory.
        dir: PathBuf,
    },
    /// The network is needed and may not be used.
    #[error("{url} is out of bounds: govern is offline")]
    Offline {
        /// What was needed.
        url: String,
    },
    /// A source does not answer, or not with what was asked for.
    #[error("{url} {}", source.effect())]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What went wrong, after all retries.
        source: Cause,
    },
    /// A source answers that it does not have this.
    #[error("{url} does not exist{}", status.map(|status| format!(" (HTTP {status})")).unwrap_or_default())]
    Absent {
        /// What was asked for.
        url: String,
        /// 404 or 410; none for a file.
        status: Option<u16>,
    },
    /// A list came, and it is none.
    #[error("{url} is no list of Go releases: {reason}")]
    BadList {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A source knows no such release.
    #[error("{} is not published by {source_name}", version.toolchain())]
    NoVersion {
        /// The release that was wished for.
        version: Version,
        /// The source.
        source_name: String,
        /// Up to three releases next to it, newest first.
        nearest: Vec<Version>,
    },
    /// A source knows the release, for other platforms.
    #[error("{} is not published for {platform} by {source_name}; it is for {}", version.toolchain(), list(platforms))]
    NoPlatform {
        /// The release that was wished for.
        version: Version,
        /// The platform that was wished for.
        platform: Platform,
        /// The source.
        source_name: String,
        /// The platforms that there are, sorted.
        platforms: Box<[Platform]>,
        /// Up to three releases for the platform next to it, newest first.
        nearest: Box<[Version]>,
    },
    /// An archive could be had, but nothing would prove it.
    #[error("nothing would prove {} from {source_name}: {reason}", version.toolchain())]
    Unproven {
        /// The release that was wished for.
        version: Version,
        /// The source.
        source_name: String,
        /// Why there is no proof.
        reason: String,
    },
    /// The checksum database does not answer, and this source has no other proof.
    #[error("nothing can prove {} from {source_name} now", version.toolchain())]
    LogOutOfReach {
        /// The release that was wished for.
        version: Version,
        /// The source.
        source_name: String,
        /// What the checksum database's client says.
        source: Box<sumdb::Error>,
    },
    /// The checksum database answers, and its answer is no proof; or what is kept of it cannot be read. Never overcome by
    /// another source.
    #[error("the checksum database gives no proof of {}", version.toolchain())]
    Log {
        /// The release that was wished for.
        version: Version,
        /// What the checksum database's client found.
        source: Box<sumdb::Error>,
    },
    /// More bytes came than were promised, or than an SDK can have.
    #[error("{url} is longer than the {limit} bytes promised")]
    TooLong {
        /// What was downloaded.
        url: String,
        /// The most that it may have.
        limit: u64,
    },
    /// The archive changed at its source after some of it had been handed on. Opened again, it is read from its start.
    #[error("{url} changed while it was downloaded")]
    Changed {
        /// What was downloaded.
        url: String,
    },
    /// The download was given up by its owner.
    #[error("the download of {url} was given up")]
    Cancelled {
        /// What was downloaded.
        url: String,
    },
    /// Another process downloads the same archive.
    #[error("{} is being written by another process", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The roots that certificates are checked against cannot be had.
    #[error("no connection can be made: {reason}")]
    Client {
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// What this means for who asked: the exit code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Error::NoSource | Error::Offline { .. } => Code::Policy,
            Error::Unreachable { source, .. } if source.is_wrong_file() => Code::Integrity,
            Error::Unreachable { .. }
            | Error::Absent { .. }
            | Error::BadList { .. }
            | Error::LogOutOfReach { .. }
            | Error::Changed { .. } => Code::Network,
            Error::NoVersion { .. } => Code::NoVersion,
            Error::NoPlatform { .. } => Code::NoArtifact,
            Error::Log { source, .. } if matches!(**source, sumdb::Error::Io(_)) => Code::Failure,
            Error::Unproven { .. } | Error::Log { .. } | Error::TooLong { .. } => Code::Integrity,
            Error::Setting { .. }
            | Error::NotStored { .. }
            | Error::Cancelled { .. }
            | Error::Busy { .. }
            | Error::File { .. }
            | Error::Client { .. } => Code::Failure,
        }
    }

    /// True when this source does not answer, or may not be asked, and the next one should be tried; false when the error
    /// is final.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::BadList { .. }
                | Error::LogOutOfReach { .. }
                | Error::Changed { .. }
                | Error::Offline { .. }
        )
    }

    /// True when this source answers that it has no such thing. A source further down the list may have it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Error::Absent { .. } | Error::NoVersion { .. } | Error::NoPlatform { .. })
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { action, path, source }
    }
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a source does not answer. Texts from outside are escaped and short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The name has no address.
    #[error("the name `{host}` cannot be resolved: {detail}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        detail: String,
    },
    /// No connection.
    #[error("no connection to {host}: {detail}")]
    Connect {
        /// Who was called.
        host: String,
        /// What the system says.
        detail: String,
    },
    /// The certificate is not accepted, or TLS failed otherwise.
    #[error("no secure connection to {host}: {detail} (SSL_CERT_FILE adds an authority of your own)")]
    Tls {
        /// Who was called.
        host: String,
        /// What is wrong.
        detail: String,
    },
    /// The proxy between here and there refuses.
    #[error("the proxy {proxy} refuses: {detail}")]
    Proxy {
        /// The proxy, without user name and password.
        proxy: String,
        /// What it says.
        detail: String,
    },
    /// Nothing came for too long.
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Silence(Duration),
    /// It came, too slowly.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Another status than asked for.
    #[error("it answers HTTP {status}{}", note(detail))]
    Status {
        /// The status.
        status: u16,
        /// The first line of a plain text body, if there is one.
        detail: String,
    },
    /// It points somewhere that must not be followed.
    #[error("its redirect is not followed: {0}")]
    Redirect(String),
    /// A web page where an archive or a list was asked for.
    #[error("it answers with an HTML page (a captive portal, or a mirror's error page?)")]
    Html,
    /// The body ended early.
    #[error("it ended after {got} of {promised} bytes")]
    Short {
        /// Bytes promised.
        promised: u64,
        /// Bytes that came.
        got: u64,
    },
    /// It offers another length than the release list promises.
    #[error("it offers {offered} bytes, the release list promises {promised}")]
    Length {
        /// Bytes promised.
        promised: u64,
        /// Bytes offered.
        offered: u64,
    },
    /// More than a list or a log's answer may have.
    #[error("its answer has more than {0} bytes")]
    TooMuch(u64),
    /// Credentials were given for a connection that everybody can read.
    #[error("a user name and password would be sent without encryption; use https")]
    Exposed,
}

impl Cause {
    /// What it means for what was asked for.
    fn effect(&self) -> &'static str {
        match self {
            Cause::Length { .. } => "is not what the release list promises",
            Cause::Broken(_) | Cause::Short { .. } => "broke off",
            // Somebody answers, and with something else.
            Cause::Status { .. } | Cause::Redirect(_) | Cause::Html | Cause::TooMuch(_) => "is not to be had",
            Cause::Exposed => "is not asked",
            Cause::Name { .. }
            | Cause::Connect { .. }
            | Cause::Tls { .. }
            | Cause::Proxy { .. }
            | Cause::Silence(_)
            | Cause::Slow(_) => "does not answer",
        }
    }

    /// The source answers, with a file that is not the one promised. Another source may have the right one.
    fn is_wrong_file(&self) -> bool {
        matches!(self, Cause::Length { .. })
    }
}

fn note(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// A text from a server as it may stand in a message: its first line, escaped, at most 200 characters.
pub(crate) fn quoted(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    escaped_text(&line.chars().take(200).collect::<String>())
}
