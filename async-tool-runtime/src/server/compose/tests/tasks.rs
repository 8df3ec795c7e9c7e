//! Tasks of both sides.

use super::*;
use crate::server::shim::LEGACY;

/// A handler with a task of its own, in the extension and as custom requests.
struct Tasks;

const THEIRS: &str = "theirs-1";

fn theirs(id: &str) -> Result<(), McpError> {
    if id == THEIRS {
        Ok(())
    } else {
        Err(McpError::invalid_params("no such task of theirs", None))
    }
}

impl ServerHandler for Tasks {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tasks().build())
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        theirs(&request.task_id)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, McpError> {
        let params = request.params.unwrap_or_default();
        theirs(params["taskId"].as_str().unwrap_or_default())?;
        Ok(CustomResult::new(request.method.into()))
    }
}

#[tokio::test]
async fn tasks_go_by_id() {
    let server = compose(Tasks);
    for (id, answer) in [
        (OWN_TASK, None),
        (THEIRS, None),
        ("nobodys", Some("no such task of theirs")),
    ] {
        let cancelled = server
            .cancel_task(CancelTaskParams::new(id), context())
            .await;
        assert_eq!(
            cancelled.err().map(|error| error.message),
            answer.map(Cow::from),
            "{id}"
        );
    }
    // The default of a handler has no tasks: then ours is the answer.
    let unknown = compose(Plain)
        .cancel_task(CancelTaskParams::new("nobodys"), context())
        .await;
    assert_eq!(unknown, Err(native::error(Refusal::TaskNotFound)));
}

#[tokio::test]
async fn custom_requests_about_tasks_go_by_id_and_under_their_own_names() {
    let server = compose(Tasks);
    for (method, id, answer) in [
        ("tasks/result", OWN_TASK, "ours"),
        ("tasks/result", THEIRS, "tasks/result"),
        ("tasks/get", THEIRS, "tasks/get"),
    ] {
        for prefix in ["", LEGACY] {
            let params = Some(json!({ "taskId": id }));
            let request = CustomRequest::new(format!("{prefix}{method}"), params);
            let answered = server.on_custom_request(request, context()).await;
            assert_eq!(answered, Ok(CustomResult::new(answer.into())), "{method}");
        }
    }
}

#[tokio::test]
async fn a_tool_of_theirs_cannot_be_called_as_a_task() {
    let server = compose(Keeping::default());
    let call = |name: &str| {
        let params = json!({ "name": name, "arguments": {}, "task": {} });
        CustomRequest::new(format!("{LEGACY}tools/call"), Some(params))
    };
    let theirs = server.on_custom_request(call("its_own"), context()).await;
    assert_eq!(
        theirs.map_err(|error| error.code),
        Err(ErrorCode::METHOD_NOT_FOUND)
    );
    let ours = server
        .on_custom_request(call("build_cancel"), context())
        .await;
    assert_eq!(ours, Ok(CustomResult::new(json!("ours"))));
}

#[tokio::test]
async fn lists_of_tools_are_joined_under_the_other_method_too() {
    let server = compose(Paged {
        pages: vec![vec!["zeta"], vec!["mid"]],
    });
    let request = CustomRequest::new(format!("{LEGACY}tools/list"), None);
    let listed = server.on_custom_request(request, context()).await;
    let names = |listed: &CustomResult| {
        let tools = listed.0["tools"].as_array().cloned().unwrap_or_default();
        let name = |tool: serde_json::Value| tool["name"].as_str().unwrap_or_default().to_owned();
        tools.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        listed.map(|listed| names(&listed)),
        Ok(["build_cancel", "build_initiate", "build_status", "zeta"]
            .map(str::to_owned)
            .to_vec())
    );
    let second = Some(json!({ "cursor": "1" }));
    let request = CustomRequest::new(format!("{LEGACY}tools/list"), second);
    let listed = server.on_custom_request(request, context()).await;
    assert_eq!(
        listed.map(|listed| names(&listed)),
        Ok(vec!["mid".to_owned()])
    );
}
