//! The migrations, and the numbers in the file's header that say which were applied.
//!
//! A migration that was ever released is never edited: a change is a new one at the end, and comes with the database
//! of the version before it as `tests/schema-N.sql`.

use rusqlite::{Connection, TransactionBehavior};

/// `govn` in ASCII, in the header field that SQLite keeps for telling programs' files apart.
pub(crate) const APPLICATION_ID: i32 = 0x676f_766e;

/// In order; the number of a schema is the number of migrations behind it.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("../migrations/1.sql")];

/// What the header says of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Nothing was ever written.
    Empty,
    /// An index of this or an earlier schema.
    Ours,
    /// An index of a later schema.
    Newer(i32),
    /// Another program's database.
    Foreign,
}

/// Reads the header.
pub(crate) fn header(conn: &Connection) -> rusqlite::Result<Header> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = user_version(conn)?;
    let objects: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version) {
        (0, 0) if objects == 0 => Header::Empty,
        (APPLICATION_ID, version) if usize::try_from(version).is_ok_and(|v| v > MIGRATIONS.len()) => {
            Header::Newer(version)
        }
        (APPLICATION_ID, 1..) => Header::Ours,
        _ => Header::Foreign,
    })
}

/// Applies the migrations that the file has not seen, each in a transaction of its own: killed anywhere, the file is
/// at one schema or the next.
pub(crate) fn migrate(conn: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let applied = usize::try_from(user_version(conn)?).unwrap_or(0);
    for (number, sql) in migrations.iter().enumerate().skip(applied) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i32::try_from(number + 1).unwrap_or(i32::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

fn user_version(conn: &Connection) -> rusqlite::Result<i32> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{APPLICATION_ID, Header, MIGRATIONS, header, migrate, user_version};

    const TWO: &[&str] = &["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)"];

    #[test]
    fn migrations_run_once_each_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, &TWO[..1]).unwrap();
        assert_eq!(user_version(&conn).unwrap(), 1);
        migrate(&mut conn, TWO).unwrap();
        migrate(&mut conn, TWO).unwrap();
        assert_eq!(user_version(&conn).unwrap(), 2);
        let rows: i64 = conn.query_row("SELECT count(y) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_schema_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        let broken = &[TWO[0], "CREATE TABLE b (x); CREATE TABLE a (x)"];
        migrate(&mut conn, broken).unwrap_err();
        assert_eq!(user_version(&conn).unwrap(), 1);
        conn.prepare("SELECT * FROM b").unwrap_err();
        migrate(&mut conn, TWO).unwrap();
    }

    #[test]
    fn the_header_tells_an_empty_file_from_ours_a_newer_one_and_a_foreign_one() {
        let mut conn = Connection::open_in_memory().unwrap();
        let check = |conn: &Connection, expect: Header| assert_eq!(header(conn).unwrap(), expect);
        check(&conn, Header::Empty);
        migrate(&mut conn, MIGRATIONS).unwrap();
        check(&conn, Header::Ours);
        conn.pragma_update(None, "user_version", 1000).unwrap();
        check(&conn, Header::Newer(1000));
        conn.pragma_update(None, "user_version", 0).unwrap();
        check(&conn, Header::Foreign);
        conn.pragma_update(None, "user_version", -1).unwrap();
        check(&conn, Header::Foreign);
        conn.pragma_update(None, "user_version", 1).unwrap();
        conn.pragma_update(None, "application_id", APPLICATION_ID + 1).unwrap();
        check(&conn, Header::Foreign);
    }
}
