//! The lists of all sources: asked for one after the other, remembered in memory and on disk. Leaves out what an archive
//! in them must be (`sources`) and how a list is written (`listing`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use govern_core::platform::Platform;
use govern_core::version::Version;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::base::Target;
use crate::error::{Cause, Error};
use crate::goproxy::{FallOver, Goproxy};
use crate::http::{Answer, Http, is_html, unreachable};
use crate::listing::{Release, parse_module_list, parse_page, parse_vendor_page};
use crate::releases::{CacheFile, Freshness, Listing, Releases};
use crate::settings::{Place, Source};

/// The most bytes that a list of releases may have.
const LARGEST_LIST: u64 = 8 << 20;

/// Asks for lists, and remembers them.
pub(crate) struct Lists {
    pub(crate) http: Arc<Http>,
    pub(crate) goproxy: Arc<Goproxy>,
    /// The directory of the kept lists.
    pub(crate) dir: PathBuf,
    pub(crate) places: Vec<Remembered>,
    /// Those of other vendors, which count for builds with a suffix alone.
    pub(crate) vendors: Vec<Remembered>,
}

/// A source, and its list in memory.
pub(crate) struct Remembered {
    pub(crate) source: Source,
    /// Tokio mutex: held while the source is asked, so that many askers make one request.
    list: Mutex<Option<Arc<Listing>>>,
}

impl Remembered {
    pub(crate) fn new(source: Source) -> Remembered {
        Remembered { source, list: Mutex::default() }
    }
}

impl Lists {
    /// The list of the first source that answers and has anything for `platform`; where none answers, the newest one that
    /// is remembered.
    pub(crate) async fn releases(
        &self,
        platform: &Platform,
        now: SystemTime,
        fresh: Freshness,
    ) -> Result<Releases, Error> {
        let serves = |listing: &Listing| listing.releases.iter().any(|release| release.is_for(platform));
        let mut newest: Option<(&Remembered, Arc<Listing>)> = None;
        for place in &self.places {
            let Some(known) = self.known(place).await.filter(|known| serves(known)) else { continue };
            if known.is_fresh(fresh, now) {
                return Ok(answer(place, &known, false));
            }
            if newest.as_ref().is_none_or(|(_, newest)| newest.fetched_at < known.fetched_at) {
                newest = Some((place, known));
            }
        }
        let (mut first_error, mut for_others) = (None, None);
        for place in &self.places {
            match self.ask(place, Some(now), fresh).await {
                Ok(listing) if serves(&listing) => return Ok(answer(place, &listing, false)),
                Ok(listing) => for_others = for_others.or(Some((place, listing))),
                Err(error) => {
                    debug!(source = %place.source, %error, "no list of releases");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        match (newest, for_others) {
            (Some((place, listing)), _) => Ok(answer(place, &listing, true)),
            (None, Some((place, listing))) => Ok(answer(place, &listing, false)),
            (None, None) => Err(first_error.unwrap_or(Error::NoSource)),
        }
    }

    /// The list of each vendor, with the vendor's name.
    pub(crate) async fn of_vendors(&self, now: SystemTime, fresh: Freshness) -> Vec<(String, Result<Releases, Error>)> {
        let mut lists = Vec::new();
        for place in &self.vendors {
            let known = self.known(place).await;
            let list = match (self.ask(place, Some(now), fresh).await, known) {
                (Ok(listing), _) => Ok(answer(place, &listing, false)),
                (Err(error), Some(known)) => {
                    debug!(source = %place.source, %error, "an old list has to do");
                    Ok(answer(place, &known, true))
                }
                (Err(error), None) => Err(error),
            };
            lists.push((place.source.vendor().unwrap_or_default().to_owned(), list));
        }
        lists
    }

    /// The list of one source, as it is now.
    pub(crate) async fn of(&self, source: &Source) -> Result<Vec<Release>, Error> {
        let place = self.places.iter().find(|place| place.source == *source).ok_or(Error::NoSource)?;
        Ok(self.ask(place, None, Freshness::Now).await?.releases.clone())
    }

    /// The release in a source's list, if it is there for the platform. A remembered list that does not have it is fetched
    /// anew first.
    pub(crate) async fn published(
        &self,
        source: &Source,
        version: &Version,
        platform: &Platform,
    ) -> Result<Release, Error> {
        let mut places = self.places.iter().chain(&self.vendors);
        let place = places.find(|place| place.source == *source).ok_or(Error::NoSource)?;
        let has_it = |listing: &Listing| listing.find(version).is_some_and(|release| release.is_for(platform));
        let listing = match self.known(place).await {
            // A vendor may publish a build anew under its old name, and the old digest would refuse the new one.
            Some(known) if has_it(&known) && source.vendor().is_some() => {
                match self.ask(place, None, Freshness::Now).await {
                    Err(error) if error.is_unreachable() => known,
                    listing => listing?,
                }
            }
            Some(known) if has_it(&known) => known,
            _ => self.ask(place, None, Freshness::Now).await?,
        };
        let source_name = source.name.clone();
        match listing.find(version) {
            None => {
                let (version, nearest) = (version.clone(), listing.nearest(version, |_| true));
                Err(Error::NoVersion { version, source_name, nearest })
            }
            Some(release) if !release.is_for(platform) => {
                let (version, platform) = (version.clone(), platform.clone());
                let platforms = release.platforms().cloned().collect();
                let nearest = listing.nearest(&version, |release| release.is_for(&platform)).into();
                Err(Error::NoPlatform { version, platform, source_name, platforms, nearest })
            }
            Some(release) => Ok(release.clone()),
        }
    }

    /// The list of a source as it is remembered.
    async fn known(&self, place: &Remembered) -> Option<Arc<Listing>> {
        let mut list = place.list.lock().await;
        self.recall(place, &mut list).await
    }

    /// The list in memory, else the one on disk.
    async fn recall(&self, place: &Remembered, list: &mut Option<Arc<Listing>>) -> Option<Arc<Listing>> {
        if list.is_none() {
            let file = CacheFile::new(&self.dir, &place.source.name);
            *list = spawn_blocking(move || file.read()).await.ok().flatten().map(Arc::new);
        }
        list.clone()
    }

    /// Asks a source for its list, unless another asker just did. `now` is not always known; a list fetched without it
    /// counts as old.
    async fn ask(&self, place: &Remembered, now: Option<SystemTime>, fresh: Freshness) -> Result<Arc<Listing>, Error> {
        let mut list = place.list.lock().await;
        let known = self.recall(place, &mut list).await;
        if let (Some(known), Some(now)) = (&known, now)
            && known.is_fresh(fresh, now)
        {
            return Ok(Arc::clone(known));
        }
        let mut fetched = self.fetch(&place.source, known.as_deref()).await?;
        fetched.fetched_at = now.unwrap_or(UNIX_EPOCH);
        let fetched = Arc::new(fetched);
        *list = Some(Arc::clone(&fetched));
        let (file, kept) = (CacheFile::new(&self.dir, &place.source.name), Arc::clone(&fetched));
        // A cache is not worth failing for.
        let _ = spawn_blocking(move || file.write(&kept)).await;
        Ok(fetched)
    }

    async fn fetch(&self, source: &Source, known: Option<&Listing>) -> Result<Listing, Error> {
        match &source.place {
            Place::Page(base) => return self.fetch_from(&base.release_list(), known, parse_page).await,
            Place::Vendor(_, base) => return self.fetch_from(&base.release_list(), known, parse_vendor_page).await,
            Place::Modules => {}
        }
        let mut told: Option<Error> = None;
        for (target, fall_over) in self.goproxy.module_places("list") {
            let error = match self.fetch_from(&target, known, parse_module_list).await {
                Ok(listing) => return Ok(listing),
                Err(error) => error,
            };
            if !fall_over.admits(&error) {
                return Err(error);
            }
            told = Some(FallOver::more_telling(told, error));
        }
        Err(told.unwrap_or(Error::NoSource))
    }

    async fn fetch_from(
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
}

fn answer(place: &Remembered, listing: &Listing, stale: bool) -> Releases {
    Releases { all: listing.releases.clone(), source: place.source.name.clone(), fetched_at: listing.fetched_at, stale }
}
