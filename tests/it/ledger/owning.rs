//! Owners: whose lease holds, and when it ends with its process.

use std::sync::Arc;

use sendoff::domain::run::RunState;
use sendoff::ledger::{AtWork, Ledger, Owner, Worker, Written};

use super::bench::{
    Bench, LEASE_MS, LINE_A, at, freeze, new_run, owner, record_of, rows, run_id, sent,
};
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

pub(super) async fn a_lease_that_is_renewed_lasts_longer_and_only_its_owners(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let claims = bench.take(0, 4).await;
    let ids: Vec<_> = claims.iter().map(|claim| claim.id).collect();
    assert_eq!(bench.begin(&claims[0], 0).await, Written::Done);
    assert_eq!(
        bench.record(record_of(&claims[0], 1, sent())).await,
        Written::Done
    );
    assert_eq!(bench.begin(&claims[1], 0).await, Written::Done);
    let other = Bench {
        ledger: store.open().await,
        run: bench.run.clone(),
        me: owner("other"),
    };
    let renew = async |bench: &Bench, until_ms| {
        let renewed = bench.ledger.renew(&bench.me, &ids, at(until_ms)).await;
        let mut renewed = renewed.unwrap();
        renewed.sort_unstable();
        renewed
    };
    // What has ended is not held any more, and what somebody else holds is not ours.
    assert_eq!(renew(&bench, 3 * LEASE_MS).await, ids[1..]);
    assert_eq!(renew(&other, 9 * LEASE_MS).await, [0_i64; 0]);
    // A shorter lease is none: it stays as long as it was.
    assert_eq!(renew(&bench, LEASE_MS).await, ids[1..]);
    assert_eq!(left(&other, 2 * LEASE_MS).await, 1, "the one that was free");
    let taken = other.take(3 * LEASE_MS, 10).await;
    assert_eq!(taken.len(), 4);
    // Too late: another has taken over, and what it has is fenced.
    assert_eq!(renew(&bench, 9 * LEASE_MS).await, [0_i64; 0]);
    assert_eq!(bench.begin(&claims[2], 3 * LEASE_MS).await, Written::Late);
}

/// The workers in short: the name, how long it has been silent, runs, leased, on the wire.
fn in_short(workers: &[AtWork]) -> Vec<(&str, Option<i64>, usize, u64, u64)> {
    workers
        .iter()
        .map(|one| {
            let silent = one.silent.map(|silent| silent.as_secs());
            let holds = (one.leased(), one.on_wire());
            (&*one.worker.0, silent, one.holds.len(), holds.0, holds.1)
        })
        .collect()
}

pub(super) async fn workers_are_told_with_all_their_runs(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let mut second = new_run("second@once");
    "another".clone_into(&mut second.gateway);
    let second = freeze(&*bench.ledger, &second, rows(1..=3, LINE_A)).await;
    let worker = Worker::new("web-2", 12, 1);
    let idle = owner("idle");
    let other = Bench {
        ledger: bench.ledger.clone(),
        run: second,
        me: owner("other"),
    };
    for (name, run) in [
        (&idle, None),
        (&bench.me, Some(&bench.run)),
        (&other.me, Some(&other.run)),
    ] {
        // The bench has enlisted its own already.
        if *name != bench.me {
            bench.ledger.enlist(name, at(0)).await.unwrap();
        }
        bench.ledger.attend(name, &worker, run).await.unwrap();
    }
    let claims = bench.take(0, 3).await;
    assert_eq!(bench.begin(&claims[0], 0).await, Written::Done);
    assert_eq!(other.take(0, 2).await.len(), 2);
    bench.ledger.beat(&other.me, at(4_000)).await.unwrap();
    // Heard of by one name is heard of.
    let workers = bench.ledger.workers(at(7_000)).await.unwrap();
    assert_eq!(in_short(&workers), [("web-2:12:0001", Some(3), 2, 5, 1)]);
    assert_eq!(workers[0].on(&run_id("second@once")).unwrap().leased(), 2);
    for name in [&idle, &bench.me, &other.me] {
        bench.ledger.retire(name).await.unwrap();
    }
    assert_eq!(bench.ledger.workers(at(8_000)).await.unwrap(), []);
}

pub(super) async fn only_running_runs_are_running(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    freeze(&*bench.ledger, &new_run("second@once"), rows(1..=2, LINE_A)).await;
    let running = async || {
        let running = bench.ledger.running().await.unwrap();
        let names = running.iter().map(|one| one.run.to_string());
        names.collect::<Vec<_>>()
    };
    let first = bench.run.run.clone();
    assert_eq!(running().await, [first.as_str(), "second@once"]);
    for (state, left) in [
        (RunState::Paused, vec!["second@once"]),
        (RunState::Running, vec![first.as_str(), "second@once"]),
        (RunState::Cancelled, vec!["second@once"]),
    ] {
        bench
            .ledger
            .set_state(&first, state, None, at(1))
            .await
            .unwrap();
        assert_eq!(running().await, left, "{state}");
    }
}
