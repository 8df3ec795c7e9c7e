//! A tool of the handler's has the name of one of ours.

use super::*;
use crate::test_log::Log;

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

#[tokio::test]
async fn a_clash_that_shows_in_a_list_is_logged_once_and_ours_win() {
    let (log, _guard) = Log::capture();

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
