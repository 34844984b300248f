//! What is written is what is read, and what must outlive a scan does.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use govern_core::platform::Platform;
use govern_core::sdk::{Sdk, SdkFacts};
use govern_core::version::Version;
use govern_index::{Index, Opened, PinRow, Project, Use};

fn open(path: &Path) -> Index {
    Index::open(path, SystemTime::UNIX_EPOCH).unwrap().0
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn sdk(text: &str) -> SdkFacts {
    let version = version(text);
    SdkFacts {
        sdk: Sdk { goroot: Path::new("/g/sdks").join(version.toolchain()), version },
        platform: Platform { os: "linux".to_owned(), arch: "amd64".to_owned() },
        source: "https://go.dev/dl/".to_owned(),
        proof: "log".to_owned(),
        proof_note: "record 25".to_owned(),
        size: 240_000_000,
        files: 10_773,
        installed_at: 1_700_000_000,
    }
}

fn used(directory: &Path, text: &str, at: u64, count: u32) -> Use {
    Use {
        directory: directory.to_owned(),
        version: version(text),
        origin: format!("{}/.go-version:1", directory.display()),
        kind: "pin".to_owned(),
        at,
        count,
    }
}

fn versions(index: &Index) -> Vec<String> {
    index.sdks().unwrap().iter().map(|row| row.facts.sdk.version.to_string()).collect()
}

#[test]
fn the_table_equals_the_last_scan_in_the_order_of_versions() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(&dir.path().join("index.db"));
    index.replace_sdks(&[sdk("1.9.7"), sdk("1.22.4"), sdk("1.10")]).unwrap();
    assert_eq!(versions(&index), ["1.9.7", "1.10", "1.22.4"]);
    index.replace_sdks(&[sdk("1.22.4"), sdk("1.23rc1")]).unwrap();
    assert_eq!(versions(&index), ["1.22.4", "1.23rc1"]);
    assert_eq!(index.sdks().unwrap()[0].facts, sdk("1.22.4"));

    let repaired = SdkFacts { proof: "none".to_owned(), size: u64::MAX, ..sdk("1.22.4") };
    index.put_sdk(&repaired).unwrap();
    let row = index.sdks().unwrap().remove(0);
    assert_eq!((row.facts.proof.as_str(), row.facts.size), ("none", i64::MAX as u64), "sizes saturate");
    index.remove_sdk(&version("1.22.4")).unwrap();
    index.remove_sdk(&version("1.2.3")).unwrap();
    assert_eq!(versions(&index), ["1.23rc1"]);
}

#[test]
fn use_outlives_a_scan_but_not_the_sdk() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(&dir.path().join("index.db"));
    index.replace_sdks(&[sdk("1.22.4"), sdk("1.23.0")]).unwrap();
    index.record_use(&[used(Path::new("/a"), "1.22.4", 500, 1)]).unwrap();
    index.replace_sdks(&[sdk("1.22.4"), sdk("1.23.0")]).unwrap();
    index.put_sdk(&sdk("1.22.4")).unwrap();
    let last: Vec<_> = index.sdks().unwrap().iter().map(|row| row.last_used).collect();
    assert_eq!(last, [Some(500), None]);

    // A new install of a version that was once used must not look like one that nobody used for a year.
    index.remove_sdk(&version("1.22.4")).unwrap();
    index.put_sdk(&sdk("1.22.4")).unwrap();
    assert_eq!(index.sdks().unwrap()[0].last_used, None);
}

#[test]
fn a_project_keeps_its_first_and_last_use_its_count_and_its_newest_decision() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut index = open(&path);
    let here = Path::new(OsStr::from_bytes(b"/home/\xff\xfe/shop"));
    index.record_use(&[used(here, "1.22.4", 100, 3), used(Path::new("/b"), "1.20", 7, 1)]).unwrap();
    // The clock was set back: the decision is newer all the same, and the times do not shrink.
    index.record_use(&[used(here, "1.22.4", 900, 1), used(here, "1.23.0", 50, 2)]).unwrap();
    drop(index);

    let mut index = open(&path);
    let expect = Project {
        directory: here.to_owned(),
        version: version("1.23.0"),
        origin: used(here, "1.23.0", 0, 0).origin,
        kind: "pin".to_owned(),
        first_use: 50,
        last_use: 900,
        count: 6,
    };
    assert_eq!(index.projects(usize::MAX).unwrap()[0], expect);
    index.forget_project(here).unwrap();
    index.forget_project(here).unwrap();
    let left: Vec<_> = index.projects(usize::MAX).unwrap().into_iter().map(|project| project.directory).collect();
    assert_eq!(left, [PathBuf::from("/b")]);
}

#[test]
fn of_many_projects_those_with_a_wish_come_first_and_then_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(&dir.path().join("index.db"));
    let passing = |path: &str, at| Use { kind: "default".to_owned(), ..used(Path::new(path), "1.22.4", at, 1) };
    let wish = |path: &str, at| used(Path::new(path), "1.22.4", at, 1);
    index.record_use(&[passing("/d", 900), wish("/a", 5), wish("/b", 7), passing("/c", 901)]).unwrap();
    let shown =
        |most| -> Vec<_> { index.projects(most).unwrap().into_iter().map(|project| project.directory).collect() };
    assert_eq!(shown(3), ["/b", "/a", "/c"].map(PathBuf::from));
    assert!(shown(0).is_empty());
    let mut all = 0;
    index.each_project(|_| all += 1).unwrap();
    assert_eq!(all, 4);
}

#[test]
fn pins_of_one_directory_are_replaced_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(&dir.path().join("index.db"));
    let pin = |directory: &str, file: &str, line, text: &str| PinRow {
        directory: PathBuf::from(directory),
        file: Path::new(directory).join(file),
        line,
        text: text.to_owned(),
    };
    let tools = pin("/a", ".tool-versions", 3, "1.24.11");
    index.replace_pins(Path::new("/a"), &[pin("/a", ".go-version", 1, "1.22"), tools.clone()]).unwrap();
    index.replace_pins(Path::new("/b"), &[pin("/b", "go.mod", 5, "go1.27.3")]).unwrap();
    index.replace_pins(Path::new("/a"), std::slice::from_ref(&tools)).unwrap();
    assert_eq!(index.pins().unwrap(), [tools, pin("/b", "go.mod", 5, "go1.27.3")]);
    index.replace_pins(Path::new("/b"), &[]).unwrap();
    assert_eq!(index.pins().unwrap().len(), 1);

    let overrides = [(PathBuf::from("/a"), "1.22".to_owned()), (PathBuf::from("/b"), "tip".to_owned())];
    index.replace_overrides(&overrides).unwrap();
    index.replace_overrides(&overrides[1..]).unwrap();
    assert_eq!(index.overrides().unwrap(), overrides[1..]);
}

#[test]
fn the_index_is_private_and_remembers_across_openings() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/govern/index.db");
    let (mut index, opened) = Index::open(&path, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(opened, Opened::Created);
    index.put_sdk(&sdk("1.22.4")).unwrap();
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let mode = path.with_file_name(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    drop(index);
    let (index, opened) = Index::open(&path, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((opened, versions(&index)), (Opened::Fine, vec!["1.22.4".to_owned()]));
}

#[test]
fn one_unwritable_row_undoes_the_whole_batch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut index = open(&path);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER t BEFORE INSERT ON projects WHEN NEW.count = 13 BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let error =
        index.record_use(&[used(Path::new("/a"), "1.22.4", 1, 1), used(Path::new("/b"), "1.22.4", 1, 13)]).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the projects to the index");
    assert_eq!(index.projects(usize::MAX).unwrap(), []);
    index.record_use(&[used(Path::new("/a"), "1.22.4", 1, 1)]).unwrap();
    assert_eq!(index.projects(usize::MAX).unwrap().len(), 1);
}
