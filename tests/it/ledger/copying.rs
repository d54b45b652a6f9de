//! A ledger that moves to another store: everything arrives, nothing is sent from the old one
//! any more, and whatever interrupts the move, it goes on. What the command says is `cli`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::run::RunState;
use sendoff::ledger::copy::{
    self, Begun, CopyError, Copying, Doubts, Finished, Moving, Progress, Side, Start, Step, Wish,
};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, LedgerError, Next, Sign, Written};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::bench::{
    Bench, LEASE_MS, LINE_A, at, chat, freeze, gate, limit, new_run, owner, rows, run_id, sent,
};
use super::cluster::PostgresDatabase;
use super::proving::{assert_proved, eventful};
use super::store::SqliteFile;

/// A store that can move, of either kind.
enum Kind {
    Sqlite(TempDir),
    Postgres(PostgresDatabase),
}

impl Kind {
    fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    fn postgres() -> Self {
        Self::Postgres(PostgresDatabase::default())
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("ledger.db"),
            Self::Postgres(_) => panic!("it has no file"),
        }
    }

    async fn open(&self) -> Arc<dyn Moving> {
        match self {
            Self::Sqlite(_) => Arc::new(open(&self.path()).await),
            Self::Postgres(database) => Arc::new(database.ledger().await),
        }
    }

    /// One statement of somebody who knows the tables.
    async fn run(&self, statement: &str) {
        match self {
            Self::Sqlite(_) => {
                let statement = AssertSqlSafe(statement.to_owned());
                let mut connection = connect(&self.path()).await;
                sqlx::raw_sql(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            Self::Postgres(database) => database.run(statement).await,
        }
    }
}

async fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path, Durability::None).await.unwrap()
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

fn wish(token: &str) -> Wish {
    Wish {
        token: token.to_owned(),
        now: at(LEASE_MS * 4),
        doubts: Doubts::Refuse,
    }
}

/// The same command again, whatever it finds.
async fn begin<'a>(
    from: &'a dyn Moving,
    to: &'a dyn Moving,
    stop: &'a CancellationToken,
) -> Result<Begun<'a>, CopyError> {
    let token = format!("{:032x}", fastrand::u128(..));
    copy::begin(from, to, stop, wish(&token)).await
}

fn goes(begun: Result<Begun<'_>, CopyError>) -> Copying<'_> {
    match begun {
        Ok(Begun::Goes(copying, _)) => copying,
        other => panic!("it does not go: {other:?}"),
    }
}

async fn to_the_end(copying: Copying<'_>) -> Vec<(&'static str, u64)> {
    copying.carry(&mut |_| {}).await.unwrap();
    let counts = copying.compare(&mut |_| {}).await.unwrap();
    copying.finish(at(LEASE_MS * 5)).await.unwrap();
    let counts = counts.into_iter();
    counts.map(|(table, n)| (table.as_str(), n)).collect()
}

async fn moved(from: &dyn Moving, to: &dyn Moving) -> Vec<(&'static str, u64)> {
    let stop = CancellationToken::new();
    to_the_end(goes(begin(from, to, &stop).await)).await
}

/// A SQLite ledger in which everything is that there can be.
async fn full() -> (SqliteFile, Bench) {
    let store = SqliteFile::default();
    let bench = eventful(&store).await;
    let ledger = &bench.ledger;
    for (run, state) in [
        ("paused@once", Some(RunState::Paused)),
        ("halted@once", Some(RunState::Halted)),
        ("cancelled@once", Some(RunState::Cancelled)),
        ("running@rehearsal-1", None),
    ] {
        let list = rows(21..=24, LINE_A);
        freeze(&**ledger, &new_run(run), list).await;
        if let Some(state) = state {
            let reason = Some("so\tsays \\ the\nrecord");
            let run = run_id(run);
            let set = ledger.set_state(&run, state, reason, at(9)).await;
            set.unwrap();
        }
    }
    let done = Bench {
        ledger: bench.ledger.clone(),
        run: freeze(&**ledger, &new_run("done@once"), rows(31..=31, LINE_A)).await,
        me: owner("other"),
    };
    ledger.enlist(&done.me, at(0)).await.unwrap();
    let claims = done
        .ledger
        .claim(
            &sendoff::ledger::ClaimRequest {
                limits: sendoff::ledger::Limits {
                    account: Some(limit("10/s", 2)),
                    run: Some(limit("5/s", 1)),
                    line: Some(limit("5/s", 1)),
                },
                ..done.ask(&done.me, 100, 1)
            },
            &|_| sendoff::ledger::Admission::Now,
        )
        .await
        .unwrap()
        .claims;
    done.begin(&claims[0], 100).await;
    let mut record = super::bench::record_of(&claims[0], 100, sent());
    record.chat = Some(chat(31, "chat-31", LINE_A));
    record.gate = Some(gate(Some(LINE_A), 900_000));
    assert_eq!(done.record(record).await, Written::Done);
    assert!(ledger.finish_if_done(&done.run.run, at(200)).await.unwrap());
    let picture = sendoff::domain::digest::Digest::of(b"a picture");
    ledger
        .keep_upload("chert", picture, "att-7", at(7))
        .await
        .unwrap();
    ledger.schedule_since("spring", at(1)).await.unwrap();
    let missed = sendoff::ledger::Missed {
        run: run_id("spring@2026-11-20"),
        due_at: at(5),
        reason: "it was off".to_owned(),
    };
    ledger.handled("spring", at(6), &[missed]).await.unwrap();
    let mut connection = store.connect().await;
    for statement in [
        "INSERT INTO accounts VALUES ('chert', 'acme')",
        "INSERT INTO gates VALUES ('chert', '', '+12005550105', 3, 800000, 'wait')",
        "UPDATE deliveries SET aged_ms = 3600000 WHERE state = 'pending' AND id % 2 = 0",
        "UPDATE messages SET timezone = 'a' || char(9, 10, 13, 92) || 'N\\N' || char(8364)
         WHERE id = 3",
        "UPDATE media SET bytes = x'00090a0d5c27ff'",
        "UPDATE deliveries SET state = 'delivered', delivered_at = sent_at + 1
         WHERE run_id = 6",
        "UPDATE deliveries SET detail = '' WHERE id = 2",
    ] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    ledger.retire(&bench.me).await.unwrap();
    ledger.retire(&done.me).await.unwrap();
    (store, bench)
}

/// What is in one file and not in the other, table by table, said by the database itself.
async fn differences(one: &Path, two: &Path) -> Vec<String> {
    let mut connection = connect(one).await;
    sqlx::query("ATTACH ? AS other")
        .bind(two.to_str().unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
         AND name NOT IN ('owners', 'places', 'moves', '_sqlx_migrations') ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables.len(), 14, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        // When a wait was asked for is not known on PostgreSQL.
        let columns = match table.as_str() {
            "gates" => "gateway, line, recipient, until_at, reason",
            _ => "*",
        };
        let mut count = async |from: &str| -> i64 {
            let text = AssertSqlSafe(format!("SELECT COUNT(*) FROM {from}"));
            sqlx::query_scalar(text)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        };
        let rows = count(&format!("main.{table}")).await;
        assert!(rows > 0, "{table} is empty, so nothing is shown");
        let others = count(&format!("other.{table}")).await;
        let only = count(&format!(
            "(SELECT {columns} FROM main.{table} EXCEPT SELECT {columns} FROM other.{table})"
        ))
        .await;
        if rows != others || only > 0 {
            found.push(format!("{table}: {rows} and {others} rows, {only} differ"));
        }
    }
    connection.close().await.unwrap();
    found
}

#[tokio::test]
async fn a_ledger_that_went_to_postgres_and_back_is_the_same_row_by_row() {
    let (store, bench) = full().await;
    let (one, two, three) = (
        open(&store.path()).await,
        PostgresDatabase::default(),
        Kind::sqlite(),
    );
    let (two, three_open) = (two.ledger().await, three.open().await);
    let there = moved(&one, &two).await;
    for run in ["spring@once", "done@once"] {
        assert!(two.run(&run_id(run)).await.unwrap().is_some());
    }
    let back = moved(&two, &*three_open).await;
    assert_eq!(there, back);
    assert_eq!(differences(&store.path(), &three.path()).await, [""; 0]);
    for (run, _) in three_open.runs().await.unwrap() {
        if run.run != bench.run.run {
            continue;
        }
        // What was altered by hand above is found, and nothing else.
        let found = super::proving::findings(&*three_open, &run.run).await;
        let before = super::proving::findings(&one, &run.run).await;
        assert_eq!(found, before);
    }
}

#[tokio::test]
async fn like_to_like_is_the_same_too() {
    let (store, _) = full().await;
    let target = Kind::sqlite();
    moved(&open(&store.path()).await, &*target.open().await).await;
    assert_eq!(differences(&store.path(), &target.path()).await, [""; 0]);
    let (one, two, back) = (Kind::postgres(), Kind::postgres(), Kind::sqlite());
    let (one, two, back_open) = (one.open().await, two.open().await, back.open().await);
    moved(&*target.open().await, &*one).await;
    moved(&*one, &*two).await;
    moved(&*two, &*back_open).await;
    assert_eq!(differences(&store.path(), &back.path()).await, [""; 0]);
}

/// Each pair of databases.
fn pairs() -> Vec<(Kind, Kind)> {
    vec![
        (Kind::sqlite(), Kind::postgres()),
        (Kind::postgres(), Kind::sqlite()),
        (Kind::sqlite(), Kind::sqlite()),
        (Kind::postgres(), Kind::postgres()),
    ]
}

async fn with_run(ledger: Arc<dyn Moving>, people: u32) -> Bench {
    let run = freeze(&*ledger, &new_run("spring@once"), rows(1..=people, LINE_A)).await;
    let me = owner("me");
    ledger.enlist(&me, at(0)).await.unwrap();
    Bench { ledger, run, me }
}

fn is_moved<T: std::fmt::Debug>(answer: Result<T, LedgerError>) {
    assert!(
        matches!(answer, Err(LedgerError::Moved { .. })),
        "{answer:?}"
    );
}

fn is_unfinished<T: std::fmt::Debug>(answer: Result<T, LedgerError>) {
    assert!(
        matches!(answer, Err(LedgerError::Unfinished { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_run_half_done_goes_on_in_the_new_store_and_not_in_the_old_one() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 6).await;
        assert_eq!(bench.ledger.take_place().await.unwrap(), None);
        bench.settle_one(0, sent()).await;
        let unanswered = bench.take_one(1).await;
        bench.begin(&unanswered, 1).await;
        let held = bench.take_one(2).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (source, target) = (from.open().await, to.open().await);
        moved(&*source, &*target).await;
        // The old one takes nothing, also from who came before.
        let old = &bench.ledger;
        is_moved(old.enlist(&owner("late"), at(9)).await);
        is_moved(
            old.claim(&bench.ask(&bench.me, 9, 9), &|_| {
                sendoff::ledger::Admission::Now
            })
            .await,
        );
        let begin = sendoff::ledger::Write::Begin(Box::new(super::bench::begin_of(&held, 3)));
        is_moved(old.write(&bench.me, &[begin]).await);
        is_moved(old.freeze(&new_run("summer@once")).await.map(drop));
        is_moved(
            old.set_state(&bench.run.run, RunState::Paused, None, at(9))
                .await,
        );
        let sign = old.take_place().await.unwrap().unwrap().sign;
        assert!(
            matches!(&sign, Sign::Moved { to, .. } if *to == target.name()),
            "{sign:?}"
        );
        // The new one is at home, and everybody gets it once.
        assert_eq!(target.take_place().await.unwrap(), None);
        let new: Arc<dyn Ledger> = to.open().await;
        let me = owner("new");
        new.enlist(&me, at(0)).await.unwrap();
        let run = new.run(&bench.run.run).await.unwrap().unwrap();
        let moved = Bench {
            ledger: new,
            run,
            me,
        };
        let claims = moved.take(10, 10).await;
        assert_eq!(claims.len(), 5, "nobody holds any, and one has it already");
        let again = claims
            .iter()
            .filter(|claim| claim.unanswered_since.is_some());
        let again: Vec<_> = again.map(|claim| (claim.id, claim.attempt)).collect();
        assert_eq!(again, [(unanswered.id, unanswered.attempt + 1)]);
        for claim in &claims {
            moved.settle(claim, 11, sent()).await;
        }
        assert!(
            moved
                .ledger
                .finish_if_done(&moved.run.run, at(12))
                .await
                .unwrap()
        );
        assert!(
            moved
                .states()
                .await
                .iter()
                .all(|state| *state == DeliveryState::Sent)
        );
        assert_proved(&*moved.ledger, &moved.run.run).await;
        // Numbers go on after the highest.
        let next = freeze(&*moved.ledger, &new_run("next@once"), rows(1..=3, LINE_A)).await;
        assert!(next.id > moved.run.id);
        assert_proved(&*moved.ledger, &next.run).await;
    }
}

#[tokio::test]
async fn nothing_is_moved_while_somebody_sends_from_it() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        let (source, target) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let begun = begin(&*source, &*target, &stop).await;
        let Err(CopyError::Busy { present, .. }) = begun else {
            panic!("{begun:?}");
        };
        assert_eq!(present.len(), 1);
        assert_eq!(present[0].owner, bench.me);
        assert_eq!(source.standing().await.unwrap(), copy::Standing::default());
        bench.settle_one(0, sent()).await;
    }
}

/// One that was stopped and counted as gone comes back after the store was closed: what it had in
/// hand can neither begin nor be recorded there.
#[tokio::test]
async fn who_comes_back_after_the_move_changes_nothing() {
    let (from, to) = (Kind::postgres(), Kind::sqlite());
    let bench = with_run(from.open().await, 3).await;
    let (begun, held) = (bench.take_one(0).await, bench.take_one(0).await);
    bench.begin(&begun, 0).await;
    from.run("UPDATE owners SET alive_until = 0").await;
    let (source, target) = (from.open().await, to.open().await);
    moved(&*source, &*target).await;
    is_moved(bench.ledger.beat(&bench.me, at(1)).await);
    let write = |write| async { bench.ledger.write(&bench.me, &[write]).await };
    let begin = super::bench::begin_of(&held, 1);
    is_moved(write(sendoff::ledger::Write::Begin(Box::new(begin))).await);
    let record = super::bench::record_of(&begun, 0, sent());
    is_moved(write(sendoff::ledger::Write::Record(Box::new(record))).await);
    let states: Vec<_> = bench.states().await;
    assert!(!states.contains(&DeliveryState::Sent));
}

/// Of a process whose lock is gone it is not known whether it lives: its leases end by time.
#[tokio::test]
async fn a_process_without_a_lock_is_waited_for_while_it_holds_something() {
    let (from, to) = (Kind::sqlite(), Kind::sqlite());
    let bench = with_run(from.open().await, 3).await;
    assert_eq!(bench.take(LEASE_MS * 4 - 10, 1).await.len(), 1);
    bench.ledger.close().await;
    let mut lock = from.path().into_os_string();
    lock.push("-owner-me");
    std::fs::remove_file(lock).unwrap();
    let (source, target) = (from.open().await, to.open().await);
    let stop = CancellationToken::new();
    let begun = begin(&*source, &*target, &stop).await;
    assert!(matches!(begun, Err(CopyError::Busy { .. })), "{begun:?}");
    let later = Wish {
        now: at(LEASE_MS * 6),
        ..wish("one")
    };
    goes(copy::begin(&*source, &*target, &stop, later).await);
}

/// Stopped after every page there is, and begun anew by new handles.
#[tokio::test]
async fn a_copy_goes_on_wherever_it_was_stopped() {
    for (from, to) in pairs() {
        let source = from.open().await;
        let bench = with_run(source.clone(), 9_000).await;
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let mut stops = 0;
        let mut start = Start::Anew;
        loop {
            let (one, two) = (from.open().await, to.open().await);
            let stop = CancellationToken::new();
            let copying = match begin(&*one, &*two, &stop).await.unwrap() {
                Begun::Goes(copying, how) => {
                    assert_eq!(how, start);
                    copying
                }
                Begun::Finished => panic!("it is not"),
            };
            start = Start::Again;
            let first = |progress: Progress| {
                assert_eq!(progress.step, Step::Copying);
                stop.cancel();
            };
            match copying.carry(&mut { first }).await {
                Err(CopyError::Stopped) => stops += 1,
                Ok(_) => break,
                Err(error) => panic!("{error}"),
            }
            is_unfinished(two.enlist(&owner("eager"), at(0)).await);
            is_unfinished(two.take_place().await);
            is_unfinished(two.accept_copy(at(0)).await);
            is_unfinished(two.freeze(&new_run("eager@once")).await.map(drop));
        }
        assert!(stops >= 8, "{stops} pages");
        let (one, two) = (from.open().await, to.open().await);
        let counts = moved(&*one, &*two).await;
        assert!(counts.contains(&("deliveries", 9_000)), "{counts:?}");
        assert_proved(&*two, &bench.run.run).await;
        // Once more changes nothing.
        let stop = CancellationToken::new();
        let begun = begin(&*one, &*two, &stop).await;
        assert!(matches!(begun, Ok(Begun::Finished)), "{begun:?}");
    }
}

#[tokio::test]
async fn a_move_that_was_killed_at_one_of_its_ends_is_finished() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        // Closed, and the target was not marked.
        drop(goes(begin(&*one, &*two, &stop).await));
        to.run("DELETE FROM moves").await;
        let copying = goes(begin(&*one, &*two, &stop).await);
        // The target was opened, and the source does not say so.
        to_the_end(copying).await;
        from.run("UPDATE moves SET finished_at = NULL").await;
        let begun = begin(&*one, &*two, &stop).await;
        assert!(matches!(begun, Ok(Begun::Finished)), "{begun:?}");
        let out = one.standing().await.unwrap().to.unwrap();
        assert!(out.finished_at.is_some());
        two.enlist(&owner("me"), at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn two_copies_at_once_do_no_harm() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 9_000).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let first = goes(begin(&*one, &*two, &stop).await);
        let (three, four) = (from.open().await, to.open().await);
        let second = goes(begin(&*three, &*four, &stop).await);
        let (mut a, mut b) = (|_: Progress| {}, |_: Progress| {});
        let ended = tokio::join!(first.carry(&mut a), second.carry(&mut b));
        let fine = |one: &Result<u64, CopyError>| matches!(one, Ok(_) | Err(CopyError::Crossed(_)));
        assert!(fine(&ended.0) && fine(&ended.1), "{ended:?}");
        let counts = moved(&*one, &*two).await;
        assert!(counts.contains(&("deliveries", 9_000)), "{counts:?}");
    }
}

#[tokio::test]
async fn a_target_in_use_is_refused_and_nothing_is_closed() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let same = begin(&*one, &*one, &stop).await;
        assert!(matches!(same, Err(CopyError::Same(_))), "{same:?}");
        let again = from.open().await;
        let same = begin(&*one, &*again, &stop).await;
        assert!(matches!(same, Err(CopyError::Same(_))), "{same:?}");
        two.schedule_since("spring", at(0)).await.unwrap();
        let used = begin(&*one, &*two, &stop).await;
        assert!(matches!(used, Err(CopyError::InUse { .. })), "{used:?}");
        bench.ledger.enlist(&owner("still"), at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_move_that_is_given_up_makes_the_old_store_the_one_again() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        assert_eq!(bench.ledger.take_place().await.unwrap(), None);
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        goes(begin(&*one, &*two, &stop).await)
            .carry(&mut |_| {})
            .await
            .unwrap();
        // Not to another place meanwhile.
        let third = Kind::sqlite();
        let other = third.open().await;
        let elsewhere = begin(&*one, &*other, &stop).await;
        let finished = match elsewhere {
            Err(CopyError::MovedElsewhere { finished, .. }) => finished,
            other => panic!("{other:?}"),
        };
        assert_eq!(finished, Finished::No);
        one.accept_copy(at(9)).await.unwrap();
        assert_eq!(from.open().await.take_place().await.unwrap(), None);
        let bench = Bench {
            me: owner("again"),
            ..bench
        };
        bench.ledger.enlist(&bench.me, at(9)).await.unwrap();
        bench.settle_one(9, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        // The rows in the target are of an earlier state: it is not gone on with.
        let stale = begin(&*one, &*two, &stop).await;
        assert!(matches!(stale, Err(CopyError::InUse { .. })), "{stale:?}");
        is_unfinished(two.enlist(&owner("eager"), at(0)).await);
    }
}

#[tokio::test]
async fn a_row_that_has_changed_on_the_way_is_named() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 5).await;
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let copying = goes(begin(&*one, &*two, &stop).await);
        copying.carry(&mut |_| {}).await.unwrap();
        let differs = async |expected: &str| match copying.compare(&mut |_| {}).await {
            Err(CopyError::Differs { table, row, what }) => {
                let said = format!("{table}, {row}: {what}");
                assert!(said.contains(expected), "{said}");
            }
            other => panic!("{other:?}"),
        };
        let id = bench.row(2).await.id;
        let altered = format!("UPDATE messages SET timezone = 'x' WHERE id = {id}");
        to.run(&altered).await;
        differs(&format!("messages, id {id}: `timezone` is not the same")).await;
        to.run("UPDATE messages SET timezone = NULL").await;
        to.run(&format!("DELETE FROM deliveries WHERE id = {id}"))
            .await;
        differs(&format!("deliveries, id {id}: is not in {}", two.name())).await;
    }
}

/// A backup of the old store is as old as it was, and one of the new store is known.
#[tokio::test]
async fn what_was_sent_before_the_move_is_known_in_the_new_store() {
    let (from, to) = (Kind::postgres(), Kind::sqlite());
    let bench = with_run(from.open().await, 3).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    bench.settle_one(0, sent()).await;
    bench.ledger.retire(&bench.me).await.unwrap();
    let target = to.open().await;
    moved(&*from.open().await, &*target).await;
    target.close().await;
    let backup = to.path().with_file_name("backup.db");
    std::fs::copy(to.path(), &backup).unwrap();
    let sign = open(&backup)
        .await
        .take_place()
        .await
        .unwrap()
        .unwrap()
        .sign;
    assert_eq!(sign, Sign::NoNote);
    // From such a copy nothing is moved, unless a person says so.
    let stop = CancellationToken::new();
    let (away, next) = (open(&backup).await, Kind::sqlite());
    let next = next.open().await;
    let begun = begin(&away, &*next, &stop).await;
    assert!(matches!(begun, Err(CopyError::Away(_))), "{begun:?}");
    let accepted = Wish {
        doubts: Doubts::Accept,
        ..wish("one")
    };
    to_the_end(goes(copy::begin(&away, &*next, &stop, accepted).await)).await;
    assert_eq!(to.open().await.take_place().await.unwrap(), None);
}

#[tokio::test]
async fn a_source_with_a_value_of_another_kind_is_damaged() {
    let (from, to) = (Kind::sqlite(), Kind::postgres());
    let bench = with_run(from.open().await, 3).await;
    bench.ledger.retire(&bench.me).await.unwrap();
    from.run("UPDATE deliveries SET due_at = 'soon' WHERE id = 2")
        .await;
    let (one, two) = (from.open().await, to.open().await);
    let stop = CancellationToken::new();
    let copying = goes(begin(&*one, &*two, &stop).await);
    match copying.carry(&mut |_| {}).await {
        Err(CopyError::Store {
            side: Side::From,
            error: LedgerError::Damaged(what),
        }) => assert!(what.contains("deliveries: `due_at`"), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// The age that a clock set back has given to an attempt without an answer counts in both.
#[tokio::test]
async fn the_age_of_a_key_comes_along() {
    let (from, to) = (Kind::sqlite(), Kind::postgres());
    let bench = with_run(from.open().await, 2).await;
    let next = Next::Unanswered {
        again_at: at(5),
        tries: 1,
    };
    bench.settle_one(0, next).await;
    from.run("UPDATE deliveries SET aged_ms = 7000 WHERE state = 'sending'")
        .await;
    bench.ledger.retire(&bench.me).await.unwrap();
    moved(&*from.open().await, &*to.open().await).await;
    let ledger: Arc<dyn Ledger> = to.open().await;
    let me = owner("new");
    ledger.enlist(&me, at(0)).await.unwrap();
    let run = ledger.run(&bench.run.run).await.unwrap().unwrap();
    let claims = Bench { ledger, run, me }.take(5, 9).await;
    let since: Vec<_> = claims
        .iter()
        .filter_map(|claim| claim.unanswered_since)
        .collect();
    assert_eq!(since, [at(-7000)]);
}
