//! A ledger that another program holds locked: waited for, and told when it is not released.

use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::time::Instant;

use super::{resume_to_the_end, says};
use crate::support::{RUN, Stage, until};

/// Longer than the program waits for a lock, all its tries together.
const LONG: Duration = Duration::from_mins(3);

/// A connection such as another program has.
async fn other_program(stage: &Stage) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(stage.project.path("sendoff.db"));
    options
        .busy_timeout(Duration::from_secs(5))
        .connect()
        .await
        .unwrap()
}

/// Sixty people, five of whom have it.
async fn begun() -> Stage {
    let stage = Stage::with(60, "pace: { concurrency: 2 }", "").await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 30 }]))
        .await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_released_in_time_is_waited_for() {
    for how in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let stage = begun().await;
        let mut other = other_program(&stage).await;
        other.execute(how).await.unwrap();
        let mut process = stage.project.spawn(&["resume", RUN, "--yes"]);
        until("the program to look at the ledger", async || {
            process.err().contains("to go").then_some(())
        })
        .await;
        let held = Instant::now();
        until("a while", async || {
            (held.elapsed().as_secs() >= 1).then_some(())
        })
        .await;
        assert!(process.is_running(), "{}", process.err());
        other.execute("ROLLBACK").await.unwrap();
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{how}: {ended:?}");
        stage.assert_everybody_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_comes_halfway_and_goes_is_waited_for() {
    let stage = begun().await;
    let process = stage.project.spawn(&["resume", RUN, "--yes"]);
    stage.provider.until_people(10).await;
    let mut other = other_program(&stage).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let held = Instant::now();
    until("a while", async || {
        (held.elapsed().as_secs() >= 2).then_some(())
    })
    .await;
    other.execute("COMMIT").await.unwrap();
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_is_told_and_nothing_is_sent() {
    let stage = begun().await;
    let mut other = other_program(&stage).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let ended = stage.resume().await;
    says(
        &ended,
        5,
        &[
            "another program",
            "locked",
            "sendoff.db",
            "close the program",
        ],
    );
    assert_eq!(stage.provider.totals().await.people, 5);
    other.execute("ROLLBACK").await.unwrap();
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_comes_halfway_and_stays_ends_the_run_resumable() {
    let stage = begun().await;
    let process = stage.project.spawn(&["resume", RUN, "--yes"]);
    stage.provider.until_people(10).await;
    let mut other = other_program(&stage).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    // It has been patient: a long list that another process freezes is waited for, too.
    let ended = process.end_within(LONG).await;
    says(&ended, 5, &["another program", "locked"]);
    stage.assert_nobody_twice().await;
    let rows = stage.project.rows(RUN).await;
    assert!(
        rows.iter().any(|row| row.state != "sent"),
        "nothing was left open"
    );
    other.execute("ROLLBACK").await.unwrap();
    resume_to_the_end(&stage).await;
}
