//! What one principal may have of a server.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter, clock};
use serde_json::Value;
use tokio::time::Instant;

use crate::refusal::Refusal;
use crate::store::{ConcurrencyLimit, Fingerprint};
use crate::task::Principal;

/// Most principals whose calls are counted one by one; beyond, all others share
/// what one may have (invariant 11).
const MAX_PRINCIPALS: usize = 10_000;
/// Those who have not called lately are forgotten after so many calls.
const CALLS_BETWEEN_CLEANUPS: u32 = 1024;

/// The limits of each principal; see the builder for their meanings.
#[derive(Debug, Clone, Default)]
pub(crate) struct PerPrincipal {
    pub(crate) running: Option<u32>,
    pub(crate) queued: Option<usize>,
    pub(crate) initiations_per_minute: Option<u32>,
}

impl PerPrincipal {
    /// What is wrong with them on a server that finds principals, or does not.
    pub(crate) fn problems(&self, finds_principals: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (option, is_zero) in [
            ("running_per_principal", self.running == Some(0)),
            (
                "initiations_per_minute",
                self.initiations_per_minute == Some(0),
            ),
        ] {
            if is_zero {
                problems.push(format!(
                    "`.{option}(0)` would let nobody run anything; give at least 1"
                ));
            }
        }
        for (option, is_set, instead) in [
            ("running_per_principal", self.running.is_some(), "slots"),
            ("queued_per_principal", self.queued.is_some(), "queue"),
        ] {
            if is_set && !finds_principals {
                problems.push(format!(
                    "`.{option}(...)` limits nobody without principals; say how to find them with \
                     `.principal(...)`, or limit all together with `.{instead}(...)`"
                ));
            }
        }
        problems
    }

    /// What a task of this principal holds while it is owned, over all workers.
    pub(super) fn concurrency(&self, principal: Option<&Principal>) -> Option<ConcurrencyLimit> {
        let (limit, principal) = self.running.zip(principal)?;
        // A digest, because a principal may be longer than stores like keys. No
        // other key begins like this: those of arguments have a colon.
        let name = Value::String(principal.as_str().to_owned());
        let digest = Fingerprint::of("principal", &name);
        let key = format!("principal/{}", digest.to_hex());
        Some(ConcurrencyLimit::new(key, limit))
    }
}

/// How many calls a principal may make in a minute.
#[derive(Debug, Default)]
pub(crate) struct Rate(Option<Limiter>);

#[derive(Debug)]
struct Limiter {
    per_minute: u32,
    calls: RateLimiter<Caller, HashMapStateStore<Caller>, Ticks, NoOpMiddleware<Duration>>,
    since_cleanup: AtomicU32,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    One(Principal),
    /// All without a principal, and those who are too many.
    Others,
}

impl Rate {
    pub(crate) fn of(limits: &PerPrincipal) -> Self {
        let per_minute = limits.initiations_per_minute.and_then(NonZeroU32::new);
        Self(per_minute.map(|per_minute| Limiter {
            per_minute: per_minute.get(),
            calls: RateLimiter::hashmap_with_clock(
                Quota::per_minute(per_minute),
                Ticks(Instant::now()),
            ),
            since_cleanup: AtomicU32::new(0),
        }))
    }

    /// Counts a call, if it is not one too many.
    pub(crate) fn count(&self, principal: Option<&Principal>) -> Result<(), Refusal> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        let calls = &limiter.calls;
        if limiter.since_cleanup.fetch_add(1, Ordering::Relaxed) % CALLS_BETWEEN_CLEANUPS == 0 {
            calls.retain_recent();
            calls.shrink_to_fit();
        }
        let caller = principal
            .filter(|_| calls.len() < MAX_PRINCIPALS)
            .map_or(Caller::Others, |principal| Caller::One(principal.clone()));
        calls.check_key(&caller).map_err(|early| Refusal::TooFast {
            per_minute: limiter.per_minute,
            retry_after: early.wait_time_from(calls.clock().now()),
        })
    }
}

/// governor's time is tokio's, which tests can pause: how long this has run.
#[derive(Debug, Clone, Copy)]
struct Ticks(Instant);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn rate(per_minute: u32) -> Rate {
        Rate::of(&PerPrincipal {
            initiations_per_minute: Some(per_minute),
            ..PerPrincipal::default()
        })
    }

    fn known(rate: &Rate) -> usize {
        rate.0.as_ref().expect("it counts").calls.len()
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_not_called_lately_are_forgotten() {
        let rate = rate(2);
        for number in 0..5000 {
            let principal = Principal::new(number.to_string());
            assert!(rate.count(Some(&principal)).is_ok());
        }
        assert_eq!(known(&rate), 5000);
        advance(Duration::from_secs(61)).await;
        for _ in 0..CALLS_BETWEEN_CLEANUPS {
            let _ = rate.count(None);
        }
        assert_eq!(known(&rate), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_too_many_share_what_one_may_have() {
        let rate = rate(2);
        let call = |number: usize| rate.count(Some(&Principal::new(number.to_string())));
        for number in 0..MAX_PRINCIPALS {
            assert!(call(number).is_ok());
        }
        assert!(call(MAX_PRINCIPALS).is_ok());
        assert!(call(MAX_PRINCIPALS + 1).is_ok());
        let refused = call(MAX_PRINCIPALS + 2).expect_err("the third of two");
        assert_eq!(refused.retry_after_seconds(), Some(30));
        assert!(known(&rate) <= MAX_PRINCIPALS + 1);
    }
}
