//! Archives that are read without being unpacked, and the cache of those that are kept.

use std::fs;
use std::io::{Seek as _, Write as _};

use govern_core::proof::{Artifact, Evidence, Expected, Format, Log, LogRequired};
use govern_store::{Error, examine};

use crate::archives::{module_zip, tar_gz};
use crate::hostile::all_cases;
use crate::support::{Home, platform, small_sdk, version};

fn examined(format: Format, archive: &[u8]) -> Result<Evidence, Error> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(archive).unwrap();
    file.rewind().unwrap();
    examine(format, &version(), &platform(), file)
}

#[test]
fn what_is_read_without_unpacking_is_what_unpacking_finds() {
    let home = Home::new();
    let files = small_sdk(&version());
    for (format, archive) in [(Format::TarGz, tar_gz(&files)), (Format::ModuleZip, module_zip(&files))] {
        let unpacked = home.unpack(format, &archive).unwrap();
        assert_eq!(examined(format, &archive).unwrap(), *unpacked.evidence(), "{format:?}");
    }
}

#[test]
fn a_hostile_archive_is_given_on_to_nobody() {
    let mut refused = 0;
    for (format, cases) in all_cases() {
        for case in cases {
            match examined(format, &case.archive) {
                Err(Error::Refused { reason, .. }) => assert_eq!(reason, case.expected, "{}", case.name),
                other => panic!("{}: {other:?}", case.name),
            }
            refused += 1;
        }
    }
    println!("{refused} hostile archives are not given on");
    assert!(refused >= 64, "only {refused}");
}

#[test]
fn a_kept_archive_is_found_again_until_a_byte_of_it_changes() {
    let home = Home::new();
    let bytes = tar_gz(&small_sdk(&version()));
    let evidence = examined(Format::TarGz, &bytes).unwrap();
    let artifact = Artifact {
        version: version(),
        platform: platform(),
        url: "https://example.com/dl/a.tar.gz".to_owned(),
        format: Format::TarGz,
        size: None,
        expected: Expected { sha256: Some(evidence.sha256), log: Log::Silent },
    };
    let proof = artifact.check(evidence, LogRequired::No).unwrap();
    let download = home.layout.data.join("download");
    fs::write(&download, &bytes).unwrap();
    let kept = home.store.keep_archive(&artifact, &proof, &download).unwrap();
    assert!(!download.exists(), "moved, not copied");
    assert_eq!(home.store.archive(Format::TarGz, &version(), &platform()).as_ref(), Some(&kept));
    assert_eq!(home.store.archives().unwrap(), std::slice::from_ref(&kept));
    assert_eq!(home.store.archive(Format::ModuleZip, &version(), &platform()), None);

    let mut changed = bytes.clone();
    changed[100] ^= 1;
    fs::write(&kept.path, &changed).unwrap();
    assert_eq!(home.store.archive(Format::TarGz, &version(), &platform()), None);
    fs::write(&kept.path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(home.store.archive(Format::TarGz, &version(), &platform()), None);
    // A note that was moved to another name is nobody's.
    let note = kept.path.with_extension("gz.json");
    fs::rename(&note, note.with_file_name("go1.99.0.linux-amd64.tar.gz.json")).unwrap();
    assert_eq!(home.store.archives().unwrap(), []);
}
