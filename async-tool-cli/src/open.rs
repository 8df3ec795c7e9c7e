//! Opening stores that are there, and changing none by looking at it.
//!
//! To open a store is to bring it to the form of this program. So it is looked
//! at first, and opened only if that changes nothing, or was asked for.

use async_tool_runtime::store::{self, Inspection, OpenStore};
#[cfg(feature = "sqlite")]
use async_tool_runtime::{SqliteStore, store::StoreError};

use crate::failure::Failure;

/// An open store.
pub(crate) enum Opened {
    /// Which is to be closed, so that nothing of it is left beside the file.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStore),
    Other(Box<dyn OpenStore>),
}

impl Opened {
    pub(crate) fn store(&self) -> &dyn OpenStore {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store,
            Self::Other(store) => store,
        }
    }

    pub(crate) async fn close(self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.close().await,
            Self::Other(_) => {}
        }
    }
}

/// How a store's form goes with this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is this program's own, or there are none.
    Same,
    /// Nothing has been written yet.
    Nothing,
    Older {
        found: u32,
        known: u32,
    },
    Newer {
        found: u32,
        known: u32,
    },
}

impl Form {
    pub(crate) fn of(inspection: &Inspection) -> Self {
        match (inspection.schema, inspection.known_schema) {
            (_, None) => Self::Same,
            (None, Some(_)) => Self::Nothing,
            (Some(found), Some(known)) if found < known => Self::Older { found, known },
            (Some(found), Some(known)) if found > known => Self::Newer { found, known },
            _ => Self::Same,
        }
    }

    /// Why the store must not be opened, and what to do about it.
    pub(crate) fn refusal(self) -> Option<String> {
        match self {
            Self::Same => None,
            Self::Nothing => Some(
                "there is nothing of async-tool in this store yet. The first server that opens it \
                 makes what it needs, and so does `async-tool upgrade`"
                    .to_owned(),
            ),
            Self::Older { found, known } => Some(format!(
                "the store has schema version {found}, and this program knows {known}. To open it \
                 would change it to {known}, and servers of older versions could not open it any \
                 more. `async-tool upgrade` does that; or use the program of the servers' version"
            )),
            Self::Newer { found, known } => Some(format!(
                "the store has schema version {found}, which is newer than what this program \
                 knows, {known}. Use a newer `async-tool`"
            )),
        }
    }
}

/// Looks at a store without changing anything.
pub(crate) async fn inspect(url: &str) -> Result<Inspection, Failure> {
    if url.starts_with("memory:") {
        return Err(Failure::Usage(
            "tasks in memory belong to their process; nobody else can look at them".to_owned(),
        ));
    }
    Ok(store::inspect(url).await?)
}

/// Opens a store that is of this program's form.
pub(crate) async fn open(url: &str) -> Result<Opened, Failure> {
    match Form::of(&inspect(url).await?).refusal() {
        Some(refusal) => Err(Failure::Unfit(refusal)),
        None => open_anyhow(url).await,
    }
}

/// Opens a store, and changes it if need be.
pub(crate) async fn open_anyhow(url: &str) -> Result<Opened, Failure> {
    #[cfg(feature = "sqlite")]
    if let Some(path) = url.strip_prefix("sqlite:") {
        let opened: Result<_, StoreError> = SqliteStore::open(path).await;
        return Ok(Opened::Sqlite(opened?));
    }
    Ok(Opened::Other(store::from_url(url).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(schema: Option<u32>, known: Option<u32>) -> Form {
        let mut inspection = Inspection::new("Some Engine 1.0");
        inspection.schema = schema;
        inspection.known_schema = known;
        Form::of(&inspection)
    }

    #[test]
    fn only_what_opening_does_not_change_is_opened() {
        assert_eq!(form(Some(3), Some(3)).refusal(), None);
        assert_eq!(form(None, None).refusal(), None);
        let refusal = |schema, known| form(schema, known).refusal().expect("a refusal");
        assert!(refusal(None, Some(3)).contains("async-tool upgrade"));
        assert!(refusal(Some(2), Some(3)).contains("would change it to 3"));
        assert!(refusal(Some(4), Some(3)).contains("newer `async-tool`"));
    }

    #[tokio::test]
    async fn memory_cannot_be_looked_at() {
        let failure = inspect("memory:").await.expect_err("a refusal");
        assert!(matches!(failure, Failure::Usage(_)), "{failure}");
    }
}
