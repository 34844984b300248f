//! Makes the HTTP client: whom it believes, and the way out it takes. Leaves out every request (`http`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, Proxy, redirect, retry};
use tracing::warn;

use crate::base::Trust;
use crate::egress::Egress;
use crate::error::Error;
use crate::http::root_of;
use crate::netrc::Netrc;
use crate::pace::Pace;

/// The most bytes of a netrc file or a file of certificates.
const LARGEST_FILE: u64 = 16 << 20;

/// How this product names itself.
const USER_AGENT: &str = concat!("govern/", env!("CARGO_PKG_VERSION"));

/// What a client is made from.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    pub(crate) egress: Egress,
    pub(crate) netrc: Option<PathBuf>,
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// Directories, separated as in PATH.
    pub(crate) ssl_cert_dir: Option<PathBuf>,
    pub(crate) offline: bool,
    pub(crate) pace: Pace,
}

/// Makes a client. Blocks: it reads the machine's roots.
pub(crate) fn make_client(settings: &ClientSettings, trust: Trust) -> Result<Client, Error> {
    let egress = settings.egress.clone();
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(settings.pace.connect)
        // Neither the process environment nor the system's settings choose a proxy: the settings given do.
        .no_proxy()
        .proxy(Proxy::custom(move |url| egress.proxy(url).cloned()));
    let builder = match trust {
        Trust::Verified => builder.tls_certs_merge(own_roots(settings)?),
        Trust::Any => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build().map_err(|error| Error::Client { reason: root_of(&error) })
}

/// The authorities of SSL_CERT_FILE and SSL_CERT_DIR, which are believed beside the machine's own.
fn own_roots(settings: &ClientSettings) -> Result<Vec<Certificate>, Error> {
    let mut roots = Vec::new();
    if let Some(path) = &settings.ssl_cert_file {
        roots.extend(certificates(path).map_err(|reason| Error::Setting { variable: "SSL_CERT_FILE", reason })?);
    }
    for directory in settings.ssl_cert_dir.iter().flat_map(std::env::split_paths) {
        // A directory holds what it holds: links that lead nowhere and other files are passed over, as in Go.
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.is_file()) {
            roots.extend(certificates(&path).unwrap_or_default());
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut pem));
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Certificate::from_pem_bundle(&pem).map_err(|_| format!("{} is no file of PEM certificates", path.display()))
}

/// Reads the user's netrc file; one that is not there is empty.
pub(crate) async fn read_netrc(path: PathBuf) -> Netrc {
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!(path = %path.display(), %error, "netrc file not read"),
        }
        Netrc::parse(&text)
    });
    read.await.unwrap_or_default()
}
