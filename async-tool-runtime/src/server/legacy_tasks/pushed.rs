//! What is told of a task without being asked: its status, and its progress
//! under the token of the call that it came from, for all of its life.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CustomNotification, GetMeta, ProgressNotification, ProgressNotificationParam, ProgressToken,
    ServerNotification,
};
use tokio::time::Instant;

use super::shape::{self, related, task_json};
use crate::engine::{Asker, Engine, Following, View};
use crate::server::listener::Listener;
use crate::server::wire;

/// Clients end what is silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The number of a progress notification is how many seconds have passed, and
/// grows by so much at least: it must grow each time.
const LEAST: f64 = 0.001;

/// Tells the client of a task until it has ended. Best effort: clients must not
/// rely on it.
pub(super) async fn push(engine: &Arc<Engine>, listener: Listener, view: &View) {
    let asker = Asker {
        tool: None,
        principal: listener.principal.as_ref(),
    };
    match engine.follow_task(asker, view.record.id).await {
        Ok(following) => {
            tokio::spawn(Pushed::new(listener).run(following));
        }
        Err(refusal) => tracing::debug!(code = refusal.code(), "a client will not be told"),
    }
}

struct Pushed {
    listener: Listener,
    token: Option<ProgressToken>,
    started: Instant,
}

impl Pushed {
    fn new(listener: Listener) -> Self {
        Self {
            token: listener.context.meta.get_progress_token(),
            listener,
            started: Instant::now(),
        }
    }

    async fn run(self, following: Following) {
        tokio::select! {
            () = self.tell(following) => {}
            () = self.listener.gone() => {}
        }
    }

    async fn tell(&self, mut following: Following) {
        let mut view = following.view().clone();
        let mut told = "working";
        let mut number = 0.0;
        // As it was when this began; it may have changed since its creation.
        let mut changed = true;
        loop {
            let status = shape::status(&view);
            if changed && status != told {
                if !self.status(&view).await {
                    return;
                }
                told = status;
            }
            if shape::is_over(&view) {
                return;
            }
            number = self.started.elapsed().as_secs_f64().max(number + LEAST);
            if !self.progress(&view, number).await {
                return;
            }
            tokio::select! {
                next = following.next() => match next {
                    Some(next) => (view, changed) = (next, true),
                    None => return,
                },
                () = tokio::time::sleep(KEEP_ALIVE) => changed = false,
            }
            if !self.listener.is_still_allowed() {
                return;
            }
        }
    }

    /// Whether the client is still there.
    async fn status(&self, view: &View) -> bool {
        let status = CustomNotification::new("notifications/tasks/status", Some(task_json(view)));
        self.send(status.into()).await
    }

    async fn progress(&self, view: &View, number: f64) -> bool {
        let Some(token) = self.token.clone() else {
            return true;
        };
        let progress = ProgressNotificationParam::new(token, number).with_message(wire::line(view));
        let progress = ProgressNotification::new(progress);
        let mut notification = ServerNotification::ProgressNotification(progress);
        let (key, value) = related(view.record.id);
        notification.get_meta_mut().insert(key, value);
        self.send(notification).await
    }

    async fn send(&self, notification: ServerNotification) -> bool {
        let sent = self.listener.peer().send_notification(notification);
        sent.await.is_ok()
    }
}
