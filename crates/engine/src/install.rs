//! `govern install`, room by room (DESIGN §6): lock, artifact, stream into staging, prove, publish.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use govern_core::event::{Event, Watch};
use govern_core::problem::Code;
use govern_core::proof::{Artifact, Format};
use govern_core::sdk::Sdk;
use govern_core::settings::Settings;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::{Error as SourceError, Source, Sources};
use govern_store::{Staging, Unpacked};

use crate::error::{At, Error};
use crate::{Engine, blocking};

/// What an install ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The SDK.
    pub sdk: Sdk,
    /// It was there already.
    pub already: bool,
}

impl Engine {
    /// Installs a release, from the first source that has it. Whoever else installs the same one waits.
    ///
    /// # Errors
    /// When no source has it or answers, when what comes is not what was promised, when the disk says no. Nothing
    /// unproven is left behind; the download of a broken connection is kept for the next try.
    pub async fn install(&self, version: &Version, vars: &Vars, watch: Arc<dyn Watch>) -> Result<Installed, Error> {
        watch.event(Event::Resolved { version: version.clone() });
        if let Some(sdk) = self.store().sdk(version) {
            return Ok(Installed { sdk, already: true });
        }
        let settings = self.settings(vars)?;
        let sources = self.sources(&settings, vars)?;
        let mut failures = Vec::new();
        let asked = sources.list_for(version);
        let mut left = asked.len();
        for source in asked {
            left -= 1;
            match self.install_from(&sources, source, version, &settings, &watch).await {
                Ok(installed) => {
                    self.bring_launchers(vars).await;
                    return Ok(installed);
                }
                Err(Error::Source(error)) if error.is_unreachable() || error.is_absent() => {
                    // Of the last one the error itself tells.
                    if left > 0 {
                        watch.event(Event::Trouble { reason: error.to_string() });
                    }
                    failures.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        if version.suffix().is_some() && !asked.is_empty() {
            return Err(no_build(version, asked, failures));
        }
        // That somebody looked and has no such release says more than that somebody else did not answer.
        let absent = failures.iter().any(|failure| failure.is_absent());
        if absent && let Some(error) = self.unknown_release(version, vars).await {
            return Err(error);
        }
        let telling = failures.iter().position(|failure| failure.is_absent()).unwrap_or(0);
        match failures.into_iter().nth(telling) {
            Some(failure) => Err(Error::Source(failure)),
            None => Err(Error::NoSource),
        }
    }

    /// Gives the new SDK its launchers; the first one also those of all other releases, for which the list is fetched.
    /// An SDK is worth having without them.
    async fn bring_launchers(&self, vars: &Vars) {
        // Of vendors' builds alone nothing follows about the Go project's releases.
        let brought = match self.known_releases().iter().any(|version| version.suffix().is_none()) {
            true => self.sync_launchers(),
            false => self.releases(vars, false).await.map(drop),
        };
        if let Err(error) = brought.or_else(|_| self.sync_launchers()) {
            tracing::warn!(%error, "launchers not brought in step");
        }
    }

    pub(crate) async fn install_from(
        &self,
        sources: &Sources,
        source: &Source,
        version: &Version,
        settings: &Settings,
        watch: &Arc<dyn Watch>,
    ) -> Result<Installed, Error> {
        let artifact = sources.artifact(source, version, self.platform()).await?;
        let staging = match self.stage(version, watch).await? {
            Place::Free(staging) => staging,
            Place::Taken(sdk) => return Ok(Installed { sdk, already: true }),
        };
        let unpacked = match self.unpack(sources, &artifact, staging, watch).await {
            Ok(unpacked) => unpacked,
            Err(error) => {
                // What is refused must not be resumed; what broke off is.
                if !matches!(error, Error::Source(_)) || error.code() == Code::Integrity {
                    sources.discard(&artifact);
                }
                return Err(error);
            }
        };
        watch.event(Event::Proving);
        let vendor = source.vendor();
        let proof = match artifact.check(unpacked.evidence().clone(), settings.require_log) {
            Ok(proof) => proof,
            Err(source) => {
                sources.discard(&artifact);
                let publisher = vendor.unwrap_or("the Go project").to_owned();
                return Err(Error::Mismatch { publisher, url: artifact.url, source });
            }
        };
        let origin = sources.origin(&artifact);
        let from = match vendor {
            Some(vendor) => format!("{vendor} {origin}"),
            None => origin,
        };
        let sdk = blocking(move || Ok(unpacked.prove(proof)?.publish(&from, SystemTime::now())?)).await?;
        sources.discard(&artifact);
        tracing::info!(version = %sdk.version, url = artifact.url, "sdk published");
        Ok(Installed { sdk, already: false })
    }

    /// Waits for the version's lock and looks again: another process may have been first.
    async fn stage(&self, version: &Version, watch: &Arc<dyn Watch>) -> Result<Place, Error> {
        let (engine, version, watch) = (self.clone(), version.clone(), Arc::clone(watch));
        blocking(move || {
            let lock = engine.store().lock(&version, watch.as_ref())?;
            match engine.store().sdk(&version) {
                Some(sdk) => Ok(Place::Taken(sdk)),
                None => Ok(Place::Free(engine.store().stage(lock, engine.platform())?)),
            }
        })
        .await
    }

    /// Downloads and unpacks: a tarball as its bytes arrive, a zip once its directory, which comes last, is there.
    async fn unpack(
        &self,
        sources: &Sources,
        artifact: &Artifact,
        staging: Staging,
        watch: &Arc<dyn Watch>,
    ) -> Result<Unpacked, Error> {
        let mut download = sources.open(artifact, Arc::clone(watch)).await?;
        let watch = Arc::clone(watch);
        match artifact.format {
            Format::TarGz => {
                let mut reader = download.reader();
                let unpacking = blocking(move || Ok(staging.unpack_tar_gz(&mut reader, watch.as_ref())?)).await;
                match unpacking {
                    Ok(unpacked) => {
                        download.finish().await?;
                        Ok(unpacked)
                    }
                    // A broken connection shows as an archive that cannot be read: the cause is what counts.
                    Err(error) if error.is_read() => {
                        download.finish().await?;
                        Err(error)
                    }
                    Err(error) => Err(error),
                }
            }
            Format::ModuleZip => {
                let path = download.finish().await?;
                let file = File::open(&path).at("read", &path)?;
                blocking(move || Ok(staging.unpack_module_zip(file, watch.as_ref())?)).await
            }
        }
    }
}

/// Why no source has given a build with a suffix: somebody who has it and did not answer says more than that others
/// have no such build.
fn no_build(version: &Version, asked: &[Source], failures: Vec<SourceError>) -> Error {
    let nearest = failures.iter().find_map(|failure| match failure {
        SourceError::NoVersion { nearest, .. } => Some(nearest.clone()),
        _ => None,
    });
    let telling =
        |failure: &SourceError| !matches!(failure, SourceError::NoVersion { .. } | SourceError::Absent { .. });
    match failures.into_iter().find(telling) {
        Some(failure) => Error::Source(failure),
        None => Error::NoSuchBuild {
            version: version.clone(),
            asked: asked.iter().map(|source| source.name().to_owned()).collect(),
            has_vendors: asked.iter().any(|source| source.vendor().is_some()),
            nearest: nearest.unwrap_or_default(),
        },
    }
}

/// Where an install may go on.
enum Place {
    Free(Staging),
    Taken(Sdk),
}
