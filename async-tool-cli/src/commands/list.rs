//! `list`: tasks, the newest first.

use async_tool_runtime::store::{Cursor, Status, TaskRecord, Timestamp};
use serde::Serialize;

use super::Place;
use crate::args::{ListArgs, place_text};
use crate::failure::{Failure, Verdict};
use crate::output::text::{clean, short};
use crate::output::{Cell, Column, Out, Paint, Table};
use crate::view::{Moment, TaskView, detail, paint, time};

/// How many tasks are read at once.
pub(super) const PAGE: usize = 500;

#[derive(Serialize)]
struct Document<'a> {
    namespace: &'a str,
    at: Moment,
    tasks: Vec<TaskView<'a>>,
    /// Where to go on, for `--after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn run(
    place: &Place,
    args: &ListArgs,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    // The store's time, with which those of its tasks are compared.
    let now = place.store.stats().await?.at;
    let page = read(place, args, now).await?;
    let next = page.next.map(place_text);
    if out.json {
        out.json(&Document {
            namespace: &place.namespace,
            at: Moment(now),
            tasks: page.tasks.iter().map(TaskView::of).collect(),
            next,
        })?;
        return Ok(Verdict::Well);
    }
    if page.tasks.is_empty() {
        out.note("no such tasks")?;
        return Ok(Verdict::Well);
    }
    out.table(&table(&page.tasks, now))?;
    if let Some(next) = next {
        out.note(format_args!(
            "there are more: `--after {next}`, or a larger `--limit`"
        ))?;
    }
    Ok(Verdict::Well)
}

struct Page {
    tasks: Vec<TaskRecord>,
    /// After the last of them, if there are more.
    next: Option<Cursor>,
}

async fn read(place: &Place, args: &ListArgs, now: Timestamp) -> Result<Page, Failure> {
    let mut filter = args.which.filter();
    // A store filters by one status; what is left is done here.
    if let [status] = args.status[..] {
        filter.status = Some(status);
    }
    let since = args.since.map(|since| since.moment(now));
    let mut tasks: Vec<TaskRecord> = Vec::new();
    let mut after = args.after;
    loop {
        // One more tells whether there are more.
        let missing = (args.limit - tasks.len()).saturating_add(1);
        let records = place.store.list(&filter, after, missing.min(PAGE)).await?;
        let Some(last) = records.last().map(Cursor::of) else {
            return Ok(Page { tasks, next: None });
        };
        for record in records {
            if since.is_some_and(|since| record.created_at < since) {
                return Ok(Page { tasks, next: None });
            }
            if !has_status(&record, &args.status) {
                continue;
            }
            if tasks.len() == args.limit {
                let next = tasks.last().map(Cursor::of).or(args.after);
                return Ok(Page { tasks, next });
            }
            tasks.push(record);
        }
        after = Some(last);
    }
}

/// None means any.
pub(super) fn has_status(record: &TaskRecord, wanted: &[Status]) -> bool {
    wanted.is_empty() || wanted.contains(&record.status)
}

fn table(tasks: &[TaskRecord], now: Timestamp) -> Table {
    let owned = tasks.iter().any(|task| task.principal.is_some());
    let mut columns = vec![
        Column::whole("ID"),
        Column::cut_to("TOOL", 8),
        Column::whole("STATUS"),
        Column::whole("AGE"),
        Column::whole("TIME"),
        Column::cut_to("DETAIL", 10),
    ];
    if owned {
        columns.insert(2, Column::cut_to("PRINCIPAL", 8));
    }
    let mut table = Table::new(columns);
    for task in tasks {
        let mut cells = vec![
            Cell::from(task.id.to_string()),
            clean(&task.tool).into_owned().into(),
            Cell::new(task.status.as_str(), paint(task.status)),
            Cell::new(short(now.since(task.created_at)), Paint::Faint),
            time(task, now).into(),
            detail(task, now, true).into(),
        ];
        if owned {
            let principal = task.principal.as_ref().map_or("", |name| name.as_str());
            cells.insert(2, clean(principal).into_owned().into());
        }
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::TaskId;
    use serde_json::Value;

    use super::super::testing::{completed, empty, failed};
    use super::*;
    use crate::args::{Since, Which};
    use crate::output::{Written, written};

    async fn listed(place: &Place, args: &ListArgs, json: bool) -> Written {
        let (done, text) = written(json, async |out| run(place, args, out).await).await;
        assert_eq!(done.expect("a list"), Verdict::Well);
        text
    }

    async fn ids(place: &Place, args: &ListArgs) -> Vec<TaskId> {
        let document = listed(place, args, true).await.document();
        let tasks = document["tasks"].as_array().cloned().unwrap_or_default();
        let id = |task: &Value| task["task_id"].as_str()?.parse().ok();
        tasks.iter().filter_map(id).collect()
    }

    fn args() -> ListArgs {
        ListArgs {
            limit: 50,
            ..ListArgs::default()
        }
    }

    #[tokio::test]
    async fn filters_go_together() {
        let place = empty().await;
        let done = place.ended("build", completed()).await;
        let broken = place.ended("build", failed("no space")).await;
        let waiting = place.queued_by("deploy", "ada").await;
        let by = |which: Which, status: &[Status]| ListArgs {
            which,
            status: status.to_vec(),
            ..args()
        };
        let tool = |name: &str| Which {
            tool: Some(name.to_owned()),
            ..Which::default()
        };
        let principal = Which {
            principal: Some("ada".to_owned()),
            ..Which::default()
        };
        let nobody = Which {
            no_principal: true,
            ..Which::default()
        };
        let (queued, failed) = (Status::Queued, Status::Failed);
        assert_eq!(ids(&place, &by(principal, &[])).await, [waiting]);
        assert_eq!(ids(&place, &by(nobody, &[failed])).await, [broken]);
        assert_eq!(ids(&place, &by(tool("deploy"), &[failed])).await, []);
        let both = ids(&place, &by(Which::default(), &[queued, failed])).await;
        assert_eq!(both.len(), 2);
        assert!(both.contains(&waiting) && both.contains(&broken), "{done}");
    }

    #[tokio::test]
    async fn pages_go_on_where_they_ended() {
        let place = empty().await;
        for _ in 0..5 {
            place.queued("build").await;
        }
        let all = ids(&place, &args()).await;
        assert_eq!(all.len(), 5);
        let mut paged = Vec::new();
        let mut args = ListArgs { limit: 2, ..args() };
        for more in [true, true, false] {
            let records = read(&place, &args, Timestamp(0)).await.expect("a page");
            paged.extend(records.tasks.iter().map(|task| task.id));
            assert_eq!(records.next.is_some(), more);
            args.after = records.next;
        }
        assert_eq!(paged, all);
        let text = listed(
            &place,
            &ListArgs {
                limit: 2,
                ..self::args()
            },
            false,
        )
        .await;
        assert_eq!(text.out.lines().count(), 3, "{}", text.out);
        assert!(
            text.notes.starts_with("there are more: `--after "),
            "{}",
            text.notes
        );
    }

    #[tokio::test]
    async fn since_ends_the_list() {
        let place = empty().await;
        let id = place.queued("build").await;
        let created = place.store.get(id).await.expect("an answer").expect("it");
        let since = |moment| ListArgs {
            since: Some(Since::At(Timestamp(moment))),
            ..args()
        };
        let moment = created.created_at.0;
        assert_eq!(ids(&place, &since(moment)).await, [id]);
        assert_eq!(ids(&place, &since(moment + 1)).await, []);
    }

    #[tokio::test]
    async fn people_get_a_table_without_secrets_and_commands() {
        let place = empty().await;
        assert_eq!(
            listed(&place, &args(), false).await.notes,
            "no such tasks\n"
        );
        place.ended("build", completed()).await;
        place.ended("build", failed("no \x1b[2Jspace")).await;
        let text = listed(&place, &args(), false).await.out;
        assert!(text.starts_with("ID "), "{text}");
        assert!(text.contains("tool_error: no \\u{1b}[2Jspace"), "{text}");
        assert!(!text.contains("secret") && !text.contains('\x1b'), "{text}");
        assert!(!text.contains("PRINCIPAL"), "{text}");
        place.queued_by("build", "ada").await;
        let text = listed(&place, &args(), false).await.out;
        assert!(
            text.contains("PRINCIPAL") && text.contains(" ada "),
            "{text}"
        );
    }
}
