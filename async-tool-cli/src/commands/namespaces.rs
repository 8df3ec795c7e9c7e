//! `namespaces`: those that have tasks.

use async_tool_runtime::store::{OpenStore, Stats};
use serde::Serialize;

use crate::failure::{Failure, Verdict};
use crate::output::text::clean;
use crate::output::{Cell, Column, Out, Table};

#[derive(Serialize)]
struct Document {
    namespaces: Vec<NamespaceView>,
}

#[derive(Serialize)]
struct NamespaceView {
    namespace: String,
    running: usize,
    queued: usize,
    records: usize,
}

impl NamespaceView {
    fn of(namespace: String, stats: &Stats) -> Self {
        Self {
            namespace,
            running: stats.running,
            queued: stats.queued(),
            records: stats.records,
        }
    }
}

pub(super) async fn run(store: &dyn OpenStore, out: &mut Out<'_>) -> Result<Verdict, Failure> {
    let mut namespaces = Vec::new();
    for name in store.namespaces().await? {
        let stats = store.open(&name).await?.stats().await?;
        namespaces.push(NamespaceView::of(name, &stats));
    }
    if out.json {
        out.json(&Document { namespaces })?;
    } else if namespaces.is_empty() {
        out.note("the store has no tasks at all")?;
    } else {
        out.table(&table(&namespaces))?;
    }
    Ok(Verdict::Well)
}

fn table(namespaces: &[NamespaceView]) -> Table {
    let mut table = Table::new([
        Column::cut_to("NAMESPACE", 12),
        Column::whole("RUNNING"),
        Column::whole("QUEUED"),
        Column::whole("KEPT"),
    ]);
    for view in namespaces {
        table.row([
            Cell::from(clean(&view.namespace).into_owned()),
            view.running.to_string().into(),
            view.queued.to_string().into(),
            view.records.to_string().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::MemoryStore;

    use super::super::testing::place;
    use super::*;
    use crate::output::written;

    #[tokio::test]
    async fn those_with_tasks_are_listed() {
        let store = MemoryStore::new();
        let (_, text) = written(true, async |out| run(&store, out).await).await;
        assert_eq!(text.document()["namespaces"], serde_json::json!([]));
        place(&store, "web").await.queued("build").await;
        place(&store, "batch").await.working("build").await;
        let (_, text) = written(true, async |out| run(&store, out).await).await;
        assert_eq!(
            text.document()["namespaces"],
            serde_json::json!([
                { "namespace": "batch", "running": 1, "queued": 0, "records": 1 },
                { "namespace": "web", "running": 0, "queued": 1, "records": 1 },
            ])
        );
        let (_, text) = written(false, async |out| run(&store, out).await).await;
        assert!(
            text.out.contains("\nweb        0        1       1\n"),
            "{}",
            text.out
        );
    }
}
