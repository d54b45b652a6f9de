//! Receipts against the sandbox: what it says of each message is in the books after `sync`.

use crate::support::{CAMPAIGN, On, RUN, Stage, until};

pub(super) async fn what_was_delivered_and_read_is_known_after_a_sync(on: On) {
    let stage = Stage::on(on, 20, "", "").await;
    let early = stage.send().await;
    assert_eq!(early.code, Some(0), "{early:?}");
    // The sandbox's people open a message ten seconds after it came.
    until("everybody's receipt", async || {
        let ended = stage.project.run(&["sync", RUN]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.starts_with("hello@once: "), "{ended:?}");
        let report = stage
            .project
            .run(&["report", RUN, "--format", "json"])
            .await;
        (report.json()["counts"]["read"] == 20).then_some(())
    })
    .await;
    let again = stage.project.run(&["sync"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("Nothing was sent"), "{again:?}");
    let csv = stage.project.run(&["report", RUN, "--format", "csv"]).await;
    let mut rows = csv.out.lines();
    let header: Vec<&str> = rows.next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|one| *one == name).unwrap();
    let (delivered, read) = (column("delivered_at"), column("read_at"));
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        assert!(
            cells[delivered] > "2" && cells[read] > cells[delivered],
            "{row}"
        );
    }
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
    stage.assert_nobody_twice().await;
}

pub(super) async fn a_rehearsal_and_a_refusal_are_said_politely(on: On) {
    let stage = Stage::on(on, 3, "", "").await;
    let rehearsed = stage.project.run(&["run", CAMPAIGN, "--sandbox"]).await;
    assert_eq!(rehearsed.code, Some(0), "{rehearsed:?}");
    let ended = stage.project.run(&["sync", "hello@rehearsal-1"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("sandbox is gone"), "{ended:?}");
    let nothing = stage.project.run(&["sync"]).await;
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    let unknown = stage.project.run(&["sync", "nobody@once"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
}

pub(super) async fn a_run_that_tracks_ends_when_all_is_known(on: On) {
    let stage = Stage::on(on, 5, "", "").await;
    let ended = stage
        .start(&["--track", "10m", "--format", "json"])
        .end()
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["counts"]["read"], 5, "{ended:?}");
    assert!(ended.err.contains("5 of 5 read"), "{ended:?}");
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
    // Nothing is left to be sent or to be learnt.
    let again = stage.start(&["--track", "10m"]).end().await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("finished already"), "{again:?}");
    stage.assert_nobody_twice().await;
}

pub(super) async fn tracking_ends_with_its_time_or_a_signal_and_the_true_exit_code(on: On) {
    let stage = Stage::on(on, 3, "", "").await;
    // Too short for the first look.
    let short = stage.start(&["--track", "1s"]).end().await;
    assert_eq!(short.code, Some(0), "{short:?}");
    assert!(short.err.contains("the time is over"), "{short:?}");
    let mut tracking = stage.project.spawn(&["resume", RUN, "--track", "1h"]);
    until("tracking", async || {
        assert!(tracking.is_running(), "{}", tracking.err());
        tracking.err().contains("Tracking: ").then_some(())
    })
    .await;
    tracking.signal("INT");
    let ended = tracking.end().await;
    assert_eq!(ended.code, Some(0), "everybody was sent to: {ended:?}");
    assert!(ended.err.contains("stopped: "), "{ended:?}");
    assert!(ended.out.contains("is finished"), "{ended:?}");
}
