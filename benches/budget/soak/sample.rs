//! What is measured while the load is on.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::caller::Tally;
use crate::disk;
use crate::restart::log;
use crate::support::BoxError;

/// The server at one moment; sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) resident: u64,
    pub(super) file: u64,
    pub(super) log: u64,
    /// Tasks that have ended so far.
    pub(super) ended: u64,
}

impl Sample {
    pub(super) fn take(
        at: Duration,
        pid: u32,
        file: &Path,
        tally: &Tally,
    ) -> Result<Self, BoxError> {
        Ok(Self {
            at,
            resident: resident(pid)?,
            file: disk::size(file),
            log: disk::size(&log(file)),
            ended: tally.ended(),
        })
    }
}

/// The memory of a process that is not swapped out.
fn resident(pid: u32) -> Result<u64, BoxError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
        .ok_or("this system does not tell the memory of a process")?;
    Ok(kibibytes.parse::<u64>()? * 1024)
}

/// All samples, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<Sample>);

/// Means of two quarters of the time.
pub(super) struct Growth {
    pub(super) second: f64,
    pub(super) last: f64,
}

impl Series {
    pub(super) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The first quarter is left out: until retention is over everything grows.
    pub(super) fn growth(&self, figure: impl Fn(&Sample) -> u64) -> Growth {
        let quarter = self.0.len() / 4;
        let mean = |samples: &[Sample]| {
            let sum: u64 = samples.iter().map(&figure).sum();
            #[expect(clippy::cast_precision_loss, reason = "for people to read")]
            let mean = sum as f64 / samples.len().max(1) as f64;
            mean
        };
        Growth {
            second: mean(&self.0[quarter..2 * quarter]),
            last: mean(&self.0[self.0.len() - quarter..]),
        }
    }

    pub(super) fn csv(&self) -> String {
        let mut csv = String::from("seconds,resident,file,log,ended\n");
        for sample in &self.0 {
            let Sample {
                at,
                resident,
                file,
                log,
                ended,
            } = sample;
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{},{resident},{file},{log},{ended}", at.as_secs());
        }
        csv
    }
}
