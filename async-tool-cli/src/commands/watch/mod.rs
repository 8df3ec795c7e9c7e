//! `watch`: follows tasks until somebody has seen enough.
//!
//! The store tells of changes, and what it does not tell of (progress inside of
//! a step, tasks that are created) is read again each interval.

mod board;
mod ear;
mod lines;
mod screen;
mod signals;

use std::io;

use async_tool_runtime::store::{Stats, StoreError};

use super::Place;
use crate::args::WatchArgs;
use crate::failure::{Failure, Verdict};
use crate::output::Out;
use board::{Board, Event};
use ear::Ear;
use lines::Lines;
use screen::Screen;
use signals::Signals;

/// What shows tasks as they change.
trait Show {
    /// What is there, and what happened since the last time.
    fn show(&mut self, board: &Board, stats: &Stats, events: &[Event]) -> io::Result<()>;

    /// The store did not answer, and will be asked again.
    fn trouble(&mut self, error: &StoreError) -> io::Result<()>;
}

pub(super) async fn run(
    place: &Place,
    args: &WatchArgs,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    let mut signals = Signals::listen()?;
    // A terminal that cannot overwrite gets lines, and so do pipes.
    if out.json || out.look.height.is_none() {
        let mut lines = Lines::new(out);
        tokio::select! {
            failure = follow(place, args, &mut lines) => Err(failure),
            () = signals.received() => Ok(Verdict::Well),
        }
    } else {
        let mut screen = Screen::enter(&place.namespace, out)?;
        let done = tokio::select! {
            failure = follow(place, args, &mut screen) => Err(failure),
            () = signals.received() => Ok(Verdict::Well),
        };
        screen.leave()?;
        done
    }
}

/// Until it fails.
async fn follow(place: &Place, args: &WatchArgs, show: &mut impl Show) -> Failure {
    let Err(failure) = try_follow(place, args, show).await;
    failure
}

async fn try_follow(
    place: &Place,
    args: &WatchArgs,
    show: &mut impl Show,
) -> Result<std::convert::Infallible, Failure> {
    // Before the first reading, so that what happens after it is heard of.
    let mut ear = Ear::new(&place.store);
    let mut board = Board::read(&*place.store, args.which.filter()).await?;
    loop {
        match board.refresh(&*place.store, ear.heard()).await {
            Ok((stats, events)) => {
                ear.forget();
                show.show(&board, &stats, &events)?;
            }
            Err(error) => show.trouble(&error)?,
        }
        ear.wait(args.interval).await;
    }
}
