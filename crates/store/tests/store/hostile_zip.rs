//! Hostile module zips: archives whose two halves say different things, and members that no module has.

use govern_store::{NameFault, Refusal};

use crate::archives::{HONEST_END, MODULE, ZipEnd, ZipHeader, ZipMember, zip};
use crate::hostile::Case;
use crate::support::{platform, small_sdk, version};

/// A whole SDK, in members as Go writes them.
fn sdk() -> Vec<ZipMember> {
    let files = small_sdk(&version());
    let in_module = files.iter().filter(|(path, _)| !path.starts_with("test/"));
    in_module.map(|(path, (content, _))| ZipMember::new(module_name(path), content).streamed()).collect()
}

fn module_name(path: &str) -> String {
    format!("{MODULE}{}", path.replace("go.mod", "_go.mod"))
}

fn with(members: &[ZipMember]) -> Vec<u8> {
    zip(&[&sdk(), members].concat(), &HONEST_END)
}

fn member(path: &str) -> ZipMember {
    ZipMember::new(format!("{MODULE}{path}"), b"evil\n")
}

const CONTRADICTS: &str = "it contradicts itself";
const GAP: &str = "members overlap or leave a gap";
const LAST_GAP: &str = "members overlap the directory or leave a gap before it";

pub(crate) fn zip_cases() -> Vec<Case> {
    [halves(), structure(), members(), names()].into_iter().flatten().collect()
}

/// The directory says one thing, the data another.
fn halves() -> Vec<Case> {
    let disagree = |case, change: &dyn Fn(&mut ZipHeader)| {
        let mut evil = member("evil");
        change(&mut evil.local);
        Case::new(case, with(&[evil]), Refusal::Zip(CONTRADICTS))
    };
    let no_descriptor = ZipMember { descriptor: None, ..member("evil").streamed() };
    vec![
        disagree("two names", &|local| local.name = format!("{MODULE}good").into_bytes()),
        disagree("two sizes", &|local| local.size += 1),
        disagree("two packed sizes", &|local| local.packed += 1),
        disagree("two check sums", &|local| local.crc ^= 1),
        disagree("two methods", &|local| local.method = 0),
        Case::new("nothing behind the data", with(&[no_descriptor, member("other")]), Refusal::Zip(GAP)),
        Case::new("wrong check sum in both", with(&[member("evil").both(|header| header.crc ^= 1)]), Refusal::Damaged),
        Case::new(
            "more in it than both say",
            with(&[member("evil").both(|header| header.size -= 1)]),
            Refusal::Damaged,
        ),
        Case::new(
            "less in it than both say",
            with(&[member("evil").both(|header| header.size += 1)]),
            Refusal::Truncated,
        ),
        Case::new("damaged data", with(&[damaged()]), Refusal::Damaged),
    ]
}

/// Archives in which something is said twice that only one half is asked for. Each is the tree that its directory
/// describes: whether that is the SDK that was wanted is the proof's to say.
pub(crate) fn indifferent() -> Vec<(&'static str, Vec<u8>)> {
    let sums = |change: &dyn Fn(&mut [u32; 3])| {
        let mut evil = member("evil").streamed();
        change(evil.descriptor.as_mut().unwrap());
        with(&[evil])
    };
    let flagged = ZipMember { local: ZipHeader { flags: 1 << 11, ..member("evil").local }, ..member("evil") };
    vec![
        ("as it should be", with(&[member("evil")])),
        ("another check sum behind the data", sums(&|sums| sums[0] ^= 1)),
        ("another packed size behind the data", sums(&|sums| sums[1] += 1)),
        ("another size behind the data", sums(&|sums| sums[2] += 1)),
        ("two sets of flags", with(&[flagged])),
        ("zip64 sizes in the data only", with(&[zip64_in_data()])),
        ("cut extra field", with(&[member("evil").both(|header| header.extra = vec![1, 2, 3])])),
        ("bytes behind the compressed data", with(&[stuffed()])),
    ]
}

fn damaged() -> ZipMember {
    // The third kind of block, which deflate does not have.
    ZipMember { data: vec![0b111; 7], ..member("evil").both(|header| header.packed = 7) }
}

fn stuffed() -> ZipMember {
    let mut evil = member("evil");
    evil.data.extend(b"hidden");
    evil.both(|header| header.packed += 6)
}

fn structure() -> Vec<Case> {
    let ended = |case, end: ZipEnd, what| Case::new(case, zip(&sdk(), &end), Refusal::Zip(what));
    let case = |case, members: &[ZipMember], what| Case::new(case, with(members), Refusal::Zip(what));
    let whole = zip(&sdk(), &HONEST_END);
    let extra_field = "an extra field that no module needs";
    let not_last = "it does not end in a directory without a comment";
    let misplaced = "the directory is not where its end says";
    vec![
        case("member that only the directory has", &[ZipMember { is_in_data: false, ..member("ghost") }], CONTRADICTS),
        case(
            "member that only the data has",
            &[ZipMember { is_in_directory: false, ..member("ghost") }, member("last")],
            GAP,
        ),
        case(
            "last member that only the data has",
            &[ZipMember { is_in_directory: false, ..member("ghost") }],
            LAST_GAP,
        ),
        case("two members of one place", &[ZipMember { offset: Some(0), ..member("ghost") }], GAP),
        case("member within a member", &quine(), GAP),
        case("zip64 sizes", &[member("evil").both(|header| header.extra = extra(1, &[0; 16]))], extra_field),
        case(
            "a second name",
            &[member("evil").both(|header| header.extra = extra(0x7075, b"\x01....name"))],
            extra_field,
        ),
        ended("one member more than there is", ZipEnd { entries_error: 1, ..HONEST_END }, CONTRADICTS),
        ended("one member less than there is", ZipEnd { entries_error: -1, ..HONEST_END }, LAST_GAP),
        ended("directory elsewhere", ZipEnd { offset_error: -4, ..HONEST_END }, misplaced),
        ended("directory beyond the end", ZipEnd { offset_error: 1 << 30, ..HONEST_END }, misplaced),
        ended("zip64 record", ZipEnd { before: b"PK\x06\x07................".to_vec(), ..HONEST_END }, misplaced),
        ended("several disks", ZipEnd { disk: 1, ..HONEST_END }, "it consists of several disks"),
        ended("comment", ZipEnd { comment: b"hello".to_vec(), ..HONEST_END }, not_last),
        ended("another archive in the comment", ZipEnd { comment: whole.clone(), ..HONEST_END }, misplaced),
        Case::new("two archives, one behind the other", [&whole[..], &whole].concat(), Refusal::Zip(misplaced)),
        Case::new("program before the archive", [b"#!/bin/sh\n", &whole[..]].concat(), Refusal::Zip(misplaced)),
        Case::new("byte behind the archive", [&whole[..], b"x"].concat(), Refusal::Zip(not_last)),
        Case::new("nothing", Vec::new(), Refusal::Truncated),
        Case::new("a web page", b"<!doctype html><title>Sign in</title>".to_vec(), Refusal::Zip(not_last)),
        Case::new("60,001 members", many(), Refusal::TooManyEntries(60_000)),
    ]
}

/// A stored member whose data is another member.
fn quine() -> Vec<ZipMember> {
    let inner = zip(&[member("inner")], &HONEST_END);
    let outer = ZipMember::stored(format!("{MODULE}outer"), &inner);
    let start = zip(&sdk(), &HONEST_END).len() - central_size() - 22;
    let at = start + 30 + outer.local.name.len();
    let hidden = ZipMember { is_in_data: false, offset: Some(at as u32), ..member("inner") };
    vec![outer, hidden]
}

fn central_size() -> usize {
    sdk().iter().map(|member| 46 + member.central.name.len() + member.central.extra.len()).sum()
}

fn zip64_in_data() -> ZipMember {
    let mut evil = member("evil");
    evil.local.extra = extra(1, &[0; 16]);
    evil
}

fn extra(id: u16, content: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes(), &(content.len() as u16).to_le_bytes(), content].concat()
}

fn many() -> Vec<u8> {
    let members: Vec<_> = (0..60_001).map(|n| ZipMember::stored(format!("{MODULE}{n}"), b"")).collect();
    zip(&members, &HONEST_END)
}

fn members() -> Vec<Case> {
    let case = |case, evil: ZipMember, reason| Case::new(case, with(&[evil]), reason);
    let flagged = |flags: u16| member("evil").both(move |header| header.flags = flags);
    let typed = |mode: u32| ZipMember { attributes: mode << 16, ..member("evil") };
    let encrypted_by_aes = member("evil").both(|header| header.extra = extra(0x9901, &[0; 7]));
    vec![
        case("encrypted", flagged(1), Refusal::Encrypted),
        case("strongly encrypted", flagged(1 << 6), Refusal::Encrypted),
        case("encrypted directory", flagged(1 << 13), Refusal::Encrypted),
        case("encrypted by AES", encrypted_by_aes, Refusal::Zip("an extra field that no module needs")),
        case("patch data", flagged(1 << 5), Refusal::Zip("a flag that no module needs")),
        case("bzip2", member("evil").both(|header| header.method = 12), Refusal::Method("Bzip2".to_owned())),
        case("symbolic link", typed(0o120_777), Refusal::Kind("a symbolic link")),
        case("named pipe", typed(0o010_644), Refusal::Kind("a special file")),
        case("setuid", typed(0o104_755), Refusal::SpecialMode(0o4755)),
        case("directory by its mode", typed(0o040_755), Refusal::Kind("a directory, which no module lists")),
        case(
            "directory by its attribute",
            ZipMember { attributes: 0x10, ..member("d") },
            Refusal::Kind("a directory, which no module lists"),
        ),
        case("directory by its name", ZipMember::stored(format!("{MODULE}d/"), b""), Refusal::Name(NameFault::Empty)),
        case(
            "stored in two sizes",
            ZipMember::stored(format!("{MODULE}s"), b"evil").both(|h| h.size = 3),
            Refusal::Zip("a stored member has two sizes"),
        ),
        case("bomb", ZipMember::new(format!("{MODULE}zeros"), &vec![0; 64 << 20]), Refusal::Bomb(100)),
        case("4 GiB in 9 bytes", member("evil").both(|header| header.size = u32::MAX), Refusal::TreeTooLarge(1 << 30)),
        case("2 GiB", member("big").both(|h| (h.size, h.packed) = (2 << 30, 32 << 20)), Refusal::TreeTooLarge(1 << 30)),
    ]
}

fn names() -> Vec<Case> {
    let raw = |case, name: &[u8], fault| Case::new(case, with(&[ZipMember::new(name, b"evil")]), Refusal::Name(fault));
    let outside =
        |case, name: &str| Case::new(case, with(&[ZipMember::new(name, b"evil")]), Refusal::Outside(MODULE.to_owned()));
    let folded = |path: &str| Refusal::CaseCollision(path.to_owned());
    vec![
        raw("`..`", format!("{MODULE}../../evil").as_bytes(), NameFault::Dots),
        raw("absolute", b"/tmp/evil", NameFault::Absolute),
        raw("backslash", format!("{MODULE}..\\evil").as_bytes(), NameFault::Backslash),
        raw("zero byte", format!("{MODULE}a\0b").as_bytes(), NameFault::Nul),
        outside("no module prefix", "go/evil"),
        outside("another version's prefix", "golang.org/toolchain@v0.0.1-go1.22.3.linux-amd64/evil"),
        outside("another platform's prefix", "golang.org/toolchain@v0.0.1-go1.22.4.linux-arm64/evil"),
        Case::new("the same name twice", with(&[member("a"), member("a")]), Refusal::Duplicate),
        Case::new("FOO and foo", with(&[member("FOO"), member("foo")]), folded("FOO")),
        Case::new("file and directory", with(&[member("a"), member("a/b")]), Refusal::FileAndDirectory("a".to_owned())),
        Case::new(
            "go.mod and _go.mod",
            with(&[member("x/_go.mod"), member("x/go.mod")]),
            Refusal::ModuleFile("go.mod"),
        ),
        Case::new("go.mod alone", with(&[member("go.mod")]), Refusal::ModuleFile("go.mod")),
        Case::new("GO.MOD", with(&[member("x/GO.MOD")]), Refusal::ModuleFile("go.mod")),
        Case::new(
            "a name in an unknown character set",
            with(&[member("ä")]),
            Refusal::Zip("a name in an unknown character set"),
        ),
        Case::new(
            "no SDK at all",
            zip(&[], &HONEST_END),
            Refusal::NotAnSdk { platform: platform(), what: "its VERSION names nothing, not go1.22.4".to_owned() },
        ),
    ]
}
