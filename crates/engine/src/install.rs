//! `govern install`, room by room (DESIGN §6): lock, artifact, stream into staging, prove, publish.

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
use govern_store::{Error as StoreError, Staging, Unpacked};

use crate::error::Error;
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
        self.bring(version, Aim::Install, vars, watch).await
    }

    /// Puts a fresh SDK in the place of a damaged one, from the first source that has it. Until the new one is proven, and
    /// whenever that fails, the old one stays as it is; at no moment is there none.
    ///
    /// # Errors
    /// As [`Engine::install`], and when there is nothing in its place.
    pub async fn repair(&self, version: &Version, vars: &Vars, watch: Arc<dyn Watch>) -> Result<Installed, Error> {
        watch.event(Event::Resolved { version: version.clone() });
        if !self.store().trees()?.contains(version) {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        self.bring(version, Aim::Repair, vars, watch).await
    }

    async fn bring(&self, version: &Version, aim: Aim, vars: &Vars, watch: Arc<dyn Watch>) -> Result<Installed, Error> {
        let settings = self.settings(vars)?;
        let sources = self.sources(&settings, vars)?;
        let mut failures = Vec::new();
        let asked = sources.list_for(version);
        let mut left = asked.len();
        for source in asked {
            left -= 1;
            match self.install_from(&sources, source, (version, aim), &settings, &watch).await {
                Ok(installed) => {
                    self.bring_launchers(vars).await;
                    return Ok(installed);
                }
                Err(error) if error.is_of_one_source() => {
                    // Of the last one the error itself tells.
                    if left > 0 {
                        watch.event(Event::Trouble { reason: error.in_full() });
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
        let absent = failures.iter().any(Error::is_absent);
        let refused = failures.iter().position(|failure| failure.code() == Code::Integrity);
        if absent
            && refused.is_none()
            && let Some(error) = self.unknown_release(version, vars).await
        {
            return Err(error);
        }
        // Most of all says that somebody has it, and wrong.
        let telling = refused.or_else(|| failures.iter().position(Error::is_absent)).unwrap_or(0);
        Err(failures.into_iter().nth(telling).unwrap_or(Error::NoSource))
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
        (version, aim): (&Version, Aim),
        settings: &Settings,
        watch: &Arc<dyn Watch>,
    ) -> Result<Installed, Error> {
        let artifact = sources.artifact(source, version, self.platform()).await?;
        let staging = match self.stage(version, aim, watch).await? {
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
                return Err(match error {
                    Error::Store(source @ StoreError::Refused { .. }) => {
                        Error::BadArchive { url: artifact.url, source: Box::new(source) }
                    }
                    error => error,
                });
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
        let log_proof = match proof.log() {
            Some(_) => self.log_proof(sources, version, &proof.evidence().h1).await,
            None => None,
        };
        // It is proven and unpacked: what nobody reads any more need not be written to the disk either, which making the
        // tree durable would do.
        sources.discard(&artifact);
        let publish = move || {
            let proven = unpacked.prove(proof)?;
            let proven = match log_proof {
                Some(text) => proven.with_log_proof(text),
                None => proven,
            };
            match aim {
                Aim::Install => Ok(proven.publish(&from, SystemTime::now())?),
                Aim::Repair => Ok(proven.replace(&from, SystemTime::now())?),
            }
        };
        let sdk = blocking(publish).await?;
        tracing::info!(version = %sdk.version, url = artifact.url, ?aim, "sdk published");
        Ok(Installed { sdk, already: false })
    }

    /// The proof that stands alone, of a record that was just looked up. An SDK is proven without it, and the daemon gets
    /// it later.
    async fn log_proof(&self, sources: &Sources, version: &Version, h1: &str) -> Option<String> {
        match sources.log_proof(version, self.platform()).await {
            Ok(proven) => proven.filter(|proven| proven.record.h1 == h1).map(|proven| proven.stored),
            Err(error) => {
                tracing::warn!(%version, %error, "the log's proof is not kept");
                None
            }
        }
    }

    /// Waits for the version's lock and looks again: another process may have been first.
    async fn stage(&self, version: &Version, aim: Aim, watch: &Arc<dyn Watch>) -> Result<Place, Error> {
        let (engine, version, watch) = (self.clone(), version.clone(), Arc::clone(watch));
        blocking(move || {
            let lock = engine.store().lock(&version, watch.as_ref())?;
            match engine.store().sdk(&version) {
                Some(sdk) if aim == Aim::Install => Ok(Place::Taken(sdk)),
                _ => Ok(Place::Free(engine.store().stage(lock, engine.platform())?)),
            }
        })
        .await
    }

    /// Downloads and unpacks, as the bytes arrive: a zip once its directory is there, which comes ahead where it can.
    async fn unpack(
        &self,
        sources: &Sources,
        artifact: &Artifact,
        staging: Staging,
        watch: &Arc<dyn Watch>,
    ) -> Result<Unpacked, Error> {
        let mut download = sources.open(artifact, Arc::clone(watch)).await?;
        let (mut reader, format, watch) = (download.reader(), artifact.format, Arc::clone(watch));
        let unpacking = blocking(move || match format {
            Format::TarGz => Ok(staging.unpack_tar_gz(&mut reader, watch.as_ref())?),
            Format::ModuleZip => Ok(staging.unpack_module_zip(reader, watch.as_ref())?),
        });
        match unpacking.await {
            Ok(unpacked) => {
                download.finish().await?;
                Ok(unpacked)
            }
            // A broken connection shows as an archive that cannot be read: the cause is what counts.
            Err(error) if error.is_read() => {
                download.finish().await?;
                Err(error)
            }
            Err(error) => {
                // It is deleted next: nothing may be written to it any more.
                download.give_up().await;
                Err(error)
            }
        }
    }
}

/// Why no source has given a build with a suffix: somebody who has it and did not answer says more than that others
/// have no such build.
fn no_build(version: &Version, asked: &[Source], failures: Vec<Error>) -> Error {
    let nearest = failures.iter().find_map(|failure| match failure {
        Error::Source(SourceError::NoVersion { nearest, .. }) => Some(nearest.clone()),
        _ => None,
    });
    let refused = failures.iter().position(|failure| failure.code() == Code::Integrity);
    let is_silent =
        |failure: &Error| !matches!(failure, Error::Source(SourceError::NoVersion { .. } | SourceError::Absent { .. }));
    let telling = refused.or_else(|| failures.iter().position(is_silent));
    match telling.and_then(|at| failures.into_iter().nth(at)) {
        Some(failure) => failure,
        None => Error::NoSuchBuild {
            version: version.clone(),
            asked: asked.iter().map(|source| source.name().to_owned()).collect(),
            has_vendors: asked.iter().any(|source| source.vendor().is_some()),
            nearest: nearest.unwrap_or_default(),
        },
    }
}

/// What a fresh SDK is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// To be the first in its place.
    Install,
    /// To take the place of a damaged one.
    Repair,
}

/// Where an install may go on.
enum Place {
    Free(Staging),
    Taken(Sdk),
}
