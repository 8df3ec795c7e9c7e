//! What the tools of a server process did, line by line in a file that
//! survives the process.
//!
//! Each line is one write to a file that is only ever appended to, so the lines of
//! several processes are in the order in which they were written.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_tool::TaskContext;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The body of an attempt begins; the detail is its concurrency key.
    Began,
    /// It ends by itself, with a result.
    Ended,
    /// It ends by itself, with an error.
    Failed,
    /// It was dropped.
    Dropped,
    /// The body of a step runs; the detail is the step, as in the next two.
    StepRan,
    /// The step is recorded, as the tool has been told.
    StepRecorded,
    /// The step was refused, as the tool has been told.
    StepRefused,
    /// The process is about to be killed.
    Killed,
}

const EVENTS: [Event; 8] = [
    Event::Began,
    Event::Ended,
    Event::Failed,
    Event::Dropped,
    Event::StepRan,
    Event::StepRecorded,
    Event::StepRefused,
    Event::Killed,
];

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) event: Event,
    pub(crate) pid: u32,
    pub(crate) task: String,
    pub(crate) tool: String,
    pub(crate) attempt: u32,
    pub(crate) epoch: u64,
    pub(crate) detail: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} {} {} {} {} {} {}",
            self.event, self.pid, self.task, self.tool, self.attempt, self.epoch, self.detail
        )
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let event = words.next()?;
        Some(Self {
            event: EVENTS
                .into_iter()
                .find(|known| format!("{known:?}") == event)?,
            pid: words.next()?.parse().ok()?,
            task: words.next()?.to_owned(),
            tool: words.next()?.to_owned(),
            attempt: words.next()?.parse().ok()?,
            epoch: words.next()?.parse().ok()?,
            detail: words.next()?.to_owned(),
        })
    }
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    file: Arc<File>,
    path: PathBuf,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self {
            file: Arc::new(file.expect("the ledger opens")),
            path: path.to_owned(),
        }
    }

    /// Says that a process is about to be killed.
    pub(crate) fn kill(&self, pid: u32) {
        self.write(&Line {
            event: Event::Killed,
            pid,
            task: "-".to_owned(),
            tool: "-".to_owned(),
            attempt: 0,
            epoch: 0,
            detail: "-".to_owned(),
        });
    }

    pub(crate) fn note(&self, event: Event, task: &TaskContext, detail: &str) {
        self.write(&Line {
            event,
            pid: std::process::id(),
            task: task.id().to_string(),
            tool: task.tool().to_owned(),
            attempt: task.attempt(),
            epoch: task.epoch(),
            detail: detail.to_owned(),
        });
    }

    /// Says that the body of an attempt begins, and, when what is returned is
    /// dropped, that it was dropped, unless it has ended.
    pub(crate) fn begin(&self, task: &TaskContext, key: &str) -> Body {
        self.note(Event::Began, task, key);
        Body {
            ledger: self.clone(),
            task: task.clone(),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.path).expect("the ledger reads");
        text.lines()
            .map(|line| Line::parse(line).unwrap_or_else(|| panic!("no line: {line}")))
            .collect()
    }

    fn write(&self, line: &Line) {
        let text = line.to_string();
        let written = (&*self.file)
            .write(text.as_bytes())
            .expect("the ledger writes");
        assert_eq!(written, text.len(), "a line is one write");
    }
}

/// The body of an attempt.
pub(crate) struct Body {
    ledger: Ledger,
    task: TaskContext,
    ended: AtomicBool,
}

impl Body {
    pub(crate) fn end(&self, event: Event) {
        self.ended.store(true, Ordering::Relaxed);
        self.ledger.note(event, &self.task, "-");
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::Relaxed) {
            self.ledger.note(Event::Dropped, &self.task, "-");
        }
    }
}
