//! `doctor`: what is wrong with a store and its tasks, and what to do.

mod findings;
mod sessions;
mod tasks;

use async_tool_runtime::store::{Inspection, OpenStore, Stats};
use serde::Serialize;

use super::{Place, stats};
use crate::args::DoctorArgs;
use crate::failure::{Failure, Verdict};
use crate::open::{self, Form};
use crate::output::text::{clean, count};
use crate::output::{Out, Paint};
use findings::Finding;

#[derive(Serialize)]
struct Document<'a> {
    engine: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_schema: Option<u32>,
    namespaces: Vec<stats::Document<'a>>,
    findings: &'a [Finding],
}

/// A namespace that was looked at.
struct Seen {
    place: Place,
    stats: Stats,
}

pub(super) async fn run(
    url: &str,
    namespace: Option<&str>,
    args: &DoctorArgs,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    let inspection = open::inspect(url).await?;
    let mut findings = findings::of_store(&inspection);
    let opened = match Form::of(&inspection) {
        Form::Same => match open::open_anyhow(url).await {
            Ok(opened) => Some(opened),
            Err(failure) => {
                findings.push(findings::unusable(&failure));
                None
            }
        },
        _ => None,
    };
    let done = async {
        let seen = match &opened {
            Some(opened) => look(opened.store(), namespace).await?,
            None => Vec::new(),
        };
        examine(&seen, args, &mut findings, out).await?;
        report(&inspection, &seen, &findings, out)
    }
    .await;
    if let Some(opened) = opened {
        opened.close().await;
    }
    done
}

async fn look(store: &dyn OpenStore, namespace: Option<&str>) -> Result<Vec<Seen>, Failure> {
    let names = match namespace {
        Some(name) => vec![name.to_owned()],
        None => store.namespaces().await?,
    };
    let mut seen = Vec::new();
    for namespace in names {
        let store = store.open(&namespace).await?;
        let stats = store.stats().await?;
        let place = Place { namespace, store };
        seen.push(Seen { place, stats });
    }
    Ok(seen)
}

async fn examine(
    seen: &[Seen],
    args: &DoctorArgs,
    findings: &mut Vec<Finding>,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    for Seen { place, stats } in seen {
        tasks::examine(place, stats, findings).await?;
    }
    if !args.quick {
        sessions::observe(seen, findings, out).await?;
    }
    Ok(())
}

fn report(
    inspection: &Inspection,
    seen: &[Seen],
    findings: &[Finding],
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    if out.json {
        let views = seen
            .iter()
            .map(|seen| stats::Document::of(&seen.place.namespace, &seen.stats));
        out.json(&Document {
            engine: &inspection.engine,
            schema: inspection.schema,
            known_schema: inspection.known_schema,
            namespaces: views.collect(),
            findings,
        })?;
    } else {
        tell(inspection, seen, findings, out)?;
    }
    Ok(if findings.is_empty() {
        Verdict::Well
    } else {
        Verdict::Amiss
    })
}

fn tell(
    inspection: &Inspection,
    seen: &[Seen],
    findings: &[Finding],
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    let known = inspection.known_schema.unwrap_or_default();
    let schema = match inspection.schema {
        Some(found) => format!(", schema version {found} (this program knows {known})"),
        None => String::new(),
    };
    out.line(format_args!("{}{schema}", clean(&inspection.engine)))?;
    for Seen { place, stats } in seen {
        out.line(format_args!(
            "{}: {} running, {} queued, {} kept, {}",
            clean(&place.namespace),
            stats.running,
            stats.queued(),
            stats.records,
            count(stats.sessions.len(), "session")
        ))?;
    }
    for finding in findings {
        out.line("")?;
        let place = finding
            .namespace
            .as_deref()
            .map_or_else(String::new, |it| format!("{it}: "));
        let what = format!("{place}{}", finding.what);
        out.line(out.look.paint(Paint::Bad, &clean(&what)))?;
        out.line(format_args!("  do: {}", clean(&finding.advice)))?;
        for id in &finding.task_ids {
            out.line(format_args!("  {id}"))?;
        }
    }
    if findings.is_empty() {
        out.line(out.look.paint(Paint::Good, "nothing is wrong"))?;
    }
    Ok(())
}
