//! An operator's word: failed deliveries put back, uncertain ones settled; and what the operator
//! is told: one person's history, who works on a run, what is next.

use sendoff::domain::address::Address;
use sendoff::domain::delivery::DeliveryState::{
    Cancelled, Failed, Pending, Sending, Sent, Skipped, Uncertain,
};
use sendoff::domain::delivery::SkipReason;
use sendoff::domain::history::{DeliveryEvent, RunEvent};
use sendoff::domain::outcome::Class;
use sendoff::domain::run::RunState;
use sendoff::ledger::{
    DeliveryId, LedgerError, NewDelivery, Next, Resolution, Retry, RetryKey, Whom, Worker, Written,
};

use super::bench::{
    Bench, LEASE_MS, LINE_A, LINE_B, at, fixed, owner, pending, phone, record_of, row, rows,
    run_id, sent, skipped,
};
use super::proving::assert_proved;
use super::store::Store;

const ALL: Retry = Retry {
    code: None,
    only: None,
    taken: false,
    key: RetryKey::Same,
};

async fn state(bench: &Bench) -> RunState {
    let record = bench.ledger.run(&bench.run.run).await.unwrap();
    record.unwrap().state
}

async fn retry(bench: &Bench, wanted: Retry, now_ms: i64) -> Vec<(Option<u32>, u64)> {
    let put_back = bench
        .ledger
        .retry(&bench.run.run, &wanted, at(now_ms))
        .await;
    assert_proved(&*bench.ledger, &bench.run.run).await;
    put_back.unwrap()
}

async fn resolve(bench: &Bench, id: DeliveryId, resolution: Resolution, now_ms: i64) -> bool {
    let run = &bench.run.run;
    let done = bench.ledger.resolve(run, id, resolution, at(now_ms)).await;
    assert_proved(&*bench.ledger, run).await;
    done.unwrap()
}

async fn finish(bench: &Bench) {
    let done = bench.ledger.finish_if_done(&bench.run.run, at(50)).await;
    assert!(done.unwrap());
}

pub(super) async fn a_retry_puts_back_what_failed_and_nothing_else(store: &dyn Store) {
    let mut list = rows(1..=4, LINE_A);
    list.push(skipped(5, SkipReason::Filtered));
    let bench = Bench::with(store, list).await;
    for next in [sent(), Next::Failed, Next::Uncertain, Next::Failed] {
        bench.settle_one(0, next).await;
    }
    finish(&bench).await;
    assert_eq!(retry(&bench, ALL, 100).await, [(Some(5000), 2)]);
    let states = [Sent, Pending, Uncertain, Pending, Skipped];
    assert_eq!(bench.states().await, states);
    assert_eq!(state(&bench).await, RunState::Running, "it has work again");
    let row = bench.row(2).await;
    assert_eq!((row.due_at, row.detail, row.code), (at(100), None, None));
    let claim = bench.take_one(100).await;
    assert_eq!((claim.attempt, claim.tries, claim.revision), (1, 0, 0));
    assert_eq!(
        (claim.fixed.clone(), claim.first_attempt_at),
        (Some(fixed("body")), None)
    );
    assert_eq!(claim.unanswered_since, None);
    bench.settle(&claim, 100, sent()).await;
    assert_eq!(retry(&bench, ALL, 200).await, []);
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_revised_retry_has_a_new_key_and_a_new_request(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    bench.settle_one(0, Next::Failed).await;
    bench.settle_one(0, Next::Failed).await;
    let ids = bench.all().await;
    let wanted = Retry {
        only: Some(ids[1].id),
        key: RetryKey::Revised,
        ..ALL
    };
    assert_eq!(retry(&bench, wanted, 100).await, [(Some(5000), 1)]);
    assert_eq!(bench.states().await, [Failed, Pending]);
    let claim = bench.take_one(100).await;
    assert_eq!((claim.row, claim.revision, claim.fixed), (2, 1, None));
}

pub(super) async fn a_retry_by_code_leaves_the_others(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    for code in [Some(1001), Some(4001), None] {
        let claim = bench.take_one(0).await;
        bench.begin(&claim, 0).await;
        let mut record = record_of(&claim, 0, Next::Failed);
        record.failure.as_mut().unwrap().code = code;
        assert_eq!(bench.record(record).await, Written::Done);
    }
    let by_code = |code| Retry {
        code: Some(code),
        ..ALL
    };
    assert_eq!(retry(&bench, by_code(9999), 10).await, []);
    assert_eq!(retry(&bench, by_code(4001), 10).await, [(Some(4001), 1)]);
    assert_eq!(bench.states().await, [Failed, Pending, Failed]);
    assert_eq!(retry(&bench, ALL, 10).await, [(None, 1), (Some(1001), 1)]);
}

pub(super) async fn a_long_list_is_put_back_as_a_whole(store: &dyn Store) {
    let list = (1..=2_500)
        .map(|n| NewDelivery {
            row: n,
            phone: Some(Address::stored(&format!("+1202{:07}", 5_550_000 + n)).unwrap()),
            ..row(1, LINE_A)
        })
        .collect();
    let bench = Bench::with(store, list).await;
    for claim in bench.take(0, 2_500).await {
        bench
            .release(super::bench::release_of(&claim, Some(Next::Failed)))
            .await;
    }
    assert_eq!(retry(&bench, ALL, 10).await, [(Some(5000), 2_500)]);
    assert_eq!(bench.counts().await.of(Pending), 2_500);
}

pub(super) async fn nothing_of_a_cancelled_run_is_put_back(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, Next::Failed).await;
    bench.set_state(RunState::Cancelled).await;
    let refused = bench.ledger.retry(&bench.run.run, &ALL, at(9)).await;
    assert!(
        matches!(refused, Err(LedgerError::BadTransition { .. })),
        "{refused:?}"
    );
    assert_eq!(bench.states().await, [Failed]);
    let none = bench
        .ledger
        .retry(&run_id("nobody@once"), &ALL, at(9))
        .await;
    assert!(matches!(none, Err(LedgerError::NoSuchRun(_))));
}

pub(super) async fn an_uncertain_delivery_is_settled_by_a_persons_word(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    for _ in 0..3 {
        bench.settle_one(7, Next::Uncertain).await;
    }
    finish(&bench).await;
    let all = bench.all().await;
    assert!(resolve(&bench, all[0].id, Resolution::Sent, 100).await);
    assert_eq!(state(&bench).await, RunState::Finished);
    let row = bench.row(1).await;
    assert_eq!((row.state, row.sent_at), (Sent, Some(at(7))));
    assert!(resolve(&bench, all[1].id, Resolution::Unsent, 110).await);
    assert_eq!(state(&bench).await, RunState::Running);
    let claim = bench.take_one(110).await;
    // The key and the request stay: if the person is wrong, they still protect.
    assert_eq!((claim.row, claim.revision, claim.tries), (2, 0, 0));
    assert_eq!(
        (claim.fixed.clone(), claim.unanswered_since),
        (Some(fixed("body")), None)
    );
    bench.settle(&claim, 110, sent()).await;
    for id in [all[0].id, all[1].id, 999] {
        assert!(!resolve(&bench, id, Resolution::Unsent, 120).await);
    }
    assert_eq!(bench.states().await, [Sent, Sent, Uncertain]);
    bench.set_state(RunState::Cancelled).await;
    assert!(resolve(&bench, all[2].id, Resolution::Unsent, 130).await);
    assert_eq!(bench.states().await, [Sent, Sent, Cancelled]);
}

pub(super) async fn a_person_is_found_by_phone_key_or_row(store: &dyn Store) {
    let mut with_key = row(2, LINE_A);
    with_key.recipient_key = Some("C-2".to_owned());
    let mut twice = row(2, LINE_A);
    twice.row = 4;
    let list = vec![
        row(1, LINE_A),
        with_key,
        skipped(3, SkipReason::Filtered),
        twice,
    ];
    Bench::named(store, "winter@once", rows(1..=9, LINE_A)).await;
    let bench = Bench::with(store, list).await;
    let all = bench.all().await;
    let find = async |whom: Whom| {
        let ids = bench.ledger.find(&bench.run.run, &whom).await.unwrap();
        let row = |id| all.iter().find(|one| one.id == id).unwrap().row;
        ids.into_iter().map(row).collect::<Vec<_>>()
    };
    let by_phone = |n| Whom::Person {
        key: None,
        phone: Some(phone(n)),
    };
    let by_key = |key: &str| Whom::Person {
        key: Some(key.to_owned()),
        phone: None,
    };
    assert_eq!(find(by_phone(1)).await, [1]);
    assert_eq!(
        find(by_phone(2)).await,
        [2, 4],
        "the one that is sent comes first"
    );
    assert_eq!(find(by_key("C-2")).await, [2]);
    assert_eq!(find(by_phone(3)).await, [3]);
    assert_eq!(find(by_phone(9)).await, [0; 0]);
    assert_eq!(find(Whom::Row(3)).await, [3]);
    for none in [0, 5, u64::MAX] {
        assert_eq!(find(Whom::Row(none)).await, [0; 0]);
    }
}

pub(super) async fn a_history_tells_everything_in_order(store: &dyn Store) {
    let before = Bench::named(store, "winter@once", rows(1..=1, LINE_A)).await;
    before.settle_one(0, sent()).await;
    let bench = Bench::with(store, vec![row(1, LINE_A), row(2, LINE_B)]).await;
    let ids = bench.all().await;
    let history = async |n: usize| {
        let history = bench.ledger.history(&bench.run.run, ids[n].id).await;
        history.unwrap()
    };
    let untouched = history(1).await;
    assert_eq!(untouched.known_from, None);
    assert_eq!((untouched.attempts.len(), untouched.events.len()), (0, 0));
    bench.settle_one(0, pending(10, 1)).await;
    bench.set_state(RunState::Paused).await;
    bench.set_state(RunState::Running).await;
    let claim = bench.take_one(0).await;
    assert_eq!(claim.row, 2);
    let claim = bench.take_one(10).await;
    bench.begin(&claim, 10).await;
    let on_the_wire = history(0).await;
    assert_eq!(on_the_wire.delivery.state, Sending);
    assert_eq!(
        (on_the_wire.delivery.attempts, on_the_wire.attempts.len()),
        (2, 1)
    );
    assert_eq!(on_the_wire.begun_at, Some(at(10)));
    let held = on_the_wire.held.unwrap();
    assert_eq!(
        (held.owner, held.until),
        (bench.me.clone(), at(10 + LEASE_MS))
    );
    bench.record(record_of(&claim, 10, Next::Failed)).await;
    retry(&bench, ALL, 20).await;
    let told = history(0).await;
    assert_eq!(told.known_from.unwrap().as_str(), "winter@once");
    let classes: Vec<Class> = told.attempts.iter().map(|one| one.class).collect();
    assert_eq!(classes, [Class::Retry, Class::Permanent]);
    assert_eq!(
        told.events[0].what,
        DeliveryEvent::Retried { revise: false }
    );
    assert_eq!((told.events[0].attempt, told.events[0].at), (2, at(20)));
    let run: Vec<_> = told.run_events.into_iter().map(|one| one.what).collect();
    let paused = RunEvent::Paused { reason: None };
    assert_eq!(run, [RunEvent::Started, paused, RunEvent::Resumed]);
}

pub(super) async fn the_first_of_a_state_are_listed(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    for _ in 0..3 {
        bench.settle_one(0, Next::Uncertain).await;
    }
    let run = &bench.run.run;
    let first = bench.ledger.in_state(run, Uncertain, 2).await.unwrap();
    let first: Vec<u64> = first.into_iter().map(|one| one.row).collect();
    assert_eq!(first, [2, 3]);
    assert!(
        bench
            .ledger
            .in_state(run, Failed, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn the_outlook_tells_who_is_there_and_what_is_next(store: &dyn Store) {
    let bench = Bench::with(store, vec![row(1, LINE_A), row(2, LINE_B)]).await;
    let outlook = async || bench.ledger.outlook(&bench.run.run).await.unwrap();
    let alone = outlook().await;
    assert_eq!((alone.present, alone.next_due_at), (vec![], Some(at(0))));
    let worker = Worker::new("web-2", 12, 1);
    let attended = bench.ledger.attend(&bench.me, &worker, Some(&bench.run));
    attended.await.unwrap();
    let present = outlook().await.present;
    assert_eq!((present.len(), &present[0].owner), (1, &bench.me));
    assert_eq!(present[0].since, at(0));
    bench.settle_one(0, pending(500, 1)).await;
    bench.settle_one(0, pending(300, 1)).await;
    assert_eq!(outlook().await.next_due_at, Some(at(300)));
    let claim = bench.take_one(300).await;
    let again = Next::Unanswered {
        again_at: at(900),
        tries: 1,
    };
    bench.settle(&claim, 300, again).await;
    assert_eq!(outlook().await.next_due_at, Some(at(500)));
    bench.settle_one(500, sent()).await;
    assert_eq!(outlook().await.next_due_at, Some(at(900)));
    bench.settle_one(900, sent()).await;
    assert_eq!(outlook().await.next_due_at, None);
    bench.ledger.retire(&bench.me).await.unwrap();
    assert_eq!(outlook().await.present, []);
    let facts = bench.ledger.facts(&bench.run.run, at(0)).await.unwrap();
    assert_eq!(facts.outlook, outlook().await);
    let other = owner("elsewhere");
    bench.ledger.enlist(&other, at(1)).await.unwrap();
    assert_eq!(
        outlook().await.present,
        [],
        "it works on nothing of this run"
    );
}
