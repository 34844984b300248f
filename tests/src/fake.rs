//! SDKs of a few kilobytes, packed as the real ones are. Their `go` is a script that says who it is, what it was given
//! and what it sees of the environment.
//!
//! Leaves out everything that only a compiler can do: that is for the real SDKs of [`crate::wheels`].

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use govern_core::platform::Platform;
use govern_core::version::Version;
use sha2::{Digest as _, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::wheels::{Member, write_tarball};

/// The script behind `go` and `gofmt`. `go version` and `go env GOROOT` answer as the real one; `go exit N` ends with
/// that status; `go hold` says `holding` and runs until its standard input ends; everything else is told back.
const SCRIPT: &str = r#"#!/bin/sh
# A stand-in for @TOOL@ of @VERSION@.
# The shell alone: it must run without PATH.
root=$(CDPATH= cd -- "${0%/*}/.." && pwd -P)
case "@TOOL@ $1 $2" in
    "go version "*) echo "go version @VERSION@ @PLATFORM@"; exit ;;
    "go env GOROOT") echo "$root"; exit ;;
    "go env GOVERSION") echo "@VERSION@"; exit ;;
    "go exit "*) exit "$2" ;;
    "go hold "*) echo holding; while read -r _; do :; done; exit ;;
esac
echo "tool: @TOOL@ @VERSION@"
echo "directory: $(pwd)"
for argument; do echo "argument: $argument"; done
for name in GOROOT GOTOOLCHAIN GOVERN_GO_VERSION GOVERN_SET_GOTOOLCHAIN GOVERN_DEPTH GOFLAGS GOWORK; do
    eval "value=\${$name-(unset)}"
    [ "$value" = "(unset)" ] || echo "$name=$value"
done
"#;

/// The files of an SDK, without a leading `go/`, in the order of their names.
#[must_use]
pub fn files(version: &Version, platform: &Platform) -> Vec<Member> {
    let name = version.toolchain();
    let script = |tool: &str| {
        let text = SCRIPT.replace("@TOOL@", tool).replace("@VERSION@", &name);
        text.replace("@PLATFORM@", &platform.to_string()).into_bytes()
    };
    let tools = format!("pkg/tool/{}_{}", platform.os, platform.arch);
    let text = |path: &str, text: &str| Member::new(path, text.as_bytes().to_vec());
    let mut files = vec![
        text("LICENSE", "Nothing in here is Go.\n"),
        text("VERSION", &format!("{name}\ntime 2024-05-30T19:26:07Z\n")),
        // Not part of the module zip: it hashes to the same as the tarball only when these are left out.
        text("api/README", "api\n"),
        text("doc/README.md", "doc\n"),
        text("go.env", "GOPROXY=off\nGOSUMDB=off\nGOTOOLCHAIN=auto\n"),
        text("lib/time/README", "time\n"),
        text("lib/time/update.bash", "#!/bin/bash\n"),
        text("misc/go.mod", "module misc\n"),
        text("pkg/include/textflag.h", "#define NOSPLIT 4\n"),
        text("src/bytes/bytes.go", "package bytes\n"),
        text("src/cmd/go.mod", "module cmd\n\ngo 1.22\n"),
        text("src/cmd/go/main.go", "package main\n"),
        text("src/go.mod", "module std\n\ngo 1.22\n"),
        text("test/README.md", "test\n"),
        Member::new("bin/go", script("go")),
        Member::new("bin/gofmt", script("gofmt")),
    ];
    files.extend(["asm", "compile", "link"].map(|tool| Member::new(&format!("{tools}/{tool}"), script(tool))));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Writes `go1.22.4.linux-amd64.tar.gz` into `directory`, as the download page has it.
///
/// # Errors
/// When it cannot be written.
pub fn tarball(directory: &Path, version: &Version, platform: &Platform) -> io::Result<PathBuf> {
    let path = directory.join(platform.archive(version));
    write_tarball(File::create(&path)?, &files(version, platform))?;
    Ok(path)
}

/// Writes the zip of the module `golang.org/toolchain` into `directory`, as a module proxy has it.
///
/// # Errors
/// When it cannot be written.
pub fn module_zip(directory: &Path, version: &Version, platform: &Platform) -> io::Result<PathBuf> {
    let module_version = platform.module_version(version);
    let path = directory.join(format!("{module_version}.zip"));
    let mut zip = ZipWriter::new(File::create(&path)?);
    for (name, bytes) in in_module(&files(version, platform), version, platform) {
        // No mode: module zips have none that counts, whoever unpacks them must know.
        zip.start_file(name, SimpleFileOptions::default()).map_err(io::Error::other)?;
        zip.write_all(bytes)?;
    }
    zip.finish().map_err(io::Error::other)?;
    Ok(path)
}

/// Those of an SDK's files that its module has, by the names that they have there.
pub fn in_module<'a>(
    files: &'a [Member],
    version: &Version,
    platform: &Platform,
) -> impl Iterator<Item = (String, &'a [u8])> {
    let prefix = format!("golang.org/toolchain@{}", platform.module_version(version));
    let is_in = |file: &&Member| !["api/", "doc/", "misc/", "test/"].iter().any(|out| file.path.starts_with(out));
    files.iter().filter(is_in).map(move |file| {
        let name = match file.path.strip_suffix("go.mod") {
            Some(directory) if directory.is_empty() || directory.ends_with('/') => format!("{directory}_go.mod"),
            _ => file.path.clone(),
        };
        (format!("{prefix}/{name}"), file.bytes.as_slice())
    })
}

/// The module hash of an SDK's files: `dirhash.Hash1` of `golang.org/x/mod`, written down here once more.
#[must_use]
pub fn h1(files: &[Member], version: &Version, platform: &Platform) -> String {
    let mut lines: Vec<(String, String)> =
        in_module(files, version, platform).map(|(name, bytes)| (name, hex(&Sha256::digest(bytes)))).collect();
    lines.sort();
    let summary: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    format!("h1:{}", STANDARD.encode(Sha256::digest(summary)))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lays an unpacked SDK down as `goroot`, as another manager might have left it.
///
/// # Errors
/// When it cannot be written.
pub fn tree(goroot: &Path, version: &Version, platform: &Platform) -> io::Result<()> {
    for file in files(version, platform) {
        let path = goroot.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(goroot))?;
        fs::write(&path, &file.bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode()))?;
    }
    Ok(())
}
