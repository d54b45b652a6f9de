//! Receipts: a look that is due is given to one process and comes back later; what the provider
//! said of a message only ever goes forward, and the run is proved all the same.

use jiff::Timestamp;
use sendoff::domain::delivery::DeliveryState::{Delivered, Failed, Read, Sent};
use sendoff::domain::receipt::{DEADLINE, FIRST_LOOK};
use sendoff::ledger::{Confirmed, DeliveryId, Next};

use super::bench::{Bench, LINE_A, at, rows, sent};
use super::proving::assert_proved;
use super::store::Store;

const NONE: [DeliveryId; 0] = [];
/// Well after the first look is due.
const LATER: i64 = 60_000;

async fn due(bench: &Bench, now_ms: i64, most: u32) -> Vec<DeliveryId> {
    let due = bench.ledger.receipts_due(&bench.run, at(now_ms), 7, most);
    due.await.unwrap().into_iter().map(|one| one.id).collect()
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
