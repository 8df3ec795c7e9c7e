//! Where messages may go.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use async_tool::webhook::Resolve;
use async_trait::async_trait;

use super::*;

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// On loopback as well, and not allowed by [`local`].
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Answers look-ups as it was told, the last one for ever.
struct Names(Mutex<VecDeque<Vec<IpAddr>>>);

impl Names {
    fn new(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(host, "hooks.example.com");
        let mut answers = self.0.lock().expect("no panic");
        let next = match answers.len() {
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        };
        next.filter(|found| *found != [IpAddr::V4(Ipv4Addr::BROADCAST)])
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A look-up that fails.
fn unknown() -> Vec<IpAddr> {
    vec![IpAddr::V4(Ipv4Addr::BROADCAST)]
}

struct Scene {
    receiver: Receiver,
    trap: Receiver,
    namespace: Arc<dyn Store>,
    id: String,
    _server: TestServer,
}

/// A task whose caller wants to be told at a name, which leads where `answers`
/// say. The trap is at the second address and the receiver's port.
async fn told_by_name(
    answers: impl IntoIterator<Item = Vec<IpAddr>>,
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> Scene {
    let receiver = Receiver::start(move |before, _| reply(before)).await;
    let port = receiver.address.port();
    let trap = Receiver::trap(SECOND, port).await;
    let (store, namespace) = store().await;
    let hooks = local()
        .allow_host(format!("hooks.example.com:{port}"))
        .resolver(Names::new(answers));
    let server = TestServer::start(builder().store(store).webhooks(hooks)).await;
    let id = done(&server, &format!("http://hooks.example.com:{port}/")).await;
    Scene {
        receiver,
        trap,
        namespace,
        id,
        _server: server,
    }
}

async fn error_after(scene: &Scene, tries: u64) -> String {
    let targets = kept(&scene.namespace, &scene.id, |targets| {
        targets["callback"]["tries"].as_u64() >= Some(tries)
    });
    let error = &targets.await["callback"]["error"];
    error.as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_name_leads_to_its_address() {
    let scene = told_by_name([vec![FIRST]], |_| Reply::Status(200)).await;
    let delivery = scene.receiver.count(1).await.remove(0);
    let port = scene.receiver.address.port();
    assert_eq!(delivery.header("host"), format!("hooks.example.com:{port}"));
}

#[tokio::test]
async fn a_name_that_leads_inside_at_the_second_look_up_is_not_followed() {
    let scene = told_by_name([vec![FIRST], vec![SECOND]], |_| Reply::Status(500)).await;
    let error = error_after(&scene, 4).await;
    assert_eq!(error, "the host's address 127.0.0.2 is not public");
    // A connection that was allowed is not used again either.
    assert_eq!(scene.receiver.deliveries().len(), 1);
    assert!(scene.trap.deliveries().is_empty());
}

#[tokio::test]
async fn one_address_inside_spoils_all() {
    let scene = told_by_name([vec![FIRST, SECOND]], |_| Reply::Status(200)).await;
    let error = error_after(&scene, 1).await;
    assert!(error.contains("127.0.0.2 is not public"), "{error}");
    assert!(scene.receiver.deliveries().is_empty() && scene.trap.deliveries().is_empty());
}

#[tokio::test]
async fn a_name_that_is_found_later_is_told_then() {
    let answers = [unknown(), Vec::new(), vec![SECOND], vec![FIRST]];
    let scene = told_by_name(answers, |_| Reply::Status(200)).await;
    scene.receiver.count(1).await;
    assert!(scene.trap.deliveries().is_empty());
    let delivered = |targets: &Value| targets["callback"]["outcome"] == "delivered";
    let targets = kept(&scene.namespace, &scene.id, delivered).await;
    assert_eq!(targets["callback"]["tries"], 4);
}

#[tokio::test]
async fn the_system_finds_names_too() {
    let receiver = Receiver::accepting().await;
    let port = receiver.address.port();
    // IPv6 as well, where the machine has it.
    let hooks = local()
        .allow_network("::1/128")
        .allow_host(format!("localhost:{port}"));
    let server = TestServer::start(builder().webhooks(hooks)).await;
    done(&server, &format!("http://localhost:{port}/")).await;
    receiver.count(1).await;
}

#[tokio::test]
async fn loopback_is_closed_unless_it_is_allowed() {
    let receiver = Receiver::accepting().await;
    let port = receiver.address.port();
    let (store, namespace) = store().await;
    let hooks = Webhooks::new()
        .secret(SECRET)
        .allow_http()
        .allow_host(format!("localhost:{port}"))
        .allow_host(receiver.address.to_string())
        .give_up_after(Duration::ZERO);
    let server = TestServer::start(builder().store(store).webhooks(hooks)).await;
    let id = done(&server, &format!("http://localhost:{port}/")).await;
    let given_up = |targets: &Value| targets["callback"]["outcome"] == "given_up";
    let targets = kept(&namespace, &id, given_up).await;
    let error = targets["callback"]["error"].as_str().expect("text");
    assert!(error.contains("is not public"), "{error}");
    // An address needs no look-up, and is refused at once.
    let arguments = json!({"millis": 0, "callback_url": receiver.url()});
    let refused = server.call("nap_initiate", arguments).await;
    assert_eq!(
        refused.error_code(),
        Some("invalid_arguments"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("not public"), "{}", refused.text);
    assert!(receiver.deliveries().is_empty());
}

#[tokio::test]
async fn the_connection_must_be_to_whom_the_certificate_names() {
    // It speaks no TLS at all.
    let receiver = Receiver::accepting().await;
    let port = receiver.address.port();
    let (store, namespace) = store().await;
    let hooks = local()
        .allow_host(format!("localhost:{port}"))
        .allow_network("::1/128")
        .give_up_after(Duration::ZERO);
    let server = TestServer::start(builder().store(store).webhooks(hooks)).await;
    let id = done(&server, &format!("https://localhost:{port}/")).await;
    let given_up = |targets: &Value| targets["callback"]["outcome"] == "given_up";
    let targets = kept(&namespace, &id, given_up).await;
    let error = targets["callback"]["error"].as_str().expect("text");
    assert!(error.starts_with("TLS failed"), "{error}");
}
