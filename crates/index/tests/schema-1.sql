-- The index as schema 1 left it, with a row or two of everything. Never edited: it stands for files in the field.
PRAGMA journal_mode = wal;
PRAGMA application_id = 1735358062;
PRAGMA user_version = 1;
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
CREATE TABLE projects (
    directory BLOB    NOT NULL PRIMARY KEY,
    version   TEXT    NOT NULL,
    origin    TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    first_use INTEGER NOT NULL CHECK (first_use >= 0),
    last_use  INTEGER NOT NULL CHECK (last_use >= 0),
    count     INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE pins (
    directory BLOB    NOT NULL,
    file      BLOB    NOT NULL,
    line      INTEGER NOT NULL CHECK (line >= 0),
    text      TEXT    NOT NULL,
    PRIMARY KEY (directory, file, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE overrides (
    directory BLOB NOT NULL PRIMARY KEY,
    spec      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sdks VALUES
    ('1.9.2rc2', CAST('/g/sdks/go1.9.2rc2' AS BLOB), 'linux', 'amd64', 'file', 'sha256', 'no record', 1, 2, 3, NULL),
    ('1.22.4', CAST('/g/sdks/go1.22.4' AS BLOB), 'linux', 'amd64', 'https://go.dev/dl/', 'log', 'record 25', 240000000, 10773, 1700000000, 1700000500);
INSERT INTO projects VALUES
    (X'2F686F6D652F616E612FFF73686F70', '1.22.4', '/home/ana/shop/.go-version:1', 'pin', 1700000100, 1700000500, 42);
INSERT INTO pins VALUES
    (CAST('/home/ana/shop' AS BLOB), CAST('/home/ana/shop/.go-version' AS BLOB), 1, '1.22.4');
INSERT INTO overrides VALUES (CAST('/home/ana/old' AS BLOB), '1.20');
