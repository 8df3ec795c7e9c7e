//! What is watched, one line for each change: for programs, and for people
//! behind a pipe.

use std::io;

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{Stats, StoreError, TaskRecord, Timestamp};
use serde::Serialize;

use super::Show;
use super::board::{Board, Event};
use crate::failure::chain;
use crate::output::Out;
use crate::output::text::clean;
use crate::view::{Moment, TaskView, detail, paint};

pub(super) struct Lines<'a, 'b> {
    out: &'a mut Out<'b>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Document<'a> {
    Task { at: Moment, task: Box<TaskView<'a>> },
    Gone { at: Moment, task_id: TaskId },
    Error { message: String },
}

impl<'a, 'b> Lines<'a, 'b> {
    pub(super) fn new(out: &'a mut Out<'b>) -> Self {
        Self { out }
    }

    fn document(&mut self, event: &Event, now: Timestamp) -> io::Result<()> {
        let at = Moment(now);
        self.out.json(&match event {
            Event::Task(record) => Document::Task {
                at,
                task: Box::new(TaskView::of(record)),
            },
            Event::Gone(task_id) => Document::Gone {
                at,
                task_id: *task_id,
            },
        })
    }

    fn line(&mut self, event: &Event, now: Timestamp) -> io::Result<()> {
        match event {
            Event::Task(record) => {
                let line = self.about(record, now);
                self.out.line(line)
            }
            Event::Gone(id) => self.out.line(format_args!("{now}  {id}  gone")),
        }
    }

    fn about(&self, record: &TaskRecord, now: Timestamp) -> String {
        let status = self
            .out
            .look
            .paint(paint(record.status), record.status.as_str());
        let (tool, detail) = (clean(&record.tool), detail(record, now, true));
        let line = format!("{now}  {}  {tool}  {status}  {detail}", record.id);
        line.trim_end().to_owned()
    }
}

impl Show for Lines<'_, '_> {
    fn show(&mut self, _: &Board, stats: &Stats, events: &[Event]) -> io::Result<()> {
        for event in events {
            if self.out.json {
                self.document(event, stats.at)?;
            } else {
                self.line(event, stats.at)?;
            }
        }
        self.out.to.flush()
    }

    fn trouble(&mut self, error: &StoreError) -> io::Result<()> {
        let message = chain(error);
        if self.out.json {
            self.out.json(&Document::Error { message })?;
            return self.out.to.flush();
        }
        self.out
            .note(format_args!("error: {}; trying again", clean(&message)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use async_tool_runtime::store::{Filter, Owner};

    use super::super::super::testing::{empty, failed};
    use super::*;
    use crate::output::{Written, written};

    async fn shown(json: bool) -> (TaskId, Written) {
        let place = empty().await;
        let store = &*place.store;
        let mut board = Board::read(store, Filter::of(Owner::Anybody))
            .await
            .expect("a board");
        let id = place.ended("build", failed("no \x1b[2Jspace")).await;
        let gone = Event::Gone(id);
        let (stats, mut events) = board
            .refresh(store, &HashSet::from([id]))
            .await
            .expect("it");
        events.push(gone);
        let (_, text) = written(json, async |out| {
            let mut lines = Lines::new(out);
            lines.show(&board, &stats, &events).expect("shown");
            lines.trouble(&StoreError::new("away")).expect("shown");
        })
        .await;
        (id, text)
    }

    #[tokio::test]
    async fn programs_get_a_document_each() {
        let (id, text) = shown(true).await;
        let documents: Vec<serde_json::Value> = text
            .out
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let events: Vec<_> = documents.iter().map(|it| it["event"].as_str()).collect();
        assert_eq!(events, [Some("task"), Some("gone"), Some("error")]);
        assert_eq!(documents[0]["task"]["task_id"], id.to_string());
        assert_eq!(documents[1]["task_id"], id.to_string());
        assert_eq!(documents[2]["message"], "away");
    }

    #[tokio::test]
    async fn people_get_a_line_each() {
        let (id, text) = shown(false).await;
        let lines: Vec<&str> = text.out.lines().collect();
        let expected = format!("{id}  build  failed  tool_error: no \\u{{1b}}[2Jspace");
        assert!(lines[0].ends_with(&expected), "{}", lines[0]);
        assert!(lines[1].ends_with(&format!("{id}  gone")), "{}", lines[1]);
        assert_eq!(text.notes, "error: away; trying again\n");
    }
}
