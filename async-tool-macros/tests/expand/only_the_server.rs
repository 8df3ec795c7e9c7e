async fn tick(clock: &Clock) -> Time {
    clock.now()
}
/// The arguments of the tool `tick`.
#[derive(
    ::async_tool::__private::serde::Deserialize,
    ::async_tool::__private::serde::Serialize,
    ::async_tool::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::async_tool::__private::serde",
    deny_unknown_fields,
    bound(deserialize = "", serialize = "")
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
struct TickInput {}
/// The tool `tick`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct TickTool;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<Time>::IS_RESULT },
            Time,
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for TickTool
    where
        for<'any> TickInput: ::async_tool::__private::Arguments,
        for<'any> Time: ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<Time>::IS_RESULT },
        >,
    {
        type Input = TickInput;
        type Output = <Time as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<Time>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                "tick",
            );
            &DESCRIPTOR
        }
        fn borrows(&self) -> ::std::vec::Vec<::async_tool::__private::Borrow> {
            ::std::vec![::async_tool::__private::Borrow::of:: < Clock > ()]
        }
        fn run(
            &self,
            input: TickInput,
            call: ::async_tool::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<
                Self::Output,
                ::async_tool::__private::BoxError,
            >,
        > + ::core::marker::Send {
            let _ = input;
            ::async_tool::__private::drive::<
                { ::async_tool::__private::Probe::<Time>::IS_RESULT },
                _,
            >(tick(call.borrow::<Clock>()))
        }
    }
    ::async_tool::__private::submit!(TickTool);
};
