//! Opening the file.

use std::cell::Cell;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Done, Fault};
use super::schema;

/// The first version without a bug that could damage a file that several
/// connections share ("WAL-reset", fixed in March 2026).
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a call waits for other processes to let go of the file.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The database file, by its absolute path.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: PathBuf,
    /// Which file is open under this path, where the system can tell.
    identity: Option<(u64, u64)>,
}

impl File {
    /// Finds or creates the file.
    pub(super) fn prepare(path: &Path) -> Done<Self> {
        check_version(rusqlite::version_number())?;
        let path = place(path)?;
        if let Some(directory) = path.parent() {
            create_directories(directory)
                .map_err(|error| failed("create the directory of", &error))?;
        }
        match create_file(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &error)),
        }
        if path.is_dir() {
            return Err(Fault::other("SQLite store: the path names a directory"));
        }
        Ok(Self {
            identity: identity(&path),
            path,
        })
    }

    /// A connection that writes; the file has our schema then.
    pub(super) fn writer(&self, migrations: &[&str], patience: Duration) -> Done<Connection> {
        let mut connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE, patience)?;
        let since = Instant::now();
        loop {
            match set_up(&mut connection, migrations) {
                // The switch to WAL does not ask the busy handler.
                Err(fault) if fault.is_locked() && since.elapsed() < patience => pause(),
                done => return done.map(|()| connection),
            }
        }
    }

    /// A connection that only reads.
    pub(super) fn reader(&self, patience: Duration) -> Done<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY, patience)?;
        connection.execute_batch("PRAGMA cache_size = -4000; PRAGMA cell_size_check = ON;")?;
        Ok(connection)
    }

    fn connect(&self, mode: OpenFlags, patience: Duration) -> Done<Connection> {
        let mut connection =
            Connection::open_with_flags(&self.path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        set_patience(patience);
        wait_with(&mut connection)?;
        connection.set_prepared_statement_cache_capacity(128);
        // Otherwise statements over partial indexes are planned anew for each
        // value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
        Ok(connection)
    }

    /// Whether the path still leads to the file that is open.
    pub(super) fn is_there(&self) -> bool {
        self.identity.is_none() || self.identity == identity(&self.path)
    }
}

/// The absolute path of a file, if it can be one.
pub(super) fn place(path: &Path) -> Done<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Fault::other("SQLite store: the path of the file is empty"));
    }
    if path == Path::new(":memory:") {
        return Err(Fault::other(
            "SQLite store: it keeps tasks in a file; for tasks in memory take `MemoryStore`, or `memory:`",
        ));
    }
    // SQLite may take a relative path that begins with `file:` for a URI.
    std::path::absolute(path).map_err(|error| failed("find", &error))
}

/// Does not open the file: closing it again would take SQLite's locks away.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Elsewhere, open files cannot be deleted.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

pub(super) fn check_version(version: i32) -> Done<()> {
    if version < OLDEST_SQLITE {
        return Err(Fault::other(format!(
            "SQLite store: this program is linked with SQLite {}, which has a bug that can damage a file \
             that several connections share; it takes 3.51.3 or later (rusqlite's feature `bundled`)",
            rusqlite::version()
        )));
    }
    Ok(())
}

fn set_up(connection: &mut Connection, migrations: &[&str]) -> Done<()> {
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(Fault::other("SQLite store: the file cannot be written"));
    }
    schema::inspect(connection, migrations)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::other(
            "SQLite store: the file's place allows no write-ahead log; it must be on a local disk",
        ));
    }
    // Checkpoints are the writer's business: see `writer`. What is never
    // reclaimed is reused; `auto_vacuum` would make each transaction keep
    // account of where every page is used.
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; \
         PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -16000; \
         PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF;",
    )?;
    schema::migrate(connection, migrations)
}

/// Readable by its owner alone, as what it holds may be secret; SQLite gives
/// its other files the same permissions.
fn create_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_directories(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

pub(super) fn failed(what: &str, error: &io::Error) -> Fault {
    Fault::other(format!("SQLite store: could not {what} the file: {error}"))
}

thread_local! {
    static WAITING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    static THIS_THREADS_PATIENCE: Cell<Duration> = const { Cell::new(PATIENCE) };
}

/// Sets how long connections of this thread wait for a lock; gives what it was.
pub(super) fn set_patience(patience: Duration) -> Duration {
    THIS_THREADS_PATIENCE.replace(patience)
}

/// SQLite's own handler sleeps for up to 100 ms, during which others take the
/// lock again and again: one process would starve. Short pauses of random
/// length are fair.
fn wait_with(connection: &mut Connection) -> Done<()> {
    let wait: fn(i32) -> bool = |count| {
        let now = Instant::now();
        let since = match WAITING_SINCE.get() {
            Some(since) if count > 0 => since,
            _ => {
                WAITING_SINCE.set(Some(now));
                now
            }
        };
        let goes_on = now.duration_since(since) < THIS_THREADS_PATIENCE.get();
        if goes_on {
            pause();
        }
        goes_on
    };
    Ok(connection.busy_handler(Some(wait))?)
}

fn pause() {
    let jitter = RandomState::new().hash_one(()) % 400;
    std::thread::sleep(Duration::from_micros(100 + jitter));
}
