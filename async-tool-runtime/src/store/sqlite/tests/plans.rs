//! No statement looks at all tasks.

use rusqlite::Connection;

use super::*;
use crate::store::{Filter, Owner, Principal, Status};

/// The steps of a plan, as SQLite tells them.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    for parameter in 1..=statement.parameter_count() {
        statement
            .raw_bind_parameter(parameter, 1)
            .expect("a parameter");
    }
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().expect("a plan") {
        steps.push(row.get(3).expect("text"));
    }
    steps
}

#[tokio::test(start_paused = true)]
async fn no_statement_of_random_operations_scans_a_table() {
    let place = Place::new();
    model::run(&place, 7, 1500).await;
    let connection = Connection::open(place.path()).expect("it opens");
    let all = statement::seen::all();
    assert!(all.len() > 50, "{} statements", all.len());
    for sql in all {
        if sql.starts_with("PRAGMA") {
            continue;
        }
        let plan = plan(&connection, &sql);
        let scans = plan.iter().any(|step| step.starts_with("SCAN"));
        assert!(!scans, "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn lists_read_an_index_in_their_order() {
    let place = Place::new();
    drop(place.store().await);
    let connection = Connection::open(place.path()).expect("it opens");
    let owners = [
        Owner::Anybody,
        Owner::Nobody,
        Owner::Principal(Principal::new("p")),
    ];
    for owner in owners {
        for tool in [None, Some(Arc::from("t"))] {
            for status in [
                None,
                Some(Status::Queued),
                Some(Status::Working),
                Some(Status::InputRequired),
                Some(Status::Completed),
                Some(Status::Failed),
                Some(Status::Cancelled),
            ] {
                let mut filter = Filter::of(owner.clone());
                filter.tool.clone_from(&tool);
                filter.status = status;
                let after = crate::store::Cursor::new(crate::store::Timestamp(1), TaskId::random());
                let now = crate::store::Timestamp(2);
                let (sql, _) = reads::list_query(1, &filter, Some(after), 10, now);
                let plan = plan(&connection, &sql);
                assert!(plan[0].starts_with("SEARCH"), "{sql}\n{plan:#?}");
                // What is alive is little, and sorted.
                let sorted = status.is_some_and(|status| !status.is_terminal());
                assert_eq!(plan.len(), 1 + usize::from(sorted), "{sql}\n{plan:#?}");
                if !sorted {
                    assert!(
                        plan[0].contains("(created_at,id)<"),
                        "it starts at the cursor: {plan:#?}"
                    );
                    // One that is rare is not looked for among all others.
                    let common = owner == Owner::Anybody && status == Some(Status::Completed);
                    assert_eq!(
                        plan[0].contains("status=?"),
                        status.is_some() && !common,
                        "{sql}\n{plan:#?}"
                    );
                }
            }
        }
    }
}
