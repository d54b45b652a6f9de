//! A limit on open files that is too low: at the start, and in the middle of a run.

use std::process::Command;

use serde_json::json;

use super::says;
use crate::support::{Process, RUN, Stage, until};

/// Whatever the limit, the program works or says what is missing; with the usual one everybody
/// has the message once.
#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_files_it_says_so_or_works() {
    let mut stage = Stage::with(20, "pace: { concurrency: 8 }", "").await;
    let mut refused = 0;
    for limit in [4, 8, 16, 24, 32, 36, 40, 44, 48, 64] {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        stage.project.start_through(["sh", "-c", &script]);
        let ended = stage.start(&["--limit", "2", "--until-idle"]).end().await;
        match ended.code {
            Some(0 | 4) => {}
            // Not even the shell that sets the limit starts below a handful.
            Some(127) => assert!(limit <= 4, "{ended:?}"),
            code => {
                refused += 1;
                let code = code.expect("no signal ends it");
                assert!([1, 5].contains(&code), "{limit}: {ended:?}");
                says(&ended, code, &["open"]);
            }
        }
        stage.assert_nobody_twice().await;
    }
    assert!(refused > 2, "no limit was too low");
    stage.project.start_through([""; 0]);
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

fn limit(process: &Process, files: u32) {
    let limit = format!("--nofile={files}:");
    let set = Command::new("prlimit")
        .args(["--pid", &process.id(), &limit])
        .status();
    assert!(
        set.expect("`prlimit` of util-linux is on the PATH")
            .success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_connection_can_be_opened_halfway_everybody_waits() {
    let terms = "pace: { concurrency: 4 }\nretry: { attempts: 3, base: 10ms, max: 20ms }";
    let stage = Stage::with(40, terms, "").await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 30 }]))
        .await;
    let process = stage.start(&["-v"]);
    stage.provider.until_people(8).await;
    limit(&process, 3);
    // Throws everybody off their connection, and there is no other.
    let rules = json!([{ "kind": "drop_before", "attempts": 1, "times": 4 }]);
    stage.provider.faults(1, &rules).await;
    until("it to run out of files", async || {
        let status = stage.project.run(&["status", RUN]).await;
        status.out.contains("too many files").then_some(())
    })
    .await;
    let before = stage.assert_nobody_twice().await.totals.people;
    assert!(before < 40, "it needed no connection");
    limit(&process, 1_024);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}
