use async_tool::async_tool;

#[async_tool]
mod build {
    fn inner() {}
}

fn main() {}
