//! One run on a PostgreSQL ledger, shared by 1, 2, 4 and 8 workers: messages a second, what each
//! costs the database, and how soon after its due moment a message of a paced run arrives:
//! `cargo bench --bench workers [-- PEOPLE WORKERS...]`.
//!
//! Workers, sandbox and a throw-away server (`tests/cluster`, but with `fsync` on) are processes of
//! their own on one machine. What counts is when the sandbox had the whole request.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured, and stops when it cannot measure"
)]

mod support;

use std::process::Child;

use sqlx::{Connection as _, PgConnection, Row as _};
use support::project;
use support::sandbox::SandboxProcess;
use support::server::Server;

/// Of the paced runs, all workers together.
const RATE: u32 = 200;
const BURST: u32 = 10;
/// How long a paced run lasts.
const SECONDS: u32 = 15;
const RUN: &str = "bench@once";

fn main() {
    let mut asked = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let people = asked.next().unwrap_or(20_000);
    let mut workers: Vec<u32> = asked.collect();
    if workers.is_empty() {
        workers = vec![1, 2, 4, 8];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::start();
        server.sync_to_disk().await;
        for &n in &workers {
            flat_out(&server, n, people).await;
        }
        for &n in &workers {
            paced(&server, n).await;
        }
    });
}

/// As fast as it goes.
async fn flat_out(server: &Server, workers: u32, people: u32) {
    let sandbox = SandboxProcess::start();
    let ledger = server.database(&format!("flat_{workers}")).await;
    let before = Load::of(&ledger).await;
    let arrivals = arrivals(&sandbox, &ledger, workers, people, "concurrency: 64").await;
    let load = Load::of(&ledger).await.since(&before);
    let span = span_ms(&arrivals);
    let each = 1.0 / f64::from(people);
    println!(
        "{workers} workers, {people} people: {:.0}/s; of a message: {:.3} commits, {:.0} bytes of \
         journal, {:.2} rows changed ({:.0} % on their page); ledger {:.0} MB a million",
        f64::from(people) * 1e3 / span,
        load.commits * each,
        load.journal * each,
        load.updates * each,
        load.hot / load.updates * 100.0,
        load.size * each,
    );
}

/// At a rate that they share.
async fn paced(server: &Server, workers: u32) {
    let sandbox = SandboxProcess::start();
    let ledger = server.database(&format!("paced_{workers}")).await;
    let pace = format!("rate: {RATE}/s, burst: {BURST}, concurrency: 32");
    let people = RATE * SECONDS + 1;
    let arrivals = arrivals(&sandbox, &ledger, workers, people, &pace).await;
    let first = arrivals.first().unwrap();
    let mut late: Vec<i64> = arrivals
        .iter()
        .zip(0i64..)
        .map(|(at, n)| at - first - n * 1_000 / i64::from(RATE))
        .collect();
    late.sort_unstable();
    let of = |share: usize| late.get(late.len() * share / 1_000).unwrap();
    println!(
        "{workers} workers at {RATE}/s together: {:.2} % of the rate used, at most {} in a second \
         (the limit allows {}); after its due moment p50 {} ms, p99 {} ms",
        f64::from(SECONDS) * 1e5 / span_ms(&arrivals),
        support::most_in_a_window(&arrivals),
        RATE + BURST,
        of(500),
        of(990),
    );
}

/// Freezes a run, lets workers share it, and says when each message arrived, in milliseconds.
async fn arrivals(
    sandbox: &SandboxProcess,
    ledger: &str,
    workers: u32,
    people: u32,
    pace: &str,
) -> Vec<i64> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = folder.path();
    project::write(folder, people + 1, &format!("pace: {{ {pace} }}"));
    project::settings(folder, sandbox, "");
    let sendoff = |args: &[&str]| {
        let mut command = project::sendoff(folder, sandbox, args);
        command.env("SENDOFF_LEDGER", ledger);
        command
    };
    let frozen = sendoff(&["run", "campaign.yaml", "--yes", "--limit", "1"]).status();
    assert_eq!(frozen.unwrap().code(), Some(4));
    sandbox.reset().await;
    let shared = (0..workers)
        .map(|_| {
            sendoff(&["work", "--runs", RUN, "--until-idle"])
                .spawn()
                .unwrap()
        })
        .map(Worker)
        .collect::<Vec<Worker>>();
    for mut worker in shared {
        // One that leaves while others still have something in hand says so with 4.
        assert!(matches!(worker.0.wait().unwrap().code(), Some(0 | 4)));
    }
    let arrivals = sandbox.arrivals().await;
    assert_eq!(arrivals.len(), usize::try_from(people).unwrap());
    arrivals
}

/// A process that ends with the bench, also where that fails.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[expect(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
fn span_ms(arrivals: &[i64]) -> f64 {
    (arrivals.last().unwrap() - arrivals.first().unwrap()) as f64
}

/// What a database has done so far.
struct Load {
    commits: f64,
    journal: f64,
    updates: f64,
    hot: f64,
    size: f64,
}

impl Load {
    async fn of(ledger: &str) -> Self {
        let mut connection = PgConnection::connect(ledger).await.unwrap();
        let row = sqlx::query(
            "SELECT xact_commit::float8,
                    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8,
                    (SELECT coalesce(sum(n_tup_upd), 0)::float8 FROM pg_stat_user_tables),
                    (SELECT coalesce(sum(n_tup_hot_upd), 0)::float8 FROM pg_stat_user_tables),
                    pg_database_size(datname)::float8
             FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        Self {
            commits: row.get(0),
            journal: row.get(1),
            updates: row.get(2),
            hot: row.get(3),
            size: row.get(4),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            commits: self.commits - before.commits,
            journal: self.journal - before.journal,
            updates: self.updates - before.updates,
            hot: self.hot - before.hot,
            size: self.size - before.size,
        }
    }
}
