//! Waits that the provider asked for, learnt after a claim: whom they hold, and that they burn no
//! attempt.

use sendoff::domain::delivery::{DeliveryState, Hold};
use sendoff::ledger::{Begin, Gate, Held, Write, Written};

use super::bench::{Bench, LEASE_MS, LINE_A, at, begin_of, gate, owner, pending, record_of, rows};
use super::store::Store;

fn begin(begin: Begin) -> Write {
    Write::Begin(Box::new(begin))
}

pub(super) async fn an_attempt_does_not_begin_at_a_closed_gate(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let claims = bench.take(0, 3).await;
    // Another process learns of the wait after the claim.
    let mut first = record_of(&claims[0], 0, pending(9_000, 0));
    first.gate = Some(gate(None, 9_000));
    bench.begin(&claims[0], 0).await;
    bench.record(first).await;
    let written = bench
        .write_as(&bench.me, begin(begin_of(&claims[1], 5)))
        .await;
    assert_eq!(written, Written::Held { until: at(9_000) });
    let row = bench.row(2).await;
    let stands = (row.state, row.attempts, row.hold, row.due_at);
    let held = Some(Hold::Throttled);
    assert_eq!(stands, (DeliveryState::Pending, 0, held, at(9_000)));
    // It is anybody's when the gate opens.
    let other = bench.take_as(&owner("other"), 9_000).await;
    assert_eq!(
        other.iter().map(|claim| claim.row).collect::<Vec<_>>(),
        [1, 2]
    );
}

pub(super) async fn a_gate_holds_a_doubt_without_ending_it(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let doubt = bench.take_one(LEASE_MS).await;
    let mut late = record_of(&claim, 0, pending(1, 0));
    late.attempt = 7;
    late.gate = Some(gate(Some(LINE_A), LEASE_MS + 9_000));
    assert_eq!(bench.record(late).await, Written::Late);
    let written = bench
        .write_as(&bench.me, begin(begin_of(&doubt, LEASE_MS)))
        .await;
    let until = at(LEASE_MS + 9_000);
    assert_eq!(written, Written::Held { until });
    assert_eq!(bench.row(1).await.state, DeliveryState::Sending);
    assert!(bench.take(LEASE_MS + 8_999, 1).await.is_empty());
    let again = bench.take_one(LEASE_MS + 9_000).await;
    assert_eq!(again.unanswered_since, Some(at(0)));
}

pub(super) async fn a_recipients_gate_holds_that_person_in_every_run(store: &dyn Store) {
    let spring = Bench::named(store, "spring@once", rows(1..=2, LINE_A)).await;
    let claim = spring.take_one(0).await;
    spring.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, pending(5_000, 0));
    record.gate = Some(Gate {
        held: Held::Recipient(claim.phone.clone()),
        ..gate(None, 5_000)
    });
    spring.record(record).await;
    let summer = Bench::named(store, "summer@once", rows(1..=2, LINE_A)).await;
    let request = summer.ask(&summer.me, 10, 5);
    let claimed = summer.claim(&request).await;
    let rows: Vec<u64> = claimed.claims.iter().map(|claim| claim.row).collect();
    assert_eq!((rows, claimed.moved), (vec![2], 1), "the others go on");
    let row = summer.row(1).await;
    assert_eq!((row.hold, row.due_at), (Some(Hold::Retry), at(5_000)));
    assert_eq!(summer.take(5_000, 1).await[0].row, 1);
}
