//! A look behind the store's back.

use tokio_postgres::{Client, NoTls};

use super::*;
use crate::store::driver::Driver;

/// A connection of its own, on a thread of its own: the tests' clocks may be
/// paused.
pub(super) struct Admin {
    pub(super) client: Arc<Client>,
    driver: Driver,
}

impl Admin {
    pub(super) async fn connect(server: &Postgres) -> Self {
        let driver = Driver::start("admin").expect("a thread");
        let url = server.url();
        let connected = driver.call(async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls)
                .await
                .expect("it connects");
            tokio::spawn(connection);
            Ok(Arc::new(client))
        });
        let client = connected.await.expect("it connects");
        Self { client, driver }
    }

    pub(super) async fn run(&self, sql: &str) {
        let (client, of_sql) = (Arc::clone(&self.client), sql.to_owned());
        let run = self
            .driver
            .call(async move { Ok(client.batch_execute(&of_sql).await) });
        run.await
            .expect("it runs")
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        self.value(sql).await
    }

    pub(super) async fn text(&self, sql: &str) -> String {
        self.value(sql).await
    }

    async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a> + Send + 'static,
    {
        let (client, of_sql) = (Arc::clone(&self.client), sql.to_owned());
        let read = self.driver.call(async move {
            let row = client.query_one(&of_sql, &[]).await;
            Ok(row.and_then(|row| row.try_get(0)))
        });
        read.await
            .expect("it runs")
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Sessions whose last tasks end at the same moment may leave a row that
    /// their next call, or `reap`, deletes; where calls come one by one, none
    /// does.
    pub(super) async fn check_sessions(&self, schema: &str) {
        let count = format!(
            "SELECT count(*) FROM {schema}.sessions s WHERE NOT EXISTS \
             (SELECT 1 FROM {schema}.tasks t WHERE t.ns = s.ns AND t.owner = s.session)"
        );
        assert_eq!(self.number(&count).await, 0, "sessions that own nothing");
    }

    /// What must be true of the tables at any time when nothing is going on.
    pub(super) async fn check_integrity(&self, schema: &str) {
        self.run(&format!("SET search_path TO {schema}")).await;
        for (wrong, sql) in [
            (
                "numbers of records",
                "SELECT 1 FROM (SELECT ns, sum(records) AS records FROM counters GROUP BY ns) c \
                 WHERE records <> (SELECT count(*) FROM tasks t WHERE t.ns = c.ns)",
            ),
            (
                "owners without a session",
                "SELECT 1 FROM tasks t WHERE owner IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM sessions s WHERE t.ns = s.ns AND t.owner = s.session)",
            ),
            (
                "tasks neither queued nor owned",
                "SELECT 1 FROM tasks WHERE status IN (1, 2) AND owner IS NULL",
            ),
            (
                "questions of tasks that have ended, or that older versions know",
                "SELECT 1 FROM tasks WHERE input IS NOT NULL AND (status >= 3 OR format < 2)",
            ),
            (
                "notices that older versions know, or parts of one",
                "SELECT 1 FROM tasks WHERE (notice IS NOT NULL) <> (format >= 3) \
                 OR (notice IS NULL AND (notice_due IS NOT NULL OR notice_state IS NOT NULL))",
            ),
            (
                "ended tasks that were never told of",
                "SELECT 1 FROM tasks \
                 WHERE notice = 0 AND (status >= 3 OR notice_due IS NOT NULL)",
            ),
            (
                "tasks that wait for no answer",
                "SELECT 1 FROM tasks t WHERE (status = 2) <> (owner IS NOT NULL AND EXISTS \
                 (SELECT 1 FROM jsonb_array_elements(t.input -> 'questions') q \
                  WHERE (q ->> 'epoch')::bigint = t.epoch))",
            ),
            (
                "ended tasks without a date of expiry",
                "SELECT 1 FROM tasks WHERE (status >= 3) <> (expires_at IS NOT NULL)",
            ),
            (
                "living tasks without arguments, or others with some",
                "SELECT 1 FROM tasks t FULL JOIN arguments a ON a.task = t.seq \
                 WHERE t.seq IS NULL OR (t.status < 3) <> (a.task IS NOT NULL)",
            ),
            (
                "steps without a living task",
                "SELECT 1 FROM steps a WHERE NOT EXISTS \
                 (SELECT 1 FROM tasks t WHERE t.seq = a.task AND t.status < 3)",
            ),
            (
                "results of tasks that have none",
                "SELECT 1 FROM results a WHERE NOT EXISTS \
                 (SELECT 1 FROM tasks t WHERE t.seq = a.task AND t.status <= 3)",
            ),
            (
                "completed tasks without a result",
                "SELECT 1 FROM tasks t WHERE status = 3 AND NOT EXISTS \
                 (SELECT 1 FROM results a WHERE a.task = t.seq)",
            ),
            (
                "log lines or keys of no task",
                "SELECT 1 FROM (SELECT task FROM log UNION ALL SELECT task FROM keys) a \
                 WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.seq = a.task)",
            ),
            (
                "numbers of keys",
                "SELECT 1 FROM tasks t \
                 WHERE keys <> (SELECT count(*) FROM keys k WHERE k.task = t.seq)",
            ),
            (
                "more log lines than are kept",
                "SELECT 1 FROM log GROUP BY task HAVING count(*) > 50",
            ),
            (
                "slots that are not what owned tasks need",
                "(SELECT t.ns, split_part(c, ':', 2), t.seq FROM tasks t, unnest(t.concurrency) c \
                  WHERE t.owner IS NOT NULL EXCEPT ALL \
                  SELECT ns, key, task FROM slots WHERE task IS NOT NULL) UNION ALL \
                 (SELECT ns, key, task FROM slots WHERE task IS NOT NULL EXCEPT ALL \
                  SELECT t.ns, split_part(c, ':', 2), t.seq FROM tasks t, unnest(t.concurrency) c \
                  WHERE t.owner IS NOT NULL)",
            ),
        ] {
            let count = format!("SELECT count(*) FROM ({sql}) wrong");
            assert_eq!(self.number(&count).await, 0, "{wrong}");
        }
    }
}
