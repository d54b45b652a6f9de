//! A ledger that moves to another store: everything arrives, nothing is sent from the old one
//! any more, and whatever interrupts the move, it goes on. What the command says is `cli`'s.

mod interrupted;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::run::RunState;
use sendoff::ledger::copy::{self, Begun, CopyError, Copying, Doubts, Moving, Side, Wish};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, LedgerError, Next, Sign};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, LEASE_MS, LINE_A, at, freeze, new_run, owner, rows, sent};
use super::cluster::PostgresDatabase;
use super::proving::assert_proved;

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
    let error = answer.unwrap_err();
    assert!(matches!(error, LedgerError::Moved { .. }), "{error:?}");
}

fn is_unfinished<T: std::fmt::Debug>(answer: Result<T, LedgerError>) {
    let error = answer.unwrap_err();
    assert!(matches!(error, LedgerError::Unfinished { .. }), "{error:?}");
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
        assert_eq!(present[0].name, bench.me.0);
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
    let (sending, held) = (bench.take_one(0).await, bench.take_one(0).await);
    bench.begin(&sending, 0).await;
    from.run("UPDATE owners SET alive_until = 0").await;
    let (source, target) = (from.open().await, to.open().await);
    moved(&*source, &*target).await;
    is_moved(bench.ledger.beat(&bench.me, at(1)).await);
    let write = |write| async { bench.ledger.write(&bench.me, &[write]).await };
    let begin = super::bench::begin_of(&held, 1);
    is_moved(write(sendoff::ledger::Write::Begin(Box::new(begin))).await);
    let record = super::bench::record_of(&sending, 0, sent());
    is_moved(write(sendoff::ledger::Write::Record(Box::new(record))).await);
    assert!(!bench.states().await.contains(&DeliveryState::Sent));
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
