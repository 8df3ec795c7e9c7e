//! `reap`: what is seen of the sessions, and then one step.

use std::time::Duration;

use super::super::error::{damaged, say};
use super::super::rows;
use super::super::script::{self, Reply};
use super::super::texts;
use super::{Verbs, millis, unexpected};
use crate::store::sessions::Kept;
use crate::store::{Reaped, StoreError};
use crate::task::TaskId;

impl Verbs {
    /// All sessions that own something.
    pub(in super::super) async fn sessions(&self) -> Result<Vec<Kept>, StoreError> {
        let mut read = ::redis::cmd("HGETALL");
        read.arg(format!("{}se", self.base));
        let answer = self.handle.send(&read).await?;
        let kept: Vec<(String, String)> =
            ::redis::from_redis_value(answer).map_err(|_| unexpected())?;
        let kept = kept
            .iter()
            .map(|(session, value)| rows::kept(session, value));
        let kept: Option<Vec<Kept>> = kept.collect();
        kept.ok_or_else(|| damaged("a session"))
    }

    /// Cleans up; with the next moment of the clock at which there may be
    /// something to do.
    pub(in super::super) async fn reap(
        &self,
        limit: usize,
        dead: &[Kept],
    ) -> Result<(Reaped, Option<Duration>), StoreError> {
        let texts = texts::of_reap().ok_or_else(|| say("the outcomes cannot be written"))?;
        let arguments = self
            .arguments()
            .count(limit)
            .number(texts.unstored)
            .text(&texts.interrupted)
            .text(&texts.late)
            .text(&texts.again)
            .count(dead.len())
            .each(dead, |arguments, dead| {
                let lease = millis(dead.lease);
                arguments
                    .bytes(rows::session(dead.session))
                    .bytes(format!("{} {lease}", dead.beats))
            });
        let answer = Reply::of(self.run(&script::REAP, &arguments).await?);
        answer.and_then(reaped).ok_or_else(unexpected)
    }
}

fn reaped(mut reply: Reply) -> Option<(Reaped, Option<Duration>)> {
    let mut ids = || -> Option<Vec<TaskId>> {
        reply
            .list()?
            .map(|id| script::text(id)?.parse().ok())
            .collect()
    };
    let reaped = Reaped {
        requeued: ids()?,
        interrupted: ids()?,
        expired: ids()?,
        purged: ids()?,
        ready: reply.flag()?,
        notices: reply.flag()?,
        next: None,
    };
    let more = reply.flag()?;
    let next = reply.text()?;
    let next = match next.as_str() {
        _ if more => Some(Duration::ZERO),
        "" => None,
        next => Some(Duration::from_millis(next.parse().ok()?)),
    };
    Some((reaped, next))
}
