//! What people answer while messages go out, told by a stream that is opened, closed, cut, late,
//! doubled or not there at all. The provider is the test's own and does as it is told; the engine
//! and both ledgers are the real ones.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::address::Address;
use sendoff::domain::campaign::Terms;
use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::message::Media;
use sendoff::domain::outcome::{Class, Failure, Outcome, Scope};
use sendoff::domain::receipt::Receipt;
use sendoff::engine::clock::SystemClock;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::tally::Tally;
use sendoff::gateway::{
    Asked, Envelope, Gateway, Line, Replies, Reply, Request, Sighting, Sought, Telling, Told, Turns,
};
use sendoff::ledger::postgres::PostgresLedger;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{DeliveryRecord, Held, Ledger, Limits, Owner, RunRecord, Worker};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{self, LINES, On, PATIENCE, PostgresDatabase, phone, until};

/// As far as the engine's own looks at the log are apart, and as much again for a slow machine.
const LOOK: Duration = Duration::from_secs(12);

/// What the provider does when the stream is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    Open,
    None,
    /// No answer ever comes.
    Hang,
}

/// A provider that sends when it is let, and tells what the test tells it.
#[derive(Debug)]
struct Mouth {
    streams: Streams,
    /// A send waits for one of these.
    sends: Semaphore,
    sent_to: Mutex<Vec<String>>,
    log: Mutex<Vec<Reply>>,
    looks: Mutex<usize>,
    /// The next look at the log is to wait so long.
    busy: Mutex<Option<SignedDuration>>,
    /// From when on each stream was asked for.
    asked_since: Mutex<Vec<Option<Timestamp>>>,
    current: Mutex<Option<mpsc::UnboundedSender<Told>>>,
}

#[derive(Debug)]
struct Stream(mpsc::UnboundedReceiver<Told>);

#[async_trait]
impl Telling for Stream {
    async fn next(&mut self) -> Told {
        let told = self.0.recv().await;
        told.unwrap_or(Told::Broken("the test has ended it"))
    }
}

#[async_trait]
impl Gateway for Mouth {
    fn key_retention(&self) -> Option<SignedDuration> {
        Some(SignedDuration::from_hours(24))
    }

    fn timeout(&self) -> SignedDuration {
        SignedDuration::from_secs(60)
    }

    fn request(&self, envelope: &Envelope<'_>) -> Request {
        Request {
            path: envelope.to.expose().to_owned(),
            body: envelope.key.as_str().to_owned().into(),
        }
    }

    async fn send(&self, request: &Request) -> Outcome {
        let number = {
            let mut sent_to = self.sent_to.lock().unwrap();
            sent_to.push(request.path.clone());
            sent_to.len()
        };
        self.sends.acquire().await.unwrap().forget();
        Outcome::Accepted {
            message_id: Some(format!("m-{number}")),
            chat_id: Some(format!("c-{number}")),
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

    async fn lines(&self) -> Result<Vec<Line>, Outcome> {
        Ok(Vec::new())
    }

    async fn replies(
        &self,
        _: Option<Timestamp>,
        _: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome> {
        *self.looks.lock().unwrap() += 1;
        if let Some(wait) = self.busy.lock().unwrap().take() {
            return Err(Outcome::Retry {
                after: Some(wait),
                scope: Scope::Account,
                failure: Failure::default(),
            });
        }
        let replies = self.log.lock().unwrap().clone();
        Ok(Some(Replies {
            read_to: replies
                .iter()
                .map(|reply| reply.at - SignedDuration::from_mins(10))
                .max(),
            replies,
            unreadable: 0,
        }))
    }

    async fn stream(
        &self,
        since: Option<Timestamp>,
        _turns: &dyn Turns,
    ) -> Result<Option<Box<dyn Telling>>, Outcome> {
        self.asked_since.lock().unwrap().push(since);
        match self.streams {
            Streams::None => Ok(None),
            Streams::Hang => std::future::pending().await,
            Streams::Open => {
                let (sender, receiver) = mpsc::unbounded_channel();
                *self.current.lock().unwrap() = Some(sender);
                Ok(Some(Box::new(Stream(receiver))))
            }
        }
    }
}

fn says(event: &str, person: usize, text: &str, at: Timestamp) -> Reply {
    Reply {
        event_id: event.to_owned(),
        phone: Address::stored(&phone(person)).unwrap(),
        channel: None,
        line: LINES[0].to_owned(),
        chat_id: None,
        text: text.to_owned(),
        at,
    }
}

/// A run that is being sent.
struct Scene {
    mouth: Arc<Mouth>,
    ledger: Arc<dyn Ledger>,
    run: RunRecord,
    ears: Ears,
    shutdown: Shutdown,
    now: Timestamp,
    _folder: TempDir,
    _database: PostgresDatabase,
}

impl Scene {
    async fn new(on: On, people: usize, streams: Streams) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = PostgresDatabase::default();
        let ledger: Arc<dyn Ledger> = match on {
            On::Sqlite => {
                let path = folder.path().join("ledger.db");
                Arc::new(SqliteLedger::open(&path, Durability::None).await.unwrap())
            }
            On::Postgres => Arc::new(PostgresLedger::open(&database.url().await).await.unwrap()),
        };
        let now = Timestamp::now();
        let mut terms = Terms::default();
        terms.pace.concurrency = std::num::NonZeroU32::MIN;
        let run = support::freeze(&*ledger, people, terms, now).await;
        let mouth = Mouth {
            streams,
            sends: Semaphore::new(0),
            sent_to: Mutex::default(),
            log: Mutex::default(),
            looks: Mutex::default(),
            busy: Mutex::default(),
            asked_since: Mutex::default(),
            current: Mutex::default(),
        };
        Self {
            mouth: Arc::new(mouth),
            ledger,
            run,
            ears: Ears::default(),
            shutdown: Shutdown::default(),
            now,
            _folder: folder,
            _database: database,
        }
    }

    /// One part in the run, in this process.
    fn part(&self, name: &str, limit: Option<u64>) -> JoinHandle<Ended> {
        let engine = Engine {
            ledger: self.ledger.clone(),
            gateway: self.mouth.clone(),
            clock: Arc::new(SystemClock),
            run: self.run.clone(),
            limits: Limits::default(),
            guard: Guard::default(),
            ears: self.ears.clone(),
            tally: Arc::new(Tally::default()),
        };
        let session = Session {
            owner: Owner(name.to_owned()),
            worker: Worker(name.to_owned()),
            share: None,
            limit,
            only: None,
            when_idle: WhenIdle::Wait,
            seed: 1,
        };
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { dispatch(&engine, &session, &shutdown).await.unwrap() })
    }

    fn start(&self) -> JoinHandle<Ended> {
        self.part("me", None)
    }

    fn openings(&self) -> Vec<Option<Timestamp>> {
        self.mouth.asked_since.lock().unwrap().clone()
    }

    async fn until_opened(&self, count: usize) {
        until(&format!("{count} streams"), async || {
            (self.openings().len() >= count && self.mouth.current.lock().unwrap().is_some())
                .then_some(())
        })
        .await;
    }

    fn tell(&self, told: Told) {
        let current = self.mouth.current.lock().unwrap();
        current.as_ref().expect("a stream").send(told).unwrap();
    }

    /// The stream ends so, and is opened again.
    async fn end_stream(&self, how: Told) {
        let count = self.openings().len() + 1;
        let ended = self.mouth.current.lock().unwrap().take();
        ended.expect("a stream").send(how).unwrap();
        self.until_opened(count).await;
    }

    fn says(&self, event: &str, person: usize, text: &str, seconds: i64) -> Reply {
        let at = self.now + SignedDuration::from_secs(seconds);
        says(event, person, text, at)
    }

    async fn is_listed(&self, person: usize) -> bool {
        let phone = Address::stored(&phone(person)).unwrap();
        let listed = self.ledger.suppressed("chert", &[&phone]).await.unwrap();
        !listed.is_empty()
    }

    async fn until_listed(&self, person: usize) {
        until("the STOP in the ledger", async || {
            self.is_listed(person).await.then_some(())
        })
        .await;
    }

    fn sent_to(&self) -> Vec<String> {
        self.mouth.sent_to.lock().unwrap().clone()
    }

    async fn until_sends(&self, count: usize) {
        until(&format!("{count} sends"), async || {
            (self.sent_to().len() >= count).then_some(())
        })
        .await;
    }

    async fn in_state(&self, state: DeliveryState) -> Vec<DeliveryRecord> {
        let run = &self.run.run;
        self.ledger.in_state(run, state, 1_000).await.unwrap()
    }

    async fn finish(&self, part: JoinHandle<Ended>) {
        self.mouth.sends.add_permits(10_000);
        let ended = tokio::time::timeout(PATIENCE, part).await;
        assert_eq!(ended.expect("it ends").unwrap(), Ended::Finished);
    }
}

fn is(one: &DeliveryRecord, person: &str) -> bool {
    one.phone
        .as_ref()
        .is_some_and(|phone| phone.expose() == person)
}

fn stop_of(reply: Reply) -> Told {
    Told::Reply(Box::new(reply))
}

pub(super) async fn what_was_begun_and_is_not_on_the_wire_is_taken_back_by_a_stop(on: On) {
    let scene = Scene::new(on, 30, Streams::Open).await;
    let part = scene.start();
    scene.until_opened(1).await;
    scene.until_sends(1).await;
    // One is on the wire; many others are begun and wait for it.
    let begun = until("many begun", async || {
        let begun = scene.in_state(DeliveryState::Sending).await;
        (begun.len() >= 10).then_some(begun)
    })
    .await;
    let on_the_wire = scene.sent_to().remove(0);
    let numbers: Vec<usize> = (0..30)
        .filter(|n| {
            let phone = phone(*n);
            phone != on_the_wire && begun.iter().any(|one| is(one, &phone))
        })
        .collect();
    let stopped = [numbers[0], numbers[numbers.len() - 1]];
    let wired = (0..30).find(|n| phone(*n) == on_the_wire).unwrap();
    for (n, person) in (0..).zip([stopped[0], stopped[1], wired]) {
        scene.tell(stop_of(scene.says(&format!("e-{n}"), person, "STOP", 1)));
        scene.until_listed(person).await;
    }
    scene.finish(part).await;
    let sent_to = scene.sent_to();
    assert_eq!(sent_to.len(), 28, "everybody else is written to once");
    let skipped = scene.in_state(DeliveryState::Skipped).await;
    assert_eq!(skipped.len(), 2);
    for person in stopped {
        let phone = phone(person);
        assert!(!sent_to.contains(&phone), "it left after the STOP");
        let left_out = skipped.iter().find(|one| is(one, &phone)).unwrap();
        let history = scene.ledger.history(&scene.run.run, left_out.id).await;
        let attempts = history.unwrap().attempts;
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].class, Class::NotSent);
    }
    assert_eq!(scene.in_state(DeliveryState::Sent).await.len(), 28);
}

pub(super) async fn answers_count_once_in_whatever_order_and_by_whichever_ear(on: On) {
    let scene = Scene::new(on, 6, Streams::Open).await;
    // Said before the run, told late, and by somebody in no run.
    scene
        .mouth
        .log
        .lock()
        .unwrap()
        .push(scene.says("old", 5, "STOP", -60));
    let part = scene.start();
    scene.until_opened(1).await;
    scene.until_sends(1).await;
    assert!(scene.is_listed(5).await);
    // START was said last and is told first; then the same again.
    for _ in 0..2 {
        scene.tell(stop_of(scene.says("start", 4, "START", 9)));
        scene.tell(stop_of(scene.says("stop", 4, "STOP", 7)));
    }
    scene.tell(stop_of(scene.says("old", 5, "STOP", -60)));
    scene.tell(Told::Unreadable);
    scene.tell(stop_of(scene.says("stranger", 900, "STOP", 3)));
    scene.until_listed(900).await;
    // The log tells all of it once more, and one that the stream has kept to itself.
    {
        let mut log = scene.mouth.log.lock().unwrap();
        log.push(scene.says("stop", 4, "STOP", 7));
        log.push(scene.says("start", 4, "START", 9));
        log.push(scene.says("stranger", 900, "STOP", 3));
        log.push(scene.says("hushed", 3, "STOP", 5));
    }
    scene.until_listed(3).await;
    assert!(!scene.is_listed(4).await, "the newest word counts");
    let person = Address::stored(&phone(4)).unwrap();
    let said = scene.ledger.opt_outs_of(&person).await.unwrap();
    assert_eq!(said.len(), 2, "each word is kept once: {said:?}");
    scene.finish(part).await;
    let sent_to: HashSet<String> = scene.sent_to().into_iter().collect();
    assert!(sent_to.contains(&phone(4)) && !sent_to.contains(&phone(5)));
}

pub(super) async fn a_stream_that_ends_is_opened_again_from_where_it_was_and_the_log_is_read(
    on: On,
) {
    let scene = Scene::new(on, 6, Streams::Open).await;
    let part = scene.start();
    scene.until_opened(1).await;
    scene
        .mouth
        .log
        .lock()
        .unwrap()
        .push(scene.says("first", 900, "STOP", 0));
    scene.until_listed(900).await;
    let looks = || *scene.mouth.looks.lock().unwrap();
    let before = looks();
    until("how far was read to be known", async || {
        (looks() > before).then_some(())
    })
    .await;
    // Said while no stream was open.
    scene
        .mouth
        .log
        .lock()
        .unwrap()
        .push(scene.says("between", 901, "STOP", 2));
    let before = looks();
    scene.end_stream(Told::Closed).await;
    scene.until_listed(901).await;
    assert!(looks() > before);
    scene.end_stream(Told::Broken("cut")).await;
    scene.tell(stop_of(scene.says("last", 902, "STOP", 4)));
    scene.until_listed(902).await;
    let openings = scene.openings();
    assert_eq!(openings[0], None, "nothing was known yet");
    let overlap = SignedDuration::from_mins(10);
    for since in &openings[1..] {
        let since = since.expect("it goes on where it was");
        assert!(
            since >= scene.now - overlap - SignedDuration::from_secs(1),
            "{since}"
        );
        assert!(since <= scene.now, "{since}");
    }
    scene.finish(part).await;
}

/// A part that sends, and has asked for the stream.
async fn asked_for_its_stream(on: On, streams: Streams) -> (Scene, JoinHandle<Ended>) {
    let scene = Scene::new(on, 6, streams).await;
    let part = scene.start();
    scene.until_sends(1).await;
    until("the stream is asked for", async || {
        (!scene.openings().is_empty()).then_some(())
    })
    .await;
    (scene, part)
}

pub(super) async fn without_a_stream_or_with_one_that_says_nothing_the_log_is_enough(on: On) {
    for streams in [Streams::None, Streams::Open, Streams::Hang] {
        let (scene, part) = asked_for_its_stream(on, streams).await;
        let begun = Instant::now();
        scene
            .mouth
            .log
            .lock()
            .unwrap()
            .push(scene.says("e", 900, "STOP", 1));
        scene.until_listed(900).await;
        assert!(begun.elapsed() < LOOK, "{streams:?}: {:?}", begun.elapsed());
        assert_eq!(scene.openings().len(), 1, "{streams:?}");
        scene.finish(part).await;
    }
}

pub(super) async fn a_wait_that_the_log_is_read_with_holds_everybody(on: On) {
    let (scene, part) = asked_for_its_stream(on, Streams::None).await;
    let wait = SignedDuration::from_secs(2);
    *scene.mouth.busy.lock().unwrap() = Some(wait);
    let gate = until("the wait in the ledger", async || {
        let now = Timestamp::now();
        let gates = scene.ledger.gates("chert", now).await.unwrap();
        gates.into_iter().find(|gate| gate.held == Held::Account)
    })
    .await;
    assert!(gate.until <= Timestamp::now() + wait, "{gate:?}");
    scene.finish(part).await;
}

pub(super) async fn a_stream_does_not_hold_up_a_stop_of_the_process(on: On) {
    for streams in [Streams::Hang, Streams::Open] {
        let (scene, part) = asked_for_its_stream(on, streams).await;
        scene.shutdown.stop.cancel();
        scene.mouth.sends.add_permits(1);
        let begun = Instant::now();
        let ended = tokio::time::timeout(PATIENCE, part).await;
        assert_eq!(ended.expect("it ends").unwrap(), Ended::Interrupted);
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
}

pub(super) async fn the_parts_of_a_process_share_one_listener_until_the_last_has_left(on: On) {
    let scene = Scene::new(on, 6, Streams::Open).await;
    let first = scene.part("first", Some(1));
    scene.until_opened(1).await;
    scene.until_sends(1).await;
    let second = scene.part("second", None);
    scene.until_sends(2).await;
    scene.mouth.sends.add_permits(2);
    let ended = tokio::time::timeout(PATIENCE, first).await;
    assert_eq!(ended.expect("it ends").unwrap(), Ended::LimitReached);
    scene.tell(stop_of(scene.says("e", 900, "STOP", 1)));
    scene.until_listed(900).await;
    assert_eq!(scene.openings().len(), 1, "one for both");
    scene.finish(second).await;
    let open = scene.mouth.current.lock().unwrap().take().unwrap();
    assert!(open.is_closed(), "nobody listens any more");
}
