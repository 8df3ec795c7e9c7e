impl Server {
    async fn build(self, project: &str) {
        project.len();
    }
    const NAME: Name = Name { letters: [] };
    async fn clean(&self) {}
}
/// The arguments of the tool `clean`.
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
struct Request {}
/// The tool `clean`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct Cleaner;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for Cleaner
    where
        for<'any> Request: ::async_tool::__private::Arguments,
        for<'any> (): ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = Request;
        type Output = <() as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                "clean",
            );
            &DESCRIPTOR
        }
        fn borrows(&self) -> ::std::vec::Vec<::async_tool::__private::Borrow> {
            ::std::vec![::async_tool::__private::Borrow::of:: < Server > ()]
        }
        fn run(
            &self,
            input: Request,
            call: ::async_tool::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<
                Self::Output,
                ::async_tool::__private::BoxError,
            >,
        > + ::core::marker::Send {
            let _ = input;
            ::async_tool::__private::drive::<
                { ::async_tool::__private::Probe::<()>::IS_RESULT },
                _,
            >(<Server>::clean(call.borrow::<Server>()))
        }
    }
    ::async_tool::__private::submit!(Cleaner);
};
