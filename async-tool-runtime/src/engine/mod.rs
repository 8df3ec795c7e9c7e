//! What executes tasks, and what answers about them. Knows no MCP.

mod admission;
mod answer;
mod attempt;
mod beat;
mod circuit;
mod clock;
mod dispatch;
mod follow;
mod health;
mod history;
mod initiate;
mod inquiry;
mod journal;
#[cfg(feature = "webhook")]
mod notices;
#[cfg(feature = "dashboard")]
mod operate;
mod query;
mod quota;
mod recent;
mod settle;
mod stop;
mod stranded;
mod supervise;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod timeout;
mod view;
mod watch;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub(crate) use clock::Clock;
pub(crate) use follow::Following;
pub use health::{
    CircuitHealth, CircuitState, Health, LeaseHealth, LeaseState, QueueHealth, StoreHealth,
    ToolQueueHealth,
};
pub(crate) use initiate::{Initiate, Initiated};
#[cfg(feature = "dashboard")]
pub(crate) use operate::Inspected;
pub(crate) use query::{Asker, Reporter, Until, Wait};
pub(crate) use timeout::Ends;
pub(crate) use view::View;
#[cfg(feature = "dashboard")]
pub(crate) use watch::Subscription;

use crate::catalog::Catalog;
use crate::state::StateMap;
use crate::store::{Store, StoreError, TaskRecord};
use crate::telemetry::Telemetry;
#[cfg(feature = "webhook")]
use crate::webhook::Hooks;
use circuit::Circuits;
use health::Pulse;
use inquiry::Parked;
use quota::{PerPrincipal, Rate};
use recent::Recent;
use stop::Cause;
use stranded::InUse;
use watch::Hub;
use worker::Worker;

/// Limits and times of one server; see the builder for their meanings.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) slots: usize,
    pub(crate) queue: usize,
    pub(crate) max_age: Duration,
    pub(crate) retention: Duration,
    pub(crate) wait_cap: Duration,
    pub(crate) drain: Duration,
    pub(crate) lease: Duration,
    pub(crate) max_arguments: usize,
    pub(crate) max_result: usize,
    pub(crate) max_waiters: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) single_user: bool,
    /// Who is told of tasks.
    #[cfg(feature = "webhook")]
    pub(crate) webhooks: Option<Arc<Hooks>>,
    pub(crate) per_principal: PerPrincipal,
}

impl Config {
    /// Whether callers may say where they want to be told.
    pub(crate) fn takes_callbacks(&self) -> bool {
        #[cfg(feature = "webhook")]
        return self
            .webhooks
            .as_ref()
            .is_some_and(|hooks| hooks.take_callbacks());
        #[cfg(not(feature = "webhook"))]
        false
    }

    /// Where a caller wants to be told, as it is kept; or what it must be like
    /// instead.
    pub(crate) fn callback(&self, url: &str) -> Result<Arc<str>, String> {
        #[cfg(feature = "webhook")]
        if let Some(hooks) = self
            .webhooks
            .as_ref()
            .filter(|hooks| hooks.take_callbacks())
        {
            return hooks.callback(url);
        }
        let _ = url;
        Err("must be left out: this server calls nobody back".to_owned())
    }

    /// No time is longer than what can be added to a clock.
    fn clamped(mut self) -> Self {
        for time in [
            &mut self.max_age,
            &mut self.retention,
            &mut self.wait_cap,
            &mut self.drain,
            &mut self.lease,
        ] {
            *time = (*time).min(clock::FAR);
        }
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            slots: 50,
            queue: 1000,
            max_age: DAY,
            retention: DAY,
            wait_cap: Duration::from_secs(50),
            drain: Duration::from_secs(20),
            lease: Duration::from_secs(15),
            max_arguments: 1024 * 1024,
            max_result: 4 * 1024 * 1024,
            max_waiters: 10_000,
            max_subscriptions: 10_000,
            single_user: false,
            #[cfg(feature = "webhook")]
            webhooks: None,
            per_principal: PerPrincipal::default(),
        }
    }
}

/// One running engine.
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) catalog: Catalog,
    state: Arc<StateMap>,
    store: Arc<dyn Store>,
    pub(crate) telemetry: Telemetry,
    clock: Clock,
    hub: Arc<Hub>,
    worker: Worker,
    waiters: Semaphore,
    /// Tasks that may be followed at the same time.
    followers: Arc<Semaphore>,
    circuits: Circuits,
    rate: Rate,
    recent: Recent,
    pulse: Pulse,
    in_use: InUse,
    parked: Parked,
    /// Poked when a deadline appears that the sweeper does not know of.
    sweep: Notify,
    #[cfg(feature = "webhook")]
    notices: notices::Notices,
    /// No new tasks; waiting calls answer at once.
    draining: CancellationToken,
    /// Everything ends.
    stopped: CancellationToken,
}

impl Engine {
    /// Starts an engine. It runs until [`shutdown`](Self::shutdown) or
    /// [`abandon`](Self::abandon).
    pub(crate) fn start(
        config: Config,
        catalog: Catalog,
        state: StateMap,
        store: Arc<dyn Store>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Arc<Self> {
        let config = config.clamped();
        let engine = Arc::new(Self {
            worker: Worker::new(&config, &catalog),
            circuits: Circuits::of(&catalog, &telemetry.meters),
            rate: Rate::of(&config.per_principal),
            recent: Recent::default(),
            pulse: Pulse::default(),
            in_use: InUse::default(),
            parked: Parked::default(),
            waiters: Semaphore::new(config.max_waiters.min(Semaphore::MAX_PERMITS)),
            followers: Arc::new(Semaphore::new(
                config.max_subscriptions.min(Semaphore::MAX_PERMITS),
            )),
            config,
            catalog,
            state: Arc::new(state),
            store: telemetry.measured(store),
            telemetry,
            clock,
            hub: Arc::default(),
            sweep: Notify::new(),
            #[cfg(feature = "webhook")]
            notices: notices::Notices::default(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        // Subscribed before anything can happen, so that nothing is missed.
        let changes = engine.store.changes();
        engine.spawn(|engine| async move { engine.follow(changes).await });
        engine.spawn(Self::sweep_forever);
        #[cfg(feature = "webhook")]
        if let Some(hooks) = engine.config.webhooks.clone() {
            engine.spawn(|engine| engine.tell_forever(hooks));
        }
        if engine.config.slots > 0 {
            engine.spawn(Self::dispatch_forever);
            engine.start_beat();
        }
        engine
    }

    /// Runs a loop until the engine stops.
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        run: impl FnOnce(Arc<Self>) -> F,
    ) {
        let stopped = self.stopped.clone();
        let forever = run(Arc::clone(self));
        tokio::spawn(async move {
            stopped.run_until_cancelled_owned(forever).await;
        });
    }

    /// Runs a store call to its end even if whoever asked goes away: an MCP
    /// request may be dropped at any moment.
    ///
    /// Polling once before spawning would save a tokio task where the store
    /// never waits; on an idle machine the answer comes later for it
    /// (`BENCHMARKS.md`).
    async fn detached<T: Send + 'static>(
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        tokio::spawn(call.in_current_span())
            .await
            .unwrap_or_else(|error| Err(died().with_source(error)))
    }

    /// Stops accepting tasks and answers all waiting calls; running attempts
    /// get `drain` to end by themselves and then `grace` to stop. What is left
    /// is settled as interrupted. What of the drain time is left then is for
    /// telling of ends.
    pub(crate) async fn shutdown(&self, drain: Duration, grace: Duration) {
        #[cfg(feature = "webhook")]
        let began = tokio::time::Instant::now();
        self.draining.cancel();
        // What waits for people does not end by itself, and can be asked again.
        self.worker.stop_waiting(&Cause::Shutdown { grace });
        if tokio::time::timeout(drain, self.worker.idle())
            .await
            .is_err()
        {
            self.worker.stop_all(&Cause::Shutdown { grace });
            // The margin is for settling, after the grace.
            const MARGIN: Duration = Duration::from_millis(300);
            let settled = tokio::time::timeout(grace + MARGIN, self.worker.idle());
            if settled.await.is_err() {
                tracing::warn!("some tasks could not be settled before the server ended");
            }
        }
        #[cfg(feature = "webhook")]
        self.tell_the_last(drain.saturating_sub(began.elapsed()))
            .await;
        self.stopped.cancel();
    }

    /// Says that something happened to a task that may have to be told outside.
    fn announce(&self, record: &TaskRecord) {
        if record.notice.is_some() {
            self.announce_any();
        }
    }

    /// The same of a task that is not at hand.
    fn announce_any(&self) {
        #[cfg(feature = "webhook")]
        self.notices.announce();
    }

    /// Stops everything without writing anything, as a crash would.
    pub(crate) fn abandon(&self) {
        self.draining.cancel();
        self.stopped.cancel();
        self.worker.stop_all(&Cause::LeaseLost);
    }

    /// Whether everything has been settled, or given up.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
}

fn died() -> StoreError {
    StoreError::new("the store call died")
}
