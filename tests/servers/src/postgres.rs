//! A PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::server::{Server, User, find, free_port};

/// A server with a database of its own, which trusts whoever connects.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    arguments: Vec<String>,
    port: u16,
    user: Option<User>,
    // Ends before its directory does.
    server: Mutex<Option<Server>>,
    directory: TempDir,
}

impl Postgres {
    /// Starts a server, with more settings than the usual ones, as in
    /// `fsync=off`. None where there is no PostgreSQL on this machine.
    ///
    /// # Panics
    ///
    /// See [`postgres`](crate::postgres).
    pub fn start(settings: &[&str]) -> Option<Self> {
        let program = find("postgres", &[])
            .and_then(|program| std::fs::canonicalize(program).ok())
            .filter(|program| program.with_file_name("initdb").is_file())
            .or_else(|| find("postgres", &debian()));
        let Some(bin) = program.and_then(|program| Some(program.parent()?.to_owned())) else {
            crate::missing("postgres");
            return None;
        };
        // It refuses to be root, and another user may not reach root's own
        // directory of temporary files.
        let user = geteuid().is_root().then(unprivileged);
        let directory = match user {
            Some(_) => TempDir::new_in("/tmp"),
            None => TempDir::new(),
        };
        let directory = directory.expect("a directory");
        if let Some(User { uid, gid }) = user {
            std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid))
                .expect("root may give directories away");
        }
        let mut postgres = Self {
            bin,
            arguments: settings
                .iter()
                .flat_map(|setting| ["-c".to_owned(), setting.to_string()])
                .collect(),
            directory,
            port: 0,
            user,
            server: Mutex::default(),
        };
        postgres.initialise();
        postgres.port = free_port();
        postgres.restart();
        Some(postgres)
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops the server as if the machine had crashed: connections break, and
    /// what was not synced may be lost.
    ///
    /// # Panics
    ///
    /// If it does not go.
    pub fn kill(&self) {
        if let Some(server) = self.server.lock().expect("no panic").take() {
            // An immediate shutdown: its children would survive a SIGKILL.
            server.signal(Signal::QUIT);
            server.gone();
        }
    }

    /// Stops the server if it runs, and starts it on the same port and data.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        self.kill();
        let data = self.data();
        let mut arguments: Vec<String> = ["-D", &data, "-k", &data].map(str::to_owned).into();
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={}", self.port),
            "max_connections=300",
            "shared_buffers=64MB",
            // Containers have little of the system's shared memory.
            "dynamic_shared_memory_type=mmap",
        ] {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        arguments.extend(self.arguments.iter().cloned());
        let server = Server::start(
            &self.bin.join("postgres"),
            &arguments,
            self.directory.path(),
            self.user,
            || self.answers(),
        );
        *self.server.lock().expect("no panic") = Some(server);
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn answers(&self) -> bool {
        Command::new(self.bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    fn initialise(&self) {
        let mut command = Command::new(self.bin.join("initdb"));
        command
            .current_dir(self.directory.path())
            .args(["-D", &self.data(), "-U", "postgres", "-A", "trust"])
            .args(["-E", "UTF8", "--locale=C", "--no-sync"]);
        if let Some(User { uid, gid }) = self.user {
            use std::os::unix::process::CommandExt;
            command.uid(uid).gid(gid);
        }
        let output = command.output().expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(Some(server)) = self.server.get_mut().map(Option::as_mut) {
            server.signal(Signal::QUIT);
            let started = Instant::now();
            while server.is_alive() && started.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Where Debian puts PostgreSQL, the newest first.
fn debian() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // 9.6 before 15.
    let number =
        |bin: &PathBuf| -> Option<f64> { bin.parent()?.file_name()?.to_str()?.parse().ok() };
    versions.sort_by(|a, b| {
        number(a)
            .unwrap_or(0.0)
            .total_cmp(&number(b).unwrap_or(0.0))
    });
    versions.reverse();
    versions
}

/// `postgres`, or else `nobody`.
fn unprivileged() -> User {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = |name: &str| {
        let user = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = user.split(':').skip(2);
        Some(User {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    };
    id("postgres")
        .or_else(|| id("nobody"))
        .expect("a user for PostgreSQL, which refuses to be root")
}
