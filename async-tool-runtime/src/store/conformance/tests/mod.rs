//! The suite itself.

use std::collections::BTreeSet;

use super::Conformance;
use crate::store::MemoryStore;

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
