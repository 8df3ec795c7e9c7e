//! Random operations, on this store and on the memory store: all answers must
//! be the same.

use tokio::time::advance;

use super::integrity::check_integrity;
use super::*;
use crate::engine::Clock;
use crate::store::{MemoryStore, model};

#[tokio::test(start_paused = true)]
async fn random_operations_have_the_answers_of_the_memory_store() {
    for seed in 1..=4 {
        let Some(place) = Place::new() else {
            return;
        };
        let clock = Clock::tokio();
        let mut builder = place.builder();
        builder.options.clock = Some(clock.clone());
        let store = builder.connect(&place.url).await.expect("it connects");
        let memory = MemoryStore::with_clock(clock);
        let (memory, store) = (
            memory.open("test").await.expect("memory opens"),
            store.open("test").await.expect("it opens"),
        );
        model::compare(memory, store, seed, 1000, advance).await;
        check_integrity(&place).await;
    }
}
