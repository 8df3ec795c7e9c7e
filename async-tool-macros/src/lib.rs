//! The `#[async_tool]` attribute of the `async-tool` crate.

use proc_macro::TokenStream;

/// Turns an async function into a family of MCP tools.
#[proc_macro_attribute]
pub fn async_tool(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}
