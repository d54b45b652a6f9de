//! A server that goes away, and a way to it that breaks off, at every moment there is. Nothing is
//! done twice, nothing is lost, and nobody above the ledger hears of it.

use std::sync::Arc;
use std::time::Duration;

use sendoff::domain::delivery::DeliveryState::{Failed, Pending, Sent};
use sendoff::domain::run::RunState;
use sendoff::ledger::postgres::{PostgresLedger, Time};
use sendoff::ledger::{Ledger, Next, RunRecord, Write, Written};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bench::{
    Bench, LINE_A, at, begin_of, chat, freeze, gate, new_run, owner, pending, record_of,
    release_of, rows, sent,
};
use super::cluster::{Cluster, PostgresDatabase};
use super::proxy::{Cut, Proxy};
use super::store::Store;

/// Every test here ends by then, whatever happens.
const LONGEST: Duration = Duration::from_secs(110);

/// A ledger that is reached through the proxy.
async fn through(proxy: &Proxy, database: &PostgresDatabase) -> PostgresLedger {
    let url = database.url().await;
    let (_, path) = url.rsplit_once('/').unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/{path}", proxy.port);
    let long = jiff::SignedDuration::from_hours(24 * 365);
    PostgresLedger::open_with(&url, Time::Caller, long)
        .await
        .unwrap()
}

fn host(database_url: &str) -> String {
    let host = database_url.split_once('@').unwrap().1;
    host.split('/').next().unwrap().to_owned()
}

/// One of everything that the send path does, and what must have come of it.
async fn send_all(bench: &Bench) {
    bench.ledger.enlist(&bench.me, at(0)).await.unwrap();
    bench.ledger.beat(&bench.me, at(0)).await.unwrap();
    let claims = bench.take(0, 10).await;
    let numbers: Vec<u64> = claims.iter().map(|claim| claim.row).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "claimed once, and known to be");
    let begins: Vec<Write> = claims[..3]
        .iter()
        .map(|claim| Write::Begin(Box::new(begin_of(claim, 0))))
        .collect();
    let written = bench.ledger.write(&bench.me, &begins).await.unwrap();
    assert_eq!(written, [Written::Done; 3], "begun, and known to be");
    let mut first = record_of(&claims[0], 0, sent());
    first.chat = Some(chat(1, "chat-1", LINE_A));
    let mut second = record_of(&claims[1], 0, pending(9_000, 1));
    second.gate = Some(gate(Some(LINE_A), 8_000));
    let third = record_of(&claims[2], 0, Next::Failed);
    let group: Vec<Write> = [first, second, third]
        .map(|record| Write::Record(Box::new(record)))
        .into_iter()
        .chain([Write::Release(Box::new(release_of(
            &claims[3],
            Some(pending(8_000, 0)),
        )))])
        .collect();
    let written = bench.ledger.write(&bench.me, &group).await.unwrap();
    assert_eq!(written, [Written::Done; 4], "recorded, and known to be");
    for state in [RunState::Paused, RunState::Running] {
        bench.set_state(state).await;
    }
    assert_eq!(bench.states().await, [Sent, Pending, Failed, Pending]);
    let attempts: Vec<u32> = bench.all().await.iter().map(|row| row.attempts).collect();
    assert_eq!(attempts, [1, 1, 1, 0]);
    let done = bench.ledger.finish_if_done(&bench.run.run, at(0)).await;
    assert!(!done.unwrap());
    bench.ledger.retire(&bench.me).await.unwrap();
}

/// The history has no gap and nothing twice.
async fn history_is_whole(database: &PostgresDatabase, run: &RunRecord) {
    let (events, last, counted): (i64, i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), MAX(seq), (SELECT events FROM event_counts WHERE run_id = $1)
         FROM events WHERE run_id = $1",
    )
    .bind(run.id)
    .fetch_one(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!((events, last, counted), (4, 4, 4), "{}", run.run);
}

async fn cut_everywhere(cut: Cut) {
    let database = PostgresDatabase::default();
    let direct = database.open().await;
    let proxy = Proxy::to(host(&database.url().await)).await;
    for nth in 1.. {
        let name = format!("cut-{nth}@once");
        let mut new = new_run(&name);
        new.gateway = format!("gateway-{nth}");
        let run = freeze(&*direct, &new, rows(1..=4, LINE_A)).await;
        let bench = Bench {
            ledger: Arc::new(through(&proxy, &database).await),
            run: run.clone(),
            me: owner(&format!("me-{nth}")),
        };
        proxy.cut(cut, nth);
        send_all(&bench).await;
        history_is_whole(&database, &run).await;
        if !proxy.has_cut() {
            assert!(nth > 30, "there are more than {nth} statements");
            return;
        }
    }
}

#[tokio::test]
async fn a_statement_that_never_reaches_the_server_is_made_good() {
    timeout(LONGEST, cut_everywhere(Cut::Asking)).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_never_arrives_is_found_out() {
    timeout(LONGEST, cut_everywhere(Cut::Answering))
        .await
        .unwrap();
}

/// A cable that was cut, or a router that has forgotten: no connection ends, and none answers.
async fn lose_the_way_without_a_word() {
    let database = PostgresDatabase::default();
    let proxy = Proxy::to(host(&database.url().await)).await;
    let ledger = Arc::new(through(&proxy, &database).await);
    let me = owner("me");
    ledger.enlist(&me, at(0)).await.unwrap();
    // More than one connection is open, and at rest.
    let mut beats = JoinSet::new();
    for _ in 0..8 {
        let (ledger, me) = (ledger.clone(), me.clone());
        beats.spawn(async move { ledger.beat(&me, at(0)).await });
    }
    while let Some(beat) = beats.join_next().await {
        beat.unwrap().unwrap();
    }
    proxy.fall_silent();
    ledger.beat(&me, at(1)).await.unwrap();
    ledger.retire(&me).await.unwrap();
}

#[tokio::test]
async fn a_way_that_is_lost_without_a_word_is_given_up_for_another() {
    timeout(LONGEST, lose_the_way_without_a_word())
        .await
        .unwrap();
}

/// A worker that is started while the server restarts does not end with that.
#[tokio::test]
async fn a_ledger_is_opened_though_the_connection_breaks_off() {
    for cut in [Cut::Asking, Cut::Answering] {
        for nth in 1.. {
            let database = PostgresDatabase::default();
            let proxy = Proxy::to(host(&database.url().await)).await;
            proxy.cut(cut, nth);
            let ledger = through(&proxy, &database).await;
            let has_cut = proxy.has_cut();
            ledger.enlist(&owner("me"), at(0)).await.unwrap();
            if !has_cut {
                assert!(nth > 5, "there are more than {nth} statements");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_freeze_that_breaks_off_leaves_nothing() {
    let database = PostgresDatabase::default();
    let direct = database.open().await;
    let proxy = Proxy::to(host(&database.url().await)).await;
    for (nth, cut) in (1..9).flat_map(|nth| [(nth, Cut::Asking), (nth, Cut::Answering)]) {
        let ledger = through(&proxy, &database).await;
        proxy.cut(cut, nth);
        // The first statements are repeated; those that follow rows are not, for the rows are gone.
        let mut draft = ledger.freeze(&new_run("spring@once")).await.unwrap();
        let broken = draft.add(rows(1..=9, LINE_A)).await;
        if let Err(error) = broken {
            let words = error.to_string();
            assert!(words.contains("' at 127.0.0.1"), "{words}");
            assert!(draft.seal(Vec::new()).await.is_err());
        } else {
            drop(draft);
        }
        assert!(proxy.has_cut(), "{cut:?} {nth}");
        assert!(direct.runs().await.unwrap().is_empty());
    }
}

/// Claims, begins and records until nothing is left; says of each that it was sent.
async fn work(ledger: Arc<dyn Ledger>, run: RunRecord, n: usize, told: mpsc::Sender<i64>) {
    let bench = Bench {
        ledger,
        run,
        me: owner(&format!("worker-{n}")),
    };
    bench.ledger.enlist(&bench.me, at(0)).await.unwrap();
    loop {
        let claims = bench.take(0, 7).await;
        if claims.is_empty() {
            return;
        }
        for claim in &claims {
            bench.ledger.beat(&bench.me, at(0)).await.unwrap();
            assert_eq!(bench.begin(claim, 0).await, Written::Done);
            let written = bench.record(record_of(claim, 0, sent())).await;
            assert_eq!(written, Written::Done);
            told.send(claim.id).await.unwrap();
        }
    }
}

async fn crash_in_the_middle() {
    const ROWS: u32 = 90;
    let cluster = tokio::task::spawn_blocking(|| Cluster::start("crash"))
        .await
        .unwrap();
    let cluster = Arc::new(cluster);
    let database = PostgresDatabase::on(cluster.server.clone());
    let bench = Bench::with(&database, rows(1..=ROWS, LINE_A)).await;
    let (told, mut sent_ones) = mpsc::channel(1);
    let mut workers = JoinSet::new();
    for n in 0..3 {
        let ledger = database.open().await;
        workers.spawn(work(ledger, bench.run.clone(), n, told.clone()));
    }
    drop(told);
    let mut all = Vec::new();
    while let Some(id) = sent_ones.recv().await {
        all.push(id);
        // Twice in the middle, while the others are at it.
        if [ROWS / 3, ROWS * 2 / 3].contains(&u32::try_from(all.len()).unwrap()) {
            let cluster = cluster.clone();
            tokio::task::spawn_blocking(move || cluster.crash())
                .await
                .unwrap();
        }
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), usize::try_from(ROWS).unwrap());
    let rows = bench.all().await;
    assert!(
        rows.iter()
            .all(|row| row.state == Sent && row.attempts == 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_comes_back_costs_nothing() {
    timeout(LONGEST, crash_in_the_middle()).await.unwrap();
}
