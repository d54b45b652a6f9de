//! Owners: whose lease holds, and when it ends with its process.

use std::sync::Arc;

use sendoff::ledger::{Ledger, Owner, Written};

use super::bench::{Bench, LEASE_MS, LINE_A, at, owner, rows};
use super::store::Store;

/// A process of its own that has claimed three deliveries and begun one of them.
async fn busy_process(store: &dyn Store, bench: &Bench, who: &Owner) -> Arc<dyn Ledger> {
    let process = Bench {
        ledger: store.open().await,
        run: bench.run.clone(),
        me: who.clone(),
    };
    process.ledger.enlist(who, at(0)).await.unwrap();
    let claims = process.take(0, 3).await;
    assert_eq!(claims.len(), 3);
    assert_eq!(process.begin(&claims[0], 0).await, Written::Done);
    process.ledger
}

/// How many another process gets, of the three and of the two that nobody had.
async fn left(bench: &Bench, now_ms: i64) -> usize {
    bench.take(now_ms, 10).await.len()
}

pub(super) async fn a_lease_excludes_others_until_it_ends(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let process = busy_process(store, &bench, &owner("other")).await;
    assert_eq!(left(&bench, 0).await, 2);
    assert_eq!(left(&bench, LEASE_MS - 1).await, 0);
    assert_eq!(left(&bench, LEASE_MS).await, 5);
    drop(process);
}

pub(super) async fn leases_end_when_their_owner_retires(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let other = owner("other");
    let process = busy_process(store, &bench, &other).await;
    process.retire(&other).await.unwrap();
    assert_eq!(left(&bench, 1).await, 5);
}

pub(super) async fn leases_end_when_their_owner_is_gone(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let process = busy_process(store, &bench, &owner("other")).await;
    drop(process);
    assert_eq!(left(&bench, 1).await, 2, "nobody has looked yet");
    store.ended(&owner("other")).await;
    bench.ledger.bury(at(0)).await.unwrap();
    let claims = bench.take(2, 10).await;
    assert_eq!(claims.len(), 3);
    assert_eq!(claims[0].unanswered_since, Some(at(0)));
    assert!(claims[1..].iter().all(|c| c.unanswered_since.is_none()));
    // Burying twice, and with nobody dead, changes nothing.
    bench.ledger.bury(at(0)).await.unwrap();
    assert_eq!(left(&bench, 3).await, 0, "our own leases hold");
}

pub(super) async fn a_living_owner_is_not_buried(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let process = busy_process(store, &bench, &owner("other")).await;
    let third = store.open().await;
    for ledger in [&process, &bench.ledger, &third] {
        ledger.bury(at(0)).await.unwrap();
        ledger.bury(at(0)).await.unwrap();
    }
    assert_eq!(left(&bench, 1).await, 2);
    // And it can still be found dead afterwards.
    drop(process);
    store.ended(&owner("other")).await;
    third.bury(at(0)).await.unwrap();
    assert_eq!(left(&bench, 2).await, 3);
}

pub(super) async fn an_owner_that_lived_long_leaves_its_leases_too(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let process = busy_process(store, &bench, &owner("other")).await;
    drop(process);
    store.ended(&owner("other")).await;
    bench.ledger.bury(at(0)).await.unwrap();
    // It had been enlisted for a month when it died a moment ago.
    let month_ms = 30 * 24 * 3_600_000;
    for n in 0..2 {
        let late = owner(&format!("late-{n}"));
        bench.ledger.enlist(&late, at(month_ms)).await.unwrap();
    }
    assert_eq!(left(&bench, 1).await, 5);
}

pub(super) async fn a_name_used_again_inherits_no_lease(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let other = owner("other");
    let process = busy_process(store, &bench, &other).await;
    drop(process);
    store.ended(&other).await;
    // Killed, not buried, and its name is taken by the next.
    let second = store.open().await;
    second.enlist(&other, at(1)).await.unwrap();
    assert_eq!(left(&bench, 2).await, 5);
    second.retire(&other).await.unwrap();
    second.enlist(&other, at(3)).await.unwrap();
}

pub(super) async fn two_living_owners_have_two_names(store: &dyn Store) {
    let (one, two) = (store.open().await, store.open().await);
    let name = owner("me");
    one.enlist(&name, at(0)).await.unwrap();
    let taken = two.enlist(&name, at(0)).await.unwrap_err().to_string();
    assert!(taken.contains("'me' is taken"), "{taken}");
    one.retire(&name).await.unwrap();
    two.enlist(&name, at(1)).await.unwrap();
}
