//! Hostile tar files: names that leave the tree, things that are no files, and streams that two readers read
//! differently.

use govern_store::{NameFault, Refusal};

use crate::archives::{TAR_END, TarEntry, gzip, pax_record, tar_entries};
use crate::hostile::Case;
use crate::support::{Files, platform, small_sdk, version};

/// A whole SDK without the end mark: what an archive needs so that nothing but its hostile entry can be at fault.
pub(crate) fn sdk_tar() -> Vec<u8> {
    tar_entries(&small_sdk(&version()))
}

fn with_raw(entries: &[u8]) -> Vec<u8> {
    gzip(&[&sdk_tar(), entries, &TAR_END[..]].concat())
}

fn with(entries: &[TarEntry]) -> Vec<u8> {
    with_raw(&entries.iter().flat_map(TarEntry::bytes).collect::<Vec<_>>())
}

pub(crate) fn tar_cases() -> Vec<Case> {
    [names(), kinds(), collisions(), headers(), extensions(), ends(), other_trees()].into_iter().flatten().collect()
}

fn names() -> Vec<Case> {
    let named = |case, name: &[u8], fault| Case::new(case, with(&[TarEntry::file(name)]), Refusal::Name(fault));
    let long = |case, name: &str, fault| {
        let entries = [TarEntry::pax(pax_record("path", name)), TarEntry::file("go/short")];
        Case::new(case, with(&entries), Refusal::Name(fault))
    };
    let outside = |case, name: &str| Case::new(case, with(&[TarEntry::file(name)]), Refusal::Outside("go/".to_owned()));
    vec![
        named("`..` first", b"../evil", NameFault::Dots),
        named("`..` in the middle", b"go/../../evil", NameFault::Dots),
        named("`..` last", b"go/src/..", NameFault::Dots),
        named("`./..`", b"./../evil", NameFault::Dots),
        named("`.`", b".", NameFault::Dots),
        named("absolute", b"/tmp/evil", NameFault::Absolute),
        named("two slashes", b"//tmp/evil", NameFault::Absolute),
        named("no name", b"", NameFault::Empty),
        named("empty element", b"go//evil", NameFault::Empty),
        named("a file that ends in a slash", b"go/evil/", NameFault::Empty),
        named("backslash", b"go\\..\\evil", NameFault::Backslash),
        named("space at the end", b"go/evil ", NameFault::Edge),
        named("dot at the end", b"go/evil.", NameFault::Edge),
        named("not UTF-8", b"go/\xff\xfe", NameFault::NotUtf8),
        named("escape sequence", b"go/\x1b[2J", NameFault::Character('\u{1b}')),
        named("colon", b"go/C:evil", NameFault::Character(':')),
        named("device name", b"go/src/Nul.go", NameFault::Device("Nul".to_owned())),
        named("combining mark", "go/e\u{301}".as_bytes(), NameFault::Character('\u{301}')),
        named("Angstrom sign", "go/\u{212b}".as_bytes(), NameFault::Character('\u{212b}')),
        long("zero byte in a PAX path", "go/evil\0.txt", NameFault::Nul),
        long("element of 300 bytes", &format!("go/{}", "x".repeat(300)), NameFault::TooLong),
        long("5,000 directories", &format!("go/{}x", "d/".repeat(5000)), NameFault::TooLong),
        long("100 directories", &format!("go/{}x", "d/".repeat(100)), NameFault::TooDeep),
        long("PAX path over a harmless name", "../../evil", NameFault::Dots),
        outside("beside the tree", "evil"),
        outside("another tree", "gone/evil"),
        outside("the tree as a file", "go"),
        Case::new(
            "zero byte amid a name",
            with(&[TarEntry::file(b"go/a\0/../../evil")]),
            Refusal::Tar("bytes follow the end of a name"),
        ),
        Case::new(
            "`..` in the ustar prefix",
            with(&[TarEntry { prefix: b"..".to_vec(), ..TarEntry::file("go/evil") }]),
            Refusal::Name(NameFault::Dots),
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let kind = |case, entries: &[TarEntry], what| Case::new(case, with(entries), Refusal::Kind(what));
    let symlink = |name, target| TarEntry::link(b'2', name, target);
    let hardlink = |name, target| TarEntry::link(b'1', name, target);
    let special = |mode| Refusal::SpecialMode(mode);
    vec![
        kind("symlink to /", &[symlink("go/l", "/")], "a symbolic link"),
        kind("symlink to ..", &[symlink("go/l", "..")], "a symbolic link"),
        kind("symlink within", &[symlink("go/l", "src")], "a symbolic link"),
        kind(
            "chain of symlinks",
            &[symlink("go/a", "b"), symlink("go/b", ".."), TarEntry::file("go/a/evil")],
            "a symbolic link",
        ),
        kind("file through a symlink", &[symlink("go/l", ".."), TarEntry::file("go/l/evil")], "a symbolic link"),
        kind(
            "symlink, then a directory of its name",
            &[symlink("go/l", "/tmp"), TarEntry::directory("go/l/")],
            "a symbolic link",
        ),
        kind(
            "directory replaced by a symlink",
            &[TarEntry::directory("go/d/"), symlink("go/d", "/tmp")],
            "a symbolic link",
        ),
        kind("hard link to a file outside", &[hardlink("go/l", "/etc/passwd")], "a hard link"),
        kind("hard link up", &[hardlink("go/l", "../../evil")], "a hard link"),
        kind("hard link to a later entry", &[hardlink("go/l", "go/later"), TarEntry::file("go/later")], "a hard link"),
        kind("character device", &[TarEntry::new(b'3', "go/d")], "a character device"),
        kind("block device", &[TarEntry::new(b'4', "go/d")], "a block device"),
        kind("named pipe", &[TarEntry::new(b'6', "go/p")], "a named pipe"),
        kind("contiguous file", &[TarEntry::new(b'7', "go/c")], "a contiguous file"),
        kind("socket", &[TarEntry::new(b's', "go/s")], "of an unknown type"),
        kind("GNU sparse file of 4 TiB", &[sparse()], "a sparse file"),
        kind("GNU long link", &[TarEntry::new(b'K', "././@LongLink")], "the target of a link"),
        kind("unknown type", &[TarEntry::new(b'Z', "go/z")], "of an unknown type"),
        Case::new("setuid", with(&[TarEntry::file("go/s").with_mode(0o4755)]), special(0o4755)),
        Case::new("setgid", with(&[TarEntry::file("go/s").with_mode(0o2755)]), special(0o2755)),
        Case::new("sticky", with(&[TarEntry::file("go/s").with_mode(0o1755)]), special(0o1755)),
        Case::new("setgid directory", with(&[TarEntry::directory("go/s/").with_mode(0o2775)]), special(0o2775)),
    ]
}

/// Claims 4 TiB in the field of the real size.
fn sparse() -> TarEntry {
    TarEntry { magic: b"ustar  \0".to_vec(), size: Some(b"00000000000\0".to_vec()), ..TarEntry::new(b'S', "go/sparse") }
}

fn collisions() -> Vec<Case> {
    let case = |case, entries: &[TarEntry], reason| Case::new(case, with(entries), reason);
    let file = |name: &str| TarEntry::file(name);
    let both = |path: &str| Refusal::FileAndDirectory(path.to_owned());
    let folded = |path: &str| Refusal::CaseCollision(path.to_owned());
    vec![
        case("the same file twice", &[file("go/a"), file("go/a")], Refusal::Duplicate),
        case(
            "the same directory twice",
            &[TarEntry::directory("go/a/"), TarEntry::directory("go/a/")],
            Refusal::Duplicate,
        ),
        case("a file of the SDK again", &[file("go/bin/go")], Refusal::Duplicate),
        case("file, then directory", &[file("go/a"), TarEntry::directory("go/a/")], both("a")),
        case("directory, then file", &[TarEntry::directory("go/a/"), file("go/a")], both("a")),
        case("file, then something in it", &[file("go/a"), file("go/a/b")], both("a")),
        case("FOO and foo", &[file("go/FOO"), file("go/foo")], folded("FOO")),
        case("directories Src and src", &[file("go/Src/x")], folded("src")),
        case("Greek sigmas", &[file("go/ς"), file("go/σ")], folded("ς")),
        case("_go.mod", &[file("go/src/_go.mod")], Refusal::ModuleFile("_go.mod")),
    ]
}

fn headers() -> Vec<Case> {
    let tar = |case, entry: TarEntry, what| Case::new(case, with(&[entry]), Refusal::Tar(what));
    let file = || TarEntry::file("go/evil");
    let size = |text: &[u8]| TarEntry { size: Some(text.to_vec()), ..TarEntry::file("go/evil") };
    let unreadable = "a header that cannot be read";
    let no_size = "the size is no octal number";
    let no_number = "an owner or a time is no octal number";
    vec![
        tar("negative size", size(&[0xff; 12]), unreadable),
        tar("base-256 size", size(b"\x80\0\0\0\0\0\0\0\0\0\0\x05"), no_size),
        tar("size with a sign", size(b"+0000000005\0"), no_size),
        tar("size with letters", size(b"0000000000x\0"), unreadable),
        tar("two sizes in one field", size(b"5\x0000000001\0\0"), no_size),
        tar("mode with letters", TarEntry { mode: b"rwxrwxrw".to_vec(), ..file() }, "the mode is no octal number"),
        tar("base-256 owner", TarEntry { uid: b"\x80\0\0\0\0\x7f\xff\xff".to_vec(), ..file() }, no_number),
        tar("time of 2^62", TarEntry { mtime: b"\x80\0\0\0\x40\0\0\0\0\0\0\0".to_vec(), ..file() }, no_number),
        tar("time of -2^62", TarEntry { mtime: b"\xff\xff\xff\xff\xc0\0\0\0\0\0\0\0".to_vec(), ..file() }, no_number),
        tar("check sum off by one", TarEntry { sum_error: 1, ..file() }, unreadable),
        tar("no magic number", TarEntry { magic: vec![0; 8], ..file() }, "the magic number is not ustar"),
        tar(
            "foreign magic number",
            TarEntry { magic: b"USTAR\x0000".to_vec(), ..file() },
            "the magic number is not ustar",
        ),
        tar(
            "file with a link's target",
            TarEntry::link(b'0', "go/evil", "/etc"),
            "a target of a link where there is no link",
        ),
        tar("file with a directory's mode", file().with_mode(0o040_755), "mode and type differ"),
        tar("directory with a link's mode", TarEntry::directory("go/d/").with_mode(0o120_755), "mode and type differ"),
        tar("directory with content", TarEntry { kind: b'5', ..file() }, "a directory with content"),
        Case::new("8 GiB", with(&[size(b"77777777777\0")]), Refusal::TreeTooLarge(1 << 30)),
        Case::new("60,001 entries", many(), Refusal::TooManyEntries(60_000)),
    ]
}

/// Empty files, which cost the least to write and delete.
fn many() -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..60_001 {
        bytes.extend(TarEntry::new(b'0', format!("go/d/{n}")).bytes());
    }
    gzip(&[&sdk_tar(), &bytes[..], &TAR_END[..]].concat())
}

fn extensions() -> Vec<Case> {
    let pax = |case, records: String, what| {
        Case::new(case, with(&[TarEntry::pax(records), TarEntry::file("go/evil")]), Refusal::Pax(what))
    };
    let cut = "a record is cut or has a wrong length";
    let long = |name: &[u8]| TarEntry { content: name.to_vec(), ..TarEntry::new(b'L', "././@LongLink") };
    let tar = |case, entries: &[TarEntry], what| Case::new(case, with(entries), Refusal::Tar(what));
    let several = "one entry has several extension headers";
    let path = || TarEntry::pax(pax_record("path", "go/harmless"));
    vec![
        pax("a second size", pax_record("size", "0"), "a second size"),
        pax("a link's target", pax_record("linkpath", "/etc/passwd"), "a target of a link"),
        pax("sparse map", pax_record("GNU.sparse.map", "0,1"), "a key that no SDK needs"),
        pax("sparse name", pax_record("GNU.sparse.name", "go/other"), "a key that no SDK needs"),
        pax("extended attribute", pax_record("SCHILY.xattr.security.capability", "x"), "a key that no SDK needs"),
        pax("character set", pax_record("hdrcharset", "BINARY"), "a key that no SDK needs"),
        pax("path given twice", pax_record("path", "go/a") + &pax_record("path", "../b"), "a key appears twice"),
        pax("empty path", pax_record("path", ""), "an empty path"),
        pax("record too long", "99 path=go/a\n".to_owned(), cut),
        pax("record too short", "7 path=go/a\n".to_owned(), cut),
        pax("record without a length", "path=go/a\n".to_owned(), cut),
        pax("length with a sign", "+13 path=go/a\n".to_owned(), cut),
        pax("record without `=`", "8 path!\n".to_owned(), cut),
        pax("record behind an empty line", pax_record("path", "go/a") + "\n" + &pax_record("path", "../b"), cut),
        Case::new("global header", with(&[TarEntry { kind: b'g', ..path() }]), Refusal::Pax("a global header")),
        Case::new("an archive hidden in a file", smuggled(), Refusal::Pax("a second size")),
        tar(
            "long name without an end",
            &[long(b"go/evil"), TarEntry::file("go/e")],
            "a long name is empty or does not end in a zero byte",
        ),
        tar(
            "empty long name",
            &[long(b"\0"), TarEntry::file("go/e")],
            "a long name is empty or does not end in a zero byte",
        ),
        tar("two long names", &[long(b"go/a\0"), long(b"go/b\0"), TarEntry::file("go/e")], several),
        tar("long name and PAX", &[path(), long(b"go/b\0"), TarEntry::file("go/e")], several),
        tar("PAX and long name", &[long(b"go/b\0"), path(), TarEntry::file("go/e")], several),
        tar("PAX header without an entry", &[path()], "an extension header without an entry"),
        tar("huge PAX header", &[TarEntry::pax(vec![b'x'; 65 << 10])], "an extension header of more than 64 KiB"),
        Case::new(
            "long name that leaves the tree",
            with(&[long(b"go/../../evil\0"), TarEntry::file("go/e")]),
            Refusal::Name(NameFault::Dots),
        ),
        Case::new(
            "zero byte in a long name",
            with(&[long(b"go/a\0/../../evil\0"), TarEntry::file("go/e")]),
            Refusal::Name(NameFault::Nul),
        ),
    ]
}

/// To a reader that believes PAX, a file of 1,024 bytes; to one that believes ustar, an empty file and another entry.
fn smuggled() -> Vec<u8> {
    let inner = TarEntry::file("go/bin/evil").bytes();
    let outer = TarEntry { size: Some(b"00000000000\0".to_vec()), ..TarEntry::new(b'0', "go/harmless") };
    let pax = TarEntry::pax(pax_record("size", &inner.len().to_string()));
    with_raw(&[pax.bytes(), outer.bytes(), inner].concat())
}

fn ends() -> Vec<Case> {
    let sdk = sdk_tar();
    let ended = |tail: &[u8]| gzip(&[&sdk, tail].concat());
    let content_cut = TarEntry { size: Some(b"00000010000\0".to_vec()), ..TarEntry::file("go/evil") }.bytes();
    let more = [&TAR_END[..], &TarEntry::file("go/evil").bytes()].concat();
    vec![
        Case::new("no end mark", ended(&[]), Refusal::Truncated),
        Case::new("half an end mark", ended(&[0; 512]), Refusal::Truncated),
        Case::new("half a header", ended(&[1; 100]), Refusal::Truncated),
        Case::new("content cut", ended(&content_cut), Refusal::Truncated),
        Case::new(
            "one block of zeros",
            with_raw(&[&[0; 512], &more[1024..]].concat()),
            Refusal::Tar("a block of zeros amid the entries"),
        ),
        Case::new("an archive behind the end", ended(&more), Refusal::Trailing),
        Case::new("2 MiB of zeros behind the end", ended(&[0; 2 << 20]), Refusal::Trailing),
        Case::new("nothing in it", gzip(&[]), Refusal::Truncated),
    ]
}

fn other_trees() -> Vec<Case> {
    let case = |name, what: &str, change: &dyn Fn(&mut Files)| {
        let mut files = small_sdk(&version());
        change(&mut files);
        let archive = gzip(&[&tar_entries(&files), &TAR_END[..]].concat());
        Case::new(name, archive, Refusal::NotAnSdk { platform: platform(), what: what.to_owned() })
    };
    let without = |path: &'static str| move |files: &mut Files| drop(files.remove(path));
    let changed = |path: &'static str, content: &'static [u8], exec| {
        move |files: &mut Files| drop(files.insert(path.to_owned(), (content.to_vec(), exec)))
    };
    vec![
        case("no VERSION", "its VERSION names nothing, not go1.22.4", &without("VERSION")),
        case("another version", "its VERSION names go1.22.3, not go1.22.4", &changed("VERSION", b"go1.22.3\n", false)),
        case("a longer version", "its VERSION names go1.22.40, not go1.22.4", &changed("VERSION", b"go1.22.40", false)),
        case("no go", "bin/go is missing", &without("bin/go")),
        case("no gofmt", "bin/gofmt is missing", &without("bin/gofmt")),
        case("a go that cannot run", "bin/go is not executable", &changed("bin/go", b"", false)),
        case("no tools", "pkg/tool holds nothing", &without("pkg/tool/linux_amd64/compile")),
        Case::new(
            "no SDK at all",
            gzip(&TAR_END),
            Refusal::NotAnSdk { platform: platform(), what: "its VERSION names nothing, not go1.22.4".to_owned() },
        ),
    ]
}
