//! How a running task says how far it is.
//!
//! A tool calls [`Progress`] as often as it likes: the numbers are atomics,
//! and nothing is written anywhere until somebody looks. Names and messages
//! take a lock, once per step or message.
//!
//! Progress never goes backwards within an attempt (invariant 8): counts and
//! the overall fraction are high-water marks, and steps only go forward.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Longest message that is kept, in characters; the rest is cut.
pub(crate) const MAX_MESSAGE: usize = 500;
/// Longest step name that is kept, in characters.
const MAX_STEP_NAME: usize = 100;
/// Most steps that are kept.
const MAX_STEPS: usize = 200;
/// Marks a total or fraction that nobody has set.
const UNSET: u64 = u64::MAX;

/// Reports the progress of one attempt. Cloning gives another handle to the
/// same progress.
///
/// ```
/// # let task = async_tool_runtime::TaskContext::detached("render");
/// let progress = task.progress();
/// let steps = progress.steps(["load", "render"]);
/// steps.start("render");
/// progress.total(240);
/// for frame in 0..240 {
///     // … render it …
///     progress.inc(1);
/// }
/// assert_eq!(progress.state().fraction, Some(1.0));
/// ```
#[derive(Clone)]
pub struct Progress {
    cell: Arc<Cell>,
}

struct Cell {
    current: AtomicU64,
    total: AtomicU64,
    /// Bits of the fraction of the present step, where the author gave one.
    given: AtomicU64,
    /// Bits of the highest overall fraction that anybody has seen.
    highest: AtomicU64,
    /// Something changed since the last [`Progress::take_dirty`].
    dirty: AtomicBool,
    text: Mutex<Text>,
    on_step: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct Text {
    message: Option<String>,
    steps: Vec<Step>,
    /// Index of the present step.
    step: Option<usize>,
    /// How often the step changed.
    step_changes: u64,
}

impl Text {
    /// The steps that have passed, and the present one. The heartbeat and
    /// every status call come through here, where a panic would cost more
    /// than the number that is missing: an index that fits no step is none.
    fn present(&self) -> Option<(&[Step], &Step)> {
        let index = self.step?;
        Some((self.steps.get(..index)?, self.steps.get(index)?))
    }
}

struct Step {
    name: String,
    weight: f64,
}

impl Step {
    fn new(name: String, weight: f64) -> Self {
        // Within these, neither a sum of 200 nor a quotient loses its meaning.
        let usable = (1e-9..=1e9).contains(&weight);
        Self {
            name: shortened(name, MAX_STEP_NAME),
            weight: if usable { weight } else { 1.0 },
        }
    }
}

/// Progress at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgressState {
    /// How much of the whole is done, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Units done in the present step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// Units in the present step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Name of the present step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Number of the present step; 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_number: Option<usize>,
    /// How many steps there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_count: Option<usize>,
    /// What is happening, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often the step changed.
    #[serde(default)]
    pub(crate) step_changes: u64,
}

impl Progress {
    /// Progress that calls `on_step` with the name of each step that begins.
    pub(crate) fn new(on_step: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            cell: Arc::new(Cell {
                current: AtomicU64::new(0),
                total: AtomicU64::new(UNSET),
                given: AtomicU64::new(UNSET),
                highest: AtomicU64::new(0),
                dirty: AtomicBool::new(false),
                text: Mutex::default(),
                on_step: Box::new(on_step),
            }),
        }
    }

    /// Declares the named steps, in order, replacing what was declared
    /// before. The first one starts with [`Steps::start`] or [`Steps::next`].
    ///
    /// All steps count as equally long; see
    /// [`weighted_steps`](Self::weighted_steps). At most 200 steps are kept,
    /// and 100 characters of each name.
    pub fn steps<I>(&self, names: I) -> Steps
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.weighted_steps(names.into_iter().map(|name| (name, 1.0)))
    }

    /// [`steps`](Self::steps) that take different times: each comes with how
    /// long it probably takes, in any unit (a billionth to a billion; anything
    /// else counts as 1). The overall fraction and the ETA
    /// follow that.
    ///
    /// ```
    /// # let task = async_tool_runtime::TaskContext::detached("build");
    /// let steps = task.progress().weighted_steps([("resolve", 1.0), ("compile", 9.0)]);
    /// steps.start("compile");
    /// assert_eq!(task.progress().state().fraction, Some(0.1));
    /// ```
    pub fn weighted_steps<I, N>(&self, steps: I) -> Steps
    where
        I: IntoIterator<Item = (N, f64)>,
        N: Into<String>,
    {
        // The author's iterator may call back, so it is read before the lock.
        let steps = steps
            .into_iter()
            .take(MAX_STEPS)
            .map(|(name, weight)| Step::new(name.into(), weight))
            .collect();
        let mut text = self.text();
        text.steps = steps;
        text.step = None;
        drop(text);
        self.touch();
        Steps {
            progress: self.clone(),
        }
    }

    /// Sets how many units the present step has.
    pub fn total(&self, total: u64) {
        self.cell
            .total
            .store(total.min(UNSET - 1), Ordering::Relaxed);
        self.touch();
    }

    /// Sets how many units of the present step are done, at most 2^63. A number
    /// below an earlier one changes nothing.
    pub fn set(&self, current: u64) {
        // Leaves room for `inc`, which must not wrap around.
        let current = current.min(1 << 63);
        self.cell.current.fetch_max(current, Ordering::Relaxed);
        self.touch();
    }

    /// Adds to the units done in the present step.
    pub fn inc(&self, units: u64) {
        let _ = self
            .cell
            .current
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |current| {
                Some(current.saturating_add(units))
            });
        self.touch();
    }

    /// Sets how much of the present step is done, 0 to 1, for work that has
    /// no units. Values outside are clamped; NaN changes nothing.
    pub fn fraction(&self, fraction: f64) {
        if fraction.is_nan() {
            return;
        }
        let bits = fraction.clamp(0.0, 1.0).to_bits();
        // Non-negative floats are ordered as their bits are.
        let _ = self
            .cell
            .given
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                (old == UNSET || old < bits).then_some(bits)
            });
        self.touch();
    }

    /// Says what is happening, for people to read. At most 500 characters are
    /// kept.
    pub fn message(&self, message: impl Into<String>) {
        self.text().message = Some(shortened(message.into(), MAX_MESSAGE));
        self.touch();
    }

    /// Progress at this moment.
    pub fn state(&self) -> ProgressState {
        let text = self.text();
        let total = set(&self.cell.total);
        let current = self.cell.current.load(Ordering::Relaxed);
        let counted = total.is_some() || current > 0;
        ProgressState {
            fraction: self.overall(&text, current, total),
            current: counted.then_some(current),
            total,
            step: text.present().map(|(_, step)| step.name.clone()),
            step_number: text.present().map(|(passed, _)| passed.len() + 1),
            step_count: (!text.steps.is_empty()).then_some(text.steps.len()),
            message: text.message.clone(),
            step_changes: text.step_changes,
        }
    }

    /// Enters the step of this name, which may not have been declared.
    pub(crate) fn begin_step(&self, name: &str) {
        let steps = Steps {
            progress: self.clone(),
        };
        steps.start(name);
    }

    /// Whether something changed since this was last asked.
    pub(crate) fn take_dirty(&self) -> bool {
        self.cell.dirty.swap(false, Ordering::Relaxed)
    }

    /// Makes the next [`take_dirty`](Self::take_dirty) say yes.
    pub(crate) fn set_dirty(&self) {
        self.touch();
    }

    fn overall(&self, text: &Text, current: u64, total: Option<u64>) -> Option<f64> {
        let given = set(&self.cell.given).map(f64::from_bits);
        #[expect(clippy::cast_precision_loss, reason = "a fraction for display")]
        let within = given.or_else(|| match total {
            Some(0) => Some(1.0),
            Some(total) => Some((current as f64 / total as f64).min(1.0)),
            None => None,
        });
        let now = match text.present() {
            Some((passed, step)) => {
                let weight = |steps: &[Step]| steps.iter().map(|step| step.weight).sum::<f64>();
                let done = weight(passed) + step.weight * within.unwrap_or(0.0);
                Some(done / weight(&text.steps))
            }
            None => within,
        }?;
        let highest = self
            .cell
            .highest
            .fetch_max(now.to_bits(), Ordering::Relaxed)
            .max(now.to_bits());
        Some(f64::from_bits(highest))
    }

    fn enter(&self, find: impl FnOnce(&mut Text) -> Option<usize>) {
        let mut text = self.text();
        let Some(step) = find(&mut text) else { return };
        if text.step.is_some_and(|present| step <= present) {
            return;
        }
        text.step = Some(step);
        text.step_changes += 1;
        self.cell.current.store(0, Ordering::Relaxed);
        self.cell.total.store(UNSET, Ordering::Relaxed);
        self.cell.given.store(UNSET, Ordering::Relaxed);
        let name = text.present().map(|(_, step)| step.name.clone());
        drop(text);
        // Shows on the attempt's span when it was.
        tracing::debug!(step = name, "a step begins");
        self.touch();
        (self.cell.on_step)(&name.unwrap_or_default());
    }

    fn touch(&self) {
        // A load first keeps the cache line shared while a hot loop runs.
        if !self.cell.dirty.load(Ordering::Relaxed) {
            self.cell.dirty.store(true, Ordering::Relaxed);
        }
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        // The data stays valid at every point, so a panic elsewhere is no reason to stop.
        self.cell
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

/// The named steps of a task; see [`Progress::steps`].
#[derive(Debug, Clone)]
pub struct Steps {
    progress: Progress,
}

impl Steps {
    /// Enters the step of this name; counts and fraction start anew. A name
    /// that was not declared becomes one more step at the end; one that has
    /// passed already changes nothing.
    pub fn start(&self, name: &str) {
        let step = Step::new(name.to_owned(), 1.0);
        // One lock for finding and entering: `steps` may be called meanwhile.
        self.progress.enter(|text| {
            let known = text.steps.iter().position(|known| known.name == step.name);
            if known.is_none() && text.steps.len() < MAX_STEPS {
                text.steps.push(step);
                Some(text.steps.len() - 1)
            } else {
                known
            }
        });
    }

    /// Enters the step after the present one; after the last, nothing
    /// changes.
    pub fn next(&self) {
        self.progress.enter(|text| {
            let next = text.step.map_or(0, |step| step + 1);
            (next < text.steps.len()).then_some(next)
        });
    }
}

fn set(atomic: &AtomicU64) -> Option<u64> {
    Some(atomic.load(Ordering::Relaxed)).filter(|value| *value != UNSET)
}

/// At most `limit` characters of `text`, an ellipsis in place of the rest.
pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit
        && let Some((cut, _)) = text.char_indices().nth(limit)
    {
        let last = text[..cut].char_indices().next_back();
        text.truncate(last.map_or(0, |(index, _)| index));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_counts_make_one_fraction() {
        let progress = Progress::new(|_| {});
        let steps = progress.steps(["check", "compile"]);
        assert_eq!(progress.state().step_count, Some(2));
        steps.next();
        progress.total(4);
        progress.set(2);
        let state = progress.state();
        assert_eq!(state.fraction, Some(0.25));
        assert_eq!((state.current, state.total), (Some(2), Some(4)));
        steps.start("compile");
        let state = progress.state();
        assert_eq!((state.step_number, state.fraction), (Some(2), Some(0.5)));
        assert_eq!((state.current, state.total), (None, None));
    }

    #[test]
    fn invariant_8_progress_never_goes_backwards() {
        let progress = Progress::new(|_| {});
        progress.total(10);
        progress.set(5);
        assert_eq!(progress.state().fraction, Some(0.5));
        progress.set(3);
        progress.total(100);
        assert_eq!(progress.state().fraction, Some(0.5));
        assert_eq!(progress.state().current, Some(5));
        let steps = progress.steps(["a", "b"]);
        steps.start("b");
        steps.start("a");
        assert_eq!(progress.state().step.as_deref(), Some("b"));
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        let progress = Progress::new(|_| {});
        progress.fraction(f64::NAN);
        assert_eq!(progress.state().fraction, None);
        progress.fraction(7.0);
        assert_eq!(progress.state().fraction, Some(1.0));
        progress.total(0);
        progress.total(u64::MAX);
        assert_eq!(progress.state().fraction, Some(1.0));
    }

    #[test]
    fn a_count_stops_at_the_highest_number() {
        let progress = Progress::new(|_| {});
        progress.total(10);
        progress.set(u64::MAX);
        progress.inc(u64::MAX);
        progress.inc(2);
        let state = progress.state();
        assert_eq!(state.current, Some(u64::MAX));
        assert_eq!(state.fraction, Some(1.0));
    }

    #[test]
    fn the_names_of_steps_may_be_made_while_reporting() {
        let progress = Progress::new(|_| {});
        progress.steps(
            ["a", "b"]
                .into_iter()
                .inspect(|name| progress.message(*name)),
        );
        let state = progress.state();
        assert_eq!(
            (state.step_count, state.message),
            (Some(2), Some("b".into()))
        );
    }

    #[test]
    fn an_index_that_fits_no_step_is_none() {
        let progress = Progress::new(|_| {});
        progress.steps(["only"]);
        progress.fraction(0.5);
        progress.text().step = Some(7);
        let state = progress.state();
        assert_eq!((state.step, state.step_number), (None, None));
        assert_eq!(state.fraction, Some(0.5));
    }

    #[test]
    fn a_step_is_found_and_entered_under_one_lock() {
        use std::sync::atomic::AtomicUsize;

        const ROUNDS: usize = 10_000;
        let progress = Progress::new(|_| {});
        // Many, so that looking for the last one takes a while.
        let names: Vec<String> = (0..MAX_STEPS).map(|step| format!("step {step}")).collect();
        let steps = progress.steps(&names);
        let (begun, replaced) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let until = |counter: &AtomicUsize, round| {
            while counter.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
        };
        // A list replaced between finding and entering would leave the number
        // of a step that is not in it.
        let misfits = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    until(&begun, round);
                    // Meets the other thread in each of its instructions.
                    for _ in 0..round % 500 {
                        std::hint::spin_loop();
                    }
                    progress.steps(["first"]);
                    replaced.store(round, Ordering::Release);
                }
            });
            let mut misfits = 0;
            for round in 1..=ROUNDS {
                progress.steps(&names);
                begun.store(round, Ordering::Release);
                steps.start(&names[MAX_STEPS - 1]);
                until(&replaced, round);
                let text = progress.text();
                misfits += usize::from(text.step.is_some_and(|step| step >= text.steps.len()));
            }
            misfits
        });
        assert_eq!(misfits, 0);
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shortened("äöü".into(), 3), "äöü");
        assert_eq!(shortened("äöüß".into(), 3), "äö…");
        let progress = Progress::new(|_| {});
        progress.message("x".repeat(10_000));
        assert_eq!(
            progress.state().message.map(|text| text.chars().count()),
            Some(MAX_MESSAGE)
        );
    }
}
