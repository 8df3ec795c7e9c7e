//! A process of the second version beside newer ones.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::*;
use crate::store::model::{fingerprint, lease, task};
use crate::store::{
    Admission, CancelAck, Created, Epoch, LogLine, Question, Report, Status, TaskId, TaskKey,
    TaskRecord, Timestamp, Want,
};

/// Its statements, prepared before the schema became a later one. The session is
/// `old`, the tool `t`; `$1` is the task.
const STATEMENTS: [(&str, &str); 11] = [
    (
        "create",
        "SELECT *, NULL::text FROM create_task(1, $1, 2, $2, $2, NULL, 't', '', '{}', '{}', 2, \
         600000, 60000, 99, 99, 99, 99, NULL, 0, 0)",
    ),
    (
        "claim",
        "SELECT c.*, CASE WHEN c.format > 1 THEN input_of(1, c.id) END \
         FROM claim_tasks(1, 2, md5('old')::uuid, 60000, 1, '{t}', '{9}', 9) c",
    ),
    (
        "beat",
        "SELECT * FROM beat(1, 2, md5('old')::uuid, 60000, 2, ARRAY[$1::uuid], '{1}', '{1}', \
         ARRAY['{\"message\":\"old\"}'], '{9}', '{1}', '{1}', '{1}', '{line}', 50)",
    ),
    ("step", "SELECT record_step(1, 2, $1, 1, '\\x00', 's', '1')"),
    (
        "ask",
        "SELECT ask_questions(1, 2, $1, 1, 0, \
         '[{\"key\":\"q\",\"message\":\"\",\"schema\":\"true\",\"epoch\":1}]', \
         ARRAY['\\x01'::bytea], 64)",
    ),
    (
        "answer",
        "SELECT kind FROM answer_question(1, 2, $1, 'q', '\\x01', 'input:q', '1')",
    ),
    ("put", "SELECT put_result(1, 2, $1, 1, '[1]')"),
    (
        "finish",
        "SELECT finish_task(1, 2, $1, 1, 0, 3::smallint, NULL, NULL, true, false, '{2}', '{2}', \
         '{line}', 50)",
    ),
    (
        "release",
        "SELECT release_task(1, 2, $1, 1, 1, 0, '{\"message\":\"again\"}', 0, '{}', '{}', '{}', 50)",
    ),
    ("cancel", "SELECT request_cancel(1, 2, $1, '')"),
    (
        "reap",
        "SELECT kind, id, number FROM reap(1, 2, 99, '{}', '{}', 1000, '{}', '{}', '{}', 60000)",
    ),
];

struct Second {
    admin: Admin,
    statements: Vec<(&'static str, Statement)>,
}

impl Second {
    async fn start(server: &Postgres, schema: &str) -> Self {
        let admin = Admin::connect(server).await;
        admin
            .run(&format!(
                "CREATE SCHEMA {schema}; SET search_path TO {schema}, pg_temp; \
                 CREATE TABLE migrations (version INTEGER PRIMARY KEY); \
                 INSERT INTO migrations VALUES (1), (2)"
            ))
            .await;
        for sql in schema::MIGRATIONS[..2].iter().copied().flatten() {
            admin.run(sql).await;
        }
        admin.run("SELECT open_namespace('test')").await;
        let mut statements = Vec::new();
        for (name, sql) in STATEMENTS {
            let prepared = admin.client.prepare(sql).await;
            statements.push((name, prepared.expect("it is right")));
        }
        Self { admin, statements }
    }

    async fn rows(&self, name: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let mut statements = self.statements.iter();
        let (_, statement) = statements.find(|(of, _)| *of == name).expect("one of them");
        self.admin.client.query(statement, params).await
    }

    /// Calls what answers with a code.
    async fn call(&self, name: &str, id: TaskId) -> Result<i32, Error> {
        let rows = self.rows(name, &[&rows::uuid(id.to_bytes())]).await?;
        rows[0].try_get(0)
    }

    async fn create(&self, key: Vec<u8>) -> Result<(i16, TaskId), Error> {
        let id = TaskId::random();
        let made = self
            .rows("create", &[&rows::uuid(id.to_bytes()), &key])
            .await?;
        let kind: i16 = made[0].try_get(0)?;
        Ok(match kind {
            3 => (3, rows::id(&made[0], 3).expect("an id")),
            kind => (kind, id),
        })
    }

    async fn claim(&self) -> Vec<TaskId> {
        let claimed = self.rows("claim", &[]).await.expect("it works");
        let ids = claimed.iter().map(|row| rows::id(row, 3).expect("an id"));
        ids.collect()
    }

    /// What is said of a task that it reports on.
    async fn beat(&self, id: TaskId) -> Vec<i16> {
        let beat = self.rows("beat", &[&rows::uuid(id.to_bytes())]).await;
        let beat = beat.expect("it works");
        let mut kinds = Vec::new();
        for row in &beat {
            if rows::id(row, 1).expect("an id") == id {
                kinds.push(row.get(0));
            }
        }
        kinds
    }

    /// A whole life, with all statements.
    async fn live(&self, key: u8) {
        let (kind, id) = self.create(vec![key]).await.expect("it works");
        assert_eq!(kind, 0);
        assert_eq!(self.create(vec![key]).await.expect("it works"), (3, id));
        assert_eq!(self.claim().await, [id]);
        // A change of its revision, and that it is owned.
        assert_eq!(self.beat(id).await, [1, 0]);
        for (name, code) in [
            ("step", 0),
            ("ask", 4),
            ("answer", 1),
            ("put", 0),
            ("finish", 0),
            ("release", 1),
            ("cancel", 1),
        ] {
            assert_eq!(self.call(name, id).await.expect("it works"), code, "{name}");
        }
        assert_eq!(self.create(vec![key]).await.expect("it works"), (3, id));
    }

    /// Whether it was told that a newer version is needed.
    async fn is_refused(&self, name: &str, id: TaskId) -> bool {
        let called = self.call(name, id).await;
        let error = called.expect_err("it is too new");
        error.code().map(tokio_postgres::error::SqlState::code) == Some("AT001")
    }

    /// The columns that it knows, of all rows.
    async fn table(&self) -> String {
        self.admin
            .text(
                "SELECT string_agg(concat_ws('|', seq, id, format, status, epoch, revision, report, \
                 attempt, owner, created_at, expires_at, deadline, tool, scope, outcome, input), \
                 '; ' ORDER BY seq) FROM tasks",
            )
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_second_version_goes_on_beside_newer_ones() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let old = Second::start(server, &schema).await;
    for round in 0..6 {
        // Often enough for plans that are kept.
        old.live(round).await;
    }
    let (_, asking) = old.create(vec![100]).await.expect("it works");
    assert_eq!(old.claim().await, [asking]);
    assert_eq!(old.call("ask", asking).await.expect("it works"), 4);
    let (_, waiting) = old.create(vec![101]).await.expect("it works");
    let before = old.table().await;

    let store = connect(server, &schema).await;
    let store = store.open("test").await.expect("it opens");
    assert_eq!(old.table().await, before);
    old.admin.check_integrity(&schema).await;
    let stats = store.stats().await.expect("it works");
    assert_eq!((stats.records, stats.running, stats.queued()), (8, 1, 1));
    let read = async |id| {
        let found = store.get(id).await.expect("it works");
        found.expect("it is there")
    };
    let record = read(asking).await;
    assert_eq!(record.status, Status::InputRequired);
    assert!(record.origin.is_none() && record.notice.is_none());

    // It goes on, with what was there and with what is new.
    assert_eq!(old.claim().await, [waiting]);
    assert_eq!(old.call("release", waiting).await.expect("it works"), 4);
    assert_eq!(old.call("cancel", waiting).await.expect("it works"), 3);
    assert_eq!(read(waiting).await.notice, None);
    for round in 10..16 {
        old.live(round).await;
    }
    assert_eq!(old.call("answer", asking).await.expect("it works"), 1);
    let report = |record: &TaskRecord| {
        let mut report = Report::new(record.id, record.epoch, 5, Default::default(), 20);
        report.log = vec![LogLine::new(5, Timestamp(5), "line")];
        report.history = Some("[\"\0\"]".into());
        report
    };
    store
        .beat(lease(), vec![report(&record)])
        .await
        .expect("it works");
    assert_eq!(old.beat(asking).await, [0], "a late report");
    assert_eq!(read(asking).await.history.as_deref(), Some("[\"\0\"]"));

    // What somebody is to be told of is not for it.
    let mut new = task("t");
    new.notify = true;
    new.key = Some(TaskKey::new("key", fingerprint(1)));
    let created = store.create(new.clone(), Admission::new(9, 9)).await;
    assert!(matches!(created, Ok(Created::New(_))));
    assert_eq!(old.claim().await, []);
    let name = old
        .admin
        .text("SELECT encode(name, 'hex') FROM keys ORDER BY task DESC LIMIT 1");
    let name = name.await;
    let bytes = (0..name.len()).step_by(2);
    let name = bytes.map(|at| u8::from_str_radix(&name[at..at + 2], 16).expect("hex"));
    let joined = old.create(name.collect()).await.expect_err("it is too new");
    let code = joined.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(code, Some("AT001"));

    let wants = [Want::new("t".into(), 9)];
    let claimed = store.claim(lease(), &wants, 9).await.expect("it works");
    assert_eq!(claimed.len(), 1);
    let question = Question::new("q", "sure?", "true", Epoch(0));
    let asked = store.ask(new.id, Epoch(1), vec![question], 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let format = "SELECT format::bigint FROM tasks ORDER BY seq DESC LIMIT 1";
    assert_eq!(old.admin.number(format).await, 3);
    for name in [
        "step", "ask", "answer", "put", "finish", "release", "cancel",
    ] {
        assert!(old.is_refused(name, new.id).await, "{name}");
    }
    let cancelled = store.request_cancel(new.id, "".into()).await;
    assert_eq!(cancelled.expect("it works"), Some(CancelAck::Requested));
    // Nor are its notices, which would keep it awake.
    assert!(store.reap(9).await.expect("it works").notices);
    for row in old.rows("reap", &[]).await.expect("it works") {
        let (kind, number): (i16, Option<i64>) = (row.get(0), row.get(2));
        assert_eq!(kind, 5);
        assert!(number.is_some_and(|left| left > 1000), "{number:?}");
    }
    old.admin.check_integrity(&schema).await;
}
