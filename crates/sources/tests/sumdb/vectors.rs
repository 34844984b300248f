//! Published values: signed notes of the real sum.golang.org, and hashes, paths and proofs that Go's library computes.

use std::fmt::Write as _;

use govern_sources::sumdb::answer::{self, Answer};
use govern_sources::sumdb::claim::{Claim, Wanted};
use govern_sources::sumdb::tile::{HEIGHT, Plan, Tile};
use govern_sources::sumdb::tlog::{self, Hash, Head, Node, Tree};
use govern_sources::sumdb::{Refusal, Verifier, note};
use proptest::prelude::*;

use crate::log::{self, Log, MODULE};

const LATEST: &str = "go.sum database tree\n28891140\n++pUIeKTwGvykMUkmM3AT97PwQipMT6H/p7t86E0Sp0=\n\n\u{2014} sum.golang.org Az3grqNvOILDz7xwAKugtVFZwd+I9IyB/mHrUYzcVaS9zKsRVdRLNGLFpnAcLhyoBBkdIYEzK/+7Eu4wanYttLrPsQo=\n";
const LOOKUP: &str = "24929362\ngolang.org/toolchain v0.0.1-go1.21.9.linux-amd64 h1:rRL9rPpsjKfpdDFcppvNgw1/dynUMrpDcTxdIwtyFR0=\ngolang.org/toolchain v0.0.1-go1.21.9.linux-amd64/go.mod h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=\n\ngo.sum database tree\n28905453\nf3f8U0MoQmXkWAgAEKDtXcaI3c2y6N9+55KNSRefF/w=\n\n\u{2014} sum.golang.org Az3grr4J9x4SApup87osjthKONInbYdbN37ZskrLF12HIbhDuxOBTzt8Z2jUKbCvxYWrw0yNgshddOzt7pZEl7aSCw8=\n";
const VERSION: &str = "v0.0.1-go1.21.9.linux-amd64";

#[test]
fn the_real_signed_tree_heads_open_and_say_what_they_say() {
    let key = Verifier::sum_golang_org();
    let latest = Head::open(LATEST.as_bytes(), &key).unwrap();
    assert_eq!(latest.tree().size, 28_891_140);
    assert_eq!(latest.tree().root.to_string(), "++pUIeKTwGvykMUkmM3AT97PwQipMT6H/p7t86E0Sp0=");
    let answer = Answer::parse(LOOKUP.as_bytes()).unwrap();
    assert_eq!((answer.id, answer.text.len()), (24_929_362, 201));
    assert_eq!(Hash::of_record(answer.text.as_bytes()).to_string(), "A/+TP2a1pyCJM2jsWxhtn8S+e4UYsO5MYbxns1Xhj+o=");
    assert_eq!(Head::open(answer.note, &key).unwrap().tree().size, 28_905_453);
    assert_eq!(
        answer::hash_of(answer.text, MODULE, VERSION).unwrap(),
        "h1:rRL9rPpsjKfpdDFcppvNgw1/dynUMrpDcTxdIwtyFR0="
    );
}

#[test]
fn a_real_tree_head_with_another_size_is_not_signed() {
    let forged = LATEST.replace("28891140", "28891141");
    let refusal = Head::open(forged.as_bytes(), &Verifier::sum_golang_org()).unwrap_err();
    assert_eq!(refusal, Refusal::Signature { name: "sum.golang.org".to_owned() });
}

#[test]
fn the_real_log_is_asked_for_the_tiles_that_go_asks_for() {
    let key = Verifier::sum_golang_org();
    let wanted = Wanted { module: MODULE, version: VERSION };
    let tiles = |known: Option<&Head>| {
        let claim = Claim::new(&key, HEIGHT, known, LOOKUP.as_bytes(), wanted).unwrap();
        claim.tiles().iter().map(Tile::to_string).collect::<Vec<_>>()
    };
    let top = ["tile/8/3/000.p/1", "tile/8/2/001.p/185", "tile/8/1/441.p/15", "tile/8/0/x112/911.p/237"];
    let record = ["tile/8/1/380", "tile/8/0/x097/380"];
    let older = ["tile/8/1/440", "tile/8/0/x112/856"];
    assert_eq!(tiles(None), [&top[..], &record].concat());
    let latest = Head::open(LATEST.as_bytes(), &key).unwrap();
    assert_eq!(tiles(Some(&latest)), [&top[..], &record, &older].concat());
}

#[test]
fn tile_paths_are_spelled_as_go_spells_them() {
    let check = |height, level, index, width, expect: &str| {
        assert_eq!(Tile { height, level, index, width }.to_string(), expect);
    };
    check(8, 0, 97_380, 256, "tile/8/0/x097/380");
    check(8, 1, 380, 100, "tile/8/1/380.p/100");
    check(3, 4, 1_234_067, 1, "tile/3/4/x001/x234/067.p/1");
    check(3, 4, 1_234_067, 8, "tile/3/4/x001/x234/067");
    check(8, 0, 0, 256, "tile/8/0/000");
    check(8, 0, 1_000_000, 1, "tile/8/0/x001/x000/000.p/1");
    check(1, 0, 1 << 62, 2, "tile/1/0/x004/x611/x686/x018/x427/x387/904");
}

/// The log of the records `rec 0`, `rec 1`, ….
fn small() -> Log {
    Log::new((0..7).map(|i| format!("rec {i}\n")).collect())
}

/// All hashes of a tree, authenticated.
fn hashes(log: &Log, size: usize, nodes: &[Node]) -> Vec<Hash> {
    let tree = *log.head(size).tree();
    let plan = Plan::new(tree, HEIGHT, nodes);
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| log.tile(tile)).collect();
    let held = plan.authenticate(&tiles).unwrap();
    nodes.iter().map(|node| held.hash(*node).unwrap()).collect()
}

#[test]
fn roots_and_leaves_of_the_small_log_are_gos() {
    let log = small();
    let roots = [
        "vpcksAkdhMDeL+JTyR5qyfla1hNvxHyb3cERQzYD9eU=",
        "3JawT1W9J9vuCURXwCjs8Vm/gQTJm94EuOApfzKxBBM=",
        "Qt+3l9fRP8wJ5yMVYWicfWuP9XkmCR22hlwc5pSqBeo=",
        "XLyO36XzKAidm/O1pnr1mn6pS6gzWJw4mU1xHrVXpiI=",
        "/bLvj4O8W9UKfOUIizsGPZ5GOZrEmSSegWzqxGAmRkY=",
        "DWhF4bPJ4zf31AufB+9qSjoofgVdDeHLHTbxMEMZ1ok=",
        "mmhXxO8w008PkDTR5YrTqI381/oXw08rg/Odptti530=",
    ];
    for (size, root) in (1..).zip(roots) {
        let nodes = tlog::cover(0, size as u64);
        assert_eq!(tlog::join(&hashes(&log, size, &nodes)).to_string(), root);
        assert_eq!(log.head(size).tree().root.to_string(), root);
    }
    let leaves = [
        "vpcksAkdhMDeL+JTyR5qyfla1hNvxHyb3cERQzYD9eU=",
        "NVgclPQxBNdBZKx+Xi6IsGHLzmaibU30xJamHA/Bh4o=",
        "XaheXN+QKZFAd3LUoGgT95fz4nBqtALeSKF4w5cBruw=",
        "CWlRzydRgMyBLjUbOsHbkFXILZyazppYq5KY/cTs7Ew=",
        "msLZIveYKoUpacWjX7ZEqRBuVXietbs4r/ybkImBfCs=",
        "aEWLpGawourEBQPk/jyM+YLDmY2DjEKhfllCGW4Tzkg=",
        "tfRl6cODjfthmXd2I571f4HUVByNI0XOnivWsFCVlZ8=",
    ];
    for (i, leaf) in leaves.iter().enumerate() {
        assert_eq!(Hash::of_record(format!("rec {i}\n").as_bytes()).to_string(), *leaf);
    }
    assert_eq!(Hash::of_empty_tree().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn the_consistency_proof_of_the_small_log_is_gos() {
    let log = small();
    let (tree, prefix) = (*log.head(7).tree(), *log.head(4).tree());
    let plan = Plan::new(tree, HEIGHT, &tlog::cover(0, 4));
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| log.tile(tile)).collect();
    let proof = plan.authenticate(&tiles).unwrap().prove_prefix(4).unwrap();
    let text: Vec<_> = proof.iter().map(Hash::to_string).collect();
    assert_eq!(text, ["gI02813LV80HD8wx1chJl24obYXcQ35xtbnstjrHxwE="]);
    assert!(tlog::is_prefix(&tree, &prefix, &proof));
}

/// The proof is made from the tiles that the comparison itself needs: saving evidence must never need the server again.
#[test]
fn every_pair_of_trees_has_a_consistency_proof_that_the_tiles_at_hand_give() {
    let log = Log::of_toolchains(96);
    for size in 1..=96_usize {
        let tree = *log.head(size).tree();
        for prefix in 1..size {
            let older = Tree { size: prefix as u64, root: Hash(log.root(prefix)) };
            for height in [1, 2, 3, HEIGHT] {
                let plan = Plan::new(tree, height, &tlog::cover(0, prefix as u64));
                let tiles: Vec<_> = plan.tiles().iter().map(|tile| log.tile(tile)).collect();
                let held = plan.authenticate(&tiles).unwrap();
                assert_eq!(held.root(0, prefix as u64), Some(older.root));
                let mut proof = held.prove_prefix(prefix as u64).unwrap();
                assert!(tlog::is_prefix(&tree, &older, &proof), "{prefix} of {size}");
                let other = Tree { root: Hash([7; 32]), ..older };
                assert!(!tlog::is_prefix(&tree, &other, &proof));
                proof[0].0[3] ^= 1;
                assert!(!tlog::is_prefix(&tree, &older, &proof));
            }
        }
    }
}

#[test]
fn a_note_is_opened_by_its_rules_and_no_others() {
    let key = log::verifier();
    let signed = String::from_utf8(log::sign("hello\n")).unwrap();
    let line = signed.split_once("\n\n").unwrap().1.to_owned();
    let other_key = "\u{2014} somebody.else AAAAAAAA\n";
    let open = |text: &str| note::open(text.as_bytes(), &key).map(str::to_owned);
    let ok = |text: &str, expect: &str| assert_eq!(open(text), Ok(expect.to_owned()), "{text:?}");
    let bad = |text: &str, why: &'static str| assert_eq!(open(text), Err(Refusal::Note(why)), "{text:?}");

    ok(&signed, "hello\n");
    ok(&format!("{signed}{other_key}"), "hello\n");
    ok(&format!("hello\n\n{other_key}{line}"), "hello\n");
    ok(&format!("{signed}{line}"), "hello\n");
    let wrong_line = String::from_utf8(log::sign("other\n")).unwrap().split_once("\n\n").unwrap().1.to_owned();
    ok(&format!("{signed}{wrong_line}"), "hello\n");
    let wrong = Refusal::Signature { name: log::NAME.to_owned() };
    assert_eq!(open(&format!("hello\n\n{wrong_line}{line}")), Err(wrong));
    let blank_inside = String::from_utf8(log::sign("one\n\ntwo\n")).unwrap();
    ok(&blank_inside, "one\n\ntwo\n");
    ok(&format!("{signed}{}", other_key.repeat(99)), "hello\n");

    bad(&format!("{signed}{}", other_key.repeat(100)), "it has more than 100 signatures");
    bad("hello\n", "it has no signatures");
    bad("hello\n\n", "it does not end in a line of signature");
    bad(signed.trim_end(), "it does not end in a line of signature");
    bad(&signed.replace("hello", "hel\rlo"), "it is not plain text");
    bad(&signed.replace('\u{2014}', "-"), "a line of signature is malformed");
    bad(&signed.replace("\u{2014} ", "\u{2014}"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014} a+b AAAAAAAA\n"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014}  AAAAAAAA\n"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014} a\u{a0}b AAAAAAAA\n"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014} name AAAAAA==\n"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014} name\n"), "a line of signature is malformed");
    bad(&format!("{signed}\u{2014} name AAAA AAAA\n"), "a line of signature is malformed");
    assert_eq!(note::open(b"a\xff\n\n", &key), Err(Refusal::Note("it is not plain text")));
    let unsigned = Refusal::Unsigned { name: log::NAME.to_owned() };
    assert_eq!(open(&format!("hello\n\n{other_key}")), Err(unsigned));
    let wrong = Refusal::Signature { name: log::NAME.to_owned() };
    assert_eq!(open(&signed.replace("hello", "hallo")), Err(wrong));

    let long = String::from_utf8(log::sign(&format!("{}\n", "x".repeat(1_000_000)))).unwrap();
    bad(&long, "it is longer than 1,000,000 bytes");
}

/// Go's decoder lets the unused bits of the last character be anything; then two different notes would both be "the" note.
#[test]
fn a_signature_has_one_spelling() {
    let signed = String::from_utf8(log::sign("hello\n")).unwrap();
    let last = signed.rfind('=').unwrap() - 1;
    let stray = char::from(signed.as_bytes()[last] + 1);
    let respelled = format!("{}{stray}{}", &signed[..last], &signed[last + 1..]);
    assert_ne!(respelled, signed);
    let malformed = Refusal::Note("a line of signature is malformed");
    assert_eq!(note::open(respelled.as_bytes(), &log::verifier()), Err(malformed));
}

#[test]
fn a_tree_head_has_one_spelling_and_may_have_more_lines() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let ok = |text: String, size| assert_eq!(Tree::parse(&text).unwrap().size, size);
    ok(format!("go.sum database tree\n0\n{root}\n"), 0);
    ok(format!("go.sum database tree\n9223372036854775807\n{root}\nmore\nlines\n"), i64::MAX as u64);
    let bad = |text: String| assert_eq!(Tree::parse(&text), Err(Refusal::Tree), "{text:?}");
    bad(String::new());
    bad(format!("go.sum database tree v2\n1\n{root}\n"));
    bad(format!("go.sum database tree\n1\n{root}"));
    for size in ["", "-1", "+1", "01", " 1", "1 ", "0x1", "9223372036854775808", "1e3"] {
        bad(format!("go.sum database tree\n{size}\n{root}\n"));
    }
    for root in ["", "AAAA", &root[1..], &root.replace('=', ""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV="] {
        bad(format!("go.sum database tree\n1\n{root}\n"));
    }
}

#[test]
fn an_answer_is_taken_apart_by_its_rules_and_no_others() {
    let answer = Answer::parse(b"7\nfirst\nsecond\n\nnote\n\nmore\n").unwrap();
    assert_eq!(answer, Answer { id: 7, text: "first\nsecond\n", note: b"note\n\nmore\n" });
    assert_eq!(answer.with_note(b"other\n"), b"7\nfirst\nsecond\n\nother\n");
    let bad = |bytes: &[u8], why| assert_eq!(Answer::parse(bytes), Err(Refusal::Answer(why)), "{bytes:?}");
    bad(b"", "it has no record number");
    bad(b"<!doctype html>\n<title>Log in</title>\n", "its record number is not a number");
    for id in ["-1", "+1", "007", "", "1 ", "9223372036854775808"] {
        bad(format!("{id}\ntext\n\nnote\n").as_bytes(), "its record number is not a number");
    }
    bad(b"1\ntext\n", "it has no tree head");
    bad(b"1\n\ntext\n\nnote\n", "its record is not plain text");
    bad(b"1\nte\txt\n\nnote\n", "its record is not plain text");
    bad(b"1\nte\xffxt\n\nnote\n", "its record is not plain text");
    bad(&[b"1\n", vec![b'x'; 1_000_000].as_slice()].concat(), "it is longer than 1,000,000 bytes");
}

#[test]
fn a_plan_for_the_largest_tree_there_can_be_is_small() {
    let tree = Tree { size: i64::MAX as u64, root: Hash([0; 32]) };
    for height in [1, 2, 7, HEIGHT, 16] {
        let node = Node { level: 0, index: 1 << 62 };
        let plan = Plan::new(tree, height, &[node]);
        assert!(plan.tiles().len() <= 2 * 63, "{}", plan.tiles().len());
    }
}

proptest! {
    /// Whatever comes from outside, the parsers answer.
    #[test]
    fn no_input_makes_a_parser_panic(bytes: Vec<u8>, pieces in "[0-9\n\u{2014} a+/=]{0,80}") {
        for input in [bytes.as_slice(), pieces.as_bytes()] {
            let _ = note::open(input, &log::verifier());
            let _ = Answer::parse(input);
        }
        let mut text = String::new();
        let _ = write!(text, "go.sum database tree\n{pieces}\n");
        let _ = Tree::parse(&text);
    }

    /// The cover of a range is complete, without overlap, and no node is wider than its place allows.
    #[test]
    fn a_cover_holds_every_record_once(from in 0..5000_u64, count in 0..5000_u64) {
        let mut next = from;
        for Node { level, index } in tlog::cover(from, from + count) {
            prop_assert_eq!(index << level, next);
            next += 1 << level;
        }
        prop_assert_eq!(next, from + count);
    }
}
