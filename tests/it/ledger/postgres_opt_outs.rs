//! Opting out on a server where attempts begin at the same moment, in every order of their
//! commits.

use sendoff::domain::opt_out::Source;
use sendoff::ledger::{NewSuppression, Suppressing, Write, Written};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::bench::{Bench, LINE_A, at, begin_of, phone, rows};
use super::cluster::PostgresDatabase;
use super::store::Store;
use crate::support::until;

/// The lock of `HOLD_OPT_OUTS`.
const ALONE: &str = "SELECT pg_advisory_xact_lock(1936614505, 0)";
const SHARED: &str = "SELECT pg_advisory_xact_lock_shared(1936614505, 0)";

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

/// Somebody waits for the lock.
async fn waited_for(database: &PostgresDatabase) {
    let mut looking = database.connect().await;
    until("somebody waits for the lock", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_locks
             WHERE locktype = 'advisory' AND classid = 1936614505 AND NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_one(&mut looking)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_waited_for_an_opt_out_sees_it() {
    let database = PostgresDatabase::default();
    let bench = Bench::with(&database, rows(1..=2, LINE_A)).await;
    let claims = bench.take(0, 2).await;
    // Somebody is opting out, and has not committed it yet.
    let mut opting = database.connect().await;
    let mut tx = opting.begin().await.unwrap();
    run(&mut tx, ALONE).await;
    let insert = format!(
        "INSERT INTO suppressions (phone, scope, voice, at, source)
         VALUES ('{}', '', 'person', 1, 'reply')",
        phone(1).expose()
    );
    run(&mut tx, &insert).await;
    let group: Vec<Write> = claims
        .iter()
        .map(|claim| Write::Begin(Box::new(begin_of(claim, 1))))
        .collect();
    let (ledger, me) = (bench.ledger.clone(), bench.me.clone());
    let beginning = tokio::spawn(async move { ledger.write(&me, &group).await.unwrap() });
    waited_for(&database).await;
    tx.commit().await.unwrap();
    assert_eq!(beginning.await.unwrap(), [Written::LeftOut, Written::Done]);
}

#[tokio::test]
async fn an_opt_out_waits_for_attempts_that_are_being_begun() {
    let database = PostgresDatabase::default();
    let ledger = database.open().await;
    let mut beginning = database.connect().await;
    let mut tx = beginning.begin().await.unwrap();
    run(&mut tx, SHARED).await;
    let one = NewSuppression {
        phone: phone(1),
        source: Source::Operator,
        reason: None,
        at: None,
    };
    let opting = ledger.clone();
    let opting = tokio::spawn(async move { opting.suppress(&[one], at(0)).await.unwrap() });
    waited_for(&database).await;
    assert!(ledger.suppressions(None, 5).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(opting.await.unwrap(), [Suppressing::Added]);
    assert_eq!(ledger.suppressions(None, 5).await.unwrap().len(), 1);
}

/// What does not begin an attempt goes on while somebody opts out.
#[tokio::test]
async fn outcomes_do_not_wait_for_an_opt_out() {
    let database = PostgresDatabase::default();
    let bench = Bench::with(&database, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let mut opting = database.connect().await;
    let mut tx = opting.begin().await.unwrap();
    run(&mut tx, ALONE).await;
    let record = super::bench::record_of(&claim, 0, super::bench::sent());
    assert_eq!(bench.record(record).await, Written::Done);
    assert!(bench.take(10, 5).await.is_empty());
    tx.commit().await.unwrap();
}
