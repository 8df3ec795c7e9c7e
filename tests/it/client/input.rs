//! Questions of tasks, answered by callback, by hand, or not at all.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::client::{Answer, CallError, Question, Status, TaskClient};
use async_tool::testing::TestServer;
use async_tool::{AsyncTool, AsyncTools, BoxError, Call, Descriptor, Registry, Surface};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wire::Wire;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct LunchInput {
    courses: u8,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Choice {
    #[schemars(length(min = 3))]
    dish: String,
}

/// Asks for every course.
#[derive(Default)]
struct LunchTool;

impl AsyncTool for LunchTool {
    type Input = LunchInput;
    type Output = Vec<String>;

    fn descriptor(&self) -> &'static Descriptor {
        static LUNCH: Descriptor = Descriptor::new("lunch").interactive();
        &LUNCH
    }

    async fn run(&self, input: LunchInput, call: Call<'_>) -> Result<Vec<String>, BoxError> {
        let mut dishes = Vec::new();
        for course in 1..=input.courses {
            let question = format!("Which dish is course {course}?");
            let choice: Choice = call.context().ask(question).await?;
            dishes.push(choice.dish);
        }
        Ok(dishes)
    }
}

struct Scene {
    _server: TestServer,
    wire: Wire,
    tasks: TaskClient,
}

/// Through a family, tools that all share, and the protocol's own tasks.
async fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for surface in [Surface::Family, Surface::Shared, Surface::Native] {
        let builder = AsyncTools::builder()
            .registry(Registry::new().with(LunchTool))
            .surface(surface);
        let server = TestServer::start(builder).await;
        let wire = Wire::default();
        let tasks = wire.modern(server.tools().clone());
        scenes.push(Scene {
            _server: server,
            wire,
            tasks,
        });
    }
    scenes
}

fn lunch(courses: u8) -> LunchInput {
    LunchInput { courses }
}

fn dish(name: impl Into<String>) -> Answer {
    Answer::accept(json!({ "dish": name.into() }))
}

#[tokio::test(start_paused = true)]
async fn a_callback_answers_each_question_once() {
    for scene in scenes().await {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let call = scene.tasks.call::<LunchTool>(lunch(3));
        let dishes = call.on_input(move |question: Question| {
            let count = Arc::clone(&count);
            async move {
                assert_eq!(question.schema["required"], json!(["dish"]));
                // People take their time.
                tokio::time::sleep(Duration::from_secs(90)).await;
                count.fetch_add(1, Ordering::SeqCst);
                dish(question.message.replace("Which dish is ", "the "))
            }
        });
        for name in ["lunch_respond", "task_respond", "tasks/update"] {
            scene.wire.lose_answer(name);
        }
        let dishes = dishes.await.expect("completed");
        assert_eq!(dishes, ["the course 1?", "the course 2?", "the course 3?"]);
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_callback_the_error_has_the_question_and_the_task_waits() {
    for scene in scenes().await {
        let call = scene.tasks.call::<LunchTool>(lunch(1));
        let error = call.await.unwrap_err();
        let id = error.task_id().expect("a task").to_owned();
        let CallError::NeedsInput { question, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(question.message, "Which dish is course 1?");

        let mut task = scene.tasks.resume::<LunchTool>(id);
        let seen = task.next().await.expect("goes on").expect("answers");
        assert_eq!(seen.status, Status::InputRequired);
        assert_eq!(seen.questions, [*question.clone()]);
        let wrong = task.answer(&question.key, dish("x")).await.unwrap_err();
        assert!(matches!(wrong, CallError::Refused { .. }), "{wrong}");
        task.answer(&question.key, dish("soup"))
            .await
            .expect("fits");
        task.answer(&question.key, dish("soup"))
            .await
            .expect("so it is");
        assert_eq!(task.await.expect("completed"), ["soup"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_task_is_answered_too_and_may_hear_no() {
    for scene in scenes().await {
        let call = scene.tasks.call::<LunchTool>(lunch(1));
        let started = call.start().await.expect("accepted");
        let id = started.task_id().expect("a task");
        let task = scene.tasks.resume::<LunchTool>(id);
        let declined = task.on_input(|_| async { Answer::Decline });
        let error = declined.await.unwrap_err();
        assert!(matches!(error, CallError::Failed { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_an_error_and_another_may_follow() {
    for scene in scenes().await {
        let call = scene.tasks.call::<LunchTool>(lunch(1));
        let tries = AtomicUsize::new(0);
        let call = call.on_input(move |_| {
            let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            async move { dish(if first { "x" } else { "soup" }) }
        });
        let mut task = call.start().await.expect("accepted");
        let error = task.result().await.unwrap_err();
        assert!(matches!(error, CallError::Refused { .. }), "{error}");
        assert_eq!(task.result().await.expect("completed"), ["soup"]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_hears_of_the_end() {
    for scene in scenes().await {
        let call = scene.tasks.call::<LunchTool>(lunch(1));
        let call = call.with_max_wait(Duration::from_secs(600));
        let error = call.on_input(|_| pending()).await.unwrap_err();
        let CallError::Failed { failure, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(failure.code, "timed_out");
    }
}
