//! A run that is driven by the engine itself, with a clock and a provider of the test's own: the
//! clock can be wrong, and the provider's answers step it. What that must not do is for the tests
//! to say.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::campaign::Terms;
use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::message::Media;
use sendoff::domain::outcome::{Failure, Outcome, Scope};
use sendoff::domain::pace::{Limit, Rate};
use sendoff::domain::receipt::Receipt;
use sendoff::domain::retry::RetryPolicy;
use sendoff::domain::window::Window;
use sendoff::engine::clock::Clock;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::tally::Tally;
use sendoff::gateway::{Asked, Envelope, Gateway, Line, Replies, Request, Sighting, Sought, Turns};
use sendoff::ledger::postgres::PostgresLedger;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, Limits, Owner, RunRecord, Worker};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{self, PATIENCE, PostgresDatabase};

pub(super) const HOURS: i64 = 3_600;

/// Goes with real time, and is stepped.
#[derive(Debug)]
struct SteppedClock {
    begun: Instant,
    start: Timestamp,
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
        self.start + passed + *self.ahead.lock().unwrap()
    }
}

/// What becomes of the n-th request, from 0.
pub(super) type Script = fn(usize) -> Step;

pub(super) enum Step {
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

    async fn state(&self, _: &Asked<'_>, _: &dyn Turns) -> Result<Receipt, Outcome> {
        Ok(Receipt::UnderWay)
    }

    async fn find(&self, _: &Sought<'_>, _: &dyn Turns) -> Result<Sighting, Outcome> {
        Ok(Sighting::Unclear {
            why: "nobody looks",
        })
    }

    async fn replies(
        &self,
        _since: Option<Timestamp>,
        _: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome> {
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

/// Where a drive's ledger is; gone with the value.
#[derive(Debug)]
enum Store {
    File { _folder: TempDir },
    Database { _database: PostgresDatabase },
}

/// A run that was driven.
pub(super) struct Drive {
    _store: Store,
    pub(super) engine: Engine,
    pub(super) ended: Ended,
    gateway: Arc<Scripted>,
    pub(super) took: Duration,
}

impl Drive {
    /// Sends to `people` at 20 a second and no two at once, and finishes.
    pub(super) async fn through(people: usize, script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
        let store = Store::File { _folder: folder };
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        let drive = Self::on(store, Arc::new(ledger), (start, None), people, script).await;
        assert_eq!(drive.ended, Ended::Finished);
        drive
    }

    /// The same on a server whose clock decides, by a process whose clock is `ahead` seconds
    /// ahead of it; leaves when nothing is due.
    pub(super) async fn apart(
        ahead: i64,
        window: Option<Window>,
        people: usize,
        script: Script,
    ) -> Self {
        let database = PostgresDatabase::default();
        let ledger = PostgresLedger::open(&database.url().await).await.unwrap();
        let start = Timestamp::now() + SignedDuration::from_secs(ahead);
        let store = Store::Database {
            _database: database,
        };
        Self::on(store, Arc::new(ledger), (start, window), people, script).await
    }

    async fn on(
        store: Store,
        ledger: Arc<dyn Ledger>,
        (start, window): (Timestamp, Option<Window>),
        people: usize,
        script: Script,
    ) -> Self {
        assert_eq!(ledger.take_place().await.unwrap(), None);
        let clock = Arc::new(SteppedClock {
            begun: Instant::now(),
            start,
            ahead: Mutex::default(),
        });
        let when_idle = window.as_ref().map_or(WhenIdle::Wait, |_| WhenIdle::Leave);
        let run = freeze(&*ledger, people, window, clock.now()).await;
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
            ledger,
            gateway: gateway.clone(),
            clock,
            run,
            limits: Limits {
                account: limit.into(),
                ..Limits::default()
            },
            guard: Guard::of(limit.into()),
            ears: Ears::default(),
            tally: Arc::new(Tally::new(counts)),
        };
        let session = Session {
            owner: Owner("me".to_owned()),
            worker: Worker("me".to_owned()),
            share: None,
            limit: None,
            only: None,
            when_idle,
            seed: 1,
        };
        let begun = Instant::now();
        let shutdown = Shutdown::default();
        let driven = dispatch(&engine, &session, &shutdown);
        let ended = tokio::time::timeout(PATIENCE, driven).await;
        Self {
            _store: store,
            ended: ended.expect("the clock does not hold it up").unwrap(),
            engine,
            gateway,
            took: begun.elapsed(),
        }
    }

    pub(super) fn asked(&self) -> Vec<(Instant, Request)> {
        self.gateway.asked.lock().unwrap().clone()
    }

    /// Each person was asked for under one key, and not more often than so; never faster than the
    /// limit.
    pub(super) fn assert_once_and_paced(&self, people: usize, extra: RangeInclusive<usize>) {
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

    pub(super) async fn states(&self) -> Vec<DeliveryState> {
        let all = self
            .engine
            .ledger
            .deliveries(&self.engine.run.run, None, 1_000);
        all.await.unwrap().iter().map(|one| one.state).collect()
    }

    pub(super) async fn assert_all_sent(&self) {
        let states = self.states().await;
        assert!(
            states.iter().all(|state| *state == DeliveryState::Sent),
            "{states:?}"
        );
    }
}

async fn freeze(
    ledger: &dyn Ledger,
    people: usize,
    window: Option<Window>,
    now: Timestamp,
) -> RunRecord {
    let terms = Terms {
        retry: RetryPolicy {
            base: SignedDuration::from_millis(200),
            ..RetryPolicy::default()
        },
        window,
        ..Terms::default()
    };
    support::freeze(ledger, people, terms, now).await
}
