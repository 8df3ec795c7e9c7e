//! The tools that ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::{
    AsyncTool, AsyncTools, AsyncToolsBuilder, BoxError, Call, ConcurrencyKey, Descriptor,
    OnInterrupt, Registry,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often the tool was started, and its second half was run.
pub(crate) type Counts = Arc<[AtomicUsize; 2]>;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Switch {
    /// What to switch.
    environment: String,
    /// How long to wait for an answer, in seconds.
    #[serde(default)]
    patience: Option<u64>,
    /// Ask two questions at once.
    #[serde(default)]
    twice: bool,
    /// Take so many steps before the question.
    #[serde(default)]
    steps: usize,
}

/// Whether to go on.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Approval {
    /// Go on?
    approved: bool,
    comment: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Switched {
    approved: bool,
    comment: String,
}

/// Asks before it does anything.
pub(crate) struct SwitchTool;

impl AsyncTool for SwitchTool {
    type Input = Switch;
    type Output = Switched;

    fn descriptor(&self) -> &'static Descriptor {
        static SWITCH: Descriptor = Descriptor::new("switch")
            .description("Switch an environment.")
            .timeout(Duration::from_secs(60))
            .on_interrupt(OnInterrupt::Retry)
            .interactive();
        &SWITCH
    }

    async fn run(&self, input: Switch, call: Call<'_>) -> Result<Switched, BoxError> {
        let task = call.context();
        let counts = call.borrow::<Counts>();
        counts[0].fetch_add(1, Ordering::SeqCst);
        if input.steps > 0 {
            let names: Vec<String> = (0..=input.steps).map(|step| step.to_string()).collect();
            let steps = task.progress().steps(&names);
            for _ in 0..input.steps {
                steps.next();
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            steps.next();
        }
        let question = format!("Switch {}?", input.environment);
        let answer: Approval = match input.patience {
            Some(seconds) => {
                let asked = task.ask::<Approval>(&question);
                match tokio::time::timeout(Duration::from_secs(seconds), asked).await {
                    Ok(answer) => answer?,
                    Err(_) => Approval {
                        approved: false,
                        comment: Some("nobody answered".to_owned()),
                    },
                }
            }
            None if input.twice => {
                let (first, second) =
                    tokio::join!(task.ask::<Approval>("One?"), task.ask::<Approval>("Two?"));
                let (first, second) = (first?, second?);
                Approval {
                    approved: first.approved && second.approved,
                    comment: first.comment.or(second.comment),
                }
            }
            None => task.ask(question).await?,
        };
        counts[1].fetch_add(1, Ordering::SeqCst);
        // Below the timeout, unless the wait for the answer counts as well.
        tokio::time::sleep(Duration::from_secs(30)).await;
        Ok(Switched {
            approved: answer.approved,
            comment: answer.comment.unwrap_or_default(),
        })
    }
}

/// One at a time for each environment.
struct KeyedTool;

impl AsyncTool for KeyedTool {
    type Input = Switch;
    type Output = bool;

    fn descriptor(&self) -> &'static Descriptor {
        static KEYED: Descriptor = Descriptor::new("keyed")
            .concurrency_key(ConcurrencyKey::new("keyed", &["environment"]))
            .on_interrupt(OnInterrupt::Retry)
            .interactive();
        &KEYED
    }

    async fn run(&self, _: Switch, call: Call<'_>) -> Result<bool, BoxError> {
        let answer: Approval = call.context().ask("Sure?").await?;
        Ok(answer.approved)
    }
}

/// Asks without saying so in its descriptor.
struct SilentTool;

impl AsyncTool for SilentTool {
    type Input = Switch;
    type Output = ();

    fn descriptor(&self) -> &'static Descriptor {
        static SILENT: Descriptor = Descriptor::new("silent");
        &SILENT
    }

    async fn run(&self, _: Switch, call: Call<'_>) -> Result<(), BoxError> {
        let asked = call.context().ask::<Approval>("Sure?").await;
        Ok(asked.map(drop)?)
    }
}

pub(crate) fn counts() -> Counts {
    Arc::default()
}

pub(crate) fn switches(counts: &Counts) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(
            Registry::new()
                .with(SwitchTool)
                .with(SilentTool)
                .with(KeyedTool),
        )
        .state(Arc::clone(counts))
}
