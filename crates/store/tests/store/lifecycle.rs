//! An SDK from staging to the trash, within one process.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use govern_core::event::Event;
use govern_core::proof::{Artifact, Evidence, Expected, Format, Log, LogRecord, LogRequired, Proof};
use govern_core::version::Version;
use govern_store::{Damage, Error, Store};

use crate::archives::{module_zip, tar_gz};
use crate::support::{Home, INSTALLED_AT, SOURCE, now, picture, platform, proof, silent, small_sdk, version};

fn versions(names: &[&str]) -> Vec<Version> {
    names.iter().map(|name| Version::parse(name).unwrap()).collect()
}

#[test]
fn a_published_sdk_is_found_with_its_facts() {
    let home = Home::new();
    let sdk = home.install(&version());
    assert_eq!(home.store.sdk(&version()), Some(sdk.clone()));
    assert_eq!(home.store.sdks().unwrap(), vec![sdk.clone()]);
    let facts = home.store.facts(&version()).unwrap();
    let files = small_sdk(&version());
    assert_eq!((facts.sdk, facts.platform), (sdk, platform()));
    assert_eq!((facts.source.as_str(), facts.proof.as_str()), (SOURCE, "sha256"));
    assert_eq!(facts.proof_note, "no network in tests");
    assert_eq!(facts.size, files.values().map(|(content, _)| content.len() as u64).sum::<u64>());
    assert_eq!((facts.files, facts.installed_at), (files.len() as u64, INSTALLED_AT));
    assert_eq!(home.leftovers(), Vec::<String>::new());
}

/// The word of a checksum database that agrees.
fn log_proof(evidence: &Evidence) -> Proof {
    let (database, h1) = ("sum.example".to_owned(), evidence.h1.clone());
    let artifact = Artifact {
        version: version(),
        platform: platform(),
        url: SOURCE.to_owned(),
        format: Format::ModuleZip,
        size: None,
        expected: Expected {
            sha256: None,
            log: Log::Record(LogRecord { database, id: 24_929_362, tree_size: 28_905_453, h1 }),
        },
    };
    artifact.check(evidence.clone(), LogRequired::Yes).unwrap()
}

#[test]
fn a_log_proof_is_told_by_its_record() {
    let home = Home::new();
    let unpacked = home.unpack(Format::ModuleZip, &module_zip(&small_sdk(&version()))).unwrap();
    let proof = log_proof(unpacked.evidence());
    unpacked.prove(proof).unwrap().publish(SOURCE, now()).unwrap();
    let facts = home.store.facts(&version()).unwrap();
    assert_eq!((facts.proof.as_str(), facts.proof_note.as_str()), ("log", "record 24929362 of sum.example"));
}

#[test]
fn a_proof_found_later_is_written_down_and_a_weaker_one_is_not() {
    let home = Home::new();
    home.install(&version());
    let evidence = home.store.evidence(&version()).unwrap();
    let mut other = evidence.clone();
    other.h1.push('x');
    assert!(matches!(home.store.reprove(&version(), &log_proof(&other)), Err(Error::ForeignProof { .. })));
    assert_eq!(home.store.facts(&version()).unwrap().proof, "sha256");
    home.store.reprove(&version(), &log_proof(&evidence)).unwrap();
    home.store.reprove(&version(), &proof(&evidence)).unwrap();
    assert_eq!(home.store.facts(&version()).unwrap().proof, "log");
    assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
}

#[test]
fn a_record_is_one_json_document_with_everything_that_a_check_needs() {
    let home = Home::new();
    home.install(&version());
    let text = fs::read_to_string(home.layout.record(&version())).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["schema"], 1);
    assert_eq!(record["version"], "1.22.4");
    assert_eq!(record["go_version"], "go1.22.4");
    assert_eq!(record["format"], "tar.gz");
    assert_eq!(record["proof"]["sha256_listed"], true);
    assert!(record["proof"]["h1"].as_str().unwrap().starts_with("h1:"));
    assert_eq!(record["manifest"].as_array().unwrap().len(), 12);
    assert_eq!(record["manifest"][2]["path"], "bin/go");
    assert_eq!(record["manifest"][2]["exec"], true);
    // Facts are on the first line, and are read from a document that somebody formatted anew as well.
    let facts = home.store.facts(&version()).unwrap();
    fs::write(home.layout.record(&version()), serde_json::to_string_pretty(&record).unwrap()).unwrap();
    assert_eq!(home.store.facts(&version()).unwrap(), facts);
    assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
}

#[test]
fn a_record_that_cannot_be_trusted_is_an_error_and_never_a_guess() {
    let home = Home::new();
    home.install(&version());
    let path = home.layout.record(&version());
    fs::write(&path, "{\"schema\":2,\"manifest\":[\n]}").unwrap();
    let newer = home.store.facts(&version()).unwrap_err();
    assert!(newer.to_string().ends_with("has schema 2, this govern knows 1"), "{newer}");
    fs::write(&path, "").unwrap();
    assert!(matches!(home.store.facts(&version()), Err(Error::BadRecord { .. })));
    assert!(matches!(home.store.verify(&version()), Err(Error::BadRecord { .. })));
    let sdk = home.store.sdk(&version()).unwrap();
    let facts = home.store.facts_without_record(sdk, "damaged".to_owned());
    assert_eq!((facts.proof.as_str(), facts.proof_note.as_str(), facts.files), ("none", "damaged", 12));
}

#[test]
fn an_sdk_without_a_record_tells_what_its_tree_tells() {
    let home = Home::new();
    home.install(&version());
    let recorded = home.store.facts(&version()).unwrap();
    fs::remove_file(home.layout.record(&version())).unwrap();
    let facts = home.store.facts(&version()).unwrap();
    assert_eq!((facts.size, facts.files, &facts.platform), (recorded.size, recorded.files, &recorded.platform));
    assert_eq!((facts.proof.as_str(), facts.source.as_str()), ("none", ""));
    assert!(matches!(home.store.verify(&version()), Err(Error::NoRecord { .. })));
}

#[test]
fn only_directories_that_are_sdks_are_listed_and_the_newest_comes_first() {
    let home = Home::new();
    for version in versions(&["1.22.4", "1.9", "1.23rc1", "1.22.10"]) {
        home.install(&version);
    }
    let sdks = home.layout.sdks();
    symlink(sdks.join("go1.22.4"), sdks.join("go1.5.1")).unwrap();
    for name in [".stage-1.8.1-abcdef", "1.8.2", "go1.8.3", "gone", "go1.8.x"] {
        fs::create_dir_all(sdks.join(name).join("bin")).unwrap();
    }
    fs::write(sdks.join("1.8.2/bin/go"), "").unwrap();
    fs::create_dir(sdks.join("go1.8.3/bin/go")).unwrap();
    fs::write(sdks.join("go1.8.4"), "a file").unwrap();
    let found: Vec<_> = home.store.sdks().unwrap().into_iter().map(|sdk| sdk.version.to_string()).collect();
    assert_eq!(found, ["1.23rc1", "1.22.10", "1.22.4", "1.9"]);
    for version in versions(&["1.5.1", "1.8.1", "1.8.2", "1.8.3", "1.8.4"]) {
        assert_eq!(home.store.sdk(&version), None, "{version}");
    }
}

#[test]
fn dropping_an_install_at_any_stage_leaves_nothing() {
    let home = Home::new();
    let before = home.picture();
    let staging = home.store.stage(home.store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
    assert_eq!(home.leftovers().len(), 1);
    drop(staging);
    assert_eq!(home.picture(), before, "after staging");
    let unpacked = home.unpack(Format::TarGz, &tar_gz(&small_sdk(&version()))).unwrap();
    assert_eq!(home.leftovers().len(), 1);
    drop(unpacked);
    assert_eq!(home.picture(), before, "after unpacking");
    drop(home.proven(&version()));
    assert_eq!(home.picture(), before, "after proving");
    assert!(home.store.try_lock(&version()).unwrap().is_some());
}

#[test]
fn a_proof_of_other_bytes_is_refused() {
    let home = Home::new();
    let before = home.picture();
    let unpacked = home.unpack(Format::TarGz, &tar_gz(&small_sdk(&version()))).unwrap();
    let mut other = unpacked.evidence().clone();
    other.size += 1;
    assert!(matches!(unpacked.prove(proof(&other)), Err(Error::ForeignProof { .. })));
    assert_eq!(home.picture(), before);
}

/// Gives what it has and then fails as a network does.
struct Cut<'a>(&'a [u8]);

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line went dead")),
            read => Ok(read),
        }
    }
}

#[test]
fn an_error_of_the_reader_comes_back_as_it_was() {
    let home = Home::new();
    let before = home.picture();
    let archive = tar_gz(&small_sdk(&version()));
    for length in (0..archive.len()).step_by(7) {
        let staging = home.store.stage(home.store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
        match staging.unpack_tar_gz(&mut Cut(&archive[..length]), &silent) {
            Err(Error::Archive { source, .. }) => {
                assert_eq!(
                    (source.kind(), source.to_string().as_str()),
                    (io::ErrorKind::ConnectionReset, "the line went dead")
                );
            }
            other => panic!("{length}: {other:?}"),
        }
    }
    assert_eq!(home.picture(), before);
}

/// Bytes behind the data of a member.
const DESCRIPTOR: u64 = 16;

/// A zip of which only the end is there; the rest comes in order, as far as somebody has read.
#[derive(Clone)]
struct Coming<'a> {
    bytes: Cursor<&'a [u8]>,
    /// From here on, the end.
    end: u64,
    /// How far somebody has read, and how far the rest will come.
    come: Arc<AtomicU64>,
    breaks_at: u64,
}

impl Read for Coming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.bytes.position();
        let length = buffer.len().min(4096);
        if at < self.end {
            // Between two members stands a descriptor, which nobody has to read.
            assert!(at <= self.come.load(Ordering::SeqCst) + DESCRIPTOR, "nobody has read what comes before byte {at}");
            if at + length as u64 > self.breaks_at {
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line went dead"));
            }
            self.come.fetch_max(at + length as u64, Ordering::SeqCst);
        }
        self.bytes.read(&mut buffer[..length])
    }
}

impl Seek for Coming<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_zip_is_unpacked_as_it_comes_once_its_directory_is_there() {
    let home = Home::new();
    let before = home.picture();
    let mut files = small_sdk(&version());
    for n in 0..40u32 {
        // Each larger than what is read ahead, so that a look at a later one is one.
        let content = (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761 + n) >> 13) as u8).collect();
        files.insert(format!("src/f{n}.go"), (content, false));
    }
    let archive = module_zip(&files);
    let length = archive.len() as u64;
    let end = length - 16_000;
    for breaks_at in [u64::MAX, end / 2, 0] {
        let come = Arc::new(AtomicU64::new(0));
        let coming = Coming { bytes: Cursor::new(&archive), end, come, breaks_at };
        let staging = home.store.stage(home.store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
        match staging.unpack_module_zip(coming, &silent) {
            Ok(unpacked) => assert!(breaks_at == u64::MAX && unpacked.evidence().size == length),
            Err(Error::Archive { source, .. }) => {
                assert_eq!((source.kind(), breaks_at < end), (io::ErrorKind::ConnectionReset, true));
            }
            other => panic!("{breaks_at}: {other:?}"),
        }
    }
    assert_eq!(home.picture(), before);
}

#[test]
fn those_who_watch_hear_of_files() {
    let home = Home::new();
    let mut files = small_sdk(&version());
    for n in 0..600 {
        files.insert(format!("src/f{n}.go"), (Vec::new(), false));
    }
    let events = Mutex::new(Vec::new());
    let staging = home.store.stage(home.store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
    staging.unpack_tar_gz(&mut &tar_gz(&files)[..], &|event| events.lock().unwrap().push(event)).unwrap();
    let counts = [256, 512, 612].map(|files| Event::Unpacked { files });
    assert_eq!(*events.lock().unwrap(), counts);
}

#[test]
fn an_sdk_that_is_there_already_wins() {
    let home = Home::new();
    home.install(&version());
    let before = home.picture();
    let again = home.proven(&version()).publish("https://elsewhere.example/", now()).unwrap();
    assert_eq!(Some(again), home.store.sdk(&version()));
    assert_eq!(home.picture(), before);
}

#[test]
fn half_an_sdk_that_somebody_left_is_replaced_and_a_link_is_not() {
    let home = Home::new();
    let goroot = home.layout.sdk(&version());
    fs::create_dir_all(goroot.join("src")).unwrap();
    fs::write(goroot.join("src/old.go"), "old").unwrap();
    home.install(&version());
    assert!(!goroot.join("src/old.go").exists());
    assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
    home.store.remove(&version()).unwrap();

    symlink(home.layout.records(), &goroot).unwrap();
    let before = home.picture();
    assert!(matches!(home.proven(&version()).publish(SOURCE, now()), Err(Error::Obstructed { .. })));
    assert_eq!(home.picture(), before);
}

#[test]
fn threads_that_race_for_one_version_publish_it_once() {
    let home = Home::new();
    let archive = Arc::new(tar_gz(&small_sdk(&version())));
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (store, archive, barrier) = (home.store.clone(), archive.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                // Without a look whether somebody was faster: publishing must cope.
                let staging = store.stage(store.lock(&version(), &silent).unwrap(), &platform()).unwrap();
                let unpacked = staging.unpack_tar_gz(&mut &archive[..], &silent).unwrap();
                let proof = proof(unpacked.evidence());
                unpacked.prove(proof).unwrap().publish(SOURCE, now()).unwrap()
            })
        })
        .collect();
    let published: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    assert!(published.iter().all(|sdk| Some(sdk) == home.store.sdk(&version()).as_ref()));
    assert_eq!(home.leftovers(), Vec::<String>::new());
    assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
}

#[test]
fn removing_takes_the_tree_and_the_record_and_nothing_else() {
    let home = Home::new();
    let [old, new] = versions(&["1.22.4", "1.23.0"]).try_into().unwrap();
    home.install(&old);
    home.install(&new);
    let kept = picture(&home.layout.sdk(&new));
    let removed = home.store.remove(&old).unwrap();
    assert_eq!(removed.files, 12);
    assert_eq!(removed.bytes, small_sdk(&old).values().map(|(content, _)| content.len() as u64).sum::<u64>());
    assert_eq!(home.store.sdk(&old), None);
    assert!(!home.layout.record(&old).exists());
    assert_eq!(home.leftovers(), Vec::<String>::new());
    assert_eq!(picture(&home.layout.sdk(&new)), kept);
    assert!(matches!(home.store.remove(&old), Err(Error::NotInstalled { .. })));
    home.install(&old);
    assert_eq!(home.store.verify(&old).unwrap(), vec![]);
}

#[test]
fn an_sdk_is_not_removed_while_this_process_has_a_lease() {
    let home = Home::new();
    home.install(&version());
    let lease = home.store.lease(&version()).unwrap();
    let before = picture(&home.layout.sdks());
    match home.store.remove(&version()) {
        Err(Error::InUse { pids, .. }) if cfg!(target_os = "linux") => {
            assert_eq!(pids.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [std::process::id()]);
        }
        Err(Error::InUse { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(picture(&home.layout.sdks()), before);
    drop(lease);
    home.store.remove(&version()).unwrap();
}

#[test]
fn there_is_no_lease_on_what_is_not_installed() {
    let home = Home::new();
    assert!(matches!(home.store.lease(&version()), Err(Error::NotInstalled { .. })));
}

#[test]
fn verify_names_each_damage() {
    let home = Home::new();
    let goroot = home.install(&version()).goroot;
    let mode = |path: &str, mode| fs::set_permissions(goroot.join(path), fs::Permissions::from_mode(mode)).unwrap();
    for directory in ["src", "src/cmd", "lib", "bin"] {
        mode(directory, 0o755);
    }
    mode("VERSION", 0o644);
    fs::write(goroot.join("VERSION"), "go1.22.5\ntime 2024-05-30T19:26:07Z\n").unwrap();
    fs::remove_file(goroot.join("src/make.bash")).unwrap();
    fs::write(goroot.join("lib/extra"), "").unwrap();
    fs::remove_file(goroot.join("bin/gofmt")).unwrap();
    symlink("go", goroot.join("bin/gofmt")).unwrap();
    for directory in ["src", "lib", "bin"] {
        mode(directory, 0o555);
    }
    let found: Vec<_> = home.store.verify(&version()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "src/make.bash: missing",
            "VERSION: changed",
            "bin/gofmt: changed",
            "VERSION: mode 0644 instead of 0444",
            "src/cmd: mode 0755 instead of 0555",
            "lib/extra: not part of the SDK",
        ]
    );
}

#[test]
fn verify_notices_a_record_that_was_changed_along_with_the_tree() {
    let home = Home::new();
    home.install(&version());
    let path = home.layout.record(&version());
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.contains("\"bin/go\"")).unwrap();
    fs::write(&path, text.replace(line, &line.replace("bin/go", "bin/gone"))).unwrap();
    let damages = home.store.verify(&version()).unwrap();
    assert!(matches!(damages.last(), Some(Damage::Record { .. })), "{damages:?}");
    assert_eq!(damages.len(), 3);
}

#[test]
fn a_sweep_removes_what_the_dead_left_and_nothing_else() {
    let home = Home::new();
    home.install(&version());
    let (sdks, records) = (home.layout.sdks(), home.layout.records());
    fs::create_dir(sdks.join(".keep")).unwrap();
    fs::write(records.join("notes.txt"), "mine").unwrap();
    let live = home.store.stage(home.store.lock(&versions(&["1.23.0"])[0], &silent).unwrap(), &platform()).unwrap();
    let before = home.picture();
    for name in [".stage-1.22.4-abcdef", ".stage-1.22.4-bigcorp.1-abcdef", ".trash-1.21.0-abcdef"] {
        fs::create_dir_all(sdks.join(name).join("src/cmd")).unwrap();
        fs::write(sdks.join(name).join("src/cmd/x.go"), "x").unwrap();
        fs::set_permissions(sdks.join(name).join("src"), fs::Permissions::from_mode(0o555)).unwrap();
    }
    fs::write(records.join(".record-1.22.4-abcdef"), "half").unwrap();
    fs::write(records.join("go1.21.0.json"), "{}").unwrap();

    let swept = home.store.sweep().unwrap();
    assert_eq!((swept.staging, swept.trash, swept.records, swept.failed.len()), (2, 1, 2, 0));
    let mut after = home.picture();
    // The locks that were taken stay behind, empty.
    after.retain(|path, entry| before.contains_key(path) || !(path.starts_with("home/leases") && entry == "100644 "));
    assert_eq!(after, before);
    drop(live);
    assert_eq!(home.leftovers(), [".keep"]);
}

#[test]
fn opening_a_store_tells_what_is_in_the_way() {
    let home = Home::new();
    let mut layout = home.layout.clone();
    layout.data = home.layout.data.join("file");
    fs::write(&layout.data, "").unwrap();
    let error = Store::open(&layout).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot create {}", layout.data.display()));
    // Again on what is there: nothing changes.
    let before = home.picture();
    Store::open(&home.layout).unwrap();
    assert_eq!(home.picture(), before);
}
