//! What is watched, on a terminal: a table that is drawn again.

use std::io;

use async_tool_runtime::store::{Stats, StoreError, TaskRecord, Timestamp};

use super::Show;
use super::board::{Board, Event};
use crate::failure::chain;
use crate::output::text::{bar, clean, count, percent, short};
use crate::output::{Cell, Column, Look, Out, Paint, Table};
use crate::view::{detail, paint, time};

/// Another screen than that of the shell, which comes back afterwards; and no
/// cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first line; the rest of a line, of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// Columns of a bar.
const BAR: usize = 12;

/// Below this an id is cut, for there is little room for what happens.
const WIDE: usize = 110;
const SHORT_ID: usize = 8;

pub(super) struct Screen<'a, 'b> {
    namespace: &'a str,
    out: &'a mut Out<'b>,
    /// What is shown now.
    frame: Vec<String>,
    has_left: bool,
}

impl<'a, 'b> Screen<'a, 'b> {
    pub(super) fn enter(namespace: &'a str, out: &'a mut Out<'b>) -> io::Result<Self> {
        write!(out.to, "{ENTER}")?;
        Ok(Self {
            namespace,
            out,
            frame: Vec::new(),
            has_left: false,
        })
    }

    /// Gives the shell its screen back, with what was shown last.
    pub(super) fn leave(mut self) -> io::Result<()> {
        self.restore()?;
        for line in &self.frame {
            writeln!(self.out.to, "{line}")?;
        }
        self.out.to.flush()
    }

    fn restore(&mut self) -> io::Result<()> {
        self.has_left = true;
        write!(self.out.to, "{LEAVE}")?;
        self.out.to.flush()
    }

    fn draw(&mut self) -> io::Result<()> {
        let mut text = HOME.to_owned();
        // No line end after the last: it would scroll a screen that is full.
        for (number, line) in self.frame.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            text.extend([end, line, CLEAR_LINE]);
        }
        text.push_str(CLEAR_REST);
        write!(self.out.to, "{text}")?;
        self.out.to.flush()
    }
}

/// Also where something fails.
impl Drop for Screen<'_, '_> {
    fn drop(&mut self) {
        if !self.has_left {
            // There is nobody left to tell.
            let _ = self.restore();
        }
    }
}

impl Show for Screen<'_, '_> {
    fn show(&mut self, board: &Board, stats: &Stats, _: &[Event]) -> io::Result<()> {
        // The window may have another size by now.
        let look = Look::of_stdout();
        self.frame = frame(self.namespace, board, stats, look);
        self.draw()
    }

    fn trouble(&mut self, error: &StoreError) -> io::Result<()> {
        let look = Look::of_stdout();
        let text = format!("error: {}; trying again", clean(&chain(error)));
        // What was known stays to be seen.
        let line = look.line(Paint::Bad, &text);
        match self.frame.first_mut() {
            Some(first) => *first = line,
            None => self.frame.push(line),
        }
        self.draw()
    }
}

fn frame(namespace: &str, board: &Board, stats: &Stats, look: Look) -> Vec<String> {
    let height = look.height.unwrap_or(24);
    let (unended, ended) = (board.unended(), board.ended());
    // Head, names of columns and what is left out take a line each.
    let room = height.saturating_sub(3);
    let shown = unended.len().min(room);
    let rows = unended.iter().chain(&ended).take(room);
    let mut frame = vec![look.line(Paint::Head, &head(namespace, stats))];
    frame.extend(table(rows.copied(), stats.at, look).lines(look));
    if shown < unended.len() {
        let rest = unended.len() - shown;
        frame.push(look.line(Paint::Faint, &format!("and {rest} more")));
    }
    if unended.is_empty() && ended.is_empty() {
        frame.push(look.line(Paint::Faint, "no tasks yet; Ctrl-C ends this"));
    }
    frame
}

fn head(namespace: &str, stats: &Stats) -> String {
    let oldest = stats.oldest_queued().map_or_else(String::new, |oldest| {
        format!(" (oldest {})", short(stats.at.since(oldest)))
    });
    format!(
        "{}: {} running, {} queued{oldest}, {} kept, {}",
        clean(namespace),
        stats.running,
        stats.queued(),
        stats.records,
        count(stats.sessions.len(), "session")
    )
}

fn table<'a>(tasks: impl Iterator<Item = &'a TaskRecord>, now: Timestamp, look: Look) -> Table {
    let mut table = Table::new([
        Column::whole("ID"),
        Column::cut_to("TOOL", 10),
        Column::whole("STATUS"),
        Column::whole("TIME"),
        Column::whole("PROGRESS"),
        Column::cut_to("DETAIL", 10),
    ]);
    for task in tasks {
        let mut id = task.id.to_string();
        if look.width.is_some_and(|width| width < WIDE) {
            id.truncate(SHORT_ID);
        }
        table.row([
            Cell::new(id, Paint::Faint),
            clean(&task.tool).into_owned().into(),
            Cell::new(task.status.as_str(), paint(task.status)),
            time(task, now).into(),
            progress(task),
            detail(task, now, false).into(),
        ]);
    }
    table
}

fn progress(task: &TaskRecord) -> Cell {
    let progress = task.progress.as_deref();
    let fraction = progress.and_then(|progress| progress.fraction);
    let text = match fraction {
        Some(fraction) if !task.status.is_terminal() => {
            format!("{} {:>5}", bar(fraction, BAR), percent(fraction))
        }
        _ => String::new(),
    };
    Cell::new(text, paint(task.status))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use async_tool_runtime::store::{Filter, Owner, ProgressState, Report};
    use console::measure_text_width;

    use super::super::super::testing::{empty, failed, task};
    use super::*;
    use crate::commands::Place;

    fn look(width: usize, height: usize) -> Look {
        Look {
            width: Some(width),
            height: Some(height),
            colour: false,
        }
    }

    async fn seen(place: &Place, look: Look) -> Vec<String> {
        let store = &*place.store;
        let mut board = Board::read(store, Filter::of(Owner::Anybody))
            .await
            .expect("a board");
        let (stats, _) = board
            .refresh(store, &HashSet::new())
            .await
            .expect("a reading");
        frame(&place.namespace, &board, &stats, look)
    }

    async fn busy() -> Place {
        let place = empty().await;
        place
            .ended(
                "build",
                failed("no \x1b[2Jspace left on the device, and a long story"),
            )
            .await;
        place.create(task("convert")).await;
        let (record, lease) = place.claim("convert").await;
        let progress: ProgressState = serde_json::from_value(serde_json::json!({
            "fraction": 0.41, "step": "読み込み", "message": "reading",
        }))
        .expect("progress");
        let report = Report::new(record.id, record.epoch, 1, progress, 2);
        place.store.beat(lease, vec![report]).await.expect("a beat");
        place
    }

    #[tokio::test]
    async fn what_works_is_above_what_has_ended() {
        let frame = seen(&busy().await, look(80, 24)).await;
        assert_eq!(frame[0], "default: 1 running, 0 queued, 2 kept, 1 session");
        assert!(
            frame[1].starts_with("ID        TOOL     STATUS"),
            "{}",
            frame[1]
        );
        assert!(
            frame[2].contains("[====>     ]  41 %  読み込み, reading"),
            "{}",
            frame[2]
        );
        assert!(frame[3].contains("tool_error: no \\u{1b}"), "{}", frame[3]);
        assert_eq!(frame.len(), 4);
    }

    #[tokio::test]
    async fn a_frame_fits_its_terminal() {
        let place = busy().await;
        for _ in 0..30 {
            place.queued("build").await;
        }
        for (width, height) in [(80, 24), (40, 10), (200, 50), (10, 4)] {
            let frame = seen(&place, look(width, height)).await;
            assert!(frame.len() <= height, "{width}x{height}: {}", frame.len());
            for line in &frame {
                assert!(measure_text_width(line) <= width, "{width}: {line}");
            }
        }
        let frame = seen(&place, look(80, 24)).await;
        assert_eq!(frame.last().map(String::as_str), Some("and 10 more"));
    }

    #[tokio::test]
    async fn nothing_is_said_to_be_nothing() {
        let frame = seen(&empty().await, look(80, 24)).await;
        assert_eq!(frame[2], "no tasks yet; Ctrl-C ends this");
    }
}
