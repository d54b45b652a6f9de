//! Claiming: how much, of what, in which order, and when to ask again.

use std::collections::BTreeMap;

use sendoff::domain::delivery::{DeliveryState, Hold, SkipReason};
use sendoff::domain::run::RunState;
use sendoff::ledger::{Admission, ClaimRequest, Limits, NewDelivery, Next, Written};

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, LINE_B, at, gate, limit, owner, pending, record_of,
    release_of, row, rows, sent,
};
use super::store::Store;

/// Odd rows on one line, even ones on the other.
fn on_two_lines(count: u32) -> Vec<NewDelivery> {
    (1..=count)
        .map(|n| row(n, if n % 2 == 1 { LINE_A } else { LINE_B }))
        .collect()
}

pub(super) async fn a_claim_never_takes_more_than_it_asks_for(store: &dyn Store) {
    let bench = Bench::with(store, on_two_lines(20)).await;
    assert!(bench.take(0, 0).await.is_empty());
    assert_eq!(bench.take(0, 7).await.len(), 7);
    assert_eq!(bench.take(0, 7).await.len(), 7);
    assert_eq!(bench.take(0, 7).await.len(), 6);
    assert!(bench.take(0, 7).await.is_empty());
}

pub(super) async fn lines_with_limits_of_their_own_do_not_add_up_past_the_claim(store: &dyn Store) {
    let bench = Bench::with(store, on_two_lines(40)).await;
    for most in [1, 3] {
        let request = ClaimRequest {
            limits: Limits {
                line: Some(limit("100/s", 10)),
                ..Limits::default()
            },
            ..bench.ask(&bench.me, 0, most)
        };
        let claims = bench.claim(&request).await.claims;
        assert_eq!(claims.len(), usize::try_from(most).unwrap());
    }
}

pub(super) async fn nothing_is_claimed_before_it_is_due(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    bench.settle_one(0, pending(5_000, 1)).await;
    bench.settle_one(0, sent()).await;
    let early = bench.claim(&bench.ask(&bench.me, 4_999, 10)).await;
    assert!(early.claims.is_empty());
    assert_eq!(early.next_at, Some(at(5_000)));
    let claim = bench.take_one(5_000).await;
    assert_eq!((claim.row, claim.attempt, claim.tries), (1, 1, 1));
    assert_eq!(claim.first_attempt_at, Some(at(0)));
}

pub(super) async fn a_busy_line_never_hides_others(store: &dyn Store) {
    // A hundred deliveries of one line are due before the only one of the other.
    let mut list = rows(1..=100, LINE_A);
    list.push(row(101, LINE_B));
    let bench = Bench::with(store, list).await;
    let request = ClaimRequest {
        limits: Limits {
            line: Some(limit("1/s", 1)),
            ..Limits::default()
        },
        ..bench.ask(&bench.me, 0, 50)
    };
    let mut by_line = BTreeMap::new();
    for claim in bench.claim(&request).await.claims {
        *by_line.entry(claim.line).or_insert(0) += 1;
    }
    assert_eq!(by_line[LINE_B], 1);
    assert_eq!(by_line[LINE_A], 2, "now and one second ahead");
}

pub(super) async fn unanswered_attempts_of_a_held_line_do_not_hide_others(store: &dyn Store) {
    let mut list = rows(1..=10, LINE_A);
    list.push(row(11, LINE_B));
    let bench = Bench::with(store, list).await;
    for claim in bench.take(0, 20).await {
        bench.begin(&claim, 0).await;
        let mut record = record_of(
            &claim,
            0,
            Next::Unanswered {
                again_at: at(1_000),
                tries: 1,
            },
        );
        record.gate = (claim.line == LINE_A).then(|| gate(Some(LINE_A), 60_000));
        bench.record(record).await;
    }
    let rows: Vec<u64> = bench.take(1_000, 3).await.iter().map(|c| c.row).collect();
    assert_eq!(rows, [11]);
}

pub(super) async fn unanswered_attempts_come_first_and_say_since_when(store: &dyn Store) {
    let bench = Bench::with(store, on_two_lines(10)).await;
    let first: Vec<_> = bench.take(100, 3).await;
    for claim in &first {
        assert_eq!(claim.unanswered_since, None);
        bench.begin(claim, 100).await;
    }
    // The process is killed here: nothing is recorded.
    let other = owner("other");
    let later = 100 + LEASE_MS;
    assert!(
        bench
            .take_as(&other, later - 1)
            .await
            .iter()
            .all(|claim| claim.unanswered_since.is_none())
    );
    let bench = Bench::named(store, "summer@once", on_two_lines(10)).await;
    for claim in bench.take(100, 3).await {
        bench.begin(&claim, 100).await;
    }
    let second = bench.take(later, 5).await;
    let begun: Vec<bool> = second
        .iter()
        .map(|claim| claim.unanswered_since == Some(at(100)))
        .collect();
    assert_eq!(begun, [true, true, true, false, false]);
    assert!(
        second[..3]
            .iter()
            .all(|c| c.attempt == 1 && c.fixed.is_some())
    );
}

pub(super) async fn gates_are_respected_and_only_ever_extended(store: &dyn Store) {
    let bench = Bench::with(store, on_two_lines(20)).await;
    let close = async |line: Option<&str>, until_ms: i64| {
        let claim = bench.take_one(0).await;
        let mut release = release_of(&claim, None);
        release.gate = Some(gate(line, until_ms));
        assert_eq!(bench.release(release).await, Written::Done);
    };
    close(Some(LINE_A), 5_000).await;
    let lines = |claimed: &[sendoff::ledger::Claim]| -> Vec<String> {
        let mut lines: Vec<String> = claimed.iter().map(|claim| claim.line.clone()).collect();
        lines.dedup();
        lines
    };
    assert_eq!(lines(&bench.take(10, 2).await), [LINE_B]);
    // Shorter waits change nothing; the account's holds every line.
    close(Some(LINE_A), 3_000).await;
    close(None, 7_000).await;
    let request = bench.ask(&bench.me, 4_000, 10);
    let claimed = bench.claim(&request).await;
    assert!(claimed.claims.is_empty());
    assert_eq!(claimed.next_at, Some(at(7_000)));
    let facts = bench.ledger.facts(&bench.run.run, at(4_000)).await.unwrap();
    assert_eq!(facts.gates, [gate(None, 7_000), gate(Some(LINE_A), 5_000)]);
    assert_eq!(facts.gates[0].gateway, GATEWAY);
    assert_eq!(bench.take(7_000, 2).await.len(), 2);
}

pub(super) async fn a_gate_does_not_keep_a_finished_run_open(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, Next::Failed);
    record.gate = Some(gate(None, 86_400_000));
    bench.record(record).await;
    let claimed = bench.claim(&bench.ask(&bench.me, 10, 5)).await;
    assert_eq!(claimed.next_at, None, "nothing is open");
}

pub(super) async fn admission_moves_rows(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    let admit = |candidate: sendoff::ledger::Candidate<'_>| match candidate.phone.expose() {
        "+12005550101" => Admission::Hold {
            until: at(9_000),
            hold: Hold::Window,
        },
        "+12005550102" => Admission::Skip(SkipReason::Expired),
        _ => Admission::Now,
    };
    let request = bench.ask(&bench.me, 0, 10);
    let claimed = bench.ledger.claim(&request, &admit).await.unwrap();
    assert_eq!((claimed.claims.len(), claimed.moved), (2, 2));
    let held = bench.row(1).await;
    assert_eq!((held.hold, held.due_at), (Some(Hold::Window), at(9_000)));
    assert_eq!((held.state, held.attempts), (DeliveryState::Pending, 0));
    let expired = bench.row(2).await;
    assert_eq!(expired.state, DeliveryState::Skipped);
    assert_eq!(expired.reason, Some(SkipReason::Expired));
    assert_eq!(bench.take(9_000, 10).await[0].row, 1);
}

pub(super) async fn only_a_running_run_gives_anything(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    for state in [RunState::Paused, RunState::Halted, RunState::Cancelled] {
        if state == RunState::Halted {
            bench.set_state(RunState::Running).await;
        }
        bench.set_state(state).await;
        let claimed = bench.claim(&bench.ask(&bench.me, 0, 10)).await;
        assert!(claimed.claims.is_empty(), "{state}");
        assert_eq!(claimed.state, state);
    }
}

pub(super) async fn the_next_look_is_when_something_can_be_had(store: &dyn Store) {
    let bench = Bench::with(store, on_two_lines(4)).await;
    let other = owner("other");
    let next_at = async |now_ms: i64, most: u32| {
        let request = bench.ask(&bench.me, now_ms, most);
        bench.claim(&request).await.next_at
    };
    assert_eq!(bench.take_as(&other, 0).await.len(), 4);
    assert_eq!(next_at(500, 9).await, Some(at(LEASE_MS)), "leases end");
    let paced = ClaimRequest {
        limits: Limits {
            account: limit("6/m", 1).into(),
            ..Limits::default()
        },
        ..bench.ask(&bench.me, LEASE_MS, 9)
    };
    let claimed = bench.claim(&paced).await;
    assert_eq!(claimed.claims.len(), 1);
    assert_eq!(
        claimed.next_at,
        Some(at(LEASE_MS + 9_250)),
        "three quarters of a horizon before the next slot"
    );
    bench.begin(&claimed.claims[0], LEASE_MS).await;
    let rest = bench.take(LEASE_MS, 9).await;
    for claim in &rest {
        bench.release(release_of(claim, Some(Next::Failed))).await;
    }
    assert_eq!(
        next_at(LEASE_MS, 9).await,
        Some(at(2 * LEASE_MS)),
        "the attempt on the wire"
    );
    bench
        .record(record_of(&claimed.claims[0], LEASE_MS, sent()))
        .await;
    assert_eq!(next_at(LEASE_MS, 9).await, None);
}
