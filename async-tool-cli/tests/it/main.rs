//! The program itself, on stores on which servers work.

mod files;
mod pipes;
mod program;
mod server;
mod stores;
