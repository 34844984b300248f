//! Brings archives into the cache of those that are kept as they were fetched: for mirrors and bundles. An install needs
//! none of this. The cache itself is the store's.

use std::fs::File;
use std::sync::Arc;

use govern_core::event::Watch;
use govern_core::platform::Platform;
use govern_core::proof::Format;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::{Error as SourceError, Source, Sources};
use govern_store::Archive;

use crate::error::{At, Error};
use crate::{Engine, blocking};

impl Engine {
    /// One archive, if it is at hand and whole.
    ///
    /// # Errors
    /// Never for what is not there; only when the work cannot be done.
    pub async fn archive_at_hand(
        &self,
        format: Format,
        version: &Version,
        platform: &Platform,
    ) -> Result<Option<Archive>, Error> {
        let (store, version, platform) = (self.store().clone(), version.clone(), platform.clone());
        blocking(move || Ok(store.archive(format, &version, &platform))).await
    }

    /// One archive, fetched if need be from the first source that has it in this format, proven, and kept.
    ///
    /// # Errors
    /// As for an install: when no source has it or answers, or what comes is not what was promised.
    pub async fn archive(
        &self,
        format: Format,
        version: &Version,
        platform: &Platform,
        vars: &Vars,
        watch: Arc<dyn Watch>,
    ) -> Result<Archive, Error> {
        if let Some(archive) = self.archive_at_hand(format, version, platform).await? {
            return Ok(archive);
        }
        let settings = self.settings(vars)?;
        let sources = self.sources(&settings, vars)?;
        let mut failures: Vec<SourceError> = Vec::new();
        for source in
            sources.list_for(version).iter().filter(|source| source.is_goproxy() == (format == Format::ModuleZip))
        {
            match self.archive_from(&sources, source, version, platform, settings.require_log, &watch).await {
                Err(Error::Source(error)) if error.is_unreachable() || error.is_absent() => failures.push(error),
                decided => return decided,
            }
        }
        let telling = failures.iter().position(SourceError::is_absent).unwrap_or(0);
        match failures.into_iter().nth(telling) {
            Some(failure) => Err(Error::Source(failure)),
            None => Err(Error::NoSource),
        }
    }

    async fn archive_from(
        &self,
        sources: &Sources,
        source: &Source,
        version: &Version,
        platform: &Platform,
        log_required: govern_core::proof::LogRequired,
        watch: &Arc<dyn Watch>,
    ) -> Result<Archive, Error> {
        let artifact = sources.artifact(source, version, platform).await?;
        let path = sources.open(&artifact, Arc::clone(watch)).await?.finish().await?;
        let (store, judged) = (self.store().clone(), artifact.clone());
        let publisher = source.vendor().unwrap_or("the Go project").to_owned();
        let kept = blocking(move || {
            let file = File::open(&path).at("read", &path)?;
            let evidence = govern_store::examine(judged.format, &judged.version, &judged.platform, file)?;
            let mismatch = |source| Error::Mismatch { publisher, url: judged.url.clone(), source };
            let proof = judged.check(evidence, log_required).map_err(mismatch)?;
            Ok(store.keep_archive(&judged, &proof, &path)?)
        });
        let kept = kept.await;
        // Kept or refused: either way nothing is left to be resumed.
        sources.discard(&artifact);
        kept
    }
}
