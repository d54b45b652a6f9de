//! Where a delivery goes after an attempt, a release or a cancellation.

use sendoff::domain::delivery::DeliveryState::{
    Cancelled, Failed, Pending, Sending, Sent, Uncertain,
};
use sendoff::domain::delivery::Hold;
use sendoff::domain::run::RunState;
use sendoff::ledger::{Next, Write, Written};

use super::bench::{
    Bench, LINE_A, LINE_B, at, begin_of, chat, failure, fixed, owner, pending, record_of,
    release_of, rows, sent,
};
use super::store::{Attempt, Store};

pub(super) async fn an_unanswered_attempt_stays_on_the_wire_and_comes_back(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let again = Next::Unanswered {
        again_at: at(4_000),
        tries: 1,
    };
    bench.settle_one(0, again).await;
    let row = bench.row(1).await;
    assert_eq!(row.state, Sending, "it may have been sent");
    let early = bench.claim(&bench.ask(&bench.me, 3_999, 5)).await;
    assert!(early.claims.is_empty());
    assert_eq!(early.next_at, Some(at(4_000)));
    let claim = bench.take_one(4_000).await;
    assert_eq!(claim.unanswered_since, Some(at(0)));
    assert_eq!((claim.attempt, claim.tries, claim.revision), (1, 1, 0));
    bench.begin(&claim, 4_000).await;
    bench.record(record_of(&claim, 4_000, sent())).await;
    let kept = store.attempts(claim.id).await;
    let kept: Vec<_> = kept.iter().map(Attempt::in_short).collect();
    assert_eq!(kept, [(1, "uncertain", false), (2, "accepted", false)]);
}

pub(super) async fn a_body_that_changes_raises_the_revision(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let anew = Next::Pending {
        due_at: at(10),
        hold: Hold::Retry,
        tries: 1,
        anew: true,
    };
    bench.settle_one(0, anew).await;
    let claim = bench.take_one(10).await;
    assert_eq!((claim.revision, claim.fixed), (1, None));
    assert_eq!(bench.row(1).await.revision, 1);
}

pub(super) async fn what_was_fixed_comes_back_to_the_letter(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, pending(10, 1)).await;
    let claim = bench.take_one(10).await;
    assert_eq!(claim.fixed, Some(fixed("body")));
    assert_eq!((claim.revision, claim.tries), (0, 1));
    let row = bench.row(1).await;
    assert_eq!((row.code, row.hold), (Some(5000), Some(Hold::Retry)));
    assert_eq!(row.detail.as_deref(), Some("later"));
}

pub(super) async fn sent_remembers_the_chat_and_the_first_line_stays(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    assert_eq!(bench.take_one(0).await.chat, None);
    let claim = bench.take_one(super::bench::LEASE_MS).await;
    bench.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, sent());
    record.chat = Some(chat(1, "chat-1", LINE_A));
    bench.record(record).await;
    let next = Bench::named(store, "summer@once", rows(1..=1, LINE_B)).await;
    let claim = next.take_one(0).await;
    let known = claim.chat.clone().unwrap();
    assert_eq!(
        (known.chat_id.as_str(), known.line.as_str()),
        ("chat-1", LINE_A)
    );
    next.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, sent());
    record.chat = Some(chat(1, "chat-2", LINE_B));
    next.record(record).await;
    let last = Bench::named(store, "autumn@once", rows(1..=1, LINE_A)).await;
    let known = last.take_one(0).await.chat.unwrap();
    assert_eq!(
        (known.chat_id.as_str(), known.line.as_str()),
        ("chat-2", LINE_A)
    );
}

pub(super) async fn a_release_burns_no_attempt(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let claims = bench.take(0, 3).await;
    let nexts = [None, Some(pending(7_000, 2)), Some(Next::Failed)];
    for (claim, next) in claims.iter().zip(nexts) {
        assert_eq!(bench.release(release_of(claim, next)).await, Written::Done);
    }
    let all = bench.all().await;
    assert!(all.iter().all(|row| row.attempts == 0));
    assert_eq!(bench.states().await, [Pending, Pending, Failed]);
    assert_eq!((all[1].due_at, all[1].hold), (at(7_000), Some(Hold::Retry)));
    assert_eq!(all[2].detail.as_deref(), Some("not now"));
    let now: Vec<u64> = bench.take(1, 9).await.iter().map(|c| c.row).collect();
    assert_eq!(now, [1]);
    let later = bench.take(7_000, 9).await;
    assert_eq!((later[0].row, later[0].tries, later[0].attempt), (2, 2, 0));
}

pub(super) async fn a_release_leaves_it_as_it_was(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, pending(10, 1)).await;
    let before = format!("{:?}", bench.row(1).await);
    let claim = bench.take_one(10).await;
    bench.release(release_of(&claim, None)).await;
    assert_eq!(format!("{:?}", bench.row(1).await), before);
}

pub(super) async fn only_the_holder_can_give_back(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    let release = Write::Release(Box::new(release_of(&claim, Some(Next::Failed))));
    let by_another = bench.write_as(&owner("other"), release.clone()).await;
    assert_eq!(by_another, Written::Late);
    bench.begin(&claim, 0).await;
    let too_late = bench.write_as(&bench.me, release).await;
    assert_eq!(too_late, Written::Late);
    assert_eq!(bench.states().await, [Sending]);
}

pub(super) async fn cancelling_stops_what_is_not_on_the_wire(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    let claims = bench.take(0, 2).await;
    bench.begin(&claims[0], 0).await;
    bench.set_state(RunState::Cancelled).await;
    assert_eq!(bench.states().await, [Sent, Sending, Cancelled, Cancelled]);
    assert_eq!(bench.begin(&claims[1], 1).await, Written::Late);
    let release = bench.release(release_of(&claims[1], None)).await;
    assert_eq!(release, Written::Late);
    let record = bench.record(record_of(&claims[0], 0, sent())).await;
    assert_eq!(
        record,
        Written::Done,
        "what is on the wire comes to its end"
    );
    assert_eq!(bench.states().await, [Sent, Sent, Cancelled, Cancelled]);
}

pub(super) async fn nothing_stays_open_in_a_cancelled_run(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claims = bench.take(0, 2).await;
    for claim in &claims {
        let begin = Write::Begin(Box::new(begin_of(claim, 0)));
        bench.write_as(&bench.me, begin).await;
    }
    bench.set_state(RunState::Cancelled).await;
    bench.record(record_of(&claims[0], 0, pending(9, 1))).await;
    let again = Next::Unanswered {
        again_at: at(9),
        tries: 1,
    };
    bench.record(record_of(&claims[1], 0, again)).await;
    assert_eq!(bench.states().await, [Cancelled, Uncertain]);
    assert_eq!(bench.row(2).await.detail, Some(failure("no answer").text));
}
