mod inner {
    #[async_tool::async_tool(crate = crate::missing)]
    async fn build() {}
}

fn main() {}
