//! Events that providers tell by themselves: kept once, handed out until they are handled, and
//! taken out at last; and which delivery a message belongs to.

use sendoff::ledger::{KeptEvent, Ledger, NewEvent, NewRun, Next};

use super::bench::{Bench, LINE_A, at, freeze, new_run, owner, rows};
use super::store::Store;

const GATEWAY: &str = "whatsapp";

fn event<'a>(event_id: &'a str, body: &'a str) -> NewEvent<'a> {
    NewEvent {
        gateway: GATEWAY,
        event_id,
        kind: "message.received",
        body,
    }
}

async fn keep(ledger: &dyn Ledger, event_id: &str, now_ms: i64) -> bool {
    let body = format!("{{\"id\":\"{event_id}\"}}");
    let event = event(event_id, &body);
    ledger.keep_event(&event, at(now_ms)).await.unwrap()
}

async fn waiting(ledger: &dyn Ledger, now_ms: i64) -> Vec<KeptEvent> {
    ledger
        .waiting_events(GATEWAY, at(now_ms), 10)
        .await
        .unwrap()
}

async fn names(ledger: &dyn Ledger, now_ms: i64) -> Vec<String> {
    let waiting = waiting(ledger, now_ms).await;
    waiting.into_iter().map(|one| one.event_id).collect()
}

pub(super) async fn an_event_is_kept_once_whoever_is_told(store: &dyn Store) {
    let (ledger, other) = (store.open().await, store.open().await);
    assert!(keep(&*ledger, "evt_1", 0).await);
    assert!(!keep(&*other, "evt_1", 5).await, "told again");
    let (one, two) = tokio::join!(keep(&*ledger, "evt_2", 6), keep(&*other, "evt_2", 6));
    assert!(one != two, "one of the two has kept it");
    let elsewhere = NewEvent {
        gateway: "sms",
        ..event("evt_1", "{}")
    };
    assert!(ledger.keep_event(&elsewhere, at(7)).await.unwrap());
    let all = waiting(&*other, 10).await;
    let expected = KeptEvent {
        event_id: "evt_1".to_owned(),
        body: "{\"id\":\"evt_1\"}".to_owned(),
        received_at: at(0),
    };
    assert_eq!(all.first(), Some(&expected), "as it came first");
    assert_eq!(all.len(), 2);
    assert_eq!(ledger.events_left(GATEWAY).await.unwrap(), 2);
}

pub(super) async fn an_event_waits_until_it_is_handled(store: &dyn Store) {
    let ledger = store.open().await;
    for (name, ms) in [("evt_1", 0), ("evt_2", 10), ("evt_3", 20)] {
        keep(&*ledger, name, ms).await;
    }
    assert_eq!(names(&*ledger, 30).await, ["evt_1", "evt_2", "evt_3"]);
    let page = ledger.waiting_events(GATEWAY, at(30), 1).await.unwrap();
    assert_eq!(page.len(), 1);
    let handled = async |name| {
        let handled = ledger.event_handled(GATEWAY, name, "done", at(40));
        handled.await.unwrap()
    };
    assert!(handled("evt_1").await);
    assert!(!handled("evt_1").await, "it was handled before");
    assert!(!handled("evt_9").await, "there is none");
    let until = at(60_000);
    ledger.put_off_event(GATEWAY, "evt_2", until).await.unwrap();
    // What a kill leaves behind: another process finds the rest.
    drop(ledger);
    let ledger = store.open().await;
    assert_eq!(names(&*ledger, 50).await, ["evt_3"]);
    assert_eq!(names(&*ledger, 60_000).await, ["evt_3", "evt_2"]);
    assert_eq!(ledger.events_left(GATEWAY).await.unwrap(), 2);
    assert!(!keep(&*ledger, "evt_1", 70_000).await, "it stays known");
}

pub(super) async fn a_clock_that_was_set_back_hides_no_event(store: &dyn Store) {
    let ledger = store.open().await;
    keep(&*ledger, "evt_1", 7_200_000).await;
    assert_eq!(names(&*ledger, 0).await, ["evt_1"]);
    let until = at(9_000_000);
    ledger.put_off_event(GATEWAY, "evt_1", until).await.unwrap();
    assert_eq!(names(&*ledger, 0).await, ["evt_1"]);
}

pub(super) async fn what_was_handled_long_ago_is_taken_out(store: &dyn Store) {
    let ledger = store.open().await;
    for name in ["evt_1", "evt_2", "evt_3"] {
        keep(&*ledger, name, 0).await;
    }
    for (name, ms) in [("evt_1", 100), ("evt_2", 200)] {
        let handled = ledger.event_handled(GATEWAY, name, "done", at(ms)).await;
        assert!(handled.unwrap());
    }
    assert_eq!(ledger.forget_events(at(200)).await.unwrap(), 1);
    assert_eq!(ledger.forget_events(at(200)).await.unwrap(), 0);
    assert_eq!(names(&*ledger, 300).await, ["evt_3"], "what waits stays");
    assert!(keep(&*ledger, "evt_1", 300).await, "told again, it is news");
    assert!(!keep(&*ledger, "evt_2", 300).await);
}

/// A run over a channel, whose first delivery has become `msg_1`.
async fn over_a_channel(store: &dyn Store, gateway: &str, line: &str) -> Bench {
    let ledger = store.open().await;
    let run = NewRun {
        gateway: gateway.to_owned(),
        ..new_run(&format!("{gateway}@once"))
    };
    let run = freeze(&*ledger, &run, rows(1..=2, line)).await;
    let me = owner(gateway);
    ledger.enlist(&me, at(0)).await.unwrap();
    let bench = Bench { ledger, run, me };
    let sent = Next::Sent {
        message_id: Some("msg_1".to_owned()),
        chat_id: Some("conv_1".to_owned()),
    };
    bench.settle_one(0, sent).await;
    bench
}

pub(super) async fn a_message_names_its_delivery(store: &dyn Store) {
    let bench = over_a_channel(store, GATEWAY, "whatsapp").await;
    let other = over_a_channel(store, "sms", "sms").await;
    // A provider with lines names more than the message, and is not looked up so.
    over_a_channel(store, "lined", LINE_A).await;
    let of = async |gateway, message| {
        let found = bench.ledger.delivery_of(gateway, message).await;
        found.unwrap()
    };
    let id = bench.row(1).await.id;
    assert_eq!(
        of(GATEWAY, "msg_1").await,
        Some((bench.run.run.clone(), id))
    );
    let other_id = other.row(1).await.id;
    assert_eq!(
        of("sms", "msg_1").await,
        Some((other.run.run.clone(), other_id))
    );
    assert_eq!(of("lined", "msg_1").await, None);
    assert_eq!(of(GATEWAY, "msg_2").await, None);
    assert_eq!(of("nobody", "msg_1").await, None);
}
