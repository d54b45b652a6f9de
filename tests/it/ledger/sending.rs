//! Beginning and recording attempts: what a late or second worker may change, which is nothing.

use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::run::RunState;
use sendoff::ledger::{Begin, Next, Write, Written};

use super::bench::{
    Bench, LEASE_MS, LINE_A, at, begin_of, chat, owner, pending, record_of, rows, sent, settle_of,
    uncertain,
};
use super::store::Store;

fn begin(begin: Begin) -> Write {
    Write::Begin(Box::new(begin))
}

pub(super) async fn begin_is_fenced_by_attempt(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    assert_eq!(bench.begin(&claim, 1).await, Written::Done);
    assert_eq!(bench.begin(&claim, 2).await, Written::Late);
    let row = bench.row(1).await;
    assert_eq!((row.state, row.attempts), (DeliveryState::Sending, 1));
    bench.record(record_of(&claim, 1, sent())).await;
    assert_eq!(bench.begin(&claim, 3).await, Written::Late);
    assert_eq!(bench.row(1).await.state, DeliveryState::Sent);
}

pub(super) async fn two_begins_in_one_group_begin_once(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claims = bench.take(0, 2).await;
    let group: Vec<Write> = [0, 1, 0]
        .map(|n| begin(begin_of(&claims[n], 1)))
        .into_iter()
        .collect();
    let written = bench.ledger.write(&bench.me, &group).await.unwrap();
    assert_eq!(written, [Written::Done, Written::Done, Written::Late]);
    assert_eq!(bench.row(1).await.attempts, 1);
}

pub(super) async fn a_claim_that_another_took_over_cannot_begin(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let mine = bench.take_one(0).await;
    let other = owner("other");
    let theirs = bench.take_as(&other, LEASE_MS).await.remove(0);
    assert_eq!(bench.begin(&mine, LEASE_MS).await, Written::Late);
    let theirs = begin(begin_of(&theirs, LEASE_MS));
    assert_eq!(bench.write_as(&other, theirs).await, Written::Done);
}

pub(super) async fn what_was_cancelled_or_paused_cannot_begin(store: &dyn Store) {
    for state in [RunState::Cancelled, RunState::Paused, RunState::Halted] {
        let bench = Bench::named(store, &format!("{state}@once"), rows(1..=2, LINE_A)).await;
        let first = bench.take_one(0).await;
        bench.begin(&first, 0).await;
        let again = Next::Unanswered {
            again_at: at(10),
            tries: 1,
        };
        bench.record(record_of(&first, 0, again)).await;
        let claims = bench.take(10, 2).await;
        assert_eq!(claims.len(), 2);
        bench.set_state(state).await;
        for claim in &claims {
            assert_eq!(bench.begin(claim, 20).await, Written::Late, "{state}");
        }
        let attempts: Vec<u32> = bench.all().await.iter().map(|row| row.attempts).collect();
        assert_eq!(attempts, [1, 0]);
    }
}

pub(super) async fn a_pause_between_claim_and_begin_gives_the_claim_back(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.set_state(RunState::Paused).await;
    assert_eq!(bench.begin(&claim, 20).await, Written::Late);
    bench.set_state(RunState::Running).await;
    assert_eq!(bench.take_as(&owner("other"), 30).await.len(), 1);
}

pub(super) async fn changes_of_one_delivery_happen_in_the_order_of_the_group(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claims = bench.take(0, 2).await;
    let mut group: Vec<Write> = Vec::new();
    for claim in &claims {
        group.push(begin(begin_of(claim, 1)));
        group.push(Write::Record(Box::new(record_of(claim, 1, sent()))));
        group.push(Write::Record(Box::new(record_of(claim, 1, Next::Failed))));
    }
    let written = bench.ledger.write(&bench.me, &group).await.unwrap();
    let each = [Written::Done, Written::Done, Written::Late];
    assert_eq!(written, [each, each].concat());
    assert_eq!(bench.states().await, [DeliveryState::Sent; 2]);
    let kept = store.attempts(claims[0].id).await;
    assert_eq!(kept[0].in_short(), (1, "accepted", false));
}

pub(super) async fn an_outcome_counts_only_for_its_own_attempt(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    let early = bench.record(record_of(&claim, 0, sent())).await;
    assert_eq!(early, Written::Late, "nothing has begun");
    bench.begin(&claim, 0).await;
    let mut other = record_of(&claim, 0, sent());
    other.attempt = 2;
    assert_eq!(bench.record(other).await, Written::Late);
    assert_eq!(bench.row(1).await.state, DeliveryState::Sending);
    let done = bench.record(record_of(&claim, 0, sent())).await;
    assert_eq!(done, Written::Done);
    let row = bench.row(1).await;
    assert_eq!(row.message_id.as_deref(), Some("msg-1"));
    assert_eq!(row.chat_id.as_deref(), Some("chat-1"));
    assert_eq!(row.sent_at, Some(at(5)));
}

pub(super) async fn a_late_outcome_is_kept_and_changes_nothing(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let first = bench.take_one(0).await;
    bench.begin(&first, 0).await;
    let second = bench.take_one(LEASE_MS).await;
    bench.begin(&second, LEASE_MS).await;
    let mut late = record_of(&first, 0, Next::Failed);
    late.chat = Some(chat(1, "chat-7", LINE_A));
    assert_eq!(bench.record(late).await, Written::Late);
    let row = bench.row(1).await;
    assert_eq!((row.state, row.detail), (DeliveryState::Sending, None));
    bench.record(record_of(&second, LEASE_MS, sent())).await;
    let kept = store.attempts(first.id).await;
    assert_eq!(kept[0].in_short(), (1, "permanent", true));
    assert_eq!(kept[0].text.as_deref(), Some("refused"));
    assert_eq!(kept[1].in_short(), (2, "accepted", false));
}

pub(super) async fn a_known_outcome_is_never_overwritten(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.settle(&claim, 0, sent()).await;
    let again = record_of(&claim, 50, Next::Failed);
    assert_eq!(bench.record(again).await, Written::Late);
    let kept = store.attempts(claim.id).await;
    assert_eq!(kept[0].in_short(), (1, "accepted", false));
    // What nobody knew may still be learnt.
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let doubt = bench.take_one(LEASE_MS).await;
    let settle = Write::Settle(Box::new(settle_of(&doubt, LEASE_MS, uncertain())));
    assert_eq!(bench.write_as(&bench.me, settle).await, Written::Done);
    let answer = bench.record(record_of(&claim, 50, sent())).await;
    assert_eq!(answer, Written::Late);
    assert_eq!(bench.row(2).await.state, DeliveryState::Uncertain);
    let kept = store.attempts(claim.id).await;
    assert_eq!(kept[0].in_short(), (1, "accepted", true));
}

pub(super) async fn a_lost_attempt_is_kept(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let claim = bench.take_one(LEASE_MS).await;
    bench.begin(&claim, LEASE_MS).await;
    bench
        .record(record_of(&claim, LEASE_MS, pending(LEASE_MS + 9, 1)))
        .await;
    let kept = store.attempts(claim.id).await;
    assert_eq!(kept[0].in_short(), (1, "lost", false));
    assert_eq!(kept[0].ended_at, None);
    assert_eq!(kept[1].in_short(), (2, "retry", false));
}

pub(super) async fn a_stale_begin_loses_nobodys_attempt(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let stale = bench.take_one(0).await;
    let other = owner("other");
    let theirs = bench.take_as(&other, LEASE_MS).await.remove(0);
    assert_eq!(theirs.id, stale.id);
    let on_the_wire = begin(begin_of(&theirs, LEASE_MS));
    bench.write_as(&other, on_the_wire).await;
    let mut wrong = begin_of(&stale, LEASE_MS);
    wrong.expected_attempt = 7;
    assert_eq!(bench.write_as(&bench.me, begin(wrong)).await, Written::Late);
    assert!(store.attempts(stale.id).await.is_empty());
    let record = Write::Record(Box::new(record_of(&theirs, LEASE_MS, sent())));
    assert_eq!(bench.write_as(&other, record).await, Written::Done);
    let kept = store.attempts(stale.id).await;
    assert_eq!(kept[0].in_short(), (1, "accepted", false));
}
