//! Ctrl-C and the request to terminate: once finishes what is on the wire, twice gives it up;
//! either way nothing is lost and nobody gets the message twice.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::books::begun;
use crate::support::{On, Process, RUN, Stage, until};

const PROMPT: Duration = Duration::from_secs(3);

/// A run with four requests on the wire, all accepted and none answered.
async fn on_the_wire(on: On, delay_ms: u64) -> (Stage, Process) {
    let stage = Stage::on(on, 30, "pace: { concurrency: 4 }", "").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": delay_ms }]);
    stage.provider.faults(1, &lie).await;
    let process = stage.start(&[]);
    stage.provider.until_waiting(4).await;
    (stage, process)
}

async fn resume_to_the_end(stage: &Stage) {
    stage.provider.faults(1, &json!([])).await;
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn one_signal_finishes_what_is_on_the_wire_and_exits_4(on: On) {
    for signal in ["INT", "TERM"] {
        let (stage, process) = on_the_wire(on, 400).await;
        process.signal(signal);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(4), "{signal}: {ended:?}");
        assert!(ended.err.contains("sendoff resume"), "{ended:?}");
        let journal = stage.assert_nobody_twice().await;
        let rows = stage.project.rows(RUN).await;
        let sent = rows.iter().filter(|row| row.state == "sent").count();
        assert_eq!(sent, journal.totals.people, "{signal}: an answer was lost");
        assert!(
            rows.iter()
                .all(|row| row.state == "sent" || row.state == "pending"),
            "{signal}: {rows:?}"
        );
        assert!(sent < 30, "{signal}: it did not stop");
        resume_to_the_end(&stage).await;
        let posts = stage.provider.totals().await.message_posts;
        assert_eq!(posts, 30, "{signal}: a recorded answer was asked for again");
    }
}

pub(super) async fn a_second_signal_gives_up_the_wire_at_once_and_resume_mends_it(on: On) {
    for (first, second) in [("INT", "INT"), ("TERM", "INT")] {
        let (stage, process) = on_the_wire(on, 60_000).await;
        process.signal(first);
        until("the first word", async || {
            process.err().contains("Stopping").then_some(())
        })
        .await;
        // What was begun and is not on the wire is taken back, as fast as the ledger commits it.
        until("all but the wire to be taken back", async || {
            (begun(&stage).await == 4).then_some(())
        })
        .await;
        process.signal(second);
        let begun = Instant::now();
        let ended = process.end().await;
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains("4 on the wire"), "{ended:?}");
        resume_to_the_end(&stage).await;
    }
}

pub(super) async fn a_run_that_waits_for_the_provider_stops_at_once(on: On) {
    let stage = Stage::on(on, 10, "", "").await;
    let busy = json!([{ "kind": "throttle", "wait": 40 }]);
    stage.provider.faults(1, &busy).await;
    let process = stage.start(&[]);
    stage.provider.until_posts(1).await;
    process.signal("INT");
    let begun = Instant::now();
    let ended = process.end().await;
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

pub(super) async fn a_run_that_waits_for_what_people_answered_stops_at_once(on: On) {
    let stage = Stage::on(on, 10, "", "").await;
    let hangs = json!([{ "kind": "slow", "delay_ms": 20_000, "match": { "route": "events" } }]);
    stage.provider.faults(1, &hangs).await;
    let process = stage.start(&[]);
    stage.provider.until_waiting(1).await;
    process.signal("INT");
    let begun = Instant::now();
    let ended = process.end().await;
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(stage.provider.totals().await.message_posts, 0);
}
