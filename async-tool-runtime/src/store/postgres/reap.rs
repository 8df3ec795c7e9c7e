//! `reap`.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Done;
use super::handle::params;
use super::namespace::{Namespace, format};
use super::rows;
use super::text::Sayings;
use crate::store::sessions::Kept;
use crate::store::{Change, Reaped};
use crate::task::SessionId;

/// How long slots of a concurrency key are kept that nobody holds.
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn reap(namespace: &Namespace, limit: usize) -> Done<Reaped> {
    let from = Instant::now();
    let sessions = namespace
        .handle
        .query(
            "SELECT session, beats, lease FROM @.sessions WHERE ns = $1",
            params![namespace.ns],
            |rows| rows.iter().map(read_session).collect::<Done<Vec<Kept>>>(),
        )
        .await?;
    let verdict = namespace
        .handle
        .sessions()
        .judge(namespace.ns, &sessions, from, Instant::now());
    let dead = verdict.dead.iter();
    let sayings = Sayings::get()?;
    let params = params![
        namespace.ns,
        format(),
        rows::count(limit),
        dead.clone()
            .map(|kept| rows::uuid(kept.session.to_bytes()))
            .collect::<Vec<_>>(),
        dead.map(|kept| kept.beats).collect::<Vec<_>>(),
        sayings.grows,
        sayings.requeued.clone(),
        sayings.interrupted.clone(),
        sayings.expired.clone(),
        rows::millis(IDLE),
    ];
    let mut reaped = namespace
        .handle
        .write(
            namespace.ns,
            "SELECT * FROM @.sweep($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params,
            read_reaped,
        )
        .await?;
    let next = [reaped.next, verdict.next].into_iter().flatten().min();
    reaped.next = next.map(|next| next.max(Duration::from_millis(1)));
    Ok(reaped)
}

fn read_session(row: &Row) -> Done<Kept> {
    let session: uuid::Uuid = rows::get(row, 0)?;
    Ok(Kept {
        session: SessionId::from_bytes(session.into_bytes()),
        beats: rows::get(row, 1)?,
        lease: Duration::from_millis(rows::number(row, 2)?),
    })
}

/// The kinds are those of `sweep`.
fn read_reaped(rows: &[Row]) -> Done<(Reaped, Vec<Change>)> {
    let (mut reaped, mut changes) = (Reaped::default(), Vec::new());
    for row in rows {
        let kind: i16 = rows::get(row, 0)?;
        let ids = match kind {
            0 => &mut reaped.requeued,
            1 => &mut reaped.interrupted,
            2 => &mut reaped.expired,
            3 => &mut reaped.purged,
            4 => {
                reaped.ready = true;
                continue;
            }
            5 => {
                let left: i64 = rows::get(row, 2)?;
                let left = Duration::from_millis(left.max(0).cast_unsigned());
                reaped.next = Some(reaped.next.map_or(left, |next| next.min(left)));
                continue;
            }
            7 => {
                reaped.notices = true;
                continue;
            }
            _ => {
                changes.push(Change::Queued);
                continue;
            }
        };
        let id = rows::id(row, 1)?;
        ids.push(id);
        changes.push(Change::Task(id));
    }
    Ok((reaped, changes))
}
