#![deny(warnings)]

use async_tool::{ToolError, async_tool};

type Outcome<T> = Result<T, ToolError>;
type Nested = Outcome<Option<u8>>;

mod shapes {
    use super::*;

    #[async_tool]
    async fn nothing() {}

    #[async_tool]
    async fn unit() -> () {}

    #[async_tool]
    async fn plain() -> u8 {
        1
    }

    #[async_tool]
    async fn fixed() -> &'static str {
        "fixed"
    }

    #[async_tool]
    async fn aliased() -> Nested {
        Ok(Some(1))
    }

    #[async_tool]
    async fn io() -> std::io::Result<u8> {
        Ok(1)
    }

    #[async_tool]
    async fn anyhow() -> anyhow::Result<u8> {
        Ok(1)
    }

    #[async_tool]
    async fn eyre() -> eyre::Result<u8> {
        Ok(1)
    }

    #[async_tool]
    async fn text_error() -> Result<u8, String> {
        Ok(1)
    }

    #[async_tool]
    async fn str_error() -> Result<u8, &'static str> {
        Ok(1)
    }

    #[async_tool]
    async fn boxed_error() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
        Ok(1)
    }

    #[async_tool]
    async fn result_in_result() -> Result<Result<u8, String>, String> {
        Ok(Ok(1))
    }
}

fn main() {}
