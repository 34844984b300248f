//! Runs the corpus of hostile archives (fault 88 of the design's failure catalogue): each must be refused for the
//! reason that it was made for, and leave no trace.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use govern_core::proof::Format;
use govern_store::{Error, Refusal};

use crate::archives::{TarEntry, gzip, module_zip, tar_gz};
use crate::hostile_tar::{sdk_tar, tar_cases};
use crate::hostile_zip::{indifferent, zip_cases};
use crate::support::{Home, small_sdk, tiny_sdk, version};

/// An archive that must be refused.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) archive: Vec<u8>,
    pub(crate) expected: Refusal,
}

impl Case {
    pub(crate) fn new(name: &'static str, archive: Vec<u8>, expected: Refusal) -> Case {
        Case { name, archive, expected }
    }
}

/// The whole corpus: tar streams, gzip files, zips.
pub(crate) fn all_cases() -> [(Format, Vec<Case>); 3] {
    [(Format::TarGz, tar_cases()), (Format::TarGz, gzip_cases()), (Format::ModuleZip, zip_cases())]
}

fn gzip_cases() -> Vec<Case> {
    let good = tar_gz(&small_sdk(&version()));
    let changed = |at: usize| {
        let mut bytes = good.clone();
        let at = bytes.len() - at;
        bytes[at] ^= 1;
        bytes
    };
    let followed_by = |more: &[u8]| [&good, more].concat();
    vec![
        Case::new("no gzip: a web page", b"<!doctype html><title>Sign in</title>".to_vec(), Refusal::NotGzip),
        Case::new("nothing", Vec::new(), Refusal::NotGzip),
        Case::new("gzip header cut", good[..5].to_vec(), Refusal::NotGzip),
        Case::new("cut in the middle", good[..good.len() / 2].to_vec(), Refusal::Truncated),
        Case::new("last byte missing", good[..good.len() - 1].to_vec(), Refusal::Truncated),
        Case::new("sum missing", good[..good.len() - 8].to_vec(), Refusal::Truncated),
        Case::new("wrong CRC", changed(5), Refusal::Damaged),
        Case::new("wrong length", changed(1), Refusal::Damaged),
        Case::new("garbage behind", followed_by(b"x"), Refusal::Trailing),
        Case::new("zeros behind", followed_by(&[0; 512]), Refusal::Trailing),
        Case::new("second member", followed_by(&gzip(b"more")), Refusal::SecondMember),
        Case::new("empty second member", followed_by(&gzip(b"")), Refusal::SecondMember),
        Case::new("1000:1 bomb", bomb(), Refusal::Bomb(100)),
    ]
}

/// A valid SDK that also has a file of 64 MiB of zeros.
fn bomb() -> Vec<u8> {
    let zeros = TarEntry { content: vec![0; 64 << 20], ..TarEntry::new(b'0', "go/zeros") };
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&sdk_tar()).and_then(|()| gz.write_all(&zeros.bytes())).unwrap();
    gz.finish().unwrap()
}

#[test]
fn every_hostile_archive_is_refused_for_its_own_reason_and_leaves_nothing() {
    let [tar, gzip, zip] = all_cases();
    let corpora = [("tar", 38, tar), ("gzip", 6, gzip), ("zip", 20, zip)];
    let home = Home::in_memory();
    let before = home.picture();
    let mut total = 0;
    let mut slowest = (Duration::ZERO, "");
    let mut wrong = Vec::new();
    for (corpus, at_least, (format, cases)) in corpora {
        assert!(cases.len() >= at_least, "only {} hostile {corpus} archives", cases.len());
        total += cases.len();
        println!("{}: {} hostile archives", corpus, cases.len());
        for Case { name, archive, expected } in cases {
            let start = Instant::now();
            match home.unpack(format, &archive) {
                Err(Error::Refused { reason, .. }) if reason == expected => {}
                other => wrong.push(format!("{corpus}: {name}: {other:?} and not {expected:?}")),
            }
            slowest = slowest.max((start.elapsed(), name));
            assert_eq!(home.picture(), before, "{corpus}: {name}: something changed");
        }
    }
    println!("{total} hostile archives; the slowest, `{}`, took {} ms", slowest.1, slowest.0.as_millis());
    assert!(wrong.is_empty(), "{} are not:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total >= 64, "only {total} hostile archives");
}

#[test]
fn a_zip_is_what_its_directory_says_and_the_proof_judges_that() {
    let home = Home::in_memory();
    let trees: Vec<(&str, String)> = indifferent()
        .into_iter()
        .map(|(name, archive)| (name, home.unpack(Format::ModuleZip, &archive).unwrap().evidence().h1.clone()))
        .collect();
    for (name, h1) in &trees {
        assert_eq!(*h1, trees[0].1, "{name}");
    }
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let home = Home::in_memory();
    let before = home.picture();
    for format in [Format::TarGz, Format::ModuleZip] {
        let files = tiny_sdk(&version());
        let good = if format == Format::TarGz { tar_gz(&files) } else { module_zip(&files) };
        for length in 0..good.len() {
            let cut = home.unpack(format, &good[..length]);
            assert!(matches!(cut, Err(Error::Refused { .. })), "{format:?} cut at {length}: {cut:?}");
        }
        home.unpack(format, &good).unwrap();
    }
    assert_eq!(home.picture(), before);
}

/// A changed byte may be in a field that means nothing (a time): then the tree is the same and only the digest of
/// the archive differs. Anything else is refused; nothing else is thinkable.
#[test]
fn a_byte_changed_anywhere_is_refused_or_means_nothing() {
    let home = Home::in_memory();
    let before = home.picture();
    let files = tiny_sdk(&version());
    for (format, good) in [(Format::TarGz, tar_gz(&files)), (Format::ModuleZip, module_zip(&files))] {
        let honest = home.unpack(format, &good).unwrap().evidence().clone();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            match home.unpack(format, &bad) {
                Err(Error::Refused { .. }) => {}
                Ok(unpacked) => {
                    assert_eq!(unpacked.evidence().h1, honest.h1, "{format:?} at {at}");
                    assert_ne!(unpacked.evidence().sha256, honest.sha256, "{format:?} at {at}");
                }
                Err(other) => panic!("{format:?} at {at}: {other:?}"),
            }
        }
    }
    assert_eq!(home.picture(), before);
}

#[test]
fn entry_names_in_messages_cannot_write_on_the_terminal() {
    let entry = TarEntry::file("go/\x1b[31m\u{202e}x");
    let refused = Home::new().unpack(Format::TarGz, &gzip(&entry.bytes())).unwrap_err();
    assert_eq!(refused.to_string(), "refused go1.22.4.linux-amd64.tar.gz, entry `go/\\u{1b}[31m\\u{202e}x`");
}
