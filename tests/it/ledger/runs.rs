//! Runs as a whole: their states, counts and pages, and what stands beside them: uploads and
//! schedules.

use std::collections::BTreeMap;

use sendoff::domain::delivery::{DeliveryState, Hold, SkipReason};
use sendoff::domain::digest::Digest;
use sendoff::domain::run::RunState;
use sendoff::ledger::{LedgerError, Missed, Next};

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, at, freeze, new_run, pending, record_of, row, rows, run_id,
    sent, skipped,
};
use super::store::Store;

pub(super) async fn a_run_finishes_only_when_nothing_is_open(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let done = async || {
        let done = bench.ledger.finish_if_done(&bench.run.run, at(77)).await;
        done.unwrap()
    };
    bench.settle_one(0, sent()).await;
    assert!(!done().await, "one is pending");
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    assert!(!done().await, "one is on the wire");
    bench.record(record_of(&claim, 0, Next::Uncertain)).await;
    assert!(done().await);
    assert!(done().await, "it is, whoever was first");
    let run = bench.ledger.run(&bench.run.run).await.unwrap().unwrap();
    assert_eq!(
        (run.state, run.finished_at),
        (RunState::Finished, Some(at(77)))
    );

    let paused = Bench::named(store, "summer@once", Vec::new()).await;
    paused.set_state(RunState::Paused).await;
    let run = &paused.run.run;
    assert!(!paused.ledger.finish_if_done(run, at(0)).await.unwrap());
    let none = run_id("nobody@once");
    let missing = paused.ledger.finish_if_done(&none, at(0)).await;
    assert!(matches!(missing, Err(LedgerError::NoSuchRun(run)) if run == none));
}

pub(super) async fn the_state_follows_its_machine(store: &dyn Store) {
    let ledger = store.open().await;
    // The shortest way to each state.
    let ways: [(RunState, &[RunState]); 5] = [
        (RunState::Running, &[]),
        (RunState::Paused, &[RunState::Paused]),
        (RunState::Halted, &[RunState::Halted]),
        (RunState::Finished, &[RunState::Finished]),
        (RunState::Cancelled, &[RunState::Cancelled]),
    ];
    for (from, way) in ways {
        for to in RunState::ALL {
            let run = new_run(&format!("spring@{from}-{to}"));
            freeze(&*ledger, &run, Vec::new()).await;
            for step in way {
                let stepped = ledger.set_state(&run.run, *step, None, at(0)).await;
                assert_eq!(stepped.unwrap().state, *step);
            }
            let changed = ledger.set_state(&run.run, to, Some("why"), at(1)).await;
            let now = ledger.run(&run.run).await.unwrap().unwrap().state;
            if from == to || from.may_become(to) {
                assert_eq!((changed.unwrap().state, now), (to, to));
            } else {
                let refused = changed.unwrap_err();
                assert!(matches!(refused, LedgerError::BadTransition { .. }));
                assert!(refused.to_string().contains(from.as_str()));
                assert_eq!(now, from);
            }
        }
    }
    let missing = ledger
        .set_state(&run_id("nobody@once"), RunState::Paused, None, at(0))
        .await;
    assert!(matches!(missing, Err(LedgerError::NoSuchRun(_))));
}

pub(super) async fn the_record_that_a_change_returns_is_the_one_kept(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let steps = [
        (RunState::Halted, Some("no credit")),
        (RunState::Running, None),
        (RunState::Finished, None),
        (RunState::Finished, None),
        (RunState::Running, None),
        (RunState::Cancelled, Some("not needed")),
    ];
    for (n, (to, reason)) in steps.into_iter().enumerate() {
        let now = at(i64::try_from(n).unwrap());
        let run = &bench.run.run;
        let returned = bench.ledger.set_state(run, to, reason, now).await.unwrap();
        let kept = bench.ledger.run(run).await.unwrap().unwrap();
        assert_eq!(format!("{returned:?}"), format!("{kept:?}"));
        assert_eq!(kept.reason.as_deref(), reason);
        let ended = match to {
            RunState::Finished => Some(at(2)),
            RunState::Cancelled => Some(at(5)),
            RunState::Running | RunState::Paused | RunState::Halted => None,
        };
        assert_eq!(kept.finished_at, ended);
    }
}

pub(super) async fn runs_are_listed_newest_first_with_their_counts(store: &dyn Store) {
    let ledger = store.open().await;
    for (name, count) in [("spring@once", 3), ("empty@once", 0), ("summer@once", 2)] {
        let list = (1..=count).map(|n| row(n, LINE_A)).collect();
        freeze(&*ledger, &new_run(name), list).await;
    }
    let runs: Vec<(String, u64, u64)> = ledger
        .runs()
        .await
        .unwrap()
        .into_iter()
        .map(|(run, counts)| (run.run.to_string(), run.total, counts.total()))
        .collect();
    let expected = [("summer@once", 2), ("empty@once", 0), ("spring@once", 3)];
    assert_eq!(runs, expected.map(|(name, n)| (name.to_owned(), n, n)));
}

pub(super) async fn facts_add_up(store: &dyn Store) {
    // A run before and one after, so that ids of others are near.
    let before = Bench::named(store, "before@once", rows(1..=3, LINE_A)).await;
    let mut list = rows(1..=7, LINE_A);
    list.push(skipped(8, SkipReason::Filtered));
    let bench = Bench::with(store, list).await;
    Bench::named(store, "after@once", rows(1..=3, LINE_A)).await;
    before.settle_one(0, Next::Failed).await;
    bench.settle_one(100, sent()).await;
    bench.settle_one(200, sent()).await;
    bench.settle_one(0, Next::Failed).await;
    bench.settle_one(0, Next::Failed).await;
    bench.settle_one(0, Next::Uncertain).await;
    bench.settle_one(0, pending(9_000, 1)).await;
    let facts = bench.ledger.facts(&bench.run.run, at(0)).await.unwrap();
    assert_eq!(facts.counts.total(), 8);
    let expected = [
        (DeliveryState::Sent, 2),
        (DeliveryState::Failed, 2),
        (DeliveryState::Uncertain, 1),
        (DeliveryState::Pending, 2),
        (DeliveryState::Skipped, 1),
    ];
    for (state, n) in expected {
        assert_eq!(facts.counts.of(state), n, "{state}");
    }
    assert_eq!(facts.skipped, BTreeMap::from([(SkipReason::Filtered, 1)]));
    let groups: Vec<_> = facts
        .failures
        .iter()
        .map(|group| (group.state, group.text.as_str(), group.count))
        .collect();
    assert_eq!(
        groups,
        [
            (DeliveryState::Failed, "refused", 2),
            (DeliveryState::Uncertain, "no answer", 1)
        ]
    );
    let holds = [(None, 1, at(0)), (Some(Hold::Retry), 1, at(9_000))];
    assert_eq!(facts.holds, holds);
    assert_eq!(facts.first_sent_at, Some(at(105)));
    assert_eq!(facts.last_sent_at, Some(at(205)));
}

pub(super) async fn deliveries_are_read_page_by_page(store: &dyn Store) {
    Bench::named(store, "before@once", rows(1..=3, LINE_A)).await;
    let bench = Bench::with(store, rows(1..=10, LINE_A)).await;
    Bench::named(store, "after@once", rows(1..=3, LINE_A)).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = bench.ledger.deliveries(&bench.run.run, after, 4).await;
        let page = page.unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|row| row.row));
    }
    assert_eq!(seen, (1..=10).collect::<Vec<u64>>());
    let none = run_id("nobody@once");
    let missing = bench.ledger.deliveries(&none, None, 4).await;
    assert!(matches!(missing, Err(LedgerError::NoSuchRun(_))));
}

pub(super) async fn rehearsals_count_up(store: &dyn Store) {
    let ledger = store.open().await;
    assert_eq!(ledger.next_rehearsal("spring").await.unwrap(), 1);
    for name in [
        "spring@rehearsal-1",
        "spring@rehearsal-10",
        "spring@rehearsal-x",
        "spring@once",
        "summer@rehearsal-99",
    ] {
        freeze(&*ledger, &new_run(name), Vec::new()).await;
    }
    assert_eq!(ledger.next_rehearsal("spring").await.unwrap(), 11);
}

pub(super) async fn uploads_are_remembered_until_forgotten(store: &dyn Store) {
    let ledger = store.open().await;
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    for (file, id) in [(one, "att-0"), (one, "att-1"), (two, "att-2")] {
        ledger.keep_upload(GATEWAY, file, id, at(0)).await.unwrap();
    }
    let known = async |gateway: &str, file: Digest| ledger.upload(gateway, file).await.unwrap();
    assert_eq!(known(GATEWAY, one).await.as_deref(), Some("att-1"));
    assert_eq!(known("other", one).await, None);
    let lost = ["att-1".to_owned(), "att-9".to_owned()];
    ledger.forget_uploads("other", &lost).await.unwrap();
    assert!(known(GATEWAY, one).await.is_some());
    ledger.forget_uploads(GATEWAY, &lost).await.unwrap();
    assert_eq!(known(GATEWAY, one).await, None);
    assert_eq!(known(GATEWAY, two).await.as_deref(), Some("att-2"));
}

fn missed(run: &str, due_ms: i64, reason: &str) -> Missed {
    Missed {
        run: run_id(run),
        due_at: at(due_ms),
        reason: reason.to_owned(),
    }
}

pub(super) async fn schedules_begin_when_first_seen_and_move_on(store: &dyn Store) {
    let ledger = store.open().await;
    let since = async |now_ms: i64| ledger.schedule_since("nightly", at(now_ms)).await.unwrap();
    assert_eq!(since(100).await, at(100));
    assert_eq!(since(900).await, at(100), "the first time counts");
    let gone = missed("nightly@a", 400, "nobody was there");
    ledger
        .handled("nightly", at(500), std::slice::from_ref(&gone))
        .await
        .unwrap();
    assert_eq!(since(900).await, at(500));
    let second = missed("nightly@a", 400, "another reason");
    let newer = missed("nightly@b", 450, "too late");
    ledger
        .handled("nightly", at(300), &[second, newer.clone()])
        .await
        .unwrap();
    assert_eq!(since(900).await, at(500), "never back");
    let kept = ledger.missed("nightly", 10).await.unwrap();
    assert_eq!(kept, [newer.clone(), gone], "newest first, first reason");
    assert_eq!(ledger.missed("nightly", 1).await.unwrap(), [newer]);
    // A schedule that is first heard of when something of it is handled.
    ledger.handled("weekly", at(800), &[]).await.unwrap();
    let weekly = ledger.schedule_since("weekly", at(900)).await.unwrap();
    assert_eq!(weekly, at(800));
}

pub(super) async fn missed_occurrences_belong_to_their_campaign_alone(store: &dyn Store) {
    let ledger = store.open().await;
    for campaign in ["a_b", "axb", "a_b-2", "a", "a_"] {
        let one = missed(&format!("{campaign}@x"), 1, "late");
        ledger.handled(campaign, at(2), &[one]).await.unwrap();
    }
    let kept = ledger.missed("a_b", 10).await.unwrap();
    assert_eq!(kept, [missed("a_b@x", 1, "late")]);
}

pub(super) async fn what_was_committed_is_read_at_once(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=40, LINE_A)).await;
    let other = store.open().await;
    for n in 1..=40 {
        bench.settle_one(n, sent()).await;
        for ledger in [&bench.ledger, &other] {
            let facts = ledger.facts(&bench.run.run, at(0)).await.unwrap();
            let sent = facts.counts.of(DeliveryState::Sent);
            assert_eq!(i64::try_from(sent).unwrap(), n);
        }
    }
}

pub(super) async fn reopening_keeps_everything(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    bench.settle_one(0, sent()).await;
    bench.settle_one(0, Next::Failed).await;
    bench.settle_one(0, pending(9_000, 1)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let before = format!("{:?} {:?}", bench.run, bench.all().await);
    let run = bench.run.run.clone();
    drop(bench);
    let ledger = store.open().await;
    let record = ledger.run(&run).await.unwrap().unwrap();
    let all = ledger.deliveries(&run, None, 100).await.unwrap();
    assert_eq!(format!("{record:?} {all:?}"), before);
    let again = Bench {
        ledger,
        run: record,
        me: super::bench::owner("second"),
    };
    let claims = again.take(LEASE_MS, 10).await;
    let rows: Vec<u64> = claims.iter().map(|claim| claim.row).collect();
    assert_eq!(rows, [4, 5, 3], "the unanswered one, then by due time");
}
