#![no_implicit_prelude]
#![deny(warnings)]

// The derive of `JsonSchema` (schemars 1.2) needs these in scope, here as on
// any other struct; the rest of the expansion needs nothing.
use ::core::convert::Into as _;
use ::core::default::Default as _;
use ::core::option::Option::Some;

use ::async_tool::{Registry, TaskContext, async_tool};

/// Build it.
#[async_tool(
    timeout = "15m",
    names(initiate = "start_build"),
    annotations(read_only)
)]
async fn build(
    project: ::std::string::String,
    #[serde(default)] release: ::core::option::Option<bool>,
    task: &TaskContext,
) -> ::core::result::Result<::std::vec::Vec<u8>, ::std::io::Error> {
    let _ = (project, release, task);
    ::core::result::Result::Ok(::std::vec::Vec::new())
}

struct Builder;

#[async_tool]
impl Builder {
    /// Compile it.
    #[async_tool(timeout = "15m")]
    async fn compile(
        &self,
        project: ::std::string::String,
    ) -> ::core::result::Result<::std::string::String, ::std::io::Error> {
        ::core::result::Result::Ok(project)
    }
}

fn main() {
    use ::core::iter::Iterator as _;

    ::core::assert!(Registry::from_inventory().names().next() == Some("build"));
}
