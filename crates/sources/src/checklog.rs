//! The way to the checksum database: which one GOSUMDB names, whether it may be asked, and through which proxy.
//! Leaves out what it says and whether that is to be believed: `sumdb` knows.

use std::sync::Arc;

use govern_core::layout::Layout;
use tokio::sync::OnceCell;
use tracing::debug;

use crate::base::Base;
use crate::error::Error;
use crate::goproxy::{FallOver, Goproxy};
use crate::http::{Answer, Http, Validators};
use crate::sumdb::{ANSWER_LIMIT, Client, DiskKeep, KeyError, Remote, RemoteError, Setting};

/// A client of the checksum database.
pub(crate) type LogClient = Client<Route, DiskKeep>;

/// Reads GOSUMDB; `off` is `None`. The database's head and cache lie where `layout` says. Where there are `stored` proofs,
/// nobody else is asked, whatever URL GOSUMDB has.
pub(crate) fn client(
    gosumdb: Option<&str>,
    http: &Arc<Http>,
    goproxy: &Arc<Goproxy>,
    layout: &Layout,
    stored: Option<&Base>,
) -> Result<Option<LogClient>, Error> {
    let malformed = |reason: String| Error::Setting { variable: "GOSUMDB", reason };
    let setting = match gosumdb.filter(|text| !text.is_empty()) {
        None => Some(Setting::default_database()),
        Some(text) => Setting::parse(text).map_err(|error| malformed(without_url(&error)))?,
    };
    let Some(Setting { verifier, url }) = setting else { return Ok(None) };
    let own = Base::parse("GOSUMDB", &format!("https://{}", verifier.name()))?;
    let given = url.map(|url| Base::parse("GOSUMDB", &url)).transpose()?;
    let stored = stored.map(|dir| dir.join(&format!("sumdb/{}", verifier.name())).into_base());
    let given = stored.or(given);
    let route = Route {
        name: verifier.name().to_owned(),
        own,
        base: OnceCell::new_with(given),
        http: Arc::clone(http),
        goproxy: Arc::clone(goproxy),
    };
    let keep = DiskKeep::new(&layout.sumdb_state(), &layout.sumdb_cache(), &verifier);
    Ok(Some(Client::new(verifier, route, keep)))
}

/// What is wrong with GOSUMDB, without quoting a URL: there may be a password in it.
fn without_url(error: &KeyError) -> String {
    match error {
        KeyError::Url(_) => "its URL is not an http or https URL".to_owned(),
        KeyError::TooManyFields(_) => "it has more than two fields".to_owned(),
        error => error.to_string(),
    }
}

/// Finds a database as Go does: at the URL in GOSUMDB; else below the first proxy that says it supports it; else at the
/// database's own name. Once found, it is never looked for elsewhere.
pub(crate) struct Route {
    name: String,
    /// Where it is by its own name.
    own: Base,
    base: OnceCell<Base>,
    http: Arc<Http>,
    goproxy: Arc<Goproxy>,
}

impl Route {
    async fn base(&self) -> Result<&Base, Error> {
        self.base
            .get_or_try_init(|| async {
                let mut worst = None;
                for (proxy, fall_over) in self.goproxy.proxies() {
                    let supported = proxy.join(&format!("sumdb/{}/supported", self.name));
                    match self.http.fetch(&supported, &Validators::default(), ANSWER_LIMIT as u64).await {
                        Ok(_) => return Ok(proxy.join(&format!("sumdb/{}", self.name)).into_base()),
                        Err(error) => {
                            debug!(url = %supported, %error, "no checksum database through this proxy");
                            if matches!(error, Error::Absent { .. }) {
                                continue;
                            }
                            if fall_over != FallOver::Any {
                                return Err(error);
                            }
                            worst = Some(error);
                        }
                    }
                }
                // As in Go: the database itself is asked when no proxy has it, or when the list says `direct`.
                match worst {
                    Some(error) if !self.goproxy.has_direct() => Err(error),
                    _ => Ok(self.own.clone()),
                }
            })
            .await
    }
}

impl Route {
    /// The bytes at a path, for others who judge them themselves.
    pub(crate) async fn pass(&self, path: &str) -> Result<Vec<u8>, Error> {
        let target = self.base().await?.join(path.trim_start_matches('/'));
        match self.http.fetch(&target, &Validators::default(), ANSWER_LIMIT as u64).await? {
            Answer::Body { bytes, .. } => Ok(bytes),
            Answer::Unchanged => Ok(Vec::new()),
        }
    }
}

impl Remote for Route {
    async fn get(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let asked = async {
            let target = self.base().await?.join(path.trim_start_matches('/'));
            self.http.fetch(&target, &Validators::default(), ANSWER_LIMIT as u64).await
        };
        match asked.await {
            Ok(Answer::Body { bytes, .. }) => Ok(bytes),
            Ok(Answer::Unchanged) => Err(RemoteError::OutOfReach("it says that nothing changed".to_owned())),
            Err(Error::Absent { .. }) => Err(RemoteError::NotFound),
            Err(error) => Err(RemoteError::OutOfReach(in_full(&error))),
        }
    }
}

/// An error and its cause in one line, for a place that keeps no chain.
fn in_full(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
