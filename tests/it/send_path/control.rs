//! An operator's word from a second process, and two processes on one run.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use super::books::processes;
use crate::support::{On, RUN, Stage, phone, until};

/// After so long a process that was killed counts as gone: where it was silent on a server.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// What is on the wire is finished, and a second process is looked for once a second.
const SOON: SignedDuration = SignedDuration::from_secs(2);

/// Two hundred people at about eight a second: everybody is in hand soon, few have been sent to.
async fn under_way(on: On) -> Stage {
    let stage = Stage::on(on, 200, "pace: { concurrency: 4 }", "").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 500 }]);
    stage.provider.faults(1, &slow).await;
    stage
}

async fn last_post(stage: &Stage) -> Timestamp {
    let journal = stage.provider.journal().await;
    journal.posts().last().unwrap().at
}

pub(super) async fn a_pause_takes_effect_soon_and_a_resume_goes_on(on: On) {
    let stage = under_way(on).await;
    let process = stage.start(&[]);
    stage.provider.until_people(10).await;
    let pause = stage.project.run(&["pause", RUN]).await;
    assert_eq!(pause.code, Some(0), "{pause:?}");
    let said = Timestamp::now();
    let ended = process.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("was paused"), "{ended:?}");
    let late = last_post(&stage).await.duration_since(said);
    assert!(late < SOON, "still sending {late:#} after the pause");
    let again = stage.send().await;
    assert_eq!(again.code, Some(4), "a paused run is left alone: {again:?}");
    stage.provider.faults(1, &json!([])).await;
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn a_cancelled_delivery_is_never_sent(on: On) {
    let stage = under_way(on).await;
    let process = stage.start(&[]);
    stage.provider.until_people(10).await;
    let cancel = stage.project.run(&["cancel", RUN, "--yes"]).await;
    assert_eq!(cancel.code, Some(0), "{cancel:?}");
    let said = Timestamp::now();
    let ended = process.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let late = last_post(&stage).await.duration_since(said);
    assert!(late < SOON, "still sending {late:#} after the end");
    stage.provider.faults(1, &json!([])).await;
    for args in [
        ["resume", RUN, "--yes"],
        ["run", crate::support::CAMPAIGN, "--yes"],
    ] {
        let ended = stage.project.run(&args).await;
        assert!(ended.err.contains("cancelled"), "{ended:?}");
    }
    let journal = stage.assert_nobody_twice().await;
    let rows = stage.project.rows(RUN).await;
    for row in &rows {
        let received = journal
            .messages
            .iter()
            .any(|one| one.to == [row.phone.clone()]);
        let expected = if received { "sent" } else { "cancelled" };
        assert_eq!(row.state, expected, "{row:?}");
    }
    assert!(journal.totals.people < 200, "nothing was cancelled");
}

pub(super) async fn a_cancelled_run_leaves_no_delivery_open(on: On) {
    let terms = "retry: { attempts: 5, base: 30s, max: 30s }";
    let stage = Stage::on(on, 10, terms, "").await;
    let rules = json!([
        { "kind": "drop", "match": { "to": phone(3) } },
        { "kind": "error", "code": 3002, "match": { "to": phone(4) } },
    ]);
    stage.provider.faults(1, &rules).await;
    let process = stage.start(&[]);
    stage.provider.until_posts(10).await;
    let cancel = stage.project.run(&["cancel", RUN, "--yes"]).await;
    assert_eq!(cancel.code, Some(0), "{cancel:?}");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let rows = stage.project.rows(RUN).await;
    let states = [&rows[3].state, &rows[4].state];
    assert_eq!(states, ["uncertain", "cancelled"]);
}

pub(super) async fn two_processes_share_a_run(on: On) {
    let stage = Stage::on(on, 200, "pace: { concurrency: 4 }", "").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 20 }]);
    stage.provider.faults(1, &slow).await;
    let one = stage.start(&[]);
    stage.provider.until_people(5).await;
    let other = stage.project.spawn(&["resume", RUN, "--yes"]);
    for process in [one, other] {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.totals.message_posts, 200, "each was asked for once");
}

pub(super) async fn processes_that_start_the_same_run_at_once_share_it_and_its_new_ledger(on: On) {
    let stage = Stage::on(on, 100, "", "").await;
    let all: Vec<_> = (0..6).map(|_| stage.start(&[])).collect();
    for process in all {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.totals.message_posts, 100, "each was asked for once");
}

pub(super) async fn the_one_that_is_killed_does_not_hold_up_the_other(on: On) {
    let stage = Stage::on(on, 60, "pace: { concurrency: 4 }", "").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let mut one = stage.start(&[]);
    stage.provider.until_waiting(4).await;
    // It finds everything in the first one's hands.
    let other = stage.project.spawn(&["resume", RUN, "--yes"]);
    until("the other", async || {
        (processes(&stage).await == 2).then_some(())
    })
    .await;
    one.kill();
    stage.provider.faults(1, &json!([])).await;
    let begun = Instant::now();
    let ended = other.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        begun.elapsed() < TAKEN_OVER + Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    stage.assert_everybody_once().await;
}
