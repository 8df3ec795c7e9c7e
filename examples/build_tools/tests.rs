//! The tools as the ordinary functions that they are, with a real cargo on
//! projects that need no network.

use std::fs;
use std::path::{Path, PathBuf};

use async_tool::{TaskContext, ToolError};
use sha2::{Digest, Sha256};

use super::report::{BuildReport, Profile, TestReport};
use super::workspace::Workspace;
use super::{build, test};

/// A workspace that holds one project, in the directory `app`.
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    workspace: Workspace,
    task: TaskContext,
}

impl Fixture {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("app-").tempdir();
        let directory = directory.unwrap();
        let fixture = Self {
            workspace: Workspace::open(directory.path()).unwrap(),
            task: TaskContext::detached("build"),
            directory,
        };
        let manifest = format!(
            "[workspace]\n[package]\nname = \"{}\"\nedition = \"2024\"\n\
             [features]\nloud = []\n",
            fixture.name()
        );
        for (path, content) in [("Cargo.toml", &*manifest)].iter().chain(files) {
            let path = fixture.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fixture
    }

    /// The project's name. It is like no other's, since whoever runs the tests
    /// may have set one `CARGO_TARGET_DIR` for everything.
    fn name(&self) -> String {
        let directory = self.directory.path().file_name().unwrap();
        directory.to_str().unwrap().to_lowercase()
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join("app").join(path)
    }

    async fn build(&self) -> Result<BuildReport, ToolError> {
        self.build_with(false, &[]).await
    }

    async fn build_with(&self, release: bool, features: &[&str]) -> Result<BuildReport, ToolError> {
        let features = features.iter().map(ToString::to_string).collect();
        build("app".into(), release, features, &self.task, &self.workspace).await
    }

    async fn test(&self, filter: Option<&str>) -> Result<TestReport, ToolError> {
        let filter = filter.map(str::to_owned);
        test("app".into(), filter, &self.task, &self.workspace).await
    }
}

/// The code of an error, which only clients can read directly.
fn code(error: &ToolError) -> String {
    let debug = format!("{error:?}");
    debug.split('"').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_build_lists_its_binaries_and_reaches_its_last_step() {
    let fixture = Fixture::new(&[("src/main.rs", "fn main() {}")]);
    let report = fixture.build().await.unwrap();

    let [binary] = &report.binaries[..] else {
        panic!("{report:?}")
    };
    let content = fs::read(&binary.path).unwrap();
    assert_eq!(binary.name, fixture.name());
    assert_eq!(binary.size, content.len() as u64);
    let sha256: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(binary.sha256, sha256);

    assert_eq!(report.profile, Profile::Dev);
    assert_eq!(report.crates_compiled, 1);
    let progress = fixture.task.progress().state();
    assert_eq!(progress.step.as_deref(), Some("package"));
    assert_eq!(progress.fraction, Some(1.0));

    let again = fixture.build().await.unwrap();
    assert_eq!(again.crates_compiled, 0, "all is up to date");
    assert_eq!(again.binaries.len(), 1);
}

#[tokio::test]
async fn profile_and_features_reach_the_compiler() {
    let main = "#[cfg(all(feature = \"loud\", not(debug_assertions)))] fn main() {}";
    let fixture = Fixture::new(&[("src/main.rs", main)]);
    let report = fixture.build_with(true, &["loud"]).await.unwrap();
    assert_eq!(report.profile, Profile::Release);

    let error = fixture.build_with(false, &["--release"]).await.unwrap_err();
    assert_eq!(code(&error), "cargo_failed", "a feature is never an option");
}

#[tokio::test]
async fn warnings_are_part_of_the_report() {
    // The attribute holds against `RUSTFLAGS` that deny warnings.
    let main = "#![warn(warnings)]\nfn main() { let unused = 1; }";
    let fixture = Fixture::new(&[("src/main.rs", main)]);
    let report = fixture.build().await.unwrap();
    let [warning] = &report.warnings[..] else {
        panic!("{report:?}")
    };
    assert_eq!(warning.message, "unused variable: `unused`");
    assert_eq!(warning.file.as_deref(), Some("src/main.rs"));
    assert_eq!(warning.line, Some(2));
    assert!(warning.rendered.contains("let unused = 1;"));
}

#[tokio::test]
async fn a_project_that_does_not_compile_is_an_error_with_the_place() {
    let fixture = Fixture::new(&[("src/main.rs", "fn main() {\n    missing();\n    gone();\n}")]);
    for error in [
        fixture.build().await.unwrap_err(),
        fixture.test(None).await.unwrap_err(),
    ] {
        assert_eq!(code(&error), "compile_failed");
        assert_eq!(
            error.to_string(),
            "the project does not compile: src/main.rs:2: cannot find function `missing` \
             in this scope (and 1 more error)"
        );
    }
}

#[tokio::test]
async fn a_build_script_that_fails_is_an_error_with_its_output() {
    let fixture = Fixture::new(&[
        ("src/main.rs", "fn main() {}"),
        ("build.rs", "fn main() { panic!(\"no compiler for C\") }"),
    ]);
    let error = fixture.build().await.unwrap_err();
    assert_eq!(code(&error), "compile_failed");
    let expected = "the project does not compile: failed to run custom build command";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_manifest_that_cargo_refuses_is_an_error_with_its_words() {
    let fixture = Fixture::new(&[("Cargo.toml", "[package]\nname = 7\n")]);
    let error = fixture.build().await.unwrap_err();
    assert_eq!(code(&error), "cargo_failed");
    assert!(
        error.to_string().contains("invalid type: integer `7`"),
        "{error}"
    );
}

#[tokio::test]
async fn failing_tests_are_a_report_with_their_output() {
    let fixture = Fixture::new(&[(
        "src/lib.rs",
        "#[test] fn good() {}\n\
         #[test] fn bad() { println!(\"hello\"); assert_eq!(1, 2); }\n\
         #[test] #[ignore] fn ugly() {}\n\
         /// ```\n/// assert!(true);\n/// ```\npub fn documented() {}\n",
    )]);
    let report = fixture.test(None).await.unwrap();
    assert!(!report.success);
    assert_eq!((report.passed, report.failed, report.ignored), (2, 1, 1));
    let [failure] = &report.failures[..] else {
        panic!("{report:?}")
    };
    assert_eq!(failure.name, "bad");
    assert!(failure.output.starts_with("hello\n"), "{report:?}");
    assert!(failure.output.contains("left: 1"), "{report:?}");
    assert_eq!(
        fixture.task.progress().state().step.as_deref(),
        Some("test")
    );

    let report = fixture.test(Some("good")).await.unwrap();
    assert!(report.success, "{report:?}");
    assert_eq!((report.passed, report.failed), (1, 0));
    assert_eq!(report.problem, "");
}

#[cfg(unix)]
#[tokio::test]
async fn a_test_program_that_crashes_is_a_problem_of_the_report() {
    let fixture = Fixture::new(&[("src/lib.rs", "#[test] fn dies() { std::process::abort() }")]);
    let report = fixture.test(None).await.unwrap();
    assert!(!report.success);
    assert_eq!(report.failed, 0);
    assert!(report.problem.contains("SIGABRT"), "{report:?}");
}

#[cfg(target_os = "linux")]
mod ending {
    use std::time::Duration;

    use super::*;

    /// A project whose build script starts a process and never ends.
    fn endless() -> Fixture {
        const SCRIPT: &str = "fn main() {
            std::process::Command::new(\"sleep\").arg(\"3600\").status().unwrap();
        }";
        Fixture::new(&[("src/main.rs", "fn main() {}"), ("build.rs", SCRIPT)])
    }

    #[tokio::test]
    async fn cancelling_kills_cargo_and_all_that_it_started() {
        let fixture = endless();
        let (result, group) = tokio::join!(fixture.build(), async {
            let group = running_sleep(&fixture).await;
            fixture.task.cancellation().cancel();
            group
        });
        assert_eq!(
            result.unwrap_err().to_string(),
            "the task was asked to stop"
        );
        none_left(group).await;
    }

    #[tokio::test]
    async fn dropping_the_future_kills_cargo_and_all_that_it_started() {
        let fixture = endless();
        let group = tokio::select! {
            result = fixture.build() => panic!("{result:?}"),
            group = running_sleep(&fixture) => group,
        };
        none_left(group).await;
    }

    #[tokio::test]
    async fn what_a_test_leaves_behind_neither_delays_the_report_nor_lives_on() {
        // It is silent while the test program runs, whose lines it would break.
        const TEST: &str = "#[test] fn leaves_a_chatterbox() {
            let chat = \"sleep 3600 & while kill -0 $PPID; do :; done; while :; do echo chat; done\";
            std::process::Command::new(\"sh\").args([\"-c\", chat]).spawn().unwrap();
        }";
        let fixture = Fixture::new(&[("src/lib.rs", TEST)]);
        let (report, group) = tokio::join!(fixture.test(None), running_sleep(&fixture));
        assert_eq!(report.unwrap().passed, 1);
        none_left(group).await;
    }

    /// A living process, as Linux describes it.
    struct Process {
        command: String,
        directory: PathBuf,
        group: u32,
    }

    /// All living processes; zombies have ended, only nobody has looked yet.
    fn processes() -> Vec<Process> {
        let read = |entry: fs::DirEntry| {
            let file = |name| fs::read_to_string(entry.path().join(name)).ok();
            let stat = file("stat")?;
            // The name comes in parentheses and may contain anything.
            let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            (fields[0] != "Z").then_some(())?;
            Some(Process {
                command: file("cmdline")?,
                directory: entry.path().join("cwd").read_link().ok()?,
                group: fields[2].parse().ok()?,
            })
        };
        let entries = fs::read_dir("/proc").unwrap();
        entries.filter_map(|entry| read(entry.ok()?)).collect()
    }

    /// Waits until the project's code has started a `sleep`, and answers with
    /// the process group.
    async fn running_sleep(fixture: &Fixture) -> u32 {
        let directory = fixture.path("").canonicalize().unwrap();
        eventually(|| {
            let child = processes().into_iter().find(|process| {
                process.directory == directory && process.command.starts_with("sleep")
            });
            child.map(|child| child.group)
        })
        .await
    }

    async fn none_left(group: u32) {
        eventually(|| {
            let left = processes().iter().any(|process| process.group == group);
            (!left).then_some(())
        })
        .await;
    }

    async fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(value) = condition() {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("in time")
    }
}
