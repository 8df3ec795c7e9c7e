//! A program whose author denies what rustc can warn of.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_results,
    unnameable_types,
    single_use_lifetimes,
    trivial_casts,
    unused_lifetimes,
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms
)]
#![forbid(unsafe_code)]

use async_tool::{TaskContext, async_tool};

/// Compile a project.
#[async_tool(timeout = "15m", concurrency = 2)]
pub async fn build(
    /// Directory that holds Cargo.toml.
    project: std::path::PathBuf,
    release: bool,
    task: &TaskContext,
) -> Result<bool, std::io::Error> {
    let _ = (project, task);
    Ok(release)
}

/// Nothing to say.
#[async_tool]
pub async fn nothing() {}

/// Old.
#[deprecated = "use `build`"]
#[async_tool]
pub async fn old() {}

/// Builds.
#[derive(Debug)]
pub struct Builder;

#[async_tool]
impl Builder {
    /// How many.
    pub const LIMIT: u8 = 3;

    /// Compile a project.
    #[async_tool(name = "compile", timeout = "15m")]
    pub async fn compile_all(&self, project: String, like: [u8; Self::LIMIT as usize]) -> usize {
        project.len() + like.len()
    }

    /// Old.
    #[deprecated = "use `compile`"]
    #[async_tool]
    pub async fn very_old(&self) {}

    /// Without arguments.
    #[async_tool]
    pub async fn version() -> u8 {
        Self::LIMIT
    }
}

/// Builds no more.
#[deprecated]
#[derive(Debug)]
pub struct OldBuilder;

#[allow(deprecated)]
#[async_tool]
impl OldBuilder {
    /// Nothing to say.
    #[async_tool]
    pub async fn of_something_old(&self) {}
}

fn main() {}
