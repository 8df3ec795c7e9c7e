//! `subscriptions/listen` of 2026-07-28: tasks are told of on the stream of
//! the request that asked for it.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rmcp::model::{
    GetMeta, ResourceUpdatedNotification, ResourceUpdatedNotificationParam, ServerNotification,
    SubscriptionFilter,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::resources::{is_own, task_of};
use super::subscribers::MAX_PER_CONNECTION;
use super::{ToolServer, native};
use crate::engine::{Asker, Following};
use crate::task::Principal;

/// What one listener is told of.
pub(crate) struct Subscription {
    context: RequestContext<RoleServer>,
    principal: Option<Principal>,
    topics: Vec<(Topic, Following)>,
}

#[derive(Clone)]
enum Topic {
    Resource(String),
}

/// The part of a filter that is for us.
pub(crate) fn own_part(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let asked = requested.resource_subscriptions.iter().flatten();
    let ours: Vec<&String> = asked
        .filter(|uri| task_of(uri).is_some())
        .take(MAX_PER_CONNECTION)
        .collect();
    if ours.is_empty() {
        return SubscriptionFilter::new();
    }
    SubscriptionFilter::builder()
        .resource_subscriptions(ours)
        .build()
}

/// The part of a filter that is for another handler.
pub(crate) fn others_part(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut others = requested.clone();
    if let Some(uris) = &mut others.resource_subscriptions {
        uris.retain(|uri| !is_own(uri));
        if uris.is_empty() {
            others.resource_subscriptions = None;
        }
    }
    others
}

impl Subscription {
    /// One to nothing.
    pub(crate) fn new(context: RequestContext<RoleServer>) -> Self {
        Self {
            context,
            principal: None,
            topics: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) async fn cancelled(&self) {
        self.context.ct.cancelled().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

impl ToolServer {
    /// Subscribes to what of a filter is the caller's own.
    ///
    /// # Errors
    ///
    /// It is not known whose requests these are, and must be.
    pub(crate) async fn subscription(
        &self,
        filter: &SubscriptionFilter,
        context: &RequestContext<RoleServer>,
    ) -> Result<Subscription, ErrorData> {
        let mut subscription = Subscription::new(context.clone());
        let principal = self.principal.of(context).map_err(native::error)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        for uri in own_part(filter).resource_subscriptions.iter().flatten() {
            let Some(id) = task_of(uri) else { continue };
            if let Ok(following) = self.engine.follow_task(asker, id).await {
                let topic = Topic::Resource(uri.clone());
                subscription.topics.push((topic, following));
            }
        }
        subscription.principal = principal;
        Ok(subscription)
    }

    /// Tells the listener until it leaves, may listen no longer, or the server
    /// has stopped.
    pub(crate) async fn tell(&self, subscription: Subscription) {
        let Subscription {
            context,
            principal,
            topics,
        } = subscription;
        let still_allowed = || {
            let found = self.principal.of(&context);
            found.is_ok_and(|found| found == principal)
        };
        let mut news = stream::select_all(
            topics
                .into_iter()
                .map(|(topic, following)| changes(topic, following)),
        );
        let telling = async {
            while let Some(topic) = news.next().await {
                if !still_allowed() {
                    return;
                }
                let mut notification = topic.notification();
                let meta = notification.get_meta_mut();
                meta.set_subscription_id(context.id.clone());
                if context.peer.send_notification(notification).await.is_err() {
                    return;
                }
            }
            // Nothing more can change; the listener may stay all the same.
            self.engine.has_stopped().await;
        };
        tokio::select! {
            () = telling => {}
            () = context.ct.cancelled() => {}
        }
    }
}

fn changes(topic: Topic, following: Following) -> BoxStream<'static, Topic> {
    stream::unfold((topic, following), |(topic, mut following)| async {
        following.next().await?;
        Some((topic.clone(), (topic, following)))
    })
    .boxed()
}

impl Topic {
    fn notification(self) -> ServerNotification {
        match self {
            Self::Resource(uri) => ServerNotification::ResourceUpdatedNotification(
                ResourceUpdatedNotification::new(ResourceUpdatedNotificationParam::new(uri)),
            ),
        }
    }
}
