//! Production asks before it is switched.

use async_tool::MemoryStore;
use async_tool::testing::{Answer, TestServer};
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RequestContext};
use rmcp::{ErrorData, RoleClient};
use serde_json::{Value, json};

use super::native::Native;
use super::served::server;
use super::{Call, Fixture};

/// What is in the directory of a service that was deployed once.
const ONE_RELEASE: [&str; 3] = ["current", "releases", "releases/1"];

/// The answer to a question, as clients of the protocol's tasks give it.
pub(super) fn approval(approve: bool, comment: &str) -> Value {
    json!({ "action": "accept", "content": { "approve": approve, "comment": comment } })
}

/// The question of a snapshot that has one.
pub(super) fn question(snapshot: &Answer) -> &Value {
    assert_eq!(snapshot["status"], "input_required", "{}", snapshot.text);
    &snapshot["questions"][0]
}

async fn deploy(server: &TestServer) -> Answer {
    let arguments = json!({
        "environment": "production", "service": "web", "artifact": "app",
        "health_check": { "command": ["cat", "version"] },
    });
    server.call("deploy_initiate", arguments).await
}

/// Waits until the task asks.
async fn asked(server: &TestServer, task: &Answer) -> Answer {
    let wait = json!({ "task_id": task.id(), "wait_seconds": 50, "log_lines": 1 });
    let snapshot = server.call("deploy_status", wait).await;
    question(&snapshot);
    snapshot
}

async fn respond(server: &TestServer, snapshot: &Answer, mut answer: Value) -> Answer {
    answer["task_id"] = snapshot["task_id"].clone();
    answer["key"] = question(snapshot)["key"].clone();
    let answered = server.call("deploy_respond", answer).await;
    assert!(!answered.is_error, "{}", answered.text);
    answered
}

/// A server of a service in production that has one release.
async fn deployed(fixture: &Fixture) -> TestServer {
    deployed_by(server(fixture, &MemoryStore::new()).await).await
}

async fn deployed_by(server: TestServer) -> TestServer {
    let task = deploy(&server).await;
    let snapshot = asked(&server, &task).await;
    respond(&server, &snapshot, approval(true, "the first one")).await;
    let end = server.finish("deploy", task.id()).await;
    assert_eq!(end["result"]["release"], 1, "{}", end.text);
    server
}

/// A client on a pipe of its own.
fn pipe(server: &TestServer) -> tokio::io::DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let tools = server.tools().clone();
    tokio::spawn(async move {
        let service = rmcp::ServiceExt::serve(tools, near).await.unwrap();
        service.waiting().await
    });
    far
}

#[tokio::test]
async fn production_is_switched_when_somebody_approves() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    fixture.version("1");
    let task = deploy(&server).await;
    let snapshot = asked(&server, &task).await;
    assert_eq!(
        question(&snapshot)["message"],
        "Switch `web` in `production` to release 2, made from \"app\"? Release 1 is live."
    );
    // It is known to be healthy by then.
    let log = snapshot["log"][0].as_str().unwrap();
    assert!(log.ends_with('1'), "{log}");
    assert_eq!(fixture.live_version(), "0");

    respond(&server, &snapshot, approval(true, "tested by hand")).await;
    let end = server.finish("deploy", task.id()).await;
    assert_eq!(end["result"]["release"], 2, "{}", end.text);
    assert_eq!(end["result"]["replaced"], 1, "{}", end.text);
    assert_eq!(fixture.live_version(), "1");
    let status = json!({ "task_id": task.id(), "log_lines": 1 });
    let log = server.call("deploy_status", status).await["log"].to_string();
    assert!(log.contains("approved: tested by hand"), "{log}");
}

#[tokio::test]
async fn what_is_not_approved_leaves_nothing() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    fixture.version("1");
    for (answer, why) in [
        (approval(false, "not on a Friday"), "not on a Friday"),
        (
            json!({ "action": "accept", "content": { "approve": false } }),
            "no reason was given",
        ),
        (json!({ "action": "decline" }), "declined"),
        (json!({ "action": "cancel" }), "dismissed"),
    ] {
        let task = deploy(&server).await;
        let snapshot = asked(&server, &task).await;
        assert_eq!(fixture.listing().len(), ONE_RELEASE.len() + 1);
        respond(&server, &snapshot, answer).await;
        let end = server.finish("deploy", task.id()).await;
        assert_eq!(end.error_code(), Some("not_approved"), "{}", end.text);
        let message = end["error"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
        assert_eq!(fixture.listing(), ONE_RELEASE);
        assert_eq!(fixture.live_version(), "0");
    }
}

#[tokio::test]
async fn a_deployment_that_waits_can_be_cancelled() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    let task = deploy(&server).await;
    asked(&server, &task).await;
    let id = json!({ "task_id": task.id() });
    server.call("deploy_cancel", id).await;
    let end = server.finish("deploy", task.id()).await;
    assert_eq!(end["status"], "cancelled", "{}", end.text);
    assert_eq!(fixture.listing(), ONE_RELEASE);
}

#[tokio::test]
async fn the_next_server_asks_what_the_one_before_was_asking() {
    let (fixture, store) = (Fixture::of("production"), MemoryStore::new());
    let first = deployed_by(server(&fixture, &store).await).await;
    let task = deploy(&first).await;
    let before = asked(&first, &task).await;
    first.tools().shutdown().await;
    assert_eq!(fixture.listing(), ONE_RELEASE);

    let second = server(&fixture, &store).await;
    let after = asked(&second, &task).await;
    assert_eq!(question(&before), question(&after));
    respond(&second, &after, approval(true, "")).await;
    let end = second.finish("deploy", task.id()).await;
    assert_eq!(end["result"]["release"], 2, "{}", end.text);
}

#[tokio::test]
async fn what_is_not_healthy_is_not_asked_about() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    std::fs::remove_file(fixture.artifact("app/version")).unwrap();
    let task = deploy(&server).await;
    let end = server.finish("deploy", task.id()).await;
    assert_eq!(
        end.error_code(),
        Some("health_check_failed"),
        "{}",
        end.text
    );
    assert_eq!(fixture.listing(), ONE_RELEASE);
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_is_switched() {
    let fixture = Fixture::of("production");
    let error = fixture.deploy(Call::default()).await.unwrap_err();
    assert_eq!(error.code(), "not_approved");
    assert!(error.to_string().contains("nobody to ask"), "{error}");
    assert_eq!(fixture.listing(), ["releases"]);
}

#[tokio::test]
async fn a_rollback_asks_nobody() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    let task = deploy(&server).await;
    let snapshot = asked(&server, &task).await;
    respond(&server, &snapshot, approval(true, "")).await;
    server.finish("deploy", task.id()).await;
    let back = fixture.rollback(None).await.unwrap();
    assert_eq!((back.release, back.replaced), (1, Some(2)));
}

#[tokio::test]
async fn whatever_the_name_of_an_artifact_it_can_be_asked_about() {
    let fixture = Fixture::of("production");
    let server = server(&fixture, &MemoryStore::new()).await;
    let (strange, long) = ("app\"?\n", format!("{}app", "./".repeat(1500)));
    std::os::unix::fs::symlink("app", fixture.artifact(strange)).unwrap();
    for (artifact, shown) in [(strange, r#"made from "app\"?\n"?"#), (&*long, r#"./"?"#)] {
        let arguments = json!({
            "environment": "production", "service": "web", "artifact": artifact,
        });
        let task = server.call("deploy_initiate", arguments).await;
        let snapshot = asked(&server, &task).await;
        let message = question(&snapshot)["message"].as_str().unwrap();
        assert!(message.contains(shown), "{message}");
        respond(&server, &snapshot, json!({ "action": "decline" })).await;
        server.finish("deploy", task.id()).await;
    }
}

#[tokio::test]
async fn clients_of_the_protocols_tasks_are_asked_by_a_form() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    let client = Native::connect(pipe(&server)).await;
    fixture.version("1");

    let declined = client.deploy("production").await;
    let (key, form) = client.asked(&declined).await;
    assert_eq!(
        form,
        json!({
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": "Switch `web` in `production` to release 2, made from \"app\"? \
                            Release 1 is live.",
                "requestedSchema": {
                    "type": "object",
                    "description": "Whether a release shall become live.",
                    "properties": {
                        "approve": {
                            "type": "boolean",
                            "description": "Make it live. Otherwise it is removed, and what is \
                                            live stays.",
                        },
                        "comment": {
                            "type": "string",
                            "description": "Why, for whoever started the deployment.",
                            "maxLength": 500,
                        },
                    },
                    "required": ["approve"],
                },
            },
        })
    );
    client
        .answer(&declined, &key, json!({ "action": "decline" }))
        .await;
    let end = client.finish(&declined).await;
    assert_eq!(end["isError"], true);
    assert!(end.to_string().contains("not_approved"), "{end}");
    assert_eq!(fixture.listing(), ONE_RELEASE);

    let approved = client.deploy("production").await;
    let (key, _) = client.asked(&approved).await;
    client.answer(&approved, &key, approval(true, "")).await;
    let end = client.finish(&approved).await;
    assert_eq!(end["structuredContent"]["release"], 2, "{end}");
    assert_eq!(fixture.live_version(), "1");
}

/// A client that knows nothing of tasks, and can be asked.
struct Approver;

impl ClientHandler for Approver {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("approver", "0"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let answer = ElicitResult::new(ElicitationAction::Accept);
        Ok(answer.with_content(json!({ "approve": true })))
    }
}

#[tokio::test]
async fn a_call_that_waits_is_asked_and_answered_with_the_result() {
    let fixture = Fixture::of("production");
    let server = deployed(&fixture).await;
    let modern = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    for (lifecycle, release) in [(modern, 2), (ClientLifecycleMode::Initialize, 3)] {
        let client = Approver.serve_with_lifecycle(pipe(&server), lifecycle);
        let client = client.await.unwrap();
        let arguments = json!({
            "environment": "production", "service": "web", "artifact": "app",
        });
        let params = CallToolRequestParams::new("deploy")
            .with_arguments(arguments.as_object().unwrap().clone());
        let answer: Answer = client.call_tool(params).await.unwrap().into();
        assert_eq!(answer["release"], release, "{}", answer.text);
    }
}
