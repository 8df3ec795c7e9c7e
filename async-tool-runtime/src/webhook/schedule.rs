//! When to try again.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// What Standard Webhooks recommends (operational considerations, retries).
pub(super) const STANDARD: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// A receiver that asks for more is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(HOUR);
/// Longest pause of a message whose host has enough to do.
const LONGEST_WAIT: Duration = Duration::from_secs(MINUTE);

/// How often and for how long a message is tried.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Not empty.
    pub(super) pauses: Vec<Duration>,
    pub(super) give_up_after: Duration,
}

impl Schedule {
    /// The pause after so many tries, 1 or more; `asked` is what the receiver
    /// wants. None if it is to be given up: the time is over, `age` after what it
    /// tells of.
    pub(super) fn pause(
        &self,
        tries: u32,
        asked: Option<Duration>,
        age: Duration,
    ) -> Option<Duration> {
        let left = self.left(age)?;
        let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let pause = self.pauses.get(index).or(self.pauses.last())?;
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        // Bounded first: no pause is too long to be lengthened.
        Some(spread((*pause).min(left)).max(asked).min(left))
    }

    /// The pause of a message whose host was busy so many times, 1 or more: no try
    /// was made. None as above.
    pub(super) fn wait_for_host(&self, times: u32, age: Duration) -> Option<Duration> {
        let left = self.left(age)?;
        let doubling = Duration::from_secs(1 << times.saturating_sub(1).min(6));
        Some(spread(doubling.min(LONGEST_WAIT)).min(left))
    }

    /// How long it is still tried; none if no longer.
    fn left(&self, age: Duration) -> Option<Duration> {
        let left = self.give_up_after.checked_sub(age)?;
        (!left.is_zero()).then_some(left)
    }
}

/// What failed together is not tried again together.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(hours: u64) -> Schedule {
        Schedule {
            pauses: STANDARD.to_vec(),
            give_up_after: Duration::from_secs(hours * HOUR),
        }
    }

    fn assert_about(pause: Option<Duration>, seconds: u64) {
        let least = Duration::from_secs(seconds);
        let pause = pause.expect("not given up");
        assert!(least <= pause && pause <= least.mul_f64(1.2), "{pause:?}");
    }

    #[test]
    fn pauses_grow_and_the_last_one_repeats() {
        let schedule = schedule(1000);
        let age = Duration::ZERO;
        assert_about(schedule.pause(1, None, age), 5);
        assert_about(schedule.pause(2, None, age), 300);
        assert_about(schedule.pause(9, None, age), 24 * HOUR);
        assert_about(schedule.pause(u32::MAX, None, age), 24 * HOUR);
    }

    #[test]
    fn the_last_try_is_at_the_end() {
        let day = schedule(24);
        let almost = Duration::from_secs(24 * HOUR - 7);
        assert_eq!(day.pause(7, None, almost), Some(Duration::from_secs(7)));
        assert_eq!(day.pause(8, None, Duration::from_secs(24 * HOUR)), None);
        assert_eq!(day.pause(1, None, Duration::MAX), None);
        assert_eq!(schedule(0).pause(1, None, Duration::ZERO), None);
    }

    #[test]
    fn no_pause_is_too_long() {
        let schedule = Schedule {
            pauses: vec![Duration::MAX],
            ..schedule(24)
        };
        let day = Duration::from_secs(24 * HOUR);
        assert_eq!(schedule.pause(1, None, Duration::ZERO), Some(day));
    }

    #[test]
    fn receivers_may_ask_for_more_within_bounds() {
        let schedule = schedule(24);
        let asked = |seconds| schedule.pause(1, Some(Duration::from_secs(seconds)), Duration::ZERO);
        assert_eq!(asked(90), Some(Duration::from_secs(90)));
        assert_eq!(asked(100_000), Some(Duration::from_secs(HOUR)));
        assert_about(asked(0), 5);
    }

    #[test]
    fn a_busy_host_is_waited_for_longer_and_longer() {
        let day = schedule(24);
        assert_about(day.wait_for_host(1, Duration::ZERO), 1);
        assert_about(day.wait_for_host(4, Duration::ZERO), 8);
        assert_about(day.wait_for_host(u32::MAX, Duration::ZERO), 60);
    }

    #[test]
    fn a_busy_host_is_waited_for_until_the_time_is_over() {
        let day = schedule(24);
        let almost = Duration::from_secs(24 * HOUR - 7);
        assert_eq!(day.wait_for_host(9, almost), Some(Duration::from_secs(7)));
        assert_eq!(day.wait_for_host(9, Duration::from_secs(24 * HOUR)), None);
    }
}
