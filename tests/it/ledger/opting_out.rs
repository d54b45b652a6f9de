//! Opting out: who is not written to from which moment on, whatever was claimed before, on every
//! gateway and by every process.

use std::sync::Arc;

use sendoff::domain::delivery::{DeliveryState, SkipReason};
use sendoff::domain::history::DeliveryEvent;
use sendoff::domain::opt_out::Source;
use sendoff::ledger::{
    Arrival, Ledger, NewReply, NewRun, NewSuppression, Next, Suppressing, Write, Written,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, at, begin_of, freeze, gate, new_run, owner, pending, phone,
    record_of, row, rows, sent,
};
use super::proving::assert_proved;
use super::store::Store;

pub(super) fn by_operator(person: u32) -> NewSuppression {
    NewSuppression {
        phone: phone(person),
        source: Source::Operator,
        reason: Some("asked at the counter".to_owned()),
        at: None,
    }
}

pub(super) fn reply(person: u32, text: &str, ms: i64) -> NewReply {
    NewReply {
        event_id: format!("evt-{person}-{ms}-{text}"),
        gateway: GATEWAY.to_owned(),
        phone: phone(person),
        channel: None,
        line: LINE_A.to_owned(),
        chat_id: Some(format!("ch-{person}")),
        text: text.to_owned(),
        at: at(ms),
    }
}

pub(super) async fn suppress(ledger: &dyn Ledger, one: NewSuppression, now_ms: i64) -> Suppressing {
    ledger.suppress(&[one], at(now_ms)).await.unwrap()[0]
}

pub(super) async fn says(ledger: &dyn Ledger, person: u32, text: &str, ms: i64) {
    let kept = ledger.keep_reply(&reply(person, text, ms), at(ms)).await;
    assert_eq!(kept.unwrap().arrival, Arrival::New);
}

/// The events of a delivery.
async fn story(bench: &Bench, number: u64) -> Vec<DeliveryEvent> {
    let id = bench.row(number).await.id;
    let history = bench.ledger.history(&bench.run.run, id).await.unwrap();
    history.events.into_iter().map(|event| event.what).collect()
}

pub(super) async fn a_claim_leaves_out_who_has_opted_out(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=4, LINE_A)).await;
    says(&*bench.ledger, 2, "STOP", 1).await;
    suppress(&*bench.ledger, by_operator(3), 2).await;
    let claimed = bench.claim(&bench.ask(&bench.me, 10, 10)).await;
    let rows: Vec<u64> = claimed.claims.iter().map(|claim| claim.row).collect();
    assert_eq!((rows, claimed.moved), (vec![1, 4], 2));
    let two = bench.row(2).await;
    assert_eq!(two.state, DeliveryState::Skipped);
    assert_eq!(two.reason, Some(SkipReason::OptedOut));
    let detail = two.detail.unwrap();
    assert!(detail.starts_with("said STOP on 2026-"), "{detail}");
    let detail = bench.row(3).await.detail.unwrap();
    assert!(detail.contains("asked at the counter"), "{detail}");
    assert_eq!(
        story(&bench, 3).await,
        [DeliveryEvent::Skipped {
            reason: SkipReason::OptedOut,
            detail: Some(detail),
        }]
    );
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn an_attempt_does_not_begin_after_an_opt_out(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let claims = bench.take(0, 3).await;
    // Another process hears it after the claim.
    let other = store.open().await;
    says(&*other, 2, "stop", 1).await;
    let group: Vec<Write> = claims
        .iter()
        .map(|claim| Write::Begin(Box::new(begin_of(claim, 5))))
        .collect();
    let written = bench.ledger.write(&bench.me, &group).await.unwrap();
    assert_eq!(written, [Written::Done, Written::LeftOut, Written::Done]);
    let row = bench.row(2).await;
    let stands = (row.state, row.attempts, row.reason);
    assert_eq!(
        stands,
        (DeliveryState::Skipped, 0, Some(SkipReason::OptedOut))
    );
    assert_eq!(story(&bench, 2).await.len(), 1);
    assert_proved(&*bench.ledger, &bench.run.run).await;
    // Nobody finds it again, and the run can end.
    for claim in [&claims[0], &claims[2]] {
        bench.record(record_of(claim, 5, sent())).await;
    }
    let run = &bench.run.run;
    assert!(bench.ledger.finish_if_done(run, at(9)).await.unwrap());
}

pub(super) async fn a_closed_gate_does_not_hide_an_opt_out(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claims = bench.take(0, 2).await;
    bench.begin(&claims[0], 0).await;
    says(&*bench.ledger, 2, "stop", 1).await;
    let mut record = record_of(&claims[0], 0, pending(9_000, 0));
    record.gate = Some(gate(None, 9_000));
    bench.record(record).await;
    assert_eq!(bench.begin(&claims[1], 2).await, Written::LeftOut);
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn what_is_on_the_wire_is_settled_as_always(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let claims = bench.take(0, 3).await;
    for claim in &claims {
        assert_eq!(bench.begin(claim, 0).await, Written::Done);
    }
    for person in 1..=3 {
        says(&*bench.ledger, person, "STOP", 1).await;
    }
    // One has its answer, one is refused for now, one is asked for again with the same key.
    bench.record(record_of(&claims[0], 0, sent())).await;
    bench.record(record_of(&claims[1], 0, pending(50, 1))).await;
    let again = bench.take(LEASE_MS + 1, 5).await;
    let rows: Vec<u64> = again.iter().map(|claim| claim.row).collect();
    assert_eq!(rows, [3], "the doubt alone");
    assert!(again[0].unanswered_since.is_some());
    assert_eq!(bench.begin(&again[0], LEASE_MS + 1).await, Written::Done);
    let next = record_of(&again[0], LEASE_MS + 1, sent());
    assert_eq!(bench.record(next).await, Written::Done);
    let states = [
        DeliveryState::Sent,
        DeliveryState::Skipped,
        DeliveryState::Sent,
    ];
    assert_eq!(bench.states().await, states);
    assert_eq!(bench.row(2).await.attempts, 1);
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_stale_begin_leaves_nobody_out(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let stale = bench.take_one(0).await;
    let other = owner("other");
    bench.ledger.enlist(&other, at(0)).await.unwrap();
    let taken = bench.take_as(&other, LEASE_MS + 1).await;
    says(&*bench.ledger, 1, "STOP", 1).await;
    assert_eq!(bench.begin(&stale, LEASE_MS + 2).await, Written::Late);
    assert_eq!(bench.row(1).await.state, DeliveryState::Pending);
    let begin = Write::Begin(Box::new(begin_of(&taken[0], LEASE_MS + 2)));
    assert_eq!(bench.write_as(&other, begin).await, Written::LeftOut);
}

pub(super) async fn an_opt_out_holds_on_every_gateway_and_run(store: &dyn Store) {
    let spring = Bench::named(store, "spring@once", rows(1..=2, LINE_A)).await;
    let ledger = &spring.ledger;
    let elsewhere = NewRun {
        gateway: "another".to_owned(),
        ..new_run("summer@once")
    };
    let run = freeze(&**ledger, &elsewhere, rows(1..=2, LINE_A)).await;
    let summer = Bench {
        ledger: ledger.clone(),
        run,
        me: spring.me.clone(),
    };
    says(&**ledger, 1, "STOP", 1).await;
    for bench in [&spring, &summer] {
        let claims = bench.take(10, 5).await;
        let rows: Vec<u64> = claims.iter().map(|claim| claim.row).collect();
        assert_eq!(rows, [2]);
    }
    let found = ledger.suppressed("any", &[&phone(1), &phone(2)]).await;
    assert_eq!(found.unwrap().len(), 1);
}

pub(super) async fn what_is_said_in_a_rehearsal_stays_there(store: &dyn Store) {
    let live = Bench::named(store, "spring@once", rows(1..=2, LINE_A)).await;
    let gateway = "sandbox spring@rehearsal-1";
    let rehearsal = NewRun {
        gateway: gateway.to_owned(),
        ..new_run("spring@rehearsal-1")
    };
    let run = freeze(&*live.ledger, &rehearsal, rows(1..=2, LINE_A)).await;
    let rehearsed = Bench {
        ledger: live.ledger.clone(),
        run,
        me: live.me.clone(),
    };
    let heard = NewReply {
        gateway: gateway.to_owned(),
        ..reply(1, "STOP", 1)
    };
    live.ledger.keep_reply(&heard, at(1)).await.unwrap();
    suppress(&*live.ledger, by_operator(2), 2).await;
    assert!(rehearsed.take(10, 5).await.is_empty(), "both are left out");
    let rows: Vec<u64> = live.take(10, 5).await.iter().map(|one| one.row).collect();
    assert_eq!(rows, [1], "nobody real has said STOP");
    let list = live.ledger.suppressions(None, 10).await.unwrap();
    assert_eq!(list.len(), 1, "nor stands on the list");
    let said = live.ledger.opt_outs_of(&phone(1)).await.unwrap();
    assert_eq!(said[0].rehearsal.as_deref(), Some(gateway));
}

/// Two processes send while a third hears of people who opt out: whoever is begun after the
/// commit was begun by nobody.
pub(super) async fn nobody_is_begun_after_the_commit_of_an_opt_out(store: &dyn Store) {
    const ROWS: u32 = 60;
    let list = (1..=ROWS).map(|n| row(n, LINE_A)).collect();
    let bench = Bench::with(store, list).await;
    let start = Arc::new(Barrier::new(3));
    let mut processes = JoinSet::new();
    for n in 0..2 {
        let (ledger, run) = (store.open().await, bench.run.clone());
        let start = start.clone();
        let me = owner(&format!("sender-{n}"));
        ledger.enlist(&me, at(0)).await.unwrap();
        processes.spawn(async move {
            let bench = Bench { ledger, run, me };
            start.wait().await;
            loop {
                let claimed = bench.claim(&bench.ask(&bench.me, 10, 4)).await;
                if claimed.claims.is_empty() && claimed.moved == 0 {
                    break;
                }
                let group: Vec<Write> = claimed
                    .claims
                    .iter()
                    .map(|claim| Write::Begin(Box::new(begin_of(claim, 10))))
                    .collect();
                tokio::task::yield_now().await;
                bench.ledger.write(&bench.me, &group).await.unwrap();
            }
        });
    }
    let hearing = store.open().await;
    let mut begun_before = Vec::new();
    start.wait().await;
    for person in (1..=ROWS).rev() {
        says(&*hearing, person, "STOP", 10).await;
        // From the commit on nothing changes for this person.
        let row = bench.row(u64::from(person)).await;
        begun_before.push((person, row.attempts));
    }
    while let Some(done) = processes.join_next().await {
        done.unwrap();
    }
    for (person, attempts) in begun_before {
        let row = bench.row(u64::from(person)).await;
        assert_eq!(row.attempts, attempts, "row {person}");
        let state = if attempts == 0 {
            DeliveryState::Skipped
        } else {
            DeliveryState::Sending
        };
        assert_eq!(row.state, state, "row {person}");
    }
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_failed_delivery_that_is_put_back_is_looked_at_again(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, Next::Failed).await;
    says(&*bench.ledger, 1, "STOP", 10).await;
    let retry = sendoff::ledger::Retry {
        code: None,
        only: None,
        taken: false,
        key: sendoff::ledger::RetryKey::Same,
    };
    let run = &bench.run.run;
    bench.ledger.retry(run, &retry, at(20)).await.unwrap();
    assert!(bench.take(30, 1).await.is_empty());
    let row = bench.row(1).await;
    assert_eq!(row.reason, Some(SkipReason::OptedOut));
    assert_eq!(row.attempts, 1);
    assert_proved(&*bench.ledger, run).await;
}
