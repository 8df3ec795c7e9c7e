//! Options and documentation, as the runtime sees them.

use std::time::Duration;

use async_tool::{
    Annotations, AsyncTool, Borrow, Circuit, ConcurrencyKey, Dedupe, Descriptor, OnInterrupt,
    Progress, Retry, Surface, Surfaces, TaskContext, Undeclared, async_tool,
};

struct Workspace;

/// Says less than the option.
#[async_tool(
    name = "Build-it.2",
    title = "Build it",
    description = "Builds it.",
    timeout = "1h30m",
    max_wait = "1day",
    retention = "7days",
    concurrency = 2,
    queue = 0,
    inline = "1500ms",
    cancel_grace = "0s",
    on_interrupt = "retry",
    retry(attempts = 5, backoff = "500ms", max_backoff = "2m"),
    dedupe = "arguments",
    concurrency_key(group = "target", args(host, project), limit = 2),
    circuit(failure_rate = 0.25, window = "1m", cool_down = "30s", minimum = 20),
    interactive,
    surface(family, native),
    undeclared = "reject",
    names(
        initiate = "start_build",
        cancel = "stop_build",
        respond = "answer_build"
    ),
    annotations(read_only = false, destructive, open_world = false)
)]
async fn every_option(project: String, #[serde(rename = "machine")] host: String) {
    let _ = (project, host);
}

/// Leaves out of each option what has a default.
#[async_tool(
    on_interrupt = "fail",
    retry(attempts = 2),
    concurrency_key(args(r#type)),
    circuit(failure_rate = 1, window = "90s", cool_down = "500ms")
)]
async fn the_least_of_options(r#type: String) {
    let _ = r#type;
}

/// The longest pause before the second start that needs no `max_backoff`.
#[async_tool(retry(attempts = 2, backoff = "60s"))]
async fn backoff_at_its_bound() {}

/// The shortest `max_backoff` that needs no `backoff`.
#[async_tool(retry(attempts = 100, max_backoff = "1s"))]
async fn max_backoff_at_its_bound() {}

/// Nap for a while.
#[allow(clippy::unused_async)]
/// Really:
///
/// - lie down
///   - on something soft
#[async_tool]
async fn no_option(
    task: &TaskContext,
    progress: &Progress,
    workspace: &Workspace,
    _: &std::sync::Mutex<u8>,
) {
    let _ = (task, progress, workspace);
}

const LINE_OF_PLACED: u32 = line!() + 3;

#[async_tool]
async fn placed() {}

#[test]
fn every_option_arrives() {
    let descriptor: &Descriptor = EveryOptionTool.descriptor();
    assert_eq!(descriptor.name, "Build-it.2");
    assert_eq!(descriptor.title, Some("Build it"));
    assert_eq!(descriptor.description, "Builds it.");
    assert_eq!(descriptor.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(descriptor.max_wait, Some(Duration::from_secs(86_400)));
    assert_eq!(descriptor.retention, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(descriptor.concurrency, Some(2));
    assert_eq!(descriptor.queue, Some(0));
    assert_eq!(descriptor.inline, Some(Duration::from_millis(1500)));
    assert_eq!(descriptor.cancel_grace, Duration::ZERO);
    assert_eq!(descriptor.on_interrupt, OnInterrupt::Retry);
    let retry = Retry::new(5)
        .backoff(Duration::from_millis(500))
        .max_backoff(Duration::from_secs(120));
    assert_eq!(descriptor.retry, Some(retry));
    assert_eq!(descriptor.max_attempts(), 5);
    assert_eq!(descriptor.dedupe, Some(Dedupe::Arguments));
    let key = ConcurrencyKey::new("target", &["machine", "project"]).limit(2);
    assert_eq!(descriptor.concurrency_key, Some(key));
    let (minute, half) = (Duration::from_secs(60), Duration::from_secs(30));
    let circuit = Circuit::new(0.25, minute, half).minimum(20);
    assert_eq!(descriptor.circuit, Some(circuit));
    assert!(descriptor.interactive);
    let surfaces = Surfaces::from([Surface::Family, Surface::Native]);
    assert_eq!(descriptor.surfaces, Some(surfaces));
    assert_eq!(descriptor.undeclared, Undeclared::Reject);
    assert_eq!(descriptor.respond_name(), "answer_build");
    assert_eq!(descriptor.initiate_name(), "start_build");
    assert_eq!(descriptor.status_name(), "Build-it.2_status");
    assert_eq!(descriptor.cancel_name(), "stop_build");
    let expected = Annotations::new()
        .read_only(false)
        .destructive(true)
        .open_world(false);
    assert_eq!(descriptor.annotations, expected);
}

#[test]
fn what_options_leave_out_is_the_default() {
    let descriptor = TheLeastOfOptionsTool.descriptor();
    assert_eq!(descriptor.on_interrupt, OnInterrupt::Fail);
    assert_eq!(descriptor.retry, Some(Retry::new(2)));
    let key = ConcurrencyKey::new("the_least_of_options", &["type"]);
    assert_eq!(descriptor.concurrency_key, Some(key));
    let (window, cool_down) = (Duration::from_secs(90), Duration::from_millis(500));
    let circuit = Circuit::new(1.0, window, cool_down);
    assert_eq!(descriptor.circuit, Some(circuit));

    let descriptor = NoOptionTool.descriptor();
    assert_eq!(descriptor.on_interrupt, OnInterrupt::Fail);
    assert_eq!(descriptor.retry, None);
    assert_eq!(descriptor.dedupe, None);
    assert_eq!(descriptor.concurrency_key, None);
    assert_eq!(descriptor.circuit, None);
    assert!(!descriptor.interactive);
    assert_eq!(descriptor.surfaces, None);
    assert_eq!(descriptor.undeclared, Undeclared::Wait);
    assert_eq!(descriptor.respond_name(), "no_option_respond");
}

/// The macro compares pauses with the runtime's defaults, which it cannot name.
/// What is a little beyond does not compile, see `tests/ui`.
#[test]
fn the_macro_knows_the_default_pauses() {
    let retry = BackoffAtItsBoundTool.descriptor().retry;
    assert_eq!(retry.map(|it| it.backoff), Some(Retry::DEFAULT_MAX_BACKOFF));
    let retry = MaxBackoffAtItsBoundTool.descriptor().retry;
    assert_eq!(retry.map(|it| it.max_backoff), Some(Retry::DEFAULT_BACKOFF));
}

#[test]
fn the_documentation_is_the_description() {
    let descriptor = NoOptionTool.descriptor();
    assert_eq!(descriptor.name, "no_option");
    assert_eq!(
        descriptor.description,
        "Nap for a while.\nReally:\n\n- lie down\n  - on something soft"
    );
    assert_eq!(descriptor.timeout, None);
    assert_eq!(descriptor.cancel_grace, Descriptor::DEFAULT_CANCEL_GRACE);
    assert_eq!(descriptor.annotations, Annotations::new());
}

#[test]
fn what_is_borrowed_is_known_by_its_type() {
    let expected = [
        Borrow::of::<TaskContext>(),
        Borrow::of::<Progress>(),
        Borrow::of::<Workspace>(),
        Borrow::of::<std::sync::Mutex<u8>>(),
    ];
    assert_eq!(NoOptionTool.borrows(), expected);
    assert_eq!(EveryOptionTool.borrows(), []);
}

#[test]
fn the_source_is_the_function() {
    let source = PlacedTool.descriptor().source;
    assert!(source.file().ends_with("descriptor.rs"));
    assert_eq!(source.line(), LINE_OF_PLACED);
}
