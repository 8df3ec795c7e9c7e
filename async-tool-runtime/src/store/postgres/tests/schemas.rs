//! Schemas: many who create one, newer ones, records of newer formats.

use tokio::task::JoinSet;

use super::*;
use crate::store::model::{lease, task};
use crate::store::{Admission, Filter, Owner, Want};

#[tokio::test(flavor = "multi_thread")]
async fn ten_stores_create_one_schema() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let mut opening = JoinSet::new();
    for _ in 0..10 {
        let schema = schema.clone();
        opening.spawn(async move {
            let store = connect(server, &schema).await;
            store.open("test").await.expect("it opens")
        });
    }
    let stores = opening.join_all().await;
    let created = stores[0].create(task("t"), Admission::new(9, 9)).await;
    assert!(matches!(created, Ok(crate::store::Created::New(_))));
    for store in stores {
        let listed = store.list(&Filter::of(Owner::Anybody), None, 9).await;
        assert_eq!(listed.expect("it works").len(), 1);
    }
    let admin = Admin::connect(server).await;
    let sql = format!("SELECT count(*) FROM {schema}.migrations");
    assert_eq!(admin.number(&sql).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let old = connect(server, &schema).await;
    let admin = Admin::connect(server).await;
    admin
        .run(&format!("INSERT INTO {schema}.migrations VALUES (1000)"))
        .await;
    let refused = PostgresStore::builder(server.url()).schema(&schema);
    let error = refused.connect().await.expect_err("it is too new");
    assert!(error.to_string().contains("newer version"), "{error}");
    // Who has it open goes on.
    let store = old.open("test").await.expect("it opens");
    store.reap(1).await.expect("it works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_somebody_else_is_left_alone() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let admin = Admin::connect(server).await;
    admin
        .run(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.tasks (a INTEGER)"
        ))
        .await;
    let refused = PostgresStore::builder(server.url()).schema(&schema);
    let error = refused.connect().await.expect_err("it is not ours");
    assert!(error.to_string().contains("not of this crate"), "{error}");
    let left = format!(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{schema}'"
    );
    assert_eq!(admin.number(&left).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_names_a_schema() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let url = format!("{}?schema={schema}&sslmode=disable", server.url());
    let store = crate::store::from_url(&url).await.expect("it connects");
    store.open("test").await.expect("it opens");
    let admin = Admin::connect(server).await;
    let sql = format!("SELECT count(*) FROM {schema}.namespaces");
    assert_eq!(admin.number(&sql).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_newer_version_are_left_alone() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let store = connect(server, &schema).await;
    let store = store.open("test").await.expect("it opens");
    let (newer, other) = (task("a"), task("b"));
    let wide = Admission::new(9, 9);
    for new in [&newer, &other] {
        store.create(new.clone(), wide).await.expect("it works");
    }
    let claim = async |tool: &str| {
        let wants = [Want::new(tool.into(), 9)];
        let claimed = store.claim(lease(), &wants, 9).await.expect("it works");
        claimed.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(claim("b").await, [other.id]);
    let admin = Admin::connect(server).await;
    admin
        .run(&format!(
            "UPDATE {schema}.tasks SET format = 2, status = 7 * status, deadline = 0"
        ))
        .await;
    let ours = task("a");
    store.create(ours.clone(), wide).await.expect("it works");

    let error = store.get(newer.id).await.expect_err("it is too new");
    assert!(error.to_string().contains("newer version"), "{error}");
    let error = store.request_cancel(newer.id, "".into()).await;
    assert!(error.expect_err("too new").to_string().contains("newer"));
    assert_eq!(claim("a").await, [ours.id]);
    let filter = Filter::of(Owner::Anybody);
    let listed = store.list(&filter, None, 10).await.expect("it works");
    assert_eq!(listed.len(), 1);
    let reaped = store.reap(10).await.expect("it works");
    assert!(!reaped.ready && reaped.expired.is_empty());
}
