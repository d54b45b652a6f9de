//! The machine fails too: its disk, its files, its network, its clock. The real program says what
//! is wrong, where and what to do, in words for people; nothing is lost, nobody gets the message
//! twice, and afterwards a `resume` finishes the run. The sandbox's record is the oracle.

mod clock;
mod clocks_apart;
mod copies;
mod damaged;
mod descriptors;
mod disk;
mod drive;
mod left_behind;
mod locked;
mod network;

use crate::support::{Ended, Stage};

/// What no message to a person has in it.
const JARGON: [&str; 14] = [
    "sqlx",
    "Sqlite",
    "SQLite",
    "SQL",
    "database",
    "(code",
    "errno",
    "os error",
    "panicked",
    "backtrace",
    "reqwest",
    "hyper",
    "PoolTimedOut",
    "unwrap",
];

/// The program ended with this code and said all of this, and nothing that only its makers know.
fn says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.err.contains(word), "'{word}' is missing: {ended:?}");
    }
    for word in JARGON {
        assert!(!ended.err.contains(word), "'{word}': {ended:?}");
    }
}

/// Puts the ledger where a test can do something to it.
fn keep_ledger_at(stage: &Stage, path: &str) {
    let settings = stage.project.read("sendoff.yaml");
    let settings = format!("ledger: sqlite://{path}\n{settings}");
    stage.project.write("sendoff.yaml", settings);
}

/// What was stopped by the machine goes on once that is mended.
async fn resume_to_the_end(stage: &Stage) {
    stage.provider.faults(1, &serde_json::json!([])).await;
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}
