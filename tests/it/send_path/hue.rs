//! The send path on a provider that knows no keys. Processes are killed by ending their whole
//! runtime at once, hours go by as fast as nothing is due, and the sandbox's record is the oracle.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::{HueChatAccount, Plan, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::campaign::{OnUncertain, Terms};
use sendoff::domain::cap::Touch;
use sendoff::domain::channel::Channel;
use sendoff::domain::contact::Contact;
use sendoff::domain::delivery::{DeliveryState, SkipReason};
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
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{
    AccountLimits, DeliveryRecord, Ledger, Limits, NewDelivery, NewRun, Owner, Planned, RunRecord,
    Worker,
};
use sendoff::sandbox::{
    Clock as SandboxClock, FaultPlan, HueConfig, HueIncoming, HuePlan, HueWindow, Sandbox,
    SandboxConfig,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::caps::DayClock;
use super::soak::told;
use crate::support::{PATIENCE, until};

const KEY: &str = "sk_test_bistro";
const GATEWAY: &str = "whatsapp";

/// A sandbox and a ledger, by one clock.
struct World {
    folder: TempDir,
    clock: Arc<DayClock>,
    sandbox: Sandbox,
    plan: Plan,
    hurry: SignedDuration,
    _end: DropGuard,
}

/// Ordinary people: no number of the block that decides what becomes of a message.
fn person(n: usize) -> Address {
    Address::stored(&format!("+1{:03}55501{:02}", 200 + n / 80, 20 + n % 80)).unwrap()
}

fn template(n: usize) -> Part {
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

fn words(n: usize) -> Part {
    Part::Text {
        value: format!("Hi Person {n}, your table is ready."),
        subject: None,
    }
}

impl World {
    async fn new(plan: Plan, huechat: HueConfig) -> Self {
        let clock = Arc::new(DayClock::new());
        let shown = clock.clone();
        let config = SandboxConfig {
            huechat,
            clock: SandboxClock::new(move || shown.now()),
            ..SandboxConfig::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::new(config, listener.local_addr().unwrap()).unwrap();
        let end = CancellationToken::new();
        let (serving, stop) = (sandbox.clone(), end.clone());
        tokio::spawn(async move { serving.serve(listener, stop).await });
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            sandbox,
            plan,
            hurry: SignedDuration::from_secs(20),
            _end: end.drop_guard(),
        }
    }

    async fn unlimited() -> Self {
        let huechat = HueConfig {
            plan: HuePlan::Unlimited,
            window: HueWindow::Off,
            ..HueConfig::default()
        };
        Self::new(Plan::NONE, huechat).await
    }

    fn faults(&self, rules: &serde_json::Value) {
        let plan = serde_json::json!({ "seed": 7, "rules": rules });
        let plan = FaultPlan::parse(plan.to_string().as_bytes());
        self.sandbox.set_faults(plan.unwrap());
    }

    async fn ledger(&self) -> Arc<dyn Ledger> {
        let path = self.folder.path().join("ledger.db");
        Arc::new(SqliteLedger::open(&path, Durability::None).await.unwrap())
    }

    fn limits(&self) -> AccountLimits {
        AccountLimits {
            rate: self.plan.limit(),
            per_day: self.plan.per_day.map(DayLimit),
        }
    }

    async fn freeze(&self, name: &str, people: usize, part: fn(usize) -> Part) -> RunRecord {
        self.freeze_as(name, people, part, Terms::default()).await
    }

    async fn freeze_as(
        &self,
        name: &str,
        people: usize,
        part: fn(usize) -> Part,
        terms: Terms,
    ) -> RunRecord {
        let now = self.clock.now();
        let run = NewRun {
            run: RunId::parse(name).unwrap(),
            gateway: GATEWAY.to_owned(),
            account: None,
            terms: Terms {
                channel: Some(Channel::Whatsapp),
                retry: RetryPolicy {
                    attempts: 40,
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
                line: "whatsapp".to_owned(),
                touch: Touch::First,
            },
        });
        let ledger = self.ledger().await;
        let mut freeze = ledger.freeze(&run).await.unwrap();
        freeze.add(rows.collect()).await.unwrap();
        freeze.seal(Vec::new()).await.unwrap()
    }

    /// One process, from its first claim to its end or its death.
    fn process(&self, run: &RunRecord, name: String) -> Process {
        let account = HueChatAccount {
            base_url: self.sandbox.huechat_url(),
            api_key: SecretSource::Env(String::new()),
            plan: self.plan,
            timeout: SignedDuration::from_millis(400),
            webhook: None,
        };
        let (clock, run, limits) = (self.clock.clone(), run.clone(), self.limits());
        let path = self.folder.path().join("ledger.db");
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
            let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
            let engine = Engine {
                ledger: Arc::new(ledger),
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
    async fn send(&self, run: &RunRecord) -> Ended {
        for round in 0..500 {
            let ended = self.process(run, format!("last-{round}")).end().await;
            let Ended::Idle { next_at } = ended else {
                return ended;
            };
            self.clock.forward_to(next_at);
        }
        panic!("never finished");
    }

    async fn deliveries(&self, run: &RunRecord) -> Vec<DeliveryRecord> {
        let ledger = self.ledger().await;
        ledger.deliveries(&run.run, None, 10_000).await.unwrap()
    }

    /// How many messages each person has.
    fn received(&self) -> BTreeMap<String, usize> {
        let mut by_person = BTreeMap::new();
        for message in self.sandbox.hue_messages() {
            *by_person.entry(message.phone.unwrap()).or_default() += 1;
        }
        by_person
    }
}

struct Process {
    clock: Arc<DayClock>,
    /// By how much the clock is put forward in a second; less than a lease lasts.
    hurry: SignedDuration,
    runtime: Option<tokio::runtime::Runtime>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl Process {
    /// Nothing of it goes on, as after `kill -9`; what it has sent is sent.
    fn kill(mut self) -> bool {
        let was_alive = !self.ended.is_finished();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        was_alive
    }

    async fn end(mut self) -> Ended {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_new_person_costs_two_requests_and_a_known_one_costs_one() {
    let world = World::unlimited().await;
    let run = world.freeze("first@once", 30, template).await;
    let of_messages = |world: &World| {
        let report = world.sandbox.hue_report();
        let asked = |route: &str| {
            let routes = report.requests.iter();
            routes
                .filter(|(name, _)| name.ends_with(route))
                .map(|(_, n)| *n)
                .sum::<usize>()
        };
        (asked("POST /v2/contact"), asked("/message"))
    };
    assert_eq!(world.send(&run).await, Ended::Finished);
    assert_eq!(of_messages(&world), (30, 30));
    let again = world.freeze("second@once", 30, template).await;
    assert_eq!(world.send(&again).await, Ended::Finished);
    assert_eq!(of_messages(&world), (30, 60), "they are known by now");
    assert!(world.received().values().all(|n| *n == 2));
}

/// Faults before and after a message was taken, each with this share.
fn every_fault(share: f64) -> Vec<serde_json::Value> {
    let routes = serde_json::json!(["hue_send", "hue_new_contact", "hue_messages"]);
    ["drop", "drop_before", "half_answer", "throttle"]
        .into_iter()
        .flat_map(|kind| {
            let routes = routes.as_array().unwrap().clone();
            routes.into_iter().map(move |route| {
                    serde_json::json!({ "kind": kind, "share": share, "match": { "route": route } })
                })
        })
        .chain([500, 502].map(|status| {
            serde_json::json!({ "kind": "error_after_accept", "status": status,
                    "share": share, "match": { "route": "hue_send" } })
        }))
        .collect()
}

/// Kills of a soak that is told nothing else.
const KILLS: u64 = 60;

#[expect(clippy::print_stderr, reason = "figures for people")]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_it_twice_without_keys_whatever_the_kills_and_faults() {
    let wanted = told("SENDOFF_SOAK_KILLS").unwrap_or(KILLS);
    let seed = told("SENDOFF_SOAK_SEED").unwrap_or(7);
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut kills, mut runs, mut people_in_all, mut uncertain, mut posts) = (0, 0, 0, 0, 0);
    while kills < wanted {
        let world = World::unlimited().await;
        let people = chance.usize(40..90);
        let share = 0.01 + chance.f64() * 0.05;
        let rules = every_fault(share);
        world.faults(&serde_json::Value::Array(rules));
        let run = world.freeze("order@once", people, template).await;
        let mut here = 0;
        for n in 0..25 {
            let process = world.process(&run, format!("p-{n}"));
            // A moment that no event marks is what a kill is to find.
            tokio::time::sleep(Duration::from_millis(chance.u64(5..120))).await;
            if !process.kill() {
                break;
            }
            here += 1;
            // Another one comes when leases are over or the look at what is in doubt is due.
            if chance.bool() {
                let minutes = SignedDuration::from_mins(chance.i64(1..15));
                world.clock.forward_to(world.clock.now() + minutes);
            }
        }
        kills += here;
        let ended = world.send(&run).await;
        assert_eq!(ended, Ended::Finished, "seed {seed}");
        let received = world.received();
        let ids: HashSet<String> = world
            .sandbox
            .hue_messages()
            .into_iter()
            .map(|message| message.message_id)
            .collect();
        for one in world.deliveries(&run).await {
            let got = received.get(one.phone.as_ref().unwrap().expose());
            let got = got.copied().unwrap_or(0);
            assert!(got <= 1, "row {} came {got} times, seed {seed}", one.row);
            if one.state == DeliveryState::Uncertain {
                uncertain += 1;
                continue;
            }
            let accepted = [
                DeliveryState::Sent,
                DeliveryState::Delivered,
                DeliveryState::Read,
            ];
            assert!(
                accepted.contains(&one.state),
                "row {}, seed {seed}",
                one.row
            );
            assert_eq!(got, 1, "row {} is said to be sent, seed {seed}", one.row);
            assert!(one.message_id.is_none_or(|id| ids.contains(&id)));
        }
        runs += 1;
        people_in_all += people;
        posts += ids.len();
    }
    eprintln!(
        "soak without keys: {kills} kills in {runs} runs, {people_in_all} people, {posts} messages, \
         0 twice, {uncertain} uncertain"
    );
    assert!(posts > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_got_no_answer_is_looked_for_after_a_minute_and_only_then_sent_again() {
    let world = World::unlimited().await;
    world.faults(&serde_json::json!([
        { "kind": "drop", "share": 1.0, "times": 2, "match": { "route": "hue_send" } },
        { "kind": "drop_before", "share": 1.0, "times": 2, "match": { "route": "hue_send" } },
    ]));
    let run = world.freeze("order@once", 6, template).await;
    assert_eq!(world.send(&run).await, Ended::Finished);
    let messages = world.sandbox.hue_messages().into_iter();
    let at: Vec<Timestamp> = messages.map(|one| one.sent_at.parse().unwrap()).collect();
    let (first, last) = (at.iter().min().unwrap(), at.iter().max().unwrap());
    let apart = last.duration_since(*first);
    assert!(apart >= SignedDuration::from_secs(55), "{apart:?}");
    let received = world.received();
    assert_eq!(received.len(), 6);
    assert!(received.values().all(|n| *n == 1), "{received:?}");
    let states = world.deliveries(&run).await;
    assert!(states.iter().all(|one| one.state == DeliveryState::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_can_tell_waits_for_a_person_unless_the_campaign_accepts_it_twice() {
    for (policy, state, got) in [
        (OnUncertain::Hold, DeliveryState::Uncertain, 1),
        (OnUncertain::Resend, DeliveryState::Sent, 2),
    ] {
        let world = World::unlimited().await;
        // The message is out, and its conversation cannot be read any more.
        world.faults(&serde_json::json!([
            { "kind": "drop", "share": 1.0, "times": 1, "match": { "route": "hue_send" } },
            { "kind": "error", "status": 404, "share": 1.0, "match": { "route": "hue_messages" } },
        ]));
        let terms = Terms {
            on_uncertain: policy,
            ..Terms::default()
        };
        let run = world.freeze_as("order@once", 1, template, terms).await;
        assert_eq!(world.send(&run).await, Ended::Finished);
        let delivery = world.deliveries(&run).await.remove(0);
        assert_eq!(delivery.state, state, "{policy:?}");
        assert_eq!(world.received().values().sum::<usize>(), got, "{policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn free_text_goes_only_to_people_who_have_written_within_a_day() {
    let world = World::unlimited().await;
    let hello = world.freeze("hello@once", 2, template).await;
    assert_eq!(world.send(&hello).await, Ended::Finished);
    let wrote = HueIncoming {
        channel: Channel::Whatsapp,
        from: person(0).expose().to_owned(),
        text: "Is it ready?".to_owned(),
        account: None,
    };
    world.sandbox.hue_receive(&wrote).unwrap();
    let words_of = async |name: &str| {
        let run = world.freeze(name, 2, words).await;
        assert_eq!(world.send(&run).await, Ended::Finished);
        let all = world.deliveries(&run).await;
        all.iter()
            .map(|one| (one.state, one.reason))
            .collect::<Vec<_>>()
    };
    let closed = (DeliveryState::Skipped, Some(SkipReason::WindowClosed));
    assert_eq!(
        words_of("now@once").await,
        [(DeliveryState::Sent, None), closed]
    );
    let day = SignedDuration::from_hours(24);
    world.clock.forward_to(world.clock.now() + day);
    assert_eq!(words_of("later@once").await, [closed, closed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_fault_stops_the_run_before_a_second_person_meets_it() {
    let world = World::unlimited().await;
    world.faults(&serde_json::json!([
        { "kind": "error", "status": 422, "error": "template_not_approved", "share": 1.0,
          "match": { "route": "hue_send" } },
    ]));
    let terms = Terms::default();
    let run = world.freeze_as("order@once", 40, template, terms).await;
    let ended = world.process(&run, "only".to_owned()).end().await;
    assert!(matches!(ended, Ended::Halted { .. }), "{ended:?}");
    let report = world.sandbox.hue_report();
    let refused = report.refusals.get("template_not_approved").copied();
    assert!((1..=20).contains(&refused.unwrap_or(0)), "{refused:?}");
    assert_eq!(world.received().len(), 0);
}

#[expect(clippy::print_stderr, reason = "figures for people")]
#[tokio::test(flavor = "multi_thread")]
async fn the_plan_is_used_up_to_more_than_97_of_100_and_never_refused() {
    const PER_MINUTE: u32 = 600;
    let plan = Plan {
        per_minute: NonZeroU32::new(PER_MINUTE),
        per_day: None,
    };
    let huechat = HueConfig {
        plan: HuePlan::Own {
            per_minute: PER_MINUTE,
            per_day: 1_000_000,
        },
        window: HueWindow::Off,
        ..HueConfig::default()
    };
    let mut world = World::new(plan, huechat).await;
    world.hurry = SignedDuration::ZERO;
    let run = world.freeze("order@once", 150, template).await;
    let first = until("the first request", async || {
        let begun = tokio::time::Instant::now();
        (!world.sandbox.hue_report().requests.is_empty()).then_some(begun)
    });
    let (ended, begun) = tokio::join!(world.send(&run), first);
    assert_eq!(ended, Ended::Finished);
    let took = begun.elapsed().as_secs_f64();
    let report = world.sandbox.hue_report();
    let requests: usize = report.requests.values().sum();
    let share = f64::from(u32::try_from(requests).unwrap()) / took * 60.0 / f64::from(PER_MINUTE);
    eprintln!("{requests} requests in {took:.1} s: {share:.3} of the plan");
    assert_eq!(report.refusals.get("rate_limited"), None);
    assert!(share > 0.97, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_days_requests_end_at_their_number_and_go_on_at_midnight() {
    let plan = Plan {
        per_minute: None,
        per_day: NonZeroU32::new(50),
    };
    let huechat = HueConfig {
        plan: HuePlan::Own {
            per_minute: 1_000_000,
            per_day: 50,
        },
        window: HueWindow::Off,
        ..HueConfig::default()
    };
    let world = World::new(plan, huechat).await;
    let run = world.freeze("order@once", 40, template).await;
    let first = world.process(&run, "first".to_owned()).end().await;
    let Ended::Idle { next_at } = first else {
        panic!("{first:?}");
    };
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    // It is looked for work a moment before the first slot.
    let looked_at = midnight - SignedDuration::from_secs(1);
    assert!(next_at >= looked_at, "{next_at}");
    let today = world.received().len();
    assert!((5..=25).contains(&today), "{today}");
    assert_eq!(world.send(&run).await, Ended::Finished);
    assert_eq!(world.received().len(), 40);
    assert_eq!(
        world.sandbox.hue_report().refusals.get("rate_limited"),
        None
    );
}
