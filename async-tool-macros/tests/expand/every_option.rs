async fn build(project: PathBuf, host: Host) {}
/// The arguments of the tool `Build-it`.
#[derive(
    ::renamed::__private::serde::Deserialize,
    ::renamed::__private::serde::Serialize,
    ::renamed::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::renamed::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "for<'any> PathBuf: ::renamed::__private::serde::Deserialize<'any>, for<'any> Host: ::renamed::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> PathBuf: ::renamed::__private::serde::Serialize, for<'any> Host: ::renamed::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::renamed::__private::schemars", description = "")]
struct Request {
    project: PathBuf,
    #[serde(rename = "machine")]
    host: Host,
}
/// The tool `Build-it`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct Builder;
const _: () = {
    use ::renamed::__private::Otherwise as _;
    const _: bool = ::renamed::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::renamed::__private::reads_argument::<PathBuf>();
        ::renamed::__private::writes_argument::<PathBuf>();
        ::renamed::__private::reads_argument::<Host>();
        ::renamed::__private::writes_argument::<Host>();
        ::renamed::__private::publishes::<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::renamed::__private::AsyncTool for Builder
    where
        for<'any> Request: ::renamed::__private::Arguments,
        for<'any> (): ::renamed::__private::Outcome<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = Request;
        type Output = <() as ::renamed::__private::Returns<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::renamed::__private::Descriptor {
            static DESCRIPTOR: ::renamed::__private::Descriptor = ::renamed::__private::Descriptor::new(
                    "Build-it",
                )
                .title("Build it")
                .description("Builds it.")
                .timeout(::core::time::Duration::new(5400, 0))
                .max_wait(::core::time::Duration::new(86400, 0))
                .retention(::core::time::Duration::new(604800, 0))
                .concurrency(2)
                .fleet_concurrency(4u32)
                .queue(0)
                .inline(::core::time::Duration::new(1, 500000000))
                .cancel_grace(::core::time::Duration::new(0, 0))
                .on_interrupt(::renamed::__private::OnInterrupt::Retry)
                .retry(
                    ::renamed::__private::Retry::new(5)
                        .backoff(::core::time::Duration::new(0, 500000000))
                        .max_backoff(::core::time::Duration::new(120, 0)),
                )
                .dedupe(::renamed::__private::Dedupe::Arguments)
                .concurrency_key(
                    ::renamed::__private::ConcurrencyKey::new(
                            "target",
                            &["machine", "project"],
                        )
                        .limit(2),
                )
                .circuit(
                    ::renamed::__private::Circuit::new(
                            0.5,
                            ::core::time::Duration::new(60, 0),
                            ::core::time::Duration::new(30, 0),
                        )
                        .minimum(20),
                )
                .interactive()
                .surfaces(
                    ::renamed::__private::Surfaces::NONE
                        .with(::renamed::__private::Surface::Family)
                        .with(::renamed::__private::Surface::Shared)
                        .with(::renamed::__private::Surface::Native),
                )
                .undeclared(::renamed::__private::Undeclared::Reject)
                .names(
                    ::renamed::__private::Names::new()
                        .initiate("start_build")
                        .status("check_build")
                        .cancel("stop_build")
                        .respond("answer_build"),
                )
                .annotations(
                    ::renamed::__private::Annotations::new()
                        .read_only(false)
                        .destructive(true)
                        .idempotent(true)
                        .open_world(true),
                );
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: Request,
            call: ::renamed::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<Self::Output, ::renamed::__private::BoxError>,
        > + ::core::marker::Send {
            let _ = call;
            ::renamed::__private::drive::<
                { ::renamed::__private::Probe::<()>::IS_RESULT },
                _,
            >(build(input.project, input.host))
        }
    }
    ::renamed::__private::submit!(Builder);
};
