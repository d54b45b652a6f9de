//! Keys that the provider may have forgotten: what was on the wire then is never sent again
//! blindly. Its chat may show it; otherwise a person must say.

use std::time::Duration;

use serde_json::json;

use super::books::bury_the_killed;
use super::by_key;
use crate::support::{CAMPAIGN, Ended, Journal, On, RUN, Row, Stage};

/// How long the settings say that a key is remembered.
const KEPT: Duration = Duration::from_secs(1);
const SETTINGS: &str = "idempotency_retention: 1s\ntimeout: 400ms";
const AGAIN: &str = "hello@again";

/// Starts a run, kills it with all of its requests on the wire, and lets its keys grow old.
async fn leave_on_the_wire(stage: &Stage, more: &[&str], rule: serde_json::Value, people: usize) {
    stage.provider.faults(1, &json!([rule])).await;
    let mut process = stage.start(more);
    stage.provider.until_waiting(people).await;
    process.kill();
    bury_the_killed(stage).await;
    // The one thing waited for here is that a time has passed.
    tokio::time::sleep(KEPT).await;
    stage.provider.faults(1, &json!([])).await;
}

async fn resume(stage: &Stage, run: &str) -> (Ended, Vec<Row>, Journal) {
    let ended = stage.project.run(&["resume", run, "--yes"]).await;
    let rows = stage.project.rows(run).await;
    (ended, rows, stage.provider.journal().await)
}

fn taken() -> serde_json::Value {
    json!({ "kind": "slow_after_accept", "delay_ms": 60_000 })
}

pub(super) async fn a_first_message_with_an_old_key_is_left_to_a_person(on: On) {
    let stage = Stage::on(
        on,
        4,
        "pace: { concurrency: 4 }",
        "idempotency_retention: 1s",
    )
    .await;
    leave_on_the_wire(&stage, &[], taken(), 4).await;
    let (ended, rows, journal) = resume(&stage, RUN).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for row in &rows {
        assert_eq!(
            (row.state.as_str(), row.attempts),
            ("uncertain", 1),
            "{row:?}"
        );
    }
    assert!(by_key(&journal).values().all(|posts| posts.len() == 1));
    assert_eq!(journal.totals.people, 4, "they had it all along");
}

pub(super) async fn a_follow_up_with_an_old_key_is_found_in_its_chat(on: On) {
    let stage = Stage::on(
        on,
        4,
        "pace: { concurrency: 4 }",
        "idempotency_retention: 1s",
    )
    .await;
    assert_eq!(stage.send().await.code, Some(0));
    leave_on_the_wire(&stage, &["--occurrence", "again"], taken(), 4).await;
    let (ended, rows, journal) = resume(&stage, AGAIN).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(by_key(&journal).values().all(|posts| posts.len() == 1));
    for row in &rows {
        assert_eq!((row.state.as_str(), row.attempts), ("sent", 1), "{row:?}");
        let theirs = journal
            .messages
            .iter()
            .filter(|one| one.to == [row.phone.clone()]);
        let second = theirs
            .max_by_key(|one| one.key.as_deref() == Some(&*row.idempotency_key))
            .unwrap();
        assert_eq!(
            second.message_id, row.message_id,
            "the second, not the first"
        );
        assert_eq!(second.key.as_deref(), Some(&*row.idempotency_key));
    }
    assert_eq!(journal.totals.messages, 8);
}

pub(super) async fn a_follow_up_that_its_chat_does_not_show_is_left_to_a_person(on: On) {
    let stage = Stage::on(on, 4, "pace: { concurrency: 4 }", SETTINGS).await;
    assert_eq!(stage.send().await.code, Some(0));
    let rule = json!({ "kind": "slow", "delay_ms": 60_000 });
    stage.provider.faults(1, &json!([rule])).await;
    // Each try times out, until the key is too old for another one.
    let campaign = "retry: { attempts: 50, base: 50ms, max: 100ms }\npace: { concurrency: 4 }";
    stage.campaign("hello", campaign);
    let process = stage
        .project
        .spawn(&["run", CAMPAIGN, "--yes", "--occurrence", "again"]);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = stage.project.rows(AGAIN).await;
    assert!(rows.iter().all(|row| row.state == "uncertain"), "{rows:?}");
    let most = rows.iter().map(|row| row.attempts).max().unwrap();
    assert!(
        (2..=4).contains(&most),
        "tried while the key was young: {most}"
    );
}

pub(super) async fn tries_that_are_used_up_without_an_answer_are_settled_by_the_chat(on: On) {
    let campaign = "retry: { attempts: 2, base: 20ms, max: 20ms }\npace: { concurrency: 4 }";
    let stage = Stage::on(on, 4, campaign, "timeout: 400ms").await;
    assert_eq!(stage.send().await.code, Some(0));
    stage.provider.faults(1, &json!([{ "kind": "drop" }])).await;
    let again = ["run", CAMPAIGN, "--yes", "--occurrence", "again"];
    let ended = stage.project.run(&again).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = stage.project.rows(AGAIN).await;
    let journal = stage.provider.journal().await;
    assert_eq!(journal.totals.messages, 8);
    for row in &rows {
        assert_eq!((row.state.as_str(), row.attempts), ("sent", 2), "{row:?}");
        let found = journal
            .messages
            .iter()
            .any(|one| one.message_id == row.message_id);
        assert!(found, "{row:?}");
    }
}
