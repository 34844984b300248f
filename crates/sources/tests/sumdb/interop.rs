//! The same cases before Go's own client and before ours: honest ones and forged ones must meet with the same verdict.
//! Where ours refuses on purpose what Go accepts, the case says why, and Go must really accept it.
//!
//! Needs a `go` on PATH that can build `../sumdb_oracle`. Without one it compares nothing, says so, and fails in CI.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use govern_sources::sumdb::Client;
use govern_sources::sumdb::claim::{Claim, Wanted};
use govern_sources::sumdb::tile::{HEIGHT, Tile};
use serde_json::json;

use crate::lab::{Moving, Server, run};
use crate::log::{self, Log, MODULE, version};

/// A server and the cases that change it.
struct Base {
    height: u8,
    files: HashMap<String, Vec<u8>>,
    cases: Vec<Case>,
}

struct Case {
    what: String,
    latest: Option<Vec<u8>>,
    wanted: String,
    /// What this case's server serves otherwise; `None` is nothing.
    changed: HashMap<String, Option<Vec<u8>>>,
    expect: Expect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// Whatever it is, the same from both.
    Same,
    /// Accepted by both: so that not everything is refused for a silly reason.
    Accept,
    /// Refused by ours alone, for this reason.
    Stricter(&'static str),
}

#[test]
fn gos_client_and_ours_accept_the_same_answers() {
    let oracle = match build_oracle() {
        Ok(oracle) => oracle,
        Err(reason) => {
            println!("sumdb interop: COMPARED 0 CASES with Go's client: {reason}");
            assert!(!in_ci(), "CI must compare with Go's client: {reason}");
            return;
        }
    };
    let bases = bases();
    let go = ask_oracle(&oracle, &bases);
    let cases: Vec<_> = bases.iter().flat_map(|base| base.cases.iter().map(move |case| (base, case))).collect();
    assert_eq!(cases.len(), go.len(), "one verdict a case");
    let (mut accepted, mut refused, mut stricter) = (0, 0, 0);
    for ((base, case), go) in cases.iter().zip(&go) {
        let ours = judge(base, case);
        let gos = go.strip_prefix("accept ");
        let context = || format!("{} (height {}): Go says `{go}`, we say {ours:?}", case.what, base.height);
        match case.expect {
            Expect::Stricter(_) => {
                assert!(gos.is_some() && ours.is_err(), "{}", context());
                stricter += 1;
                continue;
            }
            Expect::Accept => assert!(ours.is_ok(), "{}", context()),
            Expect::Same => {}
        }
        assert_eq!(ours.as_deref().ok(), gos, "{}", context());
        if ours.is_ok() { accepted += 1 } else { refused += 1 }
    }
    println!(
        "sumdb interop: {} cases compared with Go's client: {accepted} accepted and {refused} refused by both, \
         {stricter} refused by ours alone",
        cases.len()
    );
    assert!(cases.len() >= 8000 && accepted >= 1000 && refused >= 4000, "too few cases to mean anything");
    for (_, case) in cases {
        if let Expect::Stricter(why) = case.expect {
            println!("sumdb interop: stricter than Go: {}: {why}", case.what);
        }
    }
}

/// Our verdict: of the whole client at the height that databases serve, of the judgement alone at others.
fn judge(base: &Base, case: &Case) -> Result<String, String> {
    let serve = |path: &str| match case.changed.get(path) {
        Some(changed) => changed.clone(),
        None => base.files.get(path).cloned(),
    };
    if base.height == HEIGHT {
        let paths = base.files.keys().chain(case.changed.keys());
        let files = paths.filter_map(|path| Some((path.clone(), serve(path)?))).collect();
        let client = Client::new(log::verifier(), Server::of(files), Moving::at(case.latest.clone(), []));
        return run(client.lookup(MODULE, &case.wanted)).map(|record| record.h1).map_err(|error| format!("{error:?}"));
    }
    let verifier = log::verifier();
    let wanted = Wanted { module: MODULE, version: &case.wanted };
    let judged = || {
        let known = case.latest.as_ref().map(|note| govern_sources::sumdb::tlog::Head::open(note, &verifier));
        let known = known.transpose().map_err(|refusal| refusal.to_string())?;
        let answer = serve(&format!("/lookup/{MODULE}@{}", case.wanted)).ok_or("no answer")?;
        let claim = Claim::new(&verifier, base.height, known.as_ref(), &answer, wanted);
        let claim = claim.map_err(|refusal| refusal.to_string())?;
        let tiles: Option<Vec<_>> = claim.tiles().iter().map(|tile| serve(&format!("/{tile}"))).collect();
        let verdict = claim.judge(&tiles.ok_or("no tile")?);
        verdict.map(|verdict| verdict.record.h1).map_err(|refusal| refusal.to_string())
    };
    judged()
}

/// All the cases.
fn bases() -> Vec<Base> {
    let mut bases = Vec::new();
    let mut dice = Dice(0x5eed);
    for (height, size) in [
        (8, 1),
        (8, 2),
        (8, 7),
        (8, 100),
        (8, 255),
        (8, 256),
        (8, 257),
        (8, 300),
        (8, 513),
        (2, 5),
        (2, 21),
        (2, 64),
        (3, 100),
    ] {
        bases.push(base(height, size, &mut dice));
    }
    bases.push(strict_base());
    bases
}

fn base(height: u8, size: usize, dice: &mut Dice) -> Base {
    let log = Log::of_toolchains(600);
    let fork = log.with_record(size / 2, log::record(size / 2, &log::h1("evil")));
    let ids: Vec<_> = (0..8).map(|_| dice.roll(size)).chain([0, size - 1]).collect();
    let mut files = log.tiles(height, size);
    files.extend(ids.iter().map(|&id| (lookup(id), log.answer(id, size))));
    let mut base = Base { height, files, cases: Vec::new() };
    for &id in &ids {
        timelines(&mut base, &log, &fork, size, id, dice);
        lies(&mut base, &log, &fork, size, id);
        for _ in 0..10 {
            flips(&mut base, &log, size, id, dice);
        }
    }
    base
}

/// Known heads: older, equal, newer, and of another log.
fn timelines(base: &mut Base, log: &Log, fork: &Log, size: usize, id: usize, dice: &mut Dice) {
    base.add(format!("{id}/{size} at first sight"), id, None, [], Expect::Accept);
    base.add(format!("{id}/{size} known already"), id, Some(log.note(size)), [], Expect::Accept);
    for _ in 0..6 {
        let older = dice.roll(size) + 1;
        // Go wants to see the tiles of the tree that it knows, ours those of the newer one only.
        let tiles = |log: &Log| log.tiles(base.height, older).into_iter().map(|(path, row)| (path, Some(row)));
        let mut forked: Vec<_> = tiles(fork).collect();
        forked.retain(|(path, _)| !base.files.contains_key(path));
        let honest: Vec<_> = tiles(log).collect();
        base.add(format!("{id}/{size} after {older}"), id, Some(log.note(older)), honest, Expect::Accept);
        base.add(format!("{id}/{size} after a fork at {older}"), id, Some(fork.note(older)), forked, Expect::Same);
    }
    for newer in [size + 1, size + 5, 600] {
        let tiles: Vec<_> = log.tiles(base.height, newer).into_iter().map(|(path, row)| (path, Some(row))).collect();
        base.add(format!("{id}/{size} when {newer} is known"), id, Some(log.note(newer)), tiles, Expect::Accept);
        let tiles: Vec<_> = fork.tiles(base.height, newer).into_iter().map(|(path, row)| (path, Some(row))).collect();
        base.add(
            format!("{id}/{size} when a fork at {newer} is known"),
            id,
            Some(fork.note(newer)),
            tiles,
            Expect::Same,
        );
    }
}

/// Lies that are more than noise.
fn lies(base: &mut Base, log: &Log, fork: &Log, size: usize, id: usize) {
    let note = log.note(size);
    let text = &log.records[id];
    let mut answers = vec![
        ("another record", log::answer((id + 1) % size, text, &note)),
        ("a forged record", log::answer(id, &log::record(id, &log::h1("evil")), &note)),
        ("the fork's answer", fork.answer(id, size)),
        ("a smaller tree", log::answer(id, text, &log.note(id))),
        ("an unsigned tree", log::answer(id, text, log.tree_text(size).as_bytes())),
        (
            "a tree head of another format",
            log::answer(id, text, &log::sign(&log.tree_text(size).replace("tree", "twig"))),
        ),
        ("a size with a sign", log::answer(id, text, &log::sign(&log.tree_text(size).replacen('\n', "\n+", 1)))),
        (
            "a tree head with more lines",
            log::answer(id, text, &log::sign(&format!("{}more\n\nlines\n", log.tree_text(size)))),
        ),
        ("another key's signature beside", [log.answer(id, size), "\u{2014} x AAAAAAAA\n".into()].concat()),
        ("a malformed signature beside", [log.answer(id, size), "\u{2014} x AAAA\n".into()].concat()),
        ("a carriage return", [log.answer(id, size), b"\r\n".to_vec()].concat()),
        ("a number and a space", [b" ".to_vec(), log.answer(id, size)].concat()),
        ("nothing", Vec::new()),
        ("an HTML page", b"<!doctype html>\n\n<p>Log in\n".to_vec()),
    ];
    let other = log.records[(id + 1) % size].clone();
    answers.push(("another module's record", log::answer((id + 1) % size, &other, &note)));
    for (what, answer) in answers {
        base.add(format!("{id}/{size} {what}"), id, None, [(lookup(id), Some(answer))], Expect::Same);
    }
    // The forged record in the fork's tiles, each by itself, below the honest head.
    let lie = log::answer(id, &fork.records[id], &note);
    let forged = fork.tiles(base.height, size);
    let changed: Vec<_> = forged.into_iter().filter(|(path, row)| base.files.get(path) != Some(row)).collect();
    for (path, row) in &changed {
        let changed = [(lookup(id), Some(lie.clone())), (path.clone(), Some(row.clone()))];
        base.add(format!("{id}/{size} forged with {path}"), id, None, changed, Expect::Same);
    }
    let all = changed.into_iter().map(|(path, row)| (path, Some(row))).chain([(lookup(id), Some(lie))]);
    base.add(format!("{id}/{size} forged up to the root"), id, None, all.collect::<Vec<_>>(), Expect::Same);
}

/// Noise: one bit of an answer, one bit or the length of a tile, a tile that is missing.
fn flips(base: &mut Base, log: &Log, size: usize, id: usize, dice: &mut Dice) {
    let mut answer = log.answer(id, size);
    // The last letter of the signature has bits that nobody signed: see `strict_base`.
    let unsigned = answer.iter().rposition(|&byte| byte == b'=').unwrap() - 1;
    let bit = dice.roll(answer.len() * 8);
    if bit / 8 != unsigned {
        answer[bit / 8] ^= 1 << (bit % 8);
        base.add(format!("{id}/{size} bit {bit} of the answer"), id, None, [(lookup(id), Some(answer))], Expect::Same);
    }
    let mut tiles: Vec<_> = base.files.keys().filter(|path| path.starts_with("/tile/")).cloned().collect();
    tiles.sort();
    let path = tiles[dice.roll(tiles.len())].clone();
    let mut row = base.files[&path].clone();
    let bit = dice.roll(row.len() * 8);
    row[bit / 8] ^= 1 << (bit % 8);
    base.add(format!("{id}/{size} bit {bit} of {path}"), id, None, [(path.clone(), Some(row.clone()))], Expect::Same);
    match dice.roll(4) {
        0 => row.truncate(row.len() - 1),
        1 => row.push(0),
        2 => row.truncate(row.len() - 32),
        _ => row.extend([0; 32]),
    }
    base.add(format!("{id}/{size} length of {path}"), id, None, [(path.clone(), Some(row))], Expect::Same);
    let mut changed = vec![(path.clone(), None)];
    if let Some((full, _)) = path.split_once(".p/")
        && base.height == HEIGHT
    {
        let index = full.rsplit('/').next().and_then(|index| index.parse().ok()).unwrap();
        let level = full.split('/').nth(3).and_then(|level| level.parse().ok()).unwrap();
        if let Some(row) = full_tile(log, Tile { height: HEIGHT, level, index, width: 256 }) {
            changed.push((full.to_owned(), Some(row)));
        }
    }
    base.add(format!("{id}/{size} without {path}"), id, None, changed, Expect::Same);
}

/// A tile of a later day of the log, when it has one.
fn full_tile(log: &Log, tile: Tile) -> Option<Vec<u8>> {
    log.tiles(tile.height, log.records.len()).remove(&format!("/{tile}"))
}

/// What Go accepts and ours refuses.
fn strict_base() -> Base {
    let log = Log::of_toolchains(600);
    let honest = |id: usize| log.answer(id, 300);
    let mut base = Base { height: HEIGHT, files: log.tiles(HEIGHT, 300), cases: Vec::new() };
    let mut add = |what: &str, why, id: usize, changed: Vec<(String, Option<Vec<u8>>)>| {
        base.add(what.to_owned(), id, None, changed, Expect::Stricter(why));
    };
    let numbered = |id: usize, number: &str| {
        let answer = honest(id);
        let line = answer.iter().position(|&byte| byte == b'\n').unwrap();
        vec![(lookup(id), Some([number.as_bytes(), &answer[line..]].concat()))]
    };
    let spelling = "a record number has one spelling";
    add("record +7", spelling, 7, numbered(7, "+7"));
    add("record 007", spelling, 7, numbered(7, "007"));
    add("record -1 for 0", spelling, 0, numbered(0, "-1"));

    let mut answer = honest(7);
    let last = answer.iter().rposition(|&byte| byte == b'=').unwrap() - 1;
    answer[last] += 1;
    add("stray bits in a signature", "base64 has one spelling", 7, vec![(lookup(7), Some(answer))]);

    let full = full_tile(&log, Tile { height: HEIGHT, level: 0, index: 1, width: 256 }).unwrap();
    let surplus = [full, vec![0; 255]].concat();
    let changed = vec![
        (lookup(7), Some(honest(7))),
        ("/tile/8/0/001.p/44".to_owned(), None),
        ("/tile/8/0/001".to_owned(), Some(surplus)),
    ];
    add("a full tile with surplus bytes", "a tile has one length", 7, changed);

    let version = version(7);
    for (what, why, text) in [
        ("two hashes", "a module has one hash", format!("{}{}", log.records[7], log::record(7, &log::h1("other")))),
        ("a short hash", "a hash has 32 bytes", format!("{MODULE} {version} h1:AAAA\n")),
        ("a blank first line", "a record has no blank line", format!("\n{}", log.records[7])),
        (
            "a long record",
            "an answer has at most 1,000,000 bytes",
            format!("{}{}\n", log.records[7], "x".repeat(1_000_000)),
        ),
    ] {
        let log = log.with_record(7, text);
        let tiles = log.tiles(HEIGHT, 300).into_iter().map(|(path, row)| (path, Some(row)));
        add(what, why, 7, tiles.chain([(lookup(7), Some(log.answer(7, 300)))]).collect());
    }
    base
}

impl Base {
    fn add(
        &mut self,
        what: String,
        id: usize,
        latest: Option<Vec<u8>>,
        changed: impl IntoIterator<Item = (String, Option<Vec<u8>>)>,
        expect: Expect,
    ) {
        let changed = changed.into_iter().filter(|(path, bytes)| self.files.get(path) != bytes.as_ref()).collect();
        self.cases.push(Case { what, latest, wanted: version(id), changed, expect });
    }
}

fn lookup(id: usize) -> String {
    format!("/lookup/{MODULE}@{}", version(id))
}

/// A small generator, the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Builds the oracle with caches of its own, and says why it cannot.
fn build_oracle() -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sumdb-oracle");
    let oracle = dir.join("oracle");
    let build = Command::new("go")
        .args(["build", "-o"])
        .arg(&oracle)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sumdb_oracle"))
        .env("GOPATH", dir.join("path"))
        .env("GOMODCACHE", dir.join("mod"))
        .env("GOCACHE", dir.join("cache"))
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-modcacherw"), ("GOWORK", "off"), ("CGO_ENABLED", "0")])
        .output();
    let output = build.map_err(|error| format!("no `go` on PATH ({error})"))?;
    if !output.status.success() {
        return Err(format!("the oracle cannot be built: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(oracle)
}

/// Go's verdict on every case, in order.
fn ask_oracle(oracle: &Path, bases: &[Base]) -> Vec<String> {
    let mut child = Command::new(oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for base in bases {
                let mut files = Some(encode(base.files.iter().map(|(path, bytes)| (path, Some(bytes)))));
                for case in &base.cases {
                    let line = json!({
                        "Key": log::VERIFIER,
                        "Height": if base.height == HEIGHT { 0 } else { base.height },
                        "Latest": case.latest.as_ref().map(|note| STANDARD.encode(note)),
                        "Module": MODULE,
                        "Version": case.wanted,
                        "Files": files.take(),
                        "Changed": encode(case.changed.iter().map(|(path, bytes)| (path, bytes.as_ref()))),
                    });
                    writeln!(stdin, "{line}").unwrap();
                }
            }
        });
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the oracle failed");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    })
}

fn encode<'a>(files: impl Iterator<Item = (&'a String, Option<&'a Vec<u8>>)>) -> HashMap<&'a String, Option<String>> {
    files.map(|(path, bytes)| (path, bytes.map(|bytes| STANDARD.encode(bytes)))).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no main that could read it: outside CI, a missing `go` is no fault"
)]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}
