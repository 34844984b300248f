//! The sources together: which is asked when, and what an archive from each of them must be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use govern_core::event::Watch;
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::proof::{Artifact, Expected, Format, Log, LogRecord, LogRequired, Sha256};
use govern_core::settings::Vendor;
use govern_core::version::Version;

use crate::base::{Base, Target};
use crate::checklog::{self, LogClient};
use crate::client::ClientSettings;
use crate::download::Download;
use crate::egress::Egress;
use crate::error::Error;
use crate::goproxy::{FallOver, Goproxy, MODULE, matches_module, zip_name};
use crate::http::Http;
use crate::listing::File;
use crate::lists::{Lists, Remembered};
use crate::local;
use crate::pace::Pace;
use crate::part;
use crate::releases::{Freshness, Release, Releases};
use crate::settings::{Place, Settings, Source};
use crate::stored::Shapes;
use crate::sumdb;
use crate::transfer::{self, Order};

/// The first family whose tarballs hold exactly the files that the checksum database has hashes of.
const FIRST_LOGGED: (u32, u32) = (1, 21);

/// Why an archive of a directory is refused that has no stored proof.
const UNSTORED: &str = "no proof of the checksum database is stored beside it";

/// What proves a release to those who cannot ask the checksum database.
#[derive(Clone, Debug)]
pub struct LogProof {
    /// The record.
    pub record: LogRecord,
    /// The database's answer and the tiles of its tree, each under its path at the database.
    pub files: Vec<(String, Vec<u8>)>,
}

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
    vendors: Vec<Source>,
    lists: Lists,
    downloads: PathBuf,
    /// What the one directory is called that is the only source.
    stored: Option<String>,
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
    pub fn with_pace(mut settings: Settings, layout: &Layout, pace: Pace) -> Result<Sources, Error> {
        let stored = settings.stored.take();
        let shapes = stored.as_ref().map(|stored| Shapes::of(&stored.dir)).transpose()?;
        if let Some(Shapes { url, page, is_proxy, .. }) = &shapes {
            settings.offline = true;
            settings.dl_urls = page.iter().cloned().collect();
            settings.goproxy = Some(if *is_proxy { url.clone() } else { "off".to_owned() });
            // They would send the module past the directory; what GOPRIVATE says of the log stays.
            settings.gonosumdb = settings.gonosumdb.filter(|globs| !globs.is_empty()).or(settings.goprivate.take());
            settings.gonoproxy = None;
        }
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
        let vendor = |vendor: &Vendor| {
            let base = Base::of_vendor(vendor)?;
            let name = format!("{} ({base})", vendor.name());
            Ok(Source { place: Place::Vendor(vendor.name().to_owned(), base), name })
        };
        let vendors: Vec<Source> = settings.vendors.iter().map(vendor).collect::<Result<_, Error>>()?;
        if let Some(stored) = &stored {
            sources.iter_mut().for_each(|source| source.name = source.of_stored(&stored.name));
        }
        let egress = Egress::parse(
            settings.https_proxy.as_deref(),
            settings.http_proxy.as_deref(),
            settings.no_proxy.as_deref(),
        )?;
        let http = Arc::new(Http::new(ClientSettings {
            egress,
            netrc: settings.netrc.or_else(|| settings.home.map(|home| home.join(".netrc"))),
            ssl_cert_file: settings.ssl_cert_file,
            ssl_cert_dir: settings.ssl_cert_dir,
            offline: settings.offline,
            pace,
        }));
        let goproxy = Arc::new(goproxy);
        let no_log_for = settings.gonosumdb.as_deref().filter(|globs| !globs.is_empty()).or(private);
        let base = shapes.as_ref().map(|shapes| &shapes.base);
        let log = checklog::client(settings.gosumdb.as_deref(), &http, &goproxy, layout, base)?;
        let log_unwanted = no_log_for.is_some_and(|globs| matches_module(globs, MODULE));
        // A directory's own list proves nothing: who could change an archive in it could change the list.
        let is_strict = stored.is_some() && log.is_some() && !log_unwanted;
        let scratch = stored.as_ref().map(|stored| &stored.scratch);
        Ok(Sources {
            log,
            log_unwanted,
            log_required: if is_strict { LogRequired::Yes } else { settings.log_required },
            lists: Lists {
                http: Arc::clone(&http),
                goproxy: Arc::clone(&goproxy),
                dir: scratch.map_or_else(|| layout.release_cache(), |scratch| scratch.join("lists")),
                places: sources.iter().cloned().map(Remembered::new).collect(),
                vendors: vendors.iter().cloned().map(Remembered::new).collect(),
            },
            downloads: scratch.map_or_else(|| layout.downloads(), |scratch| scratch.join("downloads")),
            stored: stored.map(|stored| stored.name),
            sources,
            vendors,
            http,
            goproxy,
        })
    }

    /// The sources, in the order to be tried.
    #[must_use]
    pub fn list(&self) -> &[Source] {
        &self.sources
    }

    /// The sources that may have this release, in the order to be tried. Where vendors are declared, builds with a suffix
    /// are theirs alone, so that their names are told to nobody else; nothing without a suffix is ever theirs.
    #[must_use]
    pub fn list_for(&self, version: &Version) -> &[Source] {
        match version.suffix() {
            Some(_) if !self.vendors.is_empty() => &self.vendors,
            _ => &self.sources,
        }
    }

    /// The vendors' builds, by the vendor's name: the list that it gives now, or gave, or why there is none.
    pub async fn vendor_releases(&self, now: SystemTime, fresh: Freshness) -> Vec<(String, Result<Releases, Error>)> {
        self.lists.of_vendors(now, fresh).await
    }

    /// What can be installed: the list of the first source that answers and has anything for `platform`; a list that is
    /// too old where none answers. Offline, nobody is asked.
    ///
    /// # Errors
    /// When no source answers and none ever did: the first source's reason.
    pub async fn releases(&self, platform: &Platform, now: SystemTime, fresh: Freshness) -> Result<Releases, Error> {
        self.lists.releases(platform, now, fresh).await
    }

    /// What the archive of a release must be. Asks the checksum database before a byte of the archive is fetched.
    ///
    /// # Errors
    /// When this source does not have it ([`Error::is_absent`]), does not answer ([`Error::is_unreachable`]), or nothing
    /// would prove what it has.
    pub async fn artifact(&self, source: &Source, version: &Version, platform: &Platform) -> Result<Artifact, Error> {
        match &source.place {
            Place::Page(base) | Place::Vendor(_, base) => self.page_artifact(source, base, version, platform).await,
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
            dir: self.downloads.clone(),
            name: file_name(artifact),
            size: artifact.size,
            sha256: artifact.expected.sha256,
            ends_in_directory: artifact.format == Format::ModuleZip,
            watch,
        })
        .await
    }

    /// What the checksum database says at a path such as `/lookup/…`, as it says it: whoever asked judges it. `None` when
    /// it is another database's name.
    ///
    /// # Errors
    /// When it has no such thing ([`Error::is_absent`]) or does not answer ([`Error::is_unreachable`]).
    pub async fn log_file(&self, database: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.log {
            Some(log) if log.database() == database => log.remote().pass(path).await.map(Some),
            _ => Ok(None),
        }
    }

    /// What one source lists, as far as it lists anything.
    pub async fn listed(&self, source: &Source) -> Vec<Release> {
        self.lists.of(source).await.unwrap_or_default()
    }

    /// The record that the checksum database has of a release, and the files that prove it to those who cannot ask. `None`
    /// when the user waives the database, or it has no such record.
    ///
    /// # Errors
    /// When the database does not answer, or cannot be believed.
    pub async fn log_files(&self, version: &Version, platform: &Platform) -> Result<Option<LogProof>, Error> {
        let Some(client) = self.log.as_ref().filter(|_| !self.log_unwanted) else { return Ok(None) };
        match client.proof(MODULE, &platform.module_version(version)).await {
            Ok((record, files)) => Ok(Some(LogProof { record, files })),
            Err(sumdb::Error::NotFound { .. }) => Ok(None),
            Err(error @ sumdb::Error::OutOfReach { .. }) => {
                let source_name = "any source".to_owned();
                Err(Error::LogOutOfReach { version: version.clone(), source_name, source: Box::new(error) })
            }
            Err(error) => Err(Error::Log { version: version.clone(), source: Box::new(error) }),
        }
    }

    /// Where an archive came from, as records say it.
    #[must_use]
    pub fn origin(&self, artifact: &Artifact) -> String {
        self.stored.clone().unwrap_or_else(|| artifact.url.clone())
    }

    async fn lookup(
        &self,
        client: &LogClient,
        version: &Version,
        platform: &Platform,
    ) -> Result<LogRecord, sumdb::Error> {
        let module_version = platform.module_version(version);
        match self.stored {
            None => client.lookup(MODULE, &module_version).await,
            Some(_) => client.lookup_stored(MODULE, &module_version).await,
        }
    }

    /// Deletes what was downloaded of an artifact, finished or not.
    pub fn discard(&self, artifact: &Artifact) {
        part::remove(&self.downloads, &file_name(artifact));
    }

    async fn page_artifact(
        &self,
        source: &Source,
        base: &Base,
        version: &Version,
        platform: &Platform,
    ) -> Result<Artifact, Error> {
        let release = self.lists.published(source, version, platform).await?;
        let Some(File { name: Some(name), sha256, size, .. }) = release.file(platform) else {
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
        if source.vendor().is_some() {
            // The log has records of the Go project's releases. It is not even told that there is such a build.
            return match sha256 {
                _ if self.needs_log() => {
                    Err(unproven("`require_log` is set, and no log has records of vendors' builds"))
                }
                None => Err(unproven("its list has no SHA-256 of it, and nothing else could prove it")),
                Some(_) => Ok(Log::Silent),
            };
        }
        let log = match &self.log {
            // Older tarballs hold other files than their modules do, so a record would say nothing about them.
            _ if is_before_log(version) => Log::Silent,
            None => Log::OutOfReach("GOSUMDB=off".to_owned()),
            Some(_) if self.log_unwanted => Log::OutOfReach(format!("GONOSUMDB covers {MODULE}")),
            Some(client) => match self.lookup(client, version, platform).await {
                Ok(record) => Log::Record(record),
                Err(sumdb::Error::NotFound { .. }) => Log::Silent,
                Err(error) if self.stored.is_some() && error.is_missing() => return Err(unproven(UNSTORED)),
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
                let (sha256, size) = local::digest(first).await?;
                let log = Log::OutOfReach(format!("{reason}, and GOPROXY is one directory"));
                return Ok(whole(Expected { sha256: Some(sha256), log }, Some(size)));
            }
            (_, reason) => {
                let reason = reason.unwrap_or("GOSUMDB=off");
                return Err(unproven(format!("{reason}, and a module proxy has no other proof")));
            }
        };
        match self.lookup(client, version, platform).await {
            Ok(record) => Ok(whole(Expected { sha256: None, log: Log::Record(record) }, None)),
            Err(error) if self.stored.is_some() && error.is_missing() => Err(unproven(UNSTORED.to_owned())),
            Err(sumdb::Error::NotFound { .. }) => {
                self.lists.published(source, version, platform).await?;
                Err(unproven("the checksum database has no record of it".to_owned()))
            }
            Err(error @ sumdb::Error::OutOfReach { .. }) => Err(log_out_of_reach(source, version, error)),
            Err(error) => Err(Error::Log { version: version.clone(), source: Box::new(error) }),
        }
    }

    /// The log's record of a release with the proof that stands alone. `None` where there is none to be asked for: a
    /// release before the log, GOSUMDB=off, GONOSUMDB, and what the log does not know.
    ///
    /// # Errors
    /// When the log is out of reach or cannot be believed.
    pub async fn log_proof(
        &self,
        version: &Version,
        platform: &Platform,
    ) -> Result<Option<sumdb::Proven>, sumdb::Error> {
        let Some(client) = self.log.as_ref().filter(|_| !self.log_unwanted && !is_before_log(version)) else {
            return Ok(None);
        };
        match client.lookup_proven(MODULE, &platform.module_version(version)).await {
            Ok(proven) => Ok(Some(proven)),
            Err(sumdb::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks a stored proof, asking nobody: by the key of GOSUMDB, or by that of the Go project's own database.
    ///
    /// # Errors
    /// When it proves nothing about this release.
    pub fn check_log_proof(
        &self,
        text: &[u8],
        version: &Version,
        platform: &Platform,
    ) -> Result<LogRecord, sumdb::Refusal> {
        let version = platform.module_version(version);
        let wanted = sumdb::claim::Wanted { module: MODULE, version: &version };
        let by = |verifier: &sumdb::Verifier| sumdb::stored::check(text, verifier, wanted);
        match self.log.as_ref().map(|client| by(client.verifier())) {
            Some(Err(sumdb::Refusal::Unsigned { .. })) | None => by(&sumdb::Verifier::sum_golang_org()),
            Some(decided) => decided,
        }
    }

    /// Where an archive can be had: for a download page there alone; for GOPROXY from the artifact's proxy on.
    fn places(&self, artifact: &Artifact) -> Result<Vec<(Target, FallOver)>, Error> {
        let from = |mut places: Vec<(Target, FallOver)>| {
            let at = places.iter().position(|(target, _)| target.to_string() == artifact.url)?;
            Some(places.split_off(at))
        };
        let of_page = |source: &Source| match &source.place {
            Place::Page(base) | Place::Vendor(_, base) => {
                let tail = artifact.url.strip_prefix(&base.to_string())?;
                from(vec![(base.join(tail), FallOver::Absent)])
            }
            Place::Modules => from(self.goproxy.module_places(&zip_name(&artifact.version, &artifact.platform))),
        };
        self.list_for(&artifact.version).iter().find_map(of_page).ok_or(Error::NoSource)
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

/// True for releases whose tarballs hold other files than the modules that the log knows.
fn is_before_log(version: &Version) -> bool {
    version.suffix().is_none() && version.family().is_none_or(|family| family < FIRST_LOGGED)
}

/// The name of an artifact's download. Ours, not the server's.
fn file_name(artifact: &Artifact) -> String {
    match artifact.format {
        Format::TarGz => artifact.platform.archive(&artifact.version),
        Format::ModuleZip => format!("{}.zip", artifact.platform.module_version(&artifact.version)),
    }
}

fn log_out_of_reach(source: &Source, version: &Version, error: sumdb::Error) -> Error {
    Error::LogOutOfReach { version: version.clone(), source_name: source.name.clone(), source: Box::new(error) }
}
