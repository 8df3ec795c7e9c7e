//! A cluster, of one server.

use std::net::{Ipv4Addr, TcpListener};

#[cfg(feature = "redis-cluster")]
use super::integrity::check_integrity;
use super::*;

/// A cluster that serves all slots.
async fn cluster() -> Option<servers::Redis> {
    let (server, _) = member("0", "16383").await?;
    works(&server, "cluster_known_nodes:1").await;
    Some(server)
}

/// A server that has these slots, and its port for others.
async fn member(first: &str, last: &str) -> Option<(servers::Redis, String)> {
    // For the servers among each other.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let port = port.to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &port];
    let server = servers::Redis::start(&arguments)?;
    let mut raw = Place::on(&server).raw().await;
    let () = raw.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
    Some((server, port))
}

/// Waits until a server knows that its cluster works.
async fn works(server: &servers::Redis, also: &str) {
    let mut raw = Place::on(server).raw().await;
    loop {
        let info: String = raw.ask(&["CLUSTER", "INFO"]).await;
        if info.contains("cluster_state:ok") && info.contains(also) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One slot is at one master, the next one at the other.
#[cfg(feature = "redis-cluster")]
#[tokio::test(flavor = "multi_thread")]
async fn namespaces_of_all_masters_are_found() {
    let Some((one, bus)) = member("0", "8191").await else {
        return;
    };
    let Some((other, _)) = member("8192", "16383").await else {
        return;
    };
    let mut raw = Place::on(&other).raw().await;
    let port = one.port().to_string();
    let () = raw
        .ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])
        .await;
    for server in [&one, &other] {
        works(server, "cluster_known_nodes:2").await;
    }
    let place = Place::on(&one);
    let store = place.open().await;
    let mut names = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let namespace = store.open(name).await.expect("it opens");
        queued(namespace.as_ref(), task("t")).await;
        names.push(name.to_owned());
    }
    for server in [&one, &other] {
        let keys: usize = Place::on(server).raw().await.ask(&["DBSIZE"]).await;
        assert!(keys > 0, "all are at one master");
    }
    assert_eq!(store.namespaces().await.expect("it works"), names);
}

#[cfg(feature = "redis-cluster")]
#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_in_a_cluster() {
    let Some(server) = cluster().await else {
        return;
    };
    let place = Place::on(&server);
    let conformance = Conformance::new(place.open().await).reopen(place.open().await);
    conformance.run().await.assert();
    let place = Place::on(&server);
    let store = place.store().await;
    queued(store.as_ref(), task("t")).await;
    check_integrity(&place).await;
    let waiting = place.builder().wait_aof(true).connect(&place.url).await;
    waiting.expect_err("it is refused");

    // It works again when the cluster does.
    server.kill();
    let error = store.get(TaskId::random()).await;
    error.expect_err("there is no server");
    server.restart();
    for _ in 0..100 {
        if store.create(task("t"), roomy()).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let claimed = claim(store.as_ref(), lease(), "t", 9).await;
    assert_eq!(claimed.len(), 2);
}

#[cfg(not(feature = "redis-cluster"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_refused_by_a_program_that_knows_none() {
    let Some(server) = cluster().await else {
        return;
    };
    let error = RedisStore::connect(&server.url()).await;
    let error = error.expect_err("it is refused").to_string();
    assert!(error.contains("`redis-cluster`"), "{error}");
}
