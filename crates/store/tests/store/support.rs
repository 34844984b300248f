//! A store in a temporary directory, a small SDK to put into it, and a picture of a directory to compare.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use govern_core::event::Event;
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::proof::{Artifact, Evidence, Expected, Format, Log, LogRequired, Proof};
use govern_core::sdk::Sdk;
use govern_core::version::Version;
use govern_store::{Error, Proven, Store, Unpacked};
use tempfile::TempDir;

use crate::archives;

pub(crate) const SOURCE: &str = "https://dl.example/go1.22.4.linux-amd64.tar.gz";
pub(crate) const INSTALLED_AT: u64 = 1_700_000_000;

/// A file of an SDK: content and whether it may be run.
pub(crate) type Files = BTreeMap<String, (Vec<u8>, bool)>;

pub(crate) fn version() -> Version {
    Version::parse("1.22.4").unwrap()
}

pub(crate) fn platform() -> Platform {
    Platform { os: "linux".to_owned(), arch: "amd64".to_owned() }
}

pub(crate) fn silent(_: Event) {}

/// The smallest tree that is an SDK, with one file of each sort that has a rule of its own.
pub(crate) fn small_sdk(version: &Version) -> Files {
    let file = |path: &str, content: &str, exec: bool| (path.to_owned(), (content.as_bytes().to_vec(), exec));
    Files::from([
        file("VERSION", &format!("{}\ntime 2024-05-30T19:26:07Z\n", version.toolchain()), false),
        file("api/go1.txt", "pkg archive/tar, const TypeBlock = 52\n", false),
        file("bin/go", "#!/bin/sh\necho go\n", true),
        file("bin/gofmt", "#!/bin/sh\necho gofmt\n", true),
        file("lib/wasm/go_js_wasm_exec", "#!/bin/sh\n", true),
        file("misc/go.mod", "module misc\n", false),
        file("pkg/tool/linux_amd64/compile", "\x7fELF", true),
        file("src/cmd/go.mod", "module cmd\n", false),
        file("src/empty", "", false),
        file("src/go.mod", "module std\n", false),
        file("src/make.bash", "#!/usr/bin/env bash\n", true),
        file("test/fixedbugs/issue27836.dir/Þfoo.go", "package foo\n", false),
    ])
}

/// The four files without which a tree is no SDK, for tests that unpack it thousands of times.
pub(crate) fn tiny_sdk(version: &Version) -> Files {
    let mut files = small_sdk(version);
    files.retain(|path, _| ["VERSION", "bin/go", "bin/gofmt", "pkg/tool/linux_amd64/compile"].contains(&path.as_str()));
    files
}

/// A store of its own, with something beside it that nobody may touch.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) layout: Layout,
    pub(crate) store: Store,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home::at(tempfile::tempdir().unwrap())
    }

    /// In memory where the system has a place for that: some disks take a minute for the 60,000 files of one archive.
    pub(crate) fn in_memory() -> Home {
        Home::at(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn at(dir: TempDir) -> Home {
        let layout = Layout::under(&dir.path().join("home"));
        let store = Store::open(&layout).unwrap();
        fs::write(dir.path().join("canary"), "untouched").unwrap();
        // The lock file stays after its first use, and is no trace of an archive.
        drop(store.lock(&version(), &silent).unwrap());
        Home { dir, layout, store }
    }

    /// Everything below the temporary directory, the canary included.
    pub(crate) fn picture(&self) -> BTreeMap<PathBuf, String> {
        picture(self.dir.path())
    }

    pub(crate) fn unpack(&self, format: Format, archive: &[u8]) -> Result<Unpacked, Error> {
        self.unpack_as(&version(), format, archive)
    }

    pub(crate) fn unpack_as(&self, version: &Version, format: Format, archive: &[u8]) -> Result<Unpacked, Error> {
        let staging = self.store.stage(self.store.lock(version, &silent)?, &platform())?;
        match format {
            Format::TarGz => staging.unpack_tar_gz(&mut &*archive, &silent),
            Format::ModuleZip => staging.unpack_module_zip(Cursor::new(archive), &silent),
        }
    }

    /// Unpacks and proves the small SDK.
    pub(crate) fn proven(&self, version: &Version) -> Proven {
        let unpacked = self.unpack_as(version, Format::TarGz, &archives::tar_gz(&small_sdk(version))).unwrap();
        let proof = proof(unpacked.evidence());
        unpacked.prove(proof).unwrap()
    }

    pub(crate) fn install(&self, version: &Version) -> Sdk {
        self.proven(version).publish(SOURCE, now()).unwrap()
    }

    /// Names in the directory of the SDKs that start with a dot.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.layout.sdks()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

/// An SDK is read-only, and a `TempDir` of another user than root could not delete it.
impl Drop for Home {
    fn drop(&mut self) {
        for (path, _) in self.picture() {
            let path = self.dir.path().join(path);
            if path.is_dir() && !path.is_symlink() {
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
            }
        }
    }
}

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(INSTALLED_AT)
}

/// A proof of exactly these bytes by their digest.
pub(crate) fn proof(evidence: &Evidence) -> Proof {
    let artifact = Artifact {
        version: version(),
        platform: platform(),
        url: SOURCE.to_owned(),
        format: Format::TarGz,
        size: None,
        expected: Expected { sha256: Some(evidence.sha256), log: Log::OutOfReach("no network in tests".to_owned()) },
    };
    artifact.check(evidence.clone(), LogRequired::No).unwrap()
}

/// Paths, modes and contents of everything below a directory.
pub(crate) fn picture(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut picture = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = match meta.file_type() {
            kind if kind.is_dir() => {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                String::new()
            }
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
            _ => String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
        };
        picture.insert(path.strip_prefix(root).unwrap().to_owned(), format!("{:o} {content}", meta.mode()));
    }
    picture
}
