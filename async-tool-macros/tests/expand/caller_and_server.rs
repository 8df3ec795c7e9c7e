/// Compile a Cargo project and package its binaries.
pub async fn build(
    project: PathBuf,
    release: bool,
    task: &TaskContext,
    workspace: &Workspace,
) -> Outcome<BuildReport> {
    inner(project, release, task, workspace).await
}
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
        deserialize = "for<'any> PathBuf: ::async_tool::__private::serde::Deserialize<'any>, for<'any> bool: ::async_tool::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> PathBuf: ::async_tool::__private::serde::Serialize, for<'any> bool: ::async_tool::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::async_tool::__private::schemars", description = "")]
pub struct BuildInput {
    /// Directory that holds Cargo.toml.
    pub project: PathBuf,
    #[serde(default)]
    /// The argument `release`.
    #[schemars(description = "")]
    pub release: bool,
}
/// The tool `build`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
pub struct BuildTool;
const _: () = {
    use ::async_tool::__private::Otherwise as _;
    const _: bool = ::async_tool::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::async_tool::__private::reads_argument::<PathBuf>();
        ::async_tool::__private::writes_argument::<PathBuf>();
        ::async_tool::__private::reads_argument::<bool>();
        ::async_tool::__private::writes_argument::<bool>();
        ::async_tool::__private::publishes::<
            { ::async_tool::__private::Probe::<Outcome<BuildReport>>::IS_RESULT },
            Outcome<BuildReport>,
        >();
    };
    #[automatically_derived]
    impl ::async_tool::__private::AsyncTool for BuildTool
    where
        for<'any> BuildInput: ::async_tool::__private::Arguments,
        for<'any> Outcome<
            BuildReport,
        >: ::async_tool::__private::Outcome<
            { ::async_tool::__private::Probe::<Outcome<BuildReport>>::IS_RESULT },
        >,
    {
        type Input = BuildInput;
        type Output = <Outcome<
            BuildReport,
        > as ::async_tool::__private::Returns<
            { ::async_tool::__private::Probe::<Outcome<BuildReport>>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::async_tool::__private::Descriptor {
            static DESCRIPTOR: ::async_tool::__private::Descriptor = ::async_tool::__private::Descriptor::new(
                    "build",
                )
                .description("Compile a Cargo project and package its binaries.")
                .timeout(::core::time::Duration::new(900, 0))
                .concurrency(2);
            &DESCRIPTOR
        }
        fn borrows(&self) -> ::std::vec::Vec<::async_tool::__private::Borrow> {
            ::std::vec![
                ::async_tool::__private::Borrow::of:: < TaskContext > (),
                ::async_tool::__private::Borrow::of:: < Workspace > ()
            ]
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
            ::async_tool::__private::drive::<
                { ::async_tool::__private::Probe::<Outcome<BuildReport>>::IS_RESULT },
                _,
            >(
                build(
                    input.project,
                    input.release,
                    call.borrow::<TaskContext>(),
                    call.borrow::<Workspace>(),
                ),
            )
        }
    }
    ::async_tool::__private::submit!(BuildTool);
};
