//! `stats`: how much is queued, running and kept.

use async_tool_runtime::store::Stats;
use serde::Serialize;

use super::Place;
use crate::failure::{Failure, Verdict};
use crate::output::text::{clean, short};
use crate::output::{Cell, Column, Out, Table};
use crate::view::{Moment, session_text};

/// What is known of a namespace, to programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    namespace: &'a str,
    at: Moment,
    running: usize,
    queued: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_queued_at: Option<Moment>,
    records: usize,
    notices: usize,
    queues: Vec<QueueView<'a>>,
    sessions: Vec<SessionView>,
}

#[derive(Serialize)]
struct QueueView<'a> {
    tool: &'a str,
    queued: usize,
    oldest_at: Moment,
}

#[derive(Serialize)]
struct SessionView {
    session: String,
    owned: usize,
    beats: u64,
    lease_seconds: f64,
}

impl<'a> Document<'a> {
    pub(super) fn of(namespace: &'a str, stats: &'a Stats) -> Self {
        let queues = stats.queues.iter().map(|queue| QueueView {
            tool: &queue.tool,
            queued: queue.queued,
            oldest_at: Moment(queue.oldest),
        });
        let sessions = stats.sessions.iter().map(|session| SessionView {
            session: session_text(session.session),
            owned: session.owned,
            beats: session.beats,
            lease_seconds: session.lease.as_secs_f64(),
        });
        Self {
            namespace,
            at: Moment(stats.at),
            running: stats.running,
            queued: stats.queued(),
            oldest_queued_at: stats.oldest_queued().map(Moment),
            records: stats.records,
            notices: stats.notices,
            queues: queues.collect(),
            sessions: sessions.collect(),
        }
    }
}

pub(super) async fn run(place: &Place, out: &mut Out<'_>) -> Result<Verdict, Failure> {
    let stats = place.store.stats().await?;
    if out.json {
        out.json(&Document::of(&place.namespace, &stats))?;
        return Ok(Verdict::Well);
    }
    let oldest = stats.oldest_queued().map_or_else(String::new, |oldest| {
        format!(", the oldest for {}", short(stats.at.since(oldest)))
    });
    out.line(format_args!("namespace  {}", clean(&place.namespace)))?;
    out.line(format_args!("at         {}", stats.at))?;
    out.line(format_args!("running    {}", stats.running))?;
    out.line(format_args!("queued     {}{oldest}", stats.queued()))?;
    out.line(format_args!("kept       {}", stats.records))?;
    out.line(format_args!("notices    {}", stats.notices))?;
    if !stats.queues.is_empty() {
        out.line("")?;
        out.table(&queues(&stats))?;
    }
    if !stats.sessions.is_empty() {
        out.line("")?;
        out.table(&sessions(&stats))?;
    }
    Ok(Verdict::Well)
}

fn queues(stats: &Stats) -> Table {
    let mut table = Table::new([
        Column::cut_to("QUEUE", 12),
        Column::whole("TASKS"),
        Column::whole("OLDEST"),
    ]);
    for queue in &stats.queues {
        table.row([
            Cell::from(clean(&queue.tool).into_owned()),
            queue.queued.to_string().into(),
            short(stats.at.since(queue.oldest)).into(),
        ]);
    }
    table
}

fn sessions(stats: &Stats) -> Table {
    let mut table = Table::new([
        Column::whole("SESSION"),
        Column::whole("TASKS"),
        Column::whole("LEASE"),
    ]);
    for session in &stats.sessions {
        table.row([
            Cell::from(session_text(session.session)),
            session.owned.to_string().into(),
            short(session.lease).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, empty};
    use super::*;
    use crate::output::written;

    #[tokio::test]
    async fn what_is_there_is_counted() {
        let place = empty().await;
        place.ended("build", completed()).await;
        place.working("deploy").await;
        place.queued("build").await;
        place.queued("build").await;
        let (done, text) = written(true, async |out| run(&place, out).await).await;
        assert_eq!(done.expect("stats"), Verdict::Well);
        let document = text.document();
        assert_eq!(
            [
                &document["running"],
                &document["queued"],
                &document["records"]
            ],
            [1, 2, 4]
        );
        assert_eq!(document["queues"][0]["tool"], "build");
        assert_eq!(
            document["queues"][0]["oldest_at"],
            document["oldest_queued_at"]
        );
        assert_eq!(document["sessions"][0]["owned"], 1);
        assert_eq!(document["sessions"][0]["lease_seconds"], 15.0);

        let (_, text) = written(false, async |out| run(&place, out).await).await;
        assert!(
            text.out.contains("\nqueued     2, the oldest for "),
            "{}",
            text.out
        );
        assert!(text.out.contains("\nbuild  2      "), "{}", text.out);
    }
}
