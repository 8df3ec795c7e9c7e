#[cfg(unix)]
#[deprecated = "use `other`"]
#[allow(non_snake_case)]
#[tracing::instrument]
async fn old(#[allow(unused)] userName: u8) {}
#[cfg(unix)]
#[allow(deprecated)]
#[allow(non_snake_case)]
/// The arguments of the tool `old`.
#[derive(
    ::async_tool::__private::serde::Deserialize,
    ::async_tool::__private::serde::Serialize,
    ::async_tool::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::async_tool::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "for<'any> u8: ::async_tool::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> u8: ::async_tool::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
struct OldInput {
    userName: u8,
}
#[cfg(unix)]
#[allow(deprecated)]
#[allow(non_snake_case)]
/// The tool `old`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct OldTool;
#[cfg(unix)]
#[allow(deprecated)]
#[allow(non_snake_case)]
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::reads_argument::<u8>();
        ::async_tool::__private::writes_argument::<u8>();
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for OldTool
    where
        for<'any> OldInput: ::async_tool::__private::Arguments,
        for<'any> (): ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = OldInput;
        type Output = <() as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                "old",
            );
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: OldInput,
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
            >(old(input.userName))
        }
    }
    ::async_tool::__private::submit!(OldTool);
};
