//! What is live, and what is there besides, after this and that.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_tool::{TaskContext, ToolError};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Call, Fixture, checked};
use crate::deployments::Deployments;

#[tokio::test]
async fn a_deployment_is_live_and_a_rollback_goes_back() {
    let fixture = Fixture::new();
    let first = fixture.deploy(Call::default()).await.unwrap();
    assert_eq!((first.release, first.replaced), (1, None));
    assert_eq!(fixture.live_version(), "0");

    fixture.version("1");
    let second = fixture.deploy(Call::default()).await.unwrap();
    assert_eq!((second.release, second.replaced), (2, Some(1)));
    assert_eq!(fixture.live_version(), "1");
    let live: Vec<_> = second
        .releases
        .iter()
        .map(|it| (it.number, it.live))
        .collect();
    assert_eq!(live, [(2, true), (1, false)]);
    assert_eq!(
        (second.releases[0].entries, second.releases[0].bytes),
        (3, 2)
    );

    let back = fixture.rollback(None).await.unwrap();
    assert_eq!((back.release, back.replaced), (1, Some(2)));
    assert_eq!(fixture.live_version(), "0");
    assert_eq!(
        fixture.path("current").read_link().unwrap(),
        Path::new("releases/1")
    );
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
}

#[tokio::test]
async fn the_release_before_is_the_one_that_was_replaced() {
    let fixture = Fixture::new();
    for _ in 1..=2 {
        fixture.deploy(Call::default()).await.unwrap();
    }
    fixture.rollback(Some(1)).await.unwrap();
    let third = fixture.deploy(Call::default()).await.unwrap();
    assert_eq!((third.release, third.replaced), (3, Some(1)));
    // Not 2, which somebody did not want.
    assert_eq!(fixture.rollback(None).await.unwrap().release, 1);

    let error = fixture.rollback(None).await.unwrap_err();
    assert_eq!(error.code(), "no_previous_release");
    assert_eq!(error.details(), Some(&json!({"releases": [3, 2, 1]})));
    let error = fixture.rollback(Some(1)).await.unwrap_err();
    assert_eq!(error.code(), "already_live");
    let error = fixture.rollback(Some(7)).await.unwrap_err();
    assert_eq!(error.code(), "release_not_found");
    assert_eq!(
        error.to_string(),
        "`web` in `test` has no release 7; it has 3, 2, 1"
    );
}

#[tokio::test]
async fn an_archive_is_deployed_if_it_has_the_hash() {
    let fixture = Fixture::new();
    let path = fixture.artifact("app.tar.gz");
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(&path)
        .arg("-C")
        .arg(fixture.artifact("app"))
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    let sha256: String = Sha256::digest(fs::read(path).unwrap())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let call = |sha256| Call {
        artifact: "app.tar.gz",
        sha256: Some(sha256),
        ..Call::default()
    };

    let error = fixture.deploy(call("0".repeat(64))).await.unwrap_err();
    assert_eq!(error.code(), "checksum_mismatch");
    assert!(!fixture.path("").exists());

    let deployed = fixture.deploy(call(sha256.clone())).await.unwrap();
    assert_eq!(fixture.live_version(), "0");
    let found = deployed.releases[0].sha256.as_deref();
    assert_eq!(found, Some(&*sha256.to_lowercase()));

    let directory = Call {
        sha256: Some(sha256),
        ..Call::default()
    };
    let error = fixture.deploy(directory).await.unwrap_err();
    assert_eq!(error.code(), "not_hashable");
}

#[tokio::test]
async fn what_is_no_artifact_is_refused() {
    let fixture = Fixture::new();
    fs::write(fixture.artifact("app.zip"), "").unwrap();
    fs::write(fixture.artifact("bad.tar.gz"), "no archive").unwrap();
    symlink("/etc", fixture.artifact("etc")).unwrap();
    for (artifact, code) in [
        ("..", "outside_artifacts"),
        ("../root", "outside_artifacts"),
        ("/etc", "outside_artifacts"),
        ("etc", "outside_artifacts"),
        ("missing", "artifact_not_found"),
        ("app.zip", "not_an_artifact"),
        ("bad.tar.gz", "artifact_unreadable"),
    ] {
        let call = Call {
            artifact,
            ..Call::default()
        };
        let error = fixture.deploy(call).await.unwrap_err();
        assert_eq!(error.code(), code, "{artifact}: {error}");
    }
}

#[test]
fn nothing_of_the_servers_own_is_an_artifact() {
    let fixture = Fixture::new();
    let root = fixture.directory.path().join("root");
    let inside = Deployments::open(&root, fixture.directory.path()).unwrap();
    fs::create_dir_all(root.join(".async-tool")).unwrap();
    fs::create_dir_all(fixture.path("releases/1")).unwrap();
    fs::write(root.join("packed.tar.gz"), "").unwrap();
    symlink(root.join(".async-tool"), fixture.artifact("link")).unwrap();
    for artifact in [
        ".",
        "root",
        "root/.async-tool",
        "root/packed.tar.gz",
        "root/test/web/releases/1",
        "in/link",
    ] {
        let error = inside.artifact(Path::new(artifact)).unwrap_err();
        assert_eq!(
            ToolError::from(error).code(),
            "not_an_artifact",
            "{artifact}"
        );
    }
    inside.artifact(Path::new("in/app")).unwrap();

    // Then nothing at all could be deployed.
    for artifacts in [&root, &root.join(".async-tool")] {
        Deployments::open(&root, artifacts).unwrap_err();
    }
}

#[tokio::test]
async fn a_release_that_is_not_healthy_never_becomes_live() {
    let fixture = Fixture::new();
    fixture.deploy(checked("test -e version")).await.unwrap();
    fixture.version("1");
    let error = fixture
        .deploy(checked("cat version; echo no good >&2; exit 7"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "health_check_failed");
    assert!(error.to_string().contains("exit status: 7"), "{error}");
    let output = error.details().unwrap()["output"].as_str().unwrap();
    assert!(output.contains("no good"), "{output}");

    let missing = Call {
        command: Some(vec!["./missing".to_owned()]),
        ..Call::default()
    };
    let error = fixture.deploy(missing).await.unwrap_err();
    assert_eq!(error.code(), "health_check_failed");

    assert_eq!(fixture.live_version(), "0");
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
}

#[tokio::test]
async fn a_program_of_the_release_can_be_the_check() {
    let fixture = Fixture::new();
    let program = fixture.artifact("app/bin/run");
    fs::write(
        &program,
        "#!/bin/sh\ntest \"$1\" = well && test -e bin/run\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let call = Call {
        command: Some(vec!["bin/run".to_owned(), "well".to_owned()]),
        ..Call::default()
    };
    fixture.deploy(call).await.unwrap();
    let mode = fixture.path("current/bin/run").metadata().unwrap();
    assert_eq!(mode.permissions().mode() & 0o7777, 0o755);
}

/// Runs a check that never ends, and starts another process that does not
/// either; `then` is called when that is running. Answers when both are gone.
async fn endless_check(
    fixture: &Fixture,
    timeout_seconds: u64,
    then: impl FnOnce(&TaskContext),
) -> ToolError {
    let pipe = fixture.artifact("alive");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let call = Call {
        timeout_seconds,
        ..checked(format!("sleep 3600 > '{}' & wait", pipe.display()))
    };
    let task = call.task.clone();
    let watch = async {
        // Opens when the other end is opened; ends when nobody has it open.
        let opened = tokio::task::spawn_blocking(|| fs::File::open(pipe)).await;
        then(&task);
        let mut opened = opened.unwrap().unwrap();
        let read =
            tokio::task::spawn_blocking(move || std::io::copy(&mut opened, &mut std::io::sink()));
        read.await.unwrap().unwrap();
    };
    let (deployed, ()) = tokio::join!(fixture.deploy(call), watch);
    deployed.unwrap_err()
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_killed_with_all_it_started() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    let error = endless_check(&fixture, 1, |_| {}).await;
    assert_eq!(error.code(), "health_check_timeout");
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
}

#[tokio::test]
async fn cancelling_kills_the_check_and_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    let error = endless_check(&fixture, 600, |task| task.cancellation().cancel()).await;
    assert_eq!(error.code(), "cancelled");
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
    assert_eq!(fixture.live_version(), "0");
}

#[tokio::test]
async fn a_task_that_was_cancelled_before_changes_nothing() {
    let fixture = Fixture::new();
    let call = Call::default();
    call.task.cancellation().cancel();
    let error = fixture.deploy(call).await.unwrap_err();
    assert_eq!(error.code(), "cancelled");
    assert!(!fixture.path("").exists());
}

#[tokio::test]
async fn old_releases_go_but_not_the_live_one_nor_the_one_before() {
    let fixture = Fixture::new();
    let keeping = |keep| Call {
        keep,
        ..Call::default()
    };
    for _ in 1..=4 {
        fixture.deploy(keeping(10)).await.unwrap();
    }
    fixture.rollback(Some(1)).await.unwrap();
    // 1 was live before, although it is the oldest.
    let deployed = fixture.deploy(keeping(2)).await.unwrap();
    assert_eq!(deployed.release, 5);
    assert_eq!(deployed.pruned, [3, 2]);
    assert_eq!(fixture.service().numbers().unwrap(), [5, 4, 1]);

    let deployed = fixture.deploy(keeping(1)).await.unwrap();
    assert_eq!(deployed.pruned, [4, 1]);
    assert_eq!(fixture.service().numbers().unwrap(), [6, 5]);
    let listed: Vec<_> = deployed.releases.iter().map(|it| it.number).collect();
    assert_eq!(listed, [6, 5]);
}

#[tokio::test]
async fn what_killed_attempts_left_is_removed_by_the_next() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    fs::create_dir_all(fixture.path(".tmp-0-1/bin")).unwrap();
    fs::write(fixture.path(".tmp-0-1/bin/run"), "half").unwrap();
    symlink("releases/9", fixture.path(".tmp-link")).unwrap();
    fixture.deploy(Call::default()).await.unwrap();
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
}

#[tokio::test]
async fn a_current_that_is_not_ours_is_left_alone() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    for target in ["elsewhere", "releases/01", "releases/../x", "/releases/1"] {
        fs::remove_file(fixture.path("current")).unwrap();
        symlink(target, fixture.path("current")).unwrap();
        let error = fixture.deploy(Call::default()).await.unwrap_err();
        assert_eq!(error.code(), "strange_current", "{target}");
    }
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_a_missing_or_a_partial_release() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    let (current, done) = (fixture.path("current"), AtomicBool::new(false));
    let read = || {
        let mut seen = 0;
        while !done.load(Ordering::Relaxed) {
            let release = current.canonicalize().unwrap();
            let file = |path: &str| fs::read_to_string(release.join(path)).unwrap();
            assert_eq!(file("version"), file("bin/run"));
            assert!(file(".release.json").ends_with('}'));
            seen += 1;
        }
        seen
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for version in 1..=50 {
                    fixture.version(&version.to_string());
                    let call = Call {
                        keep: 100,
                        ..Call::default()
                    };
                    let deployed = fixture.deploy(call).await;
                    // Set before a panic, which would wait for the readers.
                    done.store(deployed.is_err() || version == 50, Ordering::Relaxed);
                    deployed.unwrap();
                }
            });
        });
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    assert_eq!(fixture.live_version(), "50");
}
