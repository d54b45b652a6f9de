//! The caps of the day from end to end: the engine against a sandbox, days going by as fast as the
//! engine has nothing to do, and the real program as an operator sees it at a cap. The sandbox's
//! record is the oracle; how caps are counted is the ledger's own suite's.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sendoff::domain::account::{
    ChertAccount, ChertAuth, DEFAULT_RETENTION, DEFAULT_TIMEOUT, SecretSource,
};
use sendoff::domain::campaign::Terms;
use sendoff::domain::cap::Cap;
use sendoff::engine::clock::Clock;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::tally::Tally;
use sendoff::gateway::chert::Chert;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, Limits, Owner, RunRecord, Worker};
use sendoff::sandbox::{Clock as SandboxClock, Filter, Sandbox, SandboxConfig, Tenant};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{self, LINES, PATIENCE, RUN, Stage};

/// A clock that goes at its usual speed, and is put forward when nothing is due.
#[derive(Debug)]
pub(super) struct DayClock {
    ahead_ms: AtomicI64,
    begun: tokio::time::Instant,
}

/// 2026-11-20T15:00:00Z
const AFTERNOON_MS: i64 = 1_795_186_800_000;

impl DayClock {
    pub(super) fn new() -> Self {
        Self {
            ahead_ms: AtomicI64::new(0),
            begun: tokio::time::Instant::now(),
        }
    }

    pub(super) fn forward_to(&self, at: Timestamp) {
        let step = at.duration_since(self.now()).max(SignedDuration::ZERO);
        let step = i64::try_from(step.as_millis()).unwrap() + 1;
        self.ahead_ms.fetch_add(step, Ordering::SeqCst);
    }
}

impl Clock for DayClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let now = AFTERNOON_MS + passed + self.ahead_ms.load(Ordering::SeqCst);
        Timestamp::from_millisecond(now).unwrap()
    }
}

/// A sandbox in this process, until the guard goes.
pub(super) async fn served(config: SandboxConfig) -> (Sandbox, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = Sandbox::new(config, listener.local_addr().unwrap()).unwrap();
    let end = CancellationToken::new();
    let (serving, stop) = (sandbox.clone(), end.clone());
    tokio::spawn(async move { serving.serve(listener, stop).await });
    (sandbox, end.drop_guard())
}

/// A sandbox and a ledger, by one clock.
pub(super) struct World {
    folder: TempDir,
    pub(super) clock: Arc<DayClock>,
    pub(super) sandbox: Sandbox,
    gateway: Arc<Chert>,
    _end: DropGuard,
}

impl World {
    pub(super) async fn new() -> Self {
        let clock = Arc::new(DayClock::new());
        let tenant = Tenant::of_seed(7);
        let shown = clock.clone();
        let config = SandboxConfig {
            tenants: vec![tenant.clone()],
            lines: LINES
                .map(|line| sendoff::domain::phone::Phone::from_e164(line).unwrap())
                .to_vec(),
            rate: None,
            clock: SandboxClock::new(move || shown.now()),
            ..SandboxConfig::default()
        };
        let (sandbox, end) = served(config).await;
        let account = ChertAccount {
            base_url: sandbox.base_url(),
            tenant: Some(tenant.slug.clone()),
            auth: ChertAuth::Hmac,
            signing_secret: SecretSource::Env(String::new()),
            limit: None,
            first_touch: None,
            timeout: DEFAULT_TIMEOUT,
            idempotency_retention: DEFAULT_RETENTION,
        };
        let shown = clock.clone();
        let gateway = Chert::new(account, tenant.secret, Arc::new(move || shown.now())).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            sandbox,
            gateway: Arc::new(gateway),
            _end: end,
        }
    }

    async fn ledger(&self) -> Arc<dyn Ledger> {
        let path = self.folder.path().join("ledger.db");
        Arc::new(SqliteLedger::open(&path, Durability::None).await.unwrap())
    }

    pub(super) async fn freeze(&self, people: usize, terms: Terms) -> RunRecord {
        let now = self.clock.now();
        support::freeze(&*self.ledger().await, people, terms, now).await
    }

    /// So many processes that send together until nothing is due; then the clock goes on to when
    /// something is, until the run is finished.
    async fn send(&self, run: &RunRecord, limits: &Limits, processes: usize) {
        for round in 0..200 {
            let parts = (0..processes)
                .map(|n| self.part(run, limits, (format!("{n}-{round}"), WhenIdle::Leave)));
            let mut next: Option<Timestamp> = None;
            for ended in futures_util::future::join_all(parts).await {
                match ended {
                    Ended::Idle { next_at } => {
                        next = Some(next.map_or(next_at, |next| next.min(next_at)));
                    }
                    Ended::Finished | Ended::State(_) => return,
                    Ended::LimitReached
                    | Ended::Interrupted
                    | Ended::Aborted
                    | Ended::Halted { .. } => panic!("{ended:?}"),
                }
            }
            self.clock.forward_to(next.unwrap());
        }
        panic!("never finished");
    }

    pub(super) async fn part(
        &self,
        run: &RunRecord,
        limits: &Limits,
        (name, when_idle): (String, WhenIdle),
    ) -> Ended {
        let engine = Engine {
            ledger: self.ledger().await,
            gateway: self.gateway.clone(),
            clock: self.clock.clone(),
            run: run.clone(),
            limits: limits.clone(),
            guard: Guard::default(),
            ears: Ears::default(),
            tally: Arc::new(Tally::default()),
        };
        let session = Session {
            worker: Worker(name.clone()),
            share: None,
            owner: Owner(name),
            limit: None,
            only: None,
            when_idle,
            seed: 1,
        };
        let shutdown = Shutdown::default();
        let driven = dispatch(&engine, &session, &shutdown);
        tokio::time::timeout(PATIENCE, driven)
            .await
            .unwrap()
            .unwrap()
    }

    /// When each message was taken, by line; everybody has one.
    pub(super) fn taken(&self, people: usize) -> BTreeMap<String, Vec<Timestamp>> {
        let journal = self.sandbox.journal(&Filter::default());
        assert_eq!(
            (journal.totals.people, journal.totals.messages),
            (people, people)
        );
        let mut lines: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for message in journal.messages {
            let line = lines.entry(message.from.unwrap()).or_default();
            line.push(message.at.parse().unwrap());
        }
        for times in lines.values_mut() {
            times.sort_unstable();
        }
        lines
    }
}

fn cap(ramp: &[u32], per_day: u32, gap_minutes: i64) -> Cap {
    Cap {
        ramp: ramp.iter().filter_map(|n| NonZeroU32::new(*n)).collect(),
        per_day: NonZeroU32::new(per_day),
        timezone: TimeZone::UTC,
        gap: SignedDuration::from_mins(gap_minutes),
    }
}

/// How many on each day, from the first to the last.
fn days<'t>(times: impl Iterator<Item = &'t Timestamp>) -> Vec<usize> {
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for time in times {
        *days.entry(time.strftime("%F").to_string()).or_default() += 1;
    }
    days.into_values().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_goes_up_its_ramp_and_keeps_its_cap_whoever_sends() {
    let world = World::new().await;
    let terms = Terms {
        cap: Some(cap(&[3, 5], 8, 0)),
        ..Terms::default()
    };
    let limits = Limits {
        day: terms.cap.clone(),
        ..Limits::default()
    };
    let run = world.freeze(29, terms).await;
    world.send(&run, &limits, 2).await;
    let taken = world.taken(29);
    assert_eq!(days(taken.values().flatten()), [3, 5, 8, 8, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_writes_to_new_people_as_often_as_the_provider_publishes() {
    let world = World::new().await;
    let limits = Limits {
        first_touch: Some(cap(&[], 4, 10)),
        ..Limits::default()
    };
    let run = world.freeze(21, Terms::default()).await;
    world.send(&run, &limits, 1).await;
    let taken = world.taken(21);
    assert_eq!(days(taken[LINES[0]].iter()), [4, 4, 3]);
    assert_eq!(days(taken[LINES[1]].iter()), [4, 4, 2]);
    for times in taken.values() {
        for pair in times.windows(2) {
            let gap = pair[1].duration_since(pair[0]);
            assert!(gap >= SignedDuration::from_mins(10), "{gap:?}");
        }
    }
}

/// A zone in which it is about noon, so that no day ends while a test goes on.
fn zone_of_noon() -> &'static str {
    let hour = Timestamp::now().to_zoned(TimeZone::UTC).hour();
    match hour {
        6..=17 => "UTC",
        18..=23 => "America/Los_Angeles",
        _ => "Asia/Tokyo",
    }
}

#[tokio::test]
async fn a_used_up_cap_ends_a_run_for_today_and_everything_says_so() {
    let zone = zone_of_noon();
    let more = format!(
        "window: {{ from: \"00:00\", to: \"24:00\", timezone: {zone} }}\npace: {{ daily_cap: 3 }}"
    );
    let stage = Stage::with(8, &more, "").await;
    let ended = stage.start(&["--until-idle"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended
            .out
            .contains("3 of 3 people newly written to; the next"),
        "{ended:?}"
    );
    let again = stage
        .start(&["--until-idle", "--format", "json"])
        .end()
        .await;
    assert_eq!(again.code, Some(4), "{again:?}");
    let json = again.json();
    assert_eq!(support::accepted(&json), 3);
    assert_eq!(
        (&json["caps"][0]["used"], &json["caps"][0]["per_day"]),
        (&3.into(), &3.into())
    );
    assert_ne!(json["caps"][0]["until"], Value::Null);
    assert_eq!(json["caps"][0]["until"], json["next_due_at"]);
    let status = stage.project.run(&["status", RUN]).await;
    assert!(
        status.out.contains("3 of 3 people newly written to"),
        "{status:?}"
    );
    assert!(
        status.out.contains("waits for what is due later"),
        "{status:?}"
    );
    let resumed = stage
        .project
        .run(&["resume", RUN, "--yes", "--until-idle"])
        .await;
    assert_eq!(resumed.code, Some(4), "{resumed:?}");
    assert!(
        resumed
            .err
            .contains("3 of 3 people were newly written to today"),
        "{resumed:?}"
    );
    // The same campaign under another name has the same day.
    let other = stage
        .start(&["--until-idle", "--occurrence", "more"])
        .end()
        .await;
    assert_eq!(other.code, Some(4), "{other:?}");
    assert_eq!(stage.assert_nobody_twice().await.totals.people, 3);
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
}
