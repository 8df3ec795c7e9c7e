//! Writes out what the user did not have to write. Nothing is decided here.
//!
//! Two things in the expansion are there for the sake of errors:
//!
//! - Each requirement on a user's type is checked in one place, whose tokens
//!   are that type's, and everything else *assumes* it, in where-clauses of
//!   the form `for<'any> Type: Trait`. (Without the binder rustc checks a
//!   where-clause about a concrete type at once, and reports it again; see
//!   rust-lang/rust#48214.) So a type that lacks a trait is reported once, and
//!   the derives of serde say nothing.
//! - Tokens that rustc would underline have the span of what the user is to
//!   change, or of the function's name.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, Visibility};

use crate::concurrency_key::Resolved;
use crate::model::Tool;
use crate::options::{Annotations, Dedupe, Names, OnInterrupt, Undeclared};
use crate::params::{Argument, Param};
use crate::retry::Retry;
use crate::serde_attrs;

impl ToTokens for Tool {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let input_struct = self.input_struct();
        let tool_struct = self.tool_struct();
        let glue = self.glue();
        tokens.extend(quote! {
            #input_struct
            #tool_struct
            #glue
        });
    }
}

impl Tool {
    /// `__private` of the facade.
    fn private(&self) -> TokenStream {
        let krate = &self.krate;
        quote!(#krate::__private)
    }

    /// The same, beginning where the function's name is. A path as a whole is
    /// where its first token is, which is `::` or a word; the rest keeps its
    /// place, for the error if there is no such crate.
    fn private_at_function(&self) -> TokenStream {
        let at = self.function.span();
        self.private()
            .into_iter()
            .enumerate()
            .map(|(index, mut token)| {
                if index < 2 {
                    token.set_span(at);
                }
                token
            })
            .collect()
    }

    /// ```text
    /// #[derive(Deserialize, Serialize, JsonSchema)]
    /// pub struct BuildInput { pub project: PathBuf, #[serde(default)] pub release: bool }
    /// ```
    fn input_struct(&self) -> TokenStream {
        let Self {
            vis,
            attrs,
            input_type,
            ..
        } = self;
        let private = self.private();
        let serde_path = self.private_as_text("serde");
        let schemars_path = self.private_as_text("schemars");
        let doc = format!(" The arguments of the tool `{}`.", self.name);
        let bound = self.bound();
        let fields = self.arguments().map(|argument| {
            let Argument {
                ident, ty, attrs, ..
            } = argument;
            let doc = self.doc_for_undocumented(argument);
            quote!(#(#attrs)* #doc #vis #ident: #ty)
        });
        // The empty description keeps our words out of the schema, where a
        // model would pay for each byte.
        quote! {
            #(#attrs)*
            #[doc = #doc]
            #[derive(
                #private::serde::Deserialize,
                #private::serde::Serialize,
                #private::schemars::JsonSchema
            )]
            #[serde(crate = #serde_path, deny_unknown_fields, #bound)]
            #[schemars(crate = #schemars_path, description = "")]
            #vis struct #input_type {
                #(#fields,)*
            }
        }
    }

    /// A doc comment for a field that others may see, where the user wrote
    /// none. To allow `missing_docs` instead is an error where the user's
    /// crate forbids it.
    fn doc_for_undocumented(&self, argument: &Argument) -> Option<TokenStream> {
        let documented = argument
            .attrs
            .iter()
            .any(|attr| attr.path().is_ident("doc"));
        if documented || matches!(self.vis, Visibility::Inherited) {
            return None;
        }
        let doc = format!(" The argument `{}`.", argument.ident.unraw());
        let silence = (!argument.serde.described).then(|| quote!(#[schemars(description = "")]));
        Some(quote!(#[doc = #doc] #silence))
    }

    /// `bound(deserialize = "for<'any> PathBuf: …", serialize = "…")`: what
    /// the derives assume of the fields' types. Without it their own code
    /// would report a missing trait, several times.
    fn bound(&self) -> TokenStream {
        let traits = self.private_as_text("serde");
        let (mut deserialize, mut serialize) = (String::new(), String::new());
        for Argument { ty, serde, .. } in self.arguments() {
            let Some(ty) = serde_attrs::as_text(&ty.to_token_stream()) else {
                continue;
            };
            if !serde.reads_by_function {
                deserialize += &format!("for<'any> {ty}: {traits}::Deserialize<'any>, ");
            }
            if !serde.writes_by_function {
                serialize += &format!("for<'any> {ty}: {traits}::Serialize, ");
            }
        }
        quote!(bound(deserialize = #deserialize, serialize = #serialize))
    }

    /// A module of `__private` as serde and schemars want it: in a string.
    fn private_as_text(&self, module: &str) -> String {
        format!("{}::{module}", self.private()).replace(' ', "")
    }

    /// `pub struct BuildTool;`
    fn tool_struct(&self) -> TokenStream {
        let Self {
            vis,
            attrs,
            tool_type,
            ..
        } = self;
        let doc = format!(" The tool `{}`.", self.name);
        quote! {
            #(#attrs)*
            #[doc = #doc]
            #[derive(
                ::core::clone::Clone,
                ::core::marker::Copy,
                ::core::fmt::Debug,
                ::core::default::Default
            )]
            #vis struct #tool_type;
        }
    }

    /// Checks, the `AsyncTool` implementation, and the registration, in a
    /// scope of their own. The first line in it uses the import, which would
    /// be unused where the function returns a `Result`.
    fn glue(&self) -> TokenStream {
        let Self {
            attrs, tool_type, ..
        } = self;
        let private = self.private();
        let checks = self.checks();
        let implementation = self.implementation();
        quote! {
            #(#attrs)*
            const _: () = {
                use #private::Otherwise as _;
                const _: bool = #private::Probe::<()>::IS_RESULT;
                #checks
                #implementation
                #private::submit!(#tool_type);
            };
        }
    }

    /// One line for each of the user's types: the one place where its missing
    /// trait is an error. What the arguments' schemas need is reported once
    /// by the derive of `JsonSchema` itself, on the type as well.
    fn checks(&self) -> TokenStream {
        let private = self.private();
        let is_result = self.is_result();
        let output = &self.output;
        let arguments = self.arguments().map(|Argument { ty, serde, .. }| {
            let read =
                (!serde.reads_by_function).then(|| quote!(#private::reads_argument::<#ty>();));
            let written =
                (!serde.writes_by_function).then(|| quote!(#private::writes_argument::<#ty>();));
            quote!(#read #written)
        });
        quote! {
            const _: () = {
                #(#arguments)*
                #private::publishes::<#is_result, #output>();
            };
        }
    }

    /// Whether the output is a `Result`, as a constant for rustc to compute.
    fn is_result(&self) -> TokenStream {
        let private = self.private();
        let output = &self.output;
        quote!({ #private::Probe::<#output>::IS_RESULT })
    }

    fn implementation(&self) -> TokenStream {
        let Self {
            tool_type,
            input_type,
            output,
            ..
        } = self;
        let private = self.private();
        let is_result = self.is_result();
        let descriptor = self.descriptor();
        let borrows = self.borrows();
        let run = self.run();
        // What a function returns may be more private than the function.
        let output_type = quote_spanned! {self.function.span()=>
            type Output = <#output as #private::Returns<#is_result>>::Output;
        };
        quote! {
            #[automatically_derived]
            impl #private::AsyncTool for #tool_type
            where
                for<'any> #input_type: #private::Arguments,
                for<'any> #output: #private::Outcome<#is_result>,
            {
                type Input = #input_type;
                #output_type

                fn descriptor(&self) -> &'static #private::Descriptor {
                    static DESCRIPTOR: #private::Descriptor = #descriptor;
                    &DESCRIPTOR
                }

                #borrows
                #run
            }
        }
    }

    /// `Descriptor::new("build").timeout(…)…`, in a `static`.
    fn descriptor(&self) -> TokenStream {
        let private = self.private_at_function();
        let options = &self.options;
        let name = &self.name;
        // `new` asks for its caller's place, which is then the function's.
        let mut calls = quote_spanned!(self.function.span()=> #private::Descriptor::new(#name));
        let mut set = |method: &str, value: Option<TokenStream>| {
            if let Some(value) = value {
                let method = Ident::new(method, Span::call_site());
                calls.extend(quote!(.#method(#value)));
            }
        };
        let description = &self.description;
        set(
            "title",
            options.title.as_ref().map(ToTokens::to_token_stream),
        );
        set(
            "description",
            (!description.is_empty()).then(|| quote!(#description)),
        );
        set("timeout", options.timeout.map(duration));
        set("max_wait", options.max_wait.map(duration));
        set("retention", options.retention.map(duration));
        set("concurrency", options.concurrency.map(count));
        set(
            "fleet_concurrency",
            options.fleet_concurrency.map(|count| quote!(#count)),
        );
        set("queue", options.queue.map(count));
        set("inline", options.inline.map(duration));
        set("cancel_grace", options.cancel_grace.map(duration));
        set("on_interrupt", self.on_interrupt());
        set("retry", self.retry());
        set("dedupe", self.dedupe());
        set("concurrency_key", self.concurrency_key());
        let circuit = options.circuit.as_ref();
        set("circuit", circuit.map(|it| it.expand(&self.private())));
        set(
            "interactive",
            options.interactive.then(TokenStream::default),
        );
        set("surfaces", self.surfaces());
        set("undeclared", self.undeclared());
        set("names", self.names());
        set("annotations", self.annotations());
        calls
    }

    fn on_interrupt(&self) -> Option<TokenStream> {
        let private = self.private();
        self.options.on_interrupt.map(|given| match given {
            OnInterrupt::Fail => quote!(#private::OnInterrupt::Fail),
            OnInterrupt::Retry => quote!(#private::OnInterrupt::Retry),
        })
    }

    fn retry(&self) -> Option<TokenStream> {
        let private = self.private();
        let Retry {
            attempts,
            backoff,
            max_backoff,
        } = self.options.retry.as_ref()?;
        let attempts = count(*attempts);
        let pauses = [
            ("backoff", backoff.map(duration)),
            ("max_backoff", max_backoff.map(duration)),
        ];
        Some(chain(&quote!(#private::Retry::new(#attempts)), pauses))
    }

    fn dedupe(&self) -> Option<TokenStream> {
        let private = self.private();
        self.options.dedupe.map(|given| match given {
            Dedupe::Arguments => quote!(#private::Dedupe::Arguments),
        })
    }

    fn concurrency_key(&self) -> Option<TokenStream> {
        let private = self.private();
        let Resolved {
            group,
            arguments,
            limit,
        } = self.concurrency_key.as_ref()?;
        let start = quote!(#private::ConcurrencyKey::new(#group, &[#(#arguments),*]));
        Some(chain(&start, [("limit", limit.map(count))]))
    }

    fn surfaces(&self) -> Option<TokenStream> {
        let private = self.private();
        let given = self.options.surface?;
        let surfaces = [
            (given.family, quote!(Family)),
            (given.shared, quote!(Shared)),
            (given.native, quote!(Native)),
        ];
        let with = surfaces
            .iter()
            .filter(|(is_given, _)| *is_given)
            .map(|(_, surface)| ("with", Some(quote!(#private::Surface::#surface))));
        Some(chain(&quote!(#private::Surfaces::NONE), with))
    }

    fn undeclared(&self) -> Option<TokenStream> {
        let private = self.private();
        let (given, _) = self.options.undeclared.as_ref()?;
        Some(match given {
            Undeclared::Wait => quote!(#private::Undeclared::Wait),
            Undeclared::Reject => quote!(#private::Undeclared::Reject),
        })
    }

    fn names(&self) -> Option<TokenStream> {
        let private = self.private();
        let Names {
            initiate,
            status,
            cancel,
            respond,
        } = &self.options.names;
        chain_if_any(
            &quote!(#private::Names::new()),
            [
                ("initiate", initiate.as_ref()),
                ("status", status.as_ref()),
                ("cancel", cancel.as_ref()),
                ("respond", respond.as_ref()),
            ],
        )
    }

    fn annotations(&self) -> Option<TokenStream> {
        let private = self.private();
        let Annotations {
            read_only,
            destructive,
            idempotent,
            open_world,
        } = &self.options.annotations;
        chain_if_any(
            &quote!(#private::Annotations::new()),
            [
                ("read_only", read_only.as_ref()),
                ("destructive", destructive.as_ref()),
                ("idempotent", idempotent.as_ref()),
                ("open_world", open_world.as_ref()),
            ],
        )
    }

    /// `fn borrows`, for a tool that borrows something.
    fn borrows(&self) -> Option<TokenStream> {
        let private = self.private();
        let mut borrowed = self
            .params
            .iter()
            .filter_map(|param| match param {
                Param::Owned(_) => None,
                Param::Borrowed(ty) => Some(quote!(#private::Borrow::of::<#ty>())),
            })
            .peekable();
        borrowed.peek()?;
        Some(quote! {
            fn borrows(&self) -> ::std::vec::Vec<#private::Borrow> {
                ::std::vec![#(#borrowed),*]
            }
        })
    }

    /// `fn run`, which calls the function. rustc reports a future that is not
    /// `Send` twice, at the type parameter of `drive` that it is and at the
    /// return type; both have the span of the function's name here, and what
    /// is the same rustc prints once.
    fn run(&self) -> TokenStream {
        let Self {
            callee, input_type, ..
        } = self;
        let private = self.private();
        let is_result = self.is_result();
        // The function may have any name, also that of a local.
        let input = Ident::new("input", Span::mixed_site());
        let call = Ident::new("call", Span::mixed_site());
        let values = self.params.iter().map(|param| match param {
            Param::Owned(Argument { ident, .. }) => quote!(#input.#ident),
            Param::Borrowed(ty) => quote!(#call.borrow::<#ty>()),
        });
        let ignore_input = self
            .arguments()
            .next()
            .is_none()
            .then(|| quote!(let _ = #input;));
        let ignore_call =
            (self.arguments().count() == self.params.len()).then(|| quote!(let _ = #call;));
        let at = self.function.span();
        let future = quote_spanned! {at=>
            impl ::core::future::Future<
                Output = ::core::result::Result<Self::Output, #private::BoxError>
            > + ::core::marker::Send
        };
        let future_type = quote_spanned!(at=> _);
        quote! {
            fn run(&self, #input: #input_type, #call: #private::Call<'_>) -> #future {
                #ignore_input
                #ignore_call
                #private::drive::<#is_result, #future_type>(#callee(#(#values),*))
            }
        }
    }
}

pub(crate) fn duration(duration: std::time::Duration) -> TokenStream {
    let seconds = Literal::u64_unsuffixed(duration.as_secs());
    let nanos = Literal::u32_unsuffixed(duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

pub(crate) fn count(count: u32) -> TokenStream {
    Literal::u32_unsuffixed(count).to_token_stream()
}

/// `start.name(value)…` for the values that there are.
pub(crate) fn chain<T: ToTokens>(
    start: &TokenStream,
    values: impl IntoIterator<Item = (&'static str, Option<T>)>,
) -> TokenStream {
    let calls = values.into_iter().filter_map(|(method, value)| {
        let method = Ident::new(method, Span::call_site());
        value.map(|value| quote!(.#method(#value)))
    });
    quote!(#start #(#calls)*)
}

/// The same, if there is a value at all.
fn chain_if_any<T: ToTokens, const N: usize>(
    start: &TokenStream,
    values: [(&'static str, Option<T>); N],
) -> Option<TokenStream> {
    values
        .iter()
        .any(|(_, value)| value.is_some())
        .then(|| chain(start, values))
}
