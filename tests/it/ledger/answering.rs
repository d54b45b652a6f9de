//! What people answer and what an operator says of them: kept once, whose word it was, and that no
//! order of words makes a difference.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sendoff::domain::address::Address;
use sendoff::domain::channel::Channel;
use sendoff::domain::opt_out::{Heard, Source, Standing};
use sendoff::ledger::{
    Arrival, Asked, Ledger, Lifted, Lifting, NewReply, NewSuppression, Said, Suppressing,
};

use super::bench::{Bench, GATEWAY, LINE_A, at, phone, rows, run_id, sent};
use super::opting_out::{by_operator, reply, says, suppress};
use super::store::Store;

fn imported(person: u32) -> NewSuppression {
    NewSuppression {
        source: Source::Import,
        reason: None,
        ..by_operator(person)
    }
}

fn because(asked: Asked) -> Lifting {
    Lifting {
        reason: "called us".to_owned(),
        asked,
    }
}

async fn source_of(ledger: &dyn Ledger, person: u32) -> Option<Source> {
    let phone = phone(person);
    let found = ledger.suppressed(GATEWAY, &[&phone]).await.unwrap();
    found.get(phone.expose()).map(|one| one.source)
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

pub(super) async fn how_far_answers_were_read_is_known_and_never_goes_back(store: &dyn Store) {
    let ledger = store.open().await;
    says(&*ledger, 1, "thanks", 30).await;
    let read_to = async || ledger.answers_read_to(GATEWAY).await.unwrap();
    assert_eq!(read_to().await, None, "one that was told of is no reading");
    for (to, expected) in [(20, 20), (25, 25), (10, 25)] {
        ledger.keep_answers_read_to(GATEWAY, at(to)).await.unwrap();
        assert_eq!(read_to().await, Some(at(expected)));
    }
    assert_eq!(ledger.answers_read_to("another").await.unwrap(), None);
    let again = store.open().await;
    assert_eq!(again.answers_read_to(GATEWAY).await.unwrap(), Some(at(25)));
}

pub(super) async fn the_last_answer_over_a_channel_is_known(store: &dyn Store) {
    let ledger = store.open().await;
    let over = |channel, ms| NewReply {
        channel,
        ..reply(1, "hello", ms)
    };
    let whatsapp = Some(Channel::Whatsapp);
    for said in [over(whatsapp, 50), over(whatsapp, 20), over(None, 90)] {
        ledger.keep_reply(&said, at(100)).await.unwrap();
    }
    let by_sms = over(Some(Channel::Sms), 70);
    ledger.keep_reply(&by_sms, at(100)).await.unwrap();
    let last = async |gateway, channel, person| {
        let person = phone(person);
        let last = ledger.last_replies(gateway, channel, &[&person]).await;
        last.unwrap().remove(person.expose())
    };
    let newest = last(GATEWAY, Channel::Whatsapp, 1).await;
    assert_eq!(newest, Some(at(50)), "in whatever order they came");
    assert_eq!(last(GATEWAY, Channel::Sms, 1).await, Some(at(70)));
    assert_eq!(last(GATEWAY, Channel::Instagram, 1).await, None);
    assert_eq!(last(GATEWAY, Channel::Whatsapp, 2).await, None);
    assert_eq!(last("another", Channel::Whatsapp, 1).await, None);
    let unclear = NewReply {
        channel: whatsapp,
        ..reply(3, "please stop texting me", 80)
    };
    ledger.keep_reply(&unclear, at(100)).await.unwrap();
    let waiting = ledger.to_review(None, 5).await.unwrap();
    assert_eq!(waiting[0].channel, whatsapp);
}

pub(super) async fn an_import_only_adds(store: &dyn Store) {
    let ledger = store.open().await;
    says(&*ledger, 1, "STOP", 10).await;
    suppress(&*ledger, by_operator(2), 11).await;
    let people = [imported(1), imported(2), imported(3), imported(3)];
    let done = ledger.suppress(&people, at(20)).await.unwrap();
    let listed = Suppressing::Already(Source::Import);
    let wanted = [
        Suppressing::Already(Source::Reply),
        Suppressing::Already(Source::Operator),
        Suppressing::Added,
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
    let mut after: Option<Address> = None;
    loop {
        let page = ledger.suppressions(after.as_ref(), 50).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.phone.clone());
        all.extend(page);
    }
    let mut wanted: Vec<Address> = (1..=230).filter(|n| *n != 9).map(phone).collect();
    wanted.sort();
    let phones: Vec<Address> = all.iter().map(|one| one.phone.clone()).collect();
    assert_eq!(phones, wanted);
    let seven = all.iter().find(|one| one.phone == phone(7)).unwrap();
    assert_eq!(seven.source, Source::Reply);
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
