#![deny(warnings)]

use std::pin::Pin;
use std::sync::Arc;

use async_tool::{Registry, TaskContext, async_tool};

#[derive(Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Point(i32, i32);

trait Dimension {
    type Number;
}

impl Dimension for Point {
    type Number = i32;
}

#[async_tool]
impl Point {
    #![allow(clippy::new_ret_no_self)]

    const DIMENSIONS: usize = 2;
    const ORIGIN: Self = Self(0, 0);

    #[async_tool]
    async fn plain(&self) {}

    #[async_tool]
    async fn by_its_type(self: &Self) {}

    #[async_tool]
    async fn by_its_name(self: &Point) {}

    #[async_tool]
    async fn in_an_arc(self: &Arc<Self>) {}

    #[async_tool(timeout = "5m")]
    pub(crate) async fn everything(
        &self,
        #[serde(default)] other: Option<Self>,
        numbers: [<Self as Dimension>::Number; Self::DIMENSIONS],
        task: &TaskContext,
        another: &Self,
    ) -> Result<Vec<Self>, Box<dyn std::error::Error + Send + Sync>> {
        task.check_cancelled()?;
        let [x, y] = numbers;
        Ok([Some(Self(x, y)), other, Some(another.clone())]
            .into_iter()
            .flatten()
            .collect())
    }

    #[async_tool]
    async fn origin() -> Self {
        Self::ORIGIN
    }

    #[async_tool]
    async fn boxed() -> Result<(), std::io::Error> {
        Self::future().await
    }

    fn future() -> Pin<Box<dyn Future<Output = Result<(), std::io::Error>> + Send>> {
        Box::pin(async { Ok(()) })
    }
}

struct Of<T, const N: usize>([T; N]);

#[async_tool]
impl Of<u8, { 1 + 1 }> {
    #[async_tool]
    async fn of_a_generic_type(&self) -> usize {
        self.0.len()
    }

    #[async_tool]
    async fn returning(&self) -> Array<{ 1 + 1 }> {
        self.0
    }
}

type Array<const N: usize> = [u8; N];

mod elsewhere {
    pub(crate) struct Server;
}

#[async_tool]
impl elsewhere::Server {
    #[async_tool]
    async fn elsewhere(&self) {}
}

fn main() {
    let registry = Registry::from_inventory();
    assert_eq!(registry.names().count(), 10);
    let _ = Of([1, 2]).of_a_generic_type();
    let _ = elsewhere::Server;
}
