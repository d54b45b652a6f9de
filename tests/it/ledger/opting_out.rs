//! Opting out: who is not written to from which moment on, by whose word, and that no order of
//! words makes a difference.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sendoff::domain::delivery::{DeliveryState, SkipReason};
use sendoff::domain::history::DeliveryEvent;
use sendoff::domain::opt_out::{Heard, Source, Standing};
use sendoff::domain::phone::Phone;
use sendoff::ledger::{
    Arrival, Asked, Ledger, Lifted, Lifting, NewReply, NewRun, NewSuppression, Next, Said,
    Suppressing, Write, Written,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, at, begin_of, freeze, gate, new_run, owner, pending, phone,
    record_of, row, rows, run_id, sent,
};
use super::proving::assert_proved;
use super::store::Store;

fn by_operator(person: u32) -> NewSuppression {
    NewSuppression {
        phone: phone(person),
        source: Source::Operator,
        reason: Some("asked at the counter".to_owned()),
        at: None,
    }
}

fn imported(person: u32) -> NewSuppression {
    NewSuppression {
        source: Source::Import,
        reason: None,
        ..by_operator(person)
    }
}

fn reply(person: u32, text: &str, ms: i64) -> NewReply {
    NewReply {
        event_id: format!("evt-{person}-{ms}-{text}"),
        gateway: GATEWAY.to_owned(),
        phone: phone(person),
        line: LINE_A.to_owned(),
        chat_id: Some(format!("ch-{person}")),
        text: text.to_owned(),
        at: at(ms),
    }
}

fn because(asked: Asked) -> Lifting {
    Lifting {
        reason: "called us".to_owned(),
        asked,
    }
}

async fn suppress(ledger: &dyn Ledger, one: NewSuppression, now_ms: i64) -> Suppressing {
    ledger.suppress(&[one], at(now_ms)).await.unwrap()[0]
}

async fn says(ledger: &dyn Ledger, person: u32, text: &str, ms: i64) {
    let kept = ledger.keep_reply(&reply(person, text, ms), at(ms)).await;
    assert_eq!(kept.unwrap().arrival, Arrival::New);
}

async fn source_of(ledger: &dyn Ledger, person: u32) -> Option<Source> {
    let phone = phone(person);
    let found = ledger.suppressed(GATEWAY, &[&phone]).await.unwrap();
    found.get(phone.expose()).map(|one| one.source)
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
    use DeliveryState::{Sent, Skipped};
    assert_eq!(bench.states().await, [Sent, Skipped, Sent]);
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

pub(super) async fn an_answer_is_kept_once_and_with_its_run(store: &dyn Store) {
    let spring = Bench::named(store, "spring@once", rows(1..=2, LINE_A)).await;
    spring.settle_one(0, sent()).await;
    let summer = Bench::named(store, "summer@once", rows(1..=2, LINE_A)).await;
    summer.settle_one(5_000, sent()).await;
    let ledger = &spring.ledger;
    let newest = ledger
        .keep_reply(&reply(1, "thanks", 6_000), at(6_000))
        .await;
    let newest = newest.unwrap();
    assert_eq!(newest.run, Some(run_id("summer@once")));
    assert_eq!(newest.heard, Heard::Nothing);
    let late = ledger.keep_reply(&reply(1, "Stop", 3_000), at(9_000)).await;
    let late = late.unwrap();
    assert_eq!(
        late.run,
        Some(run_id("spring@once")),
        "it came before the other"
    );
    // Again, by another process, and at the same moment.
    let other = store.open().await;
    let twice = reply(1, "Stop", 3_000);
    let (one, two) = tokio::join!(
        ledger.keep_reply(&twice, at(9_001)),
        other.keep_reply(&twice, at(9_001))
    );
    for known in [one.unwrap(), two.unwrap()] {
        assert_eq!((known.id, known.arrival), (late.id, Arrival::Known));
        assert_eq!((known.run, known.heard), (late.run.clone(), Heard::Stop));
    }
    // Nobody had written to these before.
    for (person, ms) in [(2, 9_000), (1, -5_000), (77, 9_000)] {
        let kept = ledger
            .keep_reply(&reply(person, "STOP", ms), at(9_500))
            .await;
        assert_eq!(kept.unwrap().run, None);
    }
    let answers = ledger
        .facts(&spring.run.run, at(9_999))
        .await
        .unwrap()
        .answers;
    assert_eq!((answers.replies, answers.opted_out), (1, 1));
    let first = &answers.first[0];
    assert_eq!((first.row, first.heard), (Some(1), Heard::Stop));
    assert_eq!((first.at, first.received_at), (at(3_000), at(9_000)));
    let other_gateway = NewReply {
        gateway: "another".to_owned(),
        ..twice
    };
    let kept = ledger.keep_reply(&other_gateway, at(9_999)).await.unwrap();
    assert_eq!((kept.arrival, kept.run), (Arrival::New, None));
}

pub(super) async fn an_answer_to_what_is_on_the_wire_belongs_to_it(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(100).await;
    bench.begin(&claim, 100).await;
    let quick = reply(1, "STOP", 101);
    let kept = bench.ledger.keep_reply(&quick, at(101)).await.unwrap();
    assert_eq!(kept.run, Some(bench.run.run.clone()));
    let listed = bench.ledger.suppressions(None, 5).await.unwrap();
    assert_eq!(listed[0].run, Some(bench.run.run.clone()));
    assert_eq!(listed[0].event_id.as_deref(), Some(quick.event_id.as_str()));
    assert_eq!(listed[0].reason.as_deref(), Some("STOP"));
}

pub(super) async fn unclear_answers_wait_for_a_person(store: &dyn Store) {
    let ledger = store.open().await;
    for (person, text) in [
        (1, "please stop texting me"),
        (2, "wrong number"),
        (3, "hi"),
    ] {
        says(&*ledger, person, text, i64::from(person)).await;
    }
    says(&*ledger, 1, "do not contact me again", 10).await;
    let waiting = ledger.to_review(None, 10).await.unwrap();
    let texts: Vec<&str> = waiting.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "please stop texting me",
            "wrong number",
            "do not contact me again"
        ]
    );
    assert_eq!(source_of(&*ledger, 1).await, None, "nobody guesses");
    let page = ledger.to_review(Some(waiting[0].id), 1).await.unwrap();
    assert_eq!(page, [waiting[1].clone()]);
    assert!(ledger.reviewed(waiting[1].id, at(20)).await.unwrap());
    assert!(!ledger.reviewed(waiting[1].id, at(21)).await.unwrap());
    assert!(!ledger.reviewed(9_999, at(21)).await.unwrap());
    suppress(&*ledger, by_operator(1), 30).await;
    assert!(ledger.to_review(None, 10).await.unwrap().is_empty());
}

pub(super) async fn an_import_only_adds(store: &dyn Store) {
    let ledger = store.open().await;
    says(&*ledger, 1, "STOP", 10).await;
    suppress(&*ledger, by_operator(2), 11).await;
    let people = [imported(1), imported(2), imported(3), imported(3)];
    let done = ledger.suppress(&people, at(20)).await.unwrap();
    use Suppressing::{Added, Already};
    let listed = Already(Source::Import);
    let wanted = [
        Already(Source::Reply),
        Already(Source::Operator),
        Added,
        listed,
    ];
    assert_eq!(done, wanted);
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Reply));
    // So the person may still come back by an own word.
    says(&*ledger, 1, "START", 30).await;
    assert_eq!(source_of(&*ledger, 1).await, None);
    assert!(ledger.suppress(&[], at(40)).await.unwrap().is_empty());
}

pub(super) async fn only_the_person_takes_back_what_the_person_said(store: &dyn Store) {
    let ledger = store.open().await;
    says(&*ledger, 1, "STOP", 10).await;
    let lift = async |asked, ms| {
        ledger
            .lift(&phone(1), &because(asked), at(ms))
            .await
            .unwrap()
    };
    let refused = lift(Asked::Operator, 20).await;
    let Lifted::SaidByPerson(said) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((said.source, said.at), (Source::Reply, at(10)));
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Reply));
    assert_eq!(
        lift(Asked::Person, 5).await,
        Lifted::Done,
        "also by a slow clock"
    );
    assert_eq!(source_of(&*ledger, 1).await, None);
    assert_eq!(lift(Asked::Person, 30).await, Lifted::NotListed);
    // What the operator said is taken back by the operator, and not by an answer.
    suppress(&*ledger, by_operator(1), 40).await;
    says(&*ledger, 1, "START", 50).await;
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Operator));
    assert_eq!(lift(Asked::Operator, 60).await, Lifted::Done);
    assert_eq!(source_of(&*ledger, 1).await, None);
    let told: Vec<(Said, Source)> = ledger
        .opt_outs_of(&phone(1))
        .await
        .unwrap()
        .into_iter()
        .map(|event| (event.what, event.source))
        .collect();
    assert_eq!(
        told,
        [
            (Said::Stop, Source::Reply),
            (Said::Start, Source::Operator),
            (Said::Stop, Source::Operator),
            (Said::Start, Source::Reply),
            (Said::Start, Source::Operator),
        ]
    );
}

pub(super) async fn an_operators_word_stands_beside_the_persons(store: &dyn Store) {
    let ledger = store.open().await;
    says(&*ledger, 1, "STOP", 10).await;
    assert_eq!(
        suppress(&*ledger, by_operator(1), 20).await,
        Suppressing::Added
    );
    let again = suppress(&*ledger, by_operator(1), 21).await;
    assert_eq!(again, Suppressing::Already(Source::Operator));
    assert_eq!(ledger.suppressions(None, 5).await.unwrap().len(), 1);
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Reply));
    says(&*ledger, 1, "UNSTOP", 30).await;
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Operator));
}

pub(super) async fn the_list_is_read_page_by_page(store: &dyn Store) {
    let ledger = store.open().await;
    let people: Vec<NewSuppression> = (1..=230).rev().map(imported).collect();
    ledger.suppress(&people, at(0)).await.unwrap();
    says(&*ledger, 7, "STOP", 5).await;
    let lifted = ledger
        .lift(&phone(9), &because(Asked::Operator), at(10))
        .await;
    assert_eq!(lifted.unwrap(), Lifted::Done);
    let mut all = Vec::new();
    let mut after: Option<Phone> = None;
    loop {
        let page = ledger.suppressions(after.as_ref(), 50).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.phone.clone());
        all.extend(page);
    }
    let mut wanted: Vec<Phone> = (1..=230).filter(|n| *n != 9).map(phone).collect();
    wanted.sort();
    let phones: Vec<Phone> = all.iter().map(|one| one.phone.clone()).collect();
    assert_eq!(phones, wanted);
    let seven = all.iter().find(|one| one.phone == phone(7)).unwrap();
    assert_eq!(seven.source, Source::Reply);
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
                let claims = bench.take(10, 4).await;
                if claims.is_empty() {
                    break;
                }
                let group: Vec<Write> = claims
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

#[derive(Debug, Clone, Copy)]
struct Word {
    stop: bool,
    ms: i64,
}

/// Whatever the order in which words arrive, by two processes, and however often.
pub(super) async fn the_newest_word_counts_in_whatever_order_they_arrive(store: &dyn Store) {
    let mut runner = TestRunner::deterministic();
    let words = prop::collection::vec((any::<bool>(), 0i64..6), 1..9);
    let ledgers = [store.open().await, store.open().await];
    for person in 1..=24 {
        let words: Vec<Word> = words
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .into_iter()
            .map(|(stop, ms)| Word { stop, ms })
            .collect();
        let mut standing = Standing::default();
        for (n, word) in words.iter().chain(&words).enumerate() {
            let text = if word.stop { "Stop." } else { "start" };
            let heard = reply(person, text, word.ms);
            ledgers[n % 2].keep_reply(&heard, at(100)).await.unwrap();
            if word.stop {
                standing.stop(at(word.ms));
            } else {
                standing.start(at(word.ms));
            }
        }
        let newest = words
            .iter()
            .max_by_key(|word| (word.ms, word.stop))
            .unwrap();
        assert_eq!(standing.is_suppressed(), newest.stop);
        let listed = source_of(&*ledgers[0], person).await;
        assert_eq!(listed.is_some(), newest.stop, "{words:?}");
    }
}

pub(super) async fn a_start_from_the_future_silences_no_stop(store: &dyn Store) {
    let ledger = store.open().await;
    let year = 365 * 24 * 3_600_000;
    let far = reply(1, "START", year);
    ledger.keep_reply(&far, at(0)).await.unwrap();
    says(&*ledger, 1, "STOP", 600_000).await;
    assert_eq!(source_of(&*ledger, 1).await, Some(Source::Reply));
}

pub(super) async fn a_failed_delivery_that_is_put_back_is_looked_at_again(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    bench.settle_one(0, Next::Failed).await;
    says(&*bench.ledger, 1, "STOP", 10).await;
    let retry = sendoff::ledger::Retry {
        code: None,
        only: None,
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
