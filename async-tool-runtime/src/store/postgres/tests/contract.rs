//! The contract, from two processes' points of view.

use super::*;
use crate::store::conformance::Conformance;

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let (store, again) = (
        connect(server, &schema).await,
        connect(server, &schema).await,
    );
    let report = Conformance::new(store).reopen(again).run().await;
    report.assert();
    Admin::connect(server).await.check_integrity(&schema).await;
}
