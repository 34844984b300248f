//! The sources together: which is asked when, and what an archive from each of them must be.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use govern_core::event::Watch;
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::proof::{Artifact, Expected, Format, Log, LogRequired, Sha256};
use govern_core::version::Version;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::base::{Base, Target};
use crate::checklog::{self, LogClient};
use crate::download::Download;
use crate::egress::Egress;
use crate::error::{Cause, Error};
use crate::goproxy::{FallOver, Goproxy, MODULE, matches_module, zip_name};
use crate::http::{Answer, Http, HttpSettings, file_failure, file_path, is_html, unreachable};
use crate::listing::{File, Release, parse_module_list, parse_page};
use crate::pace::Pace;
use crate::part;
use crate::releases::{CacheFile, Freshness, Listing, Releases};
use crate::settings::{Place, Settings, Source};
use crate::sumdb;
use crate::transfer::{self, Order};

/// The most bytes that a list of releases may have.
const LARGEST_LIST: u64 = 8 << 20;

/// The first family whose tarballs hold exactly the files that the checksum database has hashes of.
const FIRST_LOGGED: (u32, u32) = (1, 21);

/// All sources of one installation.
pub struct Sources {
    http: Arc<Http>,
    goproxy: Arc<Goproxy>,
    /// None when GOSUMDB is off.
    log: Option<LogClient>,
    /// GONOSUMDB covers the toolchain module.
    log_unwanted: bool,
    log_required: LogRequired,
    sources: Vec<Source>,
    /// Tokio mutexes, one per source: held while the source is asked, so that many askers make one request.
    lists: Vec<Mutex<Option<Arc<Listing>>>>,
    layout: Layout,
}

impl Sources {
    /// Reads the settings. Nothing is opened or asked yet.
    ///
    /// # Errors
    /// When a setting means nothing.
    pub fn new(settings: Settings, layout: &Layout) -> Result<Sources, Error> {
        Sources::with_pace(settings, layout, Pace::default())
    }

    /// As [`Sources::new`], with another patience.
    ///
    /// # Errors
    /// When a setting means nothing.
    pub fn with_pace(settings: Settings, layout: &Layout, pace: Pace) -> Result<Sources, Error> {
        let private = settings.goprivate.as_deref();
        let goproxy = Goproxy::parse(
            settings.goproxy.as_deref(),
            settings.gonoproxy.as_deref(),
            private,
            settings.goinsecure.as_deref(),
        )?;
        let pages = settings.dl_urls.iter().map(|url| url.trim()).filter(|url| !url.is_empty());
        let pages: Vec<Base> = pages.map(|url| Base::parse("GOVERN_DL_URL", url)).collect::<Result<_, _>>()?;
        let mut sources: Vec<Source> =
            pages.into_iter().map(|base| Source { name: base.to_string(), place: Place::Page(base) }).collect();
        if !goproxy.module_places("").is_empty() {
            sources.push(Source { place: Place::Modules, name: format!("GOPROXY={}", goproxy.shown()) });
        }
        let egress = Egress::parse(
            settings.https_proxy.as_deref(),
            settings.http_proxy.as_deref(),
            settings.no_proxy.as_deref(),
        )?;
        let http = Arc::new(Http::new(HttpSettings {
            egress,
            netrc: settings.netrc.or_else(|| settings.home.map(|home| home.join(".netrc"))),
            ssl_cert_file: settings.ssl_cert_file,
            ssl_cert_dir: settings.ssl_cert_dir,
            offline: settings.offline,
            pace,
        }));
        let goproxy = Arc::new(goproxy);
        let no_log_for = settings.gonosumdb.as_deref().filter(|globs| !globs.is_empty()).or(private);
        Ok(Sources {
            log: checklog::client(settings.gosumdb.as_deref(), &http, &goproxy, layout)?,
            log_unwanted: no_log_for.is_some_and(|globs| matches_module(globs, MODULE)),
            log_required: settings.log_required,
            lists: sources.iter().map(|_| Mutex::default()).collect(),
            sources,
            http,
            goproxy,
            layout: layout.clone(),
        })
    }

    /// The sources, in the order to be tried.
    #[must_use]
    pub fn list(&self) -> &[Source] {
        &self.sources
    }

    /// What can be installed: the list of the first source that answers and has anything for `platform`; a list that is
    /// too old where none answers. Offline, nobody is asked.
    ///
    /// # Errors
    /// When no source answers and none ever did: the first source's reason.
    pub async fn releases(&self, platform: &Platform, now: SystemTime, fresh: Freshness) -> Result<Releases, Error> {
        let serves = |listing: &Listing| listing.releases.iter().any(|release| release.is_for(platform));
        for index in 0..self.sources.len() {
            if let Some(listing) = self.known(index).await.filter(|known| known.is_fresh(fresh, now) && serves(known)) {
                return Ok(self.answer(index, &listing, false));
            }
        }
        let (mut first_error, mut for_others) = (None, None);
        for index in 0..self.sources.len() {
            match self.ask_for_list(index, Some(now), fresh).await {
                Ok(listing) if serves(&listing) => return Ok(self.answer(index, &listing, false)),
                Ok(listing) => for_others = for_others.or(Some((index, listing))),
                Err(error) => {
                    debug!(source = %self.sources[index], %error, "no list of releases");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        for index in 0..self.sources.len() {
            if let Some(listing) = self.known(index).await.filter(|known| serves(known)) {
                return Ok(self.answer(index, &listing, true));
            }
        }
        match for_others {
            Some((index, listing)) => Ok(self.answer(index, &listing, false)),
            None => Err(first_error.unwrap_or(Error::NoSource)),
        }
    }

    /// What the archive of a release must be. Asks the checksum database before a byte of the archive is fetched.
    ///
    /// # Errors
    /// When this source does not have it ([`Error::is_absent`]), does not answer ([`Error::is_unreachable`]), or nothing
    /// would prove what it has.
    pub async fn artifact(&self, source: &Source, version: &Version, platform: &Platform) -> Result<Artifact, Error> {
        match &source.place {
            Place::Page(base) => self.page_artifact(source, base, version, platform).await,
            Place::Modules => self.module_artifact(source, version, platform).await,
        }
    }

    /// Starts to bring an archive, going on with what an earlier try left. Returns when the first bytes are in sight.
    ///
    /// # Errors
    /// When the source does not give it out. Later failures are [`Download::finish`]'s.
    pub async fn open(&self, artifact: &Artifact, watch: Arc<dyn Watch>) -> Result<Download, Error> {
        transfer::start(Order {
            http: Arc::clone(&self.http),
            places: self.places(artifact)?,
            dir: self.layout.downloads(),
            name: file_name(artifact),
            size: artifact.size,
            sha256: artifact.expected.sha256,
            watch,
        })
        .await
    }

    /// Deletes what was downloaded of an artifact, finished or not.
    pub fn discard(&self, artifact: &Artifact) {
        part::remove(&self.layout.downloads(), &file_name(artifact));
    }

    async fn page_artifact(
        &self,
        source: &Source,
        base: &Base,
        version: &Version,
        platform: &Platform,
    ) -> Result<Artifact, Error> {
        let release = self.published(source, version, platform).await?;
        let file = release.file(platform).ok_or_else(|| no_platform(source, &release, platform))?;
        let File { name: Some(name), sha256, size, .. } = file else {
            return Err(Error::BadList { url: source.name.clone(), reason: format!("it has no file for {version}") });
        };
        let log = self.log_for_page(source, version, platform, *sha256).await?;
        Ok(Artifact {
            version: version.clone(),
            platform: platform.clone(),
            url: base.join(name).to_string(),
            format: Format::TarGz,
            size: *size,
            expected: Expected { sha256: *sha256, log },
        })
    }

    /// The log's word on an archive of a download page, where the list's digest is a proof of its own.
    async fn log_for_page(
        &self,
        source: &Source,
        version: &Version,
        platform: &Platform,
        sha256: Option<Sha256>,
    ) -> Result<Log, Error> {
        let unproven = |reason: &str| {
            let (version, source_name) = (version.clone(), source.name.clone());
            Error::Unproven { version, source_name, reason: reason.to_owned() }
        };
        let silent = "the release list has no digest of it, and the checksum database no record";
        let is_old = version.suffix().is_none() && version.family().is_none_or(|family| family < FIRST_LOGGED);
        let log = match &self.log {
            // Older tarballs hold other files than their modules do, so a record would say nothing about them.
            _ if is_old => Log::Silent,
            None => Log::OutOfReach("GOSUMDB=off".to_owned()),
            Some(_) if self.log_unwanted => Log::OutOfReach(format!("GONOSUMDB covers {MODULE}")),
            Some(client) => match client.lookup(MODULE, &platform.module_version(version)).await {
                Ok(record) => Log::Record(record),
                Err(sumdb::Error::NotFound { .. }) => Log::Silent,
                Err(error @ sumdb::Error::OutOfReach { .. }) if sha256.is_none() || self.needs_log() => {
                    return Err(log_out_of_reach(source, version, error));
                }
                Err(error @ sumdb::Error::OutOfReach { .. }) => Log::OutOfReach(error.to_string()),
                Err(error) => return Err(Error::Log { version: version.clone(), source: Box::new(error) }),
            },
        };
        match &log {
            Log::Record(_) => {}
            Log::OutOfReach(reason) if self.needs_log() => return Err(unproven(reason)),
            Log::Silent if self.needs_log() => return Err(unproven("the checksum database has no record of it")),
            Log::OutOfReach(_) | Log::Silent if sha256.is_none() => return Err(unproven(silent)),
            Log::OutOfReach(_) | Log::Silent => {}
        }
        Ok(log)
    }

    async fn module_artifact(
        &self,
        source: &Source,
        version: &Version,
        platform: &Platform,
    ) -> Result<Artifact, Error> {
        let places = self.goproxy.module_places(&zip_name(version, platform));
        let (first, _) = places.first().ok_or(Error::NoSource)?;
        let unproven = |reason: String| {
            let (version, source_name) = (version.clone(), source.name.clone());
            Error::Unproven { version, source_name, reason }
        };
        let whole = |expected: Expected, size: Option<u64>| Artifact {
            version: version.clone(),
            platform: platform.clone(),
            url: first.to_string(),
            format: Format::ModuleZip,
            size,
            expected,
        };
        let waived = match &self.log {
            None => Some("GOSUMDB=off"),
            Some(_) if self.log_unwanted && self.goproxy.is_one_directory() => Some("GONOSUMDB covers it"),
            Some(_) => None,
        };
        let client = match (&self.log, waived) {
            (Some(client), None) => client,
            // Go's one exception: the user names a directory, that alone, and waives the log. Its bytes are then what is
            // expected, so that they cannot change between now and the unpacking.
            (_, Some(reason)) if self.goproxy.is_one_directory() && !self.needs_log() => {
                let (sha256, size) = digest_of(first).await?;
                let log = Log::OutOfReach(format!("{reason}, and GOPROXY is one directory"));
                return Ok(whole(Expected { sha256: Some(sha256), log }, Some(size)));
            }
            (_, reason) => {
                let reason = reason.unwrap_or("GOSUMDB=off");
                return Err(unproven(format!("{reason}, and a module proxy has no other proof")));
            }
        };
        match client.lookup(MODULE, &platform.module_version(version)).await {
            Ok(record) => Ok(whole(Expected { sha256: None, log: Log::Record(record) }, None)),
            Err(sumdb::Error::NotFound { .. }) => {
                self.published(source, version, platform).await?;
                Err(unproven("the checksum database has no record of it".to_owned()))
            }
            Err(error @ sumdb::Error::OutOfReach { .. }) => Err(log_out_of_reach(source, version, error)),
            Err(error) => Err(Error::Log { version: version.clone(), source: Box::new(error) }),
        }
    }

    /// The release in a source's list, if it is there for the platform. A list from the cache that does not have it is
    /// fetched anew first.
    async fn published(&self, source: &Source, version: &Version, platform: &Platform) -> Result<Release, Error> {
        let index = self.sources.iter().position(|own| own == source).ok_or(Error::NoSource)?;
        let has_it = |listing: &Listing| listing.find(version).is_some_and(|release| release.is_for(platform));
        let listing = match self.known(index).await {
            Some(known) if has_it(&known) => known,
            _ => self.ask_for_list(index, None, Freshness::Now).await?,
        };
        let Some(release) = listing.find(version) else {
            let (version, source_name) = (version.clone(), source.name.clone());
            return Err(Error::NoVersion { nearest: listing.nearest(&version), version, source_name });
        };
        if !release.is_for(platform) {
            return Err(no_platform(source, release, platform));
        }
        Ok(release.clone())
    }

    /// The list of a source as it is remembered.
    async fn known(&self, index: usize) -> Option<Arc<Listing>> {
        let mut slot = self.lists[index].lock().await;
        self.remember(index, &mut slot).await
    }

    /// The list in memory, else the one on disk.
    async fn remember(&self, index: usize, slot: &mut Option<Arc<Listing>>) -> Option<Arc<Listing>> {
        if slot.is_none() {
            let file = self.cache_file(index);
            *slot = spawn_blocking(move || file.read()).await.ok().flatten().map(Arc::new);
        }
        slot.clone()
    }

    /// Asks a source for its list, unless another asker just did. `now` is not always known; a list fetched without it
    /// counts as old.
    async fn ask_for_list(
        &self,
        index: usize,
        now: Option<SystemTime>,
        fresh: Freshness,
    ) -> Result<Arc<Listing>, Error> {
        let mut slot = self.lists[index].lock().await;
        let known = self.remember(index, &mut slot).await;
        if let (Some(known), Some(now)) = (&known, now)
            && known.is_fresh(fresh, now)
        {
            return Ok(Arc::clone(known));
        }
        let mut listing = self.fetch_list(&self.sources[index], known.as_deref()).await?;
        listing.fetched_at = now.unwrap_or(UNIX_EPOCH);
        let listing = Arc::new(listing);
        *slot = Some(Arc::clone(&listing));
        let (file, kept) = (self.cache_file(index), Arc::clone(&listing));
        // A cache is not worth failing for.
        let _ = spawn_blocking(move || file.write(&kept)).await;
        Ok(listing)
    }

    async fn fetch_list(&self, source: &Source, known: Option<&Listing>) -> Result<Listing, Error> {
        match &source.place {
            Place::Page(base) => self.fetch_list_from(&base.release_list(), known, parse_page).await,
            Place::Modules => {
                let mut worst: Option<Error> = None;
                for (target, fall_over) in self.goproxy.module_places("list") {
                    let error = match self.fetch_list_from(&target, known, parse_module_list).await {
                        Ok(listing) => return Ok(listing),
                        Err(error) => error,
                    };
                    let next = error.is_absent() || (fall_over == FallOver::Any && error.is_unreachable());
                    if !next {
                        return Err(error);
                    }
                    worst = Some(worst.filter(|worst| error.is_absent() && !worst.is_absent()).unwrap_or(error));
                }
                Err(worst.unwrap_or(Error::NoSource))
            }
        }
    }

    async fn fetch_list_from(
        &self,
        target: &Target,
        known: Option<&Listing>,
        parse: fn(&[u8]) -> Result<Vec<Release>, String>,
    ) -> Result<Listing, Error> {
        let url = target.to_string();
        let known = known.filter(|known| known.url == url);
        let asked_with = known.map(|known| known.validators.clone()).unwrap_or_default();
        match (self.http.fetch(target, &asked_with, LARGEST_LIST).await?, known) {
            (Answer::Unchanged, Some(known)) => Ok(known.clone()),
            (Answer::Unchanged, None) => {
                Err(Error::BadList { url, reason: "it says that nothing changed, and nothing is known".to_owned() })
            }
            (Answer::Body { bytes, .. }, _) if is_html(None, &bytes) => Err(unreachable(target, Cause::Html)),
            (Answer::Body { bytes, validators }, _) => {
                let releases = parse(&bytes).map_err(|reason| Error::BadList { url: url.clone(), reason })?;
                Ok(Listing { url, fetched_at: UNIX_EPOCH, validators, releases })
            }
        }
    }

    /// Where an archive can be had: for a download page there alone; for GOPROXY from the artifact's proxy on.
    fn places(&self, artifact: &Artifact) -> Result<Vec<(Target, FallOver)>, Error> {
        let from = |mut places: Vec<(Target, FallOver)>| {
            let at = places.iter().position(|(target, _)| target.to_string() == artifact.url)?;
            Some(places.split_off(at))
        };
        let of_page = |source: &Source| match &source.place {
            Place::Page(base) => {
                let tail = artifact.url.strip_prefix(&base.to_string())?;
                from(vec![(base.join(tail), FallOver::Absent)])
            }
            Place::Modules => from(self.goproxy.module_places(&zip_name(&artifact.version, &artifact.platform))),
        };
        self.sources.iter().find_map(of_page).ok_or(Error::NoSource)
    }

    fn answer(&self, index: usize, listing: &Listing, stale: bool) -> Releases {
        Releases {
            all: listing.releases.clone(),
            source: self.sources[index].name.clone(),
            fetched_at: listing.fetched_at,
            stale,
        }
    }

    fn cache_file(&self, index: usize) -> CacheFile {
        CacheFile::new(&self.layout.release_cache(), &self.sources[index].name)
    }

    fn needs_log(&self) -> bool {
        self.log_required == LogRequired::Yes
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(Source::name)).finish()
    }
}

/// The name of an artifact's download. Ours, not the server's.
fn file_name(artifact: &Artifact) -> String {
    match artifact.format {
        Format::TarGz => artifact.platform.archive(&artifact.version),
        Format::ModuleZip => format!("{}.zip", artifact.platform.module_version(&artifact.version)),
    }
}

fn no_platform(source: &Source, release: &Release, platform: &Platform) -> Error {
    Error::NoPlatform {
        version: release.version.clone(),
        platform: platform.clone(),
        source_name: source.name.clone(),
        platforms: release.platforms().cloned().collect(),
    }
}

fn log_out_of_reach(source: &Source, version: &Version, error: sumdb::Error) -> Error {
    Error::LogOutOfReach { version: version.clone(), source_name: source.name.clone(), source: Box::new(error) }
}

/// The digest and length of a file that a directory serves.
async fn digest_of(target: &Target) -> Result<(Sha256, u64), Error> {
    let path = file_path(target)?;
    let hash = spawn_blocking(move || -> Result<(String, u64), (std::path::PathBuf, std::io::Error)> {
        let read = || {
            let file = std::fs::File::open(&path)?;
            let length = file.metadata()?.len();
            Ok((part::hash_of(&file, length)?.1, length))
        };
        read().map_err(|error| (path, error))
    });
    let hashed = hash.await.map_err(|_| Error::Cancelled { url: target.to_string() })?;
    let (digest, length) = hashed.map_err(|(path, error)| file_failure(target, path, error))?;
    let digest = Sha256::from_hex(&digest).expect("64 hexadecimal digits were just printed");
    Ok((digest, length))
}
