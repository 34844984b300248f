//! Bundles come back as they were written; hostile ones are refused for their own reason, and nothing leaves the directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use govern_store::{Content, Error, unpack_bundle, write_bundle};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

const NAME: &str = "dl/index.json";
const MANIFEST: &str = "govern-bundle.json";

fn manifest(name: &str, bytes: &[u8], size: usize) -> Vec<u8> {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"schema":1,"files":{{"{name}":{{"size":{size},"sha256":"{digest}"}}}}}}"#).into_bytes()
}

fn tarball(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_old_mut().linkname[..4].copy_from_slice(b"/etc");
        }
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (bundle, into) = (dir.path().join("b"), dir.path().join("into"));
    fs::write(&bundle, bytes).unwrap();
    fs::create_dir(&into).unwrap();
    let error = unpack_bundle(&bundle, &into).unwrap_err();
    let Error::Refused { entry, reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something was written beside");
    format!("{}: {reason}", entry.unwrap_or_default())
}

#[test]
fn a_bundle_comes_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (bundle, into, file) = (dir.path().join("b"), dir.path().join("into"), dir.path().join("f"));
    fs::create_dir(&into).unwrap();
    fs::write(&file, vec![7; 300_000]).unwrap();
    let long = "sumdb/sum.golang.org/lookup/golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64";
    let members = BTreeMap::from([
        (NAME.to_owned(), Content::Bytes(b"[]".to_vec())),
        (long.to_owned(), Content::Bytes(b"proof".to_vec())),
        ("dl/go1.22.4.linux-amd64.tar.gz".to_owned(), Content::File(file)),
    ]);
    write_bundle(&bundle, &members).unwrap();
    unpack_bundle(&bundle, &into).unwrap();
    let read = |name: &str| fs::read(into.join(Path::new(name))).unwrap();
    assert_eq!((read(NAME), read(long)), (b"[]".to_vec(), b"proof".to_vec()));
    assert_eq!(read("dl/go1.22.4.linux-amd64.tar.gz"), vec![7; 300_000]);
}

#[test]
fn every_hostile_bundle_is_refused_for_its_own_reason() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let good = manifest(NAME, b"[]", 2);
    let with = |name: &str, kind, bytes: &[u8]| tarball(&[(MANIFEST, Regular, &good), (name, kind, bytes)]);
    let promising = |name: &str| tarball(&[(MANIFEST, Regular, &manifest(name, b"[]", 2)), (name, Regular, b"[]")]);
    let whole = with(NAME, Regular, b"[]");
    let mut trailing = whole.clone();
    trailing.extend(b"more");
    let newer = br#"{"schema":2}"#;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), ": it ends too early"),
        (whole[..1300].to_vec(), ": it ends too early"),
        (whole[..1537].to_vec(), "dl/index.json: it ends too early"),
        (whole[..1024].to_vec(), "dl/index.json: it ends too early"),
        (trailing, ": bytes follow its end"),
        (tarball(&[(NAME, Regular, b"[]")]), ": no plain bundle: it does not begin with govern-bundle.json"),
        (tarball(&[(MANIFEST, Regular, b"{}")]), "govern-bundle.json: no plain bundle: it is no manifest"),
        (tarball(&[(MANIFEST, Regular, newer)]), "govern-bundle.json: no plain bundle: a newer govern wrote it"),
        (with(NAME, Regular, b"{}"), "dl/index.json: no plain bundle: it has another SHA-256 than the manifest says"),
        (with(NAME, Regular, b"[ ]"), "dl/index.json: no plain bundle: it has another size than the manifest says"),
        (with("dl/x", Regular, b"[]"), "dl/x: no plain bundle: it is not in the manifest, or was there before"),
        (with(NAME, Symlink, b""), "dl/index.json: no plain bundle: it is no regular file"),
        (with(NAME, Link, b""), "dl/index.json: no plain bundle: it is no regular file"),
        (with(NAME, Directory, b""), "dl/index.json: no plain bundle: it is no regular file"),
        (
            tarball(&[(MANIFEST, Regular, &good), (NAME, Regular, b"[]"), (NAME, Regular, b"[]")]),
            "dl/index.json: no plain bundle: it is not in the manifest, or was there before",
        ),
        (tarball(&[(MANIFEST, Regular, &good)]), "dl/index.json: no plain bundle: it is missing"),
        (promising("dl/../../x"), "dl/../../x: no plain bundle: it has a name that no member of a bundle has"),
        (promising("/etc/x"), "/etc/x: no plain bundle: it has a name that no member of a bundle has"),
        (promising("bin/go"), "bin/go: no plain bundle: it has a name that no member of a bundle has"),
        (promising("dl//x"), "dl//x: no plain bundle: it has a name that no member of a bundle has"),
        (
            tarball(&[(MANIFEST, Regular, &manifest(NAME, b"", 600 << 20))]),
            "dl/index.json: no plain bundle: it is larger than any archive",
        ),
    ];
    let told: Vec<String> = cases.iter().map(|(bytes, _)| refusal(bytes)).collect();
    assert_eq!(told, cases.iter().map(|(_, expect)| *expect).collect::<Vec<_>>());
    assert!(told.len() >= 20, "{} hostile bundles", told.len());
}
