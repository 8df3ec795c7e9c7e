//! `subscriptions/listen`.

use rmcp::model::{ServerNotification, ToolListChangedNotification};
use rmcp::service::{ServiceError, Subscription};

use super::*;

/// A handler whose tool list changes. Its `listen` announces one change, and
/// then ends the subscription.
#[derive(Clone, Default)]
struct Changing {
    listened: Arc<Mutex<Vec<SubscriptionFilter>>>,
}

impl ServerHandler for Changing {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_tool_list_changed()
                .build(),
        )
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), McpError> {
        let accepted = context.accepted().clone();
        self.listened
            .lock()
            .expect("no panic")
            .push(accepted.clone());
        if accepted.tools_list_changed == Some(true) {
            let changed = ToolListChangedNotification::default();
            let sent = context.sink().send(changed.into()).await;
            sent.map_err(|error| McpError::internal_error(error.to_string(), None))?;
        }
        Ok(())
    }
}

async fn listen<H: ServerHandler>(
    inner: H,
    asked: SubscriptionFilter,
) -> (
    Result<Subscription, ServiceError>,
    RunningService<RoleClient, ()>,
) {
    let client = connect(compose(inner), (), discover()).await;
    (client.listen(asked).await, client)
}

#[tokio::test]
async fn what_the_handler_announces_arrives() {
    let inner = Changing::default();
    let asked = SubscriptionFilter::builder().tools_list_changed().build();
    let (subscription, _client) = listen(inner.clone(), asked.clone()).await;
    let mut subscription = subscription.expect("accepted");
    assert_eq!(*subscription.acknowledged(), asked);
    assert!(matches!(
        soon(subscription.next()).await,
        Ok(Some(ServerNotification::ToolListChangedNotification(_)))
    ));
    assert!(matches!(soon(subscription.next()).await, Ok(None)));
    assert_eq!(*inner.listened.lock().expect("no panic"), [asked]);
}

#[tokio::test]
async fn our_side_widens_nothing_that_the_handler_may_accept() {
    // It accepts all it is asked for, and its own capabilities hold only one.
    let inner = Changing::default();
    let asked = SubscriptionFilter::builder()
        .tools_list_changed()
        .prompts_list_changed()
        .resource_subscription("book://1")
        .resource_subscription("resource://tasks/no-id")
        .build();
    let (subscription, _client) = listen(inner.clone(), asked).await;
    let tools = SubscriptionFilter::builder().tools_list_changed().build();
    assert_eq!(*subscription.expect("accepted").acknowledged(), tools);
    assert_eq!(*inner.listened.lock().expect("no panic"), [tools]);
}

#[tokio::test]
async fn a_subscription_to_nothing_stays_open_without_the_handler() {
    let inner = Changing::default();
    let (subscription, client) = listen(inner.clone(), SubscriptionFilter::new()).await;
    let mut subscription = subscription.expect("accepted");
    // Answered later than the subscription, so a `listen` would have run.
    client.list_all_tools().await.expect("tools");
    assert!(subscription.next().now_or_never().is_none());
    assert!(inner.listened.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn ours_are_accepted_beside_theirs() {
    let inner = Changing::default();
    let asked = SubscriptionFilter::builder()
        .tools_list_changed()
        .resource_subscription(OWN_URI)
        .build();
    let (subscription, _client) = listen(inner.clone(), asked.clone()).await;
    let mut subscription = subscription.expect("accepted");
    assert_eq!(*subscription.acknowledged(), asked);
    assert!(matches!(
        soon(subscription.next()).await,
        Ok(Some(ServerNotification::ToolListChangedNotification(_)))
    ));
}

#[tokio::test]
async fn a_handler_that_implements_no_subscriptions_does_not_hide_ours() {
    let asked = SubscriptionFilter::builder()
        .tools_list_changed()
        .resource_subscription(OWN_URI)
        .build();
    let (subscription, _client) = listen(Plain, asked).await;
    let ours = SubscriptionFilter::builder()
        .resource_subscription(OWN_URI)
        .build();
    assert_eq!(*subscription.expect("accepted").acknowledged(), ours);
}
