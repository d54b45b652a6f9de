//! `kill -9` at chosen moments: afterwards everybody has the message once. A moment is an event in
//! the sandbox's record, never a length of time. Random moments are the soak's.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::books::bury_the_killed;
use super::by_key;
use crate::support::{On, RUN, Stage, until};

/// What a killed process held is free at once: far less than a lease.
const NO_LEASE: Duration = Duration::from_secs(10);

async fn finish(stage: &Stage) {
    stage.provider.faults(0, &json!([])).await;
    bury_the_killed(stage).await;
    let begun = Instant::now();
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let took = begun.elapsed();
    assert!(took < NO_LEASE, "leases of the dead held it up: {took:?}");
}

pub(super) async fn messages_accepted_but_unrecorded_at_the_kill_are_not_sent_twice(on: On) {
    let stage = Stage::on(on, 40, "pace: { concurrency: 8 }", "").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(8).await;
    process.kill();
    assert_eq!(stage.provider.totals().await.people, 8);
    finish(&stage).await;
    let journal = stage.assert_everybody_once().await;
    let keys = by_key(&journal);
    let twice = keys.values().filter(|posts| posts.len() == 2).count();
    assert_eq!(twice, 8, "those on the wire are asked for again");
    assert!(keys.values().all(|posts| posts.len() <= 2));
}

pub(super) async fn a_request_that_outlives_its_killed_process_is_joined_not_repeated(on: On) {
    let stage = Stage::on(on, 20, "pace: { concurrency: 4 }", "").await;
    // Accepted only after the resume has asked again.
    let lie = json!([{ "kind": "slow", "delay_ms": 60_000, "times": 4 }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(4).await;
    process.kill();
    bury_the_killed(&stage).await;
    let resumed = stage.project.spawn(&["resume", RUN, "--yes"]);
    // The four from before, and the four that ask under the same keys.
    stage.provider.until_waiting(8).await;
    stage.provider.faults(1, &json!([])).await;
    let ended = resumed.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn a_run_killed_at_any_count_goes_on_where_it_was(on: On) {
    for count in [1, 7, 23, 39] {
        let stage = Stage::on(on, 40, "pace: { concurrency: 4 }", "").await;
        let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 15 }]);
        stage.provider.faults(count, &lie).await;
        let mut process = stage.start(&[]);
        stage
            .provider
            .until_posts(usize::try_from(count).unwrap())
            .await;
        process.kill();
        finish(&stage).await;
        stage.assert_everybody_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_while_it_is_frozen_leaves_nothing_or_all_of_it() {
    let stage = Stage::new(200).await;
    for file in ["sendoff.db", "sendoff.db-wal", "sendoff.db-shm"] {
        let mut process = stage.start(&[]);
        let seen = stage.project.path(file);
        until(file, async || seen.exists().then_some(())).await;
        process.kill();
    }
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}
