//! Prepared statements.

use rusqlite::{CachedStatement, Connection};

/// A statement, prepared once for each connection.
pub(super) fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    #[cfg(test)]
    seen::add(sql);
    connection.prepare_cached(sql)
}

/// All statements that tests have run: their plans are a test as well.
#[cfg(test)]
pub(super) mod seen {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    static ALL: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

    pub(super) fn add(sql: &str) {
        let mut all = ALL.lock().expect("no test panics here");
        if !all.contains(sql) {
            all.insert(sql.to_owned());
        }
    }

    pub(in super::super) fn all() -> BTreeSet<String> {
        ALL.lock().expect("no test panics here").clone()
    }
}
