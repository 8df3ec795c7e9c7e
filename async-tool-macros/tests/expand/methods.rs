#[allow(deprecated)]
impl store::Server<u8> {
    const LIMIT: Limits = Limits { most: 3 };
    /// Compile a project.
    pub async fn build(
        &self,
        project: PathBuf,
        like: [Self; Self::LENGTH],
        task: &TaskContext,
    ) -> Outcome<Self> {
        self.inner(project, task).await
    }
    /// Not a tool.
    fn inner(&self, project: PathBuf) {}
    #[cfg(unix)]
    async fn clean(self: &Arc<Self>) {}
    async fn new() {}
}
#[allow(deprecated)]
/// The arguments of the tool `build`.
#[derive(
    ::renamed::__private::serde::Deserialize,
    ::renamed::__private::serde::Serialize,
    ::renamed::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::renamed::__private::serde",
    deny_unknown_fields,
    bound(
        deserialize = "for<'any> PathBuf: ::renamed::__private::serde::Deserialize<'any>, for<'any> [store :: Server < u8 > ; < store :: Server < u8 > > :: LENGTH]: ::renamed::__private::serde::Deserialize<'any>, ",
        serialize = "for<'any> PathBuf: ::renamed::__private::serde::Serialize, for<'any> [store :: Server < u8 > ; < store :: Server < u8 > > :: LENGTH]: ::renamed::__private::serde::Serialize, "
    )
)]
#[schemars(crate = "::renamed::__private::schemars", description = "")]
pub struct BuildInput {
    /// Directory that holds Cargo.toml.
    pub project: PathBuf,
    /// The argument `like`.
    #[schemars(description = "")]
    pub like: [store::Server<u8>; <store::Server<u8>>::LENGTH],
}
#[allow(deprecated)]
/// The tool `build`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
pub struct BuildTool;
#[allow(deprecated)]
const _: () = {
    use ::renamed::__private::Otherwise as _;
    const _: bool = ::renamed::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::renamed::__private::reads_argument::<PathBuf>();
        ::renamed::__private::writes_argument::<PathBuf>();
        ::renamed::__private::reads_argument::<
            [store::Server<u8>; <store::Server<u8>>::LENGTH],
        >();
        ::renamed::__private::writes_argument::<
            [store::Server<u8>; <store::Server<u8>>::LENGTH],
        >();
        ::renamed::__private::publishes::<
            { ::renamed::__private::Probe::<Outcome<store::Server<u8>>>::IS_RESULT },
            Outcome<store::Server<u8>>,
        >();
    };
    #[automatically_derived]
    impl ::renamed::__private::AsyncTool for BuildTool
    where
        for<'any> BuildInput: ::renamed::__private::Arguments,
        for<'any> Outcome<
            store::Server<u8>,
        >: ::renamed::__private::Outcome<
            { ::renamed::__private::Probe::<Outcome<store::Server<u8>>>::IS_RESULT },
        >,
    {
        type Input = BuildInput;
        type Output = <Outcome<
            store::Server<u8>,
        > as ::renamed::__private::Returns<
            { ::renamed::__private::Probe::<Outcome<store::Server<u8>>>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::renamed::__private::Descriptor {
            static DESCRIPTOR: ::renamed::__private::Descriptor = ::renamed::__private::Descriptor::new(
                    "build",
                )
                .description("Compile a project.")
                .timeout(::core::time::Duration::new(900, 0));
            &DESCRIPTOR
        }
        fn borrows(&self) -> ::std::vec::Vec<::renamed::__private::Borrow> {
            ::std::vec![
                ::renamed::__private::Borrow::of:: < store::Server < u8 > > (),
                ::renamed::__private::Borrow::of:: < TaskContext > ()
            ]
        }
        fn run(
            &self,
            input: BuildInput,
            call: ::renamed::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<Self::Output, ::renamed::__private::BoxError>,
        > + ::core::marker::Send {
            ::renamed::__private::drive::<
                { ::renamed::__private::Probe::<Outcome<store::Server<u8>>>::IS_RESULT },
                _,
            >(
                <store::Server<
                    u8,
                >>::build(
                    call.borrow::<store::Server<u8>>(),
                    input.project,
                    input.like,
                    call.borrow::<TaskContext>(),
                ),
            )
        }
    }
    ::renamed::__private::submit!(BuildTool);
};
#[allow(deprecated)]
#[cfg(unix)]
/// The arguments of the tool `clean`.
#[derive(
    ::other::__private::serde::Deserialize,
    ::other::__private::serde::Serialize,
    ::other::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::other::__private::serde",
    deny_unknown_fields,
    bound(deserialize = "", serialize = "")
)]
#[schemars(crate = "::other::__private::schemars", description = "")]
struct CleanInput {}
#[allow(deprecated)]
#[cfg(unix)]
/// The tool `clean`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct CleanTool;
#[allow(deprecated)]
#[cfg(unix)]
const _: () = {
    use ::other::__private::Otherwise as _;
    const _: bool = ::other::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::other::__private::publishes::<
            { ::other::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::other::__private::AsyncTool for CleanTool
    where
        for<'any> CleanInput: ::other::__private::Arguments,
        for<'any> (): ::other::__private::Outcome<
            { ::other::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = CleanInput;
        type Output = <() as ::other::__private::Returns<
            { ::other::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::other::__private::Descriptor {
            static DESCRIPTOR: ::other::__private::Descriptor = ::other::__private::Descriptor::new(
                "clean",
            );
            &DESCRIPTOR
        }
        fn borrows(&self) -> ::std::vec::Vec<::other::__private::Borrow> {
            ::std::vec![
                ::other::__private::Borrow::of:: < Arc < store::Server < u8 > > > ()
            ]
        }
        fn run(
            &self,
            input: CleanInput,
            call: ::other::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<Self::Output, ::other::__private::BoxError>,
        > + ::core::marker::Send {
            let _ = input;
            ::other::__private::drive::<
                { ::other::__private::Probe::<()>::IS_RESULT },
                _,
            >(<store::Server<u8>>::clean(call.borrow::<Arc<store::Server<u8>>>()))
        }
    }
    ::other::__private::submit!(CleanTool);
};
#[allow(deprecated)]
/// The arguments of the tool `new`.
#[derive(
    ::renamed::__private::serde::Deserialize,
    ::renamed::__private::serde::Serialize,
    ::renamed::__private::schemars::JsonSchema
)]
#[serde(
    crate = "::renamed::__private::serde",
    deny_unknown_fields,
    bound(deserialize = "", serialize = "")
)]
#[schemars(crate = "::renamed::__private::schemars", description = "")]
struct NewInput {}
#[allow(deprecated)]
/// The tool `new`.
#[derive(
    ::core::clone::Clone,
    ::core::marker::Copy,
    ::core::fmt::Debug,
    ::core::default::Default
)]
struct NewTool;
#[allow(deprecated)]
const _: () = {
    use ::renamed::__private::Otherwise as _;
    const _: bool = ::renamed::__private::Probe::<()>::IS_RESULT;
    const _: () = {
        ::renamed::__private::publishes::<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
            (),
        >();
    };
    #[automatically_derived]
    impl ::renamed::__private::AsyncTool for NewTool
    where
        for<'any> NewInput: ::renamed::__private::Arguments,
        for<'any> (): ::renamed::__private::Outcome<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
        >,
    {
        type Input = NewInput;
        type Output = <() as ::renamed::__private::Returns<
            { ::renamed::__private::Probe::<()>::IS_RESULT },
        >>::Output;
        fn descriptor(&self) -> &'static ::renamed::__private::Descriptor {
            static DESCRIPTOR: ::renamed::__private::Descriptor = ::renamed::__private::Descriptor::new(
                "new",
            );
            &DESCRIPTOR
        }
        fn run(
            &self,
            input: NewInput,
            call: ::renamed::__private::Call<'_>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<Self::Output, ::renamed::__private::BoxError>,
        > + ::core::marker::Send {
            let _ = input;
            let _ = call;
            ::renamed::__private::drive::<
                { ::renamed::__private::Probe::<()>::IS_RESULT },
                _,
            >(<store::Server<u8>>::new())
        }
    }
    ::renamed::__private::submit!(NewTool);
};
