//! Choosing a store at run time.

use super::{Inspection, MemoryStore, OpenStore, StoreError};

/// The store that a URL names: `memory:`, `sqlite:PATH` (feature `sqlite`), or
/// on a server `postgres://…` (feature `postgres`; see `PostgresStore` for what
/// may be in it) or `redis://HOST:PORT` (feature `redis`; `rediss://HOST:PORT`
/// with `redis-tls`).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), async_tool_runtime::BoxError> {
/// use async_tool_runtime::{AsyncTools, store};
///
/// let url = std::env::var("TASK_STORE").unwrap_or_else(|_| "memory:".to_owned());
/// let builder = AsyncTools::builder().store(store::from_url(&url).await?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`StoreError`] if there is no store of this kind in the program, or it
/// cannot be opened.
pub async fn from_url(url: &str) -> Result<Box<dyn OpenStore>, StoreError> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(unknown("has no scheme"));
    };
    match scheme {
        "memory" if rest.is_empty() => Ok(Box::new(MemoryStore::new())),
        "memory" => Err(after_memory()),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Box::new(super::SqliteStore::open(path(rest)?).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(Box::new(super::PostgresStore::connect(url).await?)),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => Ok(Box::new(super::RedisStore::connect(url).await?)),
        _ => Err(no_such(scheme)),
    }
}

/// Looks at the engine that a URL names, without changing anything: nothing is
/// created, brought up to date or written. What there is to say of a store whose
/// schema is missing, or of a newer version, is in the answer.
///
/// # Errors
///
/// [`StoreError`] if there is no store of this kind in the program, the engine
/// cannot be reached, or what is there is not of this crate; and for `memory:`,
/// where nothing outlives the process.
pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(unknown("has no scheme"));
    };
    match scheme {
        "memory" if rest.is_empty() => Err(StoreError::new(
            "there is nothing to look at in `memory:`, which does not outlive its process",
        )),
        #[cfg(feature = "sqlite")]
        "sqlite" => super::SqliteStore::inspect(path(rest)?).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => super::PostgresStore::inspect(url).await,
        #[cfg(feature = "redis")]
        "redis" | "rediss" => super::RedisStore::inspect(url).await,
        "memory" => Err(after_memory()),
        _ => Err(no_such(scheme)),
    }
}

fn after_memory() -> StoreError {
    StoreError::new("`memory:` takes nothing after the colon")
}

fn no_such(scheme: &str) -> StoreError {
    match feature_of(scheme) {
        Some(feature) => StoreError::new(format!(
            "`{scheme}:` needs the feature `{feature}` of async-tool, without which this program was built"
        )),
        None => unknown(&format!("has the unknown scheme `{scheme}:`")),
    }
}

/// The feature that brings a scheme.
fn feature_of(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "sqlite" => "sqlite",
        "postgres" | "postgresql" => "postgres",
        "redis" | "rediss" => "redis",
        _ => return None,
    })
}

/// Does not quote the URL: there may be a password in it.
fn unknown(problem: &str) -> StoreError {
    StoreError::new(format!(
        "the store URL {problem}; there are {}",
        KINDS.join(", ")
    ))
}

#[cfg(feature = "sqlite")]
fn path(rest: &str) -> Result<&str, StoreError> {
    if rest.starts_with("//") && !rest.starts_with("///") {
        return Err(StoreError::new(
            "a path follows `sqlite:`, as in `sqlite:tasks.db` or `sqlite:/var/lib/tasks.db`",
        ));
    }
    Ok(rest)
}

const KINDS: &[&str] = &[
    "`memory:`",
    #[cfg(feature = "sqlite")]
    "`sqlite:PATH`",
    #[cfg(feature = "postgres")]
    "`postgres://USER:PASSWORD@HOST:PORT/DATABASE`",
    #[cfg(feature = "redis")]
    "`redis://HOST:PORT`",
    #[cfg(feature = "redis-tls")]
    "`rediss://HOST:PORT`",
];
