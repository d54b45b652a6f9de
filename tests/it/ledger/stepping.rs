//! A clock that is set back, or forward: what was to be waited for is waited for in full, and not
//! for hours more.

use sendoff::domain::delivery::Hold;
use sendoff::ledger::{ClaimRequest, Gate, Limits, Next, Release, Write};

use super::bench::{
    Bench, LINE_A, LINE_B, at, gate, limit, micros, owner, pending, record_of, release_of, rows,
};
use super::store::Store;

const HOUR: i64 = 3_600_000;

/// The clock shows this, and the store looks at it, as it does once a second.
async fn clock_shows(bench: &Bench, now_ms: i64) {
    bench.ledger.follow_clock(&|| at(now_ms)).await.unwrap();
}

/// A run that is sent from a place, whose clock shows five hours.
async fn five_hours_ahead(store: &dyn Store) -> Bench {
    let bench = Bench::with(store, rows(1..=6, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    bench
}

pub(super) async fn retries_are_not_put_off_by_a_clock_that_is_set_back(store: &dyn Store) {
    let bench = five_hours_ahead(store).await;
    let claims = bench.take(5 * HOUR, 2).await;
    bench
        .settle(&claims[0], 5 * HOUR, pending(5 * HOUR + 30_000, 1))
        .await;
    let unanswered = Next::Unanswered {
        again_at: at(5 * HOUR + 45_000),
        tries: 1,
    };
    bench.settle(&claims[1], 5 * HOUR, unanswered).await;
    let held = bench.take(5 * HOUR, 9).await;
    assert_eq!(held.len(), 4);
    // A second later it is a second after the beginning.
    clock_shows(&bench, 1_000).await;
    assert!(bench.take(1_000, 9).await.is_empty());
    for claim in &held {
        bench.release(release_of(claim, None)).await;
    }
    let ids = |claims: Vec<sendoff::ledger::Claim>| -> Vec<u64> {
        claims.into_iter().map(|claim| claim.row).collect()
    };
    assert_eq!(ids(bench.take(1_000, 9).await).len(), 4);
    // Each wait lasts as long as it was to, and not an instant less.
    assert!(bench.take(30_999, 9).await.is_empty());
    assert_eq!(ids(bench.take(31_000, 9).await), [claims[0].row]);
    assert!(bench.take(45_999, 9).await.is_empty());
    let again = bench.take(46_000, 9).await;
    assert_eq!(again[0].row, claims[1].row);
    // Nor has its key become younger.
    assert!(again[0].unanswered_since.unwrap() <= at(1_000));
    // Another look changes nothing more.
    clock_shows(&bench, 46_000).await;
    assert!(bench.take(46_001, 9).await.is_empty());
}

pub(super) async fn a_providers_wait_lasts_as_long_as_it_asked(store: &dyn Store) {
    let mut list = rows(1..=3, LINE_A);
    list.extend(rows(4..=6, LINE_B));
    let bench = Bench::with(store, list).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    let claim = bench.take_one(5 * HOUR).await;
    assert_eq!(claim.line, LINE_A);
    let mut record = record_of(&claim, 5 * HOUR, pending(5 * HOUR + 30_000, 0));
    record.gate = Some(gate(Some(LINE_A), 5 * HOUR + 30_000));
    bench.begin(&claim, 5 * HOUR).await;
    bench.record(record).await;
    clock_shows(&bench, 0).await;
    let other = bench.claim(&bench.ask(&bench.me, 0, 9)).await;
    assert!(other.claims.iter().all(|claim| claim.line == LINE_B));
    assert!(bench.take(29_999, 9).await.is_empty());
    assert_eq!(bench.take(30_000, 9).await.len(), 3);
}

pub(super) async fn a_lease_is_not_held_for_hours_more(store: &dyn Store) {
    let bench = five_hours_ahead(store).await;
    let claims = bench.take(5 * HOUR, 3).await;
    bench.begin(&claims[0], 5 * HOUR).await;
    let other = owner("other");
    clock_shows(&bench, 0).await;
    assert_eq!(bench.take_as(&other, 0).await.len(), 3);
    assert!(
        bench
            .take_as(&other, super::bench::LEASE_MS - 1)
            .await
            .is_empty()
    );
    let again = bench.take_as(&other, super::bench::LEASE_MS).await;
    assert!(again.len() >= 3, "{again:?}");
}

/// What others have begun under the clock as it was comes late into the ledger; it must not set
/// the waits back once more.
pub(super) async fn a_clock_is_followed_once(store: &dyn Store) {
    let bench = five_hours_ahead(store).await;
    let claims = bench.take(5 * HOUR, 4).await;
    bench.begin(&claims[0], 5 * HOUR).await;
    let wait = release_of(
        &claims[1],
        Some(Next::Pending {
            due_at: at(5 * HOUR + 60_000),
            hold: Hold::Throttled,
            tries: 0,
            anew: false,
        }),
    );
    bench
        .release(Release {
            at: at(5 * HOUR),
            gate: Some(Gate {
                ..gate(None, 5 * HOUR + 60_000)
            }),
            ..wait
        })
        .await;
    clock_shows(&bench, 0).await;
    assert!(bench.take(0, 9).await.is_empty(), "the account has to wait");
    for claim in &claims[2..] {
        let begin = super::bench::begin_of(claim, 5 * HOUR + 40);
        let begin = Write::Begin(Box::new(begin));
        bench.write_as(&bench.me, begin).await;
        clock_shows(&bench, 100).await;
        assert!(bench.take(100, 9).await.is_empty());
    }
    assert!(bench.take(59_999, 9).await.is_empty());
    assert!(!bench.take(60_000, 9).await.is_empty());
}

pub(super) async fn slots_go_back_with_the_clock(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=60, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    let ask = |now_ms| ClaimRequest {
        limits: Limits {
            account: limit("10/s", 5).into(),
            run: Some(limit("10/s", 1)),
            line: Some(limit("10/s", 1)),
            ..Limits::default()
        },
        ..bench.ask(&bench.me, now_ms, 60)
    };
    let before = bench.claim(&ask(5 * HOUR)).await.claims;
    assert_eq!(before.len(), 11);
    bench.begin(&before[0], 5 * HOUR).await;
    // The same moment, by a clock five hours behind: no slot is free before those that are taken
    // are over, and then one after the other.
    clock_shows(&bench, 0).await;
    assert!(bench.claim(&ask(0)).await.claims.is_empty());
    let after = bench.claim(&ask(1_000)).await.claims;
    let slots: Vec<i64> = after.iter().map(|claim| claim.slot_us).collect();
    let expected: Vec<i64> = (0..10).map(|n| micros(1_100 + n * 100)).collect();
    assert_eq!(slots, expected);
}

pub(super) async fn a_clock_that_goes_forward_ends_waits_and_nothing_else(store: &dyn Store) {
    let bench = five_hours_ahead(store).await;
    let claims = bench.take(0, 2).await;
    bench.settle(&claims[0], 0, pending(60_000, 1)).await;
    bench.begin(&claims[1], 0).await;
    clock_shows(&bench, 5 * HOUR).await;
    let later = bench.take(5 * HOUR, 9).await;
    assert_eq!(later.len(), 6);
    // What has no answer is asked for again under its own key, at its true age by this clock.
    let unanswered = later.iter().find(|claim| claim.unanswered_since.is_some());
    let unanswered = unanswered.expect("its lease is over");
    assert_eq!(unanswered.row, claims[1].row);
    assert_eq!(unanswered.first_attempt_at, Some(at(0)));
    assert_eq!((unanswered.attempt, unanswered.revision), (1, 0));
}

pub(super) async fn what_was_due_stays_due(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    let claim = bench.take_one(60_000).await;
    bench.begin(&claim, 60_000).await;
    // The run is frozen as due at the beginning of all tests, and this is before it.
    clock_shows(&bench, -5 * HOUR).await;
    assert_eq!(bench.take(-5 * HOUR, 9).await.len(), 2);
}
