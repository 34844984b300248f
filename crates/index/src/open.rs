//! Opens the index, and begins it anew when it cannot be used. Moves aside, never deletes: what was there is evidence,
//! and a newer govern may want its own file back.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};

use crate::error::is_cured_by_a_new_file;
use crate::schema::{self, Header, MIGRATIONS};
use crate::{Error, Index};

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The index as it was left.
    Fine,
    /// There was none. The new one is empty.
    Created,
    /// What was there cannot be used. The new one is empty.
    Rebuilt {
        /// Where the old file is now.
        kept: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// One try at the file as it is.
enum Trial {
    Fine(Connection),
    Created(Connection),
    /// A new file would do better.
    Unusable {
        label: &'static str,
        reason: String,
    },
}

impl Index {
    /// Opens the index, making it and its directory when they are missing. A file that is damaged, foreign, or written
    /// by a newer govern is moved aside as `index.corrupt-SECONDS` or `index.newer-SECONDS`.
    ///
    /// # Errors
    /// When neither the old file nor a new one can be used now: the disk is full, another process holds the index,
    /// the directory cannot be written.
    pub fn open(path: &Path, now: SystemTime) -> Result<(Index, Opened), Error> {
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|source| Error::CreateDirectory { path: directory.to_owned(), source })?;
        }
        let (label, reason) = match attempt(path)? {
            Trial::Fine(conn) => return Ok((Index { conn }, Opened::Fine)),
            Trial::Created(conn) => return Ok((Index { conn }, Opened::Created)),
            Trial::Unusable { label, reason } => (label, reason),
        };
        let kept = move_aside(path, label, now).map_err(|source| Error::MoveAside {
            path: path.to_owned(),
            reason: reason.clone(),
            source,
        })?;
        match attempt(path)? {
            Trial::Fine(conn) | Trial::Created(conn) => Ok((Index { conn }, Opened::Rebuilt { kept, reason })),
            Trial::Unusable { reason, .. } => Err(Error::Hopeless { path: path.to_owned(), reason }),
        }
    }
}

fn attempt(path: &Path) -> Result<Trial, Error> {
    let unusable = |label, reason: String| Ok(Trial::Unusable { label, reason });
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => return unusable("corrupt", "it is no regular file".to_owned()),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Touch { path: path.to_owned(), source }),
    }
    // Made here, so that nobody else can read which directories the user works in: SQLite gives the files beside it
    // the same mode.
    match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return unusable("corrupt", e.to_string()),
        Err(source) => return Err(Error::Touch { path: path.to_owned(), source }),
    }
    let conn = match connect(path) {
        Ok(Trial::Fine(conn)) => conn,
        Ok(other) => return Ok(other),
        Err(e) if is_cured_by_a_new_file(&e) => return unusable("corrupt", e.to_string()),
        Err(source) => return Err(Error::Open { path: path.to_owned(), source }),
    };
    let index = Index { conn };
    match read_everything(&index) {
        Ok(()) => Ok(Trial::Fine(index.conn)),
        Err(e) if e.is_damage() => {
            let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}")).unwrap_or_default();
            unusable("corrupt", format!("{e}{cause}"))
        }
        Err(other) => Err(other),
    }
}

/// SQLite's check knows pages and types; that a version is one, only reading it tells.
fn read_everything(index: &Index) -> Result<(), Error> {
    index.sdks()?;
    index.each_project(drop)?;
    index.pins()?;
    index.overrides()?;
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Trial> {
    // Neither URI nor CREATE: the path is a path, and the file is there.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    // A memory map would turn a failing disk into SIGBUS, and let a stray write of ours into the file.
    conn.execute_batch("PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    let header = schema::header(&conn)?;
    match header {
        Header::Newer(version) => {
            let reason = format!("it has schema {version}, this govern knows schemas up to {}", MIGRATIONS.len());
            return Ok(Trial::Unusable { label: "newer", reason });
        }
        Header::Foreign => {
            let reason = "it is no index of govern".to_owned();
            return Ok(Trial::Unusable { label: "corrupt", reason });
        }
        Header::Ours => {
            // Not quick_check: it does not look at the order of keys in tables WITHOUT ROWID, and takes as long.
            let verdict: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            // SQLite opens a file for reading only when its header names a format of the future.
            let verdict = if conn.is_readonly("main")? { "it can only be read".to_owned() } else { verdict };
            if verdict != "ok" {
                return Ok(Trial::Unusable { label: "corrupt", reason: verdict });
            }
        }
        Header::Empty => {}
    }
    // NORMAL: a power cut may lose the last commits, never the file. What is lost is found again by the next scan.
    let _mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    conn.pragma_update(None, "synchronous", "normal")?;
    schema::migrate(&mut conn, MIGRATIONS)?;
    Ok(if header == Header::Empty { Trial::Created(conn) } else { Trial::Fine(conn) })
}

/// Renames the database and the two files that SQLite keeps beside it, so that the kept file can still be opened. The
/// database goes first: a log without its database is dropped by SQLite, a database without its log is damaged.
fn move_aside(path: &Path, label: &str, now: SystemTime) -> io::Result<PathBuf> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let stem = with_suffix(&path.with_extension(""), &format!(".{label}-{seconds}"));
    let is_free = |kept: &Path| fs::symlink_metadata(kept).is_err();
    let kept = (0..)
        .map(|again: u32| if again == 0 { stem.clone() } else { with_suffix(&stem, &format!(".{again}")) })
        .find(|kept| ["", "-wal", "-shm"].iter().all(|suffix| is_free(&with_suffix(kept, suffix))))
        .expect("the numbers do not end before the names that are taken");
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&kept, suffix)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    Ok(kept)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
