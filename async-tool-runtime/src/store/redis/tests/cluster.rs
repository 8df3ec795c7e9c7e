//! A cluster, of one server.

use std::net::{Ipv4Addr, TcpListener};

use super::integrity::check_integrity;
use super::*;

/// A cluster that serves all slots.
async fn cluster() -> Option<servers::Redis> {
    // For the servers among each other.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let port = port.to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &port];
    let server = servers::Redis::start(&arguments)?;
    let mut raw = Place::on(&server).raw().await;
    let () = raw.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    loop {
        let info: String = raw.ask(&["CLUSTER", "INFO"]).await;
        if info.contains("cluster_state:ok") {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
