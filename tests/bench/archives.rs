//! The archives that an install is timed with: those of a directory, or two that are made from a Go on this machine, so
//! that their size and number of files are those of a release. Leaves out serving them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use govern_core::platform::Platform;
use govern_core::version::Version;

/// Of the files that are no programs, one in so many differs between the two that are made. From go1.24.11 to go1.24.12
/// it was one in 300, and every program.
const CHANGED: usize = 100;

/// A directory with the archive of a release, and maybe with that of another patch of its minor.
pub(crate) struct Archives {
    pub(crate) directory: PathBuf,
    pub(crate) first: Version,
    pub(crate) next: Option<Version>,
}

impl Archives {
    /// The oldest two patches of one minor for this machine, or the oldest release.
    pub(crate) fn given(directory: &Path) -> Option<Archives> {
        let platform = platform();
        let files = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        let mut versions: Vec<Version> = files
            .filter_map(|file| {
                let name = file.ok()?.file_name().into_string().ok()?;
                let (version, _) = name.strip_suffix(".tar.gz")?.rsplit_once('.')?;
                Version::parse(version).ok().filter(|version| platform.archive(version) == name)
            })
            .collect();
        versions.sort();
        let pair = versions.windows(2).find(|pair| pair[0].family() == pair[1].family());
        let (first, next) = match pair {
            Some(pair) => (pair[0].clone(), Some(pair[1].clone())),
            None => (versions.first()?.clone(), None),
        };
        Some(Archives { directory: directory.to_owned(), first, next })
    }

    /// Packs a release that is installed here, and what might be its next patch; `None` without one.
    pub(crate) fn made(scratch: &Path) -> Option<Archives> {
        let (goroot, first) = installed(scratch)?;
        let ((major, minor), patch) = (first.family()?, first.patch()?);
        let next = Version::parse(&format!("go{major}.{minor}.{}", patch + 1)).ok()?;
        let (tree, directory) = (scratch.join("tree/go"), scratch.join("archives"));
        fs::create_dir_all(scratch.join("tree")).unwrap();
        fs::create_dir(&directory).unwrap();
        // A distribution's Go consists of links in part.
        run(Command::new("cp").arg("-RL").arg(goroot).arg(&tree));
        run(Command::new("chmod").args(["-R", "u+w"]).arg(&tree));
        pack(&tree, &directory, &first);
        change(&tree, &next);
        pack(&tree, &directory, &next);
        Some(Archives { directory, first, next: Some(next) })
    }

    /// Where the archive of a release lies.
    pub(crate) fn path(&self, version: &Version) -> PathBuf {
        self.directory.join(platform().archive(version))
    }
}

fn platform() -> Platform {
    Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)
}

/// The GOROOT of the `go` on PATH, as long as that is no shim of ours, or the usual one, if it is of a release.
fn installed(elsewhere: &Path) -> Option<(PathBuf, Version)> {
    let said = |command: &mut Command| {
        let output = command.current_dir(elsewhere).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(said.trim())).filter(|path| path.is_absolute())
    };
    let go = said(Command::new("sh").args(["-c", "command -v go"]))
        .and_then(|go| go.canonicalize().ok())
        .filter(|go| !go.with_file_name("govern").exists());
    let asked = go
        .and_then(|go| said(Command::new(go).args(["env", "GOROOT"]).env("GOTOOLCHAIN", "local").env_remove("GOROOT")));
    asked.into_iter().chain([PathBuf::from("/usr/local/go")]).find_map(|goroot| {
        let text = fs::read_to_string(goroot.join("VERSION")).ok()?;
        let version = Version::parse(text.lines().next()?).ok()?;
        (version.patch().is_some() && version.suffix().is_none()).then_some((goroot, version))
    })
}

fn pack(tree: &Path, directory: &Path, version: &Version) {
    let archive = directory.join(platform().archive(version));
    run(Command::new("tar").arg("czf").arg(archive).arg("-C").arg(tree.parent().unwrap()).arg("go"));
}

/// Makes the tree that of another release: all programs differ, and some of the other files.
fn change(tree: &Path, version: &Version) {
    let mut files = Vec::new();
    collect(tree, &mut files);
    files.sort_unstable();
    for (at, path) in files.iter().enumerate() {
        let is_program = path.starts_with(tree.join("bin")) || path.starts_with(tree.join("pkg/tool"));
        if is_program || at.is_multiple_of(CHANGED) {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            writeln!(file, "\n// {version}").unwrap();
        }
    }
    fs::write(tree.join("VERSION"), format!("{}\n", version.toolchain())).unwrap();
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
