//! A tool of the handler's has the name of one of ours.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// A handler which says what tools it has, as `#[tool_handler]` makes them do.
#[derive(Debug)]
struct Telling(&'static [&'static str]);

impl ServerHandler for Telling {
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.iter().find(|own| **own == name).map(|own| tool(own))
    }
}

#[test]
fn a_handler_that_tells_its_tools_is_refused_with_all_clashing_names() {
    let inner = Telling(&["build_status", "its_own", "build_cancel"]);
    let clash = Composed::new(Ours::shared(), inner).expect_err("two clashes");
    assert_eq!(clash.names(), ["build_cancel", "build_status"]);
    assert_eq!(
        clash.to_string(),
        "the wrapped handler and the async tools both have tools named `build_cancel`, \
         `build_status`; rename the handler's, or the async tool with \
         `#[async_tool(name = \"...\")]`, or one tool of its family with \
         `#[async_tool(names(initiate = \"...\", status = \"...\", cancel = \"...\"))]`"
    );
    assert!(Composed::new(Ours::shared(), Telling(&["build", "its_own"])).is_ok());
}

/// The log as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_clash_that_shows_in_a_list_is_logged_once_and_ours_win() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let ours = Ours::shared();
    let inner = Paged {
        pages: vec![
            vec!["alpha", "build_status"],
            vec!["build_cancel", "omega", "build_status"],
        ],
    };
    // As where an HTTP service composes a handler for each session.
    for _ in 0..3 {
        let server = Composed::new(ours.clone(), inner.clone()).expect("none is told");
        let first = server.list_tools(None, context()).await.expect("a page");
        assert_eq!(
            names(&first.tools),
            ["build_cancel", "build_initiate", "build_status", "alpha"]
        );
        let second = server
            .list_tools(cursor("1"), context())
            .await
            .expect("a page");
        assert_eq!(names(&second.tools), ["omega"]);
    }

    let text = log.text();
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 2, "{text}");
    assert!(errors[0].contains("named `build_status`; rename"), "{text}");
    assert!(errors[1].contains("named `build_cancel`; rename"), "{text}");
}
