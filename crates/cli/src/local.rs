//! The daemonless fallback, and the one file that knows the engine: gives the same answers as the daemon, in the same
//! bodies, from this process.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use govern_api::body::{self, JobEvent, NewJob, SCHEMA};
use govern_core::decide::Question;
use govern_core::event::Event;
use govern_core::layout::Layout;
use govern_core::link::Link;
use govern_core::platform::Platform;
use govern_core::problem::{Code, Report};
use govern_core::sdk::SdkFacts;
use govern_core::settings::Settings;
use govern_core::spec::{LinkName, Spec};
use govern_core::vars::Vars;
use govern_core::version::Version;
pub(crate) use govern_engine::Bundled;
use govern_engine::{Decided, Engine, Error, Installed, Wish, home};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::BundleCreate;
use crate::world::World;

/// Where this program's files are.
pub(crate) fn layout(world: &World) -> Result<Layout, Report> {
    home::find(world.exe.as_deref(), &world.vars).map_err(|e| e.report())
}

/// Writes down where the files are, for programs that are called without any variable.
pub(crate) fn write_paths(layout: &Layout) -> Result<(), Report> {
    home::write_paths(layout).map_err(|e| e.report())
}

/// The home directory, from HOME or from the system's user database.
pub(crate) fn user_home(world: &World) -> Option<PathBuf> {
    home::user_home(&world.vars)
}

pub(crate) use govern_engine::{Fault, LogCheck, Verified};

/// The engine, for one caller.
#[derive(Clone)]
pub(crate) struct Local {
    engine: Engine,
    vars: Vars,
}

impl Local {
    /// Opens the installation.
    pub(crate) fn open(layout: &Layout, world: &World) -> Result<Local, Report> {
        let platform = Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH);
        let engine = Engine::open(layout.clone(), platform).map_err(|e| e.report())?;
        Ok(Local { engine, vars: world.vars.clone() })
    }

    /// Decides, with everything that becoming the program takes.
    pub(crate) fn decide(&self, question: &Question, cwd: &Path) -> Result<Decided, Report> {
        self.engine.decide(question, cwd).map_err(|e| e.report())
    }

    /// Which Go would run there.
    pub(crate) fn decision(&self, ask: &body::Ask) -> Result<body::Decision, Report> {
        let tool = body::tool(&ask.tool).map_err(|e| Report::of(Code::Usage, &e))?;
        let args = ask.args.iter().cloned().map(OsString::from).collect();
        let question = Question { tool, args, vars: ask.vars.clone().into() };
        let explained = self.engine.explain(&question, &ask.dir.clone().into_path());
        let (Decided { decision, dir, .. }, next) = explained.map_err(|e| e.report())?;
        let body = body::Decision::new(&decision, &question.tool, &dir, |version| self.goroot(version));
        let body = body.with_proof(|version| self.facts(version));
        Ok(body::Decision { next: next.iter().map(Into::into).collect(), ..body })
    }

    /// The root of a release, installed or not.
    pub(crate) fn goroot(&self, version: &Version) -> PathBuf {
        self.engine.goroot(version)
    }

    /// A lease to be inherited. None where leases cannot be kept, say on a read-only disk: then nobody removes
    /// anything either.
    pub(crate) fn lease(&self, version: &Version) -> Result<Option<OwnedFd>, Report> {
        match self.engine.lease(version) {
            Ok(lease) => Ok(lease.into_inheritable().ok()),
            Err(error) if error.code() == Code::NoVersion => Err(error.report()),
            Err(_) => Ok(None),
        }
    }

    /// The settings that hold here.
    pub(crate) fn settings(&self, vars: &Vars) -> Result<Settings, Report> {
        self.engine.settings(vars).map_err(|e| e.report())
    }

    /// The installed SDKs.
    pub(crate) fn sdks(&self) -> Result<body::Sdks, Report> {
        let sdks = self.engine.sdks().map_err(|e| e.report())?;
        let installed = sdks.iter().map(body::Sdk::from).collect();
        Ok(body::Sdks { schema: SCHEMA, installed, linked: self.links()? })
    }

    /// The releases there are.
    pub(crate) async fn releases(&self) -> Result<body::Releases, Report> {
        let published = self.engine.published(&self.vars, false).await.map_err(|e| e.report())?;
        let one = |(release, vendor): (govern_engine::Release, Option<String>)| body::Release {
            version: release.version.toolchain(),
            stable: release.stable,
            installed: self.engine.store().sdk(&release.version).is_some(),
            vendor,
        };
        Ok(body::Releases {
            schema: SCHEMA,
            source: published.source,
            fetched_at: published.fetched_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            stale: published.stale,
            releases: published.all.into_iter().map(one).collect(),
            notes: published.notes,
        })
    }

    /// Installs what is wished for.
    pub(crate) async fn install(
        &self,
        wish: &NewJob,
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<JobEvent, Report> {
        let (spec, at_least, wanted_by, by_repository, vars) = match wish {
            NewJob::Install { spec, at_least, wanted_by, by_repository, vars } => {
                (spec, at_least, wanted_by, by_repository, vars)
            }
            NewJob::Repair { version, vars } => return self.repair(version, vars.clone().into(), seen).await,
            NewJob::Remove { .. } => return Err(Report::new(Code::Failure, "this job installs nothing")),
        };
        let usage = |error: &dyn std::error::Error| Report::of(Code::Usage, error);
        let wish = Wish {
            spec: Spec::parse(spec).map_err(|e| usage(&e))?,
            at_least: at_least.as_deref().map(Version::parse).transpose().map_err(|e| usage(&e))?,
            by_repository: *by_repository,
            wanted_by: wanted_by.clone(),
        };
        let vars = Vars::from(vars.clone());
        let installed = async {
            let version = self.engine.resolve(&wish, &vars).await?;
            self.engine.install(&version, &vars, Arc::new(move |event: Event| seen(&event.into()))).await
        };
        let installed = installed.await.map_err(|e: Error| e.report_on(&wish))?;
        Ok(done(&installed))
    }

    async fn repair(
        &self,
        version: &str,
        vars: Vars,
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<JobEvent, Report> {
        let version = Version::parse(version).map_err(|e| Report::of(Code::Usage, &e))?;
        let repaired = self.engine.repair(&version, &vars, Arc::new(move |event: Event| seen(&event.into()))).await;
        Ok(done(&repaired.map_err(|e| e.report())?))
    }

    /// The versions that have a directory, whole or not, newest first.
    pub(crate) fn trees(&self) -> Result<Vec<Version>, Report> {
        self.engine.store().trees().map_err(|e| Error::from(e).report())
    }

    /// What the record of an SDK says, as far as it can be read.
    pub(crate) fn facts(&self, version: &Version) -> Option<SdkFacts> {
        self.engine.store().facts(version).ok()
    }

    /// Compares an SDK with its record.
    pub(crate) fn verify(&self, version: &Version, read: &(dyn Fn(u64) + Sync)) -> Result<Verified, Report> {
        self.engine.verify(version, read).map_err(|e| e.report())
    }

    /// Checks the log's proof of an SDK.
    pub(crate) async fn check_log_proof(&self, version: &Version) -> Result<LogCheck, Report> {
        self.engine.check_log_proof(version, &self.vars).await.map_err(|e| e.report())
    }

    /// Gets the log's proof of an SDK anew.
    pub(crate) async fn renew_log_proof(&self, version: &Version) -> Result<LogCheck, Report> {
        self.engine.renew_log_proof(version, &self.vars).await.map_err(|e| e.report())
    }

    /// Removes an SDK.
    pub(crate) async fn remove(&self, version: &str) -> Result<JobEvent, Report> {
        let version = Version::parse(version).map_err(|e| Report::of(Code::Usage, &e))?;
        let removed = self.engine.remove(&version).await.map_err(|e| e.report())?;
        let version = version.toolchain();
        Ok(JobEvent::Done { version, goroot: None, already: false, freed: Some(removed.bytes) })
    }

    /// Writes a bundle.
    pub(crate) async fn bundle(
        &self,
        args: &BundleCreate,
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<Vec<Bundled>, Report> {
        let here = [self.engine.platform().clone()];
        let platforms = if args.platform.is_empty() { &here[..] } else { &args.platform };
        let watch = Arc::new(move |event: Event| seen(&event.into()));
        let bundled = self.engine.bundle(&args.specs, platforms, &args.output, &self.vars, watch).await;
        bundled.map_err(|e| e.report())
    }

    /// Installs from a bundle or a directory.
    pub(crate) async fn install_stored(
        &self,
        from: &Path,
        specs: &[Spec],
        seen: impl Fn(&JobEvent) + Send + Sync + 'static,
    ) -> Result<Vec<JobEvent>, Report> {
        let watch = Arc::new(move |event: Event| seen(&event.into()));
        let installed = self.engine.install_stored(from, specs, &self.vars, watch).await.map_err(|e| e.report())?;
        let done = |installed: govern_engine::Installed| JobEvent::Done {
            version: installed.sdk.version.toolchain(),
            goroot: Some(installed.sdk.goroot.as_path().into()),
            already: installed.already,
            freed: None,
        };
        Ok(installed.into_iter().map(done).collect())
    }

    /// Gives archives on to others until SIGINT or SIGTERM.
    pub(crate) async fn mirror(&self, listener: std::net::TcpListener, vars: &Vars) -> Result<(), Report> {
        let failure = |error: std::io::Error| Report::of(Code::Failure, &error);
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failure)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failure)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failure)?;
        let end = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        self.engine.mirror(listener, vars, end).await.map_err(|e| e.report())
    }

    /// Writes the default Go.
    pub(crate) fn set_default(&self, spec: &Spec) -> Result<(), Report> {
        self.engine.set_default(Some(spec)).map_err(|e| e.report())
    }

    /// Sets or removes the override of a directory. False when nothing changed.
    pub(crate) fn set_override(&self, dir: &Path, spec: Option<&Spec>) -> Result<bool, Report> {
        self.engine.set_override(dir, spec).map_err(|e| e.report())
    }

    /// The directories that have an override, and what it says.
    pub(crate) fn overrides(&self) -> Result<Vec<(PathBuf, Spec)>, Report> {
        self.engine.overrides().map_err(|e| e.report())
    }

    /// The trees of the user's own. Kept by this process, as a daemon of an older version knows of none.
    pub(crate) fn links(&self) -> Result<Vec<body::Linked>, Report> {
        Ok(self.engine.links().map_err(|e| e.report())?.iter().map(body::Linked::from).collect())
    }

    /// Links a Go of the user's own; gives where the name led before.
    pub(crate) fn link(&self, name: &LinkName, dir: &Path) -> Result<(Link, Option<PathBuf>), Report> {
        self.engine.link(name, dir).map_err(|e| e.report())
    }

    /// Takes a name away; gives where it led.
    pub(crate) fn unlink(&self, name: &LinkName) -> Result<PathBuf, Report> {
        self.engine.unlink(name).map_err(|e| e.report())
    }

    /// Brings the launchers in step with the shim, the SDKs and the known releases.
    pub(crate) fn sync_launchers(&self) -> Result<(), Report> {
        self.engine.sync_launchers().map_err(|e| e.report())
    }
}

fn done(installed: &Installed) -> JobEvent {
    JobEvent::Done {
        version: installed.sdk.version.toolchain(),
        goroot: Some(installed.sdk.goroot.as_path().into()),
        already: installed.already,
        freed: None,
    }
}
