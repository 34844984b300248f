//! What an archive holds, worked out from the bytes that come out of it: path, size, mode and digest of every file, and
//! which release it says it is. Writes nothing.

use govern_core::origin::escaped_text;
use govern_core::platform::Platform;
use govern_core::proof;
use govern_core::version::Version;
use rustix::fs::Mode;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::pipe::Sink;
use crate::plan::PlannedFile;
use crate::refusal::Refusal;
use crate::tree::mode;

/// What of `VERSION` is kept: more than the longest first line that can be right.
const VERSION_HEAD: usize = 256;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    /// Below the root, with slashes.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) executable: bool,
    pub(crate) sha256: proof::Sha256,
}

impl TreeFile {
    /// The mode that the file has on disk.
    pub(crate) fn mode(&self) -> Mode {
        mode(self.executable)
    }
}

/// What came so far.
#[derive(Default)]
pub(crate) struct Manifest {
    files: Vec<TreeFile>,
    /// The beginning of `VERSION`, caught as its bytes pass.
    version: Vec<u8>,
    open: Option<(TreeFile, Sha256)>,
}

impl Manifest {
    /// The files, in the order of the archive.
    pub(crate) fn files(&self) -> &[TreeFile] {
        &self.files
    }

    pub(crate) fn into_files(self) -> Vec<TreeFile> {
        self.files
    }

    /// The first line of `VERSION`; empty where there is no such file.
    pub(crate) fn go_version(&self) -> String {
        String::from_utf8_lossy(&self.version).lines().next().unwrap_or_default().trim_end().to_owned()
    }

    /// Refuses a tree that is not the SDK that was asked for.
    pub(crate) fn judge(&self, archive: &str, version: &Version, platform: &Platform) -> Result<(), Error> {
        let Some(what) = self.missing_of_sdk(&version.toolchain()) else { return Ok(()) };
        let reason = Refusal::NotAnSdk { platform: platform.clone(), what };
        Err(Error::Refused { archive: archive.to_owned(), entry: None, reason })
    }

    /// What keeps the tree from being the SDK `toolchain`, if anything does.
    fn missing_of_sdk(&self, toolchain: &str) -> Option<String> {
        let go_version = self.go_version();
        if go_version != toolchain {
            let found = if go_version.is_empty() { "nothing" } else { &go_version };
            return Some(format!("its VERSION names {}, not {toolchain}", escaped_text(found)));
        }
        for program in ["bin/go", "bin/gofmt"] {
            match self.files.iter().find(|file| file.path == program) {
                None => return Some(format!("{program} is missing")),
                Some(file) if !file.executable => return Some(format!("{program} is not executable")),
                Some(_) => {}
            }
        }
        let has_tools = self.files.iter().any(|file| file.path.starts_with("pkg/tool/"));
        (!has_tools).then(|| "pkg/tool holds nothing".to_owned())
    }
}

impl Sink for Manifest {
    fn begin(&mut self, planned: &PlannedFile) -> Result<(), Error> {
        let PlannedFile { path, executable, .. } = planned;
        let file = TreeFile {
            path: path.clone(),
            size: 0,
            executable: *executable,
            sha256: proof::Sha256(Default::default()),
        };
        self.open = Some((file, Sha256::new()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (file, hash) = self.open.as_mut().expect("a reader begins a file before it writes");
        if file.path == "VERSION" {
            let room = VERSION_HEAD.saturating_sub(self.version.len());
            self.version.extend(bytes.iter().take(room));
        }
        file.size += bytes.len() as u64;
        hash.update(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let (mut file, hash) = self.open.take().expect("a reader begins a file before it ends it");
        file.sha256 = proof::Sha256(hash.finalize().into());
        self.files.push(file);
        Ok(())
    }
}
