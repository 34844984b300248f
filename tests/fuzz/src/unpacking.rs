//! Archives. One that is refused leaves nothing; one that is accepted gives read-only files and directories in staging,
//! nothing anywhere else, and the hashes of exactly these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use govern_core::proof::Format;
use govern_store::{Error, Unpacked};
use sha2::{Digest, Sha256};

use crate::archives::{
    HONEST_END, MODULE, TAR_END, TarEntry, ZipMember, gzip, module_zip, pax_record, tar_entries, tar_gz, zip,
};
use crate::hostile_tar::tar_cases;
use crate::hostile_zip::zip_cases;
use crate::support::{Home, small_sdk, tiny_sdk, version};

/// A store, and how everything around it looked before the first archive.
static HOME: LazyLock<(Home, BTreeMap<PathBuf, String>)> = LazyLock::new(|| {
    let home = Home::new();
    let before = home.picture();
    (home, before)
});

/// An entry that is added to an honest archive.
#[derive(Arbitrary, Debug)]
struct Added {
    is_inside: bool,
    name: Vec<u8>,
    kind: u8,
    mode: u16,
    content: Vec<u8>,
}

/// Of these names are made. Some mean something to some system, some to govern.
const ELEMENTS: &str = "a|A|src|SRC|bin|go|gofmt|pkg|tool|lib|go.mod|_go.mod|VERSION|..|.||\\|nul|a |a.|\u{e4}|a\u{308}|api|\
                        go_js_wasm_exec";
const KINDS: [u8; 14] = *b"0000557\0123xLg";
const MODES: [u32; 8] = [0o644, 0o755, 0o444, 0o000, 0o777, 0o4755, 0o2755, 0o1777];

impl Added {
    fn name(&self, prefix: &str) -> String {
        let known: Vec<&str> = ELEMENTS.split('|').collect();
        let elements = self.name.iter().take(8).map(|at| known[usize::from(*at) % known.len()]);
        let prefix = if self.is_inside { prefix } else { "" };
        format!("{prefix}{}", elements.collect::<Vec<_>>().join("/"))
    }

    fn mode(&self) -> u32 {
        MODES[usize::from(self.mode) % MODES.len()]
    }

    fn tar(&self) -> Vec<u8> {
        let (name, kind) = (self.name("go/"), KINDS[usize::from(self.kind) % KINDS.len()]);
        let entry = |kind, name: &str| TarEntry { content: self.content.clone(), ..TarEntry::new(kind, name) };
        match kind {
            b'x' => {
                let file = TarEntry::file("go/short").with_mode(self.mode());
                [TarEntry::pax(pax_record("path", &name)).bytes(), file.bytes()].concat()
            }
            b'L' => {
                let long =
                    TarEntry { content: [name.as_bytes(), b"\0"].concat(), ..TarEntry::new(b'L', "././@LongLink") };
                [long.bytes(), TarEntry::file("go/short").with_mode(self.mode()).bytes()].concat()
            }
            b'5' => TarEntry::directory(&name).with_mode(self.mode()).bytes(),
            b'1' | b'2' => TarEntry { link: b"go/bin/go".to_vec(), ..entry(kind, &name) }.bytes(),
            _ => entry(kind, &name).with_mode(self.mode()).bytes(),
        }
    }

    fn zip(&self) -> ZipMember {
        let kinds = [0o100_000, 0o100_000, 0o100_000, 0o040_000, 0o120_000, 0o020_000, 0];
        let kind = kinds[usize::from(self.kind) % kinds.len()];
        let member = ZipMember::new(self.name(MODULE), &self.content);
        ZipMember { attributes: (kind | self.mode()) << 16, ..member }
    }
}

/// Honest archives, the hostile ones of the store's tests, and noise for the added entries.
pub fn tar_seeds() -> impl Iterator<Item = Vec<u8>> {
    let honest = [tar_gz(&small_sdk(&version())), tar_gz(&tiny_sdk(&version()))];
    let archives = honest.into_iter().chain(tar_cases().into_iter().map(|case| case.archive));
    let archives = archives.filter(|archive| archive.len() <= crate::seeds::LONGEST);
    let inflated = archives.flat_map(|archive| {
        let mut tar = b"t".to_vec();
        GzDecoder::new(&archive[..]).take(1 << 20).read_to_end(&mut tar).unwrap();
        [[b"r", &archive[..]].concat(), tar]
    });
    inflated.chain(added())
}

/// As [`tar_seeds`].
pub fn zip_seeds() -> impl Iterator<Item = Vec<u8>> {
    let honest = [module_zip(&small_sdk(&version())), module_zip(&tiny_sdk(&version()))];
    let archives = honest.into_iter().chain(zip_cases().into_iter().map(|case| case.archive));
    archives.map(|archive| [b"r", &archive[..]].concat()).chain(added())
}

fn added() -> impl Iterator<Item = Vec<u8>> {
    crate::seeds::noise(32).map(|noise| [b"a", &noise[..]].concat())
}

/// The first byte says what the rest is: a tarball, a tar file whose check sums are set right, or entries for an SDK.
///
/// # Panics
/// When the archive does something else than to be refused or to become a tree.
pub fn check_tar(data: &[u8]) {
    match data.split_first() {
        Some((b'r', archive)) => check(Format::TarGz, archive),
        Some((b't', tar)) => check(Format::TarGz, &gzip(&with_sums(tar.to_vec()))),
        Some((b'a', rest)) => {
            let Ok(added) = Vec::<Added>::arbitrary(&mut Unstructured::new(rest)) else { return };
            let mut tar = tar_entries(&tiny_sdk(&version()));
            tar.extend(added.iter().flat_map(Added::tar));
            tar.extend(TAR_END);
            check(Format::TarGz, &gzip(&tar));
        }
        _ => {}
    }
}

/// As [`check_tar`]: a zip, or members for an SDK.
///
/// # Panics
/// When the archive does something else than to be refused or to become a tree.
pub fn check_zip(data: &[u8]) {
    match data.split_first() {
        Some((b'r', archive)) => check(Format::ModuleZip, archive),
        Some((b'a', rest)) => {
            let Ok(added) = Vec::<Added>::arbitrary(&mut Unstructured::new(rest)) else { return };
            let sdk = tiny_sdk(&version());
            let honest = sdk.iter().map(|(path, (content, _))| ZipMember::new(format!("{MODULE}{path}"), content));
            let members: Vec<ZipMember> = honest.chain(added.iter().map(Added::zip)).collect();
            check(Format::ModuleZip, &zip(&members, &HONEST_END));
        }
        _ => {}
    }
}

/// Sets the check sum of every block that looks like a header, so that changes reach what comes after the sum.
fn with_sums(mut tar: Vec<u8>) -> Vec<u8> {
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

fn check(format: Format, archive: &[u8]) {
    let (home, before) = &*HOME;
    match home.unpack(format, archive) {
        Ok(unpacked) => {
            let staged = home.leftovers();
            let [staged] = &staged[..] else { panic!("not one staging directory: {staged:?}") };
            check_tree(format, archive, &unpacked, &home.layout.sdks().join(staged));
            let mut around = home.picture();
            around.retain(|path, _| !path.iter().any(|element| *element == **staged));
            // The lock is still held, and says by whom.
            let lock = Path::new("home/leases/go1.22.4.lock");
            assert!(around.insert(lock.to_owned(), before[lock].clone()).is_some());
            assert_eq!(around, *before, "something changed outside staging");
        }
        Err(Error::Refused { .. }) => {}
        Err(other) => panic!("neither a tree nor a refusal: {other:?}"),
    }
    assert_eq!(home.picture(), *before, "something stayed behind");
}

/// Looks at the tree on disk, and computes anew what it was said to be.
fn check_tree(format: Format, archive: &[u8], unpacked: &Unpacked, root: &Path) {
    let mut lines = BTreeSet::new();
    let mut folded = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().expect("all names are UTF-8");
        assert!(folded.insert(name.to_lowercase()), "{name}: differs from another name in case only");
        let mode = meta.mode() & 0o7777;
        if meta.is_dir() {
            assert_eq!(mode, 0o555, "{name}");
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        assert!(meta.is_file() && meta.nlink() == 1, "{name}: no file, or one with two names");
        assert!([0o444, 0o555].contains(&mode), "{name}: mode {mode:o}");
        let is_left_out = ["api/", "doc/", "misc/", "test/"].iter().any(|top| name.starts_with(top));
        if format == Format::ModuleZip || !is_left_out {
            let (directory, file) = name.rsplit_once('/').map_or(("", name), |(d, _)| name.split_at(d.len() + 1));
            let file = if file == "go.mod" { "_go.mod" } else { file };
            lines.insert((format!("{MODULE}{directory}{file}"), hex(&Sha256::digest(fs::read(&path).unwrap()))));
        }
    }
    let summary: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    let evidence = unpacked.evidence();
    assert_eq!(evidence.h1, format!("h1:{}", STANDARD.encode(Sha256::digest(summary))), "the tree has another hash");
    assert_eq!(evidence.sha256.to_string(), hex(&Sha256::digest(archive)), "the archive has another digest");
    assert_eq!(evidence.size, archive.len() as u64);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
