//! The verbs themselves: decide, install, remove. The daemon and the daemonless command line run this same code.
//! Leaves out HTTP, printing and SQL; the environment and the working directory come in as values.

mod config;
mod error;
mod fresh;
pub mod home;
mod install;
mod launchers;
mod look;
mod release;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use govern_core::decide::{self, Decision, Question};
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::sdk::SdkFacts;
use govern_core::settings::Settings;
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_store::{Lease, Removed, Store};

pub use error::Error;
pub use govern_index as index;
pub use govern_sources::{Release, Releases};
pub use install::Installed;
pub use release::Wish;

use config::Config;
use fresh::Cached;

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
    installed: Cached<Vec<Version>>,
    /// What installed SDKs say of GOTOOLCHAIN in their own `go.env`. Their trees never change.
    sdk_toolchains: Cached<Vec<(Version, String)>>,
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

impl Engine {
    /// Opens an installation; its directories are created when they are missing.
    ///
    /// # Errors
    /// When they cannot be created.
    pub fn open(layout: Layout, platform: Platform) -> Result<Engine, Error> {
        let store = Store::open(&layout)?;
        let config = Cached::new(vec![layout.system_config_file(), layout.config_file(), layout.overrides_file()]);
        let installed = Cached::new(vec![layout.sdks()]);
        let sdk_toolchains = Cached::new(vec![layout.sdks()]);
        Ok(Engine { inner: Arc::new(Inner { layout, platform, store, config, installed, sdk_toolchains }) })
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
        let config = self.config()?;
        let settings = config.settings(&question.vars)?;
        let look::Seen { dir, mut around } = look::look(question, cwd, self.layout(), &self.inner.platform.os)?;
        around.overrides.clone_from(&config.overrides);
        let installed = self.installed()?;
        around.sdk_toolchains.clone_from(&*self.sdk_toolchains()?);
        let decision = decide::decide(question, &around, &installed, &settings)?;
        let with_pins = around.levels.iter().filter(|l| !(l.go_version.is_empty() && l.tool_versions.is_empty()));
        let mut pin_dirs: Vec<PathBuf> = with_pins.map(|level| level.dir.clone()).collect();
        pin_dirs.extend(around.module_file.as_ref().and_then(|file| file.path.parent()).map(Path::to_owned));
        pin_dirs.dedup();
        Ok(Decided { decision, dir, pin_dirs })
    }

    /// The root of a release, installed or not.
    #[must_use]
    pub fn goroot(&self, version: &Version) -> PathBuf {
        self.inner.layout.sdk(version)
    }

    /// The installed SDKs with what their records say, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sdks(&self) -> Result<Vec<SdkFacts>, Error> {
        let sdks = self.inner.store.sdks()?;
        sdks.iter().map(|sdk| Ok(self.inner.store.facts(&sdk.version)?)).collect()
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

    /// Brings the launchers in step with the SDKs and the releases that are known.
    ///
    /// # Errors
    /// When they cannot be linked.
    pub fn sync_launchers(&self) -> Result<(), Error> {
        let installed: Vec<Version> = self.inner.store.sdks()?.into_iter().map(|sdk| sdk.version).collect();
        launchers::sync(self.layout(), &installed, &self.known_releases())
    }

    fn config(&self) -> Result<Arc<Config>, Error> {
        self.inner.config.value(SystemTime::now(), || Config::read(self.layout()))
    }

    fn installed(&self) -> Result<Arc<Vec<Version>>, Error> {
        let read = || Ok(self.inner.store.sdks()?.into_iter().map(|sdk| sdk.version).collect());
        self.inner.installed.value(SystemTime::now(), read)
    }

    fn sdk_toolchains(&self) -> Result<Arc<Vec<(Version, String)>>, Error> {
        let read = || look::sdk_toolchains(self.inner.store.sdks()?.into_iter().map(|sdk| sdk.version), self.layout());
        self.inner.sdk_toolchains.value(SystemTime::now(), read)
    }
}

/// Runs blocking work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Panicked(error)),
    }
}
