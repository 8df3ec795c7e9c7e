//! A server of your own, with async tools beside what it already has.
//!
//! `Notes` is an ordinary rmcp server: two quick tools, a prompt, a resource.
//! `import` takes minutes, so it is an async tool, and shares the notes with
//! them. `wrap` joins the two: clients see one server with five tools, three of
//! which (`import_initiate`, `import_status`, `import_cancel`) are ours.
//!
//! ```sh
//! cargo run --example composed_server
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_tool::{AsyncTools, BoxError, TaskContext, ToolError, async_tool};
use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    ListResourcesResult, PaginatedRequestParams, PromptMessage, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, Role, ServerCapabilities,
    ServerConfig,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, prompt, prompt_handler, prompt_router, tool,
    tool_handler, tool_router,
};
use serde::{Deserialize, Serialize};

/// The application's state: your handler and the async tools share it.
#[derive(Clone, Default)]
struct Library(Arc<Mutex<BTreeMap<String, String>>>);

impl Library {
    fn notes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize, JsonSchema)]
struct Imported {
    /// How many notes were added or replaced.
    notes: usize,
}

/// Import every text file of a directory as a note.
#[async_tool(timeout = "10m", concurrency = 1)]
async fn import(
    /// The directory to read.
    directory: PathBuf,
    task: &TaskContext,
    library: &Library,
) -> Result<Imported, BoxError> {
    let steps = task.progress().steps(["list", "read"]);
    steps.start("list");
    let mut files = Vec::new();
    let mut entries = tokio::fs::read_dir(&directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(ToolError::new("the directory holds no .txt file")
            .with_code("nothing_to_import")
            .into());
    }

    steps.start("read");
    task.progress().total(files.len() as u64);
    for path in &files {
        task.check_cancelled()?;
        let text = tokio::fs::read_to_string(path).await?;
        let title = path.file_stem().unwrap_or_default().to_string_lossy();
        library.notes().insert(title.into_owned(), text);
        task.progress().inc(1);
    }
    Ok(Imported { notes: files.len() })
}

/// The server as it was before: nothing in it knows of async tools.
#[derive(Clone)]
struct Notes {
    library: Library,
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct Note {
    /// The note's title.
    title: String,
    /// What it says.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// A word to look for.
    word: String,
}

#[tool_router]
impl Notes {
    fn new(library: Library) -> Self {
        Self {
            library,
            tools: Self::tool_router(),
            prompts: Self::prompt_router(),
        }
    }

    /// Write a note.
    #[tool]
    async fn write_note(&self, Parameters(Note { title, text }): Parameters<Note>) -> String {
        let replaced = self.library.notes().insert(title, text).is_some();
        if replaced { "replaced" } else { "written" }.to_owned()
    }

    /// Titles of the notes that contain a word.
    #[tool]
    async fn find_notes(&self, Parameters(Search { word }): Parameters<Search>) -> String {
        let notes = self.library.notes();
        let found = notes.iter().filter(|(_, text)| text.contains(&word));
        found.map(|(title, _)| format!("{title}\n")).collect()
    }
}

#[prompt_router]
impl Notes {
    /// Summarise all notes.
    #[prompt]
    async fn summarise(&self) -> Vec<PromptMessage> {
        let text = "Read the resource notes://all and summarise it in five lines.";
        vec![PromptMessage::new_text(Role::User, text)]
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .enable_resources()
                .build(),
        )
        .with_instructions("Notes of one user, kept in memory.")
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = Resource::new("notes://all", "all notes").with_mime_type("text/plain");
        Ok(ListResourcesResult::with_all_items(vec![all]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != "notes://all" {
            return Err(ErrorData::resource_not_found("no such resource", None));
        }
        let notes = self.library.notes();
        let text: String = notes
            .iter()
            .map(|(title, text)| format!("# {title}\n\n{text}\n\n"))
            .collect();
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let library = Library::default();
    let async_tools = AsyncTools::builder().state(library.clone()).build().await?;

    // An error here names the tools that both sides have, if there are any.
    let server = async_tools.wrap(Notes::new(library))?;
    server.serve_stdio().await?;
    Ok(())
}
