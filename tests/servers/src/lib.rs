//! PostgreSQL and Redis servers, started from the binaries of this machine on
//! free ports of loopback, each in a directory of its own.
//!
//! A server ends with the process that started it, however that ends: a shell
//! between them waits for the end of its input and then stops the server by its
//! process id.
#![cfg(unix)]

mod postgres;
mod redis;
mod server;

use std::io::Write;
use std::sync::OnceLock;

pub use postgres::Postgres;
pub use redis::Redis;

/// Set to 1 where a missing server is a failure.
const REQUIRE: &str = "ASYNC_TOOL_REQUIRE_STORES";

/// One server for all tests of a process, or none where this machine has no
/// PostgreSQL; then that is said loudly.
///
/// # Panics
///
/// If the server does not start, or if it is missing and
/// `ASYNC_TOOL_REQUIRE_STORES=1`.
pub fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&[])).as_ref()
}

/// One server for all tests of a process; see [`postgres`].
///
/// # Panics
///
/// As [`postgres`] does.
pub fn redis() -> Option<&'static Redis> {
    static SERVER: OnceLock<Option<Redis>> = OnceLock::new();
    SERVER.get_or_init(|| Redis::start(&[])).as_ref()
}

fn missing(program: &str) {
    assert!(
        std::env::var(REQUIRE).as_deref() != Ok("1"),
        "there is no `{program}` on this machine, and {REQUIRE}=1 says that there must be one"
    );
    // Not by a macro: the test harness hides what those print where tests pass.
    let said = writeln!(
        std::io::stderr(),
        "\nSKIPPED: there is no `{program}` on this machine; tests that need it test nothing"
    );
    said.expect("somebody reads");
}
