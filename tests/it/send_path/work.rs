//! Workers: several processes on one run, several runs in one process, on either database. The
//! sandbox's record is the oracle. What one process does with one run is told elsewhere.

mod hours;
pub(super) mod leaving;
pub(super) mod together;

use serde_json::Value;

use crate::support::{CAMPAIGN, Ended, On, Process, RUN, Stage, until};

/// A worker on the stage's ledger, with further arguments.
fn worker(stage: &Stage, more: &[&str]) -> Process {
    stage.project.spawn(&[&["work"], more].concat())
}

/// Waits until a process has said something on standard error.
async fn until_said(process: &mut Process, words: &str) {
    until(&format!("'{words}'"), async || {
        let said = process.err();
        if said.contains(words) {
            return Some(());
        }
        assert!(process.is_running(), "it has ended; it said\n{said}");
        None
    })
    .await;
}

/// Tells a worker to leave, and waits until it has; the ordinary end of one.
async fn leave(process: Process) -> Ended {
    process.signal("TERM");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// `status --format json` of a run, or of all.
async fn status(stage: &Stage, run: Option<&str>) -> Value {
    let args: Vec<&str> = ["status"].into_iter().chain(run).collect();
    let ended = stage
        .project
        .run(&[&args[..], &["--format", "json"]].concat())
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

/// Waits until a run is in a state.
async fn until_state(stage: &Stage, run: &str, wanted: &str) {
    until(&format!("{run} to be {wanted}"), async || {
        (status(stage, Some(run)).await["state"] == wanted).then_some(())
    })
    .await;
}

/// Freezes a campaign's run and leaves all of it for others: its process is told to stop when it
/// has begun.
async fn frozen(stage: &Stage, campaign: &str) {
    let ended = stage
        .project
        .run(&["run", campaign, "--yes", "--only", "+12025550100"])
        .await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

/// A stage whose run is frozen, and sent to one person.
async fn waiting(on: On, people: usize, campaign: &str) -> Stage {
    let stage = Stage::on(on, people, campaign, "").await;
    frozen(&stage, CAMPAIGN).await;
    stage
}

/// How many of a run are sent, by the ledger.
async fn accepted(stage: &Stage, run: &str) -> u64 {
    crate::support::accepted(&status(stage, Some(run)).await)
}

/// The names of those who work on the stage's run.
async fn workers(stage: &Stage) -> Vec<String> {
    let status = status(stage, Some(RUN)).await;
    let workers = status["workers"].as_array().unwrap();
    workers
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}
