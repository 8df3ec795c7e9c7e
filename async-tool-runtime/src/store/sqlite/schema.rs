//! The schema and how files get it.

use rusqlite::Connection;

use super::error::{Done, Fault};

/// Each leads from the version of its index to the next one. They are never
/// changed once released.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
];

/// Marks files of this crate: `ATSK`.
const APPLICATION: i64 = 0x4154_534b;

/// Refuses a file that is not ours, before anything is done to it.
pub(super) fn inspect(connection: &Connection, migrations: &[&str]) -> Done<()> {
    // At one moment: another process may be creating the tables.
    let reading = connection.unchecked_transaction()?;
    judge(&reading, migrations)
}

fn judge(connection: &Connection, migrations: &[&str]) -> Done<()> {
    let version = version(connection)?;
    if version > known(migrations) {
        return Err(Fault::other(format!(
            "SQLite store: a newer version of async-tool wrote the file (schema {version}; this one knows up to {})",
            known(migrations)
        )));
    }
    Ok(())
}

/// The version of the schema, 0 if there is none; refuses a file that is not
/// ours.
pub(super) fn version(connection: &Connection) -> Done<i64> {
    let application: i64 = pragma(connection, "application_id")?;
    let version: i64 = pragma(connection, "user_version")?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = application == 0 && version == 0 && objects == 0;
    if !empty && application != APPLICATION {
        return Err(Fault::other(
            "SQLite store: the file belongs to another application",
        ));
    }
    Ok(version)
}

/// Brings the file to the last version, in one transaction.
pub(super) fn migrate(connection: &Connection, migrations: &[&str]) -> Done<()> {
    let version: i64 = pragma(connection, "user_version")?;
    if version == known(migrations) {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let migrated = missing(connection, migrations)
        .and_then(|()| connection.execute_batch("COMMIT").map_err(Fault::from));
    if migrated.is_err() && !connection.is_autocommit() {
        // The first error says more than this one could.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

fn missing(connection: &Connection, migrations: &[&str]) -> Done<()> {
    // Another process may have been quicker.
    judge(connection, migrations)?;
    let version: i64 = pragma(connection, "user_version")?;
    let done = usize::try_from(version).unwrap_or(0);
    for migration in &migrations[done..] {
        connection.execute_batch(migration)?;
    }
    connection.pragma_update(None, "user_version", known(migrations))?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    Ok(())
}

/// The version that these migrations lead to.
pub(super) fn known(migrations: &[&str]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

fn pragma(connection: &Connection, name: &str) -> Done<i64> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
