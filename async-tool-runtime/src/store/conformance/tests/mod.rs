//! The suite itself.

mod broken;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, future, stream};

use super::Conformance;
use crate::store::{MemoryStore, OpenStore, Store, StoreError};
use broken::{Broken, Flaw};

/// Sentences that no broken store breaks here, and why.
const UNBROKEN: &[(&str, &str)] = &[];

#[tokio::test]
async fn memory_keeps_the_contract() {
    Conformance::new(MemoryStore::new()).run().await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract_on_many_threads() {
    let store = MemoryStore::new();
    let report = Conformance::new(store.clone()).reopen(store).run().await;
    report.assert();
}

#[test]
fn each_sentence_of_the_contract_is_a_case() {
    let contract = include_str!("../../mod.rs");
    let sentences: Vec<&str> = contract
        .lines()
        .filter_map(|line| {
            line.trim_start_matches([' ', '/', '!'])
                .strip_prefix("- **")
        })
        .filter_map(|line| Some(line.split_once("**")?.0))
        .collect();
    let cases: Vec<&str> = Conformance::names().collect();
    let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(set(&sentences), set(&cases));
    assert_eq!(sentences.len(), set(&sentences).len(), "a name twice");
    assert_eq!(cases.len(), sentences.len(), "a case twice");
}

#[test]
fn each_sentence_is_broken_by_a_flaw() {
    let broken = Flaw::ALL.iter().map(|flaw| flaw.sentence());
    let unbroken = UNBROKEN.iter().map(|(name, _)| *name);
    let covered: BTreeSet<&str> = broken.chain(unbroken).collect();
    assert_eq!(covered, Conformance::names().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_flaw_passes() {
    Conformance::new(Broken::by(None)).run().await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_flaw_is_caught() {
    let runs = Flaw::ALL.iter().map(|flaw| async move {
        // A machine that is busy hides a lease that is too short from who looks
        // too late.
        for lease in [300, 600, 1200] {
            let report = Conformance::new(Broken::by(Some(*flaw)))
                .lease(Duration::from_millis(lease))
                .patience(Duration::from_secs(1))
                .only([flaw.sentence()])
                .run()
                .await;
            if report.failed().next().is_some() {
                return None;
            }
        }
        Some(flaw)
    });
    let runs = stream::iter(runs).buffer_unordered(16);
    let missed: Vec<&Flaw> = runs.filter_map(future::ready).collect().await;
    assert!(missed.is_empty(), "flaws that no case notices: {missed:?}");
}

/// A store that cannot be opened.
#[derive(Clone, Copy)]
enum Unfit {
    Refuses,
    Panics,
    Hangs,
}

#[async_trait]
impl OpenStore for Unfit {
    async fn open(&self, _: &str) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Refuses => Err(StoreError::new("no engine").with_source("it is off")),
            Self::Panics => panic!("at the disco"),
            Self::Hangs => std::future::pending().await,
        }
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn whatever_a_store_does_is_a_failure_of_its_case() {
    for (unfit, expected) in [
        (Unfit::Refuses, "an error: no engine: it is off"),
        (Unfit::Panics, "a panic: at the disco"),
        (Unfit::Hangs, "it hangs: no end after 150ms"),
    ] {
        let report = Conformance::new(unfit)
            .lease(Duration::from_millis(10))
            .patience(Duration::from_millis(50))
            .run()
            .await;
        assert_eq!(report.cases().len(), Conformance::names().count());
        for case in report.cases() {
            assert_eq!(case.failure.as_deref(), Some(expected), "{}", case.name);
        }
    }
}

#[tokio::test]
async fn a_case_that_does_not_exist_fails() {
    let report = Conformance::new(MemoryStore::new())
        .only(["create_queues_a_task", "create_queues_a_tusk"])
        .run()
        .await;
    assert_eq!(report.cases().len(), 2);
    assert_eq!(
        report.to_string(),
        "the store breaks the contract: 1 of 2 cases failed\n  \
         create_queues_a_tusk: there is no such case"
    );
    let failed: Vec<&str> = report.failed().collect();
    assert_eq!(failed, ["create_queues_a_tusk"]);
    let assertion = std::panic::catch_unwind(|| report.assert());
    assert!(assertion.is_err());
}
