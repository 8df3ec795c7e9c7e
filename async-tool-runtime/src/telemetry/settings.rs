//! What an application says of metrics and alerts.

use std::sync::Arc;

use tokio::time::Instant;

use super::Telemetry;
use super::alert::{Alert, Watch};
use super::meters::Meters;
use super::names::Names;
use crate::builder::AsyncToolsBuilder;

/// What the builder keeps.
#[derive(Debug)]
pub(crate) struct Settings {
    prefix: String,
    alert: Alert,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: "mcp_async".to_owned(),
            alert: Alert::default(),
        }
    }
}

impl AsyncToolsBuilder {
    /// Sets what the names of all metrics begin with; `mcp_async` unless said
    /// otherwise. Letters, digits and underscores, at most 100.
    ///
    /// Metrics go to the recorder of the `metrics` facade that is installed when
    /// [`build`](Self::build) is called; install yours before. Two servers of one
    /// process that have different stores or namespaces want different prefixes,
    /// for both tell how much is queued.
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.telemetry.prefix = prefix.into();
        self
    }

    /// Sets when the server says that a tool fails too often, and to whom; above
    /// 5 % of failures in 5 minutes and at least 20 tasks, in log and metrics,
    /// unless said otherwise.
    pub fn alert(mut self, alert: Alert) -> Self {
        self.telemetry.alert = alert;
        self
    }
}

impl Settings {
    /// What is wrong with them.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.alert.problems();
        if !is_prefix(&self.prefix) {
            problems.push(format!(
                "`{}` cannot begin the names of metrics: 1 to 100 of a-z A-Z 0-9 _ can, and no \
                 digit first; see `.metrics_prefix(...)`",
                crate::progress::shortened(self.prefix.clone(), 100)
            ));
        }
        problems
    }

    /// Begins to tell of these tools, to the recorder that is installed now.
    pub(crate) fn start(self, tools: &[Arc<str>]) -> Telemetry {
        let names = Names::new(self.prefix);
        Telemetry {
            watch: Watch::new(self.alert, &names, tools, Instant::now()),
            meters: Meters::new(names.clone(), tools),
            names,
        }
    }
}

fn is_prefix(prefix: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=100).contains(&prefix.len())
        && prefix.bytes().all(fits)
        && !prefix.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_beginning_of_a_name() {
        for (prefix, fits) in [
            ("mcp_async", true),
            ("_x9", true),
            ("", false),
            ("9x", false),
            ("a-b", false),
            ("ä", false),
            (&*"x".repeat(101), false),
        ] {
            let settings = Settings {
                prefix: prefix.to_owned(),
                ..Settings::default()
            };
            assert_eq!(settings.problems().is_empty(), fits, "{prefix}");
        }
    }
}
