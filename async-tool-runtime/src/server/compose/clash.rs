//! Tools of both sides that have the same name.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Names of ours that were also seen in an inner handler's list.
///
/// Our side keeps it and not the composition: an HTTP service may compose a
/// handler per session, or per request, and the log is to say it once.
#[derive(Debug, Default)]
pub(crate) struct ClashLog {
    // Only names of our own tools get here, so there is a bound (invariant 11).
    seen: Mutex<BTreeSet<String>>,
}

impl ClashLog {
    /// Logs those of the names that were not logged before.
    pub(super) fn record(&self, mut names: Vec<String>) {
        names.sort_unstable();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| seen.insert(name.clone()));
        drop(seen);
        if !names.is_empty() {
            tracing::error!(
                "{}; until then the handler's tools of these names are unreachable",
                NameClash { names }
            );
        }
    }
}

/// A handler has tools of the same names as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClash {
    pub(super) names: Vec<String>,
}

impl NameClash {
    /// The names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for NameClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wrapped handler and the async tools both have tools named ")?;
        for (i, name) in self.names.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        f.write_str(
            "; rename the handler's, or the async tool with \
             `#[async_tool(name = \"...\")]`, or one tool of its family with \
             `#[async_tool(names(initiate = \"...\", status = \"...\", cancel = \"...\"))]`",
        )
    }
}

impl std::error::Error for NameClash {}
