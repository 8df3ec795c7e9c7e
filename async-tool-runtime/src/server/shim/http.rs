//! Streamable HTTP: a layer around rmcp's service.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::Value;
use tokio_util::bytes::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use super::Shim;
use super::outbound::place_capability;

/// The largest body, in bytes, unless said otherwise; rmcp has the same limit.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Longest event that is kept until it is whole, in bytes.
const MAX_EVENT: usize = 1024 * 1024;
const METHOD: &str = "mcp-method";
const VERSION: &str = "mcp-protocol-version";
const MODERN: &str = "2026-07-28";
/// A request whose answer has to be changed has this in it.
const INITIALIZE: &[u8] = br#""initialize""#;

/// Adds to rmcp's [`StreamableHttpService`] what it does not know of the
/// protocol: the tasks of 2025-11-25, and subscriptions to tasks of 2026-07-28.
/// [`AsyncTools::http_layer`](crate::AsyncTools::http_layer) gives it.
///
/// [`StreamableHttpService`]: https://docs.rs/rmcp/3.9/rmcp/transport/streamable_http_server/tower/struct.StreamableHttpService.html
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct HttpLayer {
    shim: Shim,
    max_body: usize,
}

impl HttpLayer {
    pub(crate) fn new(shim: Shim) -> Self {
        Self {
            shim,
            max_body: MAX_BODY,
        }
    }

    /// Sets how large the body of a request may be, in bytes; 4 MiB unless said
    /// otherwise. rmcp has a limit of its own, which is as much by default.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }
}

impl HttpLayer {
    /// The service with this around it.
    pub fn layer<S>(self, inner: S) -> HttpService<S> {
        HttpService { inner, layer: self }
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Self::layer(*self, inner)
    }
}

/// What [`HttpLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct HttpService<S> {
    inner: S,
    layer: HttpLayer,
}

impl<S, B, A> Service<Request<B>> for HttpService<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    A: Body<Data = Bytes, Error = Infallible> + Send + Unpin,
{
    type Response = Response<HttpBody<A>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled to be ready, and not its clone.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer;
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            if head.method != Method::POST {
                let request = Request::from_parts(head, Full::default());
                return Ok(inner.call(request).await?.map(HttpBody::untouched));
            }
            let body = match Limited::new(body, layer.max_body).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => return Ok(layer.unread(&*error)),
            };
            let (body, change) = layer.read(&mut head, body);
            let answer = inner
                .call(Request::from_parts(head, Full::new(body)))
                .await?;
            Ok(match change {
                Some(change) => changed(answer, change).await,
                None => answer.map(HttpBody::untouched),
            })
        })
    }
}

impl HttpLayer {
    /// The body as rmcp is to read it, and what its answer needs.
    fn read(self, head: &mut request::Parts, body: Bytes) -> (Bytes, Option<Change>) {
        let initializes = body
            .windows(INITIALIZE.len())
            .any(|window| window == INITIALIZE);
        let Some(altered) = self.shim.inbound(&body) else {
            return (body, initializes.then_some(Change::PlaceCapability));
        };
        let change = match altered.method {
            None => Some(Change::LeaveOutAcknowledgement),
            // rmcp compares the header with the body, from 2026-07-28 on.
            Some(method) => {
                let modern = head
                    .headers
                    .get(VERSION)
                    .is_some_and(|value| value >= MODERN);
                if let (true, Some(header)) = (modern, head.headers.get_mut(METHOD))
                    && header == method.before
                    && let Ok(now) = HeaderValue::from_str(&method.now)
                {
                    *header = now;
                }
                None
            }
        };
        head.headers.remove(CONTENT_LENGTH);
        (altered.message.into(), change)
    }

    fn unread<A>(
        self,
        error: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> Response<HttpBody<A>> {
        let (status, text) = if error.is::<LengthLimitError>() {
            (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {} bytes", self.max_body),
            )
        } else {
            tracing::debug!(%error, "could not read the body of a request");
            (
                StatusCode::BAD_REQUEST,
                "the body could not be read".to_owned(),
            )
        };
        let mut response = Response::new(HttpBody::whole(text));
        *response.status_mut() = status;
        response
    }
}

/// How an answer is changed.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Of `initialize`.
    PlaceCapability,
    /// Of `subscriptions/listen`: rmcp's own acknowledgement, which comes
    /// before the server's.
    LeaveOutAcknowledgement,
}

impl Change {
    /// The message as it is to be; empty if it is to be left out. None: it is
    /// not the one that this is about.
    fn of(self, message: &[u8]) -> Option<Vec<u8>> {
        let mut message: Value = serde_json::from_slice(message).ok()?;
        match self {
            Self::PlaceCapability if place_capability(message.get_mut("result")?) => {
                serde_json::to_vec(&message).ok()
            }
            Self::LeaveOutAcknowledgement
                if message["method"] == "notifications/subscriptions/acknowledged" =>
            {
                Some(Vec::new())
            }
            _ => None,
        }
    }
}

async fn changed<A>(answer: Response<A>, change: Change) -> Response<HttpBody<A>>
where
    A: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    if answer.headers().contains_key(CONTENT_ENCODING) {
        return answer.map(HttpBody::untouched);
    }
    let content = answer.headers().get(CONTENT_TYPE);
    let is = |essence: &str| {
        content.is_some_and(|value| value.as_bytes().starts_with(essence.as_bytes()))
    };
    if is("text/event-stream") {
        return answer.map(|body| {
            HttpBody(Kind::Events(Events {
                body,
                change: Some(change),
                begun: Vec::new(),
            }))
        });
    }
    if !is("application/json") {
        return answer.map(HttpBody::untouched);
    }
    let (mut head, body) = answer.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    head.headers.remove(CONTENT_LENGTH);
    let body = change.of(&body).map_or(body, Bytes::from);
    Response::from_parts(head, HttpBody::whole(body))
}

/// The body of an answer that came through [`HttpLayer`].
pub struct HttpBody<A>(Kind<A>);

enum Kind<A> {
    Untouched(A),
    Whole(Full<Bytes>),
    Events(Events<A>),
}

impl<A> HttpBody<A> {
    fn untouched(body: A) -> Self {
        Self(Kind::Untouched(body))
    }

    fn whole(body: impl Into<Full<Bytes>>) -> Self {
        Self(Kind::Whole(body.into()))
    }
}

impl<A> fmt::Debug for HttpBody<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").finish_non_exhaustive()
    }
}

impl<A: Body<Data = Bytes, Error = Infallible> + Unpin> Body for HttpBody<A> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Untouched(body) => Pin::new(body).poll_frame(context),
            Kind::Whole(body) => Pin::new(body).poll_frame(context),
            Kind::Events(events) => events.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Untouched(body) => body.is_end_stream(),
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Untouched(body) => body.size_hint(),
            Kind::Whole(body) => body.size_hint(),
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

/// A stream of events (WHATWG HTML, server-sent events), one of which is
/// changed.
struct Events<A> {
    body: A,
    /// None: it has been.
    change: Option<Change>,
    /// The beginning of an event.
    begun: Vec<u8>,
}

impl<A: Body<Data = Bytes, Error = Infallible> + Unpin> Events<A> {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                None if !self.begun.is_empty() => {
                    let rest = std::mem::take(&mut self.begun);
                    return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                }
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => {
                    let data = self.take(data);
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }

    /// What can be passed on after this has come.
    fn take(&mut self, data: Bytes) -> Bytes {
        if self.change.is_none() {
            return data;
        }
        self.begun.extend_from_slice(&data);
        let mut whole = Vec::new();
        while let Some(change) = self.change
            && let Some(end) = end_of_event(&self.begun)
        {
            let rest = self.begun.split_off(end);
            let event = std::mem::replace(&mut self.begun, rest);
            match changed_event(&event, change) {
                Some(event) => {
                    whole.extend(event);
                    self.change = None;
                }
                None => whole.extend(event),
            }
        }
        if self.begun.len() > MAX_EVENT {
            // Not what rmcp writes.
            self.change = None;
        }
        if self.change.is_none() {
            whole.append(&mut self.begun);
        }
        whole.into()
    }
}

fn end_of_event(bytes: &[u8]) -> Option<usize> {
    const EMPTY_LINE: &[u8] = b"\n\n";
    let at = bytes
        .windows(EMPTY_LINE.len())
        .position(|window| window == EMPTY_LINE)?;
    Some(at + EMPTY_LINE.len())
}

/// The event with its message changed; nothing of it if that is left out. rmcp
/// writes each message in one line.
fn changed_event(event: &[u8], change: Change) -> Option<Vec<u8>> {
    const DATA: &[u8] = b"data: ";
    let mut lines = event.split_inclusive(|byte| *byte == b'\n');
    let message = change.of(lines.clone().find_map(|line| line.strip_prefix(DATA))?)?;
    if message.is_empty() {
        return Some(message);
    }
    let mut changed = Vec::with_capacity(event.len());
    for line in &mut lines {
        if line.starts_with(DATA) {
            changed.extend_from_slice(DATA);
            changed.extend_from_slice(&message);
            changed.push(b'\n');
        } else {
            changed.extend_from_slice(line);
        }
    }
    Some(changed)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;
    use serde_json::json;

    use super::*;
    use crate::server::shim::CAPABILITY;

    /// An answer that comes in pieces of so many bytes, as it goes on.
    async fn through(text: &str, piece: usize, change: Change) -> String {
        let pieces: Vec<Result<Frame<Bytes>, Infallible>> = text
            .as_bytes()
            .chunks(piece)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let mut answer = Response::new(StreamBody::new(stream::iter(pieces)));
        let events = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(CONTENT_TYPE, events);
        let changed = changed(answer, change).await;
        let body = changed.into_body().collect().await;
        let Ok(body) = body;
        String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn one_event_is_changed_however_it_comes() {
        let result = json!({"result": {"capabilities": {
            "experimental": {CAPABILITY: {"cancel": {}}, "other": {}}, "tools": {},
        }}});
        let expected = json!({"result": {"capabilities": {
            "experimental": {"other": {}}, "tools": {}, "tasks": {"cancel": {}},
        }}});
        let events = |message: &Value| {
            format!(
                "data: \nid: 0\nretry: 3000\n\n:\n\ndata: {message}\nid: 1\n\ndata: {{}}\n\nrest"
            )
        };
        let text = events(&result);
        for piece in 1..text.len() {
            let changed = through(&text, piece, Change::PlaceCapability).await;
            assert_eq!(changed, events(&expected), "{piece}");
        }
    }

    #[tokio::test]
    async fn the_first_acknowledgement_alone_is_left_out() {
        let event = |id: u8| {
            let message = json!({"method": "notifications/subscriptions/acknowledged", "n": id});
            format!("data: {message}\n\n")
        };
        let text = format!("retry: 1\n\n{}{}data: {{}}\n\n", event(1), event(2));
        let expected = format!("retry: 1\n\n{}data: {{}}\n\n", event(2));
        for piece in 1..text.len() {
            let changed = through(&text, piece, Change::LeaveOutAcknowledgement).await;
            assert_eq!(changed, expected, "{piece}");
        }
    }
}
