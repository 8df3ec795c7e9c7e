use async_tool::async_tool;

#[async_tool(interactive, surface(shared, native), names(initiate = "start_build", status = "check_build", respond = "answer_build"))]
async fn build() {}

fn main() {}
