//! Keeps what was read from disk for as long as the disk says that nothing changed. Where stamps may lag behind the
//! truth (other machines' file systems, FUSE), nothing is kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;
use rustix::io;

/// File systems stamp with the kernel's tick (1–10 ms) or coarser (2 s on some). A stamp this young may belong to more
/// than one state, so that it proves nothing.
const SETTLED: Duration = Duration::from_secs(3);

/// Ten of the longest ticks that Linux is built with.
const TICKS: Duration = Duration::from_millis(100);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    id: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The state that the file at the end of all links is in; `None` when there is none to be seen.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        Stamp::read(rustix::fs::stat(path))
    }

    /// What the kernel says of a file, as a stamp.
    pub(crate) fn read(stat: io::Result<Stat>) -> Option<Stamp> {
        /// Their types are others on every system.
        fn number<N: TryInto<T>, T: Default>(number: N) -> T {
            number.try_into().unwrap_or_default()
        }
        let stat = stat.ok()?;
        Some(Stamp {
            id: (number(stat.st_dev), number(stat.st_ino)),
            size: number(stat.st_size),
            modified: (number(stat.st_mtime), number(stat.st_mtime_nsec)),
            changed: (number(stat.st_ctime), number(stat.st_ctime_nsec)),
        })
    }

    /// Which file it is: device and inode.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// As [`Stamp::is_settled`], for a file system that this machine stamps itself: where it knows parts of a second, the
    /// kernel's tick is all that two states can share.
    pub(crate) fn is_settled_locally(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.modified.max(self.changed);
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return false };
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Whole seconds alone may be all that is written down.
        if self.changed.1 == 0 { self.is_settled(now) } else { since > Duration::new(seconds, nanos) + TICKS }
    }

    /// True when the state is old enough that another one would have another stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let newest = self.modified.max(self.changed).0;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(newest).is_ok_and(|newest| since > Duration::from_secs(newest) + SETTLED)
    }
}

/// A value read from some paths.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    paths: Vec<PathBuf>,
    /// Std mutex: held for a clone or an exchange.
    kept: Mutex<Option<Arc<Kept<T>>>>,
}

/// A value with the stamps that its paths had before it was read; no stamp for a path that is not there.
#[derive(Debug)]
struct Kept<T> {
    stamps: Vec<Option<Stamp>>,
    value: Arc<T>,
}

impl<T> Cached<T> {
    /// A value that depends on these paths and on nothing else.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Cached<T> {
        Cached { paths, kept: Mutex::new(None) }
    }

    /// Has the value read again next time.
    pub(crate) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The value, read again if any path may have changed since, or the value says that it no longer holds.
    pub(crate) fn value<E>(
        &self,
        now: SystemTime,
        holds: impl FnOnce(&T) -> bool,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_same =
            |kept: &Kept<T>| self.paths.iter().zip(&kept.stamps).all(|(path, stamp)| Stamp::of(path) == *stamp);
        if let Some(kept) = kept.filter(|kept| is_same(kept) && holds(&kept.value)) {
            return Ok(Arc::clone(&kept.value));
        }
        // Stamps are taken before reading: a change in between is seen next time.
        let stamps: Vec<Option<Stamp>> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let value = Arc::new(read()?);
        let mut there = self.paths.iter().zip(&stamps).filter_map(|(path, stamp)| Some((path, stamp.as_ref()?)));
        let settled = there.all(|(path, stamp)| stamp.is_settled_locally(now) && is_local(path));
        let kept = settled.then(|| Arc::new(Kept { stamps, value: Arc::clone(&value) }));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(value)
    }
}

/// True for file systems that nobody changes but this machine, and whose stamps it sets itself.
#[cfg(target_os = "linux")]
pub(crate) fn is_local(path: &Path) -> bool {
    /// `linux/magic.h`: bcachefs, btrfs, ext2 to ext4, f2fs, overlayfs, ramfs, tmpfs, xfs, ZFS.
    const LOCAL: [u32; 9] = [
        0xca45_1a4e,
        0x9123_683e,
        0xef53,
        0xf2f5_2010,
        0x794c_7630,
        0x8584_58f6,
        0x0102_1994,
        0x5846_5342,
        0x2fc1_2fc1,
    ];
    rustix::fs::statfs(path).is_ok_and(|fs| LOCAL.iter().any(|magic| i64::from(*magic) == fs.f_type))
}

/// True for file systems that nobody changes but this machine.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_local(path: &Path) -> bool {
    /// `sys/mount.h`: MNT_LOCAL.
    const LOCAL: u32 = 0x1000;
    rustix::fs::statfs(path).is_ok_and(|fs| fs.f_flags & LOCAL != 0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::Cached;

    #[test]
    fn a_change_is_seen_at_once_and_a_young_stamp_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "a").unwrap();
        let cached = Cached::new(vec![path.clone()]);
        let reads = Cell::new(0);
        let get = |now| {
            let read = || {
                reads.set(reads.get() + 1);
                Ok::<_, Infallible>(fs::read_to_string(&path).unwrap_or_default())
            };
            cached.value(now, |_| true, read).unwrap().as_str().to_owned()
        };
        let now = SystemTime::now();
        assert_eq!((get(now), get(now), reads.get()), ("a".into(), "a".into(), 2), "young: read every time");
        let later = now + Duration::from_secs(60);
        assert_eq!((get(later), get(later), reads.get()), ("a".into(), "a".into(), 3), "settled: read once");
        fs::write(&path, "bb").unwrap();
        assert_eq!(get(later), "bb");
        fs::remove_file(&path).unwrap();
        assert_eq!(get(later), "");
    }

    #[test]
    fn a_value_that_no_longer_holds_is_read_again() {
        let cached = Cached::new(Vec::new());
        let get =
            |holds: bool, next: u32| *cached.value(SystemTime::now(), |_| holds, || Ok::<_, Infallible>(next)).unwrap();
        assert_eq!([get(true, 1), get(true, 2), get(false, 3), get(true, 4)], [1, 1, 3, 3]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_lies_where_stamps_may_lag_is_read_every_time() {
        // No file system of this machine's own making: its stamps are not the disk's.
        let cached = Cached::new(vec!["/proc/version".into()]);
        let later = SystemTime::now() + Duration::from_secs(60);
        let get = |next: u32| *cached.value(later, |_| true, || Ok::<_, Infallible>(next)).unwrap();
        assert_eq!([get(1), get(2)], [1, 2]);
    }
}
