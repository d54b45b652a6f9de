//! A ledger that was put back from a backup, copied or moved is not sent from before a person
//! has said so; what the provider remembers keeps everybody from a second message.

use std::fs;

use serde_json::json;

use super::{keep_ledger_at, says};
use crate::support::{CAMPAIGN, RUN, Stage};

/// Twenty people, five of whom have it, and a backup from that moment; then ten of them.
async fn with_backup() -> Stage {
    let stage = Stage::new(20).await;
    for _ in 0..2 {
        let ended = stage.start(&["--limit", "5"]).end().await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let backup = stage.project.path("backup.db");
        if !backup.exists() {
            fs::copy(stage.project.path("sendoff.db"), backup).unwrap();
        }
    }
    stage
}

/// Nothing that sends does so.
async fn is_refused(stage: &Stage, words: &[&str]) {
    let before = stage.provider.totals().await;
    for args in [["run", CAMPAIGN, "--yes"], ["resume", RUN, "--yes"]] {
        let ended = stage.project.run(&args).await;
        let always = ["sendoff.db'", "--accept-copy", "24h", "Nothing was sent"];
        says(&ended, 1, &[&always, words].concat());
    }
    let after = stage.provider.totals().await;
    assert_eq!(after.message_posts, before.message_posts);
}

/// It sends, is not asked again, and nobody has it twice.
async fn is_accepted(stage: &Stage) {
    let args = ["resume", RUN, "--yes", "--accept-copy"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.err.contains("is the ledger that is sent from here"),
        "{ended:?}"
    );
    stage.assert_everybody_once().await;
    stage.campaign("next", "");
    let next = stage
        .project
        .run(&["run", "campaigns/next.yaml", "--yes"])
        .await;
    assert_eq!(next.code, Some(0), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_put_back_is_not_sent_from_unasked() {
    let stage = with_backup().await;
    fs::copy(
        stage.project.path("backup.db"),
        stage.project.path("sendoff.db"),
    )
    .unwrap();
    let words = ["put back from a backup", "since", "newer ledger"];
    is_refused(&stage, &words).await;
    // Looking and rehearsing need no leave, and do not give it either.
    let status = stage.project.run(&["status", RUN]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    let rehearsal = stage.project.run(&["run", CAMPAIGN, "--sandbox"]).await;
    assert_eq!(rehearsal.code, Some(0), "{rehearsal:?}");
    is_refused(&stage, &words).await;
    is_accepted(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_sent_from_unasked_and_the_original_is() {
    let stage = with_backup().await;
    let settings = stage.project.read("sendoff.yaml");
    fs::create_dir(stage.project.path("other")).unwrap();
    for file in ["sendoff.db", "sendoff.db-place"] {
        fs::copy(
            stage.project.path(file),
            stage.project.path("other").join(file),
        )
        .unwrap();
    }
    keep_ledger_at(&stage, "other/sendoff.db");
    is_refused(&stage, &["is a copy", "the other"]).await;
    fs::remove_file(stage.project.path("other/sendoff.db-place")).unwrap();
    is_refused(&stage, &["copied or moved", "sendoff.db-place"]).await;
    let original = stage.project.read("sendoff.yaml");
    stage.project.write("sendoff.yaml", settings);
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    stage.project.write("sendoff.yaml", original);
    is_accepted(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_and_many_at_once_are_at_home() {
    let stage = Stage::with(40, "pace: { concurrency: 4 }", "").await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 20 }]))
        .await;
    for people in [5, 10, 15] {
        let mut processes = [stage.start(&[]), stage.start(&[]), stage.start(&[])];
        stage.provider.until_people(people).await;
        for process in &mut processes {
            process.kill();
        }
    }
    let all = [(); 4].map(|()| stage.start(&[]));
    for process in all {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    stage.assert_everybody_once().await;
}
