//! What operators ask.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Done;
use super::handle::{Handle, params};
use super::namespace::Namespace;
use super::{rows, text};
use crate::store::{QueueStats, SessionStats, Stats};
use crate::task::{SessionId, Timestamp};

/// All of it at one moment. Kinds: 0 numbers of records and notices, and the
/// time; 1 a queue; 2 a session. A session's row may outlive its last task for a
/// while.
const STATS: &str = "
    SELECT 0::smallint AS kind, NULL::text AS tool, NULL::uuid AS session,
      (SELECT coalesce(sum(c.records), 0)::bigint FROM @.counters c WHERE c.ns = $1) AS one,
      (SELECT count(*) FROM @.tasks t WHERE t.ns = $1 AND t.notice_due IS NOT NULL) AS two,
      @.now_ms() AS three, 0::bigint AS four
    UNION ALL
    SELECT 1::smallint, q.tool, NULL, q.queued, o.created_at, 0, 0
    FROM (SELECT t.tool, count(*) AS queued FROM @.tasks t
        WHERE t.ns = $1 AND t.status = 0 GROUP BY t.tool) q
      CROSS JOIN LATERAL (SELECT t.created_at FROM @.tasks t
        WHERE t.ns = $1 AND t.tool = q.tool AND t.status = 0 ORDER BY t.seq LIMIT 1) o
    UNION ALL
    SELECT 2::smallint, NULL, s.session, s.beats, s.lease, o.owned, o.running
    FROM (SELECT t.owner, count(*) AS owned, count(*) FILTER (WHERE t.status < 3) AS running
        FROM @.tasks t WHERE t.ns = $1 AND t.owner IS NOT NULL GROUP BY t.owner) o
      JOIN @.sessions s ON s.ns = $1 AND s.session = o.owner";

pub(super) async fn stats(namespace: &Namespace) -> Done<Stats> {
    namespace
        .handle
        .query(STATS, params![namespace.ns], read)
        .await
}

fn read(rows: &[Row]) -> Done<Stats> {
    let mut stats = Stats::empty(Timestamp(0));
    for row in rows {
        let kind: i16 = rows::get(row, 0)?;
        match kind {
            0 => {
                stats.records = amount(row, 3)?;
                stats.notices = amount(row, 4)?;
                stats.at = Timestamp(rows::number(row, 5)?);
            }
            1 => {
                let tool = text::read(rows::get(row, 1)?);
                let oldest = Timestamp(rows::number(row, 4)?);
                stats
                    .queues
                    .push(QueueStats::new(tool, amount(row, 3)?, oldest));
            }
            _ => {
                let session: Uuid = rows::get(row, 2)?;
                stats.running += amount(row, 6)?;
                stats.sessions.push(SessionStats::new(
                    SessionId::from_bytes(session.into_bytes()),
                    amount(row, 5)?,
                    rows::number(row, 3)?,
                    Duration::from_millis(rows::number(row, 4)?),
                ));
            }
        }
    }
    stats.queues.sort_by(|one, other| one.tool.cmp(&other.tool));
    Ok(stats)
}

fn amount(row: &Row, column: usize) -> Done<usize> {
    let amount: i64 = rows::get(row, column)?;
    Ok(usize::try_from(amount).unwrap_or(0))
}

/// The namespaces that have tasks.
pub(super) async fn namespaces(handle: &Handle) -> Done<Vec<String>> {
    let sql = "SELECT n.name FROM @.namespaces n WHERE \
         (SELECT coalesce(sum(c.records), 0) FROM @.counters c WHERE c.ns = n.ns) > 0";
    let mut names: Vec<String> = handle
        .query(sql, params![], |rows| {
            let names = rows.iter().map(|row| {
                let name = text::read(rows::get(row, 0)?);
                Ok(name.into_owned())
            });
            names.collect()
        })
        .await?;
    // The server has other texts for some of them.
    names.sort_unstable();
    Ok(names)
}
