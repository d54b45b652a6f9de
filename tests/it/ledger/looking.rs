//! Looks for receipts, made by the engine with a provider of the test's own: what it answers is in
//! the books, and a pause that it asks for holds for the whole account.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::DeliveryState::{Delivered, Failed, Read, Sent};
use sendoff::domain::message::Media;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::domain::receipt::Receipt;
use sendoff::domain::run::RunState;
use sendoff::engine::clock::Clock;
use sendoff::engine::limiter::Guard;
use sendoff::engine::receipts::{Kept, Looker, Seen, keep};
use sendoff::gateway::{Asked, Envelope, Gateway, Line, Replies, Request, Sighting, Sought, Turns};
use sendoff::ledger::Claim;

use super::bench::{Bench, LINE_A, at, failure, limit, rows, sent};
use super::proving::assert_proved;
use super::store::Store;

const NOW: i64 = 60_000;

/// Stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(NOW)
    }
}

/// Answers in this order when it is asked how a message stands.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Result<Receipt, Outcome>>>);

#[async_trait]
impl Gateway for Scripted {
    fn key_retention(&self) -> Option<SignedDuration> {
        None
    }

    fn timeout(&self) -> SignedDuration {
        SignedDuration::from_secs(30)
    }

    fn request(&self, _: &Envelope<'_>) -> Request {
        unreachable!("nothing is sent")
    }

    async fn send(&self, _: &Request) -> Outcome {
        unreachable!("nothing is sent")
    }

    async fn upload(&self, _: &Media) -> Result<String, Outcome> {
        unreachable!("nothing is sent")
    }

    async fn state(&self, _: &Asked<'_>, _: &dyn Turns) -> Result<Receipt, Outcome> {
        let next = self.0.lock().unwrap().pop_front();
        next.expect("asked once for each message")
    }

    async fn find(&self, _: &Sought<'_>, _: &dyn Turns) -> Result<Sighting, Outcome> {
        unreachable!("nothing is in doubt")
    }

    async fn replies(
        &self,
        _: Option<Timestamp>,
        _: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome> {
        Ok(None)
    }

    async fn lines(&self) -> Result<Vec<Line>, Outcome> {
        Ok(Vec::new())
    }
}

/// Looks at all of a run whose messages were all sent, with these answers.
async fn look(bench: &Bench, answers: Vec<Result<Receipt, Outcome>>, guard: Guard) -> Seen {
    let gateway = Arc::new(Scripted(Mutex::new(answers.into())));
    let looker = Looker {
        ledger: bench.ledger.clone(),
        gateway: gateway.clone(),
        clock: Arc::new(Still),
        guard,
    };
    let seen = looker.look(&bench.run, 7).await.unwrap();
    assert_proved(&*bench.ledger, &bench.run.run).await;
    seen
}

async fn all_sent(store: &dyn Store, people: u32) -> Bench {
    let bench = Bench::with(store, rows(1..=people, LINE_A)).await;
    for _ in 0..people {
        bench.settle_one(0, sent()).await;
    }
    bench
}

pub(super) async fn what_the_provider_says_of_each_is_in_the_books(store: &dyn Store) {
    let bench = all_sent(store, 6).await;
    let answers = vec![
        Ok(Receipt::UnderWay),
        Ok(Receipt::Delivered { at: None }),
        Ok(Receipt::Read {
            delivered_at: None,
            at: Some(at(9_000)),
        }),
        Ok(Receipt::Failed {
            failure: failure("no such number"),
            for_all: false,
        }),
        Ok(Receipt::Unknown),
        Err(Outcome::Permanent {
            failure: failure("not this one"),
        }),
    ];
    let seen = look(&bench, answers, Guard::default()).await;
    let expected = Seen {
        looked: 6,
        delivered: 1,
        read: 1,
        failed: 1,
        unknown: 1,
        unanswered: 1,
        ..Seen::default()
    };
    assert_eq!(seen, expected);
    let counts = bench.counts().await;
    let of = [Sent, Delivered, Read, Failed].map(|state| counts.of(state));
    assert_eq!(of, [3, 1, 1, 1]);
    let facts = bench.ledger.facts(&bench.run.run, at(NOW)).await.unwrap();
    assert_eq!(facts.failures[0].text, "no such number");
    assert_eq!(facts.failures[0].code, Some(5000));
    let run = bench.ledger.run(&bench.run.run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Running, "the others have to go on");
}

pub(super) async fn a_failure_that_everybody_would_meet_halts_the_run_however_late_it_is_told(
    store: &dyn Store,
) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    for _ in 0..2 {
        bench.settle_one(0, sent()).await;
    }
    let for_all = |text| {
        Ok(Receipt::Failed {
            failure: failure(text),
            for_all: true,
        })
    };
    let answers = vec![for_all("the template is paused"), for_all("the same")];
    let seen = look(&bench, answers, Guard::default()).await;
    assert_eq!((seen.looked, seen.failed), (2, 2));
    let run = bench.ledger.run(&bench.run.run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Halted);
    let reason = run.reason.unwrap();
    assert!(["the template is paused", "the same"].contains(&&*reason));
    assert!(
        bench.take(NOW, 9).await.is_empty(),
        "nobody else is sent to"
    );
}

pub(super) async fn a_failure_from_before_the_run_was_resumed_does_not_halt_it_again(
    store: &dyn Store,
) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let ledger = &*bench.ledger;
    let fails = async |claim: &Claim, now_ms| {
        let about = (claim.id, "msg-1".to_owned());
        let failed = Receipt::Failed {
            failure: failure("the template is paused"),
            for_all: true,
        };
        let kept = keep(ledger, &bench.run, about, failed, at(now_ms)).await;
        assert_eq!(kept.unwrap(), Some(Kept::Failed));
        ledger.run(&bench.run.run).await.unwrap().unwrap().state
    };
    let early = bench.take(0, 2).await;
    for claim in &early {
        bench.settle(claim, 0, sent()).await;
    }
    assert_eq!(fails(&early[0], 1_000).await, RunState::Halted);
    let resumed = ledger.set_state(&bench.run.run, RunState::Running, None, at(2_000));
    resumed.await.unwrap();
    assert_eq!(fails(&early[1], 3_000).await, RunState::Running);
    let later = bench.take_one(4_000).await;
    bench.settle(&later, 4_000, sent()).await;
    assert_eq!(fails(&later, 5_000).await, RunState::Halted);
}

pub(super) async fn a_pause_that_a_look_is_asked_for_closes_the_account(store: &dyn Store) {
    let bench = all_sent(store, 1).await;
    let busy = Outcome::Retry {
        after: Some(SignedDuration::from_secs(30)),
        scope: Scope::Account,
        failure: failure("slow down"),
    };
    let seen = look(&bench, vec![Err(busy)], Guard::default()).await;
    assert_eq!(seen.stopped.as_deref(), Some("slow down"));
    let facts = bench.ledger.facts(&bench.run.run, at(NOW)).await.unwrap();
    let gates: Vec<_> = facts.gates.iter().map(|gate| gate.until).collect();
    assert_eq!(gates, [at(NOW + 30_000)], "messages wait for it as well");
    assert_eq!(bench.states().await, [Sent]);
}

pub(super) async fn looks_keep_the_accounts_rate_in_the_ledger(store: &dyn Store) {
    let bench = all_sent(store, 3).await;
    let account = limit("50/s", 3);
    let answers = vec![Ok(Receipt::UnderWay); 3];
    let seen = look(&bench, answers, Guard::of(account.into())).await;
    assert_eq!(seen.looked, 3);
    // Whoever sends now finds the burst used up by the looks.
    let mut request = bench.ask(&bench.me, NOW, 1);
    request.limits.account = account.into();
    let looked = sendoff::ledger::LookRequest {
        run: &bench.run,
        now: at(NOW),
        due_by: at(NOW),
        jitter: 0,
        most: 9,
        account: account.into(),
    };
    let none = bench.ledger.looks(&looked).await.unwrap();
    assert_eq!(none.due, []);
    let more = Bench::named(store, "more@once", rows(1..=1, LINE_A)).await;
    request.run = &more.run;
    let claimed = more.claim(&request).await.claims;
    assert_eq!(claimed[0].slot_us, at(NOW + 20).as_microsecond());
}
