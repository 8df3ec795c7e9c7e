//! The commands: each a function over an open namespace and where it writes.

mod cancel;
mod confirm;
mod doctor;
mod list;
mod namespaces;
mod purge;
mod show;
mod stats;
#[cfg(test)]
mod testing;
mod upgrade;
mod watch;

use std::sync::Arc;

use async_tool_runtime::store::{OpenStore, Store};

use crate::args::{Cli, Command};
use crate::failure::{Failure, Verdict};
use crate::open;
use crate::output::Out;
use crate::output::text::clean;

/// Unless said otherwise.
const DEFAULT: &str = "default";

/// Where tasks are.
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) async fn run(cli: Cli, out: &mut Out<'_>) -> Result<Verdict, Failure> {
    let url = cli.common.store.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| {
        Failure::Usage(
            "which store? Give `--store URL`, or set ASYNC_TOOL_STORE; a URL is sqlite:PATH, \
             postgres://… or redis://…"
                .to_owned(),
        )
    })?;
    let namespace = cli.common.namespace.as_deref();
    let at = Location {
        url: &url,
        namespace: namespace.unwrap_or(DEFAULT),
    };
    match cli.command {
        Command::List(args) => {
            at.run(out, async |it, out| list::run(&it, &args, out).await)
                .await
        }
        Command::Show(args) => {
            at.run(out, async |it, out| show::run(&it, &args, out).await)
                .await
        }
        Command::Watch(args) => {
            at.run(out, async |it, out| watch::run(&it, &args, out).await)
                .await
        }
        Command::Cancel(args) => {
            at.run(out, async |it, out| cancel::run(&it, &args, out).await)
                .await
        }
        Command::Purge(args) => {
            at.run(out, async |it, out| {
                purge::run(&it, &args, &mut confirm::on_terminal, out).await
            })
            .await
        }
        Command::Stats => {
            at.run(out, async |it, out| stats::run(&it, out).await)
                .await
        }
        Command::Namespaces => {
            let opened = open::open(&url).await?;
            let done = namespaces::run(opened.store(), out).await;
            opened.close().await;
            done
        }
        Command::Doctor(args) => doctor::run(&url, namespace, &args, out).await,
        Command::Upgrade => upgrade::run(&url, out).await,
    }
}

/// Where tasks are, before the store is open.
struct Location<'a> {
    url: &'a str,
    namespace: &'a str,
}

impl Location<'_> {
    async fn run(
        &self,
        out: &mut Out<'_>,
        command: impl AsyncFnOnce(Place, &mut Out<'_>) -> Result<Verdict, Failure>,
    ) -> Result<Verdict, Failure> {
        let opened = open::open(self.url).await?;
        let done = async {
            let place = Place {
                namespace: self.namespace.to_owned(),
                store: opened.store().open(self.namespace).await?,
            };
            hint(opened.store(), &place, out).await?;
            command(place, out).await
        }
        .await;
        opened.close().await;
        done
    }
}

/// A namespace without tasks is no mistake, but one that is misspelt looks like
/// that.
async fn hint(store: &dyn OpenStore, place: &Place, out: &mut Out<'_>) -> Result<(), Failure> {
    const NAMED: usize = 10;
    // Some stores have to look at everything to tell their namespaces.
    if place.store.stats().await?.records > 0 {
        return Ok(());
    }
    let known = store.namespaces().await?;
    let named = known.iter().take(NAMED);
    let named: Vec<String> = named.map(|name| format!("`{}`", clean(name))).collect();
    let there = match known.len() {
        0 => "the store has no tasks at all".to_owned(),
        1..=NAMED => format!("there are tasks in {}", named.join(", ")),
        more => format!(
            "there are tasks in {} and {} more",
            named.join(", "),
            more - NAMED
        ),
    };
    let namespace = clean(&place.namespace);
    out.note(format_args!(
        "note: the namespace `{namespace}` has no tasks; {there}"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::MemoryStore;

    use super::testing::place;
    use super::*;
    use crate::output::written;

    #[tokio::test]
    async fn a_namespace_without_tasks_is_noted() {
        let store = MemoryStore::new();
        let noted = async |name: &str| {
            let here = place(&store, name).await;
            let (done, text) = written(false, async |out| hint(&store, &here, out).await).await;
            done.expect("noted");
            text.notes
        };
        assert_eq!(
            noted("biulds").await,
            "note: the namespace `biulds` has no tasks; the store has no tasks at all\n"
        );
        place(&store, "builds").await.queued("build").await;
        assert_eq!(
            noted("biulds").await,
            "note: the namespace `biulds` has no tasks; there are tasks in `builds`\n"
        );
        assert_eq!(noted("builds").await, "");
    }
}
