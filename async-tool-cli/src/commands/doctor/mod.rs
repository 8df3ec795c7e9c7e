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
use findings::{Finding, Level};

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
        report(&inspection, &seen, &findings, args.strict, out)
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
    strict: bool,
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
    let is_amiss = |finding: &Finding| strict || finding.level == Level::Error;
    Ok(if findings.iter().any(is_amiss) {
        Verdict::Amiss
    } else {
        Verdict::Well
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
        let (paint, level) = match finding.level {
            Level::Warning => (Paint::Warn, "warning"),
            Level::Error => (Paint::Bad, "error"),
        };
        let level = out.look.paint(paint, level);
        let what = format!("{place}{}", finding.what);
        out.line(format_args!("{level}: {}", clean(&what)))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::written;

    async fn reported(findings: &[Finding], strict: bool) -> (Verdict, String) {
        let inspection = Inspection::new("Redis 7.0.15");
        let (done, text) = written(false, async |out| {
            report(&inspection, &[], findings, strict, out)
        })
        .await;
        (done.expect("a report"), text.out)
    }

    fn finding(level: Level) -> Finding {
        let finding = Finding::new("some", "it \x1b[31mleaks", "repair it").in_namespace("web");
        Finding { level, ..finding }
    }

    #[tokio::test]
    async fn errors_count_and_warnings_if_asked() {
        let (verdict, text) = reported(&[], true).await;
        assert_eq!(verdict, Verdict::Well);
        assert_eq!(text, "Redis 7.0.15\nnothing is wrong\n");
        let warning = [finding(Level::Warning)];
        let (verdict, text) = reported(&warning, false).await;
        assert_eq!(verdict, Verdict::Well);
        let expected = "\nwarning: web: it \\u{1b}[31mleaks\n  do: repair it\n";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(reported(&warning, true).await.0, Verdict::Amiss);
        assert_eq!(
            reported(&[finding(Level::Error)], false).await.0,
            Verdict::Amiss
        );
    }
}
