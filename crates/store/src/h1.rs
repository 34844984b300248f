//! The hash of the module `golang.org/toolchain`, computed from a tree on disk: `dirhash.Hash1` over the names that
//! cmd/distpack gives the files (go-semantics C.5 and C.7). It is what the checksum database records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use govern_core::platform::Platform;
use govern_core::proof::Format;
use govern_core::version::Version;
use sha2::{Digest as _, Sha256};

use crate::manifest::TreeFile;
use crate::plan;

/// What cmd/distpack leaves out of the module, though the tarball has it.
const NOT_IN_MODULE: &[&str] = &["api/", "doc/", "misc/", "test/"];

/// The `h1:` hash of the module that consists of `files`, as unpacked from an archive of this format.
pub(crate) fn hash<'a>(
    format: Format,
    version: &Version,
    platform: &Platform,
    files: impl IntoIterator<Item = &'a TreeFile>,
) -> String {
    let prefix = plan::prefix(Format::ModuleZip, version, platform);
    let in_module = |path: &str| format == Format::ModuleZip || !NOT_IN_MODULE.iter().any(|top| path.starts_with(top));
    let mut names: Vec<_> = files
        .into_iter()
        .filter(|file| in_module(&file.path))
        .map(|file| (module_name(&prefix, &file.path), file.sha256))
        .collect();
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut summary = Sha256::new();
    for (name, sha256) in names {
        summary.update(format!("{sha256}  {name}\n"));
    }
    format!("h1:{}", STANDARD.encode(summary.finalize()))
}

fn module_name(prefix: &str, path: &str) -> String {
    let (directory, file) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let file = if file == "go.mod" { "_go.mod" } else { file };
    format!("{prefix}{directory}{file}")
}
