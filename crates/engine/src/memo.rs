//! Remembers what was found around a directory, and believes it only while every directory and file on the way says by
//! its stamp that nothing changed: one stat each, and no reading. An edit is seen by the very next question.
//!
//! What a directory holds changes with its own stamp, so that names which are not there cost nothing. Where stamps may
//! lag behind the truth (other machines' file systems, FUSE), nothing is remembered. Leaves out what is looked at
//! (`look`) and what follows from it (core).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use govern_core::decide::Surroundings;
use govern_core::layout::Layout;
use govern_core::vars::Vars;

use crate::config::Config;
use crate::error::Error;
use crate::fresh::{Stamp, is_local};
use crate::look;

/// Stamps that are kept at once, a dozen or so for each directory that is remembered; with all that goes with them some
/// 10 MB. Directories are not what is counted: a deep one takes many times what a shallow one does.
const MOST: usize = 16 * 1024;

/// The surroundings of many directories.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Std lock: held for a look-up or an insertion.
    known: RwLock<Remembered>,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Remembered {
    all: HashMap<Key, Arc<Known>>,
    /// Of all of them together.
    stamps: usize,
}

/// What surroundings depend on, besides the disk.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    dir: PathBuf,
    vars: [Option<OsString>; look::VARIABLES.len()],
}

/// Surroundings, and what must still be so for them to hold.
#[derive(Debug)]
struct Known {
    around: Arc<Surroundings>,
    /// The settings that the overrides are from.
    config: Arc<Config>,
    /// None for a file that is not there.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    /// The directory for temporary files: which one it is, whatever is in it.
    temporary: Option<(u64, u64)>,
}

impl Memo {
    /// What is around a directory now, with the overrides of the settings.
    pub(crate) fn around(
        &self,
        dir: &Path,
        vars: &Vars,
        config: &Arc<Config>,
        layout: &Layout,
        os: &str,
    ) -> Result<Arc<Surroundings>, Error> {
        let key = Key { dir: dir.to_owned(), vars: look::VARIABLES.map(|name| vars.os(name).map(OsString::from)) };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).all.get(&key).map(Arc::clone);
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.config, config) && known.holds(vars)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Arc::clone(&known.around));
        }
        // Stamps before reading: a change in between is seen next time.
        let now = SystemTime::now();
        let before = stamps(dir, vars, os).filter(|stamps| {
            stamps.iter().filter_map(|(_, stamp)| stamp.as_ref()).all(|stamp| stamp.is_settled_locally(now))
        });
        let temporary = id_of(look::temporary(vars));
        let mut around = look::around(dir, vars, layout, os)?;
        around.overrides.clone_from(&config.overrides);
        let around = Arc::new(around);
        // A workspace that `go env -w` names is known only now, too late for its stamp.
        let has_hidden_work = around.go_env.line("GOWORK").is_some() && vars.os("GOWORK").is_none();
        if let Some(stamps) = before.filter(|_| !has_hidden_work) {
            let (around, config) = (Arc::clone(&around), Arc::clone(config));
            self.keep(key, Known { around, config, stamps, temporary });
        }
        Ok(around)
    }

    /// How often nothing had to be read.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn keep(&self, key: Key, known: Known) {
        let mut remembered = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.stamps + known.stamps.len() > MOST {
            // Rare, and cheap to make good: no order of use is kept on the path of every question.
            *remembered = Remembered::default();
        }
        remembered.stamps += known.stamps.len();
        if let Some(before) = remembered.all.insert(key, Arc::new(known)) {
            remembered.stamps -= before.stamps.len();
        }
    }
}

impl Known {
    fn holds(&self, vars: &Vars) -> bool {
        self.stamps.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
            && id_of(look::temporary(vars)) == self.temporary
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    Stamp::of(path).map(|stamp| stamp.id())
}

/// The stamps of everything that is looked at around a directory, or that would be if it were there. `None` where stamps
/// are not to be trusted.
fn stamps(dir: &Path, vars: &Vars, os: &str) -> Option<Vec<(PathBuf, Option<Stamp>)>> {
    let mut stamps: Vec<(PathBuf, Option<Stamp>)> = Vec::new();
    let mut add = |path: PathBuf| {
        let stamp = Stamp::of(&path);
        stamps.push((path, stamp));
    };
    for level in look::levels(dir) {
        add(level.to_owned());
        // What is there may change without its directory: it is edited in place, or it is a link to something.
        let there =
            look::NAMES.map(|name| level.join(name)).into_iter().filter(|path| fs::symlink_metadata(path).is_ok());
        there.for_each(&mut add);
    }
    look::elsewhere(vars, os).into_iter().for_each(&mut add);
    let mut local: Vec<u64> = Vec::new();
    for (path, stamp) in &stamps {
        let Some((device, _)) = stamp.as_ref().map(Stamp::id) else { continue };
        if !local.contains(&device) {
            if !is_local(path) {
                return None;
            }
            local.push(device);
        }
    }
    Some(stamps)
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

    use super::Memo;
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
            let around = self.memo.around(dir, &self.vars, &self.config, &self.layout, "linux").unwrap();
            let afresh = look::around(dir, &self.vars, &self.layout, "linux").unwrap();
            assert_eq!(format!("{around:?}"), format!("{afresh:?}"));
            format!("{around:?}")
        }

        fn hits(&self) -> u64 {
            self.memo.hits()
        }

        /// Asks until the answer comes from memory: the stamps must have aged, and somebody may be busy above.
        fn remember(&self, dir: &Path) -> String {
            let (begin, hits) = (Instant::now(), self.hits());
            loop {
                let seen = self.seen(dir);
                if self.hits() > hits {
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
