//! A ledger's file that is damaged, of a newer version, or none at all: told apart in words,
//! and left as it is.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::{resume_to_the_end, says};
use crate::support::{CAMPAIGN, RUN, Stage};

/// Sixty people, five of whom have it, and a ledger that is one file.
async fn begun() -> Stage {
    let stage = Stage::new(60).await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    stage
}

/// Every command that would send says this and sends nothing; the file stays as it is.
async fn is_refused(stage: &Stage, code: i32, words: &[&str]) {
    let path = stage.project.path("sendoff.db");
    let before = fs::read(&path).unwrap();
    for args in [
        ["run", CAMPAIGN, "--yes"],
        ["resume", RUN, "--yes"],
        ["run", CAMPAIGN, "--sandbox"],
    ] {
        let ended = stage.project.run(&args).await;
        says(&ended, code, &[&["sendoff.db"], words].concat());
    }
    let ended = stage.project.run(&["status"]).await;
    says(&ended, code, words);
    assert_eq!(fs::read(&path).unwrap(), before, "it was changed");
    assert_eq!(stage.provider.totals().await.people, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_the_beginning_is_no_ledger() {
    let stage = begun().await;
    let path = stage.project.path("sendoff.db");
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[..64].fill(0x5a);
    fs::write(&path, &bad).unwrap();
    is_refused(&stage, 5, &["not a ledger"]).await;
    fs::write(&path, &good).unwrap();
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_off_is_damaged() {
    let stage = begun().await;
    let path = stage.project.path("sendoff.db");
    let good = fs::read(&path).unwrap();
    for kept in [4_096, 4_096 * 3, good.len() / 2 / 4_096 * 4_096] {
        fs::write(&path, &good[..kept]).unwrap();
        for args in [["run", CAMPAIGN, "--yes"], ["resume", RUN, "--yes"]] {
            let ended = stage.project.run(&args).await;
            says(&ended, 5, &["sendoff.db", "damaged", "good copy"]);
        }
        assert_eq!(stage.provider.totals().await.people, 5);
    }
    fs::write(&path, &good).unwrap();
    resume_to_the_end(&stage).await;
}

/// Whatever page is overwritten, the program ends in words, and with the good file back everybody
/// has the message once.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_overwritten_is_damaged_whichever_it_is() {
    let stage = begun().await;
    let path = stage.project.path("sendoff.db");
    let good = fs::read(&path).unwrap();
    let pages = good.len() / 4_096;
    for page in 1..pages {
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(u64::try_from(page * 4_096).unwrap()))
            .unwrap();
        file.write_all(&[0xa5; 4_096]).unwrap();
        drop(file);
        let ended = stage.project.run(&["status", RUN]).await;
        if ended.code != Some(0) {
            says(&ended, 5, &["sendoff.db", "damaged", "good copy"]);
        }
        fs::write(&path, &good).unwrap();
    }
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_a_newer_version_asks_for_that_version() {
    let stage = begun().await;
    let path = stage.project.path("sendoff.db");
    let good = fs::read(&path).unwrap();
    let mut other = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let later =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'later', TRUE, x'00', 0)";
    other.execute(later).await.unwrap();
    other.close().await.unwrap();
    is_refused(&stage, 1, &["newer version of sendoff"]).await;
    fs::write(&path, &good).unwrap();
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_another_program_is_left_alone_and_an_empty_one_becomes_a_ledger() {
    let stage = Stage::new(4).await;
    let path = stage.project.path("sendoff.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut other = options.connect().await.unwrap();
    other
        .execute("CREATE TABLE places (name TEXT)")
        .await
        .unwrap();
    other.close().await.unwrap();
    let before = fs::read(&path).unwrap();
    let ended = stage.send().await;
    says(&ended, 5, &["sendoff.db", "not a ledger"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::write(&path, "").unwrap();
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

/// Damaged under a run that is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_damaged_halfway_ends_the_run_in_words() {
    let stage = Stage::with(60, "pace: { concurrency: 2 }", "").await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 30 }]))
        .await;
    let process = stage.start(&[]);
    stage.provider.until_people(5).await;
    for file in ["sendoff.db", "sendoff.db-wal"] {
        let path = stage.project.path(file);
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&vec![0xa5; usize::try_from(length).unwrap()])
            .unwrap();
    }
    let ended = process.end().await;
    // What it had read before may be enough to finish; otherwise it says so.
    if ended.code != Some(0) {
        says(&ended, 5, &["sendoff.db", "damaged", "good copy"]);
    }
    stage.assert_nobody_twice().await;
}
