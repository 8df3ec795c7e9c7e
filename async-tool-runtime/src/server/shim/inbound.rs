//! Messages of clients.

use std::borrow::Cow;

use rmcp::model::TASKS_EXTENSION_ID;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LEGACY, LISTEN, Shim, UNDECLARED_LISTEN};

/// Only a message with one of these in it may have to be altered. A slash may
/// be escaped, and any letter too.
const SIGNS: [&[u8]; 5] = [
    br#""tasks"#,
    br#""task""#,
    br#"list""#,
    br#"listen""#,
    br"\u00",
];

/// A message as rmcp is to see it.
pub(crate) struct Altered {
    pub(crate) message: Vec<u8>,
    /// Its method, if that is another one now.
    pub(crate) method: Option<Method>,
}

/// A method in place of another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) before: &'static str,
    pub(crate) now: String,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
}

impl Shim {
    /// What to give to rmcp instead of this message; None: the message itself.
    pub(crate) fn inbound(self, message: &[u8]) -> Option<Altered> {
        if !SIGNS.iter().any(|sign| contains(message, sign)) {
            return None;
        }
        let head: Head<'_> = serde_json::from_slice(message).ok()?;
        let listens = match &*head.method {
            "subscriptions/listen" => true,
            "tools/list" | "tools/call" | "tasks/get" | "tasks/cancel" if self.native => false,
            _ => return None,
        };
        let mut message: Value = serde_json::from_slice(message).ok()?;
        message.get("id")?;
        let method = if listens {
            self.listen(&mut message)?
        } else {
            Some(legacy(&message)?)
        };
        if let Some(method) = &method {
            message["method"] = method.now.clone().into();
        }
        Some(Altered {
            message: serde_json::to_vec(&message).ok()?,
            method,
        })
    }

    /// Completes a subscription; another method for one that must be refused.
    /// None: there is nothing to do.
    fn listen(self, message: &mut Value) -> Option<Option<Method>> {
        if !is_modern(message) {
            return None;
        }
        let params = message.get_mut("params")?.as_object_mut()?;
        let ids = match params.get("notifications")?.get("taskIds") {
            Some(ids) if self.native => ids.clone(),
            _ => json!([]),
        };
        let declared = params["_meta"]["io.modelcontextprotocol/clientCapabilities"]["extensions"]
            .get(TASKS_EXTENSION_ID)
            .is_some();
        if !declared && !ids.as_array().is_some_and(Vec::is_empty) {
            return Some(Some(Method {
                before: "subscriptions/listen",
                now: UNDECLARED_LISTEN.to_owned(),
            }));
        }
        params["_meta"][LISTEN] = ids;
        Some(None)
    }
}

/// The other method of a request of the versions before 2026-07-28.
fn legacy(message: &Value) -> Option<Method> {
    if is_modern(message) {
        return None;
    }
    let before = match message["method"].as_str()? {
        "tools/list" => "tools/list",
        "tasks/get" => "tasks/get",
        "tasks/cancel" => "tasks/cancel",
        "tools/call" if message["params"]["task"].is_object() => "tools/call",
        _ => return None,
    };
    Some(Method {
        before,
        now: format!("{LEGACY}{before}"),
    })
}

/// Whether a request is of 2026-07-28 or later: those say so, each of them.
fn is_modern(message: &Value) -> bool {
    message["params"]["_meta"]
        .get("io.modelcontextprotocol/protocolVersion")
        .is_some()
}

fn contains(bytes: &[u8], sign: &[u8]) -> bool {
    bytes.windows(sign.len()).any(|window| window == sign)
}
