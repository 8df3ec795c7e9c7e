//! Lists as statements take them: an array for each part.

use super::error::Done;
use super::handle::{Param, params};
use super::rows;
use super::text::{json, kept};
use crate::store::{LogLine, Report};

/// Numbers, times and texts of the last lines, and how many of a task's lines
/// are kept.
pub(super) fn log(lines: &[LogLine]) -> Vec<Param> {
    let mut columns = Lines::default();
    columns.add(lines);
    columns.params()
}

/// The reports in the order of their ids; their lines of the log: how many each
/// one has, and all of them; and the histories.
pub(super) fn reports(mut reports: Vec<Report>) -> Done<Vec<Param>> {
    // Those of one task stay as they are.
    reports.sort_by_key(|report| report.id);
    let mut progress = Vec::with_capacity(reports.len());
    let mut lines = Lines::default();
    let mut counts: Vec<i32> = Vec::with_capacity(reports.len());
    for report in &reports {
        progress.push(json(report.progress.as_ref())?);
        counts.push(lines.add(&report.log));
    }
    let mut params = params![
        reports
            .iter()
            .map(|report| rows::uuid(report.id.to_bytes()))
            .collect::<Vec<_>>(),
        numbers(&reports, |report| report.epoch.0),
        numbers(&reports, |report| report.number),
        progress,
        numbers(&reports, |report| report.revision),
        counts,
    ];
    params.extend(lines.params());
    let histories = reports.iter().map(|report| {
        let history = report.history.as_deref()?;
        Some(kept(history).into_owned())
    });
    params.extend(params![histories.collect::<Vec<Option<String>>>()]);
    Ok(params)
}

fn numbers(reports: &[Report], number: impl Fn(&Report) -> u64) -> Vec<i64> {
    reports
        .iter()
        .map(|report| rows::integer(number(report)))
        .collect()
}

#[derive(Default)]
struct Lines {
    numbers: Vec<i64>,
    ats: Vec<i64>,
    texts: Vec<String>,
}

impl Lines {
    /// Returns how many lines that are.
    fn add(&mut self, lines: &[LogLine]) -> i32 {
        let lines = &lines[lines.len().saturating_sub(LogLine::KEPT)..];
        for line in lines {
            self.numbers.push(rows::integer(line.number));
            self.ats.push(rows::integer(line.at.0));
            self.texts.push(kept(&line.text).into_owned());
        }
        i32::try_from(lines.len()).unwrap_or(i32::MAX)
    }

    fn params(self) -> Vec<Param> {
        params![
            self.numbers,
            self.ats,
            self.texts,
            rows::count(LogLine::KEPT),
        ]
    }
}
