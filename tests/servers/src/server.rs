//! A server process.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to be ready, on a machine that has a lot to do.
const START: Duration = Duration::from_secs(60);

/// Whose process it is, where it must not be ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A running server. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    shell: Child,
    pid: Pid,
}

impl Server {
    /// Starts a program and waits until it is ready.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        directory: &Path,
        user: Option<User>,
        ready: impl Fn() -> bool,
    ) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .expect("the log opens");
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(r#""$@" <&- >&2 & echo $!; read -r _; kill -KILL $! 2>&-; wait"#)
            .arg("server")
            .arg(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut shell = command.spawn().expect("a shell starts");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("it is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the shell says a process id");
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let server = Self {
            shell,
            pid: pid.expect("a process id"),
        };
        let started = Instant::now();
        while !ready() {
            assert!(
                server.is_alive() && started.elapsed() < START,
                "{} did not start:\n{}",
                program.display(),
                std::fs::read_to_string(directory.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(self.pid, signal);
    }

    pub(crate) fn is_alive(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        match status {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => rustix::process::test_kill_process(self.pid).is_ok(),
        }
    }

    /// Waits until the process is gone.
    pub(crate) fn gone(&self) {
        let started = Instant::now();
        while self.is_alive() {
            assert!(started.elapsed() < START, "the server does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("it is bound").port()
}

/// The first of these directories, or of the `PATH`, that has a program.
pub(crate) fn find(program: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    directories
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(program))
        .find(|program| program.is_file())
}
