//! Random edits to a tree of projects, to the settings and to the SDKs: everything that a decision is made of. Each says
//! in a line what it did. Leaves out the asking.

#![cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has mounts of one's own"))]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use govern_core::layout::Layout;

/// Numbers that are as good as random, and the same again for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `limit`. SplitMix64.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The directories, below the user's home.
const DIRECTORIES: [&str; 9] =
    ["src/a", "src/a/b", "src/a/b/c", "src/d", "src/d/e/f", "src/g", "src/g/h", "src/to", "src/to/b"];

/// Where directories move from and to: each may be there or not.
const MOVED: [(&str, &str); 3] = [("src/a/b", "src/old-b"), ("src/d", "src/old-d"), ("src/g/h", "src/a/h")];

const FILES: [&str; 4] = [".go-version", ".tool-versions", "go.mod", "go.work"];

/// Versions of the same length, some of them installed, some not; families; and words that are none.
const WORDS: [&str; 10] =
    ["1.24.11", "1.26.6", "1.27.1", "1.26", "1.24", "1.22.4", "1.27.x", "system", "1.25.12", "latest"];

const SDKS: [&str; 5] = ["go1.24.11", "go1.26.6", "go1.27.1", "go1.25.12", "go1.22.4"];

/// Everything that a decision is made of.
pub(super) struct Tree {
    user: PathBuf,
    layout: Layout,
    random: Random,
    counts: BTreeMap<&'static str, usize>,
    /// Settings and SDKs are left alone.
    is_settled: bool,
    mounted: Vec<PathBuf>,
    mounts: usize,
}

impl Tree {
    pub(super) fn new(user: PathBuf, layout: Layout, random: Random) -> Tree {
        for dir in DIRECTORIES.iter().filter(|dir| !dir.starts_with("src/to")) {
            fs::create_dir_all(user.join(dir)).unwrap();
        }
        fs::create_dir_all(user.join("pins")).unwrap();
        fs::create_dir_all(user.join("tmp")).unwrap();
        fs::create_dir_all(&layout.config).unwrap();
        symlink("a", user.join("src/to")).unwrap();
        Tree { user, layout, random, counts: BTreeMap::new(), is_settled: false, mounted: Vec::new(), mounts: 0 }
    }

    /// The directories that questions are asked in, there or not.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        DIRECTORIES.iter().map(|dir| self.user.join(dir)).collect()
    }

    pub(super) fn somewhere(&mut self) -> PathBuf {
        self.user.join(self.random.of(&DIRECTORIES))
    }

    /// How many edits of each kind there were.
    pub(super) fn counts(&self) -> String {
        self.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// How many edits there were.
    pub(super) fn edits(&self) -> usize {
        self.counts.values().sum()
    }

    /// Whether settings and SDKs are left alone from now on.
    pub(super) fn settle(&mut self, is_settled: bool) {
        self.is_settled = is_settled;
    }

    pub(super) fn mounts(&self) -> usize {
        self.mounts
    }

    /// Edits something, and says what.
    pub(super) fn edit(&mut self) -> String {
        let kinds = if self.is_settled { 91 } else { 100 };
        let (kind, what) = match self.random.below(kinds) {
            0..25 => ("write", self.write()),
            25..40 => ("rename over", self.rename_over()),
            40..58 => ("same length, times put back", self.rewrite()),
            58..74 => ("delete", self.delete()),
            74..82 => ("link", self.link()),
            82..88 => ("move a directory", self.move_directory()),
            88..91 => ("link to a directory", self.link_directory()),
            91..94 => ("settings", self.settings()),
            94..96 => ("overrides", self.overrides()),
            96..98 => ("SDK", self.sdk()),
            _ => ("go env -w", self.go_env()),
        };
        *self.counts.entry(kind).or_default() += 1;
        format!("{kind}: {what}")
    }

    /// A pin file, somewhere, that may be edited: its directory is there.
    fn pin_file(&mut self) -> Option<PathBuf> {
        let dir = if self.random.below(40) == 0 { self.user.join("src") } else { self.somewhere() };
        let file = dir.join(self.random.of(&FILES));
        dir.is_dir().then_some(file)
    }

    fn text_for(&mut self, file: &Path) -> String {
        let word = self.random.of(&WORDS);
        match file.file_name().and_then(|name| name.to_str()) {
            Some(".tool-versions") => format!("golang {word}\n"),
            Some("go.mod") if self.random.below(2) == 0 => format!("module m\n\ngo 1.21.0\n\ntoolchain go{word}\n"),
            Some("go.mod" | "go.work") => format!("go {word}\n"),
            _ => format!("{word}\n"),
        }
    }

    fn write(&mut self) -> String {
        let Some(file) = self.pin_file() else { return "nowhere".to_owned() };
        let text = self.text_for(&file);
        // Through a link, if it is one; one that leads into nothing is made good.
        let done = fs::write(&file, &text);
        format!("{} {text:?} {done:?}", file.display())
    }

    fn rename_over(&mut self) -> String {
        let Some(file) = self.pin_file() else { return "nowhere".to_owned() };
        let text = self.text_for(&file);
        let new = self.user.join("tmp/new");
        fs::write(&new, &text).unwrap();
        // Another file system may be mounted there.
        let done = fs::rename(&new, &file);
        format!("{} {text:?} {done:?}", file.display())
    }

    /// Turns digits of a file round, in place, and puts its time of modification back.
    fn rewrite(&mut self) -> String {
        let Some(file) = self.pin_file() else { return "nowhere".to_owned() };
        rewrite(&file)
    }

    fn delete(&mut self) -> String {
        let Some(file) = self.pin_file() else { return "nowhere".to_owned() };
        format!("{} {:?}", file.display(), fs::remove_file(&file))
    }

    fn link(&mut self) -> String {
        let target = self.user.join(self.random.of(&["pins/x", "pins/y", "pins/none"]));
        if self.random.below(2) == 0 {
            let name = self.random.of(&FILES);
            let text = self.text_for(Path::new(name));
            return format!("target {} {text:?} {:?}", target.display(), fs::write(&target, &text));
        }
        let Some(file) = self.pin_file() else { return "nowhere".to_owned() };
        let new = self.user.join("tmp/link");
        fs::remove_file(&new).ok();
        symlink(&target, &new).unwrap();
        format!("{} -> {} {:?}", file.display(), target.display(), fs::rename(&new, &file))
    }

    fn move_directory(&mut self) -> String {
        let (there, away) = self.random.of(&MOVED);
        let (mut from, mut to) = (self.user.join(there), self.user.join(away));
        if to.is_dir() {
            std::mem::swap(&mut from, &mut to);
        }
        // An empty or a linked one may be in the way; it counts as an edit all the same.
        format!("{} -> {} {:?}", from.display(), to.display(), fs::rename(&from, &to))
    }

    fn link_directory(&mut self) -> String {
        let target = self.random.of(&["a", "d", "g", "nothing"]);
        let new = self.user.join("src/new-link");
        fs::remove_file(&new).ok();
        symlink(target, &new).unwrap();
        format!("src/to -> {target} {:?}", fs::rename(&new, self.user.join("src/to")))
    }

    fn settings(&mut self) -> String {
        let file = self.layout.config_file();
        if self.random.below(3) == 0 {
            return rewrite(&file);
        }
        let text = match self.random.below(4) {
            0 => format!("go_line = {:?}\n", self.random.of(&["minimum", "ignore", "pin"])),
            1 => format!("toolchain_line = {:?}\n", self.random.of(&["pin", "minimum"])),
            2 => format!("default = {:?}\n", self.random.of(&["1.24.11", "1.26.6", "1.2x"])),
            _ => String::new(),
        };
        fs::write(&file, &text).unwrap();
        text
    }

    fn overrides(&mut self) -> String {
        let file = self.layout.overrides_file();
        let dir = self.somewhere();
        let text = match self.random.below(3) {
            0 => return rewrite(&file),
            1 => format!("{dir:?} = {:?}\n", self.random.of(&["1.24.11", "1.26.6", "1.27.1"])),
            _ => String::new(),
        };
        fs::write(&file, &text).unwrap();
        text
    }

    /// An SDK comes, goes, or loses its `go`.
    fn sdk(&mut self) -> String {
        let sdk = self.layout.sdks().join(self.random.of(&SDKS));
        let aside = self.layout.data.join("aside");
        let go = sdk.join("bin/go");
        match self.random.below(3) {
            0 if go.exists() => format!("{} loses go {:?}", sdk.display(), fs::remove_file(&go)),
            1 if sdk.exists() => {
                fs::rename(&sdk, &aside).unwrap();
                fs::remove_dir_all(&aside).unwrap();
                format!("{} goes", sdk.display())
            }
            _ => {
                fs::create_dir_all(sdk.join("bin")).unwrap();
                format!("{} gets go {:?}", sdk.display(), fs::write(&go, "#!/bin/sh\n"))
            }
        }
    }

    fn go_env(&mut self) -> String {
        let file = self.user.join(".config/go/env");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let work = self.user.join("src/a/go.work");
        let text = match self.random.below(5) {
            0 => "GO111MODULE=off\n".to_owned(),
            1 => "GOWORK=off\n".to_owned(),
            2 => format!("GOWORK={}\n", work.display()),
            3 => format!("GOTOOLCHAIN={}\n", self.random.of(&["local", "go1.24.11", "auto"])),
            _ => String::new(),
        };
        fs::write(&file, &text).unwrap();
        text
    }

    /// Mounts something over a directory or a file, or takes a mount away.
    pub(super) fn mount(&mut self) -> String {
        if self.mounted.len() > 3 || (!self.mounted.is_empty() && self.random.below(3) == 0) {
            let at = self.mounted.pop().unwrap();
            return format!("umount {} {}", at.display(), run(Command::new("umount").arg("-l").arg(&at)));
        }
        let dir = self.somewhere();
        let (target, mut command) = match self.random.below(3) {
            0 => (dir, command(&["mount", "-t", "tmpfs", "none"])),
            1 => (dir, command(&["mount", "--bind", self.user.join("src/g").to_str().unwrap()])),
            _ => {
                let other = self.user.join("pins/mounted");
                let text = self.text_for(Path::new(".go-version"));
                fs::write(&other, text).unwrap();
                (dir.join(".go-version"), command(&["mount", "--bind", other.to_str().unwrap()]))
            }
        };
        if !target.exists() {
            return "nothing to mount over".to_owned();
        }
        let target = fs::canonicalize(&target).unwrap();
        let is_mounted = run(command.arg(&target));
        if is_mounted {
            self.mounts += 1;
            self.mounted.push(target.clone());
        }
        format!("mount over {}: {is_mounted}", target.display())
    }

    pub(super) fn unmount_all(&mut self) {
        while let Some(at) = self.mounted.pop() {
            run(Command::new("umount").arg("-l").arg(&at));
        }
    }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn run(command: &mut Command) -> bool {
    command.output().unwrap().status.success()
}

/// Changes one digit of a file in place, and puts its time of modification back.
fn rewrite(file: &Path) -> String {
    let Ok(text) = fs::read(file) else { return format!("{} is not there", file.display()) };
    let Some(at) = text.iter().rposition(u8::is_ascii_digit) else { return "no digit".to_owned() };
    let digit = [if text[at] == b'9' { b'1' } else { text[at] + 1 }];
    let open = fs::OpenOptions::new().write(true).open(file).unwrap();
    let modified = open.metadata().unwrap().modified().unwrap();
    open.write_all_at(&digit, at as u64).unwrap();
    open.set_modified(modified).unwrap();
    format!("{} at {at}", file.display())
}
