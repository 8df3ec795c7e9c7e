//! Servers that are killed, out of reach, or refuse; calls that are dropped.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::time::timeout;

use super::*;
use crate::store::model::{lease, task};
use crate::store::{Admission, Change, Created, Filter, Owner, Want};

fn wide() -> Admission {
    Admission::new(10_000, 10_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_comes_back() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let (one, other) = (connect(&server, "s").await, connect(&server, "s").await);
    let one = one.open("test").await.expect("it opens");
    let other = other.open("test").await.expect("it opens");
    let before = task("t");
    one.create(before.clone(), wide()).await.expect("it works");
    let mut changes = other.changes();

    // Calls all the time: each ends, whatever it comes to.
    let calls = {
        let store = Arc::clone(&one);
        tokio::spawn(async move {
            let (mut accepted, mut failed) = (vec![], 0);
            let mut after_failure = 0;
            while after_failure < 20 {
                let new = task("t");
                let id = new.id;
                match store.create(new, wide()).await {
                    Ok(_) => {
                        accepted.push(id);
                        after_failure += usize::from(failed > 0);
                    }
                    Err(_) => {
                        failed += 1;
                        after_failure = 0;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            (accepted, failed)
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let kill = || {
        server.kill();
        std::thread::sleep(Duration::from_millis(200));
        server.restart();
    };
    tokio::task::block_in_place(kill);
    let (accepted, failed) = timeout(Duration::from_secs(30), calls)
        .await
        .expect("calls work again")
        .expect("no panic");
    assert!(failed > 0, "the server was not missed");
    // What was answered is there.
    assert!(one.get(before.id).await.expect("it works").is_some());
    for id in accepted {
        assert!(other.get(id).await.expect("it works").is_some());
    }

    // Readers were told, and hear what comes.
    let hears = async |changes: &mut futures_core::stream::BoxStream<'static, Change>, wanted| {
        let heard = async { while changes.next().await != Some(wanted) {} };
        timeout(Duration::from_secs(20), heard).await.is_ok()
    };
    assert!(hears(&mut changes, Change::Resync).await);
    let mut changes = other.changes();
    let mut later = false;
    for _ in 0..50 {
        one.request_cancel(before.id, "".into())
            .await
            .expect("it works");
        let new = task("t");
        let id = new.id;
        one.create(new, wide()).await.expect("it works");
        one.request_cancel(id, "".into()).await.expect("it works");
        let heard = async { while changes.next().await != Some(Change::Task(id)) {} };
        if timeout(Duration::from_millis(500), heard).await.is_ok() {
            later = true;
            break;
        }
    }
    assert!(later, "nothing is heard any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_password() {
    let Some(server) = Postgres::start(&["password_encryption=scram-sha-256"]) else {
        return;
    };
    let admin = Admin::connect(&server).await;
    admin
        .run("CREATE ROLE guest LOGIN PASSWORD 'another one'")
        .await;
    let rules = server.directory().join("data/pg_hba.conf");
    let before = std::fs::read_to_string(&rules).expect("it is there");
    let after = format!("host all guest 127.0.0.1/32 scram-sha-256\n{before}");
    std::fs::write(&rules, after).expect("it is ours");
    admin.run("SELECT pg_reload_conf()").await;
    // It takes a moment.
    let (port, secret) = (server.port(), "s3cret");
    let refused = async {
        loop {
            let url = format!("postgres://guest:{secret}@127.0.0.1:{port}/postgres?schema=g");
            let builder = PostgresStore::builder(url);
            let shown = format!("{builder:?}");
            match builder.connect().await {
                Ok(_) => panic!("it connects"),
                Err(error) if error.to_string().contains("password") => break (shown, error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let (shown, error) = timeout(Duration::from_secs(10), refused)
        .await
        .expect("it refuses");
    let source = std::error::Error::source(&error).expect("the server said why");
    for text in [
        shown,
        error.to_string(),
        format!("{error:?}"),
        source.to_string(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    let store = connect(&server, "s").await;
    assert!(!format!("{store:?}").contains("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_is_an_error_in_time() {
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = |bound: &std::net::TcpListener| bound.local_addr().expect("it is bound").port();
    // Nobody listens at one; the other one never says anything.
    let (nobody, silent) = (port(&bind()), bind());
    let silent_port = port(&silent);
    for (url, most) in [
        (format!("postgres://u:s3cret@127.0.0.1:{nobody}/d"), 2),
        (
            format!("postgres://u:s3cret@127.0.0.1:{silent_port}/d?connect_timeout=1"),
            4,
        ),
    ] {
        let started = Instant::now();
        let error = PostgresStore::connect(&url).await.expect_err("nobody");
        assert!(started.elapsed() < Duration::from_secs(most), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("PostgreSQL store:"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_calls_leave_a_good_pool() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let store = PostgresStore::builder(server.url())
        .schema(&schema)
        .pool_size(3);
    let store = store.connect().await.expect("it connects");
    let store = store.open("test").await.expect("it opens");
    let lease = lease();
    for _ in 0..200 {
        let pause = Duration::from_micros(fastrand::u64(0..2000));
        let create = store.create(task("t"), wide().claimed_by(lease));
        let _ = timeout(pause, create).await;
    }
    let new = task("last");
    let created = store.create(new.clone(), wide()).await;
    assert!(matches!(created, Ok(Created::New(_))));
    let filter = Filter::of(Owner::Anybody);
    // Those that were dropped go on to their end.
    let created = async || {
        let listed = store.list(&filter, None, 1000).await;
        listed.expect("it works").len()
    };
    let mut before = 0;
    while before < created().await {
        before = created().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let wants = [Want::new("last".into(), 9)];
    let claimed = store.claim(lease, &wants, 9).await.expect("it works");
    assert_eq!(claimed[0].id, new.id);
    let admin = Admin::connect(server).await;
    let open = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' \
         AND query LIKE '%{schema}%'"
    );
    assert_eq!(admin.number(&open).await, 0);
    admin.check_integrity(&schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_ends_everything() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let url = format!("{}?application_name={schema}", server.url());
    let builder = PostgresStore::builder(url).schema(&schema);
    let store = builder.connect().await.expect("it connects");
    let namespace = store.open("test").await.expect("it opens");
    drop(store);
    namespace.create(task("t"), wide()).await.expect("it works");
    let admin = Admin::connect(server).await;
    let count =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'");
    assert!(admin.number(&count).await >= 2);
    drop(namespace);
    let gone = async {
        while admin.number(&count).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.expect("gone");
}
