//! Messages of rmcp's own.

use rmcp::RoleServer;
use rmcp::model::{
    CustomResult, InitializeResult, JsonRpcMessage, ServerNotification, ServerResult,
};
use rmcp::service::TxJsonRpcMessage;
use serde_json::Value;

use super::CAPABILITY;

/// A message as it is to go out. None: it is not.
pub(crate) fn outbound(
    message: TxJsonRpcMessage<RoleServer>,
) -> Option<TxJsonRpcMessage<RoleServer>> {
    match message {
        JsonRpcMessage::Notification(message)
            if matches!(
                message.notification,
                ServerNotification::SubscriptionsAcknowledgedNotification(_)
            ) =>
        {
            None
        }
        JsonRpcMessage::Response(mut response) => {
            if let ServerResult::InitializeResult(initialized) = &response.result
                && let Some(patched) = patched(initialized)
            {
                response.result = ServerResult::CustomResult(CustomResult::new(patched));
            }
            Some(JsonRpcMessage::Response(response))
        }
        message => Some(message),
    }
}

fn patched(initialized: &InitializeResult) -> Option<Value> {
    let experimental = initialized.capabilities.experimental.as_ref()?;
    experimental.get(CAPABILITY)?;
    let mut patched = serde_json::to_value(initialized).ok()?;
    place_capability(&mut patched);
    Some(patched)
}

/// Puts the capability `tasks` of an answer to `initialize` where it belongs;
/// whether there is one.
pub(crate) fn place_capability(initialized: &mut Value) -> bool {
    let capabilities = initialized.get_mut("capabilities");
    let Some(capabilities) = capabilities.and_then(Value::as_object_mut) else {
        return false;
    };
    let Some(experimental) = capabilities
        .get_mut("experimental")
        .and_then(Value::as_object_mut)
    else {
        return false;
    };
    let Some(tasks) = experimental.remove(CAPABILITY) else {
        return false;
    };
    if experimental.is_empty() {
        capabilities.remove("experimental");
    }
    capabilities.insert("tasks".to_owned(), tasks);
    true
}
