//! What a run must be proved by: after anything that can happen to it, its rows fit together.

use jiff::SignedDuration;
use sendoff::domain::delivery::{Hold, SkipReason};
use sendoff::domain::digest::Digest;
use sendoff::domain::message::{Media, MediaSource, Message, Part};
use sendoff::domain::proof::Finding;
use sendoff::domain::run::{RunId, RunState};
use sendoff::ledger::{
    Admission, Claim, ClaimRequest, Ledger, LedgerError, NewDelivery, Next, Planned, Settle,
    Verdict, Write,
};
use sendoff::report;

use super::bench::{
    Bench, LEASE_MS, LINE_A, LINE_B, at, new_run, owner, pending, phone, record_of, release_of,
    row, rows, run_id, sent, skipped,
};
use super::store::Store;

/// What does not fit in a run.
pub(super) async fn findings(ledger: &dyn Ledger, run: &RunId) -> Vec<Finding> {
    let mut found = Vec::new();
    let proof = report::verify(ledger, run, &mut |finding| found.push(finding.clone())).await;
    assert_eq!(proof.unwrap().findings, found.len() as u64);
    found
}

/// The run is proved.
pub(super) async fn assert_proved(ledger: &dyn Ledger, run: &RunId) {
    let found = findings(ledger, run).await;
    assert!(found.is_empty(), "{found:#?}");
}

fn with_picture(number: u32) -> NewDelivery {
    let picture = Part::Media {
        source: MediaSource::File {
            sha256: Digest::of(b"a picture"),
        },
    };
    NewDelivery {
        recipient_key: Some(format!("C-{number}")),
        timezone: Some("America/Chicago".to_owned()),
        plan: Planned::Send {
            message: Message::of(vec![picture]),
            line: LINE_B.to_owned(),
            touch: sendoff::domain::cap::Touch::First,
        },
        ..row(number, LINE_B)
    }
}

/// A run in which everything has happened that can: every state, every kind of event, attempts
/// that were lost, late and repeated.
pub(super) async fn eventful(store: &dyn Store) -> Bench {
    let ledger = store.open().await;
    let mut freeze = ledger.freeze(&new_run("spring@once")).await.unwrap();
    let picture = Media {
        sha256: Digest::of(b"a picture"),
        filename: "team.png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: b"a picture".to_vec().into(),
    };
    freeze.add_media(vec![picture]).await.unwrap();
    let mut list = rows(1..=9, LINE_A);
    list.push(with_picture(10));
    list.push(skipped(11, SkipReason::Filtered));
    list.push(row(1, LINE_A));
    for (n, one) in (1..).zip(&mut list) {
        one.row = n;
    }
    freeze.add(list).await.unwrap();
    let run = freeze.seal(Vec::new()).await.unwrap();
    let me = owner("me-eventful");
    ledger.enlist(&me, at(0)).await.unwrap();
    let bench = Bench { ledger, run, me };
    let settle = async |number, now_ms, next| {
        let claim = take_only(&bench, number, now_ms).await;
        bench.settle(&claim, now_ms, next).await;
    };
    settle(1, 0, sent()).await;
    settle(2, 0, Next::Failed).await;
    settle(3, 0, Next::Uncertain).await;
    // Refused for now, then with a new body, then sent.
    settle(4, 0, pending(5, 1)).await;
    let anew = Next::Pending {
        due_at: at(6),
        hold: Hold::Retry,
        tries: 2,
        anew: true,
    };
    settle(4, 5, anew).await;
    settle(4, 6, sent()).await;
    the_lost_and_the_late(&bench).await;
    bench.set_state(RunState::Paused).await;
    bench.set_state(RunState::Running).await;
    // Held, left out, given back with a failure, and on the wire.
    let now_ms = LEASE_MS * 2;
    let hold = Admission::Hold {
        until: at(LEASE_MS * 3),
        hold: Hold::Window,
    };
    for (number, admission) in [(7, hold), (8, Admission::Skip(SkipReason::Expired))] {
        let phone = phone(number);
        let request = ClaimRequest {
            only: Some(&phone),
            ..bench.ask(&bench.me, now_ms, 1)
        };
        let claimed = bench.ledger.claim(&request, &|_| admission).await.unwrap();
        assert_eq!(claimed.moved, 1);
    }
    let claim = take_only(&bench, 9, now_ms).await;
    let put_back = pending(LEASE_MS * 3, 1);
    bench.release(release_of(&claim, Some(put_back))).await;
    let claim = take_only(&bench, 10, now_ms).await;
    bench.begin(&claim, now_ms).await;
    bench
}

async fn take_only(bench: &Bench, number: u32, now_ms: i64) -> Claim {
    let phone = phone(number);
    let request = ClaimRequest {
        only: Some(&phone),
        ..bench.ask(&bench.me, now_ms, 1)
    };
    let claimed = bench.claim(&request).await;
    claimed.claims.into_iter().next().expect("it is due")
}

/// One whose process ended and that is asked for again, with a late answer; one that is found
/// among the messages of its chat; one of which nothing can be known.
async fn the_lost_and_the_late(bench: &Bench) {
    let mut claims = Vec::new();
    for number in [5, 6] {
        let claim = take_only(bench, number, 10).await;
        bench.begin(&claim, 10).await;
        claims.push(claim);
    }
    let second = owner("second");
    bench.ledger.enlist(&second, at(0)).await.unwrap();
    let again = bench.take_as(&second, LEASE_MS + 10).await;
    let again: Vec<_> = again
        .into_iter()
        .filter(|claim| claim.unanswered_since.is_some())
        .collect();
    assert_eq!(again.len(), 2);
    let begin = Write::Begin(Box::new(super::bench::begin_of(&again[0], LEASE_MS + 10)));
    bench.write_as(&second, begin).await;
    bench.record(record_of(&claims[0], 10, Next::Failed)).await;
    let record = record_of(&again[0], LEASE_MS + 10, sent());
    bench
        .write_as(&second, Write::Record(Box::new(record)))
        .await;
    let verdict = Verdict::Found {
        message_id: "msg-9".to_owned(),
        chat_id: None,
    };
    let settle = Settle {
        id: again[1].id,
        attempt: again[1].attempt,
        revision: again[1].revision,
        begun_at: again[1].begun_at.unwrap(),
        at: at(LEASE_MS + 20),
        verdict,
        chat: None,
    };
    bench
        .write_as(&second, Write::Settle(Box::new(settle)))
        .await;
    bench.ledger.retire(&second).await.unwrap();
}

pub(super) async fn a_run_in_which_everything_has_happened_is_proved(store: &dyn Store) {
    let before = Bench::named(store, "winter@once", rows(1..=3, LINE_A)).await;
    let bench = eventful(store).await;
    let after = Bench::named(store, "summer@once", Vec::new()).await;
    for one in [&before, &bench, &after] {
        assert_proved(&*one.ledger, &one.run.run).await;
    }
    let mut none = Vec::new();
    let hear: report::Hear<'_> = &mut |finding| none.push(finding.clone());
    let proof = report::verify(&*bench.ledger, &bench.run.run, hear).await;
    let proof = proof.unwrap();
    assert_eq!((proof.rows, proof.files, proof.findings), (12, 1, 0));
    assert_eq!(proof.attempts, 9, "the one on the wire has no end yet");
    bench
        .ledger
        .set_state(&bench.run.run, RunState::Cancelled, None, at(LEASE_MS * 9))
        .await
        .unwrap();
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_run_that_is_not_there_is_no_finding(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let none = report::verify(&*bench.ledger, &run_id("nobody@once"), &mut |_| {}).await;
    assert!(matches!(none, Err(LedgerError::NoSuchRun(_))), "{none:?}");
}

pub(super) async fn a_proof_sees_one_moment(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let mut audit = bench.ledger.audit().await.unwrap();
    let before = format!("{:?}", audit.runs().await.unwrap());
    bench.settle_one(0, sent()).await;
    bench.set_state(RunState::Paused).await;
    assert_eq!(format!("{:?}", audit.runs().await.unwrap()), before);
    let rows = audit.page(1, 3).await.unwrap();
    assert!(rows.iter().all(|rows| rows.attempts.is_empty()));
    drop(audit);
    assert_proved(&*bench.ledger, &bench.run.run).await;
}

pub(super) async fn a_cancelled_run_is_proved_whatever_was_in_hand(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let proved = async || assert_proved(&*bench.ledger, &bench.run.run).await;
    let again = Next::Unanswered {
        again_at: at(100),
        tries: 1,
    };
    bench.settle_one(0, again.clone()).await;
    let doubt = bench.take_one(100).await;
    assert!(doubt.unanswered_since.is_some());
    let claims = bench.take(100, 4).await;
    for claim in &claims[..3] {
        bench.begin(claim, 100).await;
    }
    bench.set_state(RunState::Cancelled).await;
    proved().await;
    // Each comes back in another way.
    bench.release(release_of(&doubt, Some(again.clone()))).await;
    proved().await;
    let mut unsent = record_of(&claims[0], 100, again);
    unsent.failure = None;
    bench.record(unsent).await;
    proved().await;
    bench
        .record(record_of(&claims[1], 100, pending(900, 1)))
        .await;
    bench.begin(&claims[3], 101).await;
    proved().await;
    let open = bench.counts().await.open();
    assert_eq!(open, 1, "the one that is on the wire still");
    let long = SignedDuration::from_hours(1);
    let late = at(100) + long;
    bench
        .ledger
        .set_state(&bench.run.run, RunState::Cancelled, None, late)
        .await
        .unwrap();
    proved().await;
    assert_eq!(bench.counts().await.open(), 0);
}
