//! Circuit breakers: what may begin of tools that have failed a lot lately.
//! [`Circuit`] says what they promise.

mod pass;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Engine;
use super::clock::FAR;
use super::health::CircuitHealth;
use super::stop::Cause;
use super::worker::Live;
use crate::catalog::Catalog;
use crate::descriptor::Circuit;
use crate::store::Want;
use crate::telemetry::{CircuitGauge, Meters, Window};
pub(crate) use pass::{Pass, Probes};

/// A probe holds up the next one for at least so long; [`Circuit`] has the rest.
const MIN_PATIENCE: Duration = Duration::from_secs(10);

/// The breakers of this worker, of the tools that have one.
#[derive(Debug, Default)]
pub(crate) struct Circuits(HashMap<Arc<str>, Arc<Breaker>>);

#[derive(Debug)]
struct Breaker {
    tool: Arc<str>,
    circuit: Circuit,
    gauge: CircuitGauge,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the changes of phase: what an attempt came to that began in an
    /// earlier one is no news.
    generation: u64,
    window: Window,
    /// Moving average of how long attempts took that succeeded.
    usual: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    /// Until this moment.
    Open(Instant),
    HalfOpen {
        /// An attempt is under way that will tell.
        probing: bool,
    },
}

/// Why no attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tripped {
    /// For so long.
    Open(Duration),
    /// Until the probe that is under way has ended.
    Probing,
}

impl Circuits {
    pub(crate) fn of(catalog: &Catalog, meters: &Meters) -> Self {
        let breakers = catalog.iter().filter_map(|entry| {
            let circuit = entry.descriptor.circuit?;
            let tool = Arc::clone(&entry.name);
            let breaker = Breaker::new(Arc::clone(&tool), circuit, meters.circuit(&tool));
            Some((tool, Arc::new(breaker)))
        });
        Self(breakers.collect())
    }

    /// Why nothing of this tool may begin at the moment. None: something may.
    pub(crate) fn tripped(&self, tool: &str) -> Option<Tripped> {
        self.0.get(tool)?.state().tripped()
    }

    /// The right to begin an attempt of this tool, if there is one at the
    /// moment.
    pub(crate) fn pass(&self, tool: &str) -> Option<Pass> {
        match self.0.get(tool) {
            Some(breaker) => breaker.pass(),
            None => Some(Pass::default()),
        }
    }

    /// Leaves out of `wants` what may not begin, and has one probe alone of what
    /// is half-open.
    pub(crate) fn narrow(&self, wants: &mut Vec<Want>) -> Probes {
        let mut probes = HashMap::new();
        wants.retain_mut(|want| {
            let Some(breaker) = self.0.get(&want.tool) else {
                return true;
            };
            let Some(pass) = breaker.pass() else {
                return false;
            };
            if pass.is_probe() {
                want.room = 1;
                probes.insert(Arc::clone(&want.tool), pass);
            }
            true
        });
        Probes::of(probes)
    }

    /// The breakers that are not closed, by the names of their tools.
    pub(crate) fn not_closed(&self) -> Vec<CircuitHealth> {
        let health = |breaker: &Arc<Breaker>| {
            let tool = Arc::clone(&breaker.tool);
            match breaker.state().phase {
                Phase::Closed => None,
                Phase::Open(until) => Some(CircuitHealth::open(tool, until)),
                Phase::HalfOpen { .. } => Some(CircuitHealth::half_open(tool)),
            }
        };
        let mut found: Vec<_> = self.0.values().filter_map(health).collect();
        found.sort_by(|left, right| left.tool.cmp(&right.tool));
        found
    }
}

impl Breaker {
    fn new(tool: Arc<str>, circuit: Circuit, gauge: CircuitGauge) -> Self {
        gauge.closed();
        Self {
            tool,
            circuit,
            gauge,
            state: Mutex::new(State::closed(circuit.window)),
        }
    }

    fn pass(self: &Arc<Self>) -> Option<Pass> {
        let mut state = self.state();
        if state.tripped().is_some() {
            return None;
        }
        let probes = match &mut state.phase {
            Phase::HalfOpen { probing } => {
                *probing = true;
                true
            }
            Phase::Closed | Phase::Open(_) => false,
        };
        Some(Pass::of(Arc::clone(self), state.generation, probes))
    }

    /// How long a probe holds up the next one.
    fn patience(&self) -> Duration {
        let usual = self.state().usual.unwrap_or_default();
        let patience = self.circuit.cool_down.max(usual.saturating_mul(2));
        patience.clamp(MIN_PATIENCE, FAR)
    }

    /// Learns how long an attempt took that succeeded.
    fn learn(&self, took: Duration) {
        let usual = &mut self.state().usual;
        *usual = Some(usual.map_or(took, |usual| (usual.saturating_mul(3) + took) / 4));
    }

    fn report(&self, success: bool, generation: u64) -> Option<Instant> {
        let mut state = self.state();
        if state.generation != generation {
            return None;
        }
        let now = Instant::now();
        match state.phase {
            Phase::Closed => {
                state.window.record(success, now);
                let (rate, ended) = state.window.rate(now)?;
                if ended < u64::from(self.circuit.minimum) || rate < self.circuit.failure_rate {
                    return None;
                }
                tracing::warn!(tool = %self.tool, rate, ended, "the circuit breaker has opened");
                Some(self.open(&mut state, now))
            }
            Phase::HalfOpen { .. } if success => {
                tracing::info!(tool = %self.tool, "the circuit breaker has closed");
                state.window.clear();
                self.turn(&mut state, Phase::Closed);
                None
            }
            Phase::HalfOpen { .. } => {
                tracing::warn!(tool = %self.tool, "the circuit breaker has opened again");
                Some(self.open(&mut state, now))
            }
            Phase::Open(_) => None,
        }
    }

    fn open(&self, state: &mut State, now: Instant) -> Instant {
        let until = now + self.circuit.cool_down.min(FAR);
        self.turn(state, Phase::Open(until));
        until
    }

    fn turn(&self, state: &mut State, phase: Phase) {
        match phase {
            Phase::Closed => self.gauge.closed(),
            Phase::Open(_) => self.gauge.open(),
            Phase::HalfOpen { .. } => self.gauge.half_open(),
        }
        state.phase = phase;
        state.generation += 1;
    }

    fn end_probe(&self, generation: u64) {
        let mut state = self.state();
        if state.generation == generation
            && let Phase::HalfOpen { probing } = &mut state.phase
        {
            *probing = false;
        }
    }

    /// The state at this moment: what is open for long enough is half-open.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Open(until) = state.phase
            && until <= Instant::now()
        {
            tracing::info!(tool = %self.tool, "the circuit breaker is half-open");
            self.turn(&mut state, Phase::HalfOpen { probing: false });
        }
        state
    }
}

impl State {
    fn closed(window: Duration) -> Self {
        Self {
            phase: Phase::Closed,
            generation: 0,
            window: Window::new(window.min(FAR), Instant::now()),
            usual: None,
        }
    }

    fn tripped(&self) -> Option<Tripped> {
        match self.phase {
            Phase::Closed | Phase::HalfOpen { probing: false } => None,
            Phase::HalfOpen { probing: true } => Some(Tripped::Probing),
            Phase::Open(until) => {
                let left = until.saturating_duration_since(Instant::now());
                Some(Tripped::Open(left))
            }
        }
    }
}

impl Engine {
    /// Bounds how long a probe holds up the next one.
    pub(super) fn bound_probe(self: &Arc<Self>, live: &Arc<Live>) {
        let Some(patience) = live.pass.patience() else {
            return;
        };
        let live = Arc::clone(live);
        self.spawn(move |engine| async move {
            tokio::select! {
                biased;
                () = live.over.cancelled() => {}
                () = sleep(patience) => {
                    live.pass.give_up(live.stop.cause().is_none());
                    engine.worker.expect_backlog();
                }
            }
        });
    }

    /// Tells the breaker of a tool what an attempt came to.
    pub(super) fn judge(self: &Arc<Self>, live: &Live, success: Option<bool>) {
        // A deadline may be short; one that a hanging probe meets was not.
        let met_deadline = matches!(live.stop.cause(), Some(Cause::Deadline));
        let hung = met_deadline && live.pass.has_hung();
        let success = success.or(hung.then_some(false));
        let excused = success.is_none() && live.stop.cause().is_none();
        live.excused.store(excused, Ordering::Release);
        let Some(until) = live.pass.report(success) else {
            return;
        };
        // What is queued is the first to be tried.
        self.spawn(move |engine| async move {
            sleep_until(until).await;
            engine.worker.expect_backlog();
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(30);

    fn breaker() -> Arc<Breaker> {
        let circuit = Circuit::new(0.5, Duration::from_secs(60), COOL_DOWN).minimum(2);
        Arc::new(Breaker::new("tool".into(), circuit, CircuitGauge::silent()))
    }

    async fn half_open(breaker: &Arc<Breaker>) {
        for _ in 0..2 {
            breaker.pass().expect("it is closed").report(Some(false));
        }
        assert_eq!(breaker.state().tripped(), Some(Tripped::Open(COOL_DOWN)));
        advance(COOL_DOWN).await;
        assert_eq!(breaker.state().tripped(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_attempt_that_opens_it_says_for_how_long() {
        let breaker = breaker();
        let [first, second, third] = [(); 3].map(|()| breaker.pass().expect("it is closed"));
        assert_eq!(first.report(Some(false)), None);
        let until = Instant::now() + COOL_DOWN;
        assert_eq!(second.report(Some(false)), Some(until));
        advance(COOL_DOWN / 2).await;
        assert_eq!(third.report(Some(false)), None, "it is no longer for that");
        assert_eq!(
            breaker.state().tripped(),
            Some(Tripped::Open(COOL_DOWN / 2))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_lost_lets_another_follow() {
        let breaker = breaker();
        half_open(&breaker).await;
        for _ in 0..3 {
            let probe = breaker.pass().expect("none is under way");
            assert_eq!(breaker.state().tripped(), Some(Tripped::Probing));
            assert!(breaker.pass().is_none());
            drop(probe);
        }
        let silent = breaker.pass().expect("none is under way");
        silent.report(None);
        assert!(breaker.pass().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_earlier_neither_closes_nor_opens_it() {
        let breaker = breaker();
        let earlier = breaker.pass().expect("it is closed");
        half_open(&breaker).await;
        let probe = breaker.pass().expect("none is under way");
        earlier.report(Some(true));
        drop(earlier);
        assert_eq!(breaker.state().tripped(), Some(Tripped::Probing));
        probe.report(Some(true));
        let late = probe;
        for _ in 0..2 {
            late.report(Some(false));
        }
        assert_eq!(breaker.state().tripped(), None);
        assert!(matches!(breaker.state().phase, Phase::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_probes_the_first_to_end_decides() {
        let breaker = breaker();
        half_open(&breaker).await;
        let waits = breaker.pass().expect("none is under way");
        waits.step_aside();
        let second = breaker.pass().expect("it does not hold up the next");
        drop(waits);
        assert_eq!(breaker.state().tripped(), Some(Tripped::Probing));
        second.report(Some(false));
        assert_eq!(breaker.state().tripped(), Some(Tripped::Open(COOL_DOWN)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_has_twice_as_long_as_attempts_take_that_succeed() {
        let breaker = breaker();
        assert_eq!(breaker.patience(), COOL_DOWN);
        let attempt = async |seconds, success| {
            let pass = breaker.pass().expect("it is closed");
            advance(Duration::from_secs(seconds)).await;
            pass.report(success);
        };
        attempt(60, Some(true)).await;
        assert_eq!(breaker.patience(), Duration::from_secs(120));
        attempt(100, Some(true)).await;
        assert_eq!(breaker.patience(), Duration::from_secs(140));
        attempt(1, None).await;
        let asking = breaker.pass().expect("it is closed");
        asking.step_aside();
        advance(Duration::from_secs(3600)).await;
        asking.report(Some(true));
        attempt(1, Some(false)).await;
        assert_eq!(breaker.patience(), Duration::from_secs(140));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_may_still_close_it() {
        let breaker = breaker();
        half_open(&breaker).await;
        let hanging = breaker.pass().expect("none is under way");
        assert_eq!(hanging.patience(), Some(COOL_DOWN));
        hanging.give_up(true);
        assert!(hanging.has_hung() && hanging.patience().is_none());
        let second = breaker.pass().expect("it does not hold up the next");
        hanging.give_up(true);
        assert_eq!(breaker.state().tripped(), Some(Tripped::Probing));
        hanging.report(Some(true));
        assert!(matches!(breaker.state().phase, Phase::Closed));
        second.give_up(true);
        assert!(breaker.pass().is_some_and(|pass| !pass.is_probe()));
    }
}
