//! `govern mirror serve`: one machine downloads for the office. Brings the server of `sources` what it gives on: archives
//! that are proven here first, and the checksum database's words as they were said.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use govern_core::platform::Platform;
use govern_core::problem::Code;
use govern_core::proof::Format;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::mirror::{self, Missing, Shelf, Shelved};
use govern_sources::{Freshness, Release, Sources};
use govern_store::{Archive, archive_name};
use tokio::net::TcpListener;

use crate::config::write_atomically;
use crate::error::{At, Error};
use crate::{Engine, blocking};

impl Engine {
    /// Serves what is in the cache, and fetches what is not, until `end`. Offline, only what is there is given out.
    ///
    /// # Errors
    /// When the settings cannot be understood, or connections can no longer be accepted.
    pub async fn mirror(&self, listener: TcpListener, vars: &Vars, end: impl Future<Output = ()>) -> Result<(), Error> {
        let settings = self.settings(vars)?;
        let office = Office {
            sources: self.sources(&settings, vars)?,
            engine: self.clone(),
            vars: vars.clone(),
            is_offline: settings.offline,
            fetching: Mutex::default(),
        };
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        mirror::serve(listener, Arc::new(office), end).await.at("listen on", Path::new(&address))
    }
}

struct Office {
    engine: Engine,
    sources: Sources,
    vars: Vars,
    is_offline: bool,
    /// The archives that were asked for, each with its lock: many askers share one download, and the hashing of its bytes.
    /// Std mutex: held for a look-up; the inner one is tokio's, held while the archive is fetched.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Seen>>>>>,
}

/// An archive whose bytes were hashed, and what its file looked like then.
#[derive(Clone)]
struct Seen {
    shelved: Shelved,
    looks: (u64, Option<SystemTime>),
}

impl Office {
    fn fetching(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Option<Seen>>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, format: Format, version: &Version, platform: &Platform) -> Result<Archive, Missing> {
        let engine = &self.engine;
        let fetched = if self.is_offline {
            engine.archive_at_hand(format, version, platform).await.map(|archive| {
                let name = platform.module_version(version);
                archive.ok_or_else(|| Missing::Absent(format!("{name} is not here, and this mirror is offline")))
            })
        } else {
            let silent = Arc::new(|_| {});
            engine.archive(format, version, platform, &self.vars, silent).await.map(Ok)
        };
        fetched.unwrap_or_else(|error| {
            tracing::warn!(error = %error.report().fact, %version, %platform, "an archive cannot be given on");
            let report = error.report();
            let reason = std::iter::once(report.fact).chain(report.causes).collect::<Vec<_>>().join(": ");
            Err(match report.code {
                Code::NoVersion | Code::NoArtifact => Missing::Absent(reason),
                Code::Network => Missing::Upstream(reason),
                _ => Missing::Refused(reason),
            })
        })
    }
}

fn looks(path: &Path) -> (u64, Option<SystemTime>) {
    fs::metadata(path).map_or((0, None), |meta| (meta.len(), meta.modified().ok()))
}

pub(crate) fn shelved(archive: Archive) -> Shelved {
    let Archive { version, platform, format, path, size, sha256, .. } = archive;
    Shelved { version, platform, format, path, size, sha256 }
}

impl Shelf for Office {
    async fn releases(&self) -> Vec<Release> {
        let releases = self.sources.releases(self.engine.platform(), SystemTime::now(), Freshness::Recent).await;
        releases.map(|releases| releases.all).unwrap_or_default()
    }

    async fn at_hand(&self) -> Vec<Shelved> {
        let store = self.engine.store().clone();
        let archives = blocking(move || Ok(store.archives()?)).await;
        archives.unwrap_or_default().into_iter().map(shelved).collect()
    }

    async fn archive(&self, format: Format, version: &Version, platform: &Platform) -> Result<Shelved, Missing> {
        let key = archive_name(format, version, platform);
        let place = Arc::clone(self.fetching().entry(key.clone()).or_default());
        let mut seen = place.lock().await;
        if let Some(seen) = seen.as_ref().filter(|seen| looks(&seen.shelved.path) == seen.looks) {
            return Ok(seen.shelved.clone());
        }
        let fetched = self.fetch(format, version, platform).await;
        // Anybody may ask for anything: what is not there is not remembered.
        let archive = fetched.inspect_err(|_| drop(self.fetching().remove(&key)))?;
        let shelved = shelved(archive);
        *seen = Some(Seen { looks: looks(&shelved.path), shelved: shelved.clone() });
        Ok(shelved)
    }

    async fn log(&self, database: &str, path: &str) -> Result<Vec<u8>, Missing> {
        let absent = || Missing::Absent(format!("{database} has nothing at {path}"));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/@.!-_+~".contains(c);
        if !database.chars().all(is_plain) || database.contains('/') || !path.chars().all(is_plain) {
            return Err(absent());
        }
        let passed = self.sources.log_file(database, path).await;
        let kept = self.engine.layout().mirrored_sumdb().join(database).join(path.trim_start_matches('/'));
        match passed {
            Ok(None) => Err(Missing::Absent(format!("this mirror passes no database {database} on"))),
            Ok(Some(bytes)) => {
                let copy = bytes.clone();
                // A copy for the day on which the database does not answer; not worth failing for.
                let _ = blocking(move || write_atomically(&kept, &copy)).await;
                Ok(bytes)
            }
            Err(error) if error.is_absent() => Err(absent()),
            Err(error) => {
                let read = blocking(move || fs::read(&kept).at("read", &kept)).await;
                read.map_err(|_| Missing::Upstream(error.to_string()))
            }
        }
    }
}
