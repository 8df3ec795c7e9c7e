//! A Redis or Valkey server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::server::{Server, find, free_port};

/// A server that keeps what it has in a directory, with an append-only file.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    // Ends before its directory does.
    server: Mutex<Option<Server>>,
    directory: TempDir,
}

impl Redis {
    /// Starts a server with more arguments than the usual ones. None where
    /// there is no Redis on this machine.
    ///
    /// # Panics
    ///
    /// See [`redis`](crate::redis).
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = find("redis-server", &[]).or_else(|| find("valkey-server", &[])) else {
            crate::missing("redis-server");
            return None;
        };
        let redis = Self {
            program,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            directory: TempDir::new().expect("a directory"),
            port: free_port(),
            server: Mutex::default(),
        };
        redis.restart();
        Some(redis)
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server, without a chance to save anything.
    ///
    /// # Panics
    ///
    /// If it does not go.
    pub fn kill(&self) {
        if let Some(server) = self.server.lock().expect("no panic").take() {
            server.signal(Signal::KILL);
            server.gone();
        }
    }

    /// Kills the server if it runs, and starts it on the same port and data.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        self.kill();
        let mut arguments: Vec<String> = [
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--save",
            "",
        ]
        .map(str::to_owned)
        .into();
        arguments.extend(self.arguments.iter().cloned());
        let server = Server::start(
            &self.program,
            &arguments,
            self.directory.path(),
            None,
            || self.answers(),
        );
        *self.server.lock().expect("no panic") = Some(server);
    }

    /// Any answer will do, if it is not that the data is being loaded.
    fn answers(&self) -> bool {
        let ping = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 64];
            let length = stream.read(&mut answer)?;
            Ok(answer[..length].to_vec())
        };
        ping().is_ok_and(|answer| !answer.is_empty() && !answer.starts_with(b"-LOADING"))
    }
}
