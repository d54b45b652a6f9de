//! `kill -9` at chosen moments, and at seeded random ones under faults: afterwards everybody has
//! the message once. A moment is an event in the sandbox's record, never a length of time.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::by_key;
use crate::support::{Process, RUN, Stage, until};

/// What a killed process held is free at once: far less than a lease.
const NO_LEASE: Duration = Duration::from_secs(10);

async fn finish(stage: &Stage) {
    stage.provider.faults(0, &json!([])).await;
    let begun = Instant::now();
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let took = begun.elapsed();
    assert!(took < NO_LEASE, "leases of the dead held it up: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_accepted_but_unrecorded_at_the_kill_are_not_sent_twice() {
    let stage = Stage::with(40, "pace: { concurrency: 8 }", "").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_outlives_its_killed_process_is_joined_not_repeated() {
    let stage = Stage::with(20, "pace: { concurrency: 4 }", "").await;
    // Accepted only after the resume has asked again.
    let lie = json!([{ "kind": "slow", "delay_ms": 60_000, "times": 4 }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(4).await;
    process.kill();
    let resumed = stage.project.spawn(&["resume", RUN, "--yes"]);
    // The four from before, and the four that ask under the same keys.
    stage.provider.until_waiting(8).await;
    stage.provider.faults(1, &json!([])).await;
    let ended = resumed.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_count_goes_on_where_it_was() {
    for count in [1, 7, 23, 39] {
        let stage = Stage::with(40, "pace: { concurrency: 4 }", "").await;
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

/// One round of the soak: random people, faults and kills, all from the seed.
async fn soak(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let people = chance.usize(20..60);
    let terms = "pace: { concurrency: 8 }\nretry: { attempts: 20, base: 20ms, max: 100ms }";
    let stage = Stage::with(people, terms, "timeout: 400ms").await;
    let share = chance.f64() * 0.12;
    let rules = json!([
        { "kind": "drop", "share": share },
        { "kind": "drop_before", "share": share },
        { "kind": "half_answer", "share": share },
        { "kind": "error", "code": 3002, "share": share },
        { "kind": "error_after_accept", "code": 3001, "share": share },
        { "kind": "non_json_after_accept", "share": share },
        { "kind": "slow_after_accept", "delay_ms": 600, "share": share / 3.0 },
        { "kind": "slow", "delay_ms": 500, "share": share / 3.0 },
        { "kind": "throttle", "wait": 1, "times": 1 },
        { "kind": "slow_after_accept", "delay_ms": 10 },
    ]);
    stage.provider.faults(seed, &rules).await;
    let mut companion = None;
    for _ in 0..chance.usize(1..4) {
        let target = stage.provider.totals().await.message_posts + chance.usize(1..people / 2);
        let mut process = stage.start(&[]);
        // Another one beside it now and then, which may outlive it into the next kill.
        companion = chance.bool().then(|| stage.start(&[])).or(companion);
        reach(&stage, &mut process, target).await;
        process.kill();
    }
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    if let Some(companion) = companion {
        let ended = companion.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    stage.assert_everybody_once().await;
}

/// Waits for a number of posts, or for the run to end before.
async fn reach(stage: &Stage, process: &mut Process, posts: usize) {
    until("posts or the end", async || {
        let there = stage.provider.totals().await.message_posts >= posts;
        (there || !process.is_running()).then_some(())
    })
    .await;
}

#[expect(clippy::print_stderr, reason = "names the round that failed")]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_kills_and_faults_everybody_gets_it_once() {
    for round in 0..10 {
        let seed = 0x5eed + round;
        eprintln!("seed {seed}");
        soak(seed).await;
    }
}
