//! `govern __shim TOOL ARGS…`: what a shim becomes when no daemon names a program in time. Decides in this process,
//! installs what is missing if that is allowed, and becomes the program. Nothing that is broken elsewhere stops it.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use govern_api::body::{self, NewJob};
use govern_core::decide::{Decision, Install, Question, Target};
use govern_core::link::{self, Link};
use govern_core::origin::Origin;
use govern_core::problem::{Code, Report};
use govern_core::spec::Spec;
use govern_core::version::Version;

use crate::ask::Ask;
use crate::background;
use crate::exit::{self, Exit};
use crate::launch::{self, Failed};
use crate::local::{self, Local};
use crate::path::find_foreign;
use crate::pins::{pasted, written};
use crate::progress::Progress;
use crate::ui::Ui;
use crate::world::World;

/// The hidden verb.
pub(crate) const VERB: &str = "__shim";

/// How often an SDK may vanish between the decision and its use before that is called a failure.
const TRIES: usize = 3;

/// Becomes the program that `TOOL ARGS…` means, or says why not.
pub(crate) fn shim(world: &World, words: &[OsString]) -> Exit {
    let ui = Ui::of_shim(world);
    let Failed { exit, report, .. } = match words.split_first() {
        Some((tool, args)) => go(world, &ui, tool, args),
        None => other(Report::new(Code::Usage, "a shim has a name").hint("govern --help")),
    };
    ui.error(&report);
    exit
}

/// A call of a shim.
struct Call<'a> {
    world: &'a World,
    ui: &'a Ui,
    ask: &'a Ask<'a>,
    local: &'a Local,
    question: &'a Question,
}

fn go(world: &World, ui: &Ui, tool: &OsStr, args: &[OsString]) -> Failed {
    let called = || -> Result<(Question, Ask<'_>), Report> {
        let tool = body::tool(&tool.to_string_lossy()).map_err(|e| Report::of(Code::Usage, &e))?;
        let question = Question { tool, args: args.to_vec(), vars: world.vars.clone() };
        Ok((question, Ask::new(world, ui, local::layout(world)?)))
    };
    let (question, ask) = match called() {
        Ok(called) => called,
        Err(report) => return other(report),
    };
    match ask.local() {
        Ok(local) => Call { world, ui, ask: &ask, local, question: &question }.run(),
        Err(report) => other(report),
    }
}

fn other(report: Report) -> Failed {
    Failed { exit: exit::of_shim(&report), report, is_gone: false }
}

fn missing(report: Report) -> Failed {
    Failed { exit: exit::NOT_FOUND, report, is_gone: false }
}

impl Call<'_> {
    /// Decides and becomes the program; installs in between, once.
    fn run(&self) -> Failed {
        let mut has_installed = false;
        let mut gone = None;
        for _ in 0..TRIES {
            let decided = match self.local.decide(self.question, self.world.dir_or_root()) {
                Ok(decided) => decided.decision,
                Err(report) => return other(report),
            };
            let install = match &decided.target {
                Target::Sdk(version) => match self.become_sdk(version, &decided) {
                    failed if failed.is_gone => {
                        gone = Some(failed);
                        continue;
                    }
                    failed => return failed,
                },
                Target::Linked(link) => return self.become_linked(link, &decided),
                Target::PathGo { or_install } => match (self.foreign(), or_install) {
                    (Some(program), _) => {
                        self.start_daemon();
                        return self.become_program(&program, None, None, &decided);
                    }
                    (None, Some(install)) => install,
                    (None, None) => return missing(self.no_system_go(&decided.origin)),
                },
                Target::Install(install) => install,
            };
            if has_installed {
                let fact = format!("what was installed is not what is wanted: {}", install.spec);
                return other(Report::new(Code::Failure, fact).wanted_by(&decided.origin).hint("govern explain"));
            }
            if let Err(failed) = self.install(install, &decided.origin) {
                return match &install.instead {
                    Some(version) => self.become_instead(version, install, &decided, &failed.report),
                    None => failed,
                };
            }
            has_installed = true;
        }
        gone.unwrap_or_else(|| {
            other(Report::new(Code::Failure, "the decision changes all the time").hint("govern explain"))
        })
    }

    fn become_sdk(&self, version: &Version, decided: &Decision) -> Failed {
        self.start_daemon();
        let goroot = self.local.goroot(version);
        let lease = match self.local.lease(version) {
            Ok(lease) => lease,
            Err(report) => return Failed { exit: exit::NOT_FOUND, report, is_gone: true },
        };
        let program = goroot.join("bin").join(self.question.tool.program());
        let failed = self.become_program(&program, Some(&goroot), lease, decided);
        let repair = format!("govern uninstall {version}; govern install {version}");
        Failed { report: failed.report.hint(repair), ..failed }
    }

    /// A tree of the user's own: nobody else removes it, so that there is nothing to hold it by.
    fn become_linked(&self, link: &Link, decided: &Decision) -> Failed {
        if let Some(report) = link.broken() {
            return missing(report.wanted_by(&decided.origin));
        }
        self.start_daemon();
        let program = link.goroot.join("bin").join(self.question.tool.program());
        let Failed { exit, report, is_gone } = self.become_program(&program, Some(&link.goroot), None, decided);
        let report = report.wanted_by(&decided.origin).hint(format!("govern link {} DIR", link.name.as_str()));
        Failed { exit, report, is_gone }
    }

    fn become_program(
        &self,
        program: &Path,
        goroot: Option<&Path>,
        lease: Option<OwnedFd>,
        decided: &Decision,
    ) -> Failed {
        let args = self.question.args.get(decided.drop_args..).unwrap_or_default();
        let mut command = launch::program(program.as_os_str(), args);
        launch::edit(&mut command, &decided.edits, goroot, self.ask.layout(), self.world.vars.os("PATH"));
        launch::become_program(command, lease)
    }

    /// The next call shall find a daemon. This one does not wait for it, and takes its lease afterwards: a daemon that
    /// inherited it would keep the SDK in use for ever.
    fn start_daemon(&self) {
        if self.ask.allowed().is_ok() && self.ask.mine().is_ok() && !self.ask.is_anybody_there() {
            background::start_quietly(self.world, self.ask.layout());
        }
    }

    /// An installed SDK satisfies the minimum, though a newer patch was wished for and is not to be had.
    fn become_instead(&self, version: &Version, install: &Install, decided: &Decision, why: &Report) -> Failed {
        self.ui.note(&format!("{} instead of {}: {}", version.toolchain(), install.spec, why.fact));
        self.become_sdk(version, decided)
    }

    fn foreign(&self) -> Option<PathBuf> {
        find_foreign(self.question.tool.program(), self.world.vars.os("PATH"), self.ask.layout())
    }

    fn install(&self, install: &Install, origin: &Origin) -> Result<(), Failed> {
        // Only its user can link a tree: there is nothing to ask anybody for.
        if let Spec::Linked(name) = &install.spec {
            return Err(missing(link::unknown(name).wanted_by(origin)));
        }
        let settings = self.local.settings(&self.question.vars).map_err(other)?;
        if !settings.auto_install || settings.offline {
            return Err(missing(not_installed(&install.spec, settings.offline).wanted_by(origin)));
        }
        self.ask.mine_for(&format!("install {}", pasted(&install.spec))).map_err(|report| {
            let fact = format!("{}, and {}", not_installed(&install.spec, false).fact, report.fact);
            other(Report { fact, ..report }.wanted_by(origin))
        })?;
        self.ui.talk(&format!("govern: installing {}", announced(&install.spec, origin)));
        let wish = NewJob::Install {
            spec: written(&install.spec),
            at_least: install.floor.as_ref().map(Version::to_string),
            wanted_by: Some(origin.to_string()),
            by_repository: install.by_repository,
            vars: (&self.world.vars).into(),
        };
        let progress = Progress::new(self.ui);
        let bar = progress.bar(&install.spec.to_string());
        let seen = bar.clone();
        let results = self.ask.install(&[wish], &move |_, event| seen.event(event));
        bar.clear();
        let failed = results.map(|results| results.into_iter().find_map(Result::err));
        match failed.unwrap_or_else(Some) {
            None => Ok(()),
            Some(report) => Err(other(report)),
        }
    }

    fn no_system_go(&self, origin: &Origin) -> Report {
        let tool = self.question.tool.program();
        let fact = format!("there is no {tool} on PATH besides govern's own");
        Report::new(Code::NoVersion, fact).wanted_by(origin).hint("govern pin latest")
    }
}

/// What a person is told who must install it by hand.
fn not_installed(spec: &Spec, is_offline: bool) -> Report {
    let fact = match spec {
        Spec::Exact(version) => format!("{} is not installed", version.toolchain()),
        Spec::Latest => "no Go is installed".to_owned(),
        spec => format!("no Go {spec} is installed"),
    };
    let online = if is_offline { "GOVERN_OFFLINE=0 " } else { "" };
    Report::new(Code::NoVersion, fact).hint(format!("{online}govern install {}", pasted(spec)))
}

/// What is installed, and why, as it stands behind `installing`.
fn announced(spec: &Spec, origin: &Origin) -> String {
    let what = match spec {
        Spec::Exact(version) => version.toolchain(),
        Spec::Family(major, minor) => format!("the newest Go {major}.{minor}"),
        Spec::Latest => "the newest Go".to_owned(),
        spec => format!("Go {spec}"),
    };
    match origin {
        Origin::BuiltIn => format!("{what}: there is none yet"),
        origin => format!("{what}, wanted by {origin}"),
    }
}
