//! What the sources publish, as answered and as remembered. Leaves out which source is asked (`lib`) and how (`http`).

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use govern_core::layout::Layout;
use govern_core::proof::Sha256;
use govern_core::version::Version;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use tempfile::NamedTempFile;
use tracing::{debug, warn};

use crate::http::Validators;
use crate::listing::Kept;
pub use crate::listing::Release;

/// How long a list counts as recent: the download page itself computes its list anew as often.
const RECENT: Duration = Duration::from_secs(3600);

/// How old a list of releases may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The sources are asked now.
    Now,
    /// A list of the last hour will do.
    Recent,
}

/// What a source publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Releases {
    /// Newest first; one entry per release.
    pub all: Vec<Release>,
    /// The source, as messages name it.
    pub source: String,
    /// When it was asked.
    pub fetched_at: SystemTime,
    /// True when it is older than was wished for, because no source answers.
    pub stale: bool,
}

/// One source's list, and where and when it came from.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Without user name and password. With GOPROXY, the proxy that answered.
    pub(crate) url: String,
    /// When it was fetched; the epoch where nobody said what time it was.
    pub(crate) fetched_at: SystemTime,
    pub(crate) validators: Validators,
    pub(crate) releases: Vec<Release>,
}

impl Listing {
    pub(crate) fn is_fresh(&self, fresh: Freshness, now: SystemTime) -> bool {
        // A list from the future was written by another clock: its age is not known.
        fresh == Freshness::Recent && now.duration_since(self.fetched_at).is_ok_and(|age| age <= RECENT)
    }

    pub(crate) fn find(&self, version: &Version) -> Option<&Release> {
        self.releases.iter().find(|release| release.version == *version)
    }

    /// Up to three releases of a kind next to one that is not there, newest first.
    pub(crate) fn nearest(&self, version: &Version, is_wanted: impl Fn(&Release) -> bool) -> Vec<Version> {
        let wanted: Vec<&Version> =
            self.releases.iter().filter(|release| is_wanted(release)).map(|release| &release.version).collect();
        let older = wanted.partition_point(|other| *other > version);
        let start = older.saturating_sub(2).min(wanted.len().saturating_sub(3));
        wanted.into_iter().skip(start).take(3).cloned().collect()
    }
}

/// A list as the cache keeps it.
#[derive(Deserialize, Serialize)]
struct KeptListing {
    schema: u32,
    url: String,
    /// Seconds since the epoch.
    fetched_at: u64,
    #[serde(flatten)]
    validators: Validators,
    releases: Vec<Kept>,
}

/// The only form that is read.
const SCHEMA: u32 = 1;

/// The releases that any source published when it was last asked, newest first. Reads the cache alone.
#[must_use]
pub fn known_releases(layout: &Layout) -> Vec<Version> {
    let files = fs::read_dir(layout.release_cache()).into_iter().flatten().flatten();
    let files =
        files.map(|entry| CacheFile(entry.path())).filter(|file| file.0.extension().is_some_and(|e| e == "json"));
    let listings = files.filter_map(|file| file.read());
    let releases = listings.flat_map(|listing| listing.releases).map(|release| release.version);
    let mut versions: Vec<Version> = releases.collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.dedup();
    versions
}

/// One source's file in the release cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheFile(PathBuf);

impl CacheFile {
    /// The file for a source, which is told from others by `name`.
    pub(crate) fn new(dir: &std::path::Path, name: &str) -> CacheFile {
        let digest = Sha256(sha2::Sha256::digest(name).into()).to_string();
        CacheFile(dir.join(format!("{}.json", &digest[..16])))
    }

    /// The list, unless there is none or it is damaged.
    pub(crate) fn read(&self) -> Option<Listing> {
        let bytes = fs::read(&self.0).ok()?;
        let read = || {
            let kept: KeptListing =
                serde_json::from_slice(&bytes).ok().filter(|kept: &KeptListing| kept.schema == SCHEMA)?;
            Some(Listing {
                url: kept.url,
                fetched_at: UNIX_EPOCH.checked_add(Duration::from_secs(kept.fetched_at))?,
                validators: kept.validators,
                releases: kept.releases.into_iter().map(Kept::release).collect::<Option<_>>()?,
            })
        };
        let listing = read();
        if listing.is_none() {
            debug!(path = %self.0.display(), "cached release list is damaged");
        }
        listing
    }

    /// Keeps a list. A cache that cannot be written costs time, and no truth.
    pub(crate) fn write(&self, listing: &Listing) {
        let kept = KeptListing {
            schema: SCHEMA,
            url: listing.url.clone(),
            fetched_at: listing.fetched_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            validators: listing.validators.clone(),
            releases: listing.releases.iter().map(Kept::of).collect(),
        };
        let write = || -> io::Result<()> {
            let dir = self.0.parent().unwrap_or(&self.0);
            fs::create_dir_all(dir)?;
            let mut file = NamedTempFile::new_in(dir)?;
            file.write_all(&serde_json::to_vec(&kept)?)?;
            file.persist(&self.0)?;
            Ok(())
        };
        if let Err(error) = write() {
            warn!(path = %self.0.display(), %error, "release list not cached");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use govern_core::layout::Layout;
    use govern_core::version::Version;

    use super::{CacheFile, Freshness, Listing, known_releases};
    use crate::http::Validators;
    use crate::listing::parse_module_list;

    fn listing(versions: &[&str]) -> Listing {
        let text: String = versions.iter().map(|version| format!("v0.0.1-go{version}.linux-amd64\n")).collect();
        Listing {
            url: "https://m.example/".to_owned(),
            fetched_at: UNIX_EPOCH + Duration::from_secs(1000),
            validators: Validators { etag: Some("\"x\"".to_owned()), last_modified: None },
            releases: parse_module_list(text.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn a_kept_list_is_read_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = CacheFile::new(&dir.path().join("releases"), "https://m.example/");
        assert!(file.read().is_none());
        let listing = listing(&["1.22.4", "1.21.0"]);
        file.write(&listing);
        let read = file.read().unwrap();
        assert_eq!((&read.url, read.fetched_at), (&listing.url, listing.fetched_at));
        assert_eq!((&read.validators, &read.releases), (&listing.validators, &listing.releases));

        let text = fs::read_to_string(&file.0).unwrap();
        for damaged in
            [&text[..text.len() / 2], "", &text.replace("\"schema\":1", "\"schema\":2"), &text.replace("amd64", "../x")]
        {
            fs::write(&file.0, damaged).unwrap();
            assert!(file.read().is_none(), "{damaged}");
        }
    }

    #[test]
    fn a_list_is_recent_for_an_hour_and_never_when_it_is_from_the_future() {
        let listing = listing(&["1.22.4"]);
        let check = |fresh, now: u64, expect: bool| {
            assert_eq!(listing.is_fresh(fresh, UNIX_EPOCH + Duration::from_secs(now)), expect, "{fresh:?} {now}");
        };
        check(Freshness::Recent, 1000, true);
        check(Freshness::Recent, 4600, true);
        check(Freshness::Recent, 4601, false);
        check(Freshness::Recent, 999, false);
        check(Freshness::Now, 1000, false);
    }

    #[test]
    fn the_known_releases_are_those_of_all_kept_lists() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::under(dir.path());
        assert_eq!(known_releases(&layout), []);
        CacheFile::new(&layout.release_cache(), "a").write(&listing(&["1.22.4", "1.21.0"]));
        CacheFile::new(&layout.release_cache(), "b").write(&listing(&["1.23.0", "1.21.0"]));
        fs::write(layout.release_cache().join("c.json"), "damaged").unwrap();
        let known = known_releases(&layout);
        assert_eq!(known.iter().map(Version::as_str).collect::<Vec<_>>(), ["1.23.0", "1.22.4", "1.21.0"]);
    }

    #[test]
    fn the_releases_next_to_a_missing_one_are_named() {
        let listing = listing(&["1.22.4", "1.22.3", "1.21.9", "1.21.8", "1.20"]);
        let check = |version: &str, expect: [&str; 3]| {
            let nearest = listing.nearest(&Version::parse(version).unwrap(), |_| true);
            assert_eq!(nearest.iter().map(Version::as_str).collect::<Vec<_>>(), expect, "{version}");
        };
        check("1.30.0", ["1.22.4", "1.22.3", "1.21.9"]);
        check("1.22.2", ["1.22.4", "1.22.3", "1.21.9"]);
        check("1.21.7", ["1.21.9", "1.21.8", "1.20"]);
        check("1.2", ["1.21.9", "1.21.8", "1.20"]);
    }
}
