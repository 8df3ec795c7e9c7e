//! Which of a server's tools a call goes through.

use std::collections::HashMap;
use std::time::Duration;

use rmcp::model::{ProtocolVersion, Tool};
use serde_json::Value;
use tokio::time::timeout;

use super::attempt::Trouble;
use super::error::CallError;
use super::link::Live;
use crate::descriptor::Descriptor;

/// The names that a tool has, through whichever surface.
pub(super) struct ToolNames {
    pub(super) tool: String,
    initiate: String,
    status: String,
    cancel: String,
    respond: String,
}

/// Those that all tools share have these.
const SHARED: [&str; 3] = ["task_status", "task_cancel", "task_respond"];
/// In `_meta` of a tool: its calls may have an idempotency key, in theirs.
const HONOURS_KEYS: &str = "async-tool/idempotency";

impl From<&Descriptor> for ToolNames {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            tool: descriptor.name.to_owned(),
            initiate: descriptor.initiate_name(),
            status: descriptor.status_name(),
            cancel: descriptor.cancel_name(),
            respond: descriptor.respond_name(),
        }
    }
}

impl From<&str> for ToolNames {
    fn from(tool: &str) -> Self {
        let name = |verb: &str| format!("{tool}_{verb}");
        Self {
            tool: tool.to_owned(),
            initiate: name("initiate"),
            status: name("status"),
            cancel: name("cancel"),
            respond: name("respond"),
        }
    }
}

/// What a call goes through.
pub(super) enum Route {
    Family(Family),
    Native(Native),
}

/// Plain tools.
pub(super) struct Family {
    pub(super) initiate: String,
    pub(super) status: String,
    pub(super) cancel: String,
    pub(super) respond: String,
    /// Its initiate tool takes an idempotency key.
    pub(super) keyed: bool,
}

/// The tool itself, with the protocol's own tasks.
pub(super) struct Native {
    /// It is a tool of this library: it takes an idempotency key, and has its
    /// way of telling results.
    pub(super) ours: bool,
}

impl Route {
    /// A call whose answer was lost can be made again, and is the same call.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Family(family) => family.keyed,
            Self::Native(native) => native.ours,
        }
    }
}

/// What a server publishes, as far as it matters here.
pub(super) struct ToolList {
    tools: HashMap<String, Listed>,
}

#[derive(Clone, Copy)]
struct Listed {
    takes_key: bool,
    honours_keys: bool,
}

impl ToolList {
    fn of(tools: Vec<Tool>) -> Self {
        let listed = |tool: Tool| {
            let properties = tool.input_schema.get("properties");
            let listed = Listed {
                takes_key: properties.is_some_and(|all| all.get("idempotency_key").is_some()),
                honours_keys: tool
                    .meta
                    .is_some_and(|meta| meta.get(HONOURS_KEYS) == Some(&Value::Bool(true))),
            };
            (tool.name.into_owned(), listed)
        };
        Self {
            tools: tools.into_iter().map(listed).collect(),
        }
    }

    fn route(&self, names: &ToolNames, native: bool, prefers_family: bool) -> Option<Route> {
        let family = self.family(names).map(Route::Family);
        let native = native
            .then(|| self.tools.get(&names.tool))
            .flatten()
            .map(|tool| {
                Route::Native(Native {
                    ours: tool.honours_keys,
                })
            });
        if prefers_family {
            family.or(native)
        } else {
            native.or(family)
        }
    }

    fn family(&self, names: &ToolNames) -> Option<Family> {
        let initiate = self.tools.get(&names.initiate)?;
        let own = [&names.status, &names.cancel, &names.respond];
        let [status, cancel, respond] = if self.tools.contains_key(&names.status) {
            own.map(String::clone)
        } else if self.tools.contains_key(SHARED[0]) {
            SHARED.map(str::to_owned)
        } else {
            return None;
        };
        Some(Family {
            initiate: names.initiate.clone(),
            status,
            cancel,
            respond,
            keyed: initiate.takes_key,
        })
    }
}

impl Live {
    /// What a call goes through. The server is asked what it publishes once
    /// for each connection, and again for a tool that it did not have.
    pub(super) async fn route(
        &self,
        names: &ToolNames,
        prefers_family: bool,
        within: Duration,
    ) -> Result<Route, Trouble> {
        let native = self.speaks_tasks();
        let route = |tools: &ToolList| tools.route(names, native, prefers_family);
        // Whoever asks already is waited for.
        let Ok(mut tools) = timeout(within, self.tools.lock()).await else {
            return Err(Trouble::NoAnswer(
                "the server does not list its tools".into(),
            ));
        };
        if let Some(route) = tools.as_ref().and_then(route) {
            return Ok(route);
        }
        let listed = self.answer(within, self.peer().list_all_tools()).await?;
        route(tools.insert(ToolList::of(listed)))
            .ok_or_else(|| CallError::NotPublished(names.tool.clone()).into())
    }

    /// Whether the protocol's own tasks can be used here (specification:
    /// SEP-2663). That this client can is told with each request.
    fn speaks_tasks(&self) -> bool {
        self.peer().peer_info().is_some_and(|server| {
            server.protocol_version >= ProtocolVersion::V_2026_07_28
                && server.capabilities.supports_tasks()
        })
    }
}
