//! What is told of deliveries to operators.

use super::delivery::{Delivery, Outcome};
use super::event::Event;
use crate::task::TaskId;
use crate::telemetry::Meters;

/// Says what came of a try.
pub(super) fn observe(
    meters: &Meters,
    id: TaskId,
    target: &str,
    event: Event,
    delivery: &Delivery,
) {
    let (event, tries) = (event.as_str(), delivery.tries);
    meters.webhook(event, delivery.outcome.as_str());
    let error = delivery.error.as_deref().unwrap_or_default();
    match delivery.outcome {
        Outcome::Delivered => {
            tracing::debug!(task_id = %id, target_name = target, event, tries, "told of a task");
        }
        Outcome::Pending => {
            tracing::info!(
                task_id = %id, target_name = target, event, tries, error,
                "could not tell of a task; it will be tried again"
            );
        }
        Outcome::GivenUp => {
            tracing::warn!(
                task_id = %id, target_name = target, event, tries, error,
                "gave up telling of a task"
            );
        }
    }
}
