//! The tools as a server executes them: interrupted, started again, in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use async_tool::MemoryStore;
use async_tool::testing::{Answer, TestServer};
use serde_json::{Value, json};

use super::{Call, Fixture};

pub(super) async fn server(fixture: &Fixture, store: &MemoryStore) -> TestServer {
    let builder = crate::server(fixture.deployments.clone())
        .store(store.clone())
        .drain(Duration::ZERO);
    TestServer::start(builder).await
}

fn pipe(fixture: &Fixture, name: &str) -> PathBuf {
    let pipe = fixture.artifact(name);
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    pipe
}

fn deployment(artifact: &str, service: &str, script: &str) -> Value {
    json!({
        "environment": "test", "service": service, "artifact": artifact,
        "health_check": { "command": ["sh", "-c", script] },
    })
}

/// Deploys with a server that is shut down during the health check, and
/// finishes with another one, before which `meanwhile` is called.
async fn interrupted(fixture: &Fixture, artifact: &str, meanwhile: impl FnOnce()) -> Answer {
    let store = MemoryStore::new();
    let alive = pipe(fixture, "alive");
    let second = fixture.artifact("second");
    let script = format!(
        "test -e '{second}' && exit; : > '{second}'; sleep 3600 > '{alive}' & wait",
        second = second.display(),
        alive = alive.display(),
    );

    let first = server(fixture, &store).await;
    let task = first
        .call("deploy_initiate", deployment(artifact, "web", &script))
        .await;
    let opened = tokio::task::spawn_blocking(|| fs::File::open(alive)).await;
    opened.unwrap().unwrap();
    first.tools().shutdown().await;
    assert_eq!(fixture.listing(), ["releases"]);
    meanwhile();
    server(fixture, &store)
        .await
        .finish("deploy", task.id())
        .await
}

#[tokio::test]
async fn an_interrupted_deployment_is_finished_by_the_next_server() {
    let fixture = Fixture::new();
    let end = interrupted(&fixture, "app", || {}).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    assert_eq!(end["result"]["release"], 1);
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
}

#[tokio::test]
async fn an_interrupted_deployment_deploys_what_was_verified_or_nothing() {
    let fixture = Fixture::new();
    let archive = fixture.artifact("app.tar.gz");
    let pack = |directory: &Path| {
        let mut tar = Command::new("tar");
        tar.arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(directory)
            .arg(".");
        assert!(tar.status().unwrap().success());
    };
    pack(&fixture.artifact("app"));
    let repack = || pack(&fixture.artifact("app/bin"));
    let end = interrupted(&fixture, "app.tar.gz", repack).await;
    assert_eq!(end.error_code(), Some("artifact_changed"), "{}", end.text);
    assert_eq!(fixture.listing(), ["releases"]);
}

#[tokio::test]
async fn what_changes_one_service_takes_turns() {
    let fixture = Fixture::new();
    let server = server(&fixture, &MemoryStore::new()).await;
    for _ in 1..=2 {
        let arguments = deployment("app", "web", "true");
        let task = server.call("deploy_initiate", arguments).await;
        assert_eq!(
            server.finish("deploy", task.id()).await["status"],
            "completed"
        );
    }

    let gate = pipe(&fixture, "gate");
    let script = format!("cat '{}'", gate.display());
    let slow = server
        .call("deploy_initiate", deployment("app", "web", &script))
        .await;
    let service = json!({ "environment": "test", "service": "web" });
    let rollback = server.call("rollback_initiate", service).await;
    assert_eq!(rollback["status"], "queued", "{}", rollback.text);
    // Another service does not wait.
    let other = server
        .call("deploy_initiate", deployment("app", "api", "true"))
        .await;
    assert_eq!(
        server.finish("deploy", other.id()).await["status"],
        "completed"
    );

    let open = || fs::OpenOptions::new().write(true).open(gate);
    tokio::task::spawn_blocking(open).await.unwrap().unwrap();
    let slow = server.finish("deploy", slow.id()).await;
    assert_eq!(slow["result"]["release"], 3, "{}", slow.text);
    let rollback = server.finish("rollback", rollback.id()).await;
    assert_eq!(rollback["result"]["replaced"], 3, "{}", rollback.text);
    assert_eq!(rollback["result"]["release"], 2);
}

/// Asks a task to stop when there is nothing left for it but to go live, and
/// lets it go on then. Answers with how it ended.
async fn cancelled_at_the_last_moment(
    server: &TestServer,
    tool: &str,
    task: &Answer,
    lock: fs::File,
) -> Answer {
    let id = json!({ "task_id": task.id() });
    let status = format!("{tool}_status");
    let switching = async {
        while server.call(&status, id.clone()).await["progress"]["step"] != "switch" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), switching)
        .await
        .unwrap();
    // So that all is on the disk; if it is not, the test shows less.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = server.call(&format!("{tool}_cancel"), id).await;
    assert_eq!(answer["done"], false, "{}", answer.text);
    drop(lock);
    server.finish(tool, task.id()).await
}

#[tokio::test]
async fn nothing_goes_live_after_a_cancel() {
    let fixture = Fixture::new();
    fixture.deploy(Call::default()).await.unwrap();
    let server = server(&fixture, &MemoryStore::new()).await;
    let lock = || {
        let directory = fs::File::open(fixture.path("")).unwrap();
        directory.lock().unwrap();
        directory
    };

    let gate = pipe(&fixture, "gate");
    let arguments = deployment("app", "web", &format!("cat '{}'", gate.display()));
    let task = server.call("deploy_initiate", arguments).await;
    let open = || fs::OpenOptions::new().write(true).open(gate);
    let gate = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
    let lock_held = lock();
    drop(gate);
    let end = cancelled_at_the_last_moment(&server, "deploy", &task, lock_held).await;
    assert_eq!(end["status"], "cancelled", "{}", end.text);
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);

    fixture.deploy(Call::default()).await.unwrap();
    let lock_held = lock();
    let service = json!({ "environment": "test", "service": "web" });
    let task = server.call("rollback_initiate", service).await;
    let end = cancelled_at_the_last_moment(&server, "rollback", &task, lock_held).await;
    assert_eq!(end["status"], "cancelled", "{}", end.text);
    assert_eq!(fixture.service().live().unwrap(), Some(2));
}

#[tokio::test]
async fn names_are_judged_before_there_is_a_task() {
    let fixture = Fixture::new();
    let server = server(&fixture, &MemoryStore::new()).await;
    for (environment, service) in [
        ("..", "web"),
        ("test", "a/b"),
        ("test", ""),
        ("Test", "web"),
    ] {
        let arguments = json!({
            "environment": environment, "service": service, "artifact": "app",
        });
        let answer = server.call("deploy_initiate", arguments).await;
        assert_eq!(
            answer.error_code(),
            Some("invalid_arguments"),
            "{}",
            answer.text
        );
    }
}
