//! Calls by the protocol's own tasks, of this crate's servers and of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::client::{Answer, CallError, Status};
use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Registry, Surface, ToolError, async_tool};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ContentBlock,
    CreateTaskResult, DetailedTask, ElicitRequest, ElicitRequestParams, GetTaskParams,
    GetTaskResult, InputRequest, InputRequests, InputRequiredResult, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Task, TaskPayload, TaskStatus, Tool,
    UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::wire::Wire;
use crate::tools::{How, NapInput, NapTool, OddInput, OddTool, Rested, SharedRuns, all};

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Boxed {
    result: u32,
}

/// Whose result looks as if it had been put into an object.
#[async_tool]
async fn boxed() -> Boxed {
    Boxed { result: 7 }
}

/// Whose result is put into an object.
#[async_tool]
async fn bare(text: String) -> String {
    text
}

/// Fail at once.
#[async_tool(inline = "1s")]
async fn hasty(code: Option<i32>) -> Result<(), ToolError> {
    let error = ToolError::new("too fast").with_code("hasty");
    Err(match code {
        Some(code) => error.with_protocol_code(code),
        None => error,
    })
}

/// Answer at once.
#[async_tool(inline = "1s")]
async fn swift() -> Option<u32> {
    None
}

struct Scene {
    _server: TestServer,
    runs: SharedRuns,
    wire: Wire,
    tasks: async_tool::client::TaskClient,
}

impl Scene {
    async fn new() -> Self {
        let runs = SharedRuns::default();
        let registry: Registry = all()
            .with(BoxedTool)
            .with(BareTool)
            .with(HastyTool)
            .with(SwiftTool);
        let builder = AsyncTools::builder()
            .registry(registry)
            .state(runs.clone())
            .surface([Surface::Native, Surface::Family]);
        let server = TestServer::start(builder).await;
        let wire = Wire::default();
        let tasks = wire.modern(server.tools().clone());
        Self {
            _server: server,
            runs,
            wire,
            tasks,
        }
    }
}

fn nap(millis: u64) -> NapInput {
    NapInput {
        millis,
        stubborn: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_native_task_is_used_where_there_is_one() {
    let scene = Scene::new().await;
    let tasks = &scene.tasks;
    let mut task = tasks.call::<NapTool>(nap(10_000)).start().await.unwrap();
    let first = task.next().await.expect("not ended").expect("answers");
    assert_eq!(first.status, Status::Working);
    assert_eq!(task.await.expect("completed"), Rested { millis: 10_000 });
    assert_eq!(scene.wire.passed("nap").len(), 1);
    assert!(!scene.wire.passed("tasks/get").is_empty());
    assert!(scene.wire.passed("nap_initiate").is_empty());

    let family = tasks.clone().prefer_family();
    family
        .call::<NapTool>(nap(10_000))
        .await
        .expect("completed");
    assert_eq!(scene.wire.passed("nap_initiate").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_the_same_through_both() {
    let scene = Scene::new().await;
    let native = &scene.tasks;
    let family = native.clone().prefer_family();
    let call = |tasks: &async_tool::client::TaskClient| {
        tasks.call::<NapTool>(nap(60_000)).with_idempotency_key("k")
    };
    let begun = call(native).start().await.expect("accepted");
    let same = call(&family).start().await.expect("accepted");
    assert_eq!(begun.task_id(), same.task_id());
    assert_eq!(
        same.await.expect("completed"),
        begun.await.expect("completed")
    );
    assert_eq!(scene.runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn results_of_all_kinds_are_what_the_function_returned() {
    let scene = Scene::new().await;
    let tasks = &scene.tasks;
    let boxed = Boxed { result: 7 };
    assert_eq!(tasks.call::<BoxedTool>(BoxedInput {}).await.unwrap(), boxed);
    let named = tasks.call_named("boxed", json!({})).await.unwrap();
    assert_eq!(named, json!({ "result": 7 }));
    for text in ["plain", "", "7", r#"{"result":7}"#, "null"] {
        let input = BareInput { text: text.into() };
        assert_eq!(tasks.call::<BareTool>(input).await.unwrap(), text);
    }
    let mut swift = tasks
        .call::<SwiftTool>(SwiftInput {})
        .start()
        .await
        .unwrap();
    let end = swift.next().await.expect("the end").expect("answers");
    assert_eq!(end.status, Status::Completed);
    assert_eq!(swift.await.expect("completed"), None);
}

#[tokio::test(start_paused = true)]
async fn failures_and_refusals_are_told_apart() {
    let scene = Scene::new().await;
    let tasks = &scene.tasks;
    // As tasks, and at once.
    for (tool, code, arguments) in [
        ("odd", "quota", json!({ "how": How::Quota })),
        ("odd", "panicked", json!({ "how": How::Panic })),
        ("hasty", "hasty", json!({})),
    ] {
        let error = tasks.call_named(tool, arguments).await.unwrap_err();
        let CallError::Failed { failure, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(failure.code, code);
    }
    let call = tasks.call::<OddTool>(OddInput { how: How::Quota });
    let mut task = call.start().await.expect("accepted");
    while let Some(seen) = task.next().await {
        let seen = seen.expect("answers");
        assert_ne!(seen.status, Status::Completed, "as the protocol says");
    }

    let error = tasks.call_named("nap", json!({})).await.unwrap_err();
    let CallError::Refused { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.code, "invalid_arguments");
    let error = tasks.call_named("hasty", json!({ "code": 7 })).await;
    assert!(error.unwrap_err().to_string().contains("too fast (7)"));
    let error = tasks.resume_named("nap", "0".repeat(32)).await.unwrap_err();
    assert!(matches!(error, CallError::NotFound { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_native_task_is_cancelled_and_has_a_deadline() {
    let scene = Scene::new().await;
    let call = scene.tasks.call::<NapTool>(nap(3_600_000));
    let mut task = call.start().await.expect("accepted");
    task.cancel("enough").await.expect("told");
    let error = task.result().await.unwrap_err();
    assert!(matches!(error, CallError::Cancelled { .. }), "{error}");

    let call = scene.tasks.call::<NapTool>(nap(3_600_000));
    let error = call.with_max_wait(Duration::from_secs(60)).await;
    let CallError::Failed { failure, .. } = error.unwrap_err() else {
        panic!("not failed");
    };
    assert_eq!(failure.code, "timed_out");
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_broken_connections_cost_time_alone() {
    let scene = Scene::new().await;
    for name in ["nap", "tasks/get"] {
        scene.wire.lose_answer(name);
    }
    let call = scene.tasks.call::<NapTool>(nap(600_000));
    let task = tokio::spawn(call.into_future());
    tokio::time::sleep(Duration::from_secs(100)).await;
    scene.wire.cut();
    task.await.expect("no panic").expect("completed");
    assert_eq!(scene.runs.count(), 1);
    assert_eq!(scene.wire.passed("nap").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_native_task_is_asked_about_as_its_server_likes_it() {
    let scene = Scene::new().await;
    let began = Instant::now();
    let call = scene.tasks.call::<NapTool>(nap(3_600_000));
    call.await.expect("completed");
    assert!(began.elapsed() < Duration::from_secs(3600 + 40));
    let asked = scene.wire.passed("tasks/get").len();
    assert!((95..=125).contains(&asked), "{asked}");
}

/// A server that knows nothing of this library. It asks before it begins, and
/// its memory is slow.
#[derive(Clone, Default)]
struct Foreign {
    tasks: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
    /// How often it was asked since it was answered.
    asked: Arc<AtomicUsize>,
}

fn task(id: &str, status: TaskStatus) -> Task {
    let now = "2026-11-21T00:00:00Z";
    Task::new(id, status, now, now).with_poll_interval_ms(2_000)
}

fn who() -> InputRequests {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: "Who is it?".into(),
        requested_schema: serde_json::from_value(schema).expect("one that MCP allows"),
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(params));
    [("who".to_owned(), question)].into()
}

impl ServerHandler for Foreign {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &'static str| Tool::new(name, "", Map::new());
        let tools = ["greet", "work", "doubt", "fail"].map(tool).to_vec();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let declared = context.client_capabilities().expect("declared");
        assert!(declared.supports_tasks() && declared.elicitation.is_some());
        let text = |text: String| vec![ContentBlock::text(text)];
        Ok(match (&*request.name, &request.input_responses) {
            ("work", _) => {
                self.tasks.fetch_add(1, Ordering::SeqCst);
                CreateTaskResult::new(task("sure", TaskStatus::Working)).into()
            }
            ("doubt", _) => CreateTaskResult::new(task("unsure", TaskStatus::InputRequired)).into(),
            ("fail", _) => CallToolResult::error(text("no luck".into())).into(),
            (_, None) => InputRequiredResult::new(Some(who()), Some("state".into())).into(),
            (_, Some(answers)) => {
                assert_eq!(request.request_state.as_deref(), Some("state"));
                let name = answers["who"]["content"]["name"].as_str();
                let greeting = format!("Hello, {}!", name.unwrap_or("stranger"));
                CallToolResult::success(text(greeting)).into()
            }
        })
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let id = &request.task_id;
        if id == "unsure" && self.asked.fetch_add(1, Ordering::SeqCst) < 3 {
            let payload = TaskPayload::InputRequired {
                input_requests: who(),
            };
            let task = task(id, TaskStatus::InputRequired);
            return Ok(GetTaskResult::new(DetailedTask::new(task, payload)));
        }
        let result = CallToolResult::structured(json!({ "result": 1 }));
        let Ok(Value::Object(result)) = serde_json::to_value(result) else {
            unreachable!("an object");
        };
        let payload = TaskPayload::Completed { result };
        let task = DetailedTask::new(task(id, TaskStatus::Completed), payload);
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        _: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.asked.store(0, Ordering::SeqCst);
        Ok(())
    }

    async fn cancel_task(
        &self,
        _: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn another_servers_tasks_and_answers_are_understood() {
    let tasks = Wire::default().modern(Foreign::default());
    let result = tasks.call_named("work", json!({})).await;
    assert_eq!(result.expect("completed"), json!({ "result": 1 }));

    let greet = || tasks.call_named("greet", json!({}));
    let greeting = greet().on_input(|question| async move {
        assert_eq!(question.message, "Who is it?");
        Answer::accept(json!({ "name": "Ada" }))
    });
    assert_eq!(greeting.await.expect("answered"), "Hello, Ada!");
    let error = greet().await.unwrap_err();
    assert!(matches!(error, CallError::NeedsInput { task_id: None, .. }));

    let error = tasks.call_named("fail", json!({})).await.unwrap_err();
    let CallError::Failed { failure, task_id } = error else {
        panic!("{error}");
    };
    assert_eq!((failure.message.as_str(), task_id), ("no luck", None));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_still_shown_is_not_answered_again() {
    let server = Foreign::default();
    let tasks = Wire::default().modern(server.clone());
    let call = tasks.call_named("doubt", json!({}));
    let call = call.with_time_limit(Duration::from_secs(60));
    let answered = call.on_input(|_| async { Answer::Decline });
    answered.await.expect("completed");
    assert_eq!(server.answers.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_knows_no_keys_is_not_made_twice() {
    let server = Foreign::default();
    let wire = Wire::default();
    let tasks = wire.modern(server.clone());
    wire.lose_answer("work");
    let error = tasks.call_named("work", json!({})).await.unwrap_err();
    assert!(matches!(
        error,
        CallError::Disconnected { task_id: None, .. }
    ));
    assert_eq!(server.tasks.load(Ordering::SeqCst), 1);
    // What does no harm is.
    wire.lose_answer("tasks/get");
    tasks
        .call_named("work", json!({}))
        .await
        .expect("completed");
}
