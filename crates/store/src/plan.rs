//! Decides of every entry of an archive whether it may be written, and as what, as if every archive were hostile.
//! Knows no archive format and touches no file; the readers (`tar`, `zip`) ask it before they hand a byte on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use govern_core::platform::Platform;
use govern_core::proof::Format;
use govern_core::version::Version;

use crate::name;
use crate::refusal::Refusal;

/// The largest archive; real ones have 60 to 180 MB.
pub(crate) const MAX_ARCHIVE: u64 = 500 << 20;
/// The largest tree; real ones have 200 to 600 MB.
pub(crate) const MAX_TREE: u64 = 1 << 30;
/// The most entries; real ones have 11,000 to 17,000.
pub(crate) const MAX_ENTRIES: u32 = 60_000;
/// How many bytes may come out for each byte that went in. A whole SDK has 3 to 4; single files of it have up to 800,
/// but are small: the largest beyond 100 has 3 MB.
pub(crate) const MAX_RATIO: u64 = 100;
/// How many bytes may come out before the ratio counts.
pub(crate) const RATIO_FREE: u64 = 16 << 20;

/// A file that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedFile {
    /// Where, below the root of the tree.
    pub(crate) path: String,
    /// Whether it gets execute bits.
    pub(crate) executable: bool,
    /// How many bytes will come.
    pub(crate) size: u64,
}

/// What was admitted so far, and the rules for the rest.
pub(crate) struct Planner {
    format: Format,
    prefix: String,
    /// By folded name, so that names that differ in case meet.
    seen: HashMap<String, Seen>,
    entries: u32,
    bytes: u64,
}

struct Seen {
    path: Box<str>,
    kind: SeenKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeenKind {
    File,
    /// An entry of its own. May come after the files in it, but only once.
    ListedDirectory,
    /// Known only because something lies in it.
    ImpliedDirectory,
}

/// The one directory that everything in an archive is in, with a slash at its end.
pub(crate) fn prefix(format: Format, version: &Version, platform: &Platform) -> String {
    match format {
        Format::TarGz => "go/".to_owned(),
        Format::ModuleZip => format!("golang.org/toolchain@{}/", platform.module_version(version)),
    }
}

impl Planner {
    pub(crate) fn new(format: Format, version: &Version, platform: &Platform) -> Planner {
        let prefix = prefix(format, version, platform);
        Planner { format, prefix, seen: HashMap::new(), entries: 0, bytes: 0 }
    }

    /// Admits a directory, by its name without a slash at the end. The root gives `None`: it is there already.
    pub(crate) fn directory(&mut self, name: &[u8], mode: u32) -> Result<Option<String>, Refusal> {
        self.count(mode, 0)?;
        let name = name::parse(name).map_err(Refusal::Name)?;
        let path = if self.prefix.strip_suffix('/') == Some(name) { "" } else { self.below_prefix(name)? };
        self.parents(path)?;
        match self.seen.entry(name::fold(path)) {
            Entry::Vacant(free) => {
                free.insert(Seen { path: path.into(), kind: SeenKind::ListedDirectory });
            }
            Entry::Occupied(mut taken) => {
                let seen = taken.get_mut();
                if *seen.path != *path {
                    return Err(Refusal::CaseCollision(seen.path.to_string()));
                }
                match seen.kind {
                    SeenKind::File => return Err(Refusal::FileAndDirectory(path.to_owned())),
                    SeenKind::ListedDirectory => return Err(Refusal::Duplicate),
                    SeenKind::ImpliedDirectory => seen.kind = SeenKind::ListedDirectory,
                }
            }
        }
        Ok((!path.is_empty()).then(|| path.to_owned()))
    }

    /// Admits a regular file with the mode and the size that the archive declares.
    pub(crate) fn file(&mut self, name: &[u8], mode: u32, size: u64) -> Result<PlannedFile, Refusal> {
        self.count(mode, size)?;
        let name = name::parse(name).map_err(Refusal::Name)?;
        let listed = self.below_prefix(name)?;
        let (path, executable) = match self.format {
            Format::TarGz => (tar_path(listed)?, mode & 0o111 != 0),
            Format::ModuleZip => {
                let path = module_path(listed)?;
                let executable = runs_after_unpacking(&path);
                (path, executable)
            }
        };
        self.parents(&path)?;
        match self.seen.entry(name::fold(&path)) {
            Entry::Vacant(free) => {
                free.insert(Seen { path: path.as_str().into(), kind: SeenKind::File });
            }
            Entry::Occupied(taken) => return Err(collision(taken.get(), &path, SeenKind::File)),
        }
        Ok(PlannedFile { path, executable, size })
    }

    fn count(&mut self, mode: u32, size: u64) -> Result<(), Refusal> {
        if mode & 0o7000 != 0 {
            return Err(Refusal::SpecialMode(mode & 0o7777));
        }
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Refusal::TooManyEntries(MAX_ENTRIES));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MAX_TREE {
            return Err(Refusal::TreeTooLarge(MAX_TREE));
        }
        Ok(())
    }

    fn below_prefix<'n>(&self, name: &'n str) -> Result<&'n str, Refusal> {
        name.strip_prefix(&self.prefix).ok_or_else(|| Refusal::Outside(self.prefix.clone()))
    }

    /// Sees to it that everything above `path` is a directory and nothing else.
    fn parents(&mut self, path: &str) -> Result<(), Refusal> {
        for (at, _) in path.rmatch_indices('/') {
            let parent = &path[..at];
            match self.seen.entry(name::fold(parent)) {
                Entry::Vacant(free) => {
                    free.insert(Seen { path: parent.into(), kind: SeenKind::ImpliedDirectory });
                }
                // Whatever is above a known directory was seen to when the directory became known.
                Entry::Occupied(taken) if *taken.get().path == *parent && taken.get().kind != SeenKind::File => {
                    return Ok(());
                }
                Entry::Occupied(taken) => {
                    return Err(collision(taken.get(), parent, SeenKind::ImpliedDirectory));
                }
            }
        }
        Ok(())
    }
}

fn collision(seen: &Seen, path: &str, kind: SeenKind) -> Refusal {
    if *seen.path != *path {
        Refusal::CaseCollision(seen.path.to_string())
    } else if (seen.kind == SeenKind::File) == (kind == SeenKind::File) {
        Refusal::Duplicate
    } else {
        Refusal::FileAndDirectory(path.to_owned())
    }
}

/// In a tarball files have the names of the tree. `_go.mod` is refused: in the module it would be taken for a
/// renamed `go.mod`, so that two different trees had one hash.
fn tar_path(listed: &str) -> Result<String, Refusal> {
    if file_name(listed).eq_ignore_ascii_case("_go.mod") {
        return Err(Refusal::ModuleFile("_go.mod"));
    }
    Ok(listed.to_owned())
}

/// In a module zip each `go.mod` is called `_go.mod`, because a module may not hold other modules.
fn module_path(listed: &str) -> Result<String, Refusal> {
    let file = file_name(listed);
    if file.eq_ignore_ascii_case("go.mod") {
        return Err(Refusal::ModuleFile("go.mod"));
    }
    if file == "_go.mod" {
        return Ok(format!("{}go.mod", &listed[..listed.len() - file.len()]));
    }
    Ok(listed.to_owned())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The files to which cmd/go gives execute bits after it has unpacked a toolchain module (go-semantics C.6).
fn runs_after_unpacking(path: &str) -> bool {
    // `go_?*_?*_exec` as filepath.Match reads it.
    let exec_wrapper = |name: &str| {
        let middle =
            name.strip_prefix("go_").and_then(|rest| rest.strip_suffix("_exec")).unwrap_or_default().as_bytes();
        middle.iter().enumerate().any(|(at, byte)| *byte == b'_' && at > 0 && at + 1 < middle.len())
    };
    path.starts_with("bin/")
        || path.starts_with("pkg/tool/")
        || (path.starts_with("lib/") && exec_wrapper(file_name(path)))
}

#[cfg(test)]
mod tests {
    use govern_core::platform::Platform;
    use govern_core::proof::Format;
    use govern_core::version::Version;

    use super::{MAX_ENTRIES, MAX_TREE, Planner, runs_after_unpacking};
    use crate::refusal::Refusal;

    fn planner(format: Format) -> Planner {
        let platform = Platform { os: "linux".to_owned(), arch: "amd64".to_owned() };
        Planner::new(format, &Version::parse("1.22.4").unwrap(), &platform)
    }

    #[test]
    fn a_directory_may_come_after_the_files_in_it_but_only_once() {
        let mut plan = planner(Format::TarGz);
        plan.file(b"go/src/a.go", 0o644, 1).unwrap();
        assert_eq!(plan.directory(b"go/src", 0o755), Ok(Some("src".to_owned())));
        assert_eq!(plan.directory(b"go/src", 0o755), Err(Refusal::Duplicate));
        assert_eq!(plan.directory(b"go", 0o755), Ok(None));
        assert_eq!(plan.directory(b"go", 0o755), Err(Refusal::Duplicate));
        plan.file(b"go/src/b.go", 0o644, 1).unwrap();
    }

    #[test]
    fn names_that_meet_on_some_file_system_are_refused() {
        let mut plan = planner(Format::TarGz);
        plan.file(b"go/src/a/x", 0o644, 1).unwrap();
        let case = |with: &str| Err(Refusal::CaseCollision(with.to_owned()));
        let both = |path: &str| Err(Refusal::FileAndDirectory(path.to_owned()));
        assert_eq!(plan.file(b"go/src/a/x", 0o644, 1), Err(Refusal::Duplicate));
        assert_eq!(plan.file(b"go/src/a/X", 0o644, 1), case("src/a/x"));
        assert_eq!(plan.file(b"go/src/A/y", 0o644, 1), case("src/a"));
        assert_eq!(plan.file(b"go/SRC/b/y", 0o644, 1), case("src"));
        assert_eq!(plan.directory(b"go/Src", 0o755).map(|_| ()), case("src").map(|_: Planned| ()));
        assert_eq!(plan.file(b"go/src/a", 0o644, 1), both("src/a"));
        assert_eq!(plan.file(b"go/src/a/x/y", 0o644, 1), both("src/a/x"));
        assert_eq!(plan.directory(b"go/src/a/x", 0o755).map(|_| ()), both("src/a/x").map(|_: Planned| ()));
    }

    type Planned = super::PlannedFile;

    #[test]
    fn sums_are_capped_before_anything_is_written() {
        let mut plan = planner(Format::TarGz);
        plan.file(b"go/a", 0o644, MAX_TREE).unwrap();
        assert_eq!(plan.file(b"go/b", 0o644, 1), Err(Refusal::TreeTooLarge(MAX_TREE)));
        assert_eq!(plan.file(b"go/c", 0o644, u64::MAX), Err(Refusal::TreeTooLarge(MAX_TREE)));
        let mut plan = planner(Format::TarGz);
        for n in 0..MAX_ENTRIES {
            plan.file(format!("go/{n}").as_bytes(), 0o644, 0).unwrap();
        }
        assert_eq!(plan.file(b"go/x", 0o644, 0), Err(Refusal::TooManyEntries(MAX_ENTRIES)));
    }

    #[test]
    fn module_files_are_renamed_and_never_meet() {
        let mut zip = planner(Format::ModuleZip);
        let name = |rest: &str| format!("golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64/{rest}").into_bytes();
        assert_eq!(zip.file(&name("src/_go.mod"), 0, 1).unwrap().path, "src/go.mod");
        assert_eq!(zip.file(&name("src/go.mod"), 0, 1), Err(Refusal::ModuleFile("go.mod")));
        assert_eq!(zip.file(&name("src/_GO.mod"), 0, 1).unwrap().path, "src/_GO.mod");
        let mut tar = planner(Format::TarGz);
        assert_eq!(tar.file(b"go/src/go.mod", 0, 1).unwrap().path, "src/go.mod");
        assert_eq!(tar.file(b"go/src/_go.mod", 0, 1), Err(Refusal::ModuleFile("_go.mod")));
    }

    #[test]
    fn execute_bits_are_those_of_cmd_go() {
        for path in ["bin/go", "bin/gofmt", "bin/x/y", "pkg/tool/linux_amd64/asm", "lib/wasm/go_js_wasm_exec"] {
            assert!(runs_after_unpacking(path), "{path}");
        }
        for path in
            ["src/make.bash", "lib/wasm/go_js_exec", "lib/go__x_exec", "lib/go_x__exec", "misc/go_a_b_exec", "pkg/x"]
        {
            assert!(!runs_after_unpacking(path), "{path}");
        }
    }
}
