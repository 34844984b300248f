//! Running changes. Whoever wants a change that is under way joins it: one job for each verb and version.
//! Leaves out what the changes do; the work comes in as a future.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use govern_api::body::{self, JobEvent};
use govern_core::problem::{Code, Report};
use govern_core::version::Version;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::fault::{Fault, bug, fault};
use crate::job::Job;

/// Changes at work at the same time; the others wait their turn. Each inflates an archive, so more would only compete.
const AT_WORK: usize = 4;

/// Changes that wait or work at the same time. There are fewer releases.
const MAX_RUNNING: usize = 1_000;

/// Finished jobs that can still be asked about.
const REMEMBERED: usize = 100;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    /// Installs a release.
    Install,
    /// Removes an SDK.
    Remove,
    /// Puts a fresh SDK in the place of one.
    Repair,
}

impl Verb {
    /// The verb's name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Install => "install",
            Verb::Remove => "remove",
            Verb::Repair => "repair",
        }
    }
}

/// All jobs of this daemon.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Std mutex: never held across an await. Taken before a job's own.
    state: Mutex<State>,
    tasks: TaskTracker,
    /// Jobs are started from threads of ours as well.
    runtime: Handle,
    at_work: Semaphore,
    /// Cuts off whatever still runs.
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    last_id: u64,
    running: HashMap<(Verb, Version), Arc<Job>>,
    finished: VecDeque<Arc<Job>>,
}

/// A job that was asked for.
#[derive(Debug)]
pub(crate) struct Started {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// Somebody else had started it already.
    pub(crate) joined: bool,
}

impl Jobs {
    /// No jobs yet. To be called within a runtime. What runs when `cut` is cancelled fails.
    pub(crate) fn new(cut: CancellationToken) -> Arc<Jobs> {
        Arc::new(Jobs {
            state: Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            at_work: Semaphore::new(AT_WORK),
            cut,
        })
    }

    /// Starts a change or joins it. The work goes on whatever becomes of those who asked for it, and gives the
    /// job's last event.
    pub(crate) fn start<W, F>(self: &Arc<Self>, verb: Verb, version: &Version, work: W) -> Result<Started, Fault>
    where
        W: FnOnce(Arc<Job>) -> F + Send + 'static,
        F: Future<Output = Result<JobEvent, Fault>> + Send + 'static,
    {
        let mut state = self.state();
        if state.is_closed {
            return Err(ending());
        }
        let key = (verb, version.clone());
        if let Some(job) = state.running.get(&key) {
            return Ok(Started { job: Arc::clone(job), joined: true });
        }
        if state.running.len() >= MAX_RUNNING {
            let report = Report::new(Code::Daemon, format!("{MAX_RUNNING} changes are under way already"));
            return Err(fault(report.hint("govern status")));
        }
        state.last_id += 1;
        let job = Arc::new(Job::new(state.last_id, verb, version.clone()));
        state.running.insert(key, Arc::clone(&job));
        drop(state);
        let span = tracing::info_span!("job", id = job.id, verb = verb.name(), version = %job.version);
        let task = Arc::clone(self).run(Arc::clone(&job), work).instrument(span);
        // The tracker owns the task.
        drop(self.tasks.spawn_on(task, &self.runtime));
        Ok(Started { job, joined: false })
    }

    /// Does something that may become a job, for as long as new jobs are taken.
    pub(crate) fn consider(&self, work: impl Future<Output = ()> + Send + 'static) {
        if self.state().is_closed {
            return;
        }
        let cut = self.cut.clone();
        let task = async move {
            cut.run_until_cancelled(work).await;
        };
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    /// The job of that number.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Job>> {
        let state = self.state();
        state.running.values().chain(&state.finished).find(|job| job.id == id).cloned()
    }

    /// Running jobs, newest first.
    pub(crate) fn running(&self) -> Vec<body::Job> {
        let mut jobs: Vec<body::Job> = self.state().running.values().map(|job| job.body()).collect();
        jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        jobs
    }

    /// Running and lately finished jobs, newest first.
    pub(crate) fn all(&self) -> Vec<body::Job> {
        let state = self.state();
        let mut jobs: Vec<body::Job> = state.running.values().chain(&state.finished).map(|job| job.body()).collect();
        jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        jobs
    }

    /// Takes no more jobs.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.tasks.close();
    }

    /// Ends when no job runs any more. To be called after [`Jobs::close`].
    pub(crate) async fn drained(&self) {
        self.tasks.wait().await;
    }

    /// Ends when nothing is considered and no job runs.
    #[cfg(test)]
    pub(crate) async fn considered(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    async fn run<W, F>(self: Arc<Self>, job: Arc<Job>, work: W)
    where
        W: FnOnce(Arc<Job>) -> F + Send + 'static,
        F: Future<Output = Result<JobEvent, Fault>> + Send + 'static,
    {
        let working = self.cut.run_until_cancelled(self.in_turn(&job, work));
        // A panic costs this job and no other.
        let last = match AssertUnwindSafe(working).catch_unwind().await {
            Ok(Some(Ok(done))) => done,
            Ok(Some(Err(fault))) => JobEvent::Failed { problem: *fault },
            Ok(None) => JobEvent::Failed { problem: *ending() },
            Err(_panic) => JobEvent::Failed { problem: *bug() },
        };
        match &last {
            JobEvent::Failed { problem } => {
                tracing::warn!(title = problem.title, causes = ?problem.causes, "job failed");
            }
            _ => tracing::info!("job done"),
        }
        let mut state = self.state();
        state.running.remove(&(job.verb, job.version.clone()));
        state.finished.push_front(Arc::clone(&job));
        state.finished.truncate(REMEMBERED);
        job.tell(last);
    }

    async fn in_turn<W, F>(&self, job: &Arc<Job>, work: W) -> Result<JobEvent, Fault>
    where
        W: FnOnce(Arc<Job>) -> F,
        F: Future<Output = Result<JobEvent, Fault>>,
    {
        let permit = match self.at_work.try_acquire() {
            Ok(permit) => Ok(permit),
            Err(_) => {
                job.tell(JobEvent::Waiting { holder: format!("{AT_WORK} other changes") });
                self.at_work.acquire().await
            }
        };
        let result = work(Arc::clone(job)).await;
        drop(permit);
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ending() -> Fault {
    fault(Report::new(Code::Daemon, "the govern daemon is ending").hint("govern daemon start"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use govern_api::body::JobEvent;
    use govern_core::problem::{Code, Report};
    use govern_core::version::Version;
    use tokio::sync::oneshot;
    use tokio_util::sync::CancellationToken;

    use super::{AT_WORK, Jobs, REMEMBERED, Verb};
    use crate::fault::fault;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn done() -> JobEvent {
        JobEvent::Done { version: "go1.22.4".to_owned(), goroot: None, already: false, freed: None }
    }

    async fn last(job: Arc<crate::job::Job>) -> JobEvent {
        let mut events = job.follow(0);
        let mut last = None;
        while let Some((_, event)) = events.next().await {
            last = Some(event);
        }
        last.unwrap()
    }

    #[tokio::test]
    async fn a_second_asker_joins_and_the_work_is_done_once() {
        let jobs = Jobs::new(CancellationToken::new());
        let (go, gate) = oneshot::channel::<()>();
        let first = jobs
            .start(Verb::Install, &version("1.22.4"), |_| async { gate.await.map(|()| done()).map_err(|_| panic!()) });
        let first = first.unwrap();
        let again = jobs.start(Verb::Install, &version("1.22.4"), |_| async { panic!("done twice") }).unwrap();
        let other = jobs.start(Verb::Remove, &version("1.22.4"), |_| async { Ok(done()) }).unwrap();
        assert_eq!((first.joined, again.joined, other.joined), (false, true, false));
        assert_eq!(first.job.id, again.job.id);
        go.send(()).unwrap();
        assert_eq!(last(first.job).await, done());
        assert_eq!(last(again.job).await, done());
        let after = jobs.start(Verb::Install, &version("1.22.4"), |_| async { Ok(done()) }).unwrap();
        assert!(!after.joined, "a finished job is not joined");
    }

    #[tokio::test]
    async fn a_panic_and_a_problem_end_their_own_job_only() {
        let jobs = Jobs::new(CancellationToken::new());
        let panics = jobs.start(Verb::Install, &version("1.22.4"), |_| async { panic!("on purpose") }).unwrap();
        let JobEvent::Failed { problem } = last(panics.job).await else { panic!("not failed") };
        assert!(problem.title.contains("bug"), "{}", problem.title);
        let no = || fault(Report::new(Code::Network, "no"));
        let fails = jobs.start(Verb::Install, &version("1.22.4"), move |_| async move { Err(no()) }).unwrap();
        assert_eq!(last(fails.job).await, JobEvent::Failed { problem: *no() });
        assert!(jobs.running().is_empty());
        assert_eq!(jobs.all().iter().map(|job| job.state.as_str()).collect::<Vec<_>>(), ["failed", "failed"]);
    }

    #[tokio::test]
    async fn only_a_few_jobs_work_at_a_time_and_old_ones_are_forgotten() {
        let jobs = Jobs::new(CancellationToken::new());
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for patch in 0..REMEMBERED + 20 {
            let (at_work, most) = (Arc::clone(&at_work), Arc::clone(&most));
            let work = |_| async move {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                at_work.fetch_sub(1, Ordering::SeqCst);
                Ok(done())
            };
            jobs.start(Verb::Install, &version(&format!("1.22.{patch}")), work).unwrap();
        }
        jobs.close();
        jobs.drained().await;
        assert_eq!(most.load(Ordering::SeqCst), AT_WORK);
        assert_eq!(jobs.all().len(), REMEMBERED);
        assert!(jobs.get(1).is_none() && jobs.get(REMEMBERED as u64 + 20).is_some());
    }

    #[tokio::test]
    async fn closed_means_no_new_job_and_cut_means_an_end_for_all() {
        let cut = CancellationToken::new();
        let jobs = Jobs::new(cut.clone());
        let endless = jobs.start(Verb::Install, &version("1.22.4"), |_| std::future::pending()).unwrap();
        jobs.close();
        assert!(jobs.start(Verb::Install, &version("1.22.5"), |_| async { Ok(done()) }).is_err());
        cut.cancel();
        jobs.drained().await;
        assert!(matches!(last(endless.job).await, JobEvent::Failed { .. }));
    }
}
