//! Which release a wish means: asks what is released when the wish does not name one, and minds the safe floor.

use std::time::SystemTime;

use govern_core::goenv::GoEnv;
use govern_core::platform::Platform;
use govern_core::safe_floor;
use govern_core::settings::Settings;
use govern_core::spec::{LinkName, Spec};
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::{self as sources, Freshness, Release, Releases, Sources};

use crate::error::Error;
use crate::{Engine, home, look};

/// A wish for a Go that is to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What is wished for.
    pub spec: Spec,
    /// A minimum that it must satisfy.
    pub at_least: Option<Version>,
    /// A file of a checkout wishes it: the safe floor holds.
    pub by_repository: bool,
    /// Whose wish it is, as it stands after `wanted by`.
    pub wanted_by: Option<String>,
}

impl Wish {
    /// A wish that a person typed.
    #[must_use]
    pub fn typed(spec: Spec) -> Wish {
        Wish { spec, at_least: None, by_repository: false, wanted_by: None }
    }
}

/// What the sources and the vendors publish for this platform.
#[derive(Clone, Debug)]
pub struct Published {
    /// Newest first; with each the vendor, where it is a vendor's.
    pub all: Vec<(Release, Option<String>)>,
    /// The source of the Go project's releases, as messages name it; empty when none answers.
    pub source: String,
    /// When it was asked.
    pub fetched_at: SystemTime,
    /// True when no source answers and this is what was known.
    pub stale: bool,
    /// Who does not answer, and why, each one line.
    pub notes: Vec<String>,
}

impl Published {
    fn of(releases: Releases) -> Published {
        let Releases { all, source, fetched_at, stale } = releases;
        let all = all.into_iter().map(|release| (release, None)).collect();
        Published { all, source, fetched_at, stale, notes: Vec::new() }
    }
}

/// An error and its causes on one line.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl Engine {
    /// The releases there are. Asks the network when the list at hand is old, or `refresh` is set.
    ///
    /// # Errors
    /// When no source answers and there is no list at hand.
    pub async fn releases(&self, vars: &Vars, refresh: bool) -> Result<Releases, Error> {
        let settings = self.settings(vars)?;
        let sources = self.sources(&settings, vars)?;
        let freshness = if refresh { Freshness::Now } else { Freshness::Recent };
        let releases = sources.releases(self.platform(), SystemTime::now(), freshness).await?;
        if let Err(error) = self.sync_launchers() {
            tracing::warn!(%error, "launchers not brought in step");
        }
        Ok(releases)
    }

    /// What can be installed here: the Go project's releases and the vendors' builds, newest first. Who does not answer
    /// is named in the notes, unless nobody does.
    ///
    /// # Errors
    /// When no source answers and there is no list at hand.
    pub async fn published(&self, vars: &Vars, refresh: bool) -> Result<Published, Error> {
        let settings = self.settings(vars)?;
        let freshness = if refresh { Freshness::Now } else { Freshness::Recent };
        let releases = self.releases(vars, refresh).await;
        let of_vendors = self.sources(&settings, vars)?.vendor_releases(SystemTime::now(), freshness).await;
        let mut published = match releases {
            Ok(releases) => Published::of(releases),
            Err(error) if of_vendors.iter().all(|(_, list)| list.is_err()) => return Err(error),
            Err(error) => {
                // Whoever has switched all others off knows it.
                let is_off = matches!(error, Error::Source(sources::Error::NoSource));
                let notes = if is_off { Vec::new() } else { vec![described(&error)] };
                Published { source: String::new(), fetched_at: SystemTime::now(), stale: false, all: Vec::new(), notes }
            }
        };
        for (vendor, list) in of_vendors {
            match list {
                Ok(list) => {
                    if list.stale {
                        published.notes.push(format!("{} does not answer: its list is an old one", list.source));
                    }
                    let of_vendor = list.all.into_iter().map(|release| (release, Some(vendor.clone())));
                    published.all.extend(of_vendor);
                }
                Err(error) => published.notes.push(format!("{vendor}: {}", described(&error))),
            }
        }
        published.all.retain(|(release, _)| release.is_for(self.platform()));
        // The first of several vendors that have a build is the one that it comes from.
        published.all.sort_by(|(a, _), (b, _)| b.version.cmp(&a.version));
        published.all.dedup_by(|(later, _), (first, _)| later.version == first.version);
        if let Err(error) = self.sync_launchers() {
            tracing::warn!(%error, "launchers not brought in step");
        }
        Ok(published)
    }

    /// The release that a wish means, installed or not.
    ///
    /// # Errors
    /// When there is none, when no source answers, or when a checkout asks for a release below the safe floor.
    pub async fn resolve(&self, wish: &Wish, vars: &Vars) -> Result<Version, Error> {
        let floor_met = |version: &Version| wish.at_least.as_ref().is_none_or(|floor| version.satisfies(floor));
        let version = match &wish.spec {
            Spec::Linked(name) => return Err(self.uninstallable(name)?),
            Spec::Exact(version) => version.clone(),
            spec => self.newest(spec, vars).await?,
        };
        if let Some(floor) = wish.at_least.clone().filter(|_| !floor_met(&version)) {
            return Err(Error::BelowFloor { spec: wish.spec.clone(), floor, newest: version });
        }
        let allowed = !wish.by_repository || self.settings(vars)?.unsafe_pins;
        match safe_floor::advisory(&version) {
            Some(advisory) if !allowed && self.store().sdk(&version).is_none() => {
                Err(Error::UnsafePin { version, advisory })
            }
            _ => Ok(version),
        }
    }

    /// Why a linked name cannot be installed.
    fn uninstallable(&self, name: &LinkName) -> Result<Error, Error> {
        let is_linked = self.linked()?.iter().any(|(known, _)| known == name);
        let name = name.clone();
        Ok(if is_linked { Error::Linked { name } } else { Error::NotLinked { name } })
    }

    async fn newest(&self, spec: &Spec, vars: &Vars) -> Result<Version, Error> {
        let releases = self.releases(vars, false).await?;
        let here = || releases.all.iter().filter(|r| r.is_for(self.platform())).map(|r| &r.version);
        if let Some(version) = spec.pick(here()) {
            return Ok(version.clone());
        }
        if let Some(version) = spec.pick(releases.all.iter().map(|r| &r.version)) {
            let (platform, nearest) = (self.platform().clone(), nearest(spec, &releases, self.platform()));
            return Err(Error::NotForPlatform { version: version.clone(), platform, nearest });
        }
        let nearest = nearest(spec, &releases, self.platform());
        Err(Error::NoSuchRelease { spec: spec.clone(), nearest, source_name: releases.source })
    }

    /// Says of a release that no source has, that there is no such release, if the list agrees.
    pub(crate) async fn unknown_release(&self, version: &Version, vars: &Vars) -> Option<Error> {
        let releases = self.releases(vars, false).await.ok()?;
        if releases.all.iter().any(|release| release.version == *version) {
            return None;
        }
        let spec = Spec::Exact(version.clone());
        let nearest = nearest(&spec, &releases, self.platform());
        Some(Error::NoSuchRelease { spec, nearest, source_name: releases.source })
    }

    /// The releases that were known when somebody last asked; none without a list at hand.
    pub(crate) fn known_releases(&self) -> Vec<Version> {
        sources::known_releases(self.layout())
    }

    /// The sources as a caller's settings and variables have them.
    pub(crate) fn sources(&self, settings: &Settings, vars: &Vars) -> Result<Sources, Error> {
        let go_env = look::go_env(vars, &self.platform().os)?;
        Ok(Sources::new(source_settings(settings, vars, &go_env), self.layout())?)
    }
}

/// Go's own settings count as in Go: the environment, then `go env -w`.
pub(crate) fn source_settings(settings: &Settings, vars: &Vars, go_env: &GoEnv) -> sources::Settings {
    let go = |key: &str| go_env.effective(vars, key).map(str::to_owned);
    // Lower case first, as curl and Go read them.
    let proxy = |lower: &str, upper: &str| vars.text(lower).or_else(|| vars.text(upper)).map(str::to_owned);
    sources::Settings {
        dl_urls: settings.dl_urls.clone().unwrap_or_else(|| vec![sources::DEFAULT_DL_URL.to_owned()]),
        vendors: settings.vendors.clone(),
        goproxy: go("GOPROXY"),
        gonoproxy: go("GONOPROXY"),
        gosumdb: go("GOSUMDB"),
        gonosumdb: go("GONOSUMDB"),
        goprivate: go("GOPRIVATE"),
        goinsecure: go("GOINSECURE"),
        https_proxy: proxy("https_proxy", "HTTPS_PROXY"),
        http_proxy: proxy("http_proxy", "HTTP_PROXY"),
        no_proxy: proxy("no_proxy", "NO_PROXY"),
        netrc: vars.os("NETRC").map(Into::into),
        ssl_cert_file: vars.os("SSL_CERT_FILE").map(Into::into),
        ssl_cert_dir: vars.os("SSL_CERT_DIR").map(Into::into),
        home: home::user_home(vars),
        offline: settings.offline,
        log_required: settings.require_log,
        stored: None,
    }
}

/// The three stable releases for a platform that are nearest to a wish nobody can meet.
fn nearest(spec: &Spec, releases: &Releases, platform: &Platform) -> Vec<Version> {
    let is_good = |release: &&Release| release.stable && release.is_for(platform);
    let stable = || releases.all.iter().filter(is_good).map(|release| &release.version);
    let wanted = match spec {
        Spec::Exact(version) => version.family().map(|(_, minor)| (minor, version.patch())),
        Spec::Family(_, minor) => Some((*minor, None)),
        _ => None,
    };
    let Some((minor, patch)) = wanted else { return stable().max().cloned().into_iter().collect() };
    let distance = |version: &Version| {
        let minors = version.family().map_or(u32::MAX, |(_, m)| m.abs_diff(minor));
        // Without a wished patch the newest of each family is the nearest.
        let patches = version.patch().map_or(u32::MAX, |p| patch.map_or(u32::MAX - p, |wish| p.abs_diff(wish)));
        (minors, patches)
    };
    let mut near: Vec<Version> = stable().cloned().collect();
    near.sort_by(|a, b| distance(a).cmp(&distance(b)).then_with(|| b.cmp(a)));
    if patch.is_none() {
        near.dedup_by_key(|version| version.family());
    }
    near.truncate(3);
    near
}
