use async_tool::async_tool;

#[derive(Debug)]
struct Failure(std::rc::Rc<u8>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

#[async_tool]
async fn build() -> Result<(), Failure> {
    todo!()
}

fn main() {}
