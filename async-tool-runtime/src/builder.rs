//! Configuring a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, prepare};
use crate::descriptor::{OnInterrupt, Surface, Surfaces};
use crate::engine::{Clock, Config, Engine};
use crate::registry::Registry;
use crate::server::{
    AsyncTools, Families, PrincipalRule, Request, ServerIdentity, Subscribers, TaskList, ToolServer,
};
use crate::state::StateMap;
use crate::store::{MemoryStore, OpenStore};
use crate::task::Principal;
use crate::telemetry::Settings;
use crate::tool::AsyncTool;

/// Configures an [`AsyncTools`] server; see [`AsyncTools::builder`].
///
/// Everything has a default: without any call, `build()` finds every
/// `#[async_tool]` of the program and keeps its tasks in memory.
#[must_use]
pub struct AsyncToolsBuilder {
    registry: Option<Registry>,
    more_tools: Registry,
    state: StateMap,
    twice: Vec<&'static str>,
    store: Option<Box<dyn OpenStore>>,
    namespace: String,
    config: Config,
    clock: Option<Clock>,
    principal: PrincipalRule,
    identity: ServerIdentity,
    surfaces: Surfaces,
    pub(crate) telemetry: Settings,
    #[cfg(feature = "webhook")]
    webhooks: Option<crate::webhook::Webhooks>,
}

impl Default for AsyncToolsBuilder {
    fn default() -> Self {
        Self {
            registry: None,
            more_tools: Registry::new(),
            state: StateMap::default(),
            twice: Vec::new(),
            store: None,
            namespace: "default".to_owned(),
            config: Config::default(),
            clock: None,
            principal: PrincipalRule::default(),
            identity: ServerIdentity::default(),
            surfaces: Surface::Family.into(),
            telemetry: Settings::default(),
            #[cfg(feature = "webhook")]
            webhooks: None,
        }
    }
}

impl AsyncToolsBuilder {
    /// Adds a tool by hand, beside those of the registry.
    pub fn tool(mut self, tool: impl AsyncTool) -> Self {
        self.more_tools.add(Arc::new(tool));
        self
    }

    /// Publishes the tools of this registry instead of every `#[async_tool]`
    /// of the program.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Provides a value that tools borrow as `&T`. There is one of each type.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        if !self.state.insert(value) {
            self.twice.push(std::any::type_name::<T>());
        }
        self
    }

    /// Sets where tasks are kept; in memory unless said otherwise.
    pub fn store(mut self, store: impl OpenStore) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Sets the part of the store that this server shares with equivalent
    /// ones; `default` unless said otherwise.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets through what tools can be called that do not say so themselves: one
    /// [`Surface`] or several; [`Surface::Family`] unless said otherwise.
    ///
    /// ```
    /// # use async_tool_runtime::{AsyncTools, Surface};
    /// let tools = AsyncTools::builder().surface([Surface::Family, Surface::Native]);
    /// ```
    pub fn surface(mut self, surfaces: impl Into<Surfaces>) -> Self {
        self.surfaces = surfaces.into();
        self
    }

    /// Sets how many tasks run at once; 50 unless said otherwise. With 0 the
    /// server accepts tasks and executes none.
    pub fn slots(mut self, slots: usize) -> Self {
        self.config.slots = slots;
        self
    }

    /// Sets how many tasks may wait; 1000 unless said otherwise. Further calls
    /// are refused as `overloaded`.
    pub fn queue(mut self, queue: usize) -> Self {
        self.config.queue = queue;
        self
    }

    /// Sets the deadline of tasks for which neither the caller nor the tool
    /// sets one; 24 hours unless said otherwise.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.config.max_age = max_age;
        self
    }

    /// Sets how long ended tasks stay readable; 24 hours unless said
    /// otherwise.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.config.retention = retention;
        self
    }

    /// Sets how long a status call waits at most; 50 seconds unless said
    /// otherwise, since many clients give up on a call after 60.
    pub fn max_wait_per_call(mut self, cap: Duration) -> Self {
        self.config.wait_cap = cap;
        self
    }

    /// Sets how long running tasks may go on at shutdown; 20 seconds unless
    /// said otherwise.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.config.drain = drain;
        self
    }

    /// Sets for how long a worker that does not report is taken for alive; 15
    /// seconds unless said otherwise. It reports three times in each.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// Sets how large the arguments of a call may be, in bytes of JSON; 1 MiB
    /// unless said otherwise.
    pub fn max_argument_bytes(mut self, bytes: usize) -> Self {
        self.config.max_arguments = bytes;
        self
    }

    /// Sets how large a result may be, in bytes of JSON; 4 MiB unless said
    /// otherwise.
    pub fn max_result_bytes(mut self, bytes: usize) -> Self {
        self.config.max_result = bytes;
        self
    }

    /// Sets how many calls may wait at the same time; 10 000 unless said
    /// otherwise. Further ones are answered at once.
    pub fn max_waiting_calls(mut self, calls: usize) -> Self {
        self.config.max_waiters = calls;
        self
    }

    /// Sets how many tasks may be subscribed to at the same time, counting each
    /// subscriber; 10 000 unless said otherwise. Further subscriptions are
    /// refused. A single connection has 256 of them at most.
    pub fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.config.max_subscriptions = subscriptions;
        self
    }

    /// Says how to find on whose behalf a request is made, for instance from
    /// the HTTP request's verified token. A task belongs to the principal that
    /// initiated it; for everybody else it does not exist.
    ///
    /// ```
    /// # use async_tool_runtime::{AsyncTools, Principal};
    /// AsyncTools::builder().principal(|request| {
    ///     // Put there by the authentication middleware.
    ///     request.http()?.extensions.get::<Principal>().cloned()
    /// });
    /// ```
    pub fn principal(
        mut self,
        find: impl Fn(Request<'_>) -> Option<Principal> + Send + Sync + 'static,
    ) -> Self {
        self.principal.find = Some(Arc::new(find));
        self
    }

    /// Refuses requests for which no principal is found.
    pub fn require_principal(mut self) -> Self {
        self.principal.required = true;
        self
    }

    /// Sets how many tasks of each principal run at once, over all tools and all
    /// workers of the namespace; as many as there is room for unless said
    /// otherwise. Further ones wait in the queue. A task that waits for an answer
    /// of its caller counts as one that runs. Tasks without a principal have no
    /// such limit.
    pub fn running_per_principal(mut self, tasks: u32) -> Self {
        self.config.per_principal.running = Some(tasks);
        self
    }

    /// Sets how many tasks of each principal may wait, over all workers of the
    /// namespace; as many as the queue has room for unless said otherwise.
    /// Further calls are refused as `overloaded`. Tasks without a principal have
    /// no such limit.
    pub fn queued_per_principal(mut self, tasks: usize) -> Self {
        self.config.per_principal.queued = Some(tasks);
        self
    }

    /// Sets how many calls that start a task each principal may make in a minute
    /// of this server; as many as it likes unless said otherwise. So many may
    /// come at once, and then one every `60 / calls` seconds. Further ones are
    /// refused as `overloaded`.
    ///
    /// Each server of a namespace counts by itself: with three behind a load
    /// balancer, a principal may make three times as many. All calls without a
    /// principal count as those of one. Of 10 000 principals within a minute each
    /// has calls of its own; all further ones share those of one. A call whose
    /// idempotency key is known, or that joins an equal task, counts and is never
    /// refused. A call counts as well that is then refused for want of room in a
    /// queue; one that is refused by an open [`Circuit`](crate::Circuit), or
    /// during a shutdown, does not.
    pub fn initiations_per_minute(mut self, calls: u32) -> Self {
        self.config.per_principal.initiations_per_minute = Some(calls);
        self
    }

    /// Says that all requests are made by one user, as on stdio: then the
    /// tool `task_list` is published without principals, and tools may have the
    /// option `dedupe`.
    pub fn single_user(mut self) -> Self {
        self.config.single_user = true;
        self
    }

    /// Sets the name and version that the server tells its clients; those of
    /// this crate unless said otherwise.
    pub fn server_info(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.identity.info = Some((name.into(), version.into()));
        self
    }

    /// Sets the instructions that the server gives to models.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.identity.instructions = Some(instructions.into());
        self
    }

    /// Sets who is told of the end of tasks, and of their questions; nobody
    /// unless said otherwise. See [`webhook`](crate::webhook).
    #[cfg(feature = "webhook")]
    pub fn webhooks(mut self, webhooks: crate::webhook::Webhooks) -> Self {
        self.webhooks = Some(webhooks);
        self
    }

    /// Sets webhooks that are carried otherwise than by HTTP.
    #[cfg(all(test, feature = "webhook"))]
    pub(crate) fn hooks(mut self, hooks: crate::webhook::Hooks) -> Self {
        self.config.webhooks = Some(Arc::new(hooks));
        self
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Starts the server: from here on it executes what is queued in its
    /// store. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BuildError`] lists everything that is wrong at once: no tools, two
    /// tools of one name, state that a tool borrows and nobody provided,
    /// schemas that cannot be published, a store that cannot be opened.
    pub async fn build(
        #[cfg_attr(not(feature = "webhook"), allow(unused_mut, reason = "nobody is told"))]
        mut self,
    ) -> Result<AsyncTools, BuildError> {
        let mut problems = Vec::new();
        #[cfg(feature = "webhook")]
        match self.webhooks.take().map(crate::webhook::Webhooks::prepare) {
            Some(Ok(hooks)) => self.config.webhooks = Some(Arc::new(hooks)),
            Some(Err(found)) => problems.extend(found),
            None => {}
        }
        let mut registry = self.registry.unwrap_or_else(default_registry);
        for tool in self.more_tools.tools() {
            registry.add(Arc::clone(tool));
        }
        problems.extend(registry.duplicates().iter().map(ToString::to_string));
        problems.extend(self.more_tools.duplicates().iter().map(ToString::to_string));
        if registry.names().next().is_none() {
            problems.push(NO_TOOLS.to_owned());
        }
        problems.extend(self.twice.iter().map(|name| {
            format!(
                "`.state(...)` was given two values of type `{name}`; wrap one in a type of its own"
            )
        }));
        if self.config.lease < SHORTEST_LEASE {
            problems.push(format!(
                "a lease of less than {SHORTEST_LEASE:?} cannot be kept; raise `.lease(...)`"
            ));
        }
        let finds_principals = self.principal.find.is_some();
        problems.extend(self.config.per_principal.problems(finds_principals));

        problems.extend(self.telemetry.problems());

        let mut catalog = Catalog::default();
        let mut missing = Vec::new();
        for tool in registry.tools() {
            for borrow in tool.borrows() {
                if !self.state.provides(borrow) {
                    missing.push((tool.descriptor().name, borrow.type_name()));
                }
            }
            match prepare(tool, self.surfaces) {
                Ok(entry) => catalog.insert(entry),
                Err(found) => problems.extend(found),
            }
        }
        if self.principal.find.is_none() && !self.config.single_user {
            problems.extend(
                catalog
                    .iter()
                    .filter(|entry| entry.descriptor.dedupe.is_some())
                    .map(|entry| {
                        format!(
                            "the tool `{}` has `dedupe`, but whose calls are equal? \
                         Say how to find the caller with `.principal(...)`, or that there is one \
                         with `.single_user()`",
                            entry.name
                        )
                    }),
            );
        }
        problems.extend(missing.iter().map(|(tool, name)| {
            format!(
                "the tool `{tool}` borrows `&{name}`, which nobody provided; \
                 add `.state(value)` with a value of that type"
            )
        }));
        let list = TaskList::of(&catalog, &self.principal, self.config.single_user);
        let families = match Families::of(&catalog, &self.config, list) {
            Ok(families) => families,
            Err(found) => {
                problems.extend(found);
                Families::default()
            }
        };
        for entry in catalog.iter() {
            let descriptor = entry.descriptor;
            if descriptor.interactive && descriptor.on_interrupt == OnInterrupt::Fail {
                tracing::warn!(
                    tool = %entry.name,
                    "an interactive tool without `on_interrupt = \"retry\"`: a task that waits for \
                     an answer fails when its server restarts"
                );
            }
        }
        if !problems.is_empty() {
            return Err(BuildError {
                problems,
                source: None,
            });
        }

        let clock = self.clock.unwrap_or_else(Clock::system);
        let store = self
            .store
            .unwrap_or_else(|| Box::new(MemoryStore::with_clock(clock.clone())))
            .open(&self.namespace)
            .await
            .map_err(|error| BuildError {
                problems: vec![format!("the store cannot be opened: {error}")],
                source: Some(error),
            })?;
        let tools: Vec<_> = catalog.iter().map(|entry| entry.name.clone()).collect();
        let telemetry = self.telemetry.start(&tools);
        let engine = Engine::start(self.config, catalog, self.state, store, clock, telemetry);
        let server = ToolServer {
            engine,
            families,
            principal: self.principal,
            subscribers: Subscribers::default(),
        };
        Ok(AsyncTools::new(server, self.identity))
    }
}

/// Below this, a moment without a processor costs the lease.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

const NO_TOOLS: &str = "there are no tools. Is there a function with `#[async_tool]` in the \
    program? A dependency crate that is never named is not linked, and its tools are not found: \
    write `use its_name as _;`. Or add tools by hand with `.tool(...)`";

#[cfg(feature = "inventory")]
fn default_registry() -> Registry {
    Registry::from_inventory()
}

#[cfg(not(feature = "inventory"))]
fn default_registry() -> Registry {
    Registry::new()
}

impl fmt::Debug for AsyncToolsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncToolsBuilder")
            .field("namespace", &self.namespace)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Why a server could not be built: everything that is wrong, at once.
#[derive(Debug, thiserror::Error)]
pub struct BuildError {
    problems: Vec<String>,
    #[source]
    source: Option<crate::store::StoreError>,
}

impl BuildError {
    /// One sentence for each thing that is wrong.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server could not be built")?;
        match self.problems.as_slice() {
            [problem] => write!(f, ": {problem}"),
            problems => problems
                .iter()
                .try_for_each(|problem| write!(f, "\n- {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log::Log;
    use crate::{AsyncTool, BoxError, Call, Descriptor, Retry};

    struct Asking(&'static Descriptor);

    impl AsyncTool for Asking {
        type Input = crate::test_tool::Sleep;
        type Output = ();

        fn descriptor(&self) -> &'static Descriptor {
            self.0
        }

        async fn run(&self, _: Self::Input, _: Call<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    async fn warning(tool: &'static Descriptor) -> String {
        let (log, _guard) = Log::capture();
        let registry = Registry::new().with(Asking(tool));
        let built = AsyncTools::builder().registry(registry).build().await;
        assert!(built.is_ok());
        log.text()
    }

    #[tokio::test]
    async fn a_tool_that_asks_and_is_not_started_again_gives_a_warning() {
        static ONCE: Descriptor = Descriptor::new("once").interactive();
        static AGAIN: Descriptor = Descriptor::new("again")
            .interactive()
            .on_interrupt(OnInterrupt::Retry)
            .retry(Retry::new(3));
        let warned = warning(&ONCE).await;
        assert!(
            warned.contains("once") && warned.contains("on_interrupt"),
            "{warned}"
        );
        assert!(!warning(&AGAIN).await.contains("on_interrupt"));
    }
}
