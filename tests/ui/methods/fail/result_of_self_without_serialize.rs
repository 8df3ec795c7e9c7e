use async_tool::async_tool;

#[derive(schemars::JsonSchema)]
struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(&self) -> Result<Self, std::io::Error> {
        Ok(Self)
    }
}

fn main() {}
