//! Remembers what was found around a directory, and believes it only while every directory and file on the way says by
//! its stamp that nothing changed: one stat each, and no reading. An edit is seen by the very next question.
//!
//! What a directory holds changes with its own stamp, so that names which are not there cost nothing; where others come
//! and go (`/tmp`, a home), they are looked for. Where stamps may lag behind the truth (other machines' file systems,
//! FUSE), nothing is remembered. Leaves out what is looked at (`look`) and what follows from it (core).

mod held;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use govern_core::decide::Surroundings;
use govern_core::layout::Layout;
use govern_core::vars::Vars;

use crate::config::Config;
use crate::error::Error;
use crate::fresh::{Stamp, is_local};
use crate::look;
use held::Held;

/// Stamps that are kept at once, a dozen or so for each directory that is remembered; with all that goes with them some
/// 10 MB. Directories are not what is counted: a deep one takes many times what a shallow one does.
const MOST: usize = 16 * 1024;

/// The surroundings of many directories.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Std lock: held for a look-up or an insertion.
    known: RwLock<Remembered>,
    /// Std mutex: held for a clone, and once for opening the directories of a project.
    last: Mutex<Last>,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Remembered {
    all: HashMap<Key, Arc<Known>>,
    /// Of all of them together.
    stamps: usize,
}

/// What was asked for last. Whoever builds asks in one directory a hundred times: what is on the way up from it is held
/// open from the second time on.
#[derive(Debug, Default)]
enum Last {
    #[default]
    Nothing,
    Once(Arc<Known>),
    /// Nothing is held where that cannot be.
    Often(Arc<Known>, Option<Arc<Held>>),
}

/// What surroundings depend on, besides the disk.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    dir: PathBuf,
    vars: [Option<OsString>; look::VARIABLES.len()],
}

/// Surroundings, and what must still be so for them to hold.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    around: Arc<Surroundings>,
    /// The settings that the overrides are from.
    config: Arc<Config>,
    stamps: Stamps,
}

/// The stamps of everything that is looked at around a directory, or that would be if it were there.
#[derive(Clone, Debug)]
struct Stamps {
    /// The directories on the way up, nearest first.
    levels: Vec<Level>,
    /// Files that lie elsewhere; no stamp for one that is not there.
    elsewhere: Vec<(PathBuf, Option<Stamp>)>,
    /// The directory for temporary files: which one it is, whatever is in it.
    temporary: Option<(u64, u64)>,
}

/// A directory on the way up.
#[derive(Clone, Debug)]
struct Level {
    /// None for a directory that is not there.
    stamp: Option<Stamp>,
    /// The files of [`look::NAMES`] in it. What is there may change without its directory: it is edited in place, or it
    /// is a link to something, and has no stamp while that is not there.
    files: Vec<(&'static str, Option<Stamp>)>,
}

impl Memo {
    /// What is around a directory now, with the overrides of the settings; and as what it is remembered, if it is.
    pub(crate) fn around(
        &self,
        dir: &Path,
        vars: &Vars,
        config: &Arc<Config>,
        layout: &Layout,
        os: &str,
    ) -> Result<(Arc<Surroundings>, Option<Arc<Known>>), Error> {
        let now = SystemTime::now();
        let key = Key { dir: dir.to_owned(), vars: look::VARIABLES.map(|name| vars.os(name).map(OsString::from)) };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).all.get(&key).map(Arc::clone);
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.config, config))
            && let Some(others) = self.holds(&known, dir, vars)
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            let around = Arc::clone(&known.around);
            let others: Vec<_> = others.into_iter().filter(|(_, stamp)| stamp.is_settled_locally(now)).collect();
            if others.is_empty() {
                return Ok((around, Some(known)));
            }
            let mut known = Known::clone(&known);
            known.stamps.replace(others);
            return Ok((around, Some(self.keep(key, known))));
        }
        // Stamps before reading: a change in between is seen next time.
        let stamps = Stamps::take(dir, vars, os, now);
        let mut around = look::around(dir, vars, layout, os)?;
        around.overrides.clone_from(&config.overrides);
        let around = Arc::new(around);
        // A workspace that `go env -w` names is known only now, too late for its stamp.
        let has_hidden_work = around.go_env.line("GOWORK").is_some() && vars.os("GOWORK").is_none();
        let known = stamps.filter(|_| !has_hidden_work).map(|stamps| {
            let (around, config) = (Arc::clone(&around), Arc::clone(config));
            self.keep(key, Known { around, config, stamps })
        });
        Ok((around, known))
    }

    /// Says whether everything around a directory is as it was when this was found. False where it is and has to be looked
    /// at more closely.
    pub(crate) fn stands(&self, known: &Arc<Known>, dir: &Path, vars: &Vars) -> bool {
        let stands = self.holds(known, dir, vars).is_some_and(|others| others.is_empty());
        self.hits.fetch_add(u64::from(stands), Ordering::Relaxed);
        stands
    }

    /// How often nothing had to be read.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// As [`Stamps::hold`], the shorter way where it is open.
    fn holds(&self, known: &Arc<Known>, dir: &Path, vars: &Vars) -> Option<Vec<(usize, Stamp)>> {
        match self.held(known, dir) {
            Some(held) if known.stamps.hold_in(&held, dir, vars) => Some(Vec::new()),
            _ => known.stamps.hold(dir, vars),
        }
    }

    fn held(&self, known: &Arc<Known>, dir: &Path) -> Option<Arc<Held>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Last::Often(often, held) if Arc::ptr_eq(often, known) => held.clone(),
            Last::Once(once) if Arc::ptr_eq(once, known) => {
                let held = Held::above(dir).map(Arc::new);
                *last = Last::Often(Arc::clone(known), held.clone());
                held
            }
            _ => {
                *last = Last::Once(Arc::clone(known));
                None
            }
        }
    }

    fn keep(&self, key: Key, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        let mut remembered = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.stamps + known.stamps.len() > MOST {
            // Rare, and cheap to make good: no order of use is kept on the path of every question.
            *remembered = Remembered::default();
        }
        remembered.stamps += known.stamps.len();
        if let Some(before) = remembered.all.insert(key, Arc::clone(&known)) {
            remembered.stamps -= before.stamps.len();
        }
        known
    }
}

impl Stamps {
    /// How many there are.
    fn len(&self) -> usize {
        self.levels.iter().map(|level| 1 + level.files.len()).sum::<usize>() + self.elsewhere.len()
    }

    /// Takes the stamps. `None` where they are not to be trusted: too young, or another machine's.
    fn take(dir: &Path, vars: &Vars, os: &str, now: SystemTime) -> Option<Stamps> {
        let mut local: Vec<u64> = Vec::new();
        let mut take = |path: &Path| {
            let Some(stamp) = Stamp::of(path) else { return Some(None) };
            let (device, _) = stamp.id();
            if !local.contains(&device) {
                if !is_local(path) {
                    return None;
                }
                local.push(device);
            }
            stamp.is_settled_locally(now).then_some(Some(stamp))
        };
        let mut levels = Vec::new();
        for dir in look::levels(dir) {
            let mut level = Level { stamp: take(dir)?, files: Vec::new() };
            for name in look::NAMES {
                let path = dir.join(name);
                if fs::symlink_metadata(&path).is_ok() {
                    level.files.push((name, take(&path)?));
                }
            }
            levels.push(level);
        }
        let mut elsewhere = Vec::new();
        for path in look::elsewhere(vars, os) {
            let stamp = take(&path)?;
            elsewhere.push((path, stamp));
        }
        Some(Stamps { levels, elsewhere, temporary: id_of(look::temporary(vars)) })
    }

    /// Says whether everything is as it was; if so, with the new stamps of directories in which something else changed,
    /// each by how far up it is.
    fn hold(&self, dir: &Path, vars: &Vars) -> Option<Vec<(usize, Stamp)>> {
        let mut others = Vec::new();
        for (up, (dir, level)) in look::levels(dir).zip(&self.levels).enumerate() {
            let stamp = Stamp::of(dir);
            if stamp != level.stamp {
                let (new, old) = (stamp?, level.stamp.as_ref()?);
                if new.id() != old.id() || !level.has_the_same_names(dir) {
                    return None;
                }
                others.push((up, new));
            }
            if level.files.iter().any(|(name, stamp)| Stamp::of(&dir.join(name)) != *stamp) {
                return None;
            }
        }
        self.hold_elsewhere(vars).then_some(others)
    }

    /// Says whether everything is as it was, the directories to the last name in them: only then do they prove that the
    /// paths still lead to what is held.
    fn hold_in(&self, held: &Held, dir: &Path, vars: &Vars) -> bool {
        let Some(way) = held.from(dir) else { return false };
        // Those far up are the busy ones.
        let mut levels = self.levels.iter().enumerate().rev();
        levels.all(|(up, level)| {
            let is_same = |(name, stamp): &(&str, _)| Stamp::read(way.stat_in(up, name)) == *stamp;
            Stamp::read(way.stat(up)) == level.stamp && level.files.iter().all(is_same)
        }) && self.hold_elsewhere(vars)
    }

    fn hold_elsewhere(&self, vars: &Vars) -> bool {
        self.elsewhere.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
            && id_of(look::temporary(vars)) == self.temporary
    }

    /// Takes newer stamps of some directories for the ones that [`Stamps::hold`] held.
    fn replace(&mut self, others: Vec<(usize, Stamp)>) {
        for (up, stamp) in others {
            self.levels[up].stamp = Some(stamp);
        }
    }
}

impl Level {
    /// Says whether no name that counts came or went, in a directory that has changed.
    fn has_the_same_names(&self, dir: &Path) -> bool {
        let is_free = |name| fs::symlink_metadata(dir.join(name)).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        look::NAMES.iter().all(|name| match self.files.iter().find(|(known, _)| known == name) {
            // Whether the file is the same is for its stamp to say. A link to nothing has none, and no file neither.
            Some((_, stamp)) => stamp.is_some(),
            None => is_free(name),
        })
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    Stamp::of(path).map(|stamp| stamp.id())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::{Duration, Instant, SystemTime};

    use govern_core::layout::Layout;
    use govern_core::vars::Vars;

    use super::{Key, Known, Level, MOST, Memo, Stamps};
    use crate::config::Config;
    use crate::fresh::Stamp;
    use crate::look;

    /// A tree, and questions about it that are answered twice: from memory and afresh.
    struct World {
        dir: tempfile::TempDir,
        memo: Memo,
        config: Arc<Config>,
        layout: Layout,
        vars: Vars,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().unwrap();
            let mut vars = Vars::default();
            vars.set("HOME", dir.path().join("home"));
            vars.set("TMPDIR", dir.path().join("tmp"));
            let layout = Layout { system: dir.path().join("etc"), ..Layout::under(&dir.path().join("govern")) };
            let config = Arc::new(Config::read(&layout).unwrap());
            World { memo: Memo::default(), config, layout, vars, dir }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
            fs::write(self.path(path), text).unwrap();
        }

        fn seen(&self, dir: &Path) -> String {
            let around = self.memo.around(dir, &self.vars, &self.config, &self.layout, "linux").unwrap().0;
            let afresh = look::around(dir, &self.vars, &self.layout, "linux").unwrap();
            assert_eq!(format!("{around:?}"), format!("{afresh:?}"));
            format!("{around:?}")
        }

        fn hits(&self) -> u64 {
            self.memo.hits()
        }

        /// Asks until the answer comes from memory: the stamps must have aged, and somebody may be busy above. Then until
        /// what is on the way up is held open.
        fn remember(&self, dir: &Path) -> String {
            let (begin, hits) = (Instant::now(), self.hits());
            loop {
                let seen = self.seen(dir);
                if self.hits() > hits + 3 {
                    return seen;
                }
                assert!(begin.elapsed() < Duration::from_secs(30), "it is never remembered");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn what_is_remembered_is_given_up_with_every_edit() {
        let world = World::new();
        world.write("home/.config/go/env", "GOFLAGS=-x\n");
        world.write("a/.go-version", "1.26.6\n");
        world.write("a/b/go.mod", "module m\n\ngo 1.24.0\n");
        world.write("elsewhere/pin", "1.22.1\n");
        symlink("../../elsewhere/pin", world.path("a/b/.tool-versions")).unwrap();
        symlink("../elsewhere/nothing", world.path("a/go.work")).unwrap();
        let dir = world.path("a/b/c");
        fs::create_dir_all(&dir).unwrap();
        type Edit = fn(&World);
        let edits: [(&str, Edit); 12] = [
            ("a line of a pin, in place, of the same length", |w| w.write("a/.go-version", "1.26.7\n")),
            ("a new pin, nearer", |w| w.write("a/b/c/.go-version", "1.21.13\n")),
            ("a pin renamed over", |w| {
                w.write("new", "1.23.1\n");
                fs::rename(w.path("new"), w.path("a/b/c/.go-version")).unwrap();
            }),
            ("a pin deleted", |w| fs::remove_file(w.path("a/b/c/.go-version")).unwrap()),
            ("what a link points at", |w| w.write("elsewhere/pin", "golang 1.25.1\n")),
            ("a module line", |w| w.write("a/b/go.mod", "module m\n\ngo 1.24.9\n")),
            ("what a dangling link will point at", |w| w.write("elsewhere/nothing", "go 1.27.0\n")),
            ("a link to somewhere else", |w| {
                fs::remove_file(w.path("a/b/.tool-versions")).unwrap();
                symlink("/dev/null", w.path("a/b/.tool-versions")).unwrap();
            }),
            ("go env -w", |w| w.write("home/.config/go/env", "GO111MODULE=off\n")),
            ("go env -u", |w| fs::remove_file(w.path("home/.config/go/env")).unwrap()),
            ("a parent moved away, another in its place", |w| {
                fs::rename(w.path("a"), w.path("old")).unwrap();
                w.write("a/b/c/d", "");
                w.write("a/.go-version", "1.20.14\n");
            }),
            ("a pin above everything", |w| w.write(".tool-versions", "go 1.22.3\n")),
        ];
        for (what, edit) in edits {
            let before = world.remember(&dir);
            edit(&world);
            assert_ne!(world.seen(&dir), before, "{what}");
        }
    }

    #[test]
    fn what_else_happens_in_a_directory_is_not_mistaken_for_an_edit_nor_an_edit_for_that() {
        let world = World::new();
        world.write("a/b/go.mod", "module m\n\ngo 1.24.0\n");
        world.write("a/.go-version", "1.26.6\n");
        symlink(".tool-versions", world.path("a/.tool-versions")).unwrap();
        let dir = world.path("a/b");
        let before = world.remember(&dir);
        assert!(before.contains("passed over"), "a link to itself cannot be read");
        for at in 0..50 {
            let hits = world.hits();
            world.write(&format!("a/b/{at}"), "");
            assert_eq!(world.seen(&dir), before);
            assert_eq!(world.hits(), hits + 1, "read again for nothing");
        }
        world.write("a/b/other", "");
        world.write("a/b/.go-version", "1.21.13\n");
        assert_ne!(world.seen(&dir), before);
        fs::remove_file(world.path("a/b/.go-version")).unwrap();
        assert_eq!(world.remember(&dir), before);
        fs::remove_file(world.path("a/.tool-versions")).unwrap();
        assert_ne!(world.seen(&dir), before);
    }

    #[test]
    fn a_directory_in_which_something_else_changed_is_believed_again() {
        let world = World::new();
        world.write("a/.go-version", "1.26.6\n");
        let dir = world.path("a");
        world.remember(&dir);
        world.write("a/other", "");
        let stamp = || Stamp::of(&dir).unwrap();
        while !stamp().is_settled_locally(SystemTime::now()) {
            world.seen(&dir);
        }
        world.seen(&dir);
        let known = world.memo.known.read().unwrap();
        assert_eq!(known.all.values().next().unwrap().stamps.levels[0].stamp, Some(stamp()));
    }

    #[test]
    fn variables_and_settings_have_answers_of_their_own() {
        let mut world = World::new();
        world.write("a/go.work", "go 1.25.0\n");
        let dir = world.path("a");
        let plain = world.remember(&dir);
        world.vars.set("GOWORK", "off");
        assert_ne!(world.remember(&dir), plain);
        world.vars.set("GOWORK", "");
        assert_eq!(world.remember(&dir), plain);
        let hits = world.hits();
        world.config = Arc::new(Config::read(&world.layout).unwrap());
        world.seen(&dir);
        assert_eq!(world.hits(), hits, "overrides may be others");
    }

    #[test]
    fn no_more_stamps_are_kept_than_there_is_room_for_however_they_come() {
        let world = World::new();
        let known = |count: usize| Known {
            around: Arc::default(),
            config: Arc::clone(&world.config),
            stamps: Stamps {
                levels: vec![Level { stamp: None, files: Vec::new() }; count],
                elsewhere: Vec::new(),
                temporary: None,
            },
        };
        let keep = |dir: usize, count: usize| {
            let key = Key { dir: PathBuf::from(format!("/{dir}")), vars: Default::default() };
            world.memo.keep(key, known(count));
            let kept = world.memo.known.read().unwrap();
            assert_eq!(kept.stamps, kept.all.values().map(|known| known.stamps.len()).sum::<usize>());
            assert!(kept.stamps <= MOST, "{}", kept.stamps);
            kept.stamps
        };
        // The same directory over and over takes room once.
        assert!((1..100).all(|_| keep(0, MOST / 4) == MOST / 4));
        let most = (0..1_000).map(|dir| keep(dir, 1 + dir * 7919 % 100)).max().unwrap();
        assert!(most > MOST - 100, "{most}: there is room for more");
    }

    #[test]
    fn a_young_stamp_is_not_believed() {
        let world = World::new();
        world.write("a/.go-version", "1.26.6\n");
        let dir = world.path("a");
        world.remember(&dir);
        world.write("a/.go-version", "1.26.7\n");
        let hits = world.hits();
        let young = |w: &World| !Stamp::of(&w.path("a/.go-version")).unwrap().is_settled_locally(SystemTime::now());
        while young(&world) {
            world.seen(&dir);
            assert!(!young(&world) || world.hits() == hits);
        }
    }
}
