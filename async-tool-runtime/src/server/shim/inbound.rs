//! Messages of clients.

use std::borrow::Cow;

use rmcp::model::TASKS_EXTENSION_ID;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LEGACY, LISTEN, OWN, Shim, UNDECLARED_LISTEN};

/// Only a message with one of these in it may have to be altered. A slash may
/// be escaped, and any letter too.
const SIGNS: [&[u8]; 6] = [
    br#""tasks"#,
    br#""task""#,
    br#"list""#,
    br#"listen""#,
    br"\u00",
    br#""async-tool"#,
];

/// A message as rmcp is to see it.
pub(crate) struct Altered {
    pub(crate) message: Vec<u8>,
    /// Its method, if that is another one now.
    #[cfg_attr(
        not(feature = "streamable-http"),
        allow(dead_code, reason = "for a header of HTTP")
    )]
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
        if head.method.starts_with(OWN) {
            return self.unknown(message, &head.method);
        }
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

    /// Our own names are no methods that a client could call.
    fn unknown(self, message: &[u8], method: &str) -> Option<Altered> {
        let mut message: Value = serde_json::from_slice(message).ok()?;
        let now = format!("unknown/{method}");
        message["method"] = now.clone().into();
        let method = Method { before: OWN, now };
        Some(Altered {
            message: serde_json::to_vec(&message).ok()?,
            method: Some(method),
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

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: Shim = Shim { native: true };
    const PLAIN: Shim = Shim { native: false };

    fn modern(method: &str, mut params: Value, declares: bool) -> Value {
        let extensions = if declares {
            json!({TASKS_EXTENSION_ID: {}})
        } else {
            json!({})
        };
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
        });
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    }

    #[expect(clippy::needless_pass_by_value, reason = "written where it is used")]
    fn request(method: &str, params: Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    }

    fn altered(shim: Shim, message: &Value) -> Option<Value> {
        let altered = shim.inbound(message.to_string().as_bytes())?;
        Some(serde_json::from_slice(&altered.message).expect("JSON"))
    }

    #[test]
    fn the_shims_own_methods_are_nobody_elses() {
        for shim in [NATIVE, PLAIN] {
            for method in [UNDECLARED_LISTEN.to_owned(), format!("{LEGACY}tools/call")] {
                let message = request(&method, json!({}));
                let expected = request(&format!("unknown/{method}"), json!({}));
                assert_eq!(altered(shim, &message), Some(expected));
            }
        }
    }

    #[test]
    fn requests_of_older_versions_get_another_method_and_keep_the_rest() {
        for (method, params) in [
            ("tools/list", json!({"cursor": "c"})),
            ("tasks/get", json!({"taskId": "T"})),
            (
                "tasks/cancel",
                json!({"taskId": "T", "_meta": {"progressToken": 1}}),
            ),
            (
                "tools/call",
                json!({"name": "n", "arguments": {"big": u64::MAX}, "task": {}}),
            ),
        ] {
            let message = request(method, params.clone());
            let expected = request(&format!("{LEGACY}{method}"), params);
            assert_eq!(altered(NATIVE, &message), Some(expected));
            assert_eq!(altered(PLAIN, &message), None, "there are no tasks");
        }
    }

    #[test]
    fn escaped_slashes_and_letters_hide_nothing() {
        for message in [
            r#"{"id":1,"method":"tasks\/get","params":{}}"#,
            r#"{"id":1,"params":{},"method":"\u0074asks/get"}"#,
        ] {
            let altered = NATIVE.inbound(message.as_bytes()).expect("altered");
            assert!(
                altered
                    .method
                    .is_some_and(|method| method.before == "tasks/get")
            );
        }
    }

    #[test]
    fn everything_else_passes() {
        for message in [
            request(
                "tools/call",
                json!({"name": "n", "arguments": {"task": {}}}),
            ),
            request("tools/call", json!({"name": "n", "task": "no object"})),
            request(
                "tools/call",
                json!({"name": "n_status", "arguments": {"task_id": "T"}}),
            ),
            request("tasks/result", json!({"taskId": "T"})),
            request("tasks/list", json!({})),
            request("resources/list", json!({})),
            request(
                "subscriptions/listen",
                json!({"notifications": {"taskIds": ["T"]}}),
            ),
            modern("tasks/get", json!({"taskId": "T"}), true),
            modern("tools/call", json!({"name": "n", "task": {}}), true),
            modern("tools/list", json!({}), true),
            json!({"jsonrpc": "2.0", "method": "tasks/get", "params": {}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"task": "tasks/get"}}),
            json!(["tasks/get"]),
        ] {
            assert_eq!(altered(NATIVE, &message), None, "{message}");
        }
        assert!(NATIVE.inbound(br#"{"method":"tasks/get","id":1"#).is_none());
    }

    #[test]
    fn a_subscription_is_completed() {
        let filter = json!({"notifications": {"taskIds": ["T"], "toolsListChanged": true}});
        let message = modern("subscriptions/listen", filter, true);
        let mut expected = message.clone();
        expected["params"]["_meta"][LISTEN] = json!(["T"]);
        assert_eq!(altered(NATIVE, &message), Some(expected.clone()));
        // Without tasks of the protocol's own the ids mean nothing.
        expected["params"]["_meta"][LISTEN] = json!([]);
        assert_eq!(altered(PLAIN, &message), Some(expected));
        // What a client writes there itself does not count.
        let mut forged = modern("subscriptions/listen", json!({"notifications": {}}), true);
        forged["params"]["_meta"][LISTEN] = json!(["T"]);
        let completed = altered(NATIVE, &forged).expect("altered");
        assert_eq!(completed["params"]["_meta"][LISTEN], json!([]));
    }

    #[test]
    fn a_subscription_of_who_has_not_declared_tasks_is_to_be_refused() {
        let filter = json!({"notifications": {"taskIds": ["T"]}});
        let message = modern("subscriptions/listen", filter, false);
        let altered = NATIVE
            .inbound(message.to_string().as_bytes())
            .expect("altered");
        assert_eq!(
            altered.method,
            Some(Method {
                before: "subscriptions/listen",
                now: UNDECLARED_LISTEN.to_owned(),
            })
        );
    }
}
