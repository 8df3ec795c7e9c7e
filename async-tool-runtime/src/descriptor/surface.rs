//! Through what a tool can be called, and by whom.

/// Through what a tool can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Surface {
    /// Plain tools, a family for each: `NAME_initiate`, `NAME_status`,
    /// `NAME_cancel`. Works with every client.
    Family,
    /// Plain tools: `NAME_initiate` for each, and one `task_status` and
    /// `task_cancel` for all. For servers with many tools.
    Shared,
    /// `NAME` itself, for the protocol's own tasks. A client that does not
    /// speak them waits for the end, or is refused; see [`Undeclared`].
    Native,
}

/// A set of [`Surface`]s.
///
/// ```
/// use async_tool_runtime::{Surface, Surfaces};
///
/// const BOTH: Surfaces = Surfaces::NONE.with(Surface::Family).with(Surface::Native);
/// assert!(BOTH.has(Surface::Native) && !BOTH.has(Surface::Shared));
/// assert_eq!(BOTH, [Surface::Native, Surface::Family].into());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Surfaces(u8);

impl Surfaces {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Adds a surface.
    #[must_use]
    pub const fn with(self, surface: Surface) -> Self {
        Self(self.0 | Self::bit(surface))
    }

    /// Whether a surface is in the set.
    pub const fn has(self, surface: Surface) -> bool {
        self.0 & Self::bit(surface) != 0
    }

    const fn bit(surface: Surface) -> u8 {
        match surface {
            Surface::Family => 1,
            Surface::Shared => 2,
            Surface::Native => 4,
        }
    }
}

impl From<Surface> for Surfaces {
    fn from(surface: Surface) -> Self {
        Self::NONE.with(surface)
    }
}

impl<const N: usize> From<[Surface; N]> for Surfaces {
    fn from(surfaces: [Surface; N]) -> Self {
        surfaces.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What a call of a tool's native surface comes to whose client does not speak
/// the protocol's tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undeclared {
    /// It waits for the end and answers with the result. When the client takes
    /// the call back, the task is cancelled.
    #[default]
    Wait,
    /// It is refused with the protocol's error for a missing capability.
    Reject,
}
