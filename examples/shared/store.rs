//! Where the tasks of a server are kept: by default in a file below its root.

use std::fs::{self, DirBuilder};
#[cfg(unix)]
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use async_tool::{AsyncToolsBuilder, BoxError, store};

/// Gives the server its store.
///
/// The namespace is the root: servers of one root are equivalent, and any of
/// them may run what another accepted; those of different roots never do, even
/// if they are told to keep their tasks in the same file.
pub(crate) async fn attach(
    builder: AsyncToolsBuilder,
    url: Option<&str>,
    root: &Path,
) -> Result<AsyncToolsBuilder, BoxError> {
    let root = root.canonicalize().map_err(|error| {
        let root = root.display();
        format!("cannot open the root `{root}`: {error}")
    })?;
    let namespace = root
        .to_str()
        .ok_or_else(|| format!("the path of the root, `{}`, is no UTF-8", root.display()))?;
    let url = match url {
        Some(url) => url.to_owned(),
        None => below(namespace)?,
    };
    let store = store::from_url(&url).await?;
    Ok(builder.store(store).namespace(namespace))
}

/// A directory that a version control system leaves alone, and other users: the
/// arguments and results of tasks are nobody else's business.
fn below(root: &str) -> Result<String, BoxError> {
    let directory = Path::new(root).join(".async-tool");
    let mut maker = DirBuilder::new();
    maker.recursive(true);
    #[cfg(unix)]
    maker.mode(0o700);
    maker
        .create(&directory)
        .and_then(|()| fs::write(directory.join(".gitignore"), "*\n"))
        .map_err(|error| format!("cannot keep tasks in `{}`: {error}", directory.display()))?;
    Ok(format!("sqlite:{root}/.async-tool/tasks.db"))
}
