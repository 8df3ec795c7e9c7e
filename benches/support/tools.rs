//! Tools of this crate, written by hand.

use std::sync::OnceLock;
use std::time::Duration;

use async_tool::store::OpenStore;
use async_tool::{AsyncTool, AsyncTools, AsyncToolsBuilder, Call, Descriptor, Registry, Surface};
use async_tool::{MemoryStore, TaskContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::BoxError;

/// Two small arguments, as tools have them.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Echo {
    /// The text to return.
    pub(crate) text: String,
    /// How often to repeat it.
    #[serde(default = "once")]
    pub(crate) times: u32,
}

fn once() -> u32 {
    1
}

/// Ends at once, with its argument.
pub(crate) struct EchoTool;

impl AsyncTool for EchoTool {
    type Input = Echo;
    type Output = String;

    fn descriptor(&self) -> &'static Descriptor {
        static ECHO: Descriptor = Descriptor::new("echo").description("Return a text.");
        &ECHO
    }

    async fn run(&self, input: Echo, _: Call<'_>) -> Result<String, BoxError> {
        Ok(input.text.repeat(usize::try_from(input.times)?))
    }
}

/// Arguments of `echo_initiate`.
pub(crate) fn echo(text: &str) -> Map<String, Value> {
    object(json!({ "text": text, "times": 1 }))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Nap {
    /// How long.
    pub(crate) seconds: f64,
}

/// Sleeps and reports progress, ten times a second.
pub(crate) struct NapTool;

impl AsyncTool for NapTool {
    type Input = Nap;
    type Output = f64;

    fn descriptor(&self) -> &'static Descriptor {
        static NAP: Descriptor = Descriptor::new("nap").description("Sleep.");
        &NAP
    }

    async fn run(&self, input: Nap, call: Call<'_>) -> Result<f64, BoxError> {
        const TICK: Duration = Duration::from_millis(100);
        let context: &TaskContext = call.context();
        let whole = Duration::try_from_secs_f64(input.seconds)?;
        let started = tokio::time::Instant::now();
        while let Some(left) = whole.checked_sub(started.elapsed()) {
            tokio::time::sleep(TICK.min(left)).await;
            context.check_cancelled()?;
            let slept = started.elapsed().as_secs_f64();
            context.progress().fraction(slept / input.seconds);
            context.progress().message(format!("slept {slept:.1} s"));
        }
        Ok(input.seconds)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// Ends when a permit of the [`Semaphore`] given as state is there.
pub(crate) struct GateTool;

impl AsyncTool for GateTool {
    type Input = Nothing;
    type Output = ();

    fn descriptor(&self) -> &'static Descriptor {
        static GATE: Descriptor = Descriptor::new("gate").description("Wait for a permit.");
        &GATE
    }

    async fn run(&self, _: Nothing, call: Call<'_>) -> Result<(), BoxError> {
        call.borrow::<std::sync::Arc<Semaphore>>()
            .acquire()
            .await?
            .forget();
        Ok(())
    }
}

/// A server of `echo` alone, in memory, with room for a long measurement.
pub(crate) async fn echo_server() -> Result<AsyncTools, BoxError> {
    echo_server_on(roomy_memory()).await
}

/// [`echo_server`] on a store that somebody else looks into.
pub(crate) async fn echo_server_on(store: impl OpenStore) -> Result<AsyncTools, BoxError> {
    Ok(echo_builder(store).build().await?)
}

/// What [`echo_server_on`] builds.
pub(crate) fn echo_builder(store: impl OpenStore) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(Registry::new().with(EchoTool))
        .store(store)
        .queue(ROOM)
}

/// A server of so many tools like `echo`.
pub(crate) async fn many(count: usize, surface: Surface) -> Result<AsyncTools, BoxError> {
    struct Numbered<const N: usize>;

    impl<const N: usize> AsyncTool for Numbered<N> {
        type Input = Echo;
        type Output = String;

        fn descriptor(&self) -> &'static Descriptor {
            static NAMES: OnceLock<Vec<Descriptor>> = OnceLock::new();
            &NAMES.get_or_init(|| (0..50).map(numbered).collect())[N]
        }

        async fn run(&self, input: Echo, call: Call<'_>) -> Result<String, BoxError> {
            EchoTool.run(input, call).await
        }
    }

    fn numbered(number: usize) -> Descriptor {
        Descriptor::new(format!("echo{number:02}").leak()).description("Return a text.")
    }

    macro_rules! registry {
        ($($number:literal)*) => {{
            let mut registry = Registry::new();
            $(if $number < count { registry = registry.with(Numbered::<$number>); })*
            registry
        }};
    }
    let registry = registry! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49
    };
    let builder = AsyncTools::builder().registry(registry).surface(surface);
    Ok(builder.build().await?)
}

/// A store in memory with room for a long measurement.
pub(crate) fn roomy_memory() -> MemoryStore {
    MemoryStore::new().max_records(ROOM)
}

/// More tasks than any measurement makes.
const ROOM: usize = 10_000_000;

/// The object that `json!({..})` wrote.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}
