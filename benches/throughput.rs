//! How fast messages leave with full durability, against the same requests through a bare
//! client: `cargo bench --bench throughput [-- DELIVERIES]`.
//!
//! The sandbox is a process of its own. Rounds alternate between the engine and the bare client,
//! so that a machine whose speed drifts is fair to both; the figure that counts is the ratio.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measured, reads the clock, and stops when it cannot measure"
)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::{ChertAccount, ChertAuth, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::campaign::Terms;
use sendoff::domain::key::IdempotencyKey;
use sendoff::domain::message::{Message, Part};
use sendoff::domain::pace::Pace;
use sendoff::domain::phone::Phone;
use sendoff::domain::recipient::{Chunk, Recipient, Row, Verdict};
use sendoff::domain::run::RunId;
use sendoff::engine::clock::SystemClock;
use sendoff::engine::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, dispatch};
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::plan::{Reading, read_in};
use sendoff::engine::tally::Tally;
use sendoff::gateway::chert::Chert;
use sendoff::gateway::{Envelope, Gateway};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, Limits, NewRun, Owner, RunRecord, Worker};

use support::sandbox::SandboxProcess;

/// Requests on the wire at the same time, for both.
const CONCURRENCY: u32 = 64;
const ROUNDS: u32 = 3;
const LINE: &str = "+15555550100";

fn main() {
    let deliveries = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(deliveries));
}

async fn bench(deliveries: u32) {
    let sandbox = SandboxProcess::start();
    println!("{deliveries} deliveries, {CONCURRENCY} at a time, sandbox in a second process");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        sandbox.reset().await;
        let (engine, cost) = engine_round(&sandbox, round, deliveries).await;
        if round == 1 {
            println!("{}", support::memory_in_words());
        }
        sandbox.reset().await;
        let before = support::processor_time();
        let bare = bare_round(&sandbox, round, deliveries).await;
        let bare_cost = support::each_in_words(deliveries, before);
        let ratio = bare.as_secs_f64() / engine.as_secs_f64();
        println!(
            "round {round}: engine {:.0}/s ({cost}), bare client {:.0}/s ({bare_cost}), \
             ratio {ratio:.2}",
            support::per_second(deliveries, engine),
            support::per_second(deliveries, bare),
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios.get(ratios.len() / 2).unwrap());
}

fn gateway(sandbox: &SandboxProcess) -> Chert {
    let account = ChertAccount {
        base_url: sandbox.base_url.clone(),
        tenant: Some(sandbox.tenant.clone()),
        auth: ChertAuth::Bearer,
        signing_secret: SecretSource::Env(String::new()),
        limit: None,
        first_touch: None,
        timeout: SignedDuration::from_secs(30),
        idempotency_retention: SignedDuration::from_hours(24),
    };
    Chert::new(
        account,
        sandbox.secret.clone().into(),
        Arc::new(Timestamp::now),
    )
    .unwrap()
}

fn run_id(round: u32) -> RunId {
    RunId::new("bench", &format!("round-{round}")).unwrap()
}

fn phone(n: u32) -> Address {
    Address::stored(&format!("+1202{n:07}")).unwrap()
}

fn message(n: u32) -> Message {
    let text = format!("Hi Person {n}, this is Marco from Texas Prime Plumbing. Thank you!");
    Message::of(vec![
        Part::Text {
            value: text,
            subject: None,
        },
        Part::RichLink {
            url: format!("https://search.example.com/local/writereview?placeid={n}"),
            title: Some("Leave a review".to_owned()),
            summary: None,
            image_url: None,
            icon_url: None,
        },
    ])
}

/// The whole send path, from the first claim to the last recorded outcome.
async fn engine_round(sandbox: &SandboxProcess, round: u32, deliveries: u32) -> (Duration, String) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("ledger.db");
    let ledger: Arc<dyn Ledger> =
        Arc::new(SqliteLedger::open(&path, Durability::Full).await.unwrap());
    let run = freeze(&*ledger, round, deliveries).await;
    let tally = Arc::new(Tally::new(
        ledger
            .facts(&run.run, Timestamp::now())
            .await
            .unwrap()
            .counts,
    ));
    let engine = Engine {
        ledger: ledger.clone(),
        gateway: Arc::new(gateway(sandbox)),
        clock: Arc::new(SystemClock),
        run,
        limits: Limits::default(),
        guard: Guard::default(),
        ears: Ears::default(),
        tally: tally.clone(),
    };
    let session = Session {
        owner: Owner(format!("bench-{round}")),
        worker: Worker(format!("bench-{round}")),
        share: None,
        limit: None,
        only: None,
        when_idle: WhenIdle::Wait,
        seed: u64::from(round),
    };
    let before = support::processor_time();
    let begun = Instant::now();
    let ended = dispatch(&engine, &session, &Shutdown::default())
        .await
        .unwrap();
    let took = begun.elapsed();
    let cost = support::each_in_words(deliveries, before);
    assert_eq!(ended, Ended::Finished);
    assert_eq!(tally.snapshot().counts.accepted(), u64::from(deliveries));
    ledger.close().await;
    (took, cost)
}

async fn freeze(ledger: &dyn Ledger, round: u32, deliveries: u32) -> RunRecord {
    let now = Timestamp::now();
    let pace = Pace {
        concurrency: NonZeroU32::new(CONCURRENCY).unwrap(),
        ..Pace::default()
    };
    let run = NewRun {
        run: run_id(round),
        gateway: "bench".to_owned(),
        account: None,
        terms: Terms {
            lines: vec![Phone::from_e164(LINE).unwrap()],
            pace,
            ..Terms::default()
        },
        now,
        starts_at: now,
    };
    let (chunks, arriving) = tokio::sync::mpsc::channel(4);
    let rows = (0..deliveries).map(|n| Row {
        number: u64::from(n) + 1,
        line: u64::from(n) + 2,
        verdict: Verdict::Send {
            recipient: Recipient {
                key: phone(n).expose().to_owned(),
                phone: phone(n),
                timezone: None,
            },
            message: message(n),
        },
    });
    let rows: Vec<Row> = rows.collect();
    tokio::spawn(async move {
        for rows in rows.chunks(500) {
            let chunk = Chunk {
                rows: rows.to_vec(),
                ..Chunk::default()
            };
            chunks.send(chunk).await.unwrap();
        }
    });
    let suppressed = HashSet::new();
    let reading = Reading {
        into: ledger,
        history: Some(ledger),
        run: &run,
        suppressed: &suppressed,
        list: "bench",
    };
    read_in(&reading, arriving)
        .await
        .unwrap()
        .seal(Vec::new())
        .await
        .unwrap()
}

/// The same requests, built beforehand, by as many loops as there may be requests at a time.
async fn bare_round(sandbox: &SandboxProcess, round: u32, deliveries: u32) -> Duration {
    let gateway = gateway(sandbox);
    let line = Phone::from_e164(LINE).unwrap();
    let bodies: Arc<Vec<bytes::Bytes>> = Arc::new(
        (0..deliveries)
            .map(|n| {
                let to = phone(n);
                let key = IdempotencyKey::derive(&run_id(round), to.expose(), 0, 0);
                let envelope = Envelope {
                    to: &to,
                    chat_id: None,
                    contact_id: None,
                    channel: None,
                    line: Some(&line),
                    message: &message(n),
                    attachments: &BTreeMap::new(),
                    key: &key,
                };
                gateway.request(&envelope).body
            })
            .collect(),
    );
    let client = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .unwrap();
    let (url, secret) = (
        format!("{}/chats", sandbox.base_url),
        sandbox.secret.clone(),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let loops = (0..CONCURRENCY).map(|_| {
        let (client, url, secret) = (client.clone(), url.clone(), secret.clone());
        let (bodies, next) = (bodies.clone(), next.clone());
        tokio::spawn(async move {
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = client
                    .post(&url)
                    .bearer_auth(&secret)
                    .header("content-type", "application/json")
                    .body(body.clone());
                let answer = request.send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
            }
        })
    });
    for one in loops.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    begun.elapsed()
}
