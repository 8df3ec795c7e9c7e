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

mod arena;
mod callers;
mod checks;
mod client;
mod faults;
mod frozen;
mod host;
mod kills;
mod ledger;
mod tools;
