#![deny(warnings)]

extern crate async_tool as facade;

mod std {}
mod core {}
mod alloc {}
mod async_tool {}
mod serde {}
mod schemars {}
mod inventory {}

#[allow(dead_code, unused_imports)]
mod shadows {
    pub enum Option {
        Some,
        None,
    }
    pub enum Result {
        Ok,
        Err,
    }
    pub struct Box;
    pub struct String;
    pub struct Vec;
    pub struct Input;
    pub trait Clone {}
    pub trait Debug {}
    pub trait Default {}
    pub trait Deserialize {}
    pub trait Send {}
    pub trait Serialize {}
    pub trait JsonSchema {}
    pub trait AsyncTool {}
    pub trait Future {}
    pub use self::Option::{None, Some};
    pub use self::Result::{Err, Ok};
}

#[allow(unused_imports)]
use self::shadows::*;

/// Build it.
#[facade::async_tool(timeout = "15m")]
async fn build(
    project: ::std::string::String,
    input: u8,
    call: ::core::option::Option<bool>,
    task: &facade::TaskContext,
    token: &facade::Progress,
) -> ::core::result::Result<bool, ::std::string::String> {
    let _ = (project, input, call, task, token);
    ::core::result::Result::Ok(true)
}

struct Builder;

trait Builds {
    fn compile(&self) {}
}

impl Builds for Builder {}

fn compile() {}

#[facade::async_tool]
impl Builder {
    #[facade::async_tool(timeout = "15m")]
    async fn compile(
        &self,
        input: u8,
        call: ::core::option::Option<bool>,
        task: &facade::TaskContext,
    ) -> ::core::result::Result<bool, ::std::string::String> {
        let _ = (input, call, task);
        ::core::result::Result::Ok(true)
    }
}

fn main() {
    Builds::compile(&Builder);
    compile();
    ::core::assert_eq!(facade::Registry::from_inventory().names().count(), 2);
}
