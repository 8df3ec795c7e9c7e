//! What one principal may have of a server.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter, clock};
use serde_json::Value;
use tokio::time::Instant;

use crate::refusal::Refusal;
use crate::store::{ConcurrencyLimit, Fingerprint};
use crate::task::Principal;

/// Most principals whose calls are counted one by one; beyond, all others share
/// what one may have (invariant 11).
const MAX_PRINCIPALS: usize = 10_000;
/// Whoever has not called for so long has all calls left, and need not be known.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How often they are looked for where there is no room for another.
const CLEANUP: Duration = Duration::from_secs(1);

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
    per_minute: NonZeroU32,
    /// All without a principal, and those who are too many.
    others: Bucket,
    known: Mutex<Known>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// Those who have called lately.
#[derive(Debug)]
struct Known {
    callers: HashMap<Principal, Caller>,
    cleaned: Instant,
}

#[derive(Debug)]
struct Caller {
    calls: Bucket,
    last: Instant,
}

impl Rate {
    pub(crate) fn of(limits: &PerPrincipal) -> Self {
        let per_minute = limits.initiations_per_minute.and_then(NonZeroU32::new);
        Self(per_minute.map(|per_minute| Limiter {
            per_minute,
            others: bucket(per_minute),
            known: Mutex::new(Known {
                callers: HashMap::new(),
                cleaned: Instant::now(),
            }),
        }))
    }

    /// Counts a call, if it is not one too many.
    pub(crate) fn count(&self, principal: Option<&Principal>) -> Result<(), Refusal> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        let mut known = limiter.known.lock().unwrap_or_else(PoisonError::into_inner);
        let own = principal.and_then(|principal| known.calls_of(principal, limiter.per_minute));
        let calls = own.unwrap_or(&limiter.others);
        calls.check().map_err(|early| Refusal::TooFast {
            per_minute: limiter.per_minute.get(),
            retry_after: early.wait_time_from(calls.clock().now()),
        })
    }
}

impl Known {
    /// The calls of one who is known, or for whom there is room.
    fn calls_of(&mut self, principal: &Principal, per_minute: NonZeroU32) -> Option<&Bucket> {
        let now = Instant::now();
        let is_full = self.callers.len() >= MAX_PRINCIPALS;
        let pause = if is_full { CLEANUP } else { FORGOTTEN };
        if now - self.cleaned >= pause {
            self.cleaned = now;
            self.callers
                .retain(|_, caller| now - caller.last < FORGOTTEN);
            self.callers.shrink_to_fit();
        }
        if !self.callers.contains_key(principal) {
            if self.callers.len() >= MAX_PRINCIPALS {
                return None;
            }
            let calls = bucket(per_minute);
            let caller = Caller { calls, last: now };
            self.callers.insert(principal.clone(), caller);
        }
        let caller = self.callers.get_mut(principal)?;
        caller.last = now;
        Some(&caller.calls)
    }
}

fn bucket(per_minute: NonZeroU32) -> Bucket {
    RateLimiter::direct_with_clock(Quota::per_minute(per_minute), Ticks(Instant::now()))
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
        let limiter = rate.0.as_ref().expect("it counts");
        limiter.known.lock().expect("no panic").callers.len()
    }

    fn call(rate: &Rate, number: usize) -> Result<(), Refusal> {
        rate.count(Some(&Principal::new(number.to_string())))
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_not_called_lately_are_forgotten() {
        let rate = rate(2);
        for number in 0..5000 {
            assert!(call(&rate, number).is_ok());
        }
        assert_eq!(known(&rate), 5000);
        advance(FORGOTTEN).await;
        assert!(call(&rate, 0).is_ok());
        assert_eq!(known(&rate), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_too_many_share_what_one_may_have() {
        let rate = rate(2);
        for number in 0..MAX_PRINCIPALS {
            assert!(call(&rate, number).is_ok());
        }
        assert!(call(&rate, MAX_PRINCIPALS).is_ok());
        assert!(call(&rate, MAX_PRINCIPALS + 1).is_ok());
        let refused = call(&rate, MAX_PRINCIPALS + 2).expect_err("the third of two");
        assert_eq!(refused.retry_after_seconds(), Some(30));
        assert_eq!(known(&rate), MAX_PRINCIPALS);

        // Whoever is known is served as ever, and to no more than that.
        assert!(call(&rate, 7).is_ok());
        assert!(call(&rate, 7).is_err());
        assert!(call(&rate, 8).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_again_when_others_have_not_called_lately() {
        let rate = rate(1);
        for number in 0..MAX_PRINCIPALS {
            assert!(call(&rate, number).is_ok());
        }
        advance(FORGOTTEN / 2).await;
        assert!(call(&rate, MAX_PRINCIPALS).is_ok(), "as one of the others");
        advance(FORGOTTEN / 2).await;
        assert!(call(&rate, MAX_PRINCIPALS).is_ok());
        assert!(call(&rate, MAX_PRINCIPALS + 1).is_ok());
        assert_eq!(known(&rate), 2);
    }
}
