//! An `impl` block some of whose methods are tools.

use darling::FromMeta;
use darling::ast::NestedMeta;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, ItemImpl, Meta, Path, Token};

use crate::errors::Errors;
use crate::model::{Tool, for_all_that_is_generated};
use crate::options;
use crate::owner::Owner;
use crate::params::check_lent;
use crate::signature::Item;
use crate::values;

/// Whether the attribute is on an `impl` block.
pub(crate) fn is_impl(item: &TokenStream) -> bool {
    let parser = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        while input.parse::<Option<Token![default]>>()?.is_some()
            || input.parse::<Option<Token![unsafe]>>()?.is_some()
        {}
        let is_impl = input.peek(Token![impl]);
        input.parse::<TokenStream>()?;
        Ok(is_impl)
    };
    parser.parse2(item.clone()).unwrap_or(false)
}

/// The block, and the tools that are in it.
///
/// The block comes first and always, as a function does. A mistake in one
/// method is no reason for the others not to be tools; a mistake in what holds
/// for all of them is.
pub(crate) fn expand(options: TokenStream, item: TokenStream, errors: &mut Errors) -> TokenStream {
    let before = errors.count();
    let krate = krate(options, errors);
    let Some((head, block, body)) = errors.take(parse(item.clone())) else {
        return item;
    };
    check(&block, errors);
    let is_sound = errors.count() == before;

    let before = errors.count();
    let mut members = members(body.stream(), errors);
    let has_methods = members.iter().any(|it| matches!(it, Member::Tool { .. }));
    if !has_methods && errors.count() == before {
        errors.push(
            block.impl_token,
            "no method of this `impl` block is a tool\n\
             help: put `#[async_tool]` on each that is to be one",
        );
    }
    let owner = Owner {
        attrs: for_all_that_is_generated(&block.attrs),
        krate,
        ty: *block.self_ty,
    };
    let tools: Vec<Tool> = members
        .iter_mut()
        .filter_map(|member| member.tool(&owner, errors))
        .filter(|_| is_sound)
        .collect();

    let mut body_again = Group::new(Delimiter::Brace, quote!(#(#members)*));
    body_again.set_span(body.span());
    quote!(#head #body_again #(#tools)*)
}

/// Splits the block into what stands before its braces, the same for syn, and
/// the braces. syn sees none of the methods, so that nothing in one of them
/// stops the attribute from working.
fn parse(item: TokenStream) -> syn::Result<(TokenStream, ItemImpl, Group)> {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    match tokens.pop() {
        // What a `macro_rules!` passes on as one item comes in an invisible group.
        Some(TokenTree::Group(group))
            if group.delimiter() == Delimiter::None && tokens.is_empty() =>
        {
            parse(group.stream())
        }
        Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => {
            let head = TokenStream::from_iter(tokens);
            let block = syn::parse2(quote!(#head {}))?;
            Ok((head, block, body))
        }
        last => Err(syn::Error::new_spanned(last, "expected an `impl` block")),
    }
}

/// The only option of a block.
#[derive(Default, FromMeta)]
struct Given {
    #[darling(rename = "crate")]
    krate: Option<Meta>,
}

fn krate(options: TokenStream, errors: &mut Errors) -> Option<Path> {
    let mut items = errors.take(NestedMeta::parse_meta_list(options))?;
    items.retain(|item| match item {
        NestedMeta::Meta(meta) if !meta.path().is_ident("crate") && options::is_known(meta) => {
            errors.push(
                meta.path(),
                format_args!(
                    "`{}` is for one tool; the only option of an `impl` block is `crate`\n\
                     help: put it on the method, `#[async_tool({})]`",
                    meta.path().to_token_stream(),
                    meta.to_token_stream(),
                ),
            );
            false
        }
        _ => true,
    });
    let given: Given = options::read(quote!(#(#items),*), errors)?;
    errors.take(values::crate_path(&given.krate?))
}

/// Checks what holds for all methods.
fn check(block: &ItemImpl, errors: &mut Errors) {
    if let Some((path, _)) = &block.trait_ {
        errors.push(
            path,
            "a method of a trait cannot be a tool\n\
             help: write one of the type itself that calls it, in an `impl` block without a trait",
        );
    } else if !block.generics.params.is_empty() {
        errors.push(
            &block.generics,
            "an `impl` block with tools must not be generic: a tool has one JSON schema, \
             and the server finds `self` by its type\n\
             help: name the types, as in `impl Server<Postgres>`",
        );
    } else {
        check_lent(&block.self_ty, &block.self_ty, errors);
    }
}

/// What stands in the braces.
enum Member {
    /// A method with the attribute, which is taken off it.
    Tool {
        /// None where they cannot be read.
        options: Option<TokenStream>,
        item: Box<Item>,
    },
    /// Anything else, as it is.
    Other(TokenStream),
}

fn members(body: TokenStream, errors: &mut Errors) -> Vec<Member> {
    let parser = |input: ParseStream<'_>| {
        let mut members = Vec::new();
        while !input.is_empty() {
            members.push(member(input, errors)?);
        }
        Ok(members)
    };
    let members = parser.parse2(body);
    errors.take(members).unwrap_or_default()
}

fn member(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Member> {
    let ahead = input.fork();
    // What cannot be read is rustc's to report.
    let mut attrs = ahead.call(Attribute::parse_outer).unwrap_or_default();
    let markers: Vec<Attribute> = attrs.extract_if(.., |attr| is_marker(attr)).collect();
    if markers.is_empty() {
        return Ok(Member::Other(up_to_its_end(input)?));
    }
    input.advance_to(&ahead);
    match Item::parse_rest(attrs.clone(), &ahead, up_to_its_end) {
        Ok(item) => {
            input.advance_to(&ahead);
            let options = options_of(&markers, errors);
            Ok(Member::Tool {
                options,
                item: Box::new(item),
            })
        }
        Err(error) => {
            errors.add(error);
            let rest = up_to_its_end(input)?;
            Ok(Member::Other(quote!(#(#attrs)* #rest)))
        }
    }
}

/// Everything up to the next semicolon or braces, which end what may stand in
/// an `impl` block. Sometimes there is more to it, such as the semicolon after
/// `const A: B = B {}`; what comes next is then without attributes.
fn up_to_its_end(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() {
        let token: TokenTree = input.parse()?;
        let is_end = match &token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        tokens.extend([token]);
        if is_end {
            break;
        }
    }
    Ok(tokens)
}

/// `#[async_tool]`, by whatever path, also where a condition stands before it.
fn is_marker(attr: &Attribute) -> bool {
    names_the_attribute(attr.path()) || (attr.path().is_ident("cfg_attr") && is_conditional(attr))
}

fn is_conditional(attr: &Attribute) -> bool {
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    attr.parse_args_with(parser).is_ok_and(|metas| {
        metas
            .iter()
            .skip(1)
            .any(|meta| names_the_attribute(meta.path()))
    })
}

/// By its name: nothing else is known of a path here.
fn names_the_attribute(path: &Path) -> bool {
    path.segments
        .last()
        .is_some_and(|last| last.ident == "async_tool")
}

/// The options on a method.
fn options_of(markers: &[Attribute], errors: &mut Errors) -> Option<TokenStream> {
    let [marker, repeated @ ..] = markers else {
        return None;
    };
    for marker in repeated {
        errors.push(marker, "repeated `#[async_tool]`");
    }
    match &marker.meta {
        _ if marker.path().is_ident("cfg_attr") => {
            errors.push(
                marker,
                "whether a method is a tool cannot depend on a condition: \
                 the attribute on the `impl` block runs before it is decided\n\
                 help: put `#[cfg(...)]` on the method, and write one method for each case",
            );
            None
        }
        Meta::Path(_) => Some(TokenStream::new()),
        Meta::List(list) => Some(list.tokens.clone()),
        Meta::NameValue(_) => {
            errors.push(
                marker,
                "options must be in brackets: `#[async_tool(timeout = \"15m\")]`",
            );
            None
        }
    }
}

impl Member {
    /// The tool, if this is one without a mistake.
    fn tool(&mut self, owner: &Owner, errors: &mut Errors) -> Option<Tool> {
        let Self::Tool { options, item } = self else {
            return None;
        };
        let options = options
            .take()
            .and_then(|options| options::parse(options, errors));
        Tool::read(item, options, Some(owner), errors)
    }
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Tool { item, .. } => item.to_tokens(tokens),
            Self::Other(other) => other.to_tokens(tokens),
        }
    }
}
