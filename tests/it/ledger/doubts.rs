//! Attempts without an answer: since when, and how the doubt about them ends.

use sendoff::domain::delivery::DeliveryState;
use sendoff::ledger::{Next, Write, Written};

use super::bench::{
    Bench, LEASE_MS, LINE_A, at, found, owner, pending, record_of, release_of, rows, settle_of,
    uncertain,
};
use super::store::Store;

pub(super) async fn the_doubt_about_an_attempt_ends_once(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    for claim in bench.take(0, 2).await {
        bench.begin(&claim, 0).await;
    }
    let doubts = bench.take(LEASE_MS, 2).await;
    let settle = |claim, verdict| Write::Settle(Box::new(settle_of(claim, LEASE_MS, verdict)));
    let other = owner("other");
    let stranger = bench
        .write_as(&other, settle(&doubts[0], uncertain()))
        .await;
    assert_eq!(stranger, Written::Late, "it is not theirs");
    for (claim, verdict, other) in [
        (&doubts[0], found(), uncertain()),
        (&doubts[1], uncertain(), found()),
    ] {
        let write = settle(claim, verdict);
        assert_eq!(bench.write_as(&bench.me, write).await, Written::Done);
        let again = settle(claim, other);
        assert_eq!(bench.write_as(&bench.me, again).await, Written::Late);
    }
    let known = bench.row(1).await;
    assert_eq!(known.state, DeliveryState::Sent);
    assert_eq!(known.message_id.as_deref(), Some("msg-found"));
    assert_eq!(known.sent_at, Some(at(0)), "when it left");
    let left = bench.row(2).await;
    assert_eq!(left.state, DeliveryState::Uncertain);
    assert_eq!(left.detail.as_deref(), Some("nobody can tell"));
    for claim in &doubts {
        let kept = store.attempts(claim.id).await;
        assert_eq!(kept[0].in_short(), (1, "lost", false));
    }
}

pub(super) async fn a_doubt_is_as_old_as_its_first_attempt(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    // Refused for now: the provider knows nothing of the key.
    bench.begin(&claim, 0).await;
    bench.record(record_of(&claim, 0, pending(100, 1))).await;
    let claim = bench.take_one(100).await;
    bench.begin(&claim, 100).await;
    let unanswered = Next::Unanswered {
        again_at: at(200),
        tries: 2,
    };
    bench.record(record_of(&claim, 100, unanswered)).await;
    let claim = bench.take_one(200).await;
    assert_eq!(claim.unanswered_since, Some(at(100)));
    bench.begin(&claim, 200).await;
    let claim = bench.take_one(200 + LEASE_MS).await;
    assert_eq!(claim.unanswered_since, Some(at(100)));
    assert_eq!(claim.begun_at, Some(at(200)));
    assert_eq!(claim.first_attempt_at, Some(at(0)));
}

pub(super) async fn what_has_begun_is_not_given_back(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let written = bench.release(release_of(&claim, None)).await;
    assert_eq!(written, Written::Late);
    assert!(bench.take(1, 1).await.is_empty(), "it is on the wire");
    let doubt = bench.take_one(LEASE_MS).await;
    assert_eq!(bench.release(release_of(&doubt, None)).await, Written::Done);
    assert_eq!(bench.take(LEASE_MS, 1).await.len(), 1, "free at once");
}
