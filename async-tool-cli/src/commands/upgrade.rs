//! `upgrade`: brings a store to the form of this program, which opening does.

use async_tool_runtime::store::Inspection;
use serde::Serialize;

use crate::failure::{Failure, Verdict};
use crate::open::{self, Form};
use crate::output::Out;
use crate::output::text::clean;

#[derive(Serialize)]
struct Document<'a> {
    engine: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_before: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    changed: bool,
}

pub(super) async fn run(url: &str, out: &mut Out<'_>) -> Result<Verdict, Failure> {
    let before = open::inspect(url).await?;
    match Form::of(&before) {
        Form::Same => return told(&before, &before, out),
        newer @ Form::Newer { .. } => {
            return Err(Failure::Unfit(newer.refusal().unwrap_or_default()));
        }
        Form::Nothing | Form::Older { .. } => {}
    }
    open::open_anyhow(url).await?.close().await;
    told(&before, &open::inspect(url).await?, out)
}

fn told(before: &Inspection, after: &Inspection, out: &mut Out<'_>) -> Result<Verdict, Failure> {
    let changed = before.schema != after.schema;
    if out.json {
        out.json(&Document {
            engine: &after.engine,
            schema_before: before.schema,
            schema: after.schema,
            changed,
        })?;
        return Ok(Verdict::Well);
    }
    let engine = clean(&after.engine);
    match (before.schema, after.schema) {
        (_, None) => out.line(format_args!("{engine}: has no schema; nothing to do"))?,
        (_, Some(now)) if !changed => {
            out.line(format_args!("{engine}: has schema version {now} already"))?;
        }
        (None, Some(now)) => out.line(format_args!("{engine}: made schema version {now}"))?,
        (Some(then), Some(now)) => {
            out.line(format_args!("{engine}: schema version {then} became {now}"))?;
        }
    }
    Ok(Verdict::Well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::written;

    async fn text(before: Option<u32>, after: Option<u32>) -> String {
        let inspection = |schema| {
            let mut inspection = Inspection::new("SQLite 3.51.3");
            inspection.schema = schema;
            inspection
        };
        let (before, after) = (inspection(before), inspection(after));
        let (_, text) = written(false, async |out| told(&before, &after, out)).await;
        text.out
    }

    #[tokio::test]
    async fn what_was_done_is_told() {
        assert_eq!(
            text(Some(2), Some(3)).await,
            "SQLite 3.51.3: schema version 2 became 3\n"
        );
        assert_eq!(
            text(Some(3), Some(3)).await,
            "SQLite 3.51.3: has schema version 3 already\n"
        );
        assert_eq!(
            text(None, Some(3)).await,
            "SQLite 3.51.3: made schema version 3\n"
        );
        assert_eq!(
            text(None, None).await,
            "SQLite 3.51.3: has no schema; nothing to do\n"
        );
    }
}
