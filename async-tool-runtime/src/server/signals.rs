//! Being asked to end the process.

use std::task::Poll;

use futures_core::Stream;
use futures_util::stream;

/// Requests that the process end: SIGTERM, or Ctrl-C where the server is tried
/// out in a terminal. From this call on neither kills the process.
pub(super) fn terminations() -> impl Stream<Item = ()> + Unpin {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        [
            ("SIGTERM", signal(SignalKind::terminate())),
            ("Ctrl-C", signal(SignalKind::interrupt())),
        ]
    };
    #[cfg(windows)]
    let signals = [("Ctrl-C", tokio::signal::windows::ctrl_c())];
    let mut signals: Vec<_> = signals
        .into_iter()
        .filter_map(|(name, signal)| {
            signal
                .inspect_err(|error| tracing::warn!(%error, "cannot watch for {name}"))
                .ok()
        })
        .collect();
    stream::poll_fn(move |context| {
        let got = |polled: Poll<Option<()>>| matches!(polled, Poll::Ready(Some(())));
        if signals
            .iter_mut()
            .any(|signal| got(signal.poll_recv(context)))
        {
            Poll::Ready(Some(()))
        } else {
            Poll::Pending
        }
    })
}
