//! Schemas: many who create one, older and newer ones, records of newer formats.

use tokio::task::JoinSet;
use tokio_postgres::Statement;

use super::*;
use crate::store::model::{lease, task};
use crate::store::{
    Admission, Answered, End, Epoch, Filter, Outcome, Owner, Question, TaskId, Want,
};

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
    let last = i64::try_from(schema::MIGRATIONS.len()).expect("there are few");
    assert_eq!(admin.number(&sql).await, last);
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
            "UPDATE {schema}.tasks SET format = 99, status = 7 * status, deadline = 0"
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

/// A process of the first version, whose statements the server has prepared
/// before the schema became a later one.
struct First {
    admin: Admin,
    create: Statement,
    claim: Statement,
    finish: Statement,
}

impl First {
    async fn start(server: &Postgres, schema: &str) -> Self {
        let admin = Admin::connect(server).await;
        admin
            .run(&format!(
                "CREATE SCHEMA {schema}; SET search_path TO {schema}, pg_temp; \
                 CREATE TABLE migrations (version INTEGER PRIMARY KEY); \
                 INSERT INTO migrations VALUES (1)"
            ))
            .await;
        for sql in schema::MIGRATIONS[0] {
            admin.run(sql).await;
        }
        admin.run("SELECT open_namespace('test')").await;
        let prepare = async |sql: &str| admin.client.prepare(sql).await.expect("it is right");
        Self {
            create: prepare(
                "SELECT * FROM create_task(1, $1, 1, NULL, NULL, NULL, 't', '', '{}', '{}', \
                 1, 600000, 60000, 99, 99, 99, 99, NULL, 0, 0)",
            )
            .await,
            claim: prepare(
                "SELECT * FROM claim_tasks(1, 1, md5('old')::uuid, 60000, 1, '{t}', '{9}', 9)",
            )
            .await,
            finish: prepare(
                "SELECT finish_task(1, 1, $1, 1, 0, 3::smallint, NULL, '1', false, false, \
                 '{}', '{}', '{}', 50)",
            )
            .await,
            admin,
        }
    }

    async fn create(&self) -> TaskId {
        let id = TaskId::random();
        let made = self
            .admin
            .client
            .query(&self.create, &[&rows::uuid(id.to_bytes())])
            .await;
        assert_eq!(made.expect("it works").len(), 1);
        id
    }

    async fn claim(&self) -> Vec<TaskId> {
        let claimed = self.admin.client.query(&self.claim, &[]).await;
        let claimed = claimed.expect("it works");
        let ids = claimed.iter().map(|row| rows::id(row, 3).expect("an id"));
        ids.collect()
    }

    async fn finish(&self, id: TaskId) -> Result<i32, tokio_postgres::Error> {
        let id = rows::uuid(id.to_bytes());
        let finished = self.admin.client.query_one(&self.finish, &[&id]).await?;
        finished.try_get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_first_version_goes_on_beside_newer_ones() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let old = First::start(server, &schema).await;
    for _ in 0..3 {
        let id = old.create().await;
        assert_eq!(old.claim().await, [id]);
        assert_eq!(old.finish(id).await.expect("it works"), 0);
    }
    let working = old.create().await;
    assert_eq!(old.claim().await, [working]);

    let store = connect(server, &schema).await;
    let store = store.open("test").await.expect("it opens");
    let format = async |id: TaskId| {
        let id = rows::uuid(id.to_bytes());
        let sql = format!("SELECT format::bigint FROM {schema}.tasks WHERE id = '{id}'");
        old.admin.number(&sql).await
    };
    let ask = async |id| {
        let question = Question::new("q", "sure?", "true", Epoch(0));
        let asked = store.ask(id, Epoch(1), vec![question], 0).await;
        assert_eq!(asked.expect("it works"), Ok(()));
    };
    // What was there, and what either of them makes, is for both.
    let new = task("t");
    let created = store.create(new.clone(), Admission::new(9, 9)).await;
    assert!(matches!(created, Ok(crate::store::Created::New(_))));
    let queued = old.create().await;
    assert_eq!(old.claim().await, [new.id, queued]);
    assert_eq!(old.finish(new.id).await.expect("it works"), 0);
    assert_eq!((format(new.id).await, format(queued).await), (1, 1));

    // What has asked is for those who know of questions.
    ask(queued).await;
    ask(working).await;
    assert_eq!(format(working).await, 2);
    let refused = old.finish(working).await.expect_err("it is too new");
    let code = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(code, Some("AT001"));
    let answered = store.answer(working, "q", "1".into()).await;
    assert_eq!(answered.expect("it works"), Some(Answered::Recorded));
    for id in [working, queued] {
        let end = End::new(Outcome::Completed("1".into()), 0);
        let finished = store.finish(id, Epoch(1), end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
    }
    old.admin.check_integrity(&schema).await;
}
