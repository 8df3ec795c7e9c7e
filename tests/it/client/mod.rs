//! `async_tool::client`, against this crate's servers and others.

mod calls;
mod faults;
mod input;
#[cfg(all(unix, feature = "sqlite"))]
mod killed;
mod native;
mod wire;
