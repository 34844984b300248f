//! Every schema that was ever released opens, keeps its rows, and ends equal to a new one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use govern_core::version::Version;
use govern_index::{Index, Opened};
use rusqlite::Connection;

/// The databases of the past, by schema.
const FIXTURES: &[&str] = &[include_str!("schema-1.sql")];

fn objects(path: &Path) -> Vec<(String, String)> {
    let conn = Connection::open(path).unwrap();
    let mut query = conn.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

fn user_version(path: &Path) -> usize {
    let version: u32 =
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    version as usize
}

#[test]
fn every_old_schema_migrates_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = dir.path().join("fresh.db");
    drop(Index::open(&fresh, SystemTime::UNIX_EPOCH).unwrap());
    assert_eq!(user_version(&fresh), FIXTURES.len(), "a new schema comes with the database of the one before it");

    for (number, sql) in FIXTURES.iter().enumerate() {
        let path = dir.path().join(format!("schema-{}.db", number + 1));
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        assert_eq!(user_version(&path), number + 1);

        let (index, opened) = Index::open(&path, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(opened, Opened::Fine);
        let sdks = index.sdks().unwrap();
        let versions: Vec<_> = sdks.iter().map(|sdk| sdk.facts.sdk.version.as_str()).collect();
        assert_eq!(versions, ["1.9.2rc2", "1.22.4"]);
        assert_eq!(sdks[1].facts.sdk.goroot, PathBuf::from("/g/sdks/go1.22.4"));
        assert_eq!((sdks[1].facts.size, sdks[1].facts.files), (240_000_000, 10_773));
        assert_eq!((sdks[0].last_used, sdks[1].last_used), (None, Some(1_700_000_500)));
        let projects = index.projects(usize::MAX).unwrap();
        assert_eq!(projects[0].directory.as_os_str(), OsStr::from_bytes(b"/home/ana/\xffshop"));
        assert_eq!((projects[0].version.clone(), projects[0].count), (Version::parse("1.22.4").unwrap(), 42));
        assert_eq!(index.pins().unwrap()[0].text, "1.22.4");
        assert_eq!(index.overrides().unwrap(), [(PathBuf::from("/home/ana/old"), "1.20".to_owned())]);
        drop(index);

        assert_eq!(user_version(&path), FIXTURES.len());
        assert_eq!(objects(&path), objects(&fresh), "schema {} ends elsewhere than a new index", number + 1);
    }
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.retain(|name| name.to_string_lossy().contains("corrupt"));
    assert!(names.is_empty(), "{names:?}");
}
