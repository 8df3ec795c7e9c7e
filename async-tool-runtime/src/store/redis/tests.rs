//! What the Redis store does with real servers: the contract, random operations
//! against the memory store, servers that end and come back, and what is left.

use std::sync::Arc;

use super::*;
use crate::store::conformance::Conformance;

/// A name that no other test uses on the server that they share.
fn prefix() -> Arc<str> {
    format!("test-{}", crate::task::TaskId::random()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let Some(server) = servers::redis() else {
        return;
    };
    let prefix = prefix();
    let open = async || {
        let builder = RedisStore::builder().key_prefix(Arc::clone(&prefix));
        builder.connect(&server.url()).await.expect("it connects")
    };
    let conformance = Conformance::new(open().await).reopen(open().await);
    conformance.run().await.assert();
}
