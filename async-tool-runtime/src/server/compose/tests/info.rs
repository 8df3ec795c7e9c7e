//! What the composed server says of itself.

use rmcp::model::{ClientCapabilities, ClientConfig, Implementation};

use super::*;

const OURS: &str = "Poll with build_status.";

/// A handler with a configuration, and nothing overridden.
struct Configured(ServerConfig);

impl ServerHandler for Configured {
    fn get_info(&self) -> ServerConfig {
        self.0.clone()
    }
}

fn client() -> ClientConfig {
    ClientConfig::new(
        ClientCapabilities::default(),
        Implementation::new("client", "2"),
    )
}

#[test]
fn our_capabilities_are_added_and_nothing_else_changed() {
    let bare = ServerConfig::new(ServerCapabilities::default());
    let merged = compose(Configured(bare)).get_info().capabilities;
    let ours = ServerCapabilities::builder()
        .enable_tools()
        .enable_resources()
        .enable_resources_subscribe()
        .build();
    assert_eq!(merged, ours);

    let rich = ServerCapabilities::builder()
        .enable_tools()
        .enable_tool_list_changed()
        .enable_prompts()
        .enable_resources()
        .enable_resources_subscribe()
        .enable_tasks()
        .build();
    let inner = ServerConfig::new(rich.clone())
        .with_server_info(Implementation::new("theirs", "9.9.9"))
        .with_protocol_version(ProtocolVersion::V_2025_06_18);
    let merged = compose(Configured(inner.clone())).get_info();
    assert_eq!(merged, inner.with_instructions(OURS));
}

#[test]
fn instructions_are_theirs_then_ours() {
    let merged = |inner: Option<&str>| {
        let mut config = ServerConfig::new(ServerCapabilities::default());
        config.instructions = inner.map(str::to_owned);
        compose(Configured(config)).get_info().instructions
    };
    assert_eq!(merged(None).as_deref(), Some(OURS));
    assert_eq!(merged(Some(" \n")).as_deref(), Some(OURS));
    let both = format!("Theirs.\n\n{OURS}");
    assert_eq!(merged(Some("Theirs.")), Some(both.clone()));
    assert_eq!(merged(Some("Theirs.\n")), Some(both));
}

/// A handler with an `initialize` and a `discover` of its own, which speaks
/// fewer versions than rmcp does. It forgets `set_peer_info`.
#[derive(Clone)]
struct Overriding;

impl Overriding {
    const VERSIONS: &'static [ProtocolVersion] =
        &[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2026_07_28];
}

impl ServerHandler for Overriding {
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, McpError> {
        let prompts = ServerCapabilities::builder().enable_prompts().build();
        Ok(InitializeResult::new(prompts)
            .with_server_info(Implementation::new("initialized", "1"))
            .with_protocol_version(ProtocolVersion::V_2025_06_18)
            .with_instructions(format!("Hello {}.", request.client_info.name)))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(Self::VERSIONS)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, McpError> {
        let prompts = ServerCapabilities::builder().enable_prompts().build();
        let mut found = DiscoverResult::new(Self::VERSIONS.to_vec(), prompts)
            .with_server_info(Implementation::new("discovered", "1"))
            .with_ttl_ms(9);
        found.instructions = Some("Welcome.".to_owned());
        Ok(found)
    }
}

fn prompts_and_ours() -> ServerCapabilities {
    ServerCapabilities::builder()
        .enable_prompts()
        .enable_tools()
        .enable_resources()
        .enable_resources_subscribe()
        .build()
}

#[tokio::test]
async fn an_initialize_of_its_own_is_kept_and_merged_into() {
    let client = connect(
        compose(Overriding),
        client(),
        ClientLifecycleMode::Initialize,
    )
    .await;
    let info = client.peer_info().expect("a session");
    assert_eq!(info.capabilities, prompts_and_ours());
    assert_eq!(info.protocol_version, ProtocolVersion::V_2025_06_18);
    assert_eq!(
        info.server_info.as_ref().expect("named").name,
        "initialized"
    );
    let instructions = format!("Hello client.\n\n{OURS}");
    assert_eq!(info.instructions, Some(instructions));
}

#[tokio::test]
async fn the_client_is_known_even_if_an_override_forgets_it() {
    // rmcp's own loops also set it on most ways in, so the call is a direct one.
    let context = context();
    assert!(context.peer.peer_info().is_none());
    let info = compose(Overriding)
        .initialize(client(), context.clone())
        .await;
    assert!(info.is_ok());
    let known = context.peer.peer_info().expect("set");
    assert_eq!(known.client_info, client().client_info);
}

#[test]
fn negotiation_is_theirs_and_merged_into() {
    let request = client().with_protocol_version(ProtocolVersion::V_2025_06_18);
    let inner = ServerConfig::new(ServerCapabilities::default()).with_instructions("Theirs.");
    let info = compose(Configured(inner))
        .negotiate_initialize(&request)
        .expect("agreed");
    assert_eq!(info.protocol_version, ProtocolVersion::V_2025_06_18);
    assert!(info.capabilities.tools.is_some());
    assert_eq!(info.instructions, Some(format!("Theirs.\n\n{OURS}")));
}

#[tokio::test]
async fn a_discover_of_its_own_is_kept_and_merged_into() {
    let server = compose(Overriding);
    assert_eq!(*server.supported_protocol_versions(), *Overriding::VERSIONS);
    let found = server.discover(context()).await.expect("found");
    assert_eq!(found.supported_versions, Overriding::VERSIONS);
    assert_eq!(
        (found.ttl_ms, &found.capabilities),
        (9, &prompts_and_ours())
    );
    assert_eq!(found.server_info().expect("named").name, "discovered");

    let client = connect(server, client(), discover()).await;
    let info = client.peer_info().expect("a session");
    assert_eq!(info.capabilities, prompts_and_ours());
    assert_eq!(info.instructions, Some(format!("Welcome.\n\n{OURS}")));
}

#[tokio::test]
async fn a_discover_by_default_is_merged() {
    let inner = ServerConfig::new(ServerCapabilities::default())
        .with_server_info(Implementation::new("theirs", "3"));
    let client = connect(compose(Configured(inner)), client(), discover()).await;
    let info = client.peer_info().expect("a session");
    assert!(info.capabilities.tools.is_some());
    assert_eq!(info.instructions.as_deref(), Some(OURS));
    assert_eq!(info.server_info.as_ref().expect("named").name, "theirs");
}
