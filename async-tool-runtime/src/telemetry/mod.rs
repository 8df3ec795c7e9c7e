//! What a server tells of itself: metrics, spans, alerts.

mod window;

pub(crate) use window::Window;
