//! A look at a file that changes nothing.
//!
//! To read a file in write-ahead mode, SQLite creates the two files beside it,
//! unless it is told that nobody ever writes (`immutable`), or they are there
//! and only to be read (`readonly_shm`).

use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::{self, check_version, failed, place};
use super::error::{Done, Fault};
use super::schema::{self, MIGRATIONS};
use crate::store::Inspection;

pub(super) fn inspect(path: &Path) -> Done<Inspection> {
    let path = place(path)?;
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Fault::other("SQLite store: the path names a directory"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::other(format!(
                "SQLite store: there is no file `{}`",
                path.display()
            )));
        }
        Err(error) => return Err(failed("find", &error)),
    }

    let mut found = Inspection::new(format!("SQLite {}", rusqlite::version()));
    found.known_schema = u32::try_from(schema::known(MIGRATIONS)).ok();
    let in_use = beside(&path, "-wal").exists();
    let connection = open(&path, in_use)?;
    let version = schema::version(&connection)?;
    found.schema = u32::try_from(version).ok().filter(|version| *version > 0);

    if check_version(rusqlite::version_number()).is_err() {
        found.warnings.push(format!(
            "SQLite {} has a bug that can damage a file that several connections share, and the store \
             refuses it: link the program with 3.51.3 or later (rusqlite's feature `bundled`).",
            rusqlite::version()
        ));
    }
    let is_wal = if in_use {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        mode == "wal"
    } else {
        // An `immutable` connection does not tell it.
        says_wal(&path).map_err(|error| failed("read", &error))?
    };
    if found.schema.is_some() && !is_wal {
        found.warnings.push(
            "The file is not in write-ahead mode, so readers and writers lock each other out: let the \
             store open it, or run `PRAGMA journal_mode = wal` on it."
                .to_owned(),
        );
    }
    if let Some(kind) = network(&path) {
        found.warnings.push(format!(
            "The file is on a network file system (`{kind}`), where locks and shared memory may not be \
             what they say and the file may be damaged: move it to a local disk."
        ));
    }
    Ok(found)
}

fn open(path: &Path, in_use: bool) -> Done<Connection> {
    let how = match in_use {
        true => "readonly_shm=1",
        false => "immutable=1",
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let uri = format!("file:{}?mode=ro&{how}", escaped(path));
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(connection::PATIENCE)?;
    Ok(connection)
}

/// Whether the file's header says that it is in write-ahead mode.
fn says_wal(path: &Path) -> io::Result<bool> {
    const WRITE_VERSION: usize = 18;

    let mut header = Vec::new();
    fs::File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header.get(WRITE_VERSION) == Some(&2))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The path in a URI.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut escaped = String::with_capacity(bytes.len());
    if cfg!(windows) {
        escaped.push('/');
    }
    for byte in bytes {
        match byte {
            b'\\' if cfg!(windows) => escaped.push('/'),
            b'/' | b'.' | b'-' | b'_' | b':' => escaped.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(*byte)),
            byte => {
                // A string takes everything.
                let _ = write!(escaped, "%{byte:02x}");
            }
        }
    }
    escaped
}

/// The kind of the file system that the file is on, if it is one of a network,
/// where the system can tell.
#[cfg(target_os = "linux")]
fn network(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    network_in(&mounts, &path.canonicalize().ok()?)
}

#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
fn network_in(mounts: &str, path: &Path) -> Option<String> {
    const KINDS: [&str; 14] = [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "vboxsf",
        "glusterfs",
        "sshfs",
    ];

    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = unescaped(fields.next()?);
        let kind = fields.next()?;
        let depth = Path::new(&place).components().count();
        path.starts_with(&place).then_some((depth, kind))
    });
    // What is mounted last at a place hides the others.
    let (_, kind) = mounted.max_by_key(|(depth, _)| *depth)?;
    let bare = kind.strip_prefix("fuse.").unwrap_or(kind);
    KINDS.contains(&bare).then(|| kind.to_owned())
}

/// Blanks and backslashes of a place are written as octal numbers.
#[cfg(target_os = "linux")]
fn unescaped(place: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(place.to_owned(), |place, (code, character)| {
        place.replace(code, character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn network_file_systems_are_told() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\n\
                      server:/home /home nfs4 rw 0 0\n\
                      tmpfs /home/local tmpfs rw 0 0\n\
                      me@host: /mnt/far\\040away fuse.sshfs rw 0 0\n";
        let kind = |path: &str| network_in(mounts, Path::new(path));
        assert_eq!(kind("/home/me/tasks.db").as_deref(), Some("nfs4"));
        assert_eq!(kind("/mnt/far away/t").as_deref(), Some("fuse.sshfs"));
        assert_eq!(kind("/home/local/tasks.db"), None);
        assert_eq!(kind("/homes/tasks.db"), None);
    }

    #[test]
    fn paths_are_escaped() {
        assert_eq!(
            escaped(Path::new("/a b/c?d#e%.db")),
            "/a%20b/c%3fd%23e%25.db"
        );
    }
}
