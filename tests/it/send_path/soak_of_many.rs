//! Four workers on four machines, on one PostgreSQL server: killed, stopped and cut off at random,
//! also for so long that they count as gone, while the server crashes in the middle; then the
//! sandbox's record against the ledger, row by row.
//!
//! Everything follows from one seed, which is printed, except what the scheduler adds.
//! `SENDOFF_SOAK_SEED=N` repeats a soak, `SENDOFF_SOAK_KILLS=N` makes it longer (or shorter):
//!
//! ```text
//! SENDOFF_SOAK_SEED=7 SENDOFF_SOAK_KILLS=500 cargo t soak_of_many --no-capture
//! ```
//!
//! The server of this test crashes, its machine does not: what it wrote is in the hands of the
//! system, so that it makes no difference whether it waited for the disk (`fsync`). Here too a test
//! lets time pass, for a moment that no event marks.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use super::books::Books;
use super::rate::{Limit, times};
use super::soak::{assert_no_early_retry, faults, told};
use super::waits::waits;
use crate::support::{Cluster, Cut, Machine, PostgresDatabase, Process, Stage, until};

/// Kills of a soak that is told nothing else.
const KILLS: usize = 20;
const SEED: u64 = 0x5eed;
const WORKERS: u8 = 4;
/// Workers that are stopped or cut off at the same time, at the most.
const OUT: usize = 2;
/// A worker that is silent for longer counts as gone.
const GONE: Duration = Duration::from_secs(15);
/// A run ends by then, whatever was done to it.
const PATIENCE: Duration = Duration::from_mins(2);
const RATE: Limit = Limit {
    per_second: 25,
    burst: 5,
};
/// A request may be late by what a slot may be missed by, and by what a busy machine adds.
const LATE: SignedDuration = SignedDuration::from_millis(400);

/// What the soak came to.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    kills: usize,
    stops: usize,
    cuts: usize,
    crashes: usize,
    /// Stops and cuts for so long that the worker counted as gone.
    gone: usize,
    people: usize,
    posts: usize,
    lost: usize,
    late: usize,
    waits: usize,
    /// The longest that an attempt was begun after a wait was known, in milliseconds.
    lag_ms: i64,
    /// The longest that a request was late for its slot, as far as the record shows it.
    late_ms: i128,
}

enum Standing {
    Working,
    Stopped { until: Instant },
    Cut { cut: Cut, until: Instant },
}

struct Worker {
    machine: Machine,
    process: Process,
    standing: Standing,
}

impl Worker {
    fn is_out(&self) -> bool {
        !matches!(self.standing, Standing::Working)
    }

    /// Comes back if it is time.
    fn come_back(&mut self, now: Instant) {
        match self.standing {
            Standing::Stopped { until } if now >= until => self.process.signal("CONT"),
            Standing::Cut { cut, until } if now >= until => self.machine.join(cut),
            Standing::Working | Standing::Stopped { .. } | Standing::Cut { .. } => return,
        }
        self.standing = Standing::Working;
    }

    /// Starts again what was killed. None ends by itself, wherever it is cut off and whatever the
    /// server does.
    async fn stand_up(&mut self, stage: &Stage) {
        if self.is_out() || self.process.is_running() {
            return;
        }
        let next = stage.service_on(&self.machine);
        let ended = std::mem::replace(&mut self.process, next).end().await;
        assert!(ended.signal.is_some(), "{ended:?}");
    }
}

#[expect(clippy::print_stderr, reason = "the seed repeats what has failed")]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_four_workers_and_their_server_everybody_gets_it_once() {
    let seed = told("SENDOFF_SOAK_SEED").unwrap_or(SEED);
    let wanted = told("SENDOFF_SOAK_KILLS").map_or(KILLS, |kills| kills.try_into().unwrap());
    let begun = Instant::now();
    let cluster = tokio::task::spawn_blocking(|| Cluster::start("soak")).await;
    let cluster = Arc::new(cluster.unwrap());
    let mut tally = Tally::default();
    while tally.kills < wanted {
        let seed = seed.wrapping_add(tally.runs as u64);
        eprintln!("soak of many: SENDOFF_SOAK_SEED={seed}, {tally:?}");
        one_run(seed, &cluster, &mut tally).await;
    }
    eprintln!("soak of many: {tally:?} within {:.0?}", begun.elapsed());
}

async fn one_run(seed: u64, cluster: &Arc<Cluster>, tally: &mut Tally) {
    // Seeds that follow each other are to give soaks that have nothing in common.
    let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let people = chance.usize(400..600);
    let database = PostgresDatabase::on(cluster.server.clone());
    let stage = stage(&mut chance, people, database).await;
    let frozen = stage.start(&["--limit", "1"]).end().await;
    assert_eq!(frozen.code, Some(4), "{frozen:?}");
    stage.provider.faults(seed, &faults(&mut chance)).await;
    let mut workers: Vec<Worker> = (0..WORKERS).map(|n| worker(&stage, n)).collect();
    let mut crashes = vec![people * 2 / 3, people / 3];
    until("the first message", async || {
        for worker in &mut workers {
            assert!(worker.process.is_running(), "{}", worker.process.err());
        }
        (stage.provider.totals().await.people > 1).then_some(())
    })
    .await;
    loop {
        let received = stage.provider.totals().await.people;
        // The last of them have to be left alone: else there is always somebody in hand.
        if received >= people * 9 / 10 {
            break;
        }
        if crashes.pop_if(|at| received >= *at).is_some() {
            let cluster = cluster.clone();
            tokio::task::spawn_blocking(move || cluster.crash())
                .await
                .unwrap();
            tally.crashes += 1;
        }
        strike(&mut chance, &mut workers, tally);
        sleep(Duration::from_millis(chance.u64(100..1_500))).await;
        for worker in &mut workers {
            worker.come_back(Instant::now());
            worker.stand_up(&stage).await;
        }
    }
    finish(&stage, workers).await;
    tally.runs += 1;
    tally.people += people;
    compare(&stage, tally).await;
}

async fn stage(chance: &mut fastrand::Rng, people: usize, database: PostgresDatabase) -> Stage {
    let terms = format!(
        "pace: {{ concurrency: {} }}\nretry: {{ attempts: 40, base: 20ms, max: 100ms }}",
        chance.usize(2..=8)
    );
    let gateway = format!(
        "timeout: 400ms\nrate: {}/s\nburst: {}",
        RATE.per_second, RATE.burst
    );
    Stage::in_database(Some(database), people, &terms, &gateway).await
}

fn worker(stage: &Stage, n: u8) -> Worker {
    let machine = Machine::new(n);
    let process = stage.service_on(&machine);
    Worker {
        machine,
        process,
        standing: Standing::Working,
    }
}

/// Something happens to one of them, whoever is not out of it already.
fn strike(chance: &mut fastrand::Rng, workers: &mut [Worker], tally: &mut Tally) {
    let out = workers.iter().filter(|one| one.is_out()).count();
    let mut there: Vec<&mut Worker> = workers.iter_mut().filter(|one| !one.is_out()).collect();
    let n = chance.usize(..there.len());
    let worker = there.swap_remove(n);
    let what = if out < OUT { chance.u8(..4) } else { 0 };
    if out == OUT && chance.bool() {
        return;
    }
    if what <= 1 {
        tally.kills += usize::from(worker.process.kill());
        return;
    }
    // One in four for so long that it counts as gone, and comes back.
    let long = chance.u8(..4) == 0;
    let away = if long {
        GONE + Duration::from_millis(chance.u64(500..4_000))
    } else {
        Duration::from_millis(chance.u64(50..3_000))
    };
    tally.gone += usize::from(long);
    let until = Instant::now() + away;
    if what == 2 {
        worker.process.signal("STOP");
        worker.standing = Standing::Stopped { until };
        tally.stops += 1;
    } else {
        let cut = if chance.bool() {
            Cut::Both
        } else {
            Cut::Answers
        };
        worker.machine.cut(cut);
        worker.standing = Standing::Cut { cut, until };
        tally.cuts += 1;
    }
}

/// Everybody comes back in time, and works to the end of the run.
async fn finish(stage: &Stage, mut workers: Vec<Worker>) {
    while workers.iter().any(Worker::is_out) {
        sleep(Duration::from_millis(50)).await;
        for worker in &mut workers {
            worker.come_back(Instant::now());
        }
    }
    for worker in &mut workers {
        worker.stand_up(stage).await;
    }
    let begun = Instant::now();
    while !stage.is_finished().await {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        sleep(Duration::from_millis(200)).await;
    }
    for worker in workers {
        worker.process.signal("TERM");
        let ended = worker.process.end_within(PATIENCE).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

async fn compare(stage: &Stage, tally: &mut Tally) {
    let journal = stage.assert_everybody_once().await;
    let books = Books::of(stage).await;
    books.assert_whole(&journal);
    assert_no_early_retry(&books);
    let waits = waits(&books);
    for wait in &waits {
        tally.lag_ms = tally
            .lag_ms
            .max(wait.assert_kept(&stage.watch, &books, &journal));
    }
    let late = RATE.assert_kept_within(stage.watch.late(LATE), &times(&journal));
    tally.late_ms = tally.late_ms.max(late.as_millis());
    tally.posts += journal.posts().len();
    tally.waits += waits.len();
    let attempts = || books.all_attempts();
    tally.lost += attempts().filter(|one| one.outcome == "lost").count();
    tally.late += attempts().filter(|one| one.late).count();
}
