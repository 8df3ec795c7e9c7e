//! Metrics as a scraper would read them.

use metrics::{LocalRecorderGuard, set_default_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// Installs a recorder on this thread, for the rest of a test.
pub(super) struct Scraper {
    recorder: &'static PrometheusRecorder,
    _installed: LocalRecorderGuard<'static>,
}

impl Scraper {
    pub(super) fn install() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &[0.1, 1.0, 10.0])
            .expect("buckets")
            .build_recorder();
        // The guard borrows it; a test's few kilobytes stay.
        let recorder = Box::leak(Box::new(recorder));
        Self {
            recorder,
            _installed: set_default_local_recorder(recorder),
        }
    }

    pub(super) fn text(&self) -> String {
        self.recorder.handle().render()
    }

    /// The sample of this name and these labels, `le="1"` style; 0 if there is
    /// none.
    #[track_caller]
    pub(super) fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.text();
        let of_name = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("mcp_async_")?.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then_some(rest)
        });
        let mut found = of_name.filter(|sample| labels.iter().all(|label| sample.contains(label)));
        let Some(sample) = found.next() else {
            return 0.0;
        };
        assert_eq!(found.next(), None, "{name} {labels:?} is not one sample");
        let value = sample.rsplit(' ').next().expect("a value");
        value.parse().expect("a number")
    }
}
