//! A server process.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to be ready, on a machine that has a lot to do.
const START: Duration = Duration::from_secs(60);

/// Runs a server until there is no more input. If nobody has said that they
/// tidy up themselves, the server is given a chance to do so, and its directory
/// is removed.
const GUARD: &str = r#"
trap '' INT TERM PIPE
"$@" <&- >&2 &
echo $!
read -r word && exit
kill -INT $!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 $! 2>&- || break
    sleep 0.2
done
kill -KILL $! 2>&-
cd / && rm -rf "$OLDPWD"
"#;

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
            .arg(GUARD)
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
        // Otherwise it was another one that answered.
        std::thread::sleep(Duration::from_millis(50));
        assert!(server.is_alive(), "the server's port is taken");
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
        if let Some(mut stdin) = self.shell.stdin.take() {
            // Whoever started the server removes its directory.
            let _ = stdin.write_all(b"stopped\n");
        }
        let _ = self.shell.wait();
    }
}

/// A port that was free a moment ago, and is none of those that outgoing
/// connections get.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
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
