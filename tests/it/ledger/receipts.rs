//! Receipts: a look that is due is given to one process and comes back later; what the provider
//! said of a message only ever goes forward, and the run is proved all the same.

use jiff::Timestamp;
use sendoff::domain::delivery::DeliveryState::Pending;
use sendoff::domain::delivery::DeliveryState::{Delivered, Failed, Read, Sent};
use sendoff::domain::history::DeliveryEvent;
use sendoff::domain::pace::Limit;
use sendoff::domain::receipt::{DEADLINE, FIRST_LOOK};
use sendoff::ledger::{
    Confirmed, DeliveryId, GivenUp, Limits, LookRequest, Looks, Next, NextLook, Retry, RetryKey,
};

use super::bench::{Bench, LINE_A, at, failure, gate, limit, rows, sent};
use super::proving::assert_proved;
use super::store::Store;

const NONE: [DeliveryId; 0] = [];
/// Well after the first look is due.
const LATER: i64 = 60_000;

async fn looks(bench: &Bench, now_ms: i64, most: u32, account: Option<Limit>) -> Looks {
    let request = LookRequest {
        run: &bench.run,
        now: at(now_ms),
        due_by: at(now_ms),
        jitter: 7,
        most,
        account: account.into(),
    };
    bench.ledger.looks(&request).await.unwrap()
}

async fn due(bench: &Bench, now_ms: i64, most: u32) -> Vec<DeliveryId> {
    let looks = looks(bench, now_ms, most, None).await;
    looks.due.into_iter().map(|one| one.id).collect()
}

/// The provider says that it gave up the message that the delivery stands with.
async fn give_up(bench: &Bench, id: DeliveryId, now_ms: i64) -> bool {
    let given_up = GivenUp {
        id,
        message_id: "msg-1".to_owned(),
        failure: failure("not deliverable"),
    };
    let kept = bench.ledger.keep_failure(&bench.run, &given_up, at(now_ms));
    let kept = kept.await.unwrap();
    assert_proved(&*bench.ledger, &bench.run.run).await;
    kept
}

async fn keep(bench: &Bench, id: DeliveryId, delivered: Option<i64>, read: Option<i64>) -> bool {
    let confirmed = Confirmed {
        id,
        message_id: "msg-1".to_owned(),
        delivered_at: delivered.map(at),
        read_at: read.map(at),
    };
    let kept = bench.ledger.keep_receipt(&bench.run, &confirmed).await;
    assert_proved(&*bench.ledger, &bench.run.run).await;
    kept.unwrap()
}

pub(super) async fn a_look_that_is_due_is_given_once_and_comes_back_later(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    for next in [sent(), sent(), Next::Failed, sent()] {
        bench.settle_one(0, next).await;
    }
    let all: Vec<DeliveryId> = bench.all().await.iter().map(|row| row.id).collect();
    assert_eq!(due(&bench, 5_000, 9).await, NONE, "too early");
    let (first, second) = tokio::join!(due(&bench, LATER, 2), due(&bench, LATER, 2));
    let mut both = [first, second].concat();
    both.extend(due(&bench, LATER, 9).await);
    both.sort_unstable();
    assert_eq!(
        both,
        [all[0], all[1], all[3]],
        "each once, and what failed never"
    );
    let soon = LATER + i64::try_from(FIRST_LOOK.as_millis()).unwrap();
    assert_eq!(due(&bench, soon, 9).await, NONE, "the pause has grown");
    assert_eq!(due(&bench, 3 * LATER, 9).await.len(), 3);
    let end = i64::try_from(DEADLINE.as_millis()).unwrap() + LATER;
    assert_eq!(due(&bench, end, 9).await.len(), 3, "once more at the end");
    assert_eq!(due(&bench, 2 * end, 9).await, NONE, "and then no more");
    let looks = looks(&bench, 2 * end, 9, None).await;
    assert_eq!(looks.next, NextLook::Never);
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_receipt_only_goes_forward(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    for next in [sent(), sent(), Next::Failed] {
        bench.settle_one(0, next).await;
    }
    let ids: Vec<DeliveryId> = bench.all().await.iter().map(|row| row.id).collect();
    assert!(keep(&bench, ids[0], Some(2_000), None).await);
    assert!(
        !keep(&bench, ids[0], Some(3_000), None).await,
        "known already"
    );
    assert_eq!(bench.states().await, [Delivered, Sent, Failed]);
    assert!(keep(&bench, ids[0], Some(4_000), Some(5_000)).await);
    assert!(
        !keep(&bench, ids[0], Some(2_000), None).await,
        "never backwards"
    );
    assert!(
        !keep(&bench, ids[0], None, Some(9_000)).await,
        "opened once"
    );
    let row = bench.row(1).await;
    let times: [Option<Timestamp>; 2] = [row.delivered_at, row.read_at];
    assert_eq!(
        times,
        [Some(at(2_000)), Some(at(5_000))],
        "the first word counts"
    );
    assert!(
        keep(&bench, ids[1], None, Some(6_000)).await,
        "opened at once"
    );
    assert!(!keep(&bench, ids[2], Some(2_000), None).await, "never sent");
    assert_eq!(bench.states().await, [Read, Read, Failed]);
    assert_eq!(
        due(&bench, LATER, 9).await,
        NONE,
        "nothing is left to be seen"
    );
}

pub(super) async fn a_receipt_of_another_message_changes_nothing(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    let confirmed = Confirmed {
        id: bench.row(1).await.id,
        message_id: "another".to_owned(),
        delivered_at: Some(at(2_000)),
        read_at: None,
    };
    let kept = bench.ledger.keep_receipt(&bench.run, &confirmed).await;
    assert!(!kept.unwrap());
    assert_eq!(bench.states().await, [Sent]);
}

pub(super) async fn looks_take_only_slots_that_messages_leave_free(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=40, LINE_A)).await;
    for _ in 0..20 {
        bench.settle_one(0, sent()).await;
    }
    // Ten a second: the messages of the next second have reserved everything.
    let account = limit("10/s", 1);
    let mut request = bench.ask(&bench.me, LATER, 100);
    request.limits = Limits {
        account: account.into(),
        ..Limits::default()
    };
    let claimed = bench.claim(&request).await.claims;
    assert_eq!(claimed.len(), 11, "the rate of a second, and one now");
    let busy = looks(&bench, LATER, 9, Some(account)).await;
    assert_eq!(busy.due, [], "messages go first");
    let free_at = LATER + 1_100;
    assert_eq!(busy.next, NextLook::Room(at(free_at)));
    let early = looks(&bench, free_at - 1, 9, Some(account)).await;
    assert_eq!(early.due, []);
    // Two processes at the same moment: one slot, one look.
    let (one, other) = tokio::join!(
        looks(&bench, free_at, 9, Some(account)),
        looks(&bench, free_at, 9, Some(account)),
    );
    assert_eq!(one.due.len() + other.due.len(), 1);
    // And a message that comes now waits for its interval, as after a message.
    let mut request = bench.ask(&bench.me, free_at, 1);
    request.limits.account = account.into();
    let claimed = bench.claim(&request).await.claims;
    assert_eq!(claimed[0].slot_us, at(free_at + 100).as_microsecond());
}

pub(super) async fn looks_wait_while_the_whole_account_has_to(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    bench
        .ledger
        .hold(&gate(Some(LINE_A), 90_000), at(0))
        .await
        .unwrap();
    bench
        .ledger
        .hold(&gate(None, LATER + 500), at(0))
        .await
        .unwrap();
    let closed = looks(&bench, LATER, 9, None).await;
    assert_eq!(closed.due, []);
    assert_eq!(closed.next, NextLook::Gate(at(LATER + 500)));
    // A line that has to wait is no reason not to ask.
    assert_eq!(due(&bench, LATER + 500, 9).await.len(), 1);
}

pub(super) async fn what_fails_after_it_was_taken_is_told_and_proved(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    for next in [sent(), sent(), sent(), Next::Failed] {
        bench.settle_one(0, next).await;
    }
    let ids: Vec<DeliveryId> = bench.all().await.iter().map(|row| row.id).collect();
    assert!(keep(&bench, ids[1], Some(2_000), None).await);
    assert!(keep(&bench, ids[2], Some(2_000), Some(3_000)).await);
    assert!(give_up(&bench, ids[0], LATER).await);
    assert!(!give_up(&bench, ids[0], LATER).await, "known already");
    for arrived in [ids[1], ids[2], ids[3]] {
        assert!(!give_up(&bench, arrived, LATER).await, "nothing is erased");
    }
    assert!(
        !keep(&bench, ids[0], Some(9_000), None).await,
        "failed for good"
    );
    assert_eq!(bench.states().await, [Failed, Delivered, Read, Failed]);
    assert_eq!(bench.counts().await.of(Failed), 2);
    let row = bench.row(1).await;
    assert_eq!(
        (row.code, row.detail.as_deref()),
        (Some(5000), Some("not deliverable"))
    );
    assert_eq!(
        row.message_id.as_deref(),
        Some("msg-1"),
        "that it was taken stays known"
    );
    assert!(row.sent_at.is_some());
    let told = bench.ledger.history(&bench.run.run, ids[0]).await.unwrap();
    let what: Vec<_> = told.events.into_iter().map(|event| event.what).collect();
    let later = DeliveryEvent::FailedLater {
        code: Some(5000),
        text: "not deliverable".to_owned(),
    };
    assert_eq!(what, [later]);
    assert_eq!(
        due(&bench, 2 * LATER, 9).await,
        [ids[1]],
        "nobody asks again"
    );
}

pub(super) async fn what_failed_later_is_put_back_only_when_that_is_asked_for(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    bench.settle_one(0, Next::Failed).await;
    let id = bench.row(1).await.id;
    assert!(give_up(&bench, id, LATER).await);
    let all = Retry {
        code: None,
        only: None,
        taken: false,
        key: RetryKey::Same,
    };
    let (ledger, run) = (&bench.ledger, &bench.run.run);
    let named = Retry {
        only: Some(id),
        ..all
    };
    assert_eq!(ledger.retry(run, &named, at(LATER)).await.unwrap(), []);
    let put_back = ledger.retry(run, &all, at(LATER)).await.unwrap();
    assert_eq!(put_back, [(Some(5000), 1)], "the one that was never taken");
    assert_eq!(bench.states().await, [Failed, Pending]);
    let taken = Retry { taken: true, ..all };
    let put_back = ledger.retry(run, &taken, at(LATER)).await.unwrap();
    assert_eq!(put_back, [(Some(5000), 1)]);
    assert_proved(&**ledger, run).await;
    let row = bench.row(1).await;
    assert_eq!((row.state, row.revision), (Pending, 1), "with a new key");
    assert_eq!((row.message_id, row.sent_at), (None, None));
    // Sent anew, it is looked at anew.
    for _ in 0..2 {
        bench.settle_one(LATER, sent()).await;
    }
    assert_eq!(due(&bench, LATER + 5_000, 9).await, NONE);
    assert_eq!(due(&bench, 2 * LATER, 9).await.len(), 2);
    assert_proved(&**ledger, run).await;
}

pub(super) async fn what_nobody_confirmed_until_the_deadline_is_a_count(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    for next in [sent(), sent(), Next::Failed, sent()] {
        bench.settle_one(0, next).await;
    }
    let end = i64::try_from(DEADLINE.as_millis()).unwrap() + LATER;
    assert_eq!(bench.counts().await.no_confirmation(), 0);
    assert_eq!(due(&bench, end - 2 * LATER, 9).await.len(), 3);
    assert_eq!(
        bench.counts().await.no_confirmation(),
        0,
        "there is time left"
    );
    assert!(keep(&bench, bench.row(1).await.id, Some(2_000), None).await);
    assert_eq!(due(&bench, end, 9).await.len(), 3, "the last look");
    let counts = bench.counts().await;
    assert_eq!((counts.no_confirmation(), counts.of(Sent)), (2, 2));
    let runs = bench.ledger.runs().await.unwrap();
    assert_eq!(runs[0].1, counts, "the same at a glance");
    let marked: Vec<bool> = bench
        .all()
        .await
        .iter()
        .map(|row| row.no_confirmation)
        .collect();
    assert_eq!(marked, [false, true, false, true]);
    // A receipt that comes after all counts.
    assert!(keep(&bench, bench.row(2).await.id, None, Some(end)).await);
    assert_eq!(bench.counts().await.no_confirmation(), 1);
}
