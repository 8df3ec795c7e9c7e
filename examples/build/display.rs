//! Shows how far a build is: as a bar in a terminal, otherwise line by line.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::{Snapshot, Status};

/// In a log, a step that takes long is mentioned this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress is shown.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines {
        /// When the last line was written, and about which step.
        last: Option<(Instant, String)>,
    },
}

impl Display {
    /// Shows progress on standard error.
    pub(crate) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Bar(bar)
    }

    /// Shows a task that is under way.
    pub(crate) fn show<R>(&mut self, snapshot: &Snapshot<R>) {
        match self {
            Self::Bar(bar) => draw(bar, snapshot),
            Self::Lines { last } => {
                let step = step(snapshot);
                let due = last.as_ref().is_none_or(|(written, about)| {
                    *about != step || written.elapsed() >= LINE_EVERY
                });
                if due {
                    eprintln!("{}", line(snapshot));
                    *last = Some((Instant::now(), step));
                }
            }
        }
    }

    /// Removes the bar: there is nothing more to show.
    pub(crate) fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw<R>(bar: &ProgressBar, snapshot: &Snapshot<R>) {
    let counted = snapshot.progress.current.zip(snapshot.progress.total);
    let template = match counted {
        Some(_) => "{spinner} {prefix} [{bar:30}] {pos}/{len} {wide_msg}",
        None => "{spinner} {prefix} {wide_msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    if let Some((current, total)) = counted {
        bar.set_length(total);
        bar.set_position(current);
    }
    bar.set_prefix(step(snapshot));
    bar.set_message(message(snapshot));
}

fn line<R>(snapshot: &Snapshot<R>) -> String {
    let counted = snapshot.progress.current.zip(snapshot.progress.total);
    let count = counted.map(|(current, total)| format!("{current}/{total}"));
    let parts = [step(snapshot), count.unwrap_or_default(), message(snapshot)];
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Such as `[2/3] compile`.
fn step<R>(snapshot: &Snapshot<R>) -> String {
    let progress = &snapshot.progress;
    match (&progress.step, progress.step_number, progress.step_count) {
        (Some(step), Some(number), Some(count)) => format!("[{number}/{count}] {step}"),
        (Some(step), ..) => step.clone(),
        _ if snapshot.status == Status::Queued => "waiting for its turn".to_owned(),
        _ => "starting".to_owned(),
    }
}

/// What is being done, and how long all of it may still take.
fn message<R>(snapshot: &Snapshot<R>) -> String {
    match snapshot.eta_seconds {
        Some(seconds) => format!("(about {seconds} s left) {}", snapshot.message),
        None => snapshot.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(snapshot: Value, expected: &str) {
        let snapshot: Snapshot<()> = serde_json::from_value(snapshot).unwrap();
        assert_eq!(line(&snapshot), expected);
    }

    #[test]
    fn a_line_says_what_the_snapshot_says() {
        check(
            json!({
                "task_id": "7", "status": "working", "done": false, "message": "compiling syn",
                "progress": {
                    "current": 33, "total": 80, "fraction": 0.47,
                    "step": "compile", "step_number": 2, "step_count": 3,
                },
                "eta_seconds": 21, "poll_after_seconds": 8,
            }),
            "[2/3] compile 33/80 (about 21 s left) compiling syn",
        );
        check(
            json!({"task_id": "7", "status": "working", "done": false}),
            "starting",
        );
        check(
            json!({"task_id": "7", "status": "queued", "done": false}),
            "waiting for its turn",
        );
    }
}
