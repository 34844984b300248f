//! The way to the daemon, and past it: a reading verb asks the daemon when one listens, else this process answers
//! itself; a changing verb starts one first. The answers are the same, and so are their types.

use std::cell::OnceCell;
use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use govern_api::body::{self, JobEvent, NewJob};
use govern_api::client::{Client, Error};
use govern_core::layout::Layout;
use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use govern_core::version::Version;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::args::BundleCreate;
use crate::background;
use crate::local::{Bundled, Local, LogCheck};
use crate::socket::{Socket, is_alive};
use crate::ui::Ui;
use crate::world::World;

/// How long a daemon may take to say that it is there, or to answer what it knows. One that was stopped (SIGSTOP)
/// accepts connections and never answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a daemon that was started may take to listen: it sweeps and scans first.
const START: Duration = Duration::from_secs(5);

/// When it is started again, if nobody listens by then; twice as long after each time.
const AGAIN: Duration = Duration::from_millis(400);

/// How often it is asked meanwhile.
const STEP: Duration = Duration::from_millis(20);

/// How many installs work at a time where no daemon does it: as many as in the daemon.
const AT_WORK: usize = 4;

/// How long a daemon may take to end: it finishes its installs first.
const END: Duration = Duration::from_secs(30);

/// Answers from the daemon, or from this process.
pub(crate) struct Ask<'a> {
    world: &'a World,
    ui: &'a Ui,
    layout: Layout,
    runtime: OnceCell<Runtime>,
    local: OnceCell<Local>,
    /// The daemon, if it answered when it was first asked.
    daemon: OnceCell<Option<Client>>,
    socket: Socket,
}

impl<'a> Ask<'a> {
    /// Looks at nothing yet.
    pub(crate) fn new(world: &'a World, ui: &'a Ui, layout: Layout) -> Ask<'a> {
        let socket = Socket::of(&layout);
        Ask { world, ui, layout, runtime: OnceCell::new(), local: OnceCell::new(), daemon: OnceCell::new(), socket }
    }

    /// Where things are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// This process's own answers.
    pub(crate) fn local(&self) -> Result<&Local, Report> {
        if let Some(local) = self.local.get() {
            return Ok(local);
        }
        let local = Local::open(&self.layout, self.world)?;
        Ok(self.local.get_or_init(|| local))
    }

    /// Which Go would run there.
    pub(crate) fn decision(&self, ask: &body::Ask) -> Result<body::Decision, Report> {
        self.read(|daemon| async move { daemon.decision(ask).await }, || self.local()?.decision(ask))
    }

    /// The installed SDKs.
    pub(crate) fn sdks(&self) -> Result<body::Sdks, Report> {
        self.read(|daemon| async move { daemon.sdks().await }, || self.local()?.sdks())
    }

    /// The releases there are.
    pub(crate) fn releases(&self) -> Result<body::Releases, Report> {
        let wanted = &body::ReleasesWanted { vars: (&self.world.vars).into(), refresh: false };
        if let Some(daemon) = self.daemon() {
            // No deadline but the sources' own: the network may have to be asked.
            match self.block_on(daemon.releases(wanted)) {
                Ok(releases) => return Ok(releases),
                Err(error) if !error.is_unreachable() => return Err(error.report()),
                Err(_) => {}
            }
        }
        let local = self.local()?;
        self.block_on(local.releases())
    }

    /// The directories that asked, as far as a daemon knows; nothing else does.
    pub(crate) fn projects(&self) -> Result<body::Projects, Report> {
        self.only_daemon(|daemon| async move { daemon.projects().await })
    }

    /// The same, where it is no failure that nobody knows.
    pub(crate) fn projects_if_known(&self) -> Vec<body::Project> {
        let Some(daemon) = self.daemon() else { return Vec::new() };
        match self.block_on(async { timeout(PATIENCE, daemon.projects()).await }) {
            Ok(Ok(projects)) => projects.projects,
            _ => Vec::new(),
        }
    }

    /// How the daemon is.
    pub(crate) fn status(&self) -> Result<body::Status, Report> {
        self.only_daemon(|daemon| async move { daemon.status().await })
    }

    /// Installs several at once, telling every event with the number of its wish. One result for each, in order.
    pub(crate) fn install(
        &self,
        wishes: &[NewJob],
        seen: &(impl Fn(usize, &JobEvent) + Clone + Send + Sync + 'static),
    ) -> Result<Vec<Result<JobEvent, Report>>, Report> {
        self.mine()?;
        let results = match self.install_by_daemon(wishes, seen) {
            Some(results) => results,
            None => self.install_here(wishes, seen)?,
        };
        let with_origin = |(result, wish): (Result<JobEvent, Report>, &NewJob)| {
            result.map_err(|report| Report { wanted_by: report.wanted_by.or_else(|| origin(wish)), ..report })
        };
        Ok(results.into_iter().zip(wishes).map(with_origin).collect())
    }

    /// None when no daemon can be asked, or it ended before its jobs did.
    fn install_by_daemon(
        &self,
        wishes: &[NewJob],
        seen: &(impl Fn(usize, &JobEvent) + Clone + Send + Sync + 'static),
    ) -> Option<Vec<Result<JobEvent, Report>>> {
        let daemon = self.started()?;
        let jobs = wishes.iter().cloned().enumerate().map(|(number, wish)| {
            let (daemon, seen) = (daemon.clone(), seen.clone());
            async move { by_daemon(&daemon, &wish, |event| seen(number, event)).await }
        });
        // The daemon knows how many it works on at a time.
        let results = self.all(jobs.collect(), usize::MAX);
        let is_lost = |result: &Result<JobEvent, Error>| result.as_ref().is_err_and(Error::is_unreachable);
        if results.iter().any(is_lost) {
            self.ui.note("the daemon ended meanwhile: going on without it");
            return None;
        }
        Some(results.into_iter().map(|result| result.map_err(|e| e.report()).and_then(outcome)).collect())
    }

    fn install_here(
        &self,
        wishes: &[NewJob],
        seen: &(impl Fn(usize, &JobEvent) + Clone + Send + Sync + 'static),
    ) -> Result<Vec<Result<JobEvent, Report>>, Report> {
        let local = self.local()?;
        let jobs = wishes.iter().cloned().enumerate().map(|(number, wish)| {
            let (local, seen) = (local.clone(), seen.clone());
            async move { local.install(&wish, move |event| seen(number, event)).await }
        });
        Ok(self.all(jobs.collect(), AT_WORK))
    }

    /// Puts a fresh SDK in the place of a damaged one.
    pub(crate) fn repair(
        &self,
        version: &Version,
        seen: &(impl Fn(usize, &JobEvent) + Clone + Send + Sync + 'static),
    ) -> Result<(), Report> {
        let job = [NewJob::Repair { version: version.toolchain(), vars: (&self.world.vars).into() }];
        let results = match self.install(&job, seen)?.as_slice() {
            // A daemon that was started before this govern was installed knows no such job.
            [Err(report)] if report.code == Code::Usage => {
                self.ui.note("the daemon is older than this govern: repairing without it");
                self.install_here(&job, seen)?
            }
            results => results.to_vec(),
        };
        results.into_iter().try_for_each(|result| result.map(drop))
    }

    /// Checks the log's proof of an SDK.
    pub(crate) fn check_log_proof(&self, version: &Version) -> Result<LogCheck, Report> {
        self.block_on(self.local()?.check_log_proof(version))
    }

    /// Gets the log's proof of an SDK anew.
    pub(crate) fn renew_log_proof(&self, version: &Version) -> Result<LogCheck, Report> {
        self.mine()?;
        self.block_on(self.local()?.renew_log_proof(version))
    }

    /// Removes an SDK.
    pub(crate) fn remove(&self, version: &str) -> Result<JobEvent, Report> {
        self.mine()?;
        if let Some(daemon) = self.started() {
            let job = NewJob::Remove { version: version.to_owned() };
            match self.block_on(by_daemon(&daemon, &job, |_| {})) {
                Ok(event) => return outcome(event),
                Err(error) if !error.is_unreachable() => return Err(error.report()),
                Err(_) => {}
            }
        }
        let local = self.local()?;
        self.block_on(local.remove(version))
    }

    /// Refuses to change an installation that belongs to somebody else: root, by sudo, would leave files behind that
    /// their owner can neither use nor remove. `command` is what to type as its owner.
    pub(crate) fn mine_for(&self, command: &str) -> Result<(), Report> {
        match owner(&self.layout).filter(|owner| *owner != self.world.uid) {
            None => Ok(()),
            Some(owner) => {
                let (data, uid) = (escaped(&self.layout.data), self.world.uid);
                let govern = escaped(&self.layout.bin().join("govern"));
                let fact = format!("{data} belongs to user {owner}, and user {uid} only reads it");
                Err(Report::new(Code::Failure, fact).hint(format!("sudo -u '#{owner}' {govern} {command}")))
            }
        }
    }

    /// The same for the command that was typed.
    pub(crate) fn mine(&self) -> Result<(), Report> {
        let words = self.world.args.iter().skip(1).map(|word| escaped(Path::new(word)));
        self.mine_for(&words.collect::<Vec<_>>().join(" "))
    }

    /// Asks the daemon to end, and waits until it has. Its process number.
    pub(crate) fn stop(&self) -> Result<u32, Report> {
        let status = self.only_daemon(|daemon| async move { daemon.shutdown().await })?;
        let is_gone = async {
            while is_alive(status.pid) {
                sleep(STEP).await;
            }
        };
        match self.block_on(async { timeout(END, is_gone).await }) {
            Ok(()) => Ok(status.pid),
            Err(_) => {
                let fact = format!("the govern daemon (pid {}) has not ended after {} s", status.pid, END.as_secs());
                Err(Report::new(Code::Daemon, fact).hint("govern status"))
            }
        }
    }

    /// Starts the daemon if none answers, and waits until it does. How it is, and whether it had to be started.
    pub(crate) fn start(&self) -> Result<(body::Status, bool), Report> {
        self.mine()?;
        self.allowed()?;
        match self.block_on(self.greet(&self.client())) {
            Ok(status) => return Ok((status, false)),
            Err(error) if !error.is_unreachable() || self.socket.is_held() => return Err(self.told(&error)),
            Err(_) => {}
        }
        match self.brought_up()? {
            Some((_, status)) => Ok((status, true)),
            None => {
                let fact = format!("the govern daemon does not answer {} s after its start", START.as_secs());
                Err(Report::new(Code::Daemon, fact).hint("govern daemon logs"))
            }
        }
    }

    /// True when somebody holds the daemon's socket open, whether they answer or not.
    pub(crate) fn is_anybody_there(&self) -> bool {
        self.socket.is_held()
    }

    /// Does something again and again, for as long as it gives `true`.
    pub(crate) fn every(&self, pause: Duration, mut work: impl FnMut() -> Result<bool, Report>) -> Result<(), Report> {
        while work()? {
            self.block_on(sleep(pause));
        }
        Ok(())
    }

    /// Whether a daemon may be started and asked here at all.
    pub(crate) fn allowed(&self) -> Result<(), Report> {
        if self.world.vars.os("GOVERN_NO_DAEMON").is_some_and(|value| value != "0") {
            let fact = "no daemon is asked: GOVERN_NO_DAEMON is set";
            return Err(Report::new(Code::Daemon, fact).hint("unset GOVERN_NO_DAEMON"));
        }
        Ok(())
    }

    fn client(&self) -> Client {
        Client::new(&self.socket.path(), self.world.uid)
    }

    /// The daemon, if one answers now. Somebody else's installation has somebody else's daemon.
    fn daemon(&self) -> Option<Client> {
        let asked = self.daemon.get_or_init(|| {
            self.allowed().and_then(|()| self.mine()).ok()?;
            let client = self.client();
            self.block_on(self.greet(&client)).ok().map(|_| client)
        });
        asked.clone()
    }

    /// The daemon, started if need be; none when this process must do the work itself.
    fn started(&self) -> Option<Client> {
        self.allowed().ok()?;
        if let Some(daemon) = self.daemon() {
            return Some(daemon);
        }
        if self.socket.is_held() {
            self.ui.detail("the daemon does not answer: going on without it");
            return None;
        }
        match self.brought_up() {
            Ok(found) => found.map(|(daemon, _)| daemon),
            Err(report) => {
                self.ui.detail(&format!("no daemon: {}", report.fact));
                None
            }
        }
    }

    /// Starts the daemon and waits until it answers. Once more after a while: one that is just ending may hold the
    /// claim still, and then the new one gives way to it.
    fn brought_up(&self) -> Result<Option<(Client, body::Status)>, Report> {
        let begun = Instant::now();
        let mut pause = AGAIN;
        while begun.elapsed() < START {
            if !self.socket.is_held() {
                background::start(self.world, &self.layout)?;
            }
            let client = self.client();
            let answered = self.block_on(async {
                let since = Instant::now();
                while since.elapsed() < pause {
                    if let Ok(status) = self.greet(&client).await {
                        return Some(status);
                    }
                    sleep(STEP).await;
                }
                None
            });
            if let Some(status) = answered {
                return Ok(Some((client, status)));
            }
            pause *= 2;
        }
        Ok(None)
    }

    async fn greet(&self, client: &Client) -> Result<body::Status, Error> {
        in_time(&self.socket.path(), client.status()).await
    }

    /// Asks the daemon, and answers here when there is none.
    fn read<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl FnOnce(Client) -> F,
        answer: impl FnOnce() -> Result<T, Report>,
    ) -> Result<T, Report> {
        let Some(daemon) = self.daemon() else { return answer() };
        match self.block_on(in_time(&self.socket.path(), ask(daemon))) {
            Ok(told) => Ok(told),
            // A daemon of another version is no reason to leave a question open.
            Err(Error::Problem(problem)) => Err(problem.into()),
            Err(_) => answer(),
        }
    }

    fn only_daemon<T, F: Future<Output = Result<T, Error>>>(&self, ask: impl FnOnce(Client) -> F) -> Result<T, Report> {
        self.allowed()?;
        self.mine()?;
        self.block_on(in_time(&self.socket.path(), ask(self.client()))).map_err(|error| self.told(&error))
    }

    /// Why the daemon did not answer. One that hangs has to be ended by its number: it does not listen to anything.
    fn told(&self, error: &Error) -> Report {
        let hung = if let Error::Broken { .. } = error { self.block_on(self.socket.holder()) } else { None };
        match hung {
            Some(pid) => Report::of(Code::Daemon, error).hint(format!("kill -9 {pid}")).hint("govern daemon logs"),
            None => error.report(),
        }
    }

    /// Writes a bundle.
    pub(crate) fn bundle(
        &self,
        args: &BundleCreate,
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<Vec<Bundled>, Report> {
        self.mine()?;
        let local = self.local()?;
        self.block_on(local.bundle(args, seen))
    }

    /// Installs from a bundle or a directory, in this process.
    pub(crate) fn install_stored(
        &self,
        from: &Path,
        specs: &[Spec],
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<Vec<JobEvent>, Report> {
        self.mine()?;
        let local = self.local()?;
        self.block_on(local.install_stored(from, specs, seen))
    }

    /// Gives archives on to others until this process is interrupted.
    pub(crate) fn serve(&self, listener: std::net::TcpListener, vars: &Vars) -> Result<(), Report> {
        let local = self.local()?;
        self.block_on(local.mirror(listener, vars))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(2).enable_all().build().expect("two threads can be started")
        })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    /// Runs all, so many at a time; the results in the order of the tasks.
    fn all<T, E, F>(&self, tasks: Vec<F>, at_a_time: usize) -> Vec<Result<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.block_on(async {
            let mut running = JoinSet::new();
            let mut results: Vec<Option<Result<T, E>>> = tasks.iter().map(|_| None).collect();
            let mut waiting = tasks.into_iter().enumerate();
            loop {
                let room = at_a_time.saturating_sub(running.len());
                for (number, task) in waiting.by_ref().take(room) {
                    running.spawn(async move { (number, task.await) });
                }
                let Some(done) = running.join_next().await else { break };
                let (number, result) = done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
                results[number] = Some(result);
            }
            results.into_iter().flatten().collect()
        })
    }
}

/// Whose wish a job is.
fn origin(wish: &NewJob) -> Option<String> {
    if let NewJob::Install { wanted_by, .. } = wish { wanted_by.clone() } else { None }
}

async fn by_daemon(daemon: &Client, job: &NewJob, seen: impl FnMut(&JobEvent)) -> Result<JobEvent, Error> {
    let job = daemon.start(job).await?;
    daemon.follow(job.id, seen).await
}

async fn in_time<T>(socket: &Path, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(PATIENCE, asked).await {
        Ok(result) => result,
        Err(_) => {
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "it accepts connections and says nothing");
            Err(Error::Broken { socket: socket.to_owned(), source })
        }
    }
}

/// How a job ended: the last event, or the problem in it.
fn outcome(last: JobEvent) -> Result<JobEvent, Report> {
    match last {
        JobEvent::Failed { problem } => Err(problem.into()),
        done => Ok(done),
    }
}

/// Whose installation it is; nobody's before there is one.
pub(crate) fn owner(layout: &Layout) -> Option<u32> {
    fs::metadata(&layout.data).ok().map(|meta| meta.uid())
}
