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

    /// The user's own Go trees, a link for each: `links/tip` leads to its GOROOT.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.data.join("links")
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

    /// Archives kept as they were fetched, and proven: what mirrors and bundles give on.
    #[must_use]
    pub fn archives(&self) -> PathBuf {
        self.cache.join("archives")
    }

    /// What a mirror passed on from a checksum database.
    #[must_use]
    pub fn mirrored_sumdb(&self) -> PathBuf {
        self.cache.join("mirrored-sumdb")
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Layout;
    use crate::version::Version;

    fn all(layout: &Layout) -> Vec<PathBuf> {
        let version = Version::parse("1.22.4").unwrap();
        vec![
            layout.bin(),
            layout.launchers_all(),
            layout.launchers_installed(),
            layout.sdk(&version),
            layout.record(&version),
            layout.lease(&version),
            layout.lock(&version),
            layout.links(),
            layout.shim_socket(),
            layout.api_socket(),
            layout.daemon_lock(),
            layout.paths_file(),
            layout.config_file(),
            layout.overrides_file(),
            layout.system_config_file(),
            layout.downloads(),
            layout.release_cache(),
            layout.sumdb_cache(),
            layout.sumdb_state(),
            layout.index(),
            layout.log(),
        ]
    }

    #[test]
    fn everything_has_its_place_below_the_bases_of_xdg() {
        let base = |name: &str| Path::new("/home/ana").join(name);
        let layout =
            Layout::from_bases(&base(".local/share"), &base(".config"), &base(".cache"), &base(".local/state"));
        let expect = [
            "/home/ana/.local/share/govern/bin",
            "/home/ana/.local/share/govern/launchers/all",
            "/home/ana/.local/share/govern/launchers/installed",
            "/home/ana/.local/share/govern/sdks/go1.22.4",
            "/home/ana/.local/share/govern/records/go1.22.4.json",
            "/home/ana/.local/share/govern/leases/go1.22.4.lease",
            "/home/ana/.local/share/govern/leases/go1.22.4.lock",
            "/home/ana/.local/share/govern/links",
            "/home/ana/.local/share/govern/run/shim.sock",
            "/home/ana/.local/share/govern/run/api.sock",
            "/home/ana/.local/share/govern/daemon.lock",
            "/home/ana/.local/share/govern/paths.toml",
            "/home/ana/.config/govern/config.toml",
            "/home/ana/.config/govern/overrides.toml",
            "/etc/govern/config.toml",
            "/home/ana/.cache/govern/downloads",
            "/home/ana/.cache/govern/releases",
            "/home/ana/.cache/govern/sumdb",
            "/home/ana/.local/state/govern/sumdb",
            "/home/ana/.local/state/govern/index.db",
            "/home/ana/.local/state/govern/governd.log",
        ];
        assert_eq!(all(&layout), expect.map(PathBuf::from));
    }

    #[test]
    fn one_directory_holds_everything_but_the_machines_settings() {
        let layout = Layout::under(Path::new("/x"));
        let paths = all(&layout);
        let outside: Vec<_> = paths.iter().filter(|path| !path.starts_with("/x")).collect();
        assert_eq!(outside, [Path::new("/etc/govern/config.toml")]);
        let mut distinct = paths.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), paths.len(), "no two things share a place");
        assert_eq!(layout.bin(), Path::new("/x/bin"));
        assert_eq!(layout.index(), Path::new("/x/state/index.db"));
    }

    #[test]
    fn no_version_leads_out_of_its_directory() {
        let layout = Layout::under(Path::new("/x"));
        for text in ["1.22.4", "1.22.4-a.b_c", "1.22.4-x.lock", "1.9.2rc2"] {
            let version = Version::parse(text).unwrap();
            for (path, dir) in [
                (layout.sdk(&version), layout.sdks()),
                (layout.record(&version), layout.records()),
                (layout.lease(&version), layout.leases()),
                (layout.lock(&version), layout.leases()),
            ] {
                assert_eq!(path.parent(), Some(dir.as_path()), "{text}");
            }
        }
    }
}
