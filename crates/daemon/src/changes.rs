//! The engine's verbs as jobs, for the API and for the watcher. Tells the index what a job has changed.

use std::sync::Arc;
use std::time::Duration;

use govern_api::body::JobEvent;
use govern_core::decide::{Install, Kind, Question, Target, Tool};
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_engine::{Engine, Later, Wish};
use tokio::task;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::answered::Answered;
use crate::fault::{Fault, bug, fault, of_engine};
use crate::index::Index;
use crate::jobs::{Jobs, Started, Verb};

/// How often the log is asked for proofs that are missing. Without any it is not asked.
const LOOK_UP: Duration = Duration::from_secs(3600);

/// Starts changes.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    /// Does the work.
    pub(crate) engine: Engine,
    /// Keeps the jobs.
    pub(crate) jobs: Arc<Jobs>,
    /// Is told of what changed.
    pub(crate) index: Index,
    /// The daemon's own variables.
    pub(crate) vars: Vars,
}

impl Changes {
    /// Installs the release that a wish means, or joins whoever does.
    pub(crate) async fn install(&self, wish: &Wish, vars: Vars) -> Result<Started, Fault> {
        let told = wish.clone();
        let refused = move |error: govern_engine::Error| {
            let mut fault = fault(error.report_on(&told));
            fault.wanted_by = fault.wanted_by.or(told.wanted_by);
            fault
        };
        let version = self.engine.resolve(wish, &vars).await.map_err(refused.clone())?;
        let (engine, index, wanted) = (self.engine.clone(), self.index.clone(), version.clone());
        self.jobs.start(Verb::Install, &version, |job| async move {
            let installed = engine.install(&wanted, &vars, job).await.map_err(refused)?;
            index.rescan();
            Ok(JobEvent::Done {
                version: installed.sdk.version.toolchain(),
                goroot: Some(installed.sdk.goroot.as_path().into()),
                already: installed.already,
                freed: None,
            })
        })
    }

    /// Removes an SDK, or joins whoever does.
    pub(crate) fn remove(&self, version: &Version) -> Result<Started, Fault> {
        let (engine, index, unwanted) = (self.engine.clone(), self.index.clone(), version.clone());
        self.jobs.start(Verb::Remove, version, |_| async move {
            let removed = engine.remove(&unwanted).await;
            // Also when it failed: it may have got half-way.
            index.rescan();
            let removed = removed.map_err(|error| of_engine(&error))?;
            let version = unwanted.toolchain();
            Ok(JobEvent::Done { version, goroot: None, already: false, freed: Some(removed.bytes) })
        })
    }

    /// Puts a fresh SDK in the place of a damaged one, or joins whoever does.
    pub(crate) fn repair(&self, version: &Version, vars: Vars) -> Result<Started, Fault> {
        let (engine, index, damaged) = (self.engine.clone(), self.index.clone(), version.clone());
        self.jobs.start(Verb::Repair, version, |job| async move {
            let repaired = engine.repair(&damaged, &vars, job).await.map_err(|error| of_engine(&error))?;
            index.rescan();
            Ok(JobEvent::Done {
                version: repaired.sdk.version.toolchain(),
                goroot: Some(repaired.sdk.goroot.as_path().into()),
                already: repaired.already,
                freed: None,
            })
        })
    }

    /// Looks up in the log what could not be looked up before, now and every so often, until `stop`.
    pub(crate) async fn prove_later(self, stop: CancellationToken) {
        let mut again = time::interval(LOOK_UP);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look_up = async {
            loop {
                again.tick().await;
                self.prove_now().await;
            }
        };
        stop.run_until_cancelled(look_up).await;
    }

    async fn prove_now(&self) {
        let results = match self.engine.prove_later(&self.vars).await {
            Ok(results) => results,
            Err(error) => return tracing::warn!(%error, "proofs are not looked up"),
        };
        let mut has_changed = false;
        for (version, later) in results {
            match later {
                Later::Proven => tracing::info!(%version, "proven by the log"),
                Later::Contradicted(contradiction) => {
                    tracing::warn!(%version, contradiction, "the log contradicts an installed sdk");
                }
                Later::Waits(reason) => {
                    tracing::info!(%version, reason, "not yet proven by the log");
                    continue;
                }
            }
            has_changed = true;
        }
        if has_changed {
            self.index.rescan();
        }
    }

    /// Decides anew where a pin may have changed, and installs what it wishes for, if it would be installed on the
    /// next `go` anyway. Only an exact pin says for sure which release that is. Blocks for the disk.
    pub(crate) fn foresee(&self, answered: &Answered) {
        let question = Question { tool: Tool::Go, args: Vec::new(), vars: answered.vars.clone() };
        let Ok(decided) = self.engine.decide(&question, &answered.cwd) else { return };
        let (Target::Install(wanted), Kind::Pin) = (decided.decision.target, decided.decision.kind) else { return };
        let Install { spec: spec @ Spec::Exact(_), floor, by_repository, .. } = wanted else { return };
        let vars = self.with_own(&answered.vars);
        if !self.engine.settings(&vars).is_ok_and(|settings| settings.auto_install && !settings.offline) {
            return;
        }
        let wanted_by = Some(decided.decision.origin.to_string());
        let wish = Wish { spec, at_least: floor, by_repository, wanted_by };
        let changes = self.clone();
        self.jobs.consider(async move {
            match changes.install(&wish, vars).await {
                Ok(Started { job, joined }) => {
                    tracing::info!(version = %job.version, joined, wanted_by = wish.wanted_by, "installed ahead");
                }
                Err(fault) => tracing::info!(spec = %wish.spec, title = fault.title, "not installed ahead"),
            }
        });
    }

    /// A shim's variables, and our own of those that shims do not tell: proxies and sources.
    fn with_own(&self, told: &Vars) -> Vars {
        let mut vars = told.clone();
        for (name, value) in self.vars.iter().filter(|(name, _)| !govern_wire::VARIABLES.contains(name)) {
            vars.set(name, value);
        }
        vars
    }
}

/// Does blocking work where it may block; a panic is told as what it is.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    task::spawn_blocking(work).await.unwrap_or_else(|_| Err(bug()))
}
