//! Where things lie on disk (DESIGN §3), as values. Creates nothing and looks at nothing.

use std::path::{Path, PathBuf};

use crate::version::Version;

/// The five bases of one installation. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// SDKs, programs, launchers, records, leases: `~/.local/share/govern`.
    pub data: PathBuf,
    /// The user's settings: `~/.config/govern`.
    pub config: PathBuf,
    /// Downloads and the release list: `~/.cache/govern`.
    pub cache: PathBuf,
    /// The index and the logs: `~/.local/state/govern`.
    pub state: PathBuf,
    /// Settings of the machine: `/etc/govern`.
    pub system: PathBuf,
}

impl Layout {
    /// Everything under one directory, as `GOVERN_HOME=/x` asks for.
    #[must_use]
    pub fn under(home: &Path) -> Layout {
        Layout {
            data: home.to_owned(),
            config: home.join("config"),
            cache: home.join("cache"),
            state: home.join("state"),
            system: PathBuf::from("/etc/govern"),
        }
    }

    /// The base directories of the XDG specification, each with `govern` below it.
    #[must_use]
    pub fn from_bases(data: &Path, config: &Path, cache: &Path, state: &Path) -> Layout {
        Layout {
            data: data.join("govern"),
            config: config.join("govern"),
            cache: cache.join("govern"),
            state: state.join("govern"),
            system: PathBuf::from("/etc/govern"),
        }
    }

    /// The programs; the one PATH entry.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.data.join("bin")
    }

    /// A `go1.X.Y` for every known release.
    #[must_use]
    pub fn launchers_all(&self) -> PathBuf {
        self.data.join("launchers/all")
    }

    /// A `go1.X.Y` for every installed release.
    #[must_use]
    pub fn launchers_installed(&self) -> PathBuf {
        self.data.join("launchers/installed")
    }

    /// The directory of the SDKs, staging and trash.
    #[must_use]
    pub fn sdks(&self) -> PathBuf {
        self.data.join("sdks")
    }

    /// The GOROOT of one release.
    #[must_use]
    pub fn sdk(&self, version: &Version) -> PathBuf {
        self.sdks().join(version.toolchain())
    }

    /// The directory of the records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.data.join("records")
    }

    /// The record of one SDK: proof, source, manifest.
    #[must_use]
    pub fn record(&self, version: &Version) -> PathBuf {
        self.records().join(format!("{}.json", version.toolchain()))
    }

    /// The directory of the leases and the locks.
    #[must_use]
    pub fn leases(&self) -> PathBuf {
        self.data.join("leases")
    }

    /// What a process locks while it runs from an SDK.
    #[must_use]
    pub fn lease(&self, version: &Version) -> PathBuf {
        self.leases().join(format!("{}.lease", version.toolchain()))
    }

    /// What a process locks while it changes an SDK.
    #[must_use]
    pub fn lock(&self, version: &Version) -> PathBuf {
        self.leases().join(format!("{}.lock", version.toolchain()))
    }

    /// The directory of the sockets.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.data.join("run")
    }

    /// Where the shims ask.
    #[must_use]
    pub fn shim_socket(&self) -> PathBuf {
        self.run().join("shim.sock")
    }

    /// Where the command line asks.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run().join("api.sock")
    }

    /// What the one daemon of this user locks for its lifetime.
    #[must_use]
    pub fn daemon_lock(&self) -> PathBuf {
        self.data.join("daemon.lock")
    }

    /// The other four bases, written down by `govern setup`, so that a shim called without HOME finds them.
    #[must_use]
    pub fn paths_file(&self) -> PathBuf {
        self.data.join("paths.toml")
    }

    /// The user's settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The machine's settings.
    #[must_use]
    pub fn system_config_file(&self) -> PathBuf {
        self.system.join("config.toml")
    }

    /// The overrides for directories.
    #[must_use]
    pub fn overrides_file(&self) -> PathBuf {
        self.config.join("overrides.toml")
    }

    /// Downloads, finished and unfinished.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.cache.join("downloads")
    }

    /// The cached release lists.
    #[must_use]
    pub fn release_cache(&self) -> PathBuf {
        self.cache.join("releases")
    }

    /// The checksum database's tiles (cache) …
    #[must_use]
    pub fn sumdb_cache(&self) -> PathBuf {
        self.cache.join("sumdb")
    }

    /// … and its latest signed tree, which must not be lost with the cache.
    #[must_use]
    pub fn sumdb_state(&self) -> PathBuf {
        self.state.join("sumdb")
    }

    /// The SQLite index.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.state.join("index.db")
    }

    /// The daemon's log, where nobody else keeps it.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("governd.log")
    }
}
