//! A store knows whether it is the one that was sent from. What a copy of it looks like is each
//! database's own.

use sendoff::ledger::Ledger;

use super::bench::{Bench, LINE_A, at, rows, sent};
use super::store::Store;

async fn is_at_home(ledger: &dyn Ledger) {
    assert_eq!(ledger.take_place().await.unwrap(), None);
}

pub(super) async fn a_new_store_settles_without_a_question(store: &dyn Store) {
    let ledger = store.open().await;
    is_at_home(&*ledger).await;
    is_at_home(&*ledger).await;
    is_at_home(&*store.open().await).await;
}

pub(super) async fn many_handles_settle_at_once(store: &dyn Store) {
    let mut handles = Vec::new();
    for _ in 0..6 {
        handles.push(store.open().await);
    }
    let asked = handles.iter().map(|ledger| ledger.take_place());
    for found in futures_util::future::join_all(asked).await {
        assert_eq!(found.unwrap(), None);
    }
}

pub(super) async fn a_store_that_was_sent_from_is_at_home(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=6, LINE_A)).await;
    is_at_home(&*bench.ledger).await;
    let second = store.open().await;
    is_at_home(&*second).await;
    for n in 0..3 {
        bench.settle_one(n, sent()).await;
        is_at_home(&*store.open().await).await;
    }
    // Marks of several processes are one row.
    let second = Bench {
        ledger: second,
        run: bench.run.clone(),
        me: bench.me.clone(),
    };
    for n in 3..6 {
        second.settle_one(n, sent()).await;
        is_at_home(&*bench.ledger).await;
        is_at_home(&*store.open().await).await;
    }
}

pub(super) async fn accepting_what_is_at_home_changes_nothing(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    is_at_home(&*bench.ledger).await;
    bench.settle_one(0, sent()).await;
    bench.ledger.accept_copy(at(1)).await.unwrap();
    bench.settle_one(2, sent()).await;
    is_at_home(&*store.open().await).await;
}
