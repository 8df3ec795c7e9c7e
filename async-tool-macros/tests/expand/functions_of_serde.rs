pub async fn wait(duration: Duration, sender: Address) {}
/// The arguments of the tool `wait`.
#[derive(
    ::async_tool::__private::serde::Deserialize,
    ::async_tool::__private::serde::Serialize,
    ::async_tool::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::async_tool::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "",
        serialize = "for<'any> Address: ::async_tool::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
pub struct WaitInput {
    #[serde(with = "seconds")]
    #[schemars(with = "u64", description = "How long.")]
    /// The argument `duration`.
    pub duration: Duration,
    #[serde(deserialize_with = "lenient", rename = "from", alias = "source")]
    /// The argument `sender`.
    #[schemars(description = "")]
    pub sender: Address,
}
/// The tool `wait`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
pub struct WaitTool;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::writes_argument::<Address>();
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for WaitTool
    where
        for<'any> WaitInput: ::async_tool::__private::Arguments,
        for<'any> (): ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = WaitInput;
        type Output = <() as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                "wait",
            );
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: WaitInput,
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
            >(wait(input.duration, input.sender))
        }
    }
    ::async_tool::__private::submit!(WaitTool);
};
