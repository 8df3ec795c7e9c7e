//! What is known of a tool before it runs: the data that `#[async_tool]` emits.

mod circuit;
mod surface;

use std::panic::Location;
use std::time::Duration;

pub use circuit::Circuit;
pub use surface::{Surface, Surfaces, Undeclared};

/// The static description of one tool.
///
/// `#[async_tool]` emits one; a tool written by hand builds its own:
///
/// ```
/// use std::time::Duration;
/// use async_tool_runtime::Descriptor;
///
/// static RENDER: Descriptor = Descriptor::new("render")
///     .description("Render a scene to a video.")
///     .timeout(Duration::from_secs(900))
///     .concurrency(2);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Descriptor {
    /// The tool's name; the family is named after it. 1 to 100 characters of
    /// `A-Z a-z 0-9 _ . -`, so that each name of the family fits the 128 that
    /// MCP recommends (specification 2026-07-28, server/tools).
    pub name: &'static str,
    /// A human-readable title.
    pub title: Option<&'static str>,
    /// What the tool does, for models to read.
    pub description: &'static str,
    /// How long one attempt may run. None: as long as the deadline allows.
    pub timeout: Option<Duration>,
    /// Upper bound, and default, of the caller's `max_wait_seconds`.
    pub max_wait: Option<Duration>,
    /// How long a finished task stays readable. None: the server's.
    pub retention: Option<Duration>,
    /// How many tasks of this tool one worker runs at once. None: the server's
    /// slots are the only limit.
    pub concurrency: Option<usize>,
    /// How many tasks of this tool all workers of a namespace run at once,
    /// together. None: as many as they have room for. A task has the limit of
    /// the version of the tool that accepted it.
    pub fleet_concurrency: Option<u32>,
    /// How many tasks of this tool may wait. None: the server's queue is the
    /// only limit.
    pub queue: Option<usize>,
    /// How long initiate waits for the end before it answers.
    pub inline: Option<Duration>,
    /// How long a task that was asked to stop may take to do so.
    pub cancel_grace: Duration,
    /// What becomes of a task whose worker died or shut down while executing
    /// it.
    pub on_interrupt: OnInterrupt,
    /// Whether, and how often, a task is started again whose function returned
    /// an error that says that this may help. None: such a task fails.
    pub retry: Option<Retry>,
    /// Which calls share a task. None: each has one of its own.
    pub dedupe: Option<Dedupe>,
    /// Which tasks must not run at the same time. None: the limits of the tool
    /// and of the server are the only ones.
    pub concurrency_key: Option<ConcurrencyKey>,
    /// When calls are refused because too many attempts have failed. None:
    /// never.
    pub circuit: Option<Circuit>,
    /// The tool may ask its caller questions
    /// ([`TaskContext::ask`](crate::TaskContext::ask)): the family has one more
    /// tool, which answers them.
    pub interactive: bool,
    /// Through what the tool can be called. None: what the server says.
    pub surfaces: Option<Surfaces>,
    /// What the native surface does for a client that does not speak tasks.
    pub undeclared: Undeclared,
    /// Names of the family's tools.
    pub names: Names,
    /// Hints about the tool's effects.
    pub annotations: Annotations,
    /// Where the tool was declared.
    pub source: &'static Location<'static>,
}

/// Names of a family's tools; what is left out is derived from the tool's name.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Names {
    /// Instead of `NAME_initiate`.
    pub initiate: Option<&'static str>,
    /// Instead of `NAME_status`.
    pub status: Option<&'static str>,
    /// Instead of `NAME_cancel`.
    pub cancel: Option<&'static str>,
    /// Instead of `NAME_respond`.
    pub respond: Option<&'static str>,
}

impl Names {
    /// No name changed.
    pub const fn new() -> Self {
        Self {
            initiate: None,
            status: None,
            cancel: None,
            respond: None,
        }
    }

    /// Names the tool that starts a task.
    #[must_use]
    pub const fn initiate(mut self, name: &'static str) -> Self {
        self.initiate = Some(name);
        self
    }

    /// Names the tool that reads a task.
    #[must_use]
    pub const fn status(mut self, name: &'static str) -> Self {
        self.status = Some(name);
        self
    }

    /// Names the tool that cancels a task.
    #[must_use]
    pub const fn cancel(mut self, name: &'static str) -> Self {
        self.cancel = Some(name);
        self
    }

    /// Names the tool that answers a task's questions.
    #[must_use]
    pub const fn respond(mut self, name: &'static str) -> Self {
        self.respond = Some(name);
        self
    }
}

/// Hints about what a tool does to the world, as MCP defines them
/// (`ToolAnnotations`). They apply to the initiate tool of the family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Annotations {
    /// The tool changes nothing.
    pub read_only: Option<bool>,
    /// The tool may destroy something.
    pub destructive: Option<bool>,
    /// Repeating a call with the same arguments has no further effect.
    pub idempotent: Option<bool>,
    /// The tool deals with the world outside.
    pub open_world: Option<bool>,
}

impl Annotations {
    /// No hint given.
    pub const fn new() -> Self {
        Self {
            read_only: None,
            destructive: None,
            idempotent: None,
            open_world: None,
        }
    }

    /// Hints whether the tool changes nothing.
    #[must_use]
    pub const fn read_only(mut self, value: bool) -> Self {
        self.read_only = Some(value);
        self
    }

    /// Hints whether the tool may destroy something.
    #[must_use]
    pub const fn destructive(mut self, value: bool) -> Self {
        self.destructive = Some(value);
        self
    }

    /// Hints whether repeating a call has no further effect.
    #[must_use]
    pub const fn idempotent(mut self, value: bool) -> Self {
        self.idempotent = Some(value);
        self
    }

    /// Hints whether the tool deals with the world outside.
    #[must_use]
    pub const fn open_world(mut self, value: bool) -> Self {
        self.open_world = Some(value);
        self
    }
}

/// What becomes of a task whose worker died or shut down while executing it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnInterrupt {
    /// The task fails as `interrupted`: nobody knows how far it came, and it
    /// may have had effects.
    #[default]
    Fail,
    /// The task is started again, as long as it has been started fewer times
    /// than the limit: [`Retry::attempts`], or else
    /// [`Descriptor::DEFAULT_ATTEMPTS`]. After that it fails as `interrupted`.
    ///
    /// For functions that may be repeated, and repeated from any point.
    Retry,
}

/// How often, and after which pause, a task is started again whose function
/// returned an error that says that this may help
/// ([`ToolError::with_retryable`](crate::ToolError::with_retryable)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often a task is started at most. All starts count, the first
    /// included, and those after an interruption too; 0 is the same as 1,
    /// which is no repetition.
    pub attempts: u32,
    /// The pause before the second start; each further one is twice as long
    /// as the one before. 1 s, unless said otherwise. The task waits in the
    /// queue and takes no slot. The end of the pause is a moment on the store's
    /// wall clock, as the deadline is: who sets that clock back prolongs it.
    pub backoff: Duration,
    /// The longest pause. 60 s, unless said otherwise.
    pub max_backoff: Duration,
}

impl Retry {
    /// The pause before the second start, unless said otherwise.
    pub const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
    /// The longest pause, unless said otherwise.
    pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(60);

    /// At most so many starts, the first included.
    pub const fn new(attempts: u32) -> Self {
        Self {
            attempts,
            backoff: Self::DEFAULT_BACKOFF,
            max_backoff: Self::DEFAULT_MAX_BACKOFF,
        }
    }

    /// Sets [`backoff`](Self::backoff).
    #[must_use]
    pub const fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets [`max_backoff`](Self::max_backoff).
    #[must_use]
    pub const fn max_backoff(mut self, max_backoff: Duration) -> Self {
        self.max_backoff = max_backoff;
        self
    }
}

/// Which calls of a tool share a task. Only calls of one principal ever do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dedupe {
    /// A call with the same arguments as a task that has not ended joins that
    /// task. Whoever cancels it cancels it for all who share it.
    Arguments,
}

/// Which tasks must not run at the same time: those that have the same values
/// of some arguments.
///
/// It counts over all tools of the group and over all workers of the
/// namespace. A task whose turn has not come waits in the queue.
///
/// ```
/// use async_tool_runtime::ConcurrencyKey;
///
/// // One deployment at a time of each service, by whichever tool.
/// const KEY: ConcurrencyKey = ConcurrencyKey::new("service", &["environment", "service"]);
/// assert_eq!(KEY.limit, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyKey {
    /// What the tools have in common that share the limit; `#[async_tool]`
    /// gives the tool's own name, unless said otherwise. 1 to 100 characters of
    /// `A-Z a-z 0-9 _ . -`, as in such a name. Tools of one group should name
    /// the same arguments and the same limit.
    pub group: &'static str,
    /// Names of the arguments whose values are compared, as clients see them.
    pub arguments: &'static [&'static str],
    /// How many of these tasks run at once. 1, unless said otherwise.
    pub limit: u32,
}

impl ConcurrencyKey {
    /// One task at a time for the same values of these arguments.
    pub const fn new(group: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            group,
            arguments,
            limit: 1,
        }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

impl Descriptor {
    /// How long a task that was asked to stop may take, unless said otherwise.
    pub const DEFAULT_CANCEL_GRACE: Duration = Duration::from_secs(10);
    /// How often a task is started at most that is started again after an
    /// interruption, unless [`retry`](Self::retry) says otherwise.
    pub const DEFAULT_ATTEMPTS: u32 = 3;

    /// A tool of this name, declared where this is called, without options.
    #[track_caller]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            title: None,
            description: "",
            timeout: None,
            max_wait: None,
            retention: None,
            concurrency: None,
            fleet_concurrency: None,
            queue: None,
            inline: None,
            cancel_grace: Self::DEFAULT_CANCEL_GRACE,
            on_interrupt: OnInterrupt::Fail,
            retry: None,
            dedupe: None,
            concurrency_key: None,
            circuit: None,
            interactive: false,
            surfaces: None,
            undeclared: Undeclared::Wait,
            names: Names::new(),
            annotations: Annotations::new(),
            source: Location::caller(),
        }
    }

    /// Sets [`title`](Self::title).
    #[must_use]
    pub const fn title(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// Sets [`description`](Self::description).
    #[must_use]
    pub const fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets [`max_wait`](Self::max_wait).
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = Some(max_wait);
        self
    }

    /// Sets [`retention`](Self::retention).
    #[must_use]
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub const fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Sets [`fleet_concurrency`](Self::fleet_concurrency).
    #[must_use]
    pub const fn fleet_concurrency(mut self, fleet_concurrency: u32) -> Self {
        self.fleet_concurrency = Some(fleet_concurrency);
        self
    }

    /// Sets [`queue`](Self::queue).
    #[must_use]
    pub const fn queue(mut self, queue: usize) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets [`inline`](Self::inline).
    #[must_use]
    pub const fn inline(mut self, inline: Duration) -> Self {
        self.inline = Some(inline);
        self
    }

    /// Sets [`cancel_grace`](Self::cancel_grace).
    #[must_use]
    pub const fn cancel_grace(mut self, cancel_grace: Duration) -> Self {
        self.cancel_grace = cancel_grace;
        self
    }

    /// Sets [`on_interrupt`](Self::on_interrupt).
    #[must_use]
    pub const fn on_interrupt(mut self, on_interrupt: OnInterrupt) -> Self {
        self.on_interrupt = on_interrupt;
        self
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets [`dedupe`](Self::dedupe).
    #[must_use]
    pub const fn dedupe(mut self, dedupe: Dedupe) -> Self {
        self.dedupe = Some(dedupe);
        self
    }

    /// Sets [`concurrency_key`](Self::concurrency_key).
    #[must_use]
    pub const fn concurrency_key(mut self, concurrency_key: ConcurrencyKey) -> Self {
        self.concurrency_key = Some(concurrency_key);
        self
    }

    /// Sets [`circuit`](Self::circuit).
    #[must_use]
    pub const fn circuit(mut self, circuit: Circuit) -> Self {
        self.circuit = Some(circuit);
        self
    }

    /// Sets [`interactive`](Self::interactive).
    #[must_use]
    pub const fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Sets [`surfaces`](Self::surfaces).
    #[must_use]
    pub const fn surfaces(mut self, surfaces: Surfaces) -> Self {
        self.surfaces = Some(surfaces);
        self
    }

    /// Sets [`undeclared`](Self::undeclared).
    #[must_use]
    pub const fn undeclared(mut self, undeclared: Undeclared) -> Self {
        self.undeclared = undeclared;
        self
    }

    /// Sets [`names`](Self::names).
    #[must_use]
    pub const fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Sets [`annotations`](Self::annotations).
    #[must_use]
    pub const fn annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = annotations;
        self
    }

    /// How often a task is started at most whose worker died or shut down
    /// while executing it: once where [`on_interrupt`](Self::on_interrupt)
    /// says that it fails.
    pub fn max_attempts(&self) -> u32 {
        match self.on_interrupt {
            OnInterrupt::Fail => 1,
            OnInterrupt::Retry => self
                .retry
                .map_or(Self::DEFAULT_ATTEMPTS, |retry| retry.attempts.max(1)),
        }
    }

    /// The name of the tool that starts a task.
    pub fn initiate_name(&self) -> String {
        self.family_name(self.names.initiate, "initiate")
    }

    /// The name of the tool that reads a task.
    pub fn status_name(&self) -> String {
        self.family_name(self.names.status, "status")
    }

    /// The name of the tool that cancels a task.
    pub fn cancel_name(&self) -> String {
        self.family_name(self.names.cancel, "cancel")
    }

    /// The name of the tool that answers a task's questions.
    pub fn respond_name(&self) -> String {
        self.family_name(self.names.respond, "respond")
    }

    fn family_name(&self, given: Option<&str>, verb: &str) -> String {
        given.map_or_else(|| format!("{}_{verb}", self.name), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_task_is_started_again_only_where_the_tool_says_so() {
        let silent = Descriptor::new("silent");
        assert_eq!(silent.max_attempts(), 1);
        let errors_only = silent.clone().retry(Retry::new(5));
        assert_eq!(errors_only.max_attempts(), 1);
        let interruptions = silent.on_interrupt(OnInterrupt::Retry);
        assert_eq!(interruptions.max_attempts(), Descriptor::DEFAULT_ATTEMPTS);
        let both = errors_only.on_interrupt(OnInterrupt::Retry);
        assert_eq!(both.max_attempts(), 5);
    }
}
