//! Methods that are tools: `self` comes from the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_tool::testing::TestServer;
use async_tool::{AsyncTool, AsyncTools, Borrow, Registry, TaskContext, async_tool};
use serde_json::json;

#[derive(Default)]
struct Warehouse {
    boxes: AtomicU32,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, Clone)]
struct Label(String);

struct Printer {
    ink: &'static str,
}

#[async_tool]
impl Warehouse {
    const SPACE: u32 = 10;

    /// Put boxes in.
    #[async_tool(timeout = "5m")]
    async fn store_boxes(
        &self,
        /// How many.
        count: u32,
        task: &TaskContext,
    ) -> Result<u32, String> {
        task.progress().message("storing");
        if self.stored() + count > Self::SPACE {
            return Err(format!("there is space for {}", Self::SPACE));
        }
        Ok(self.boxes.fetch_add(count, Ordering::Relaxed) + count)
    }

    fn stored(&self) -> u32 {
        self.boxes.load(Ordering::Relaxed)
    }

    #[async_tool(name = "print-label", input = Print, tool = PrintTool)]
    async fn print(&self, printer: &Printer, text: String) -> String {
        format!("{text} in {}, {} boxes", printer.ink, self.stored())
    }

    #[async_tool]
    #[cfg(not(test))]
    async fn never_a_tool(&self, missing: Missing) -> Missing {
        missing
    }

    #[async_tool]
    #[cfg(test)]
    async fn always_a_tool(&self) {}
}

#[async_tool]
impl Label {
    const LENGTH: usize = 2;

    #[async_tool]
    async fn both(labels: [Self; Self::LENGTH]) -> Result<Self, String> {
        Ok(Self(labels.map(|label| label.0).join(" ")))
    }

    #[async_tool]
    async fn shared(self: &Arc<Self>, other: &Self) -> Vec<Self> {
        vec![Self::clone(self), other.clone()]
    }
}

async fn serve() -> TestServer {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(StoreBoxesTool).with(PrintTool))
        .state(Warehouse::default())
        .state(Printer { ink: "blue" });
    TestServer::start(builder).await
}

#[tokio::test]
async fn the_tools_of_a_struct_share_it() {
    let server = serve().await;
    for (count, expected) in [(2, 2), (3, 5)] {
        let task = server
            .call("store_boxes_initiate", json!({ "count": count }))
            .await;
        let end = server.finish("store_boxes", task.id()).await;
        assert_eq!(end["result"], expected);
    }
    let task = server
        .call("print-label_initiate", json!({ "text": "fragile" }))
        .await;
    let end = server.finish("print-label", task.id()).await;
    assert_eq!(end["result"], "fragile in blue, 5 boxes");

    let task = server
        .call("store_boxes_initiate", json!({ "count": 6 }))
        .await;
    let end = server.finish("store_boxes", task.id()).await;
    assert_eq!(end["error"]["message"], "there is space for 10");
}

#[tokio::test]
async fn a_struct_that_nobody_gave_stops_the_server_from_starting() {
    let builder = AsyncTools::builder().registry(Registry::new().with(StoreBoxesTool));
    let error = builder.build().await.expect_err("no warehouse").to_string();
    assert!(error.contains("`store_boxes`"), "{error}");
    assert!(error.contains("Warehouse"), "{error}");
    assert!(error.contains(".state("), "{error}");
}

#[tokio::test]
async fn self_in_types_is_the_type() {
    let label = |text: &str| Label(text.to_owned());
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(BothTool).with(SharedTool))
        .state(Arc::new(label("of an Arc")))
        .state(label("its own"));
    let server = TestServer::start(builder).await;
    let task = server
        .call("both_initiate", json!({ "labels": ["this", "that"] }))
        .await;
    let end = server.finish("both", task.id()).await;
    assert_eq!(end["result"], "this that");
    let task = server.call("shared_initiate", json!({})).await;
    let end = server.finish("shared", task.id()).await;
    assert_eq!(end["result"], json!(["of an Arc", "its own"]));
}

#[tokio::test]
async fn a_method_stays_a_method() {
    let warehouse = Warehouse::default();
    warehouse.always_a_tool().await;
    let printer = Printer { ink: "red" };
    let label = warehouse.print(&printer, "up".to_owned()).await;
    assert_eq!(label, "up in red, 0 boxes");
}

#[test]
fn what_is_known_of_a_method() {
    let descriptor = StoreBoxesTool.descriptor();
    assert_eq!(descriptor.name, "store_boxes");
    assert_eq!(descriptor.description, "Put boxes in.");
    assert_eq!(descriptor.timeout.map(|it| it.as_secs()), Some(300));
    assert!(descriptor.source.file().ends_with("methods.rs"));
    assert_eq!(
        StoreBoxesTool.borrows(),
        [Borrow::of::<Warehouse>(), Borrow::of::<TaskContext>()]
    );
    assert_eq!(
        SharedTool.borrows(),
        [Borrow::of::<Arc<Label>>(), Borrow::of::<Label>()]
    );
    assert_eq!(BothTool.borrows(), []);
    let arguments = serde_json::to_value(Print {
        text: "x".to_owned(),
    });
    assert_eq!(arguments.expect("plain data"), json!({ "text": "x" }));
}

#[test]
fn methods_register_themselves() {
    let registry = Registry::from_inventory();
    let names: Vec<_> = registry.names().collect();
    for name in [
        "store_boxes",
        "print-label",
        "always_a_tool",
        "both",
        "shout",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"never_a_tool"));
}

#[tokio::test]
async fn a_method_of_a_dependency_that_renames_the_facade() {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(dependency_tool::ShoutTool))
        .state(dependency_tool::Voice::new("!"));
    let server = TestServer::start(builder).await;
    let arguments = dependency_tool::ShoutInput {
        word: "hey".to_owned(),
    };
    let arguments = serde_json::to_value(arguments).expect("plain data");
    let task = server.call("shout_initiate", arguments).await;
    let end = server.finish("shout", task.id()).await;
    assert_eq!(end["result"], "hey!");
}

struct Kiosk;

/// rmcp's own attribute on the same block, which both leave alone otherwise.
#[rmcp::tool_router]
#[async_tool]
impl Kiosk {
    #[rmcp::tool(description = "Answers at once.")]
    async fn price(&self) -> String {
        "3".to_owned()
    }

    #[async_tool]
    async fn order(&self) -> String {
        self.price().await
    }
}

#[async_tool]
#[rmcp::tool_router(router = other_router)]
impl Kiosk {
    #[rmcp::tool(description = "Answers at once.")]
    async fn opening_hours(&self) -> String {
        "always".to_owned()
    }

    #[async_tool]
    async fn reserve(&self) {}
}

#[tokio::test]
async fn rmcp_s_tools_can_be_in_the_same_block() {
    assert!(Kiosk::tool_router().has_route("price"));
    assert!(Kiosk::other_router().has_route("opening_hours"));
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(OrderTool).with(ReserveTool))
        .state(Kiosk);
    let server = TestServer::start(builder).await;
    let task = server.call("order_initiate", json!({})).await;
    let end = server.finish("order", task.id()).await;
    assert_eq!(end["result"], "3");
}
