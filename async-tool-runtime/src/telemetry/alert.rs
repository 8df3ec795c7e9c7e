//! Saying so when a tool fails too often.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Label};
use tokio::time::Instant;

use super::names::{self, Names};
use super::window::Window;

type OnAlert = dyn Fn(AlertEvent) + Send + Sync;

/// When a server says that one of its tools fails too often; see
/// [`AsyncToolsBuilder::alert`](crate::AsyncToolsBuilder::alert).
///
/// Counted are the tasks of a tool that this worker saw end: failed ones against
/// all that completed or failed. Cancelled ones are neither. An alert is raised
/// when the share rises above the limit and at least the minimum of tasks ended
/// within the window; and not again before the share has fallen to half of the
/// limit, or the window is empty, so that a share that sways around the limit
/// gives one alert.
///
/// An alert is an error in the log, the metric `alerts_total`, and a call of
/// [`on_alert`](Self::on_alert).
///
/// ```
/// use std::time::Duration;
/// use async_tool_runtime::{Alert, AsyncTools};
///
/// let (alerts, _pager) = tokio::sync::mpsc::unbounded_channel();
/// let alert = Alert::new()
///     .failure_rate(0.2)
///     .window(Duration::from_secs(15 * 60))
///     .minimum(50)
///     .on_alert(move |event| {
///         let _ = alerts.send(format!("{} fails", event.tool));
///     });
/// let builder = AsyncTools::builder().alert(alert);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Alert {
    failure_rate: f64,
    window: Duration,
    minimum: u64,
    on_alert: Option<Arc<OnAlert>>,
}

/// A tool fails too often.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlertEvent {
    /// The tool's name.
    pub tool: Arc<str>,
    /// The share of failed tasks, 0 to 1.
    pub failure_rate: f64,
    /// How many tasks completed or failed within the window.
    pub tasks: u64,
    /// The limit that the share is above.
    pub limit: f64,
    /// The window.
    pub window: Duration,
}

impl Default for Alert {
    fn default() -> Self {
        Self {
            failure_rate: 0.05,
            window: Duration::from_secs(5 * 60),
            minimum: 20,
            on_alert: None,
        }
    }
}

impl Alert {
    /// An alert above 5 % of failures in 5 minutes and at least 20 tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets above which share of failures there is an alert, 0 to 1. With 1 there
    /// never is.
    pub fn failure_rate(mut self, share: f64) -> Self {
        self.failure_rate = share;
        self
    }

    /// Sets how long the end of a task counts, from 1 second on. It leaves the
    /// window up to a twentieth of that earlier.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many tasks must have ended within the window, so that the first
    /// failure of a quiet hour is no alert.
    pub fn minimum(mut self, tasks: u64) -> Self {
        self.minimum = tasks;
        self
    }

    /// Calls this with each alert. It must not block: let it send to a channel or
    /// spawn a task. If it panics, that is logged.
    pub fn on_alert(mut self, call: impl Fn(AlertEvent) + Send + Sync + 'static) -> Self {
        self.on_alert = Some(Arc::new(call));
        self
    }

    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.failure_rate) {
            problems.push(format!(
                "the failure rate of `.alert(...)` is a share from 0 to 1, not {}; \
                 5 % are 0.05",
                self.failure_rate
            ));
        }
        if self.window < Duration::from_secs(1) {
            problems.push(format!(
                "the window of `.alert(...)` is at least 1 second, not {:?}",
                self.window
            ));
        }
        problems
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alert")
            .field("failure_rate", &self.failure_rate)
            .field("window", &self.window)
            .field("minimum", &self.minimum)
            .finish_non_exhaustive()
    }
}

/// Watches the tools of a server.
pub(super) struct Watch {
    alert: Alert,
    tools: BTreeMap<Arc<str>, Watched>,
}

struct Watched {
    state: Mutex<State>,
    alerts: Counter,
    active: Gauge,
}

struct State {
    window: Window,
    /// There was an alert, and it is not over.
    active: bool,
}

impl Watch {
    pub(super) fn new(alert: Alert, names: &Names, tools: &[Arc<str>], now: Instant) -> Self {
        let watched = |tool: &Arc<str>| {
            let labels = || vec![Label::new("tool", Arc::clone(tool))];
            Watched {
                state: Mutex::new(State {
                    window: Window::new(alert.window, now),
                    active: false,
                }),
                alerts: names.counter(&names::ALERTS, labels()),
                active: names.gauge(&names::ALERT_ACTIVE, labels()),
            }
        };
        let watched = |tool| (Arc::clone(tool), watched(tool));
        let tools = tools.iter().map(watched).collect();
        Self { tools, alert }
    }

    /// A task of a tool ended.
    pub(super) fn ended(&self, tool: &str, success: bool, at: Instant) {
        if let Some((tool, watched)) = self.tools.get_key_value(tool) {
            watched.state().window.record(success, at);
            self.look_at(tool, watched, at);
        }
    }

    /// What happened leaves the window by itself, which may begin or end an
    /// alert.
    pub(super) fn look(&self, at: Instant) {
        for (tool, watched) in &self.tools {
            self.look_at(tool, watched, at);
        }
    }

    /// The application's function is called without a lock.
    fn look_at(&self, tool: &Arc<str>, watched: &Watched, at: Instant) {
        match watched.turn(&self.alert, at) {
            None => {}
            Some(Turn::Over) => {
                tracing::info!(%tool, "a tool that failed too often does so no longer");
            }
            Some(Turn::Raised { rate, tasks }) => self.raise(AlertEvent {
                tool: Arc::clone(tool),
                failure_rate: rate,
                tasks,
                limit: self.alert.failure_rate,
                window: self.alert.window,
            }),
        }
    }

    fn raise(&self, event: AlertEvent) {
        tracing::error!(
            tool = %event.tool,
            failure_rate = event.failure_rate,
            tasks = event.tasks,
            limit = event.limit,
            window = ?event.window,
            "a tool fails too often"
        );
        if let Some(call) = &self.alert.on_alert
            && catch_unwind(AssertUnwindSafe(|| call(event))).is_err()
        {
            tracing::error!("the application's function for alerts panicked");
        }
    }
}

/// What became of an alert.
enum Turn {
    Raised { rate: f64, tasks: u64 },
    Over,
}

impl Watched {
    fn turn(&self, alert: &Alert, at: Instant) -> Option<Turn> {
        let mut state = self.state();
        let (rate, tasks) = state.window.rate(at).unwrap_or_default();
        if !state.active && rate > alert.failure_rate && tasks >= alert.minimum {
            state.active = true;
            self.active.set(1.0);
            self.alerts.increment(1);
            return Some(Turn::Raised { rate, tasks });
        }
        if state.active && rate <= alert.failure_rate / 2.0 {
            state.active = false;
            self.active.set(0.0);
            return Some(Turn::Over);
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log::Log;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Events of the tool `sleep`, and the alerts that they gave.
    struct Bench {
        watch: Watch,
        alerts: Arc<Mutex<Vec<AlertEvent>>>,
        now: Instant,
    }

    impl Bench {
        fn new(alert: Alert) -> Self {
            let alerts: Arc<Mutex<Vec<AlertEvent>>> = Arc::default();
            let heard = Arc::clone(&alerts);
            let alert = alert.on_alert(move |event| heard.lock().expect("no panic").push(event));
            let now = Instant::now();
            let watch = Watch::new(alert, &Names::new("t"), &["sleep".into()], now);
            Self { watch, alerts, now }
        }

        fn happen(&self, successes: usize, failures: usize) {
            for number in 0..successes + failures {
                self.watch.ended("sleep", number < successes, self.now);
            }
        }

        fn alerts(&self) -> usize {
            self.alerts.lock().expect("no panic").len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_is_raised_once_for_each_crossing() {
        let bench = Bench::new(Alert::new());
        bench.happen(19, 1);
        assert_eq!(bench.alerts(), 0, "5 % are not above 5 %");
        bench.happen(0, 1);
        let event = bench.alerts.lock().expect("no panic")[0].clone();
        assert_eq!((&*event.tool, event.tasks), ("sleep", 21));
        assert!((event.failure_rate - 2.0 / 21.0).abs() < 1e-9);
        bench.happen(0, 30);
        assert_eq!(bench.alerts(), 1, "it is above already");

        // Below the limit is not enough, half of it is.
        bench.happen(1000, 0);
        bench.happen(0, 30);
        assert_eq!(bench.alerts(), 1, "it swayed");
        bench.happen(2000, 0);
        bench.happen(0, 200);
        assert_eq!(bench.alerts(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_is_over_when_its_failures_are_old() {
        let mut bench = Bench::new(Alert::new());
        bench.happen(0, 20);
        assert_eq!(bench.alerts(), 1);
        bench.now += 6 * MINUTE;
        bench.watch.look(bench.now);
        bench.happen(0, 20);
        assert_eq!(bench.alerts(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn successes_that_grow_old_can_raise_it() {
        let mut bench = Bench::new(Alert::new().minimum(2).failure_rate(0.5));
        bench.happen(4, 0);
        bench.now += 4 * MINUTE;
        bench.happen(0, 3);
        assert_eq!(bench.alerts(), 0);
        bench.now += 2 * MINUTE;
        bench.watch.look(bench.now);
        assert_eq!(bench.alerts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn too_few_tasks_say_nothing() {
        let bench = Bench::new(Alert::new().minimum(5));
        bench.happen(0, 4);
        assert_eq!(bench.alerts(), 0);
        bench.happen(0, 1);
        assert_eq!(bench.alerts(), 1);
        bench.watch.ended("unknown", false, bench.now);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_is_logged_and_a_panic_of_its_function_as_well() {
        let (log, _guard) = Log::capture();
        let mut bench = Bench::new(Alert::new());
        bench.watch.alert = Alert::new().on_alert(|_| panic!("no pager"));
        bench.happen(0, 20);
        let text = log.text();
        assert!(text.contains("a tool fails too often"), "{text}");
        assert!(text.contains("function for alerts panicked"), "{text}");
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (alert, word) in [
            (Alert::new().failure_rate(5.0), "0.05"),
            (Alert::new().failure_rate(f64::NAN), "NaN"),
            (Alert::new().window(Duration::ZERO), "1 second"),
        ] {
            let problems = alert.problems();
            assert!(problems[0].contains(word), "{problems:?}");
        }
        assert_eq!(Alert::new().problems(), Vec::<String>::new());
    }
}
