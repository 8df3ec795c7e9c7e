//! The tools of one server, ready to run.

mod prepare;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::descriptor::{Descriptor, Surface, Surfaces};
use crate::schema::{Checker, ToolSchemas};
use crate::tool::SharedTool;
pub(crate) use prepare::prepare;

/// The tools of one server, by name.
#[derive(Default)]
pub(crate) struct Catalog {
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
}

/// One tool with what is computed of it once.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) descriptor: &'static Descriptor,
    /// Through what it can be called.
    pub(crate) surfaces: Surfaces,
    pub(crate) tool: SharedTool,
    pub(crate) schemas: ToolSchemas,
    /// Checks a result against its own schema.
    pub(crate) output: Checker,
}

impl Entry {
    /// The plain tool that reads this tool's tasks.
    pub(crate) fn status_name(&self) -> String {
        self.plain(Descriptor::status_name, "task_status")
    }

    /// The plain tool that stops this tool's tasks.
    pub(crate) fn cancel_name(&self) -> String {
        self.plain(Descriptor::cancel_name, "task_cancel")
    }

    /// The plain tool that answers questions of this tool's tasks.
    pub(crate) fn respond_name(&self) -> String {
        self.plain(Descriptor::respond_name, "task_respond")
    }

    /// Whether a client without tasks of its own can follow this tool's tasks.
    pub(crate) fn has_plain_tools(&self) -> bool {
        self.surfaces.has(Surface::Family) || self.surfaces.has(Surface::Shared)
    }

    fn plain(&self, own: fn(&Descriptor) -> String, shared: &str) -> String {
        if self.surfaces.has(Surface::Family) {
            own(self.descriptor)
        } else {
            shared.to_owned()
        }
    }
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
