//! Resources of both sides.

use rmcp::model::{Resource, ResourceContents};

use super::*;

/// A handler with two pages of resources.
struct Library;

impl ServerHandler for Library {
    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, McpError> {
        let (name, next) = match request.and_then(|page| page.cursor).as_deref() {
            None => ("book://1", Some("more".to_owned())),
            Some("more") => ("book://2", None),
            Some(other) => panic!("no cursor of its own: {other}"),
        };
        let mut page = ListResourcesResult::with_all_items(vec![Resource::new(name, name)]);
        page.next_cursor = next;
        Ok(page)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, McpError> {
        let contents = ResourceContents::text("theirs", request.uri);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

async fn all_resources<H: ServerHandler>(inner: H) -> Vec<String> {
    let client = connect(compose(inner), (), discover()).await;
    let all = client.list_all_resources().await.expect("all pages");
    all.into_iter().map(|resource| resource.uri).collect()
}

#[tokio::test]
async fn our_pages_come_first_and_theirs_follow() {
    assert_eq!(
        all_resources(Library).await,
        [OWN_URI, "resource://tasks/2", "book://1", "book://2"]
    );
    assert_eq!(
        all_resources(Plain).await,
        [OWN_URI, "resource://tasks/2"],
        "a handler without resources"
    );
}

#[tokio::test]
async fn our_template_comes_first() {
    let client = connect(compose(Plain), (), discover()).await;
    let all = client.list_all_resource_templates().await.expect("all");
    let uris: Vec<_> = all.iter().map(|one| one.uri_template.as_str()).collect();
    assert_eq!(uris, ["resource://tasks/{task_id}"]);
}

#[tokio::test]
async fn resources_are_read_by_uri() {
    let client = connect(compose(Library), (), discover()).await;
    for (uri, text) in [
        (OWN_URI, "ours"),
        ("resource://tasks/", "ours"),
        ("book://1", "theirs"),
        ("resource://task/1", "theirs"),
    ] {
        let read = client.read_resource(ReadResourceRequestParams::new(uri));
        let contents = read.await.expect("an answer").contents;
        assert_eq!(contents, [ResourceContents::text(text, uri)], "{uri}");
    }
}

#[tokio::test]
async fn the_handler_is_not_asked_about_subscriptions_to_ours() {
    let client = connect(compose(Plain), (), ClientLifecycleMode::Initialize).await;
    #[expect(deprecated, reason = "legacy sessions still use it")]
    for (uri, known) in [(OWN_URI, true), ("book://1", false)] {
        let subscribed = client.subscribe(SubscribeRequestParams::new(uri)).await;
        assert_eq!(subscribed.is_ok(), known, "{uri}");
        let left = client.unsubscribe(UnsubscribeRequestParams::new(uri)).await;
        assert_eq!(left.is_ok(), known, "{uri}");
    }
}
