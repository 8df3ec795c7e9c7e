//! The sessions of the file.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use super::error::Done;
use super::rows;
use super::statement;
use crate::store::sessions::{self, Kept, Verdict};
use crate::task::SessionId;

pub(super) type Observations = sessions::Observations<i64>;

/// The time as it goes on for whoever asked.
///
/// Taken by the caller, whose clock may be a paused one, and read in the
/// thread that carries out the call, perhaps much later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    asked: Instant,
    sent: std::time::Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            asked: Instant::now(),
            sent: std::time::Instant::now(),
        }
    }

    pub(super) fn by_now(self) -> Instant {
        self.asked + self.sent.elapsed()
    }
}

/// A renewal that is not written yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewal {
    pub(super) lease: Duration,
    pub(super) moment: Moment,
}

/// Looks at all sessions of a namespace. Those that the transaction has
/// `renewed` live on, whatever their rows say until it ends.
pub(super) fn look(
    observations: &mut Observations,
    connection: &Connection,
    ns: i64,
    moment: Moment,
    renewed: &HashMap<(i64, SessionId), Renewal>,
) -> Done<Verdict> {
    let from = moment.by_now();
    let mut statement = statement::prepare(
        connection,
        "SELECT session, beats, lease FROM sessions WHERE ns = ?1",
    )?;
    let mut rows = statement.query([ns])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(Kept {
            session: SessionId::from_bytes(row.get(0)?),
            beats: row.get(1)?,
            lease: Duration::from_millis(rows::number(row, 2)?),
        });
    }
    let mut verdict = observations.judge(ns, &sessions, from, moment.by_now());
    verdict
        .dead
        .retain(|kept| !renewed.contains_key(&(ns, kept.session)));
    // Some of them have no row yet.
    for ((of, _), renewal) in renewed {
        if *of == ns {
            verdict.lasts(renewal.lease);
        }
    }
    Ok(verdict)
}
