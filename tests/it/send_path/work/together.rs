//! Workers beside each other: what they share is sent once, whoever dies, stands still or joins.

use serde_json::json;

use super::{accepted, frozen, leave, status, until_said, until_state, waiting, worker, workers};
use crate::support::{On, RUN, until};

pub(in crate::send_path) async fn workers_share_a_run(on: On) {
    // More than one takes in hand, and none of it is through before both have their part.
    let stage = waiting(on, 1_000, "pace: { rate: 150/s, burst: 10 }").await;
    let held = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &held).await;
    let mut both = [worker(&stage, &[]), worker(&stage, &[])];
    until("two workers with something in hand", async || {
        let status = status(&stage, Some(RUN)).await;
        let workers = status["workers"].as_array().unwrap();
        let busy = workers.iter().filter(|one| one["leased"] != 0).count();
        (busy == 2).then_some(())
    })
    .await;
    stage.provider.faults(1, &json!([])).await;
    for one in &mut both {
        until_said(one, "left hello@once: finished").await;
    }
    for one in both {
        let ended = leave(one).await;
        assert!(!ended.err.contains("; 0 sent from here"), "{ended:?}");
    }
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 1_000, "each was asked for once");
}

pub(in crate::send_path) async fn a_worker_that_is_killed_leaves_its_part_to_the_other(on: On) {
    let stage = waiting(on, 60, "pace: { concurrency: 4 }").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let mut first = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    let second = worker(&stage, &[]);
    until("the other", async || {
        (workers(&stage).await.len() == 2).then_some(())
    })
    .await;
    first.kill();
    stage.provider.faults(1, &json!([])).await;
    until_state(&stage, RUN, "finished").await;
    leave(second).await;
    stage.assert_everybody_once().await;
}

pub(in crate::send_path) async fn a_worker_serves_two_runs_within_its_concurrency(on: On) {
    let stage = waiting(on, 120, "pace: { concurrency: 16 }").await;
    stage.campaign("small", "pace: { concurrency: 16 }");
    frozen(&stage, "campaigns/small.yaml").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = worker(&stage, &["--concurrency", "4"]);
    stage.provider.until_waiting(4).await;
    for run in [RUN, "small@once"] {
        until_said(&mut process, &format!("joined {run}")).await;
    }
    // One worker, with both of its runs.
    let all = status(&stage, None).await;
    let names = all["workers"].as_array().unwrap();
    assert_eq!(names.len(), 1, "{all:#}");
    assert_eq!(names[0]["runs"].as_array().unwrap().len(), 2, "{all:#}");
    let slow = json!([{ "kind": "slow", "delay_ms": 30 }]);
    stage.provider.faults(1, &slow).await;
    let mut most = 0;
    until("both to be finished", async || {
        most = most.max(stage.provider.totals().await.waiting);
        let said = process.err();
        let left = |run: &str| said.contains(&format!("left {run}: finished"));
        (left(RUN) && left("small@once")).then_some(())
    })
    .await;
    assert!((2..=4).contains(&most), "{most} requests at a time");
    leave(process).await;
    // One list, two campaigns: everybody has one message of each.
    let journal = stage.provider.journal().await;
    assert_eq!((journal.totals.people, journal.totals.messages), (120, 240));
    for run in [RUN, "small@once"] {
        assert_eq!(accepted(&stage, run).await, 120);
    }
}

pub(in crate::send_path) async fn runs_are_joined_by_their_names(on: On) {
    let stage = waiting(on, 10, "").await;
    let mut process = worker(&stage, &["--runs", "sm?ll@*", "--runs", "other@*"]);
    until_said(&mut process, "Working as").await;
    stage.campaign("small", "");
    frozen(&stage, "campaigns/small.yaml").await;
    until_said(&mut process, "left small@once: finished").await;
    let ended = leave(process).await;
    assert!(!ended.err.contains("hello@once"), "{ended:?}");
    assert_eq!(accepted(&stage, RUN).await, 1, "only by the one before");
    assert_eq!(accepted(&stage, "small@once").await, 10);
}

pub(in crate::send_path) async fn a_run_that_is_paused_is_left_and_joined_again(on: On) {
    let stage = waiting(on, 100, "pace: { concurrency: 4 }").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    let pause = stage.project.run(&["pause", RUN]).await;
    assert_eq!(pause.code, Some(0), "{pause:?}");
    stage.provider.faults(1, &json!([])).await;
    until_said(&mut process, "left hello@once: paused").await;
    let sent = accepted(&stage, RUN).await;
    assert!(sent < 100, "it was paused too late to tell");
    let slow = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &slow).await;
    let resumed = stage.project.spawn(&["resume", RUN, "--yes"]);
    until("the run to be joined again", async || {
        (process.err().matches("joined hello@once").count() == 2).then_some(())
    })
    .await;
    stage.provider.faults(1, &json!([])).await;
    until_said(&mut process, "left hello@once: finished").await;
    assert_eq!(resumed.end().await.code, Some(0));
    leave(process).await;
    stage.assert_everybody_once().await;
}
