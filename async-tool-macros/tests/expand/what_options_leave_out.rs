async fn build(r#type: Kind, by: Person) {}
/// The arguments of the tool `build`.
#[derive(
    ::async_tool::__private::serde::Deserialize,
    ::async_tool::__private::serde::Serialize,
    ::async_tool::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::async_tool::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "for<'any> Kind: ::async_tool::__private::serde::Deserialize<'any>, for<'any> Person: ::async_tool::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> Kind: ::async_tool::__private::serde::Serialize, for<'any> Person: ::async_tool::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
struct BuildInput {
    r#type: Kind,
    #[serde(default)]
    by: Person,
}
/// The tool `build`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct BuildTool;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::reads_argument::<Kind>();
        ::async_tool::__private::writes_argument::<Kind>();
        ::async_tool::__private::reads_argument::<Person>();
        ::async_tool::__private::writes_argument::<Person>();
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for BuildTool
    where
        for<'any> BuildInput: ::async_tool::__private::Arguments,
        for<'any> (): ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = BuildInput;
        type Output = <() as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                    "build",
                )
                .on_interrupt(::async_tool::__private::OnInterrupt::Fail)
                .retry(::async_tool::__private::Retry::new(2))
                .concurrency_key(
                    ::async_tool::__private::ConcurrencyKey::new(
                        "build",
                        &["type", "by"],
                    ),
                )
                .circuit(
                    ::async_tool::__private::Circuit::new(
                        1.0,
                        ::core::time::Duration::new(90, 0),
                        ::core::time::Duration::new(0, 500000000),
                    ),
                )
                .surfaces(
                    ::async_tool::__private::Surfaces::NONE
                        .with(::async_tool::__private::Surface::Native),
                )
                .undeclared(::async_tool::__private::Undeclared::Wait);
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: BuildInput,
            call: ::async_tool::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<
                Self::Output,
                ::async_tool::__private::BoxError,
            >,
        > + ::core::marker::Send {
            let _ = call;
            ::async_tool::__private::drive::<
                { ::async_tool::__private::Probe::<()>::IS_RESULT },
                _,
            >(build(input.r#type, input.by))
        }
    }
    ::async_tool::__private::submit!(BuildTool);
};
