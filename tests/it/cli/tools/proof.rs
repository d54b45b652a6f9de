//! `verify`, and what `status` and `resume` say of a run that was left alone.

use std::fs;

use serde_json::json;

use super::{done, eventful, proved};
use crate::support::{RUN, Stage, phone};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_proved_while_it_goes_on() {
    let stage = Stage::with(150, "pace: { concurrency: 4 }", "").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 20 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = stage.start(&[]);
    stage.provider.until_people(1).await;
    let mut proofs = 0;
    while process.is_running() {
        proved(&stage).await;
        proofs += 1;
    }
    assert!(proofs > 1, "it was over too soon");
    let proof = proved(&stage).await;
    let ended = "150 rows, 150 attempts, 2 events; every checksum is right";
    assert!(proof.out.contains(ended), "{proof:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_changed_is_named_with_its_row() {
    let stage = eventful().await;
    proved(&stage).await;
    let path = stage.project.path("sendoff.db");
    let whole = fs::read(&path).unwrap();
    // A letter of the message of somebody in the middle of the list.
    let message = b"Hi Person 4, your table";
    let at = whole
        .windows(message.len())
        .position(|bytes| bytes == message)
        .unwrap();
    let mut bytes = whole.clone();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let ended = stage.project.run(&["verify", RUN]).await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(
        ended
            .out
            .starts_with("row 5 (+1202•••0104), messages: the frozen row"),
        "{ended:?}"
    );
    assert!(
        ended
            .err
            .contains("hello@once is not proved: 1 thing does not fit"),
        "{ended:?}"
    );
    for private in ["Person 4", "table is ready", &phone(4)] {
        assert!(!format!("{ended:?}").contains(private), "{ended:?}");
    }
    fs::write(&path, whole).unwrap();
    proved(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_who_is_at_work_and_what_was_interrupted() {
    let stage = Stage::with(20, "pace: { concurrency: 2 }", "").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(2).await;
    let status = done(&stage, &["status", RUN]).await.out;
    assert!(
        status.starts_with("hello@once is running (process "),
        "{status}"
    );
    let json = done(&stage, &["status", "--format", "json"]).await.json();
    assert_eq!(
        json["runs"][0]["workers"].as_array().unwrap().len(),
        1,
        "{json}"
    );
    process.kill();
    stage.provider.faults(1, &json!([])).await;
    let status = done(&stage, &["status", RUN]).await.out;
    assert!(
        status.starts_with("hello@once was interrupted: no process is on it."),
        "{status}"
    );
    assert!(
        status.contains("20  without an answer, to be asked again with the same key"),
        "{status}"
    );
    assert!(
        status.contains("    sendoff resume hello@once\n"),
        "{status}"
    );
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let words: Vec<&str> = resumed.err.lines().take(2).collect();
    assert_eq!(
        words,
        [
            "hello@once: 0 of 20 sent, 20 to go through the gateway 'chert', from 2 lines.",
            "  20 without an answer: asked again with the same key, so that nobody gets it twice",
        ]
    );
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_on_the_wire_of_a_cancelled_run_can_be_ended() {
    let stage = Stage::with(2, "pace: { concurrency: 1 }", "").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(1).await;
    done(&stage, &["cancel", RUN, "--yes"]).await;
    process.kill();
    let states = async || {
        let rows = stage.project.rows(RUN).await;
        rows.into_iter().map(|row| row.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["sending", "sending"], "both were begun");
    proved(&stage).await;
    done(&stage, &["cancel", RUN]).await;
    assert_eq!(states().await, ["uncertain", "uncertain"]);
    proved(&stage).await;
    done(&stage, &["resolve", RUN, "--row", "1", "--as", "unsent"]).await;
    assert_eq!(states().await, ["cancelled", "uncertain"]);
    proved(&stage).await;
}
