//! Random operations, on this store and on the memory store: all answers must
//! be the same.

use super::*;
use crate::store::model;

#[tokio::test(start_paused = true)]
async fn random_operations_have_the_answers_of_the_memory_store() {
    for seed in 1..=4 {
        let place = Place::new();
        run(&place, seed, 1000).await;
        check_integrity(&place);
    }
}

/// So many operations, and then a look at everything.
pub(super) async fn run(place: &Place, seed: u64, operations: usize) {
    let clock = Clock::tokio();
    let options = Options {
        clock: clock.clone(),
        ..Options::default()
    };
    let store = place.open_with(options).await;
    model::run(&store, clock, seed, operations).await;
}
