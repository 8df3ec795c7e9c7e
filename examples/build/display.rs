//! Shows how far a build is: as a bar in a terminal, otherwise line by line.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use async_tool::client::{Snapshot, Status};
use indicatif::{ProgressBar, ProgressStyle};

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
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        if snapshot.status.is_terminal() {
            return;
        }
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

fn draw(bar: &ProgressBar, snapshot: &Snapshot) {
    let counted = snapshot.current.zip(snapshot.total);
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

fn line(snapshot: &Snapshot) -> String {
    let counted = snapshot.current.zip(snapshot.total);
    let count = counted.map(|(current, total)| format!("{current}/{total}"));
    let parts = [step(snapshot), count.unwrap_or_default(), message(snapshot)];
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Such as `[2/3] compile`.
fn step(snapshot: &Snapshot) -> String {
    match (&snapshot.step, snapshot.step_number, snapshot.step_count) {
        (Some(step), Some(number), Some(count)) => format!("[{number}/{count}] {step}"),
        (Some(step), ..) => step.clone(),
        _ if snapshot.status == Status::Queued => "waiting for its turn".to_owned(),
        _ => "starting".to_owned(),
    }
}

/// What is being done, and how long all of it may still take.
fn message(snapshot: &Snapshot) -> String {
    let message = snapshot.message.as_deref().unwrap_or_default();
    match snapshot.eta {
        Some(eta) => format!("(about {} s left) {message}", eta.as_secs()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_the_snapshot_says() {
        let mut snapshot = Snapshot::new(Status::Queued);
        assert_eq!(line(&snapshot), "waiting for its turn");
        snapshot.status = Status::Working;
        assert_eq!(line(&snapshot), "starting");
        snapshot.step = Some("compile".to_owned());
        (snapshot.step_number, snapshot.step_count) = (Some(2), Some(3));
        (snapshot.current, snapshot.total) = (Some(33), Some(80));
        snapshot.eta = Some(Duration::from_secs(21));
        snapshot.message = Some("compiling syn".to_owned());
        assert_eq!(
            line(&snapshot),
            "[2/3] compile 33/80 (about 21 s left) compiling syn"
        );
    }
}
