//! How a worker comes to its end: told once, told twice, or with nothing left to do.

use serde_json::json;

use super::{leave, until_said, waiting, worker};
use crate::support::{On, RUN, Stage};

pub(in crate::send_path) async fn the_first_signal_finishes_the_wire_and_exits_0(on: On) {
    let stage = waiting(on, 30, "pace: { concurrency: 4 }").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 400 }]);
    stage.provider.faults(1, &lie).await;
    let process = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    leave(process).await;
    let journal = stage.assert_nobody_twice().await;
    let rows = stage.project.rows(RUN).await;
    let sent = rows.iter().filter(|row| row.state == "sent").count();
    assert_eq!(sent, journal.totals.people, "an answer was lost");
    assert!(sent < 30, "it did not stop");
    stage.provider.faults(1, &json!([])).await;
    assert_eq!(stage.resume().await.code, Some(0));
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 30, "one was asked for again");
}

pub(in crate::send_path) async fn the_second_signal_gives_it_up_and_exits_4(on: On) {
    let stage = waiting(on, 30, "pace: { concurrency: 4 }").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let mut process = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    process.signal("INT");
    until_said(&mut process, "Leaving:").await;
    process.signal("INT");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("sendoff resume hello@once"), "{ended:?}");
    stage.provider.faults(1, &json!([])).await;
    assert_eq!(stage.resume().await.code, Some(0));
    stage.assert_everybody_once().await;
}

pub(in crate::send_path) async fn one_that_is_not_to_wait_leaves_when_nothing_is_due(on: On) {
    let stage = waiting(on, 20, "").await;
    let done = stage.project.run(&["work", "--until-idle"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("left hello@once: finished"), "{done:?}");
    stage.assert_everybody_once().await;
    // Something is open, and it is not due for long.
    let later = Stage::on(on, 3, "retry: { base: 10m, max: 10m }", "").await;
    let refused = json!([{ "kind": "error", "code": 3002 }]);
    later.provider.faults(1, &refused).await;
    let begun = later.start(&["--until-idle"]).end().await;
    assert_eq!(begun.code, Some(4), "{begun:?}");
    let left = later.project.run(&["work", "--until-idle"]).await;
    assert_eq!(left.code, Some(4), "{left:?}");
    assert!(left.err.contains("nothing is due now"), "{left:?}");
}
