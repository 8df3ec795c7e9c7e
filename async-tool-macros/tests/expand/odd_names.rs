pub(crate) async fn r#type(r#match: u8, mut input: u8, call: u8) {}
/// The arguments of the tool `type`.
#[derive(
    ::async_tool::__private::serde::Deserialize,
    ::async_tool::__private::serde::Serialize,
    ::async_tool::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::async_tool::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "for<'any> u8: ::async_tool::__private::serde::Deserialize<'any>, for<'any> u8: ::async_tool::__private::serde::Deserialize<'any>, for<'any> u8: ::async_tool::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> u8: ::async_tool::__private::serde::Serialize, for<'any> u8: ::async_tool::__private::serde::Serialize, for<'any> u8: ::async_tool::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
pub(crate) struct TypeInput {
    /// The argument `match`.
    #[schemars(description = "")]
    pub(crate) r#match: u8,
    /// The argument `input`.
    #[schemars(description = "")]
    pub(crate) input: u8,
    /// The argument `call`.
    #[schemars(description = "")]
    pub(crate) call: u8,
}
/// The tool `type`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
pub(crate) struct TypeTool;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::reads_argument::<u8>();
        ::async_tool::__private::writes_argument::<u8>();
        ::async_tool::__private::reads_argument::<u8>();
        ::async_tool::__private::writes_argument::<u8>();
        ::async_tool::__private::reads_argument::<u8>();
        ::async_tool::__private::writes_argument::<u8>();
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for TypeTool
    where
        for<'any> TypeInput: ::async_tool::__private::Arguments,
        for<'any> (): ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = TypeInput;
        type Output = <() as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                "type",
            );
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: TypeInput,
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
            >(r#type(input.r#match, input.input, input.call))
        }
    }
    ::async_tool::__private::submit!(TypeTool);
};
