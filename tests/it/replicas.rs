//! What replicas share, on each store that several processes can share: each
//! replica has a handle of its own, as if it were a process.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Registry, TaskContext, async_tool, store};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How many bodies there are now, at most, and in all.
#[derive(Clone, Default)]
struct Bodies(Arc<[AtomicUsize; 3]>, CancellationToken);

impl Bodies {
    /// As long as the door is closed.
    async fn wait(&self) {
        self.0[2].fetch_add(1, Ordering::SeqCst);
        self.1.cancelled().await;
    }

    async fn stay(&self, millis: u64) {
        let [now, most, all] = &*self.0;
        all.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(millis)).await;
        now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }

    fn all(&self) -> usize {
        self.0[2].load(Ordering::SeqCst)
    }
}

/// Write a report.
#[async_tool]
async fn report(millis: u64, bytes: usize, task: &TaskContext, bodies: &Bodies) -> String {
    task.log("begun");
    bodies.stay(millis).await;
    "x".repeat(bytes)
}

/// Render a scene.
#[async_tool(dedupe = "arguments")]
async fn render(scene: String, bodies: &Bodies) -> String {
    bodies.wait().await;
    scene
}

/// Deploy a service.
#[async_tool(concurrency_key(args(service)))]
async fn deploy(service: String, bodies: &Bodies) -> String {
    bodies.stay(30).await;
    service
}

/// Migrate a database.
#[async_tool(fleet_concurrency = 2)]
async fn migrate(bodies: &Bodies) {
    bodies.stay(50).await;
}

/// Is soon forgotten.
#[async_tool(retention = "5s")]
async fn whisper() {}

/// What to do.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Approval {
    approved: bool,
}

/// Asks before it does anything.
#[async_tool(interactive, on_interrupt = "retry", concurrency_key(args(service)))]
async fn switch(service: String, task: &TaskContext) -> Result<bool, async_tool::AskError> {
    let answer: Approval = task.ask(format!("Switch {service}?")).await?;
    Ok(answer.approved)
}

/// Waits until it is asked to stop.
#[async_tool]
async fn watch(task: &TaskContext) -> Result<(), async_tool::Cancelled> {
    task.cancelled().await;
    task.check_cancelled()
}

struct Replicas {
    servers: Vec<TestServer>,
    bodies: Bodies,
}

impl Replicas {
    async fn start(url: &str, namespace: &str) -> Self {
        let bodies = Bodies::default();
        let mut servers = Vec::new();
        for _ in 0..3 {
            let builder = AsyncTools::builder()
                .registry(
                    Registry::new()
                        .with(ReportTool)
                        .with(RenderTool)
                        .with(DeployTool)
                        .with(MigrateTool)
                        .with(WhisperTool)
                        .with(SwitchTool)
                        .with(WatchTool),
                )
                .state(bodies.clone())
                .store(store::from_url(url).await.expect("it opens"))
                .namespace(namespace)
                // What is heard before the next beat was told.
                .lease(Duration::from_secs(90))
                .single_user();
            servers.push(TestServer::connect(builder.build().await.expect("builds")).await);
        }
        Self { servers, bodies }
    }

    /// Calls of the same tool and arguments, at all replicas at once.
    async fn call_all(
        &self,
        tool: &str,
        arguments: &serde_json::Value,
        times: usize,
    ) -> Vec<String> {
        let calls = self.servers.iter().cycle().take(times);
        let calls = calls.map(|server| server.call(tool, arguments.clone()));
        let answers = join_all(calls).await;
        answers
            .iter()
            .map(|answer| {
                assert!(!answer.is_error, "{}", answer.text);
                answer.id().to_owned()
            })
            .collect()
    }
}

async fn check_keys(url: &str) {
    let replicas = Replicas::start(url, "keys").await;
    let [one, other, third] = &*replicas.servers else {
        panic!("three replicas");
    };
    let arguments = json!({"millis": 200, "bytes": 1, "idempotency_key": "k"});
    let ids = replicas.call_all("report_initiate", &arguments, 12).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1, "one task");
    let differently = json!({"millis": 1, "bytes": 1, "idempotency_key": "k"});
    let conflict = third.call("report_initiate", differently).await;
    assert_eq!(conflict.error_code(), Some("idempotency_conflict"));
    assert_eq!(conflict["error"]["details"]["task_id"], ids[0]);
    for server in [one, other, third] {
        let end = server.finish("report", &ids[0]).await;
        assert_eq!(end["result"], "x", "{}", end.text);
    }

    let scene = json!({"scene": "a"});
    let ids = replicas.call_all("render_initiate", &scene, 12).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1, "shared");
    replicas.bodies.1.cancel();
    other.finish("render", &ids[0]).await;
    assert_eq!(replicas.bodies.all(), 2, "of all those calls");
}

async fn check_limits(url: &str) {
    let replicas = Replicas::start(url, "limits").await;
    let arguments = json!({"service": "web"});
    for id in replicas.call_all("deploy_initiate", &arguments, 12).await {
        replicas.servers[0].finish("deploy", &id).await;
    }
    assert_eq!(replicas.bodies.most(), 1, "of one key");
    for id in replicas.call_all("migrate_initiate", &json!({}), 12).await {
        replicas.servers[1].finish("migrate", &id).await;
    }
    assert_eq!(replicas.bodies.most(), 2, "in the fleet");
}

async fn check_reading(url: &str) {
    let replicas = Replicas::start(url, "reading").await;
    let [one, other, third] = &*replicas.servers else {
        panic!("three replicas");
    };
    // Above what a store keeps beside the record.
    let arguments = json!({"millis": 100, "bytes": 1 << 20});
    let task = one.call("report_initiate", arguments).await;
    let seen = other
        .call("report_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(seen.id(), task.id(), "{}", seen.text);
    let end = other.finish("report", task.id()).await;
    assert_eq!(end["result"].as_str().map(str::len), Some(1 << 20));
    let lines = json!({"task_id": task.id(), "log_lines": 5, "include_result": false});
    let end = third.call("report_status", lines).await;
    assert_eq!(end["log"].as_array().map(Vec::len), Some(1), "{}", end.text);
    let listed = third.call("task_list", json!({"tool": "report"})).await;
    assert_eq!(listed["tasks"][0]["task_id"], task.id());

    // It ends while its caller waits for that: the replica that executes it
    // was told.
    let task = one.call("watch_initiate", json!({})).await;
    let stop = json!({"task_id": task.id(), "reason": "enough"});
    let stopped = other.call("watch_cancel", stop).await;
    assert_eq!(stopped["status"], "cancelled", "{}", stopped.text);
    assert_eq!(stopped["message"], "enough");

    let task = one.call("whisper_initiate", json!({})).await;
    other.finish("whisper", task.id()).await;
    let status = json!({"task_id": task.id()});
    for _ in 0..600 {
        let gone = other.call("whisper_status", status.clone()).await;
        if gone.error_code() == Some("task_not_found") {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it is never forgotten");
}

/// Any replica shows a question and takes the answer; the key is kept
/// meanwhile.
async fn check_asking(url: &str) {
    let replicas = Replicas::start(url, "asking").await;
    let [one, other, third] = &*replicas.servers else {
        panic!("three replicas");
    };
    let arguments = json!({"service": "web"});
    let first = one.call("switch_initiate", arguments.clone()).await;
    let wait = |id: &str| json!({"task_id": id, "wait_seconds": 50});
    let asked = other.call("switch_status", wait(first.id())).await;
    assert_eq!(asked["status"], "input_required", "{}", asked.text);
    let second = other.call("switch_initiate", arguments).await;
    let answer = |id: &str, key: &serde_json::Value| {
        json!({
            "task_id": id, "key": key,
            "action": "accept", "content": {"approved": true},
        })
    };
    let waiting = third
        .call("switch_status", json!({"task_id": second.id()}))
        .await;
    assert_eq!(waiting["status"], "queued", "{}", waiting.text);
    let key = &asked["questions"][0]["key"];
    let racing = [one, other, third].map(|at| at.call("switch_respond", answer(first.id(), key)));
    for answered in join_all(racing).await {
        // Who comes after the end is told so.
        let closed = answered.error_code() == Some("question_closed");
        assert!(!answered.is_error || closed, "{}", answered.text);
    }
    let end = third.finish("switch", first.id()).await;
    assert_eq!(end["result"], true, "{}", end.text);

    let asked = one.call("switch_status", wait(second.id())).await;
    assert_eq!(asked["status"], "input_required", "{}", asked.text);
    let key = &asked["questions"][0]["key"];
    third.call("switch_respond", answer(second.id(), key)).await;
    let end = other.finish("switch", second.id()).await;
    assert_eq!(end["result"], true, "{}", end.text);
}

async fn check(url: &str) {
    tokio::join!(
        check_keys(url),
        check_limits(url),
        check_reading(url),
        check_asking(url)
    );
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_an_sqlite_file() {
    let directory = TempDir::new().expect("a directory");
    check(&format!(
        "sqlite:{}",
        directory.path().join("tasks.db").display()
    ))
    .await;
}

#[cfg(all(unix, feature = "postgres"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_a_postgres_database() {
    if let Some(server) = servers::postgres() {
        check(&server.url()).await;
    }
}

#[cfg(all(unix, feature = "redis"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_a_redis_server() {
    if let Some(server) = servers::redis() {
        check(&server.url()).await;
    }
}
