//! All that is published under a name, and what each name stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::model::Tool;
use serde_json::Value;

use super::define::{family, native, shared};
use super::list::{self, TaskList};
use crate::catalog::{Catalog, Entry};
use crate::descriptor::Surface;
use crate::engine::Config;
use crate::refusal::Problem;
use crate::schema::Checker;

/// Names that the framework takes from the arguments of initiate.
pub(crate) const RESERVED: [&str; 3] = ["idempotency_key", "max_wait_seconds", "callback_url"];

/// What a published tool does.
#[derive(Clone)]
pub(crate) enum Role {
    Initiate(Arc<Entry>),
    /// The tool itself, as the protocol's own tasks call it.
    Native(Arc<Entry>),
    /// Of one tool, or of all.
    Status(Option<Arc<Entry>>),
    Cancel(Option<Arc<Entry>>),
    Respond(Option<Arc<Entry>>),
}

impl Role {
    fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Initiate(entry) | Self::Native(entry) => Some(entry),
            Self::Status(entry) | Self::Cancel(entry) | Self::Respond(entry) => entry.as_ref(),
        }
    }
}

/// One published tool.
pub(crate) struct Member {
    pub(crate) role: Role,
    /// Checks the arguments against the published schema.
    input: Checker,
}

impl Member {
    /// What is wrong with the arguments of a call.
    pub(crate) fn check(&self, arguments: &Value) -> Result<(), Vec<Problem>> {
        self.input.check(arguments).map_err(|mut problems| {
            for problem in &mut problems {
                if problem.path == "/idempotency_key" {
                    KEY_RULE.clone_into(&mut problem.message);
                }
            }
            problems
        })
    }
}

/// What an idempotency key must be like.
pub(crate) const KEY_RULE: &str = "must be 1 to 255 visible ASCII characters, without spaces";

/// What a published name stands for.
pub(crate) enum Published<'a> {
    Member(&'a Member),
    List(&'a TaskList),
}

impl Published<'_> {
    /// The tool that it belongs to; none if to all.
    pub(crate) fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Member(member) => member.role.entry(),
            Self::List(_) => None,
        }
    }
}

/// All published tools.
#[derive(Default)]
pub(crate) struct Families {
    members: BTreeMap<String, Member>,
    list: Option<TaskList>,
    tools: Vec<Tool>,
    native: bool,
}

impl Families {
    /// What all tools publish; the problems, if it cannot be published.
    pub(crate) fn of(
        catalog: &Catalog,
        config: &Config,
        list: Option<TaskList>,
    ) -> Result<Self, Vec<String>> {
        let mut families = Self {
            list,
            ..Self::default()
        };
        let mut problems = Vec::new();
        for role in roles(catalog) {
            if let Err(problem) = families.publish(role, config) {
                problems.push(problem);
            }
        }
        if let Some(list) = &families.list {
            families.tools.push(list.tool().clone());
        }
        families.tools.sort_by(|a, b| a.name.cmp(&b.name));
        if problems.is_empty() {
            Ok(families)
        } else {
            Err(problems)
        }
    }

    /// Sorted by name.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Whether any tool can be called as a task of the protocol's own.
    pub(crate) fn has_native(&self) -> bool {
        self.native
    }

    /// Whether callers can list their tasks.
    pub(crate) fn has_list(&self) -> bool {
        self.list.is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Published<'_>> {
        match &self.list {
            Some(list) if name == list::NAME => Some(Published::List(list)),
            _ => self.members.get(name).map(Published::Member),
        }
    }

    fn publish(&mut self, role: Role, config: &Config) -> Result<(), String> {
        let tool = match &role {
            Role::Initiate(entry) => family::initiate(entry, config),
            Role::Native(entry) => native::call(entry),
            Role::Status(Some(entry)) => family::status(entry, config),
            Role::Status(None) => shared::status(config),
            Role::Cancel(Some(entry)) => family::cancel(entry),
            Role::Cancel(None) => shared::cancel(),
            Role::Respond(Some(entry)) => family::respond(entry),
            Role::Respond(None) => shared::respond(),
        };
        let whose = whose(&role);
        if self.list.is_some() && tool.name == list::NAME {
            return Err(format!(
                "the name `{}` of {whose} is that of the list of tasks; \
                 change it with `names(...)`",
                list::NAME,
            ));
        }
        if let Some(other) = self.members.get(&*tool.name) {
            return Err(format!(
                "the name `{}` is used twice: by {} and by {whose}; \
                 change one with `names(...)`",
                tool.name,
                self::whose(&other.role),
            ));
        }
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        let input = Checker::new(schema)
            .map_err(|error| format!("the argument schema of {whose} is not valid: {error}"))?;
        self.native |= matches!(role, Role::Native(_));
        let member = Member { role, input };
        self.members.insert(tool.name.to_string(), member);
        self.tools.push(tool);
        Ok(())
    }
}

/// What the tools of a catalog publish, through which surface each.
fn roles(catalog: &Catalog) -> Vec<Role> {
    let mut roles = Vec::new();
    let (mut shared, mut shared_respond) = (false, false);
    for entry in catalog.iter() {
        let interactive = entry.descriptor.interactive;
        let family = entry.surfaces.has(Surface::Family);
        let is_shared = entry.surfaces.has(Surface::Shared);
        if family || is_shared {
            roles.push(Role::Initiate(Arc::clone(entry)));
        }
        if family {
            roles.push(Role::Status(Some(Arc::clone(entry))));
            roles.push(Role::Cancel(Some(Arc::clone(entry))));
            if interactive {
                roles.push(Role::Respond(Some(Arc::clone(entry))));
            }
        }
        if entry.surfaces.has(Surface::Native) {
            roles.push(Role::Native(Arc::clone(entry)));
        }
        shared |= is_shared;
        shared_respond |= is_shared && interactive;
    }
    if shared {
        roles.extend([Role::Status(None), Role::Cancel(None)]);
    }
    if shared_respond {
        roles.push(Role::Respond(None));
    }
    roles
}

fn whose(role: &Role) -> String {
    match role.entry() {
        Some(entry) => format!("the tool `{}` at {}", entry.name, entry.descriptor.source),
        None => "the tools that all share".to_owned(),
    }
}
