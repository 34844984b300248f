-- Paths are blobs: a file name is bytes, not text. Times are seconds since the epoch.
-- WITHOUT ROWID: each table is one tree, so that no second one can disagree. STRICT: the check at opening sees types.

CREATE TABLE sdks (
    version      TEXT    NOT NULL PRIMARY KEY,
    goroot       BLOB    NOT NULL,
    os           TEXT    NOT NULL,
    arch         TEXT    NOT NULL,
    source       TEXT    NOT NULL,
    proof        TEXT    NOT NULL,
    proof_note   TEXT    NOT NULL,
    size         INTEGER NOT NULL CHECK (size >= 0),
    files        INTEGER NOT NULL CHECK (files >= 0),
    installed_at INTEGER NOT NULL CHECK (installed_at >= 0),
    last_used    INTEGER CHECK (last_used >= 0)
) STRICT, WITHOUT ROWID;

-- Who asked for a Go: one row per directory, with what was decided there last.
CREATE TABLE projects (
    directory BLOB    NOT NULL PRIMARY KEY,
    version   TEXT    NOT NULL,
    origin    TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    first_use INTEGER NOT NULL CHECK (first_use >= 0),
    last_use  INTEGER NOT NULL CHECK (last_use >= 0),
    count     INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;

-- The pins seen in files, for the watcher: where to look, not what to believe.
CREATE TABLE pins (
    directory BLOB    NOT NULL,
    file      BLOB    NOT NULL,
    line      INTEGER NOT NULL CHECK (line >= 0),
    text      TEXT    NOT NULL,
    PRIMARY KEY (directory, file, line)
) STRICT, WITHOUT ROWID;

-- A copy of overrides.toml, which is the truth.
CREATE TABLE overrides (
    directory BLOB NOT NULL PRIMARY KEY,
    spec      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
