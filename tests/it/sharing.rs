//! Tasks that share: equal calls one task, a concurrency key one turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, MemoryStore, Principal, Registry, async_tool};
use serde_json::json;

/// How many run at this moment, and how many did at most.
#[derive(Clone, Default)]
struct Crowd(Arc<(AtomicUsize, AtomicUsize)>);

impl Crowd {
    async fn stay(&self, seconds: u64) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Render a scene.
#[async_tool(dedupe = "arguments")]
async fn render(scene: String, seconds: u64, crowd: &Crowd) -> String {
    crowd.stay(seconds).await;
    scene
}

fn staging() -> String {
    "staging".to_owned()
}

/// Deploy a service.
#[async_tool(concurrency_key(group = "service", args(environment, service)))]
async fn deploy(
    service: String,
    #[serde(default = "staging")] environment: String,
    crowd: &Crowd,
) -> String {
    crowd.stay(10).await;
    format!("{service} to {environment}")
}

/// Roll a service back.
#[async_tool(concurrency_key(group = "service", args(environment, service)))]
async fn rollback(environment: String, service: String, crowd: &Crowd) {
    let _ = (environment, service);
    crowd.stay(10).await;
}

/// Migrate a database.
#[async_tool(fleet_concurrency = 2, concurrency_key(args(database)))]
async fn migrate(database: String, crowd: &Crowd) {
    let _ = database;
    crowd.stay(10).await;
}

/// Block a thread, under a key, until the door opens.
#[async_tool(cancel_grace = "100ms", concurrency_key(args(name)))]
async fn hold(name: String, door: &Arc<Door>) -> String {
    door.reached.store(true, Ordering::SeqCst);
    while !door.open.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
    name
}

#[derive(Default)]
struct Door {
    reached: AtomicBool,
    open: AtomicBool,
}

fn builder(crowd: &Crowd) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(
            Registry::new()
                .with(RenderTool)
                .with(DeployTool)
                .with(RollbackTool)
                .with(MigrateTool),
        )
        .state(crowd.clone())
}

async fn start(crowd: &Crowd) -> TestServer {
    TestServer::start(builder(crowd).single_user()).await
}

#[tokio::test(start_paused = true)]
async fn equal_calls_share_a_task_while_it_runs() {
    let crowd = Crowd::default();
    let server = start(&crowd).await;
    let scene = |seconds| json!({"scene": "a", "seconds": seconds});
    let first = server.call("render_initiate", scene(10)).await;
    let second = server.call("render_initiate", scene(10)).await;
    assert_eq!(second.id(), first.id());
    assert_eq!(second["replayed"], true);
    let other = server.call("render_initiate", scene(11)).await;
    assert_ne!(other.id(), first.id());
    server.finish("render", first.id()).await;
    let later = server.call("render_initiate", scene(10)).await;
    assert_ne!(later.id(), first.id(), "that one has ended");
    assert_eq!(crowd.most(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_given_to_a_shared_task_is_its_key() {
    let server = start(&Crowd::default()).await;
    let call = |key: Option<&str>| {
        let mut arguments = json!({"scene": "a", "seconds": 10});
        if let Some(key) = key {
            arguments["idempotency_key"] = key.into();
        }
        arguments
    };
    let first = server.call("render_initiate", call(None)).await;
    let joined = server.call("render_initiate", call(Some("mine"))).await;
    assert_eq!(joined.id(), first.id());
    server.finish("render", first.id()).await;
    let replayed = server.call("render_initiate", call(Some("mine"))).await;
    assert_eq!(replayed.id(), first.id());
    assert_eq!(replayed["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_to_stop_is_not_joined() {
    let server = start(&Crowd::default()).await;
    let scene = json!({"scene": "a", "seconds": 3600});
    let first = server.call("render_initiate", scene.clone()).await;
    server
        .call("render_cancel", json!({"task_id": first.id()}))
        .await;
    let second = server.call("render_initiate", scene).await;
    assert_ne!(second.id(), first.id());
}

#[tokio::test(start_paused = true)]
async fn principals_do_not_share_tasks() {
    let builder = builder(&Crowd::default()).principal(|request| {
        let client = request.context().peer.peer_info()?;
        let name = client.client_info.name.clone();
        (name != "nobody").then(|| Principal::new(name))
    });
    let first = TestServer::start(builder).await;
    let scene = json!({"scene": "a", "seconds": 10});
    let mut ids = Vec::new();
    for client in ["ann", "ben", "nobody", "nobody"] {
        let server = TestServer::connect_as(first.tools().clone(), client).await;
        let task = server.call("render_initiate", scene.clone()).await;
        assert!(!ids.contains(&task.id().to_owned()), "{client} shares");
        ids.push(task.id().to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn dedupe_needs_to_know_whose_calls_are_equal() {
    let error = builder(&Crowd::default())
        .build()
        .await
        .expect_err("whose?");
    let text = error.to_string();
    assert!(text.contains("`render` has `dedupe`"), "{text}");
    assert!(text.contains(".single_user()"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn tasks_of_one_key_take_turns_over_all_tools_and_workers() {
    let (crowd, store) = (Crowd::default(), MemoryStore::new());
    let servers = [
        TestServer::start(builder(&crowd).single_user().store(store.clone())).await,
        TestServer::start(builder(&crowd).single_user().store(store)).await,
    ];
    let (web, explicit) = (
        json!({"service": "web"}),
        json!({"service": "web", "environment": "staging"}),
    );
    let mut tasks = Vec::new();
    for server in &servers {
        for (tool, arguments) in [
            ("deploy", &web),
            ("deploy", &explicit),
            ("rollback", &explicit),
        ] {
            let task = server
                .call(&format!("{tool}_initiate"), arguments.clone())
                .await;
            tasks.push((tool, task.id().to_owned()));
        }
    }
    for (tool, id) in tasks {
        let end = servers[0].finish(tool, &id).await;
        assert_eq!(end["status"], "completed", "{}", end.text);
    }
    assert_eq!(crowd.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_keys_do_not_wait() {
    let crowd = Crowd::default();
    let server = start(&crowd).await;
    for service in ["web", "web", "web", "api"] {
        server
            .call("deploy_initiate", json!({"service": service}))
            .await;
    }
    let production = json!({"service": "web", "environment": "production"});
    let task = server.call("deploy_initiate", production).await;
    server.finish("deploy", task.id()).await;
    assert_eq!(crowd.most(), 3, "of each key one");
}

#[tokio::test(start_paused = true)]
async fn the_fleet_runs_no_more_of_a_tool_than_it_may() {
    let (crowd, store) = (Crowd::default(), MemoryStore::new());
    let worker = || TestServer::start(builder(&crowd).store(store.clone()).single_user());
    let servers = [worker().await, worker().await, worker().await];
    let mut tasks = Vec::new();
    for (number, server) in servers.iter().cycle().take(9).enumerate() {
        let arguments = json!({"database": format!("{}", number % 4)});
        let task = server.call("migrate_initiate", arguments).await;
        tasks.push(task.id().to_owned());
    }
    for id in tasks {
        let end = servers[0].finish("migrate", &id).await;
        assert_eq!(end["status"], "completed", "{}", end.text);
    }
    assert_eq!(crowd.most(), 2, "over all workers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_body_that_cannot_be_stopped_keeps_its_key() {
    let door = Arc::new(Door::default());
    let tools = AsyncTools::builder()
        .registry(Registry::new().with(HoldTool))
        .state(Arc::clone(&door));
    let server = TestServer::start(tools.single_user()).await;
    let first = server.call("hold_initiate", json!({"name": "a"})).await;
    while !door.reached.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ended = server
        .call("hold_cancel", json!({"task_id": first.id()}))
        .await;
    assert_eq!(ended["status"], "cancelled", "{}", ended.text);
    let second = server.call("hold_initiate", json!({"name": "a"})).await;
    assert_eq!(second["status"], "queued", "the first one's body goes on");
    door.open.store(true, Ordering::SeqCst);
    let end = server.finish("hold", second.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
}
