//! Several processes at work on one ledger, on either database. What one process does alone is
//! told elsewhere.

use serde_json::json;

use crate::support::{Database, RUN, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_run_on_a_server() {
    let stage = Stage::on(Database::Postgres, 200, "pace: { concurrency: 4 }", "").await;
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
