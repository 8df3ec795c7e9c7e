//! The `#[async_tool]` attribute of the `async-tool` crate, where it is
//! documented.
//!
//! Three stages in three places: `signature`, `params` and `options` read what
//! the user wrote, `model` is what they add up to, and `expand` writes it out
//! and cannot fail. On an `impl` block `methods` does the same for each method
//! that is a tool. Mistakes go to one list, so that all of them are reported at
//! once.

mod circuit;
mod concurrency_key;
mod doc;
mod errors;
mod expand;
mod methods;
mod model;
mod names;
mod options;
mod owner;
mod params;
mod retry;
mod serde_attrs;
mod signature;
mod surface;
mod values;

#[cfg(test)]
mod tests;

use errors::Errors;
use model::Tool;
use proc_macro2::TokenStream;
use quote::quote;
use signature::Item;

/// Turns an async function into a family of MCP tools, or some methods of an
/// `impl` block into one each. Documented in the
/// `async-tool` crate, which is where to name it.
#[proc_macro_attribute]
pub fn async_tool(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let (tokens, errors) = attribute(options.into(), item.into());
    let errors = errors.into_compile_errors();
    quote!(#tokens #errors).into()
}

/// The attribute, on token streams that tests can make too.
fn attribute(options: TokenStream, item: TokenStream) -> (TokenStream, Errors) {
    let mut errors = Errors::default();
    let tokens = if methods::is_impl(&item) {
        methods::expand(options, item, &mut errors)
    } else {
        function(options, item, &mut errors)
    };
    (tokens, errors)
}

/// The function comes first and always, so that one mistake in the attribute
/// is not also a missing function everywhere that it is called, and so that
/// editors go on working in its body. Of a tool with mistakes nothing else is
/// generated.
fn function(options: TokenStream, item: TokenStream, errors: &mut Errors) -> TokenStream {
    let options = options::parse(options, errors);
    let Some(mut item) = errors.take(Item::parse(item.clone())) else {
        return item;
    };
    let tool = Tool::read(&mut item, options, None, errors);
    quote!(#item #tool)
}
