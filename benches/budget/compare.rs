//! Comparing two things on a machine whose speed drifts: in alternating
//! rounds, by the median of the ratios.

use std::time::{Duration, Instant};

use crate::support::BoxError;

/// How much work a comparison is.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) rounds: usize,
    /// Calls of each side in a round.
    pub(crate) calls: usize,
    /// Operations timed together, for what is shorter than the clock's own
    /// cost.
    pub(crate) batch: u32,
}

/// How many times as much the first thing is as the second.
pub(crate) struct Ratio {
    /// What the second thing is at its median.
    base: String,
    ratios: Vec<f64>,
}

impl Ratio {
    /// The quotients of all rounds, and their typical divisor.
    pub(crate) fn new(mut ratios: Vec<f64>, base: String) -> Self {
        ratios.sort_by(f64::total_cmp);
        Self { base, ratios }
    }
}

impl Rounds {
    /// Calls `subject` and `base` in turn; which is first changes every round.
    pub(crate) async fn compare(
        self,
        mut subject: impl AsyncFnMut() -> Result<(), BoxError>,
        mut base: impl AsyncFnMut() -> Result<(), BoxError>,
    ) -> Result<Ratio, BoxError> {
        let mut ratios = Vec::with_capacity(self.rounds);
        let mut bases = Vec::with_capacity(self.rounds);
        // One round more, which warms up and is not counted.
        for round in 0..=self.rounds {
            let (of_subject, of_base) = if round % 2 == 0 {
                let of_subject = self.p50(&mut subject).await?;
                (of_subject, self.p50(&mut base).await?)
            } else {
                let of_base = self.p50(&mut base).await?;
                (self.p50(&mut subject).await?, of_base)
            };
            if round > 0 {
                ratios.push(of_subject.as_secs_f64() / of_base.as_secs_f64());
                bases.push(of_base);
            }
        }
        bases.sort();
        Ok(Ratio::new(
            ratios,
            format!("{:.1?}", percentile(&bases, 50)),
        ))
    }

    async fn p50(
        self,
        call: &mut impl AsyncFnMut() -> Result<(), BoxError>,
    ) -> Result<Duration, BoxError> {
        let mut times = Vec::with_capacity(self.calls);
        for _ in 0..self.calls {
            let started = Instant::now();
            for _ in 0..self.batch {
                call().await?;
            }
            times.push(started.elapsed() / self.batch);
        }
        times.sort();
        Ok(percentile(&times, 50))
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratios = &self.ratios;
        let at = |share: usize| ratios[(ratios.len() - 1) * share / 100];
        write!(
            f,
            "{:.2} x ({:.2} to {:.2}) of {}",
            at(50),
            at(25),
            at(75),
            self.base
        )
    }
}

/// The value that `share` percent of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[Duration], share: usize) -> Duration {
    sorted[(sorted.len() * share).div_ceil(100).max(1) - 1]
}
