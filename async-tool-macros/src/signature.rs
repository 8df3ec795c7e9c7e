//! The function that the attribute is on.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Ident, Lifetime, ReturnType, Safety, Signature, Type, TypeReference, Visibility,
};

use crate::errors::Errors;
use crate::owner::Owner;

/// A function, read as far as its signature. Nothing looks into the body, so
/// one that is half typed does not stop the attribute from working, and rustc
/// alone reports it (invariant 1).
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    body: TokenStream,
}

impl Item {
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            Self::parse_rest(attrs, input, Parse::parse)
        };
        parser.parse2(tokens)
    }

    /// Reads what comes after the attributes; `body` reads the body alone.
    pub(crate) fn parse_rest(
        attrs: Vec<Attribute>,
        input: ParseStream<'_>,
        body: fn(ParseStream<'_>) -> syn::Result<TokenStream>,
    ) -> syn::Result<Self> {
        let start = input.fork();
        let vis = input.parse()?;
        let sig = input.parse().map_err(|error| {
            if is_function(&start) {
                error
            } else {
                syn::Error::new(
                    error.span(),
                    "`#[async_tool]` must be on an `async fn`, or on an `impl` block that has some",
                )
            }
        })?;
        Ok(Self {
            attrs,
            vis,
            sig,
            body: body(input)?,
        })
    }
}

/// Whether the word `fn` comes before any braces and semicolons, outside of all
/// brackets.
fn is_function(input: ParseStream<'_>) -> bool {
    let Ok(tokens) = input.parse::<TokenStream>() else {
        return false;
    };
    tokens
        .into_iter()
        .take_while(|token| match token {
            TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() != ';',
            _ => true,
        })
        .any(|token| matches!(token, TokenTree::Ident(word) if word == "fn"))
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attrs);
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// Checks everything but the parameters; gives the type that the function
/// returns.
pub(crate) fn check(sig: &Signature, owner: Option<&Owner>, errors: &mut Errors) -> Option<Type> {
    let before = errors.count();
    let name = &sig.ident;
    if sig.asyncness.is_none() {
        errors.push(
            sig.fn_token,
            format_args!(
                "`{name}` must be an `async fn`\n\
                 help: write `async fn {name}`, and run work that blocks in `tokio::task::spawn_blocking`"
            ),
        );
    }
    if let Safety::Unsafe(unsafe_token) = &sig.safety {
        errors.push(
            unsafe_token,
            format_args!("`{name}` must not be `unsafe`: any client may call it"),
        );
    }
    if let Some(abi) = &sig.abi {
        errors.push(abi, format_args!("`{name}` must not be `extern`"));
    }
    if !sig.generics.params.is_empty() {
        errors.push(
            &sig.generics,
            format_args!(
                "`{name}` must not be generic: a tool has one JSON schema\n\
                 help: name the types, and write what the server lends as `&T` without a lifetime"
            ),
        );
    }
    let output = match &sig.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, output) => {
            let output = owner.map_or_else(|| Type::clone(output), |owner| owner.outside(output));
            check_output(&output, name, errors);
            output
        }
    };
    (errors.count() == before).then_some(output)
}

fn check_output(output: &Type, name: &Ident, errors: &mut Errors) {
    if matches!(output, Type::Never(_)) {
        errors.push(
            output,
            format_args!("`{name}` must return: a task that never ends has no result"),
        );
    }
    if let Some(opaque) = find(output, |ty| matches!(ty, Type::ImplTrait(_))) {
        errors.push(
            opaque,
            format_args!(
                "`{name}` must name the type that it returns: its JSON schema is part of the tool"
            ),
        );
    }
    if let Some(borrow) = first_borrow(output) {
        errors.push(
            borrow,
            format_args!(
                "`{name}` must return what it owns: the result outlives the call\n\
                 help: return `String` for `&str`, `Vec<T>` for `&[T]`"
            ),
        );
    }
}

/// The first borrow in a type, if any: a reference or lifetime that is not
/// `'static`. One that has a name is declared by the function, which is
/// refused as generic already.
pub(crate) fn first_borrow(ty: &Type) -> Option<TokenStream> {
    #[derive(Default)]
    struct Finder {
        found: Option<TokenStream>,
    }

    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            if reference.lifetime.is_none() {
                self.found.get_or_insert_with(|| quote!(#reference));
            }
            visit::visit_type_reference(self, reference);
        }

        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            if lifetime.ident == "_" {
                self.found.get_or_insert_with(|| quote!(#lifetime));
            }
        }

        // `fn(&T)` borrows nothing: its lifetimes are its own.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }

    let mut finder = Finder::default();
    finder.visit_type(ty);
    finder.found
}

/// The first type within a type, itself included, that fits.
fn find(ty: &Type, fits: fn(&Type) -> bool) -> Option<&Type> {
    struct Finder<'ast> {
        fits: fn(&Type) -> bool,
        found: Option<&'ast Type>,
    }

    impl<'ast> Visit<'ast> for Finder<'ast> {
        fn visit_type(&mut self, ty: &'ast Type) {
            if self.found.is_none() {
                if (self.fits)(ty) {
                    self.found = Some(ty);
                } else {
                    visit::visit_type(self, ty);
                }
            }
        }
    }

    let mut finder = Finder { fits, found: None };
    finder.visit_type(ty);
    finder.found
}
