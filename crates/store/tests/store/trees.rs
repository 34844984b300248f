//! Honest archives: what lands on disk, and the module hash against computations that share no code with ours.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use base64::Engine as _;
use govern_core::proof::Format;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::archives::{
    HONEST_END, MODULE, TAR_END, TarEntry, ZipMember, gzip, module_zip, pax_record, tar_entries, tar_gz, zip,
};
use crate::support::{Files, Home, SOURCE, now, picture, proof, small_sdk, version};

/// What Go's own `dirhash.HashZip` says of the module of the small SDK.
const SMALL_SDK_H1: &str = "h1:NxLK4923rFqzZHRswxl8b5nUQhJHBVh+FhTV2oNmHNM=";

/// The module hash as go-semantics C.5 to C.7 have it, from the tree alone.
fn independent_h1(files: &Files) -> String {
    let mut lines = BTreeMap::new();
    for (path, (content, _)) in files {
        let top = path.split('/').next().unwrap();
        if path.contains('/') && matches!(top, "api" | "doc" | "misc" | "test") {
            continue;
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        if parts.last() == Some(&"go.mod") {
            *parts.last_mut().unwrap() = "_go.mod";
        }
        let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{MODULE}{}", parts.join("/"));
        lines.insert(name.clone(), format!("{hex}  {name}\n"));
    }
    let summary: String = lines.into_values().collect();
    format!("h1:{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(summary)))
}

/// Trees that are the small SDK and up to thirty more files, some in directories that the module leaves out.
fn trees() -> impl Strategy<Value = Files> {
    let element = prop_oneof!["[a-z]{1,6}(\\.[a-z]{1,3})?", Just("go.mod".to_owned()), Just("Þä".to_owned())];
    let top = prop_oneof![Just("src"), Just("test"), Just("doc"), Just("lib"), Just("pkg/tool"), Just("bin")];
    let path = (top, prop::collection::vec(element, 1..5)).prop_map(|(top, rest)| format!("{top}/{}", rest.join("/")));
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..1500),
        // More than one buffer.
        (any::<u8>(), 130_000..300_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop::collection::btree_map(path, (content, any::<bool>()), 0..30).prop_map(|more| {
        let mut files = small_sdk(&version());
        for (path, file) in more {
            let taken = |other: &str| {
                let (path, other) = (path.to_lowercase(), other.to_lowercase());
                path == other || path.starts_with(&format!("{other}/")) || other.starts_with(&format!("{path}/"))
            };
            // A device name is refused, and has its own tests.
            let is_device =
                path.split('/').any(|e| ["con", "prn", "aux", "nul"].contains(&e.split('.').next().unwrap()));
            if !is_device && !files.keys().any(|other| taken(other)) {
                files.insert(path, file);
            }
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tarball_and_module_of_one_tree_have_the_hash_that_others_compute(files in trees()) {
        let home = Home::new();
        let tar = home.unpack(Format::TarGz, &tar_gz(&files)).unwrap().evidence().clone();
        let zip = home.unpack(Format::ModuleZip, &module_zip(&files)).unwrap().evidence().clone();
        prop_assert_eq!(&tar.h1, &independent_h1(&files));
        prop_assert_eq!(tar.h1, zip.h1);
    }

    #[test]
    fn a_tarball_lands_on_disk_as_it_is(files in trees()) {
        let home = Home::new();
        let archive = tar_gz(&files);
        let unpacked = home.unpack(Format::TarGz, &archive).unwrap();
        prop_assert_eq!(unpacked.evidence().size, archive.len() as u64);
        prop_assert_eq!(unpacked.evidence().sha256.0, <[u8; 32]>::from(Sha256::digest(&archive)));
        let proof = proof(unpacked.evidence());
        let sdk = unpacked.prove(proof).unwrap().publish(SOURCE, now()).unwrap();
        for (path, (content, exec)) in &files {
            let on_disk = sdk.goroot.join(path);
            prop_assert_eq!(&fs::read(&on_disk).unwrap(), content);
            prop_assert_eq!(fs::metadata(&on_disk).unwrap().mode(), if *exec { 0o100_555 } else { 0o100_444 });
        }
        let found = picture(&sdk.goroot);
        prop_assert_eq!(found.values().filter(|entry| entry.starts_with("100")).count(), files.len());
        prop_assert!(found.values().filter(|entry| !entry.starts_with("100")).all(|entry| entry == "40555 "));
        prop_assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
    }
}

#[test]
fn the_module_hash_is_the_one_that_go_computes() {
    let unpacked = Home::new().unpack(Format::TarGz, &tar_gz(&small_sdk(&version()))).unwrap();
    assert_eq!(unpacked.evidence().h1, SMALL_SDK_H1);
    assert_eq!(independent_h1(&small_sdk(&version())), SMALL_SDK_H1);
}

#[test]
fn a_module_zip_gets_the_names_and_execute_bits_that_cmd_go_gives() {
    let home = Home::new();
    let unpacked = home.unpack(Format::ModuleZip, &module_zip(&small_sdk(&version()))).unwrap();
    let proof = proof(unpacked.evidence());
    let goroot = unpacked.prove(proof).unwrap().publish(SOURCE, now()).unwrap().goroot;
    let mode = |path: &str| fs::metadata(goroot.join(path)).unwrap().mode() & 0o7777;
    for path in ["bin/go", "bin/gofmt", "pkg/tool/linux_amd64/compile", "lib/wasm/go_js_wasm_exec"] {
        assert_eq!(mode(path), 0o555, "{path}");
    }
    for path in ["VERSION", "src/make.bash", "src/go.mod"] {
        assert_eq!(mode(path), 0o444, "{path}");
    }
    assert_eq!(fs::read_to_string(goroot.join("src/cmd/go.mod")).unwrap(), "module cmd\n");
    assert!(!goroot.join("src/_go.mod").exists());
    assert_eq!(home.store.verify(&version()).unwrap(), vec![]);
}

#[test]
fn all_ways_in_which_packers_write_the_same_tree_are_one_tree() {
    let home = Home::new();
    let mut files = small_sdk(&version());
    files.retain(|path, _| path.is_ascii());
    let long = format!("src/{}/long.go", ["directory"; 20].join("/"));
    files.insert(long.clone(), (b"package long\n".to_vec(), false));
    let expected = independent_h1(&files);
    files.remove(&long);

    let content = || b"package long\n".to_vec();
    let plain = |name: &str| TarEntry { content: content(), ..TarEntry::file(name) };
    let gnu = TarEntry { magic: b"ustar  \0".to_vec(), ..plain("go/src/directory/direc") };
    let gnu_name = TarEntry {
        magic: b"ustar  \0".to_vec(),
        content: format!("go/{long}\0").into_bytes(),
        ..TarEntry::new(b'L', "././@LongLink")
    };
    let full = format!("go/{long}");
    let (prefix, name) = full.split_at(full[..150].rfind('/').unwrap());
    let ustar = TarEntry { prefix: prefix.as_bytes().to_vec(), ..plain(&name[1..]) };
    let times = pax_record("mtime", "1717097167.25") + &pax_record("uname", "bülent");
    let pax = TarEntry::pax(times + &pax_record("path", &full));
    let old = TarEntry { kind: 0, mode: b"100644 \0".to_vec(), ..plain("short") };
    let spaces = TarEntry { mode: b"   644 \0".to_vec(), ..plain("short") };

    for (how, entries) in [
        ("ustar prefix", vec![ustar]),
        ("GNU long name", vec![gnu_name, gnu]),
        ("PAX path", vec![pax.clone(), plain("short")]),
        ("old type and type bits in the mode", vec![pax.clone(), old]),
        ("numbers after spaces", vec![pax, spaces]),
    ] {
        let bytes: Vec<u8> = entries.iter().flat_map(TarEntry::bytes).collect();
        let archive = gzip(&[&tar_entries(&files), &bytes, &TAR_END[..], &[0; 9216]].concat());
        let unpacked = home.unpack(Format::TarGz, &archive).unwrap_or_else(|error| panic!("{how}: {error:?}"));
        assert_eq!(unpacked.evidence().h1, expected, "{how}");
    }

    let members = |change: &dyn Fn(ZipMember) -> ZipMember| {
        let in_module = files.iter().filter(|(path, _)| !path.starts_with("api/") && !path.starts_with("misc/"));
        let named = in_module.map(|(path, file)| (path.replace("go.mod", "_go.mod"), &file.0));
        let members: Vec<_> =
            named.map(|(path, bytes)| change(ZipMember::new(format!("{MODULE}{path}"), bytes))).collect();
        zip(&members, &HONEST_END)
    };
    let expected = independent_h1(&files);
    let time = |header: &mut crate::archives::ZipHeader| header.extra = b"UT\x05\0\x01\x8f_&i".to_vec();
    for (how, archive) in [
        ("sums before the data", members(&|member| member)),
        ("sums behind the data", members(&ZipMember::streamed)),
        ("times in extra fields", members(&|member| member.both(time))),
        ("UTF-8 flag", members(&|member| member.both(|header| header.flags |= 1 << 11))),
        ("no Unix mode", members(&|member| ZipMember { attributes: 0x20, ..member })),
    ] {
        let unpacked = home.unpack(Format::ModuleZip, &archive).unwrap_or_else(|error| panic!("{how}: {error:?}"));
        assert_eq!(unpacked.evidence().h1, expected, "{how}");
    }
}

/// Modes that packers write and that mean no harm are made the one mode that files have here.
#[test]
fn modes_wider_or_narrower_than_usual_become_the_usual_ones() {
    let home = Home::new();
    let entries = [
        TarEntry::file("go/a").with_mode(0o666),
        TarEntry::file("go/b").with_mode(0o777),
        TarEntry::file("go/c").with_mode(0),
        TarEntry::directory("go/d/").with_mode(0),
        TarEntry::directory("go/e/").with_mode(0o777),
        TarEntry::file("go/d/f").with_mode(0o100),
    ];
    let bytes: Vec<u8> = entries.iter().flat_map(TarEntry::bytes).collect();
    let archive = gzip(&[&tar_entries(&small_sdk(&version())), &bytes, &TAR_END[..]].concat());
    let unpacked = home.unpack(Format::TarGz, &archive).unwrap();
    let proof = proof(unpacked.evidence());
    let goroot = unpacked.prove(proof).unwrap().publish(SOURCE, now()).unwrap().goroot;
    let mode = |path: &str| fs::metadata(goroot.join(path)).unwrap().mode() & 0o7777;
    let modes = ["a", "b", "c", "d", "e", "d/f", "."].map(mode);
    assert_eq!(modes, [0o444, 0o555, 0o444, 0o555, 0o555, 0o555, 0o555]);
}
