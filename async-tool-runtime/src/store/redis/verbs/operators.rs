//! What operators do: delete tasks, and count what is there.

use super::super::error::damaged;
use super::super::rows;
use super::super::script::{self, Reply};
use super::{Verbs, unexpected};
use crate::store::{Purged, QueueStats, SessionStats, Stats, StoreError};
use crate::task::{TaskId, Timestamp};

impl Verbs {
    pub(in super::super) async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        let arguments = self.arguments().text(&id.to_string());
        let (word, _) = self.ask(&script::PURGE, &arguments).await?;
        match word.as_str() {
            "none" => Ok(None),
            "unended" => Ok(Some(Purged::NotEnded)),
            "used" => Ok(Some(Purged::InUse)),
            "gone" => Ok(Some(Purged::Gone)),
            _ => Err(unexpected()),
        }
    }

    pub(in super::super) async fn stats(&self) -> Result<Stats, StoreError> {
        let answer = self.run(&script::STATS, &self.arguments()).await?;
        let stats = Reply::of(answer).and_then(stats);
        stats.ok_or_else(|| damaged("what is counted"))
    }
}

fn stats(mut reply: Reply) -> Option<Stats> {
    let mut stats = Stats::empty(Timestamp(reply.parsed()?));
    stats.running = reply.number()?;
    stats.records = reply.number()?;
    stats.notices = reply.number()?;
    for queue in reply.list()? {
        let mut queue = Reply::of(queue)?;
        let (tool, queued) = (queue.text()?, queue.number()?);
        let oldest = Timestamp(queue.parsed()?);
        stats.queues.push(QueueStats::new(tool, queued, oldest));
    }
    stats.queues.sort_by(|one, other| one.tool.cmp(&other.tool));
    for session in reply.list()? {
        let mut session = Reply::of(session)?;
        let kept = rows::kept(&session.text()?, &session.text()?)?;
        let beats = u64::try_from(kept.beats).ok()?;
        let owned = session.number()?;
        let session = SessionStats::new(kept.session, owned, beats, kept.lease);
        stats.sessions.push(session);
    }
    Some(stats)
}
