//! Which tools there are: those that `inventory` collected, or those given by
//! hand. This is the only module that reads inventory (invariant 9).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use crate::descriptor::Descriptor;
use crate::tool::{AsyncTool, SharedTool};

/// A set of tools, sorted by name.
///
/// The builder of a server starts from [`Registry::from_inventory`]; give it
/// another one to choose the tools by hand.
#[derive(Clone, Default)]
pub struct Registry {
    tools: BTreeMap<&'static str, SharedTool>,
    duplicates: Vec<Duplicate>,
}

/// Two tools of one name.
#[derive(Debug, Clone)]
pub(crate) struct Duplicate {
    pub(crate) first: &'static Descriptor,
    pub(crate) second: &'static Descriptor,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "two tools are named `{}`: one at {}, one at {}; rename one with `#[async_tool(name = \"...\")]`",
            self.first.name, self.first.source, self.second.source
        )
    }
}

impl Registry {
    /// No tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every `#[async_tool]` that is linked into the program.
    ///
    /// A dependency crate that the program never names is not linked, and its
    /// tools are not found; `use that_crate as _;` links it.
    #[cfg(feature = "inventory")]
    pub fn from_inventory() -> Self {
        let mut registry = Self::new();
        for registration in inventory::iter::<submission::Registration> {
            registry.add((registration.share)().0);
        }
        registry
    }

    /// Adds a tool. The same tool added twice is one tool; another one of the
    /// same name is an error from the server's `build()`.
    #[must_use]
    pub fn with(mut self, tool: impl AsyncTool) -> Self {
        self.add(Arc::new(tool));
        self
    }

    /// The tools' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.tools.keys().copied()
    }

    pub(crate) fn add(&mut self, tool: SharedTool) {
        let second = tool.descriptor();
        match self.tools.entry(second.name) {
            Entry::Vacant(entry) => {
                entry.insert(tool);
            }
            Entry::Occupied(entry) => {
                if entry.get().tool_type() != tool.tool_type() {
                    self.duplicates.push(Duplicate {
                        first: entry.get().descriptor(),
                        second,
                    });
                }
            }
        }
    }

    pub(crate) fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    pub(crate) fn tools(&self) -> impl Iterator<Item = &SharedTool> {
        self.tools.values()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What expansions of `#[async_tool]` submit to `inventory`. Not public API.
#[cfg(feature = "inventory")]
pub(crate) mod submission {
    use super::{Arc, AsyncTool, SharedTool};

    #[doc(hidden)]
    pub struct Registration {
        pub(super) share: fn() -> Registered,
    }

    impl Registration {
        pub const fn new(share: fn() -> Registered) -> Self {
            Self { share }
        }
    }

    inventory::collect!(Registration);

    /// A tool whose types are forgotten.
    #[doc(hidden)]
    pub struct Registered(pub(super) SharedTool);

    #[doc(hidden)]
    pub fn registered<T: AsyncTool>(tool: T) -> Registered {
        Registered(Arc::new(tool))
    }
}
