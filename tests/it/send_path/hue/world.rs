//! A sandbox, a ledger and processes of HueChat's within the test, all by one clock: a process is a
//! runtime, killed by ending the whole of it at once, and hours go by as fast as nothing is due.
//! The sandbox's record is the oracle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use sendoff::domain::account::{HueChatAccount, Plan, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::campaign::Terms;
use sendoff::domain::cap::Touch;
use sendoff::domain::channel::Channel;
use sendoff::domain::contact::Contact;
use sendoff::domain::message::{Message, Part};
use sendoff::domain::pace::DayLimit;
use sendoff::domain::retry::RetryPolicy;
use sendoff::domain::run::RunId;
use sendoff::engine::clock::Clock as _;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::tally::Tally;
use sendoff::gateway::huechat::HueChat;
use sendoff::ledger::postgres::{PostgresLedger, Time};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{
    AccountLimits, DeliveryRecord, Ledger, Limits, NewDelivery, NewRun, Owner, Planned, RunRecord,
    Worker,
};
use sendoff::sandbox::{
    Clock as SandboxClock, FaultPlan, HueConfig, HuePlan, HueWindow, Sandbox, SandboxConfig,
};
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use crate::send_path::books;
use crate::send_path::caps::{DayClock, served};
use crate::support::{On, PATIENCE, PostgresDatabase, until};

const KEY: &str = "sk_test_bistro";
pub(super) const GATEWAY: &str = "whatsapp";
/// Of a delivery.
pub(super) const TRIES: usize = 40;
/// For so long a process of PostgreSQL's counts as alive that is not heard of: longer than the
/// clock is put forward between two of its heartbeats.
const HEARTBEAT: SignedDuration = SignedDuration::from_mins(2);

/// Where the ledger is.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Server(String),
}

impl Place {
    async fn open(&self) -> Arc<dyn Ledger> {
        match self {
            Self::File(path) => Arc::new(SqliteLedger::open(path, Durability::None).await.unwrap()),
            Self::Server(url) => {
                let ledger = PostgresLedger::open_with(url, Time::Caller, HEARTBEAT).await;
                Arc::new(ledger.unwrap())
            }
        }
    }
}

/// A sandbox and a ledger, by one clock.
pub(super) struct World {
    place: Place,
    pub(super) clock: Arc<DayClock>,
    pub(super) sandbox: Sandbox,
    plan: Plan,
    pub(super) hurry: SignedDuration,
    /// Of a request.
    pub(super) timeout: SignedDuration,
    _folder: TempDir,
    database: Option<PostgresDatabase>,
    _end: DropGuard,
}

/// Ordinary people: no number of the block that decides what becomes of a message.
pub(super) fn person(n: usize) -> Address {
    Address::stored(&format!("+1{:03}55501{:02}", 200 + n / 80, 20 + n % 80)).unwrap()
}

pub(super) fn template(n: usize) -> Part {
    let values = [
        format!("Person {n}"),
        format!("A-{n}"),
        "12.50".into(),
        "Monday".into(),
    ];
    let numbered = values.into_iter().enumerate();
    Part::Template {
        name: "order_confirmation".to_owned(),
        language: None,
        parameters: numbered
            .map(|(at, value)| ((at + 1).to_string(), value))
            .collect(),
    }
}

pub(super) fn words(n: usize) -> Part {
    Part::Text {
        value: format!("Hi Person {n}, your table is ready."),
        subject: None,
    }
}

impl World {
    pub(super) async fn new(on: On, plan: Plan, huechat: HueConfig) -> Self {
        let clock = Arc::new(DayClock::new());
        let shown = clock.clone();
        let config = SandboxConfig {
            huechat,
            clock: SandboxClock::new(move || shown.now()),
            ..SandboxConfig::default()
        };
        let (sandbox, end) = served(config).await;
        let folder = tempfile::tempdir().unwrap();
        let database = (on == On::Postgres).then(PostgresDatabase::default);
        let place = match &database {
            None => Place::File(folder.path().join("ledger.db")),
            Some(database) => Place::Server(database.url().await),
        };
        Self {
            place,
            clock,
            sandbox,
            plan,
            hurry: SignedDuration::from_secs(20),
            timeout: SignedDuration::from_millis(400),
            _folder: folder,
            database,
            _end: end,
        }
    }

    pub(super) async fn unlimited(on: On) -> Self {
        let huechat = HueConfig {
            plan: HuePlan::Unlimited,
            window: HueWindow::Off,
            ..HueConfig::default()
        };
        Self::new(on, Plan::NONE, huechat).await
    }

    pub(super) fn faults(&self, rules: &serde_json::Value) {
        let plan = serde_json::json!({ "seed": 7, "rules": rules });
        let plan = FaultPlan::parse(plan.to_string().as_bytes());
        self.sandbox.set_faults(plan.unwrap());
    }

    pub(super) async fn ledger(&self) -> Arc<dyn Ledger> {
        self.place.open().await
    }

    fn limits(&self) -> AccountLimits {
        AccountLimits {
            rate: self.plan.limit(),
            per_day: self.plan.per_day.map(DayLimit),
        }
    }

    pub(super) async fn freeze(
        &self,
        name: &str,
        people: usize,
        part: fn(usize) -> Part,
    ) -> RunRecord {
        self.freeze_as(name, people, part, Terms::default()).await
    }

    pub(super) async fn freeze_as(
        &self,
        name: &str,
        people: usize,
        part: fn(usize) -> Part,
        terms: Terms,
    ) -> RunRecord {
        let now = self.clock.now();
        let channel = terms.channel.unwrap_or(Channel::Whatsapp);
        let run = NewRun {
            run: RunId::parse(name).unwrap(),
            gateway: GATEWAY.to_owned(),
            account: None,
            terms: Terms {
                channel: Some(channel),
                retry: RetryPolicy {
                    attempts: u32::try_from(TRIES).unwrap(),
                    ..RetryPolicy::default()
                },
                ..terms
            },
            now,
            starts_at: now,
        };
        let rows = (0..people).map(|n| NewDelivery {
            row: u64::try_from(n).unwrap() + 1,
            recipient_key: None,
            phone: Some(person(n)),
            timezone: None,
            plan: Planned::Send {
                message: Message {
                    parts: vec![part(n)],
                    contact: Some(Contact {
                        first_name: format!("Person {n}"),
                        last_name: None,
                    }),
                },
                line: channel.as_str().to_owned(),
                touch: Touch::First,
            },
        });
        let ledger = self.ledger().await;
        let mut freeze = ledger.freeze(&run).await.unwrap();
        freeze.add(rows.collect()).await.unwrap();
        freeze.seal(Vec::new()).await.unwrap()
    }

    /// One process, from its first claim to its end or its death.
    pub(super) fn process(&self, run: &RunRecord, name: String) -> Process {
        let account = HueChatAccount {
            base_url: self.sandbox.huechat_url(),
            api_key: SecretSource::Env(String::new()),
            plan: self.plan,
            timeout: self.timeout,
            webhook: None,
        };
        let (clock, run, limits) = (self.clock.clone(), run.clone(), self.limits());
        let place = self.place.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let ended = runtime.spawn(async move {
            let shown = clock.clone();
            let gateway = HueChat::new(
                &account,
                KEY.to_owned().into(),
                Arc::new(move || shown.now()),
            );
            let engine = Engine {
                ledger: place.open().await,
                gateway: Arc::new(gateway.unwrap()),
                clock,
                run,
                limits: Limits {
                    account: limits,
                    ..Limits::default()
                },
                guard: Guard::of(limits),
                ears: Ears::default(),
                tally: Arc::new(Tally::default()),
            };
            let session = Session {
                worker: Worker(name.clone()),
                share: None,
                owner: Owner(name),
                limit: None,
                only: None,
                when_idle: WhenIdle::Leave,
                seed: 1,
            };
            dispatch(&engine, &session, &Shutdown::default())
                .await
                .unwrap()
        });
        Process {
            clock: self.clock.clone(),
            hurry: self.hurry,
            runtime: Some(runtime),
            ended,
        }
    }

    /// Sends until nothing is open; where nothing is due, the clock goes on.
    pub(super) async fn send(&self, run: &RunRecord) -> Ended {
        for round in 0..500 {
            let ended = self.process(run, format!("last-{round}")).end().await;
            let Ended::Idle { next_at } = ended else {
                return ended;
            };
            self.clock.forward_to(next_at);
        }
        panic!("never finished");
    }

    pub(super) async fn deliveries(&self, run: &RunRecord) -> Vec<DeliveryRecord> {
        let ledger = self.ledger().await;
        ledger.deliveries(&run.run, None, 10_000).await.unwrap()
    }

    /// Whoever was killed counts as gone: beside a file at once, on a server after some silence.
    pub(super) async fn bury_the_killed(&self) {
        if let Some(database) = &self.database {
            database.run("UPDATE owners SET alive_until = 0").await;
        }
    }

    /// Waits until somebody has seen that a doubt cannot be settled for now.
    pub(super) async fn until_put_off(&self) {
        let soon = self.clock.now().as_millisecond() + 15_000;
        let file = match &self.place {
            Place::File(path) => &**path,
            Place::Server(_) => Path::new(""),
        };
        until("the doubt to be put off", async || {
            let put_off = books::put_off(file, self.database.as_ref(), soon).await;
            (put_off > 0).then_some(())
        })
        .await;
    }

    /// How many messages each person has.
    pub(super) fn received(&self) -> BTreeMap<String, usize> {
        let mut by_person = BTreeMap::new();
        for message in self.sandbox.hue_messages() {
            *by_person.entry(message.phone.unwrap()).or_default() += 1;
        }
        by_person
    }
}

pub(super) struct Process {
    clock: Arc<DayClock>,
    /// By how much the clock is put forward in a second; less than a lease lasts.
    hurry: SignedDuration,
    runtime: Option<tokio::runtime::Runtime>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl Process {
    /// Nothing of it goes on, as after `kill -9`; what it has sent is sent.
    pub(super) fn kill(mut self) -> bool {
        let was_alive = !self.ended.is_finished();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        was_alive
    }

    pub(super) async fn end(mut self) -> Ended {
        let begun = tokio::time::Instant::now();
        loop {
            // Whoever waits for something asks the clock about once a second.
            let ended = tokio::time::timeout(Duration::from_secs(1), &mut self.ended).await;
            if let Ok(ended) = ended {
                if let Some(runtime) = self.runtime.take() {
                    runtime.shutdown_background();
                }
                return ended.unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "it never ends");
            let hurry = self.hurry;
            self.clock.forward_to(self.clock.now() + hurry);
        }
    }
}
