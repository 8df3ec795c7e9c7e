//! A small load balancer: each request goes to the next replica, whoever sent
//! the one before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// More than the body of any request that rmcp's server takes.
const MAX_BODY: usize = 8 << 20;

/// Balances until the listener fails.
pub(crate) async fn balance(
    listener: TcpListener,
    replicas: watch::Receiver<Vec<SocketAddr>>,
) -> io::Result<()> {
    let balancer = Arc::new(Balancer {
        replicas,
        turn: AtomicUsize::new(0),
        client: Client::builder(TokioExecutor::new()).build_http(),
    });
    let router = Router::new().fallback(forward).with_state(balancer);
    axum::serve(listener, router).await
}

struct Balancer {
    replicas: watch::Receiver<Vec<SocketAddr>>,
    turn: AtomicUsize,
    client: Client<HttpConnector, Body>,
}

impl Balancer {
    /// Whose turn it is, and who comes after.
    fn next(&self) -> Vec<SocketAddr> {
        let mut replicas = self.replicas.borrow().clone();
        if !replicas.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % replicas.len();
            replicas.rotate_left(turn);
        }
        replicas
    }
}

async fn forward(State(balancer): State<Arc<Balancer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    for replica in balancer.next() {
        let mut sent = Request::new(Body::from(body.clone()));
        *sent.method_mut() = head.method.clone();
        *sent.headers_mut() = head.headers.clone();
        *sent.uri_mut() = at(replica, head.uri.path_and_query());
        match balancer.client.request(sent).await {
            Ok(response) => return response.map(Body::new),
            // It has not got the request, so another one may.
            Err(error) if error.is_connect() => {}
            Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
        }
    }
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn at(replica: SocketAddr, path: Option<&PathAndQuery>) -> Uri {
    let path = path.map_or("/", PathAndQuery::as_str);
    format!("http://{replica}{path}")
        .parse()
        .unwrap_or_default()
}
