//! Telling sessions of dead workers from those of living ones.
//!
//! As reapers do: a session whose count of beats stays the same for a whole
//! lease, on the clock of whoever looks, is dead. A living worker of the
//! namespace takes over what it owned, so one that is found here stays for lack
//! of living ones.

use std::collections::HashMap;
use std::time::Duration;

use async_tool_runtime::store::{SessionId, SessionStats, StoreError};
use tokio::time::{Instant, sleep};

use super::Seen;
use super::findings::Finding;
use crate::failure::Failure;
use crate::output::Out;
use crate::output::text::{clean, count, short};
use crate::view::session_text;

/// How often is looked. A living session beats three times in a lease.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest lease that is waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// Sessions that have not changed since they were first seen.
type Silent = HashMap<(usize, SessionId), Kept>;

struct Kept {
    session: SessionStats,
    since: Instant,
}

pub(super) async fn observe(
    seen: &[Seen],
    findings: &mut Vec<Finding>,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    let mut silent = first(seen).await?;
    let longest = silent.values().map(|kept| kept.session.lease).max();
    let Some(longest) = longest else {
        return Ok(());
    };
    out.note(format_args!(
        "watching {} for up to {} (`--quick` does not)",
        count(silent.len(), "session"),
        short(longest.min(LONGEST))
    ))?;
    let begun = Instant::now();
    while !silent.is_empty() && begun.elapsed() <= LONGEST.min(longest) {
        sleep(PAUSE.min(longest / 3)).await;
        drop_living(seen, &mut silent).await?;
        let is_dead = |kept: &mut Kept| kept.since.elapsed() > kept.session.lease;
        let dead = silent.extract_if(|_, kept| is_dead(kept));
        findings.extend(dead.map(|((index, _), kept)| stuck(&seen[index], &kept.session)));
    }
    for ((index, _), kept) in silent {
        let Seen { place, .. } = &seen[index];
        out.note(format_args!(
            "{}: the session {} has a lease of {}, which is too long to wait for",
            clean(&place.namespace),
            session_text(kept.session.session),
            short(kept.session.lease)
        ))?;
    }
    Ok(())
}

/// The counts that were read before are older than this: these begin the time
/// in which nothing must change.
async fn first(seen: &[Seen]) -> Result<Silent, StoreError> {
    let mut silent = Silent::new();
    for (index, Seen { place, .. }) in seen.iter().enumerate() {
        let stats = place.store.stats().await?;
        let since = Instant::now();
        silent.extend(stats.sessions.into_iter().map(|session| {
            let key = (index, session.session);
            (key, Kept { session, since })
        }));
    }
    Ok(silent)
}

/// Forgets those that have beaten since, and those that are gone.
async fn drop_living(seen: &[Seen], silent: &mut Silent) -> Result<(), StoreError> {
    for (index, Seen { place, .. }) in seen.iter().enumerate() {
        if !silent.keys().any(|(of, _)| *of == index) {
            continue;
        }
        let now = place.store.stats().await?.sessions;
        let unchanged = |kept: &Kept| {
            let same = now.iter().find(|it| it.session == kept.session.session);
            same.is_some_and(|it| it.beats == kept.session.beats)
        };
        silent.retain(|(of, _), kept| *of != index || unchanged(kept));
    }
    Ok(())
}

fn stuck(seen: &Seen, session: &SessionStats) -> Finding {
    let what = format!(
        "the session {} owns {} and has not renewed its lease for {}: its worker is dead or hangs",
        session_text(session.session),
        count(session.owned, "task"),
        short(session.lease)
    );
    let advice = "any living worker of the namespace takes over its tasks within two leases; if \
                  this stays, none lives: start one";
    Finding::new("stuck_session", what, advice).in_namespace(&seen.place.namespace)
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::store::Lease;

    use super::super::super::testing::{LEASE, empty};
    use super::*;
    use crate::output::written;

    async fn seen() -> Vec<Seen> {
        let place = empty().await;
        let stats = place.store.stats().await.expect("stats");
        vec![Seen { place, stats }]
    }

    async fn observed(seen: &[Seen]) -> (Vec<Finding>, String) {
        let mut findings = Vec::new();
        let (done, text) = written(true, async |out| observe(seen, &mut findings, out).await).await;
        done.expect("an observation");
        (findings, text.notes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_stays_the_same_is_stuck() {
        let seen = seen().await;
        let place = &seen[0].place;
        place.working("build").await;
        let living = place.working("build").await.owner.expect("an owner");
        let beating = tokio::spawn({
            let store = std::sync::Arc::clone(&place.store);
            async move {
                loop {
                    sleep(LEASE / 3).await;
                    let lease = Lease::new(living, LEASE);
                    store.beat(lease, Vec::new()).await.expect("a beat");
                }
            }
        });
        let begun = Instant::now();
        let (findings, notes) = observed(&seen).await;
        beating.abort();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].code, "stuck_session");
        assert!(
            !findings[0].what.contains(&session_text(living)),
            "{findings:?}"
        );
        assert!(
            notes.starts_with("watching 2 sessions for up to 15s"),
            "{notes}"
        );
        assert!(begun.elapsed() > LEASE && begun.elapsed() < LEASE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_sessions_nobody_waits() {
        let seen = seen().await;
        let begun = Instant::now();
        let (findings, notes) = observed(&seen).await;
        assert!(findings.is_empty() && notes.is_empty());
        assert!(begun.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_of_hours_is_not_waited_for() {
        let seen = seen().await;
        let place = &seen[0].place;
        let owner = place.working("build").await.owner.expect("an owner");
        let lease = Lease::new(owner, Duration::from_secs(7200));
        place.store.beat(lease, Vec::new()).await.expect("a beat");
        let begun = Instant::now();
        let (findings, notes) = observed(&seen).await;
        assert!(findings.is_empty(), "{findings:?}");
        assert!(notes.contains("too long to wait for"), "{notes}");
        assert!(begun.elapsed() < LONGEST + PAUSE * 2);
    }
}
