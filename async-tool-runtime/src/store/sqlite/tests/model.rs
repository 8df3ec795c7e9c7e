//! Random operations, on this store and on the memory store.

use tokio::time::advance;

use super::*;
use crate::store::{MemoryStore, model};

#[tokio::test(start_paused = true)]
async fn random_operations_have_the_answers_of_the_memory_store() {
    for seed in 1..=4 {
        let place = Place::new();
        run(&place, seed, 1000).await;
        check_integrity(&place);
    }
}

pub(super) async fn run(place: &Place, seed: u64, operations: usize) {
    let clock = Clock::tokio();
    let model = MemoryStore::with_clock(clock.clone());
    let options = Options {
        clock,
        ..Options::default()
    };
    let store = place.open_with(options).await;
    let (model, store) = (
        model.open("test").await.expect("memory opens"),
        store.open("test").await.expect("it opens"),
    );
    model::compare(model, store, seed, operations, advance).await;
}
