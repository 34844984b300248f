//! Which sources there are, and the way to them: a value that the engine makes from configuration, variables and the file
//! of `go env -w`. Reads nothing itself.

use std::fmt;
use std::path::PathBuf;

use govern_core::proof::LogRequired;
use govern_core::settings::Vendor;

use crate::base::Base;

/// Everything that says where SDKs come from. An `Option` that is `None`, or an empty text, stands for Go's own default.
#[derive(Clone)]
pub struct Settings {
    /// Bases of the go.dev shape, in the order to be tried.
    pub dl_urls: Vec<String>,
    /// Bases of other vendors, in the order to be tried. Where there is one, builds with a suffix come from nowhere else.
    pub vendors: Vec<Vendor>,
    /// GOPROXY.
    pub goproxy: Option<String>,
    /// GONOPROXY; GOPRIVATE where it is not set.
    pub gonoproxy: Option<String>,
    /// GOSUMDB.
    pub gosumdb: Option<String>,
    /// GONOSUMDB; GOPRIVATE where it is not set.
    pub gonosumdb: Option<String>,
    /// GOPRIVATE.
    pub goprivate: Option<String>,
    /// GOINSECURE.
    pub goinsecure: Option<String>,
    /// The proxy for https.
    pub https_proxy: Option<String>,
    /// The proxy for http.
    pub http_proxy: Option<String>,
    /// Hosts that are reached without a proxy.
    pub no_proxy: Option<String>,
    /// The netrc file; `~/.netrc` where it is not set.
    pub netrc: Option<PathBuf>,
    /// A file of PEM certificates that are believed beside the machine's own.
    pub ssl_cert_file: Option<PathBuf>,
    /// Directories of such files, separated as in PATH.
    pub ssl_cert_dir: Option<PathBuf>,
    /// The user's home, for `~/.netrc`.
    pub home: Option<PathBuf>,
    /// Nothing may touch the network.
    pub offline: bool,
    /// Whether a record of the checksum database is a must.
    pub log_required: LogRequired,
    /// A directory that is the only source, whatever else is set.
    pub stored: Option<Stored>,
}

/// A directory of archives and their proofs: an unpacked bundle, a directory of the go.dev shape or of a module proxy's.
/// Without a proof of the checksum database nothing of it is believed, unless the user waives the database.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The directory.
    pub dir: PathBuf,
    /// What messages and records call it.
    pub name: String,
    /// A directory for lists and downloads, which nobody needs afterwards.
    pub scratch: PathBuf,
}

/// The download page of the Go project.
pub const DEFAULT_DL_URL: &str = "https://go.dev/dl/";

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            dl_urls: vec![DEFAULT_DL_URL.to_owned()],
            vendors: Vec::new(),
            goproxy: None,
            gonoproxy: None,
            gosumdb: None,
            gonosumdb: None,
            goprivate: None,
            goinsecure: None,
            https_proxy: None,
            http_proxy: None,
            no_proxy: None,
            netrc: None,
            ssl_cert_file: None,
            ssl_cert_dir: None,
            home: None,
            offline: false,
            log_required: LogRequired::No,
            stored: None,
        }
    }
}

/// Shows no value: any of them may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("offline", &self.offline).finish_non_exhaustive()
    }
}

/// One place that SDKs come from. Prints its URL, without user name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub(crate) place: Place,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A base of the go.dev shape.
    Page(Base),
    /// Another vendor's base of that shape, by the vendor's name. Its own list is all that proves what it has.
    Vendor(String, Base),
    /// Everything in GOPROXY together: its commas and pipes say how one proxy follows another.
    Modules,
}

impl Source {
    /// The source as messages name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vendor's name, where it is one.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        if let Place::Vendor(name, _) = &self.place { Some(name) } else { None }
    }

    /// True for GOPROXY, whose archives are module zips.
    #[must_use]
    pub fn is_goproxy(&self) -> bool {
        self.place == Place::Modules
    }
}

impl Source {
    /// The name of this source in a directory that is called `name`. Two sources never have one name.
    pub(crate) fn of_stored(&self, name: &str) -> String {
        if self.is_goproxy() { format!("{name} (module zips)") } else { name.to_owned() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
