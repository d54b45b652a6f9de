//! A clock that is set back or forward by hours while a run is under way: the engine goes on as
//! if nothing had happened. The clock is the test's own; real time measures what it does.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::campaign::Terms;
use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::message::{Media, Message, Part};
use sendoff::domain::outcome::{Failure, Outcome, Scope};
use sendoff::domain::pace::{Limit, Rate};
use sendoff::domain::phone::Phone;
use sendoff::domain::retry::RetryPolicy;
use sendoff::domain::run::RunId;
use sendoff::engine::clock::Clock;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::tally::Tally;
use sendoff::gateway::{Envelope, Gateway, Line, Request, Sought};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, Limits, NewDelivery, NewRun, Owner, Planned, RunRecord};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{LINES, PATIENCE, phone};

const HOURS: i64 = 3_600;

/// Goes with real time, and is stepped.
#[derive(Debug)]
struct SteppedClock {
    begun: Instant,
    ahead: Mutex<SignedDuration>,
}

impl SteppedClock {
    fn step(&self, seconds: i64) {
        *self.ahead.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.begun.elapsed()).unwrap();
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        start + passed + *self.ahead.lock().unwrap()
    }
}

/// What becomes of the n-th request, from 0.
type Script = fn(usize) -> Step;

enum Step {
    Accept,
    /// The clock jumps by so many seconds, and the request is accepted.
    Jump(i64),
    /// The account is to wait for so many seconds; the clock jumps meanwhile.
    WaitAndJump(i64, i64),
    /// No answer comes; the clock jumps meanwhile.
    SilenceAndJump(i64),
}

/// A provider that follows a script, and notes when it was asked for what.
#[derive(Debug)]
struct Scripted {
    clock: Arc<SteppedClock>,
    script: Script,
    asked: Mutex<Vec<(Instant, Request)>>,
}

#[async_trait]
impl Gateway for Scripted {
    fn key_retention(&self) -> Option<SignedDuration> {
        Some(SignedDuration::from_hours(24))
    }

    fn timeout(&self) -> SignedDuration {
        SignedDuration::from_secs(30)
    }

    fn request(&self, envelope: &Envelope<'_>) -> Request {
        Request {
            path: envelope.to.expose().to_owned(),
            body: envelope.key.as_str().to_owned().into(),
        }
    }

    async fn send(&self, request: &Request) -> Outcome {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push((Instant::now(), request.clone()));
            asked.len() - 1
        };
        let failure = Failure {
            text: "as the script says".to_owned(),
            ..Failure::default()
        };
        match (self.script)(number) {
            Step::Accept => accepted(number),
            Step::Jump(seconds) => {
                self.clock.step(seconds);
                accepted(number)
            }
            Step::WaitAndJump(wait, seconds) => {
                self.clock.step(seconds);
                Outcome::Retry {
                    after: Some(SignedDuration::from_secs(wait)),
                    scope: Scope::Account,
                    failure,
                }
            }
            Step::SilenceAndJump(seconds) => {
                self.clock.step(seconds);
                Outcome::Uncertain { failure }
            }
        }
    }

    async fn upload(&self, _: &Media) -> Result<String, Outcome> {
        unreachable!("no message names a file")
    }

    async fn find(&self, _: &Sought<'_>) -> Result<Option<String>, Outcome> {
        Ok(None)
    }

    async fn lines(&self) -> Result<Vec<Line>, Outcome> {
        Ok(Vec::new())
    }
}

fn accepted(number: usize) -> Outcome {
    Outcome::Accepted {
        message_id: Some(format!("m-{number}")),
        chat_id: Some(format!("c-{number}")),
    }
}

/// A run about to be driven.
struct Drive {
    _folder: TempDir,
    engine: Engine,
    gateway: Arc<Scripted>,
    took: Duration,
}

impl Drive {
    /// Sends to `people` at 20 a second and no two at once, and finishes.
    async fn through(people: usize, script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
        assert_eq!(ledger.take_place().await.unwrap(), None);
        let clock = Arc::new(SteppedClock {
            begun: Instant::now(),
            ahead: Mutex::default(),
        });
        let run = freeze(&ledger, people, clock.now()).await;
        let gateway = Arc::new(Scripted {
            clock: clock.clone(),
            script,
            asked: Mutex::default(),
        });
        let limit = Limit {
            rate: Rate::per_second(NonZeroU32::new(20).unwrap()),
            burst: NonZeroU32::MIN,
        };
        let counts = ledger.facts(&run.run, clock.now()).await.unwrap().counts;
        let engine = Engine {
            ledger: Arc::new(ledger),
            gateway: gateway.clone(),
            clock,
            run,
            limits: Limits {
                account: Some(limit),
                ..Limits::default()
            },
            tally: Arc::new(Tally::new(counts)),
        };
        let session = Session {
            owner: Owner("me".to_owned()),
            limit: None,
            only: None,
            when_idle: WhenIdle::Wait,
            seed: 1,
        };
        let begun = Instant::now();
        let shutdown = Shutdown::default();
        let driven = dispatch(&engine, &session, &shutdown);
        let ended = tokio::time::timeout(PATIENCE, driven).await;
        let ended = ended.expect("the clock does not hold it up").unwrap();
        assert_eq!(ended, Ended::Finished);
        Self {
            _folder: folder,
            engine,
            gateway,
            took: begun.elapsed(),
        }
    }

    fn asked(&self) -> Vec<(Instant, Request)> {
        self.gateway.asked.lock().unwrap().clone()
    }

    /// Each person was asked for under one key, and not more often than so; never faster than the
    /// limit.
    fn assert_once_and_paced(&self, people: usize, extra: RangeInclusive<usize>) {
        let asked = self.asked();
        let requests: HashSet<(&str, &[u8])> = asked
            .iter()
            .map(|(_, one)| (one.path.as_str(), one.body.as_ref()))
            .collect();
        assert_eq!(requests.len(), people);
        assert!(
            extra.contains(&(asked.len() - people)),
            "{} requests",
            asked.len()
        );
        // 20 a second; the tenth's leeway is for a timer that comes late before one in time.
        for pair in asked.windows(11) {
            let span = pair[10].0 - pair[0].0;
            assert!(span >= Duration::from_millis(450), "eleven in {span:?}");
        }
        assert!(self.took < Duration::from_secs(12), "{:?}", self.took);
    }

    async fn states(&self) -> Vec<DeliveryState> {
        let all = self
            .engine
            .ledger
            .deliveries(&self.engine.run.run, None, 1_000);
        all.await.unwrap().iter().map(|one| one.state).collect()
    }

    async fn assert_all_sent(&self) {
        let states = self.states().await;
        assert!(
            states.iter().all(|state| *state == DeliveryState::Sent),
            "{states:?}"
        );
    }
}

async fn freeze(ledger: &SqliteLedger, people: usize, now: Timestamp) -> RunRecord {
    let run = NewRun {
        run: RunId::parse("spring@once").unwrap(),
        gateway: "chert".to_owned(),
        account: None,
        terms: Terms {
            retry: RetryPolicy {
                base: SignedDuration::from_millis(200),
                ..RetryPolicy::default()
            },
            ..Terms::default()
        },
        now,
        starts_at: now,
    };
    let rows = (0..people).map(|n| NewDelivery {
        row: u64::try_from(n).unwrap() + 1,
        recipient_key: None,
        phone: Some(Phone::from_e164(&phone(n)).unwrap()),
        timezone: None,
        plan: Planned::Send {
            message: Message {
                parts: vec![Part::Text {
                    value: "Your table is ready.".to_owned(),
                }],
            },
            line: LINES[n % 2].to_owned(),
            touch: sendoff::domain::cap::Touch::First,
        },
    });
    let mut freeze = ledger.freeze(&run).await.unwrap();
    freeze.add(rows.collect()).await.unwrap();
    freeze.seal(Vec::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_by_hours_holds_nobody_up_and_nothing_hurries() {
    let drive = Drive::through(60, |number| match number {
        15 => Step::Jump(-5 * HOURS),
        40 => Step::Jump(-90),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(60, 0..=0);
    drive.assert_all_sent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_by_hours_earns_no_burst() {
    let drive = Drive::through(60, |number| match number {
        15 => Step::Jump(5 * HOURS),
        40 => Step::Jump(-5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(60, 0..=0);
    drive.assert_all_sent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_wait_is_kept_when_the_clock_is_set_back_during_it() {
    let drive = Drive::through(30, |number| match number {
        10 => Step::WaitAndJump(3, -5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    let asked = drive.asked();
    let silent = asked
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .max()
        .unwrap();
    assert!(silent >= Duration::from_millis(2_990), "{silent:?}");
    drive.assert_once_and_paced(30, 1..=1);
    drive.assert_all_sent().await;
}

/// The wait has begun under the old clock, in the ledger and in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_providers_wait_is_not_hours_longer_for_a_clock_that_is_set_back() {
    let drive = Drive::through(30, |number| match number {
        10 => Step::WaitAndJump(2, 0),
        11 => Step::WaitAndJump(2, -5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_all_sent().await;
    assert!(drive.took < Duration::from_secs(12), "{:?}", drive.took);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_asked_for_again_when_the_clock_was_set_back() {
    let drive = Drive::through(20, |number| match number {
        5 => Step::SilenceAndJump(-5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(20, 1..=1);
    drive.assert_all_sent().await;
    let asked = drive.asked();
    let (_, lost) = &asked[5];
    let same = asked.iter().filter(|(_, request)| request == lost).count();
    assert_eq!(same, 2, "the same key and body");
}

/// By this clock the provider has forgotten the key. It may be wrong, and then a person is asked
/// for nothing; the other way round somebody would have two messages.
#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_left_to_a_person_when_the_clock_went_past_its_key() {
    let drive = Drive::through(20, |number| match number {
        5 => Step::SilenceAndJump(25 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(20, 0..=0);
    let states = drive.states().await;
    let uncertain = states
        .iter()
        .filter(|state| **state == DeliveryState::Uncertain);
    assert_eq!(uncertain.count(), 1, "{states:?}");
}
