//! Whatever stands where the index should be: opening never panics, never loses the old file, and ends usable.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and this one prints its counts")]

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use govern_core::platform::Platform;
use govern_core::sdk::{Sdk, SdkFacts};
use govern_core::version::Version;
use govern_index::{Index, Opened, PinRow, Use};
use rusqlite::Connection;

const PAGE: usize = 4096;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn sdk(number: usize) -> SdkFacts {
    let version = Version::parse(&format!("1.22.{number}")).unwrap();
    SdkFacts {
        sdk: Sdk { goroot: Path::new("/home/ana/.local/share/govern/sdks").join(version.toolchain()), version },
        platform: Platform { os: "linux".to_owned(), arch: "amd64".to_owned() },
        source: "https://go.dev/dl/".to_owned(),
        proof: "sha256".to_owned(),
        proof_note: "the checksum database could not be asked".to_owned(),
        size: 240_000_000,
        files: 10_773,
        installed_at: 1_700_000_000,
    }
}

fn scan() -> Vec<SdkFacts> {
    (0..60).map(sdk).collect()
}

/// The bytes of an index of about fifteen pages: the database alone, and a log of changes not yet in it.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let (mut index, _) = Index::open(&path, now()).unwrap();
    index.replace_sdks(&scan()).unwrap();
    let project = |number: usize| PathBuf::from(format!("/home/ana/projects/number-{number}"));
    let one = |number: usize| Use {
        directory: project(number),
        version: sdk(number % 60).sdk.version,
        origin: format!("/home/ana/projects/number-{number}/.go-version:1"),
        kind: "pin".to_owned(),
        at: 1_700_000_000,
        count: 3,
    };
    index.record_use(&(0..150).map(one).collect::<Vec<_>>()).unwrap();
    for number in 0..100 {
        let (directory, text) = (project(number), "1.22.4".to_owned());
        let pin = PinRow { file: directory.join(".go-version"), directory, line: 1, text };
        index.replace_pins(&pin.directory.clone(), &[pin]).unwrap();
    }
    drop(index);
    let database = fs::read(&path).unwrap();
    let (mut index, _) = Index::open(&path, now()).unwrap();
    index.record_use(&(100..200).map(one).collect::<Vec<_>>()).unwrap();
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    assert!(database.len() >= 10 * PAGE && log.len() >= 4 * PAGE, "{} {}", database.len(), log.len());
    (database, log)
}

/// In memory where the system offers it: what is tested is bytes, and syncing thousands of files to a disk takes minutes.
fn quick_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Opens what `lay` puts there, and uses it as the daemon would.
fn open_and_use(lay: impl Fn(&Path)) -> Opened {
    let dir = quick_directory();
    let path = dir.path().join("index.db");
    lay(&path);
    let (mut index, opened) = Index::open(&path, now()).unwrap();
    if let Opened::Rebuilt { kept, reason } = &opened {
        assert!(fs::symlink_metadata(kept).is_ok() && !reason.is_empty(), "{opened:?}");
        assert_eq!(index.sdks().unwrap(), []);
        assert_eq!(index.projects(usize::MAX).unwrap(), []);
    }
    index.replace_sdks(&scan()).unwrap();
    let found: Vec<_> = index.sdks().unwrap().into_iter().map(|row| row.facts).collect();
    assert!(found == scan(), "{} SDKs after {opened:?}", found.len());
    index.record_use(&[Use { at: 9, ..used_somewhere() }]).unwrap();
    assert!(index.projects(usize::MAX).unwrap().iter().any(|project| project.directory == used_somewhere().directory));
    index.replace_pins(Path::new("/a"), &[]).unwrap();
    index.pins().unwrap();
    drop(index);
    assert_eq!(Index::open(&path, now()).unwrap().1, Opened::Fine, "the second opening after {opened:?}");
    opened
}

fn used_somewhere() -> Use {
    Use {
        directory: PathBuf::from("/somewhere"),
        version: sdk(1).sdk.version,
        origin: "govern default".to_owned(),
        kind: "default".to_owned(),
        at: 0,
        count: 1,
    }
}

fn is_kept_as(opened: &Opened, label: &str) -> bool {
    let name = format!("index.{label}-1800000000");
    matches!(opened, Opened::Rebuilt { kept, .. } if kept.file_name().is_some_and(|kept| *kept == *name))
}

/// Opens the sample with each of the mutations, and counts what was noticed.
fn try_all(what: &str, mutations: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> usize {
    let (mut tried, mut rebuilt) = (0, 0);
    for (database, log) in mutations {
        let opened = open_and_use(|path| {
            fs::write(path, &database).unwrap();
            if let Some(log) = &log {
                fs::write(path.with_extension("db-wal"), log).unwrap();
            }
        });
        tried += 1;
        rebuilt += usize::from(matches!(opened, Opened::Rebuilt { .. }));
    }
    println!("{what}: {tried} tried, all usable, {rebuilt} begun anew");
    rebuilt
}

/// Offsets that meet every part of a page: its header and its first pointers one by one, the rest in steps.
fn offsets(len: usize, step: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| at % PAGE < 12 || (*at < 100) || (at % PAGE) % step == 7)
}

#[test]
fn flipped_bytes_in_the_database() {
    let (database, _) = sample();
    let flip = |(at, mask): (usize, u8)| {
        let mut damaged = database.clone();
        damaged[at] ^= mask;
        (damaged, None)
    };
    let places = offsets(database.len(), 211).flat_map(|at| [(at, 0x01), (at, 0xff)]);
    assert!(try_all("flipped bytes", places.map(flip)) > 0);
}

#[test]
fn databases_cut_short_or_with_pages_of_zeros_or_of_each_other() {
    let (database, _) = sample();
    let pages = database.len() / PAGE;
    let cuts = (0..pages).flat_map(|page| [page * PAGE, page * PAGE + 1, page * PAGE + PAGE / 2]);
    let cut = cuts.map(|at| (database[..at].to_vec(), None));
    let zeroed = (0..pages).map(|page| {
        let mut damaged = database.clone();
        damaged[page * PAGE..(page + 1) * PAGE].fill(0);
        (damaged, None)
    });
    let swapped = (1..pages).map(|page| {
        let mut damaged = database.clone();
        damaged.copy_within(page * PAGE..(page + 1) * PAGE, (page - 1) * PAGE);
        (damaged, None)
    });
    assert!(try_all("cut, zeroed and swapped pages", cut.chain(zeroed).chain(swapped)) > pages);
}

#[test]
fn damaged_logs_cost_at_most_the_last_changes() {
    let (database, log) = sample();
    let flipped = offsets(log.len(), 509).map(|at| {
        let mut damaged = log.clone();
        damaged[at] ^= 0xff;
        (database.clone(), Some(damaged))
    });
    let cut = (0..log.len()).step_by(1031).map(|at| (database.clone(), Some(log[..at].to_vec())));
    let alone = [(Vec::new(), Some(log.clone())), (database.clone(), Some(vec![0xaa; 100_000]))];
    let rebuilt = try_all("damaged logs", flipped.chain(cut).chain(alone));
    assert_eq!(rebuilt, 0, "the checksums of the log find where it ends");
}

#[test]
fn a_log_without_its_database_is_no_database() {
    let (_, log) = sample();
    assert_eq!(open_and_use(|path| fs::write(path.with_extension("db-wal"), &log).unwrap()), Opened::Created);
}

#[test]
fn what_is_no_database_is_moved_aside() {
    let check = |what: &str, lay: &dyn Fn(&Path)| {
        let opened = open_and_use(lay);
        assert!(is_kept_as(&opened, "corrupt"), "{what}: {opened:?}");
    };
    check("garbage", &|path| fs::write(path, [0xa5; 10_000]).unwrap());
    check("text", &|path| fs::write(path, "1.22.4\n").unwrap());
    check("zeros", &|path| fs::write(path, [0; 10_000]).unwrap());
    check("directory", &|path| fs::create_dir(path).unwrap());
    check("full directory", &|path| fs::create_dir_all(path.join("more")).unwrap());
    check("socket", &|path| drop(UnixListener::bind(path).unwrap()));
    check("log is a directory", &|path| {
        drop(Index::open(path, now()).unwrap());
        fs::create_dir(path.with_extension("db-wal")).unwrap();
    });
    check("foreign database", &|path| {
        Connection::open(path).unwrap().execute_batch("CREATE TABLE recipes (x); PRAGMA user_version = 1").unwrap();
    });
    check("a missing table", &|path| {
        drop(Index::open(path, now()).unwrap());
        Connection::open(path).unwrap().execute_batch("DROP TABLE pins").unwrap();
    });
    check("a row that is no version", &|path| {
        let (mut index, _) = Index::open(path, now()).unwrap();
        index.put_sdk(&sdk(1)).unwrap();
        Connection::open(path).unwrap().execute_batch("UPDATE sdks SET version = '../../etc'").unwrap();
    });
    check("a column of another type", &|path| {
        let (mut index, _) = Index::open(path, now()).unwrap();
        index.put_sdk(&sdk(1)).unwrap();
        Connection::open(path)
            .unwrap()
            .execute_batch(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, 'STRICT, ', '') WHERE name = 'sdks';
                 PRAGMA writable_schema = RESET; UPDATE sdks SET size = 'many';
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, 'WITHOUT', 'STRICT, WITHOUT') WHERE name = 'sdks'",
            )
            .unwrap();
    });
}

#[test]
fn an_empty_file_is_a_new_index() {
    assert_eq!(open_and_use(|path| fs::write(path, "").unwrap()), Opened::Created);
}

#[test]
fn a_newer_schema_is_kept_for_the_newer_govern() {
    let lay = |path: &Path| {
        let (mut index, _) = Index::open(path, now()).unwrap();
        index.replace_sdks(&scan()).unwrap();
        Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 1000").unwrap();
    };
    let opened = open_and_use(lay);
    assert!(is_kept_as(&opened, "newer"), "{opened:?}");
    let Opened::Rebuilt { reason, .. } = opened else { unreachable!("it is kept") };
    assert!(reason.starts_with("it has schema 1000, this govern knows schemas up to "), "{reason}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    lay(&path);
    let (_index, opened) = Index::open(&path, now()).unwrap();
    let Opened::Rebuilt { kept, .. } = opened else { unreachable!("it is kept") };
    let rows: i64 =
        Connection::open(kept).unwrap().query_row("SELECT count(*) FROM sdks", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 60);
}

#[test]
fn every_damaged_file_of_one_second_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut names = Vec::new();
    for _ in 0..3 {
        fs::write(&path, [0xa5; 100]).unwrap();
        let Opened::Rebuilt { kept, .. } = Index::open(&path, now()).unwrap().1 else { unreachable!("it is damaged") };
        names.push(kept.file_name().unwrap().to_owned());
    }
    assert_eq!(names, ["index.corrupt-1800000000", "index.corrupt-1800000000.1", "index.corrupt-1800000000.2"]);
}

#[test]
fn a_busy_index_is_an_error_and_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    fs::write(&path, "").unwrap();
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (x); COMMIT").unwrap();
    let error = Index::open(&path, now()).unwrap_err();
    assert!(!error.is_damage(), "{error}");
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.retain(|name| !name.to_string_lossy().ends_with("-journal"));
    assert_eq!(names, ["index.db"]);
}
