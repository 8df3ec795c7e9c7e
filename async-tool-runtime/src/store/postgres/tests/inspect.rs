//! Looks at servers: what they find, and that they change nothing.

use super::*;
use crate::store::{Inspection, inspect};

const LATEST: Option<u32> = Some(3);

async fn look(url: &str) -> Inspection {
    inspect(url).await.expect("it can be looked at")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_server_creates_no_schema() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let url = format!("{}?schema={schema}", server.url());
    let found = look(&url).await;
    assert!(found.engine.starts_with("PostgreSQL "), "{found:?}");
    assert!(!found.engine.contains('('), "{found:?}");
    assert_eq!((found.schema, found.known_schema), (None, LATEST));
    assert_eq!(found.warnings, Vec::<String>::new());
    let admin = Admin::connect(server).await;
    let there = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'");
    assert_eq!(admin.number(&there).await, 0);

    connect(server, &schema).await;
    assert_eq!(look(&url).await.schema, LATEST);
    // One that is older is not brought up to date, nor is a newer one refused.
    let version = format!("UPDATE {schema}.migrations SET version = version + 1000");
    admin.run(&version).await;
    assert_eq!(look(&url).await.schema, Some(1003));
    let version = format!("DELETE FROM {schema}.migrations WHERE version > 1002");
    admin.run(&version).await;
    assert_eq!(look(&url).await.schema, Some(1002));
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_settings_are_warned_of() {
    let weak = [
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        "default_transaction_read_only=on",
    ];
    let Some(server) = Postgres::start(&weak) else {
        return;
    };
    let warnings = look(&server.url()).await.warnings;
    let of = |what: &str| {
        let mut warnings = warnings.iter();
        warnings.any(|warning| warning.contains(what))
    };
    assert!(of("`fsync`") && of("`full_page_writes`"), "{warnings:?}");
    assert!(of("`default_transaction_read_only`"), "{warnings:?}");
    // The store's own connections have it on.
    assert!(!of("synchronous_commit"), "{warnings:?}");
    assert_eq!(warnings.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_looked_at() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    connect(&server, "async_tool").await;
    let signal = server.directory().join("data/standby.signal");
    std::fs::write(signal, "").expect("the directory is there");
    tokio::task::block_in_place(|| server.restart());
    let found = look(&server.url()).await;
    assert_eq!(found.schema, LATEST);
    assert_eq!(found.warnings.len(), 1);
    assert!(found.warnings[0].contains("standby"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_said() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    for (url, said) in [
        (
            format!("postgres://u:secret@127.0.0.1:{port}/d"),
            "cannot be reached",
        ),
        (
            "postgres://u:secret@h:port/d".to_owned(),
            "URL cannot be read",
        ),
        (
            "postgres://u:secret@h/d?schema=a%20b".to_owned(),
            "schema's name",
        ),
    ] {
        let error = inspect(&url).await.expect_err("it is wrong");
        let text = format!("{error} {error:?}");
        assert!(text.contains(said), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
