//! A receiver on loopback that answers as a test says.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::{BoxError, Router};
use futures_util::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::PATIENCE;

/// A message that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Delivery {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"));
        value.to_str().expect("ASCII")
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().expect("text")
    }

    pub(crate) fn task(&self) -> &str {
        self.body["data"]["task_id"].as_str().expect("text")
    }
}

/// What a receiver does with a message.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    /// Sends the caller elsewhere.
    Redirect(String),
    /// Does not answer, ever.
    Hang,
    /// Succeeds, with a body that has no end; fires when nobody reads it any more.
    Endless(CancellationToken),
}

type Answers = Arc<dyn Fn(usize, &Delivery) -> Reply + Send + Sync>;

/// It ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrived: Arc<watch::Sender<Vec<Delivery>>>,
    _running: DropGuard,
}

#[derive(Clone)]
struct Inside {
    answers: Answers,
    arrived: Arc<watch::Sender<Vec<Delivery>>>,
}

impl Receiver {
    /// Answers by how many messages came before.
    pub(crate) async fn start(
        answers: impl Fn(usize, &Delivery) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answers).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        answers: impl Fn(usize, &Delivery) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let inside = Inside {
            answers: Arc::new(answers),
            arrived: Arc::default(),
        };
        let arrived = Arc::clone(&inside.arrived);
        let router = Router::new().fallback(receive).with_state(inside);
        let running = CancellationToken::new();
        let stopped = running.clone();
        tokio::spawn(async move {
            stopped
                .run_until_cancelled(async { axum::serve(listener, router).await })
                .await
        });
        Self {
            address,
            arrived,
            _running: running.drop_guard(),
        }
    }

    /// Takes whatever comes.
    pub(crate) async fn accepting() -> Self {
        Self::start(|_, _| Reply::Status(204)).await
    }

    /// One that must get nothing, at the port of another one.
    pub(crate) async fn trap(address: IpAddr, port: u16) -> Self {
        Self::start_at(SocketAddr::new(address, port), |_, _| Reply::Status(200)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?token=secret", self.address)
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.arrived.borrow().clone()
    }

    /// The messages, once they are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let mut arrived = self.arrived.subscribe();
        let found = arrived.wait_for(|deliveries| wanted(deliveries));
        match timeout(PATIENCE, found).await {
            Ok(found) => found.expect("it receives").clone(),
            Err(_) => panic!("not as wanted: {:?}", self.deliveries()),
        }
    }

    /// The messages, once there are so many.
    pub(crate) async fn count(&self, count: usize) -> Vec<Delivery> {
        self.until(|deliveries| deliveries.len() >= count).await
    }
}

async fn receive(
    State(inside): State<Inside>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, std::convert::Infallible> {
    let delivery = Delivery {
        headers,
        body: serde_json::from_slice(&body).expect("JSON"),
    };
    let before = inside.arrived.borrow().len();
    let reply = (inside.answers)(before, &delivery);
    inside.arrived.send_modify(|arrived| arrived.push(delivery));
    let response = Response::builder();
    let response = match reply {
        Reply::Status(status) => response.status(status).body(Body::empty()),
        Reply::Redirect(to) => {
            let response = response.status(307).header("location", to);
            response.body(Body::empty())
        }
        Reply::Hang => std::future::pending().await,
        Reply::Endless(unread) => response.status(200).body(endless(unread)),
    };
    Ok(response.expect("a response"))
}

fn endless(unread: CancellationToken) -> Body {
    // Dropped with the stream.
    let guard = Mutex::new(unread.drop_guard());
    Body::from_stream(stream::poll_fn(move |_| {
        let _ = &guard;
        Poll::Ready(Some(Ok::<_, BoxError>(Bytes::from_static(&[b'x'; 4096]))))
    }))
}
