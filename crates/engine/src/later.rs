//! Proofs that come after the install: SDKs that were proven by their SHA-256 because the log was out of reach are
//! looked up again, and SDKs without a kept proof get one. A log that contradicts is written down, and nothing deleted.

use govern_core::proof::{Artifact, Expected, Format, Log, LogRequired, Mismatch, SILENT};
use govern_core::sdk::SdkFacts;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::Sources;

use crate::error::Error;
use crate::{Engine, blocking};

/// What became of one SDK that was looked up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Later {
    /// The log has it; the record says so now.
    Proven,
    /// The log has something else.
    Contradicted(String),
    /// The log does not answer, for this reason.
    Waits(String),
}

impl Engine {
    /// Looks up what could not be looked up before. Asks nobody when there is nothing to ask for, offline, and where the
    /// log is switched off.
    ///
    /// # Errors
    /// When the store or the settings cannot be read. What goes wrong with one SDK is its own result.
    pub async fn prove_later(&self, vars: &Vars) -> Result<Vec<(Version, Later)>, Error> {
        let settings = self.settings(vars)?;
        if settings.offline {
            return Ok(Vec::new());
        }
        let engine = self.clone();
        let waiting = blocking(move || {
            let facts = engine.sdks()?;
            Ok(facts.into_iter().filter(|facts| engine.is_to_be_proven(facts)).collect::<Vec<_>>())
        });
        let waiting = waiting.await?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let sources = self.sources(&settings, vars)?;
        let mut results = Vec::new();
        for facts in waiting {
            let version = facts.sdk.version.clone();
            match self.look_up_again(&sources, facts).await {
                Ok(Some(later)) => results.push((version, later)),
                Ok(None) => {}
                // It may have been removed meanwhile, and the next SDK is none the worse.
                Err(error) => results.push((version, Later::Waits(error.to_string()))),
            }
        }
        Ok(results)
    }

    /// Whether the log may have something to say that is not known. Where the user had switched the log off, this process
    /// may not know of it any more, and does not ask behind the user's back.
    fn is_to_be_proven(&self, facts: &SdkFacts) -> bool {
        let is_unwanted = ["GOSUMDB", "GONOSUMDB"].iter().any(|name| facts.proof_note.starts_with(name));
        match facts.proof.as_str() {
            "sha256" => facts.proof_note != SILENT && !is_unwanted,
            "log" => self.store().log_proof(&facts.sdk.version).is_ok_and(|proof| proof.is_none()),
            _ => false,
        }
    }

    async fn look_up_again(&self, sources: &Sources, facts: SdkFacts) -> Result<Option<Later>, Error> {
        let version = facts.sdk.version.clone();
        let proven = match sources.log_proof(&version, &facts.platform).await {
            Ok(Some(proven)) => proven,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(Later::Waits(error.to_string()))),
        };
        let store = self.store().clone();
        blocking(move || {
            let evidence = store.evidence(&version)?;
            let artifact = Artifact {
                version: version.clone(),
                platform: facts.platform,
                url: facts.source,
                format: Format::TarGz,
                size: None,
                // Without the log it was this digest that proved the archive, or nothing would have.
                expected: Expected { sha256: Some(evidence.sha256), log: Log::Record(proven.record) },
            };
            match artifact.check(evidence, LogRequired::Yes) {
                Ok(proof) => {
                    store.keep_log_proof(&version, &proven.stored)?;
                    store.reprove(&version, &proof)?;
                    Ok(Some(Later::Proven))
                }
                Err(mismatch @ Mismatch::Log { .. }) => {
                    let contradiction = mismatch.to_string();
                    store.contradict(&version, &contradiction)?;
                    Ok(Some(Later::Contradicted(contradiction)))
                }
                Err(other) => Ok(Some(Later::Waits(other.to_string()))),
            }
        })
        .await
    }
}
