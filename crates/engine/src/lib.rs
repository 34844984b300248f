//! The verbs themselves: decide, install, remove. The daemon and the daemonless command line run this same code.
//! Leaves out HTTP, printing and SQL; the environment and the working directory come in as values.

mod advice;
mod archives;
mod basis;
mod bundle;
mod config;
mod error;
mod fresh;
pub mod home;
mod install;
mod later;
mod launchers;
mod links;
mod look;
mod memo;
mod mirror;
mod release;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use govern_core::decide::{self, Decision, Launchers, Modules, Next, Question, Surroundings};
use govern_core::layout::Layout;
use govern_core::link::Link;
use govern_core::platform::Platform;
use govern_core::released::released;
use govern_core::sdk::{Sdk, SdkFacts};
use govern_core::settings::Settings;
use govern_core::spec::{LinkName, Spec};
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_store::{Lease, Removed, Store};

pub use basis::Basis;
pub use bundle::Bundled;
pub use error::Error;
pub use govern_index as index;
pub use govern_sources::{Release, Releases};
pub use govern_store::{Archive, Shared};
pub use install::Installed;
pub use later::Later;
pub use release::{Published, Wish};
pub use verify::{Fault, LogCheck, Verified};

use config::Config;
use fresh::Cached;
use memo::Memo;

/// One installation of govern, ready for questions and changes. Clones share it.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    platform: Platform,
    store: Store,
    config: Cached<Config>,
    installed: Cached<Installation>,
    memo: Memo,
    links: Cached<Linked>,
}

/// The names of the user's own trees, and where they lead.
type Linked = Vec<(LinkName, PathBuf)>;

/// The SDKs that were found, and what is named like one and was none.
#[derive(Debug)]
struct Installation {
    sdks: Vec<Version>,
    incomplete: Vec<Version>,
    /// What the SDKs say of GOTOOLCHAIN in their own `go.env`. Their trees never change.
    toolchains: Vec<(Version, String)>,
}

/// A decision and the directories that it was made of.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The directory that it is for: the logical working directory, moved by `-C`.
    pub dir: PathBuf,
    /// The directories that hold a pin or module file which played a part: worth watching.
    pub pin_dirs: Vec<PathBuf>,
}

/// A decision and all that it was made of.
struct Kept {
    decided: Decided,
    around: Arc<Surroundings>,
    settings: Settings,
    basis: Option<Basis>,
}

impl Engine {
    /// Opens an installation; its directories are created when they are missing.
    ///
    /// # Errors
    /// When they cannot be created.
    pub fn open(layout: Layout, platform: Platform) -> Result<Engine, Error> {
        let store = Store::open(&layout)?;
        let config = Cached::new(vec![layout.system_config_file(), layout.config_file(), layout.overrides_file()]);
        let installed = Cached::new(vec![layout.sdks()]);
        let links = Cached::new(vec![layout.links()]);
        let memo = Memo::default();
        let inner = Inner { layout, platform, store, config, installed, memo, links };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// Where things are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// The platform that SDKs are installed for.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.inner.platform
    }

    /// The SDKs on disk.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What a daemon does before it listens: takes away what crashes left behind.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn start(&self) -> Result<(), Error> {
        let swept = self.inner.store.sweep()?;
        tracing::info!(?swept, "store swept");
        self.sync_launchers()
    }

    /// The settings that hold for a caller: the files, then its variables.
    ///
    /// # Errors
    /// When a file or a variable cannot be understood.
    pub fn settings(&self, vars: &Vars) -> Result<Settings, Error> {
        self.config()?.settings(vars)
    }

    /// Which Go runs for this question, asked in the directory `cwd`. Reads the disk and nothing else; an edit is
    /// seen by the very next call.
    ///
    /// # Errors
    /// When the winning wish or the settings cannot be understood.
    pub fn decide(&self, question: &Question, cwd: &Path) -> Result<Decided, Error> {
        Ok(self.decide_and_keep(question, cwd)?.decided)
    }

    /// Decides, and says what it was decided by, where all of that can be held on to.
    ///
    /// # Errors
    /// As [`Engine::decide`].
    pub fn decide_on_basis(&self, question: &Question, cwd: &Path) -> Result<(Decided, Option<Basis>), Error> {
        let kept = self.decide_and_keep(question, cwd)?;
        Ok((kept.decided, kept.basis))
    }

    /// Decides, and says what following the decision leads to.
    ///
    /// # Errors
    /// As [`Engine::decide`].
    pub fn explain(&self, question: &Question, cwd: &Path) -> Result<(Decided, Vec<Next>), Error> {
        let Kept { decided, around, settings, .. } = self.decide_and_keep(question, cwd)?;
        let launchers = match decided.decision.edits.launchers {
            Launchers::All => self.layout().launchers_all(),
            Launchers::Installed => self.layout().launchers_installed(),
        };
        let has_launcher = |name: &str| launchers.join(name).exists();
        let listed = self.listed()?;
        let installed = listed.sdks.iter().filter(|version| self.inner.store.has_go(version));
        let installed: Vec<Version> = installed.cloned().collect();
        let next = decide::next(question, &around, &installed, &settings, &decided.decision, has_launcher);
        Ok((decided, next))
    }

    /// Decides, and gives what the decision was made of.
    fn decide_and_keep(&self, question: &Question, cwd: &Path) -> Result<Kept, Error> {
        let config = self.config()?;
        let settings = config.settings(&question.vars)?;
        let (dir, is_there) = look::directory(question, cwd);
        let os = &self.inner.platform.os;
        let vars = look::with_absolute_goenv(&question.vars, cwd);
        let (mut around, known) = self.inner.memo.around(&dir, &vars, &config, self.layout(), os)?;
        if !is_there {
            // A `-C` that leads nowhere ends Go before it reads anything.
            let around = Arc::make_mut(&mut around);
            (around.modules, around.module_file) = (Modules::Off, None);
        }
        let (links, linked) = self.links_for(question, &around, &settings)?;
        let has_links = !links.is_empty();
        if has_links {
            Arc::make_mut(&mut around).links = links;
        }
        let (decision, installed, by) = self.decide_by_installed(question, &mut around, &settings)?;
        let with_pins = around.levels.iter().filter(|l| !(l.go_version.is_empty() && l.tool_versions.is_empty()));
        let mut pin_dirs: Vec<PathBuf> = with_pins.map(|level| level.dir.clone()).collect();
        pin_dirs.extend(around.module_file.as_ref().and_then(|file| file.path.parent()).map(Path::to_owned));
        pin_dirs.dedup();
        let basis = match (known, linked) {
            (Some(around), Some(links)) if !has_links && basis::is_all(question, cwd) => {
                Some(Basis { config, links, installed, around, dir: dir.clone(), vars: vars.into_owned(), by })
            }
            _ => None,
        };
        Ok(Kept { decided: Decided { decision, dir, pin_dirs }, around, settings, basis })
    }

    /// Decides by the installed SDKs, of which no more are looked at than the decision is made by: gives those as well.
    fn decide_by_installed(
        &self,
        question: &Question,
        around: &mut Arc<Surroundings>,
        settings: &Settings,
    ) -> Result<(Decision, Arc<Installation>, Vec<Version>), Error> {
        let mut decide = |installed: &Installation| {
            if around.sdk_toolchains != installed.toolchains {
                Arc::make_mut(around).sdk_toolchains.clone_from(&installed.toolchains);
            }
            let (decision, by) = decide::decide_by(question, around, &installed.sdks, settings);
            (decision, by.into_iter().cloned().collect::<Vec<_>>())
        };
        let mut installed = self.listed()?;
        let (mut decision, mut by) = decide(&installed);
        if !by.iter().all(|version| self.inner.store.has_go(version)) {
            self.inner.installed.forget();
            installed = self.listed()?;
            (decision, by) = decide(&installed);
        }
        Ok((decision?, installed, by))
    }

    /// How many decisions needed no pin file to be read again.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        self.inner.memo.hits()
    }

    /// The root of a release, installed or not.
    #[must_use]
    pub fn goroot(&self, version: &Version) -> PathBuf {
        self.inner.layout.sdk(version)
    }

    /// The installed SDKs with what their records say, newest first. One whose record cannot be read is among them, with
    /// the reason in place of a proof.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sdks(&self) -> Result<Vec<SdkFacts>, Error> {
        let store = &self.inner.store;
        let facts = |sdk: Sdk| match store.facts(&sdk.version) {
            Ok(facts) => Some(facts),
            // Removed since.
            Err(govern_store::Error::NotInstalled { .. }) => None,
            Err(error) => Some(store.facts_without_record(sdk, error.to_string())),
        };
        Ok(store.sdks()?.into_iter().filter_map(facts).collect())
    }

    /// A shared lease on an SDK, for a process that will run from it.
    ///
    /// # Errors
    /// When it is being removed, or is gone.
    pub fn lease(&self, version: &Version) -> Result<Lease, Error> {
        Ok(self.inner.store.lease(version)?)
    }

    /// Removes an SDK that nobody runs from.
    ///
    /// # Errors
    /// When it is not there, is in use, or cannot be removed.
    pub async fn remove(&self, version: &Version) -> Result<Removed, Error> {
        if self.inner.store.sdk(version).is_none() {
            return Err(Error::NotInstalled { version: version.clone() });
        }
        let (engine, version) = (self.clone(), version.clone());
        blocking(move || {
            let removed = engine.inner.store.remove(&version)?;
            engine.sync_launchers()?;
            Ok(removed)
        })
        .await
    }

    /// Writes the default Go, or takes the setting away.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_default(&self, spec: Option<&Spec>) -> Result<(), Error> {
        config::set_default(self.layout(), spec)
    }

    /// The overrides of directories.
    ///
    /// # Errors
    /// When the file cannot be understood.
    pub fn overrides(&self) -> Result<Vec<(PathBuf, Spec)>, Error> {
        config::overrides(self.layout())
    }

    /// Sets or removes the override of a directory. False when nothing changed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_override(&self, dir: &Path, spec: Option<&Spec>) -> Result<bool, Error> {
        config::set_override(self.layout(), dir, spec)
    }

    /// The user's own trees, as they lie there, sorted by name.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn links(&self) -> Result<Vec<Link>, Error> {
        let links = links::read(self.layout())?;
        Ok(links.into_iter().map(|(name, goroot)| links::look_at(self.layout(), name, goroot)).collect())
    }

    /// Links a tree under a name, and gives it with where the name led before. `dir` is absolute.
    ///
    /// # Errors
    /// When there is no Go in it that could run, when it is govern's own, or the link cannot be written.
    pub fn link(&self, name: &LinkName, dir: &Path) -> Result<(Link, Option<PathBuf>), Error> {
        let link = links::look_at(self.layout(), name.clone(), dir.to_owned());
        if link.fault.is_some() {
            return Err(Error::NoTree { link: Box::new(link) });
        }
        if let Some(sdk) = self.inner.store.sdks()?.into_iter().find(|sdk| is_within(dir, &sdk.goroot)) {
            return Err(Error::OwnTree { version: sdk.version });
        }
        let before = self.linked()?.iter().find(|(known, _)| known == name).map(|(_, goroot)| goroot.clone());
        links::write(self.layout(), name, dir)?;
        Ok((link, before))
    }

    /// Takes a name away, and gives where it led. The tree stays as it is.
    ///
    /// # Errors
    /// When nothing is linked under it, or the link cannot be removed.
    pub fn unlink(&self, name: &LinkName) -> Result<PathBuf, Error> {
        let linked = self.linked()?;
        let Some((_, goroot)) = linked.iter().find(|(known, _)| known == name) else {
            return Err(Error::NotLinked { name: name.clone() });
        };
        links::remove(self.layout(), name)?;
        Ok(goroot.clone())
    }

    /// Brings the launchers in step with the SDKs and the releases that are known.
    ///
    /// # Errors
    /// When they cannot be linked.
    pub fn sync_launchers(&self) -> Result<(), Error> {
        let installed: Vec<Version> = self.inner.store.sdks()?.into_iter().map(|sdk| sdk.version).collect();
        let mut known = self.known_releases();
        // Until a list was fetched, what came out before this govern did: Go must not go past us because of that.
        if known.is_empty() {
            known.extend(released());
        }
        launchers::sync(self.layout(), &installed, &known)
    }

    fn config(&self) -> Result<Arc<Config>, Error> {
        self.inner.config.value(SystemTime::now(), |_| true, || Config::read(self.layout()))
    }

    fn linked(&self) -> Result<Arc<Linked>, Error> {
        self.inner.links.value(SystemTime::now(), |_| true, || links::read(self.layout()))
    }

    /// The trees that a question names, and all names that there are, if they can be read. No other tree is looked at.
    fn links_for(
        &self,
        question: &Question,
        around: &Surroundings,
        settings: &Settings,
    ) -> Result<(Vec<Link>, Option<Arc<Linked>>), Error> {
        let linked = self.linked();
        if linked.as_ref().is_ok_and(|linked| linked.is_empty()) {
            return Ok((Vec::new(), linked.ok()));
        }
        let names = decide::linked_names(question, around, settings);
        // Links that cannot be read are no matter of those who wish for none.
        let linked = if names.is_empty() { return Ok((Vec::new(), linked.ok())) } else { linked? };
        let named = linked.iter().filter(|(name, _)| names.contains(name));
        let links = named.map(|(name, goroot)| links::look_at(self.layout(), name.clone(), goroot.clone())).collect();
        Ok((links, Some(linked)))
    }

    /// The SDKs as they were found when one came or went last. What goes on below an SDK leaves no mark on the directory of
    /// all of them: whoever counts on one has to see whether its `go` is still there.
    fn listed(&self) -> Result<Arc<Installation>, Error> {
        let store = &self.inner.store;
        let holds = |kept: &Installation| kept.incomplete.iter().all(|version| store.sdk(version).is_none());
        let read = || {
            let (sdks, incomplete) = store.named()?.into_iter().partition(|version| store.sdk(version).is_some());
            let sdks: Vec<Version> = sdks;
            let toolchains = look::sdk_toolchains(sdks.iter().cloned(), self.layout())?;
            Ok(Installation { sdks, incomplete, toolchains })
        };
        self.inner.installed.value(SystemTime::now(), holds, read)
    }
}

/// Says whether a directory is another one or lies in it, whatever names lead there.
fn is_within(dir: &Path, root: &Path) -> bool {
    std::fs::canonicalize(dir).is_ok_and(|dir| std::fs::canonicalize(root).is_ok_and(|root| dir.starts_with(root)))
}

/// Runs blocking work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Panicked(error)),
    }
}
