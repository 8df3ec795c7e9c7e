//! Expansions, as files to read: `tests/expand/*.rs`. `UPDATE_EXPECT=1 cargo
//! test -p async-tool-macros` writes them anew.

use expect_test::{ExpectFile, expect_file};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

fn expand(options: TokenStream, item: TokenStream) -> (String, usize) {
    let (tokens, errors) = crate::attribute(options, item);
    assert_anchored(&tokens);
    let file = syn::parse2(tokens).expect("an expansion is a list of items");
    (prettyplease::unparse(&file), errors.count())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what `expect_file!` and `quote!` make is made for this"
)]
fn check(options: TokenStream, item: TokenStream, expected: ExpectFile) {
    let (text, errors) = expand(options, item);
    assert_eq!(errors, 0);
    expected.assert_eq(&text);
}

/// Invariant 2: what an expansion names by itself begins at a crate's root,
/// so that nothing in the user's scope can stand in for it. (The functions
/// below name nothing of the kind themselves.)
fn assert_anchored(tokens: &TokenStream) {
    fn flatten(tokens: TokenStream, flat: &mut Vec<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    flat.push("(".to_owned());
                    flatten(group.stream(), flat);
                    flat.push(")".to_owned());
                }
                other => flat.push(other.to_string()),
            }
        }
    }

    let mut flat = Vec::new();
    flatten(tokens.clone(), &mut flat);
    for (index, word) in flat.iter().enumerate() {
        let before = |back: usize| index.checked_sub(back).map(|index| flat[index].as_str());
        let follows_colons = before(1) == Some(":") && before(2) == Some(":");
        match word.as_str() {
            "Some" | "None" | "Ok" | "Err" | "Box" | "Vec" | "vec" | "Result" | "Option"
            | "String" | "Default" | "Clone" | "Debug" | "Send" | "Future" | "Serialize"
            | "Deserialize" | "JsonSchema" => {
                assert!(follows_colons, "`{word}` without a path");
            }
            "std" | "core" | "async_tool" => {
                let anchored = follows_colons
                    && before(3).is_none_or(|word| {
                        !word.starts_with(char::is_alphabetic)
                            || ["as", "for", "impl", "static", "use"].contains(&word)
                    });
                assert!(anchored, "`{word}` is not at the root");
            }
            _ => {}
        }
    }
}

#[test]
fn the_smallest() {
    check(
        quote!(),
        quote! {
            async fn nap() {}
        },
        expect_file!["../tests/expand/smallest.rs"],
    );
}

#[test]
fn caller_and_server() {
    check(
        quote!(timeout = "15m", concurrency = 2),
        quote! {
            /// Compile a Cargo project and package its binaries.
            pub async fn build(
                /// Directory that holds Cargo.toml.
                project: PathBuf,
                #[serde(default)]
                release: bool,
                task: &TaskContext,
                workspace: &Workspace,
            ) -> Outcome<BuildReport> {
                inner(project, release, task, workspace).await
            }
        },
        expect_file!["../tests/expand/caller_and_server.rs"],
    );
}

#[test]
fn every_option() {
    check(
        quote! {
            name = "Build-it",
            title = "Build it",
            description = "Builds it.",
            timeout = "1h30m",
            max_wait = "1day",
            retention = "7days",
            concurrency = 2,
            fleet_concurrency = 4,
            queue = 0,
            inline = "1500ms",
            cancel_grace = "0s",
            on_interrupt = "retry",
            retry(attempts = 5, backoff = "500ms", max_backoff = "2m"),
            dedupe = "arguments",
            concurrency_key(group = "target", args(host, project), limit = 2),
            circuit(failure_rate = 0.5, window = "1m", cool_down = "30s", minimum = 20),
            interactive,
            surface(family, shared, native),
            undeclared = "reject",
            names(
                initiate = "start_build",
                status = "check_build",
                cancel = "stop_build",
                respond = "answer_build"
            ),
            annotations(read_only = false, destructive, idempotent, open_world = true),
            input = Request,
            tool = Builder,
            crate = ::renamed,
        },
        quote! {
            async fn build(project: PathBuf, #[serde(rename = "machine")] host: Host) {}
        },
        expect_file!["../tests/expand/every_option.rs"],
    );
}

#[test]
fn what_options_leave_out() {
    check(
        quote! {
            on_interrupt = "fail",
            retry(attempts = 2),
            concurrency_key(args(r#type, by)),
            circuit(failure_rate = 1, window = "90s", cool_down = "500ms"),
            interactive = false,
            surface(native),
            undeclared = "wait",
        },
        quote! {
            async fn build(r#type: Kind, #[serde(default)] by: Person) {}
        },
        expect_file!["../tests/expand/what_options_leave_out.rs"],
    );
}

#[test]
fn only_the_server() {
    check(
        quote!(),
        quote! {
            async fn tick(clock: &Clock) -> Time {
                clock.now()
            }
        },
        expect_file!["../tests/expand/only_the_server.rs"],
    );
}

#[test]
fn odd_names() {
    check(
        quote!(),
        quote! {
            pub(crate) async fn r#type(r#match: u8, mut input: u8, call: u8) {}
        },
        expect_file!["../tests/expand/odd_names.rs"],
    );
}

#[test]
fn functions_of_serde() {
    check(
        quote!(),
        quote! {
            pub async fn wait(
                #[serde(with = "seconds")]
                #[schemars(with = "u64", description = "How long.")]
                duration: Duration,
                #[serde(deserialize_with = "lenient", rename = "from", alias = "source")] sender: Address,
            ) {
            }
        },
        expect_file!["../tests/expand/functions_of_serde.rs"],
    );
}

#[test]
fn attributes_of_the_function() {
    check(
        quote!(),
        quote! {
            #[cfg(unix)]
            #[deprecated = "use `other`"]
            #[allow(non_snake_case)]
            #[tracing::instrument]
            async fn old(#[allow(unused)] userName: u8) {}
        },
        expect_file!["../tests/expand/attributes_of_the_function.rs"],
    );
}

#[test]
fn with_a_mistake_only_the_function_is_left() {
    let (text, errors) = expand(
        quote!(timeout = "soon"),
        quote! {
            async fn build(
                /// Its documentation goes all the same, because rustc allows none here.
                #[serde(rename = "path")]
                project: &str,
            ) {
                project.len();
            }
        },
    );
    assert_eq!(errors, 2);
    expect_file!["../tests/expand/mistake.rs"].assert_eq(&text);
}

#[test]
fn methods() {
    check(
        quote!(crate = ::renamed),
        quote! {
            #[allow(deprecated)]
            impl store::Server<u8> {
                const LIMIT: Limits = Limits { most: 3 };

                /// Compile a project.
                #[async_tool(timeout = "15m")]
                pub async fn build(
                    &self,
                    /// Directory that holds Cargo.toml.
                    project: PathBuf,
                    like: [Self; Self::LENGTH],
                    task: &TaskContext,
                ) -> Outcome<Self> {
                    self.inner(project, task).await
                }

                /// Not a tool.
                fn inner(&self, project: PathBuf) {}

                #[cfg(unix)]
                #[renamed::async_tool(crate = ::other)]
                async fn clean(self: &Arc<Self>) {}

                #[async_tool]
                async fn new() {}
            }
        },
        expect_file!["../tests/expand/methods.rs"],
    );
}

#[test]
fn a_method_with_a_mistake_is_no_tool_and_the_others_are() {
    let (text, errors) = expand(
        quote!(),
        quote! {
            impl Server {
                #[async_tool(timeout = "soon")]
                async fn build(self, /** Where. */ project: &str) {
                    project.len();
                }

                #[async_tool]
                const NAME: Name = Name { letters: [] };

                #[async_tool(input = Request, tool = Cleaner)]
                async fn clean(&self) {}
            }
        },
    );
    assert_eq!(errors, 4);
    expect_file!["../tests/expand/mistake_in_a_method.rs"].assert_eq(&text);
}

#[test]
fn an_impl_block_without_tools_is_left_alone() {
    let item = quote! {
        impl<T> Server<{ 1 }> where T: Clone {
            #![allow(unused)]
            const LENGTH: usize = 1;
            made!{}
            fn build(&self) -> Array<{ 2 }> { let half_typed = self. }
        }
    };
    let (tokens, errors) = crate::attribute(quote!(), item.clone());
    assert_eq!(errors.count(), 2);
    assert_eq!(tokens.to_string(), item.to_string());
}

#[test]
fn what_is_no_function_is_left_alone() {
    let item = quote! {
        struct Build {
            field: u8,
        }
    };
    let (tokens, errors) = crate::attribute(quote!(), item.clone());
    assert_eq!(errors.count(), 1);
    assert_eq!(tokens.to_string(), item.to_string());
}

/// The table of options in the facade's documentation lists exactly the
/// options that the parser knows.
#[test]
fn the_documented_options_are_those_of_the_parser() {
    let facade = include_str!("../../src/lib.rs");
    let mut documented: Vec<&str> = facade
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"))
        .filter_map(|row| row.split(['`', '(', ' ']).next())
        .collect();
    let parser: syn::File =
        syn::parse_str(include_str!("options.rs")).expect("the source of this crate");
    let mut parsed = fields(&parser, "Given");
    documented.sort_unstable();
    parsed.sort_unstable();
    assert_eq!(documented, parsed);
}

/// The options that a struct of `options.rs` is read from.
fn fields(file: &syn::File, name: &str) -> Vec<String> {
    file.items
        .iter()
        .find_map(|item| match item {
            syn::Item::Struct(item) if item.ident == name => Some(&item.fields),
            _ => None,
        })
        .into_iter()
        .flatten()
        .filter_map(|field| field.ident.as_ref())
        .map(|ident| match ident.to_string().as_str() {
            "krate" => "crate".to_owned(),
            name => name.to_owned(),
        })
        .collect()
}
