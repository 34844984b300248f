//! One daemon from its claim to its end: puts the parts together, looks after its sockets, drains.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::platform::Platform;
use govern_core::vars::Vars;
use govern_engine::Engine;
use tokio::sync::watch;
use tokio::task::{self, JoinHandle};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::answer::Answers;
use crate::answered::Notes;
use crate::api::{self, Context};
use crate::changes::Changes;
use crate::claim::Claim;
use crate::index::Index;
use crate::jobs::Jobs;
use crate::os::{self, Inherited};
use crate::run_dir;
use crate::shim::{DEADLINE, Ending, Responder, ShimLane};
use crate::sockets::Place;
use crate::watch::Watcher;

/// How long running jobs are waited for at the end. What is cut off is resumed by the next try.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// How long what was begun for a client is waited for after that.
const FINISH: Duration = Duration::from_secs(1);

/// How often the daemon looks whether it can still be found.
const LOOK: Duration = Duration::from_secs(30);

/// The sockets' names, as `Layout` has them.
const SHIM: &str = "shim.sock";
const API: &str = "api.sock";

/// What a daemon is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where things are.
    pub(crate) layout: Layout,
    /// What SDKs are installed for.
    pub(crate) platform: Platform,
    /// The daemon's own variables.
    pub(crate) vars: Vars,
    /// Sockets of a service manager.
    pub(crate) inherited: Inherited,
    /// How long running jobs are waited for at the end.
    pub(crate) drain: Duration,
    /// Whether pins are watched.
    pub(crate) hints: Hints,
}

/// Whether changes of pins are watched for. The answers are the same without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    /// What is newly wished for is on its way before the next `go`.
    Watch,
    /// For tests: nothing is noticed before somebody asks.
    #[cfg(test)]
    Never,
}

/// A running daemon.
pub(crate) struct Daemon {
    context: Arc<Context>,
    /// Cancelled: jobs are not waited for.
    cut: CancellationToken,
    claim: Claim,
    /// The user's runtime directory.
    runtime: Option<PathBuf>,
    shim: Place,
    api: Place,
    /// Hands the API a new listener.
    api_listener: watch::Sender<Arc<UnixListener>>,
    api_task: JoinHandle<anyhow::Result<()>>,
    /// Looks up missing proofs. Ends with `stop`.
    prover: JoinHandle<()>,
    drain: Duration,
}

impl Daemon {
    /// Starts a daemon, within a runtime. `None` when there is one for this installation already.
    pub(crate) fn start(setup: Setup) -> anyhow::Result<Option<Daemon>> {
        let Setup { layout, platform, vars, inherited, drain, hints } = setup;
        let engine = Engine::open(layout.clone(), platform)?;
        let Some(claim) = Claim::stake(&layout.daemon_lock())? else { return Ok(None) };
        engine.start()?;
        let index = Index::start(engine.clone())?;

        let (stop, cut, end) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let jobs = Jobs::new(cut.clone());
        let changes = Changes { engine: engine.clone(), jobs, index: index.clone(), vars: vars.clone() };
        let foreseeing = changes.clone();
        let watcher = match hints {
            Hints::Watch => Watcher::start(Box::new(move |answered| foreseeing.foresee(answered)))?,
            #[cfg(test)]
            Hints::Never => Watcher::blind(),
        };

        // Only now: whoever can ask gets an answer.
        let manager = [&inherited.shim, &inherited.api].into_iter().flatten().find_map(os::address);
        let runtime = vars.os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let run = run_dir::prepare(&layout, runtime.as_deref(), manager.as_deref().and_then(Path::parent))?;
        let (shim, shim_listener) = socket(inherited.shim, &run, SHIM)?;
        let (api, api_listener) = socket(inherited.api, &run, API)?;

        let uid = os::own_uid();
        let notes = Notes { index: index.clone(), watcher: watcher.clone() };
        let answers = Answers::new(engine);
        let responder: Responder = Box::new(move |frame, buffer| answers.answer(frame, buffer));
        let shims =
            ShimLane::start(shim_listener, DEADLINE, responder, Box::new(move |answered| notes.take(answered)))?;
        let prover = tokio::spawn(changes.clone().prove_later(stop.clone()));
        let context = Arc::new(Context { changes, index, watcher, shims, started: Instant::now(), stop, end });
        let (api_listener, listeners) = watch::channel(Arc::new(api_listener));
        let api_task = tokio::spawn(api::serve(listeners, uid, Arc::clone(&context)));
        tracing::info!(shim = ?shim.path(), api = ?api.path(), index = context.index.state(), "ready");
        Ok(Some(Daemon { context, cut, claim, runtime, shim, api, api_listener, api_task, prover, drain }))
    }

    /// Cancelled, it makes the daemon drain and end.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.context.stop.clone()
    }

    /// Cancelled, it makes the daemon end without waiting for jobs.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// What decides.
    #[cfg(test)]
    pub(crate) fn engine(&self) -> Engine {
        self.context.changes.engine.clone()
    }

    /// Runs until it is to stop, drains, and ends.
    pub(crate) async fn run(mut self) {
        let mut look = time::interval_at(time::Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, cut) = (self.stop(), self.cut());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = cut.cancelled() => break,
                _ = look.tick() => {
                    if let Err(error) = self.look_after() {
                        tracing::warn!(error = format!("{error:#}"), "nobody can find this daemon any more: it ends");
                        break;
                    }
                }
            }
        }
        self.end().await;
    }

    /// Makes sure that whoever asks finds this daemon: opens sockets anew that somebody took away.
    ///
    /// Fails when another daemon may have taken over, or there is nothing left to answer from.
    pub(crate) fn look_after(&mut self) -> anyhow::Result<()> {
        if !self.claim.stands() {
            bail!("{} was taken away", escaped(self.claim.path()));
        }
        if self.shim.stands() && self.api.stands() {
            return Ok(());
        }
        tracing::warn!("the sockets were taken away: they are opened anew");
        let layout = self.context.changes.engine.layout();
        let run = run_dir::prepare(layout, self.runtime.as_deref(), None)?;
        let (shim, listener) = Place::open(run.join(SHIM))?;
        self.shim = shim;
        self.context.shims.replace(listener).context("cannot wait for the shims")?;
        let (api, listener) = Place::open(run.join(API))?;
        self.api = api;
        self.api_listener.send_replace(Arc::new(listener));
        Ok(())
    }

    async fn end(mut self) {
        let Context { changes, end, .. } = &*self.context;
        tracing::info!(jobs = changes.jobs.running().len(), "ending");
        // Shims and clients are answered until the jobs are done; there are no new jobs.
        changes.jobs.close();
        tokio::select! {
            drained = time::timeout(self.drain, changes.jobs.drained()) => {
                if drained.is_err() {
                    tracing::warn!("jobs are cut off; the next try resumes them");
                }
            }
            () = self.cut.cancelled() => {}
        }
        self.cut.cancel();
        if time::timeout(FINISH, changes.jobs.drained()).await.is_err() {
            tracing::warn!("a job does not end");
        }
        // Only now: whoever follows a job has heard how it ended.
        end.cancel();
        let ending = if self.shim.is_inherited() { Ending::Leave } else { Ending::Answer };
        // Out of sight first: whoever comes now finds no daemon, and not one that hangs up.
        self.shim.clear();
        self.api.clear();
        match time::timeout(FINISH, &mut self.api_task).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(error = format!("{error:#}"), "the API had failed"),
            Ok(Err(error)) => tracing::warn!(%error, "the API had failed"),
            Err(_) => self.api_task.abort(),
        }
        // Whatever it waits for is asked for again by the next daemon.
        self.prover.abort();
        let context = Arc::clone(&self.context);
        let parts = move || {
            context.shims.end(ending);
            context.watcher.end();
            context.index.end();
        };
        if let Err(error) = task::spawn_blocking(parts).await {
            tracing::warn!(%error, "a part did not end");
        }
        tracing::info!("ended");
    }
}

/// Takes over a service manager's socket, or opens one of our own.
fn socket(inherited: Option<UnixListener>, run: &Path, name: &str) -> anyhow::Result<(Place, UnixListener)> {
    match inherited {
        Some(listener) => Ok((Place::inherited(&listener)?, listener)),
        None => Place::open(run.join(name)),
    }
}
