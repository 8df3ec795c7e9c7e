//! The tools of one server, ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::descriptor::Descriptor;
use crate::schema::{Checker, ToolSchemas};
use crate::tool::SharedTool;

/// The tools of one server, by name.
#[derive(Default)]
pub(crate) struct Catalog {
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
}

/// One tool with what is computed of it once.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) descriptor: &'static Descriptor,
    pub(crate) tool: SharedTool,
    pub(crate) schemas: ToolSchemas,
    /// Checks a result against its own schema.
    pub(crate) output: Checker,
}

impl Catalog {
    pub(crate) fn insert(&mut self, entry: Entry) {
        self.entries
            .insert(Arc::clone(&entry.name), Arc::new(entry));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        self.entries.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}
