//! The files of the page, which are part of the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::api;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Stands in the page before each name of a file.
const BASE: &str = "{base}";
const PAGE: &str = include_str!("page/page.html");

macro_rules! files {
    ($($name:literal: $type:ident),+ $(,)?) => {
        [$(($name, File::new($type, include_str!(concat!("page/", $name))))),+]
    };
}

static FILES: LazyLock<HashMap<&str, File>> = LazyLock::new(|| {
    files![
        "base.css": CSS,
        "task.css": CSS,
        "tasks.css": CSS,
        "tools.css": CSS,
        "icon.svg": SVG,
        "app.js": SCRIPT,
        "dom.js": SCRIPT,
        "format.js": SCRIPT,
        "live.js": SCRIPT,
        "plot.js": SCRIPT,
        "task.js": SCRIPT,
        "tasks.js": SCRIPT,
        "timeline.js": SCRIPT,
        "tools.js": SCRIPT,
    ]
    .into()
});

struct File {
    content_type: &'static str,
    text: &'static str,
    tag: HeaderValue,
}

impl File {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        Self {
            content_type,
            text,
            tag: tag(text),
        }
    }
}

/// The page. It finds its files beside it, also where its own URL has no slash
/// at the end.
pub(super) async fn page(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let page = PAGE.replace(BASE, &base(uri.path()));
    let tag = tag(&page);
    answer(&headers, HTML, tag, page.into())
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.get(name.as_str()) {
        Some(file) => answer(
            &headers,
            file.content_type,
            file.tag.clone(),
            file.text.into(),
        ),
        None => api::nothing_there().await,
    }
}

/// From this path to the files, in HTML.
fn base(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.is_empty() {
        return "./".to_owned();
    }
    let mut base = "./".to_owned();
    for character in last.chars() {
        match character {
            '&' => base.push_str("&amp;"),
            '<' => base.push_str("&lt;"),
            '>' => base.push_str("&gt;"),
            '"' => base.push_str("&quot;"),
            '\'' => base.push_str("&#39;"),
            other => base.push(other),
        }
    }
    base.push('/');
    base
}

fn answer(
    headers: &HeaderMap,
    content_type: &'static str,
    tag: HeaderValue,
    body: Body,
) -> Response {
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| {
            let mut tags = tags.split(',').map(|it| it.trim().trim_start_matches("W/"));
            tags.any(|it| it == "*" || it.as_bytes() == tag.as_bytes())
        });
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, body)
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // Names stay the same from version to version: ask whether it is still so.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag),
    ];
    (status, headers, body).into_response()
}

fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_whether_the_path_ends_with_a_slash_or_not() {
        for (path, expected) in [
            ("/", "./"),
            ("/dashboard/", "./"),
            ("/dashboard", "./dashboard/"),
            ("/a/b:c", "./b:c/"),
            (r#"/"><script>"#, "./&quot;&gt;&lt;script&gt;/"),
        ] {
            assert_eq!(base(path), expected, "{path}");
        }
    }

    #[test]
    fn every_file_that_is_named_is_there() {
        let texts = FILES.values().map(|file| file.text).chain([PAGE]);
        let mut seen = 0;
        for text in texts {
            for prefix in ["from \"./", BASE] {
                for (at, _) in text.match_indices(prefix) {
                    let name = text[at + prefix.len()..]
                        .split('"')
                        .next()
                        .unwrap_or_default();
                    assert!(FILES.contains_key(name), "{name}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "the names were found");
    }

    #[test]
    fn nothing_is_inline_and_no_text_becomes_html() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
        ] {
            for (name, file) in &*FILES {
                assert!(!file.text.contains(word), "{word} in {name}");
            }
        }
        for word in [
            "style=",
            "onclick=",
            "onload=",
            "<style",
            "javascript:",
            "http:",
            "https:",
        ] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }
}
