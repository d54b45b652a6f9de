//! A long list from file to frozen run: `cargo bench --bench intake [-- ROWS]`.
//!
//! Everything that `run` does before the first message: decode, parse, normalise phones, render
//! every message, check it, and commit the run to a ledger with full durability.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measured, reads the clock, and stops when it cannot measure"
)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use sendoff::domain::run::RunId;
use sendoff::engine::plan::{CHUNKS_AHEAD, Reading, read_in};
use sendoff::intake::{campaign_file, rows};
use sendoff::ledger::NewRun;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use support::project;

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    project::write(folder.path(), count, "");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(folder.path(), count));
}

async fn bench(folder: &Path, count: u32) {
    let begun = Instant::now();
    let (file, _) = campaign_file::read(&folder.join("campaign.yaml"));
    let file = file.unwrap();
    let (loaded, _) = rows::load(&file);
    let loaded = loaded.unwrap();
    let now = Timestamp::now();
    let run = NewRun {
        run: RunId::new("bench", "once").unwrap(),
        gateway: "chert".to_owned(),
        account: None,
        terms: file.campaign.terms.clone(),
        now,
        starts_at: now,
    };
    let mut rows = loaded.rows(&run.run, loaded.open_list().unwrap()).unwrap();
    let (chunks, arriving) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let reader = tokio::task::spawn_blocking(move || {
        for chunk in &mut rows {
            chunks.blocking_send(chunk).unwrap();
        }
        rows.finish()
    });
    let ledger = SqliteLedger::open(&folder.join("ledger.db"), Durability::Full)
        .await
        .unwrap();
    let suppressed = HashSet::new();
    let reading = Reading {
        into: &ledger,
        history: Some(&ledger),
        run: &run,
        suppressed: &suppressed,
        list: "list.csv",
    };
    let draft = read_in(&reading, arriving).await.unwrap();
    assert!(!draft.problems.has_errors(), "{:?}", draft.problems);
    let facts = reader.await.unwrap();
    let record = draft.seal(vec![facts.file]).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(record.total, u64::from(count));
    println!(
        "{count} rows checked and frozen in {:.1} s ({:.0} rows/s), {}",
        took.as_secs_f64(),
        support::per_second(count, took),
        support::memory_in_words(),
    );
}
