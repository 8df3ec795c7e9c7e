//! `subscriptions/listen` of 2026-07-28: tasks are told of on the stream of
//! the request that asked for it, as resources or as tasks of the protocol's
//! own.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rmcp::model::{
    CustomNotification, GetMeta, ResourceUpdatedNotification, ResourceUpdatedNotificationParam,
    ServerNotification, SubscriptionFilter, TaskStatusNotification, TaskStatusNotificationParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::listener::Listener;
use super::resources::{is_own, task_of};
use super::shim::LISTEN;
use super::subscribers::MAX_PER_CONNECTION;
use super::{ToolServer, native};
use crate::engine::{Asker, Following, View};

/// What one listener is told of.
pub(crate) struct Subscription {
    listener: Listener,
    topics: Vec<(Topic, Following)>,
}

#[derive(Clone)]
enum Topic {
    Resource(String),
    Task(String),
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
    #[cfg(test)]
    pub(crate) fn new(context: RequestContext<RoleServer>) -> Self {
        Self {
            listener: Listener {
                context,
                principal: None,
                rule: super::PrincipalRule::default(),
            },
            topics: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    #[cfg(test)]
    pub(crate) async fn cancelled(&self) {
        self.listener.context.ct.cancelled().await;
    }

    /// What was accepted of a filter, with what rmcp cannot say.
    fn accepted(&self, filter: &SubscriptionFilter) -> Value {
        // Of strings and booleans; cannot fail.
        let mut accepted = serde_json::to_value(others_part(filter)).unwrap_or_default();
        let theirs = accepted["resourceSubscriptions"].as_array().cloned();
        let mut uris = theirs.unwrap_or_default();
        let mut ids = Vec::new();
        for (topic, _) in &self.topics {
            match topic {
                Topic::Resource(uri) => uris.push(uri.as_str().into()),
                Topic::Task(id) => ids.push(Value::from(id.as_str())),
            }
        }
        if let Some(accepted) = accepted.as_object_mut() {
            accepted.remove("resourceSubscriptions");
            for (name, list) in [("resourceSubscriptions", uris), ("taskIds", ids)] {
                if !list.is_empty() {
                    accepted.insert(name.to_owned(), list.into());
                }
            }
        }
        accepted
    }
}

impl ToolServer {
    /// Subscribes to what of a filter is the caller's own, and acknowledges it
    /// where rmcp's acknowledgement is left out.
    ///
    /// # Errors
    ///
    /// It is not known whose request this is, and must be; or the listener has
    /// left already.
    pub(crate) async fn subscription(
        &self,
        filter: &SubscriptionFilter,
        context: &RequestContext<RoleServer>,
    ) -> Result<Subscription, ErrorData> {
        let principal = self.principal.of(context).map_err(native::error)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        let asked_ids = context.meta.get(LISTEN);
        let uris = own_part(filter).resource_subscriptions.unwrap_or_default();
        let resources = uris
            .into_iter()
            .map(|uri| (task_of(&uri), Topic::Resource(uri)));
        let ids = asked_ids.filter(|_| native::speaks_tasks(context));
        let tasks = ids
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|id| (id.parse().ok(), Topic::Task(id.to_owned())));
        let mut topics = Vec::new();
        for (id, topic) in resources.chain(tasks).take(MAX_PER_CONNECTION) {
            let Some(id) = id else { continue };
            if let Ok(following) = self.engine.follow_task(asker, id).await {
                topics.push((topic, following));
            }
        }
        let subscription = Subscription {
            listener: Listener {
                context: context.clone(),
                principal,
                rule: self.principal.clone(),
            },
            topics,
        };
        if asked_ids.is_some() {
            acknowledge(context, &subscription.accepted(filter)).await?;
        }
        Ok(subscription)
    }

    /// Tells the listener until it leaves, may listen no longer, or the server
    /// has stopped.
    pub(crate) async fn tell(&self, subscription: Subscription) {
        let Subscription { listener, topics } = subscription;
        let mut news = stream::select_all(topics.into_iter().map(news));
        let telling = async {
            while let Some((topic, view)) = news.next().await {
                if !listener.is_still_allowed() {
                    return;
                }
                let mut notification = self.notification(topic, &view);
                let meta = notification.get_meta_mut();
                meta.set_subscription_id(listener.context.id.clone());
                if listener
                    .peer()
                    .send_notification(notification)
                    .await
                    .is_err()
                {
                    return;
                }
            }
            // Nothing more can change; the listener may stay all the same.
            self.engine.has_stopped().await;
        };
        tokio::select! {
            () = telling => {}
            () = listener.context.ct.cancelled() => {}
        }
    }

    fn notification(&self, topic: Topic, view: &View) -> ServerNotification {
        match topic {
            Topic::Resource(uri) => ServerNotification::ResourceUpdatedNotification(
                ResourceUpdatedNotification::new(ResourceUpdatedNotificationParam::new(uri)),
            ),
            Topic::Task(_) => {
                let entry = self.engine.catalog.get(&view.record.tool);
                let task = native::detailed(view, entry.map(AsRef::as_ref));
                ServerNotification::TaskStatusNotification(TaskStatusNotification::new(
                    TaskStatusNotificationParams::new(task),
                ))
            }
        }
    }
}

async fn acknowledge(
    context: &RequestContext<RoleServer>,
    accepted: &Value,
) -> Result<(), ErrorData> {
    let mut acknowledgement = CustomNotification::new(
        "notifications/subscriptions/acknowledged",
        Some(json!({ "notifications": accepted })),
    );
    let meta = acknowledgement.get_meta_mut();
    meta.set_subscription_id(context.id.clone());
    let sent = context.peer.send_notification(acknowledgement.into());
    sent.await
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// The changes of a task. A listener to a task as such is told first what it is
/// now: it may have ended before this began, and then nothing follows.
fn news((topic, following): (Topic, Following)) -> BoxStream<'static, (Topic, View)> {
    let first = match topic {
        Topic::Resource(_) => None,
        Topic::Task(_) => Some((topic.clone(), following.view().clone())),
    };
    let changes = stream::unfold((topic, following), |(topic, mut following)| async {
        let view = following.next().await?;
        Some(((topic.clone(), view), (topic, following)))
    });
    stream::iter(first).chain(changes).boxed()
}
