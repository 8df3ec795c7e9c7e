//! Server processes that are killed, stopped and starved, on one SQLite file.
//!
//! The processes are this test binary (see `host`). They end with the test that
//! started them. Moments are left to chance; a failure prints the seed, and the
//! directory with database, ledger and log is kept. To repeat a run, or for a
//! longer one:
//!
//! ```sh
//! ASYNC_TOOL_CRASH_SEED=42 ASYNC_TOOL_CRASH_KILLS=1000 \
//!     cargo test --all-features --test it -- crash:: --nocapture
//! ```

pub(crate) mod after;
pub(crate) mod arena;
pub(crate) mod callers;
pub(crate) mod checks;
pub(crate) mod client;
mod faults;
pub(crate) mod frozen;
pub(crate) mod host;
pub(crate) mod kills;
pub(crate) mod ledger;
pub(crate) mod tools;
