//! How often something failed lately.

use std::time::Duration;

use tokio::time::Instant;

/// Parts of a window: what happened leaves it a part at a time.
const PARTS: u32 = 20;

/// Successes and failures of the last while, in a fixed amount of memory.
///
/// Time is cut into parts of a twentieth of the window; what is counted are the
/// present part and the nineteen before it. So an event counts for at least 95 %
/// of the window's length and never for longer than all of it.
#[derive(Debug)]
pub(crate) struct Window {
    part: Duration,
    started: Instant,
    /// A ring; a part is at its number modulo the length.
    parts: [Part; PARTS as usize],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// How many parts of time were over when it began.
    number: u128,
    failures: u64,
    all: u64,
}

impl Window {
    /// An empty window of this length, which is taken for at least 20 ns. No
    /// moment before `now` can be told from `now`.
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        Self {
            part: (length / PARTS).max(Duration::from_nanos(1)),
            started: now,
            parts: [Part::default(); PARTS as usize],
        }
    }

    /// Counts one event. An event older than the window is forgotten at once.
    pub(crate) fn record(&mut self, success: bool, at: Instant) {
        let number = self.number(at);
        let part = &mut self.parts[place(number)];
        if part.number < number {
            *part = Part {
                number,
                ..Part::default()
            };
        }
        if part.number == number {
            part.all += 1;
            part.failures += u64::from(!success);
        }
    }

    /// The share of failures, 0 to 1, and of how many events; `None` where
    /// there was none.
    pub(crate) fn rate(&self, at: Instant) -> Option<(f64, u64)> {
        let now = self.number(at);
        let (failures, all) = self
            .parts
            .iter()
            .filter(|part| part.number <= now && now - part.number < u128::from(PARTS))
            .fold((0, 0), |(failures, all), part| {
                (failures + part.failures, all + part.all)
            });
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of more than 2^52 events may be a little off"
        )]
        (all > 0).then(|| (failures as f64 / all as f64, all))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.parts = [Part::default(); PARTS as usize];
    }

    fn number(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.started).as_nanos() / self.part.as_nanos()
    }
}

fn place(number: u128) -> usize {
    // Below `PARTS`, so nothing is cut off.
    usize::try_from(number % u128::from(PARTS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn window() -> (Window, Instant) {
        let now = Instant::now();
        (Window::new(MINUTE, now), now)
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_window_has_no_rate() {
        let (mut window, now) = window();
        assert_eq!(window.rate(now), None);
        window.record(false, now);
        window.clear();
        assert_eq!(window.rate(now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_the_share_of_failures() {
        let (mut window, now) = window();
        for success in [true, true, false, true] {
            window.record(success, now);
        }
        assert_eq!(window.rate(now), Some((0.25, 4)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_happened_leaves_the_window_part_by_part() {
        let (mut window, now) = window();
        window.record(false, now);
        window.record(true, now + MINUTE / 2);
        assert_eq!(window.rate(now + MINUTE * 94 / 100), Some((0.5, 2)));
        assert_eq!(window.rate(now + MINUTE), Some((0.0, 1)));
        assert_eq!(window.rate(now + MINUTE * 2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_used_again_after_a_long_pause() {
        let (mut window, now) = window();
        window.record(false, now);
        let later = now + MINUTE * 1000;
        window.record(true, later);
        assert_eq!(window.rate(later), Some((0.0, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn late_news_count_where_they_happened() {
        let (mut window, now) = window();
        let later = now + MINUTE;
        window.record(true, later);
        window.record(false, now + MINUTE / 2);
        // Its place in the ring belongs to a younger part.
        window.record(false, now);
        assert_eq!(window.rate(later), Some((0.5, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_of_no_length_counts_the_present_moment() {
        let now = Instant::now();
        let mut window = Window::new(Duration::ZERO, now);
        window.record(false, now);
        assert_eq!(window.rate(now), Some((1.0, 1)));
        assert_eq!(window.rate(now + Duration::from_secs(1)), None);
    }
}
