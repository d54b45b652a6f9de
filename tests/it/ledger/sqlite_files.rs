//! What only a SQLite file can show: locks, files that are no ledger, folders that are not
//! there. The words are for people, so none is the library's.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, LedgerError};
use sqlx::Connection;

use super::bench::{Bench, LINE_A, at, freeze, new_run, owner, rows};
use super::store::{SqliteFile, Store};

async fn refused(path: &Path) -> LedgerError {
    let opened = SqliteLedger::open(path, Durability::None).await;
    let error = opened.expect_err("it cannot be opened");
    let words = error.to_string();
    for jargon in ["sqlx", "code", "database", "migration", "SQL", "PRAGMA"] {
        assert!(!words.contains(jargon), "{words}");
    }
    error
}

fn is_unopenable(error: &LedgerError, at_path: &Path, because: &str) {
    let LedgerError::Unopenable { path, reason } = error else {
        panic!("{error:?}");
    };
    assert_eq!(path, at_path);
    assert!(reason.contains(because), "{reason}");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere/ledger.db");
    is_unopenable(&refused(&path).await, &path, "does not exist");
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut permissions = fs::metadata(folder.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(folder.path(), permissions).unwrap();
    // Where the test's user may write anywhere, a folder that takes no files from anybody.
    let anywhere = fs::write(folder.path().join("probe"), "").is_ok();
    let path = if anywhere {
        Path::new("/proc/ledger.db").to_owned()
    } else {
        folder.path().join("ledger.db")
    };
    is_unopenable(&refused(&path).await, &path, "may not be written to");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_left_as_it_is() {
    let store = SqliteFile::default();
    let path = store.path();
    let text = "name,phone\n".repeat(500);
    fs::write(&path, &text).unwrap();
    is_unopenable(&refused(&path).await, &path, "not a ledger");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    is_unopenable(
        &refused(path.parent().unwrap()).await,
        path.parent().unwrap(),
        "it is a folder",
    );
}

#[tokio::test]
async fn the_store_of_another_program_is_left_as_it_is() {
    let store = SqliteFile::default();
    fs::write(store.path(), "").unwrap();
    let mut theirs = store.connect().await;
    sqlx::query("CREATE TABLE places (name TEXT)")
        .execute(&mut theirs)
        .await
        .unwrap();
    theirs.close().await.unwrap();
    let before = fs::read(store.path()).unwrap();
    let error = refused(&store.path()).await;
    is_unopenable(&error, &store.path(), "not a ledger");
    assert_eq!(fs::read(store.path()).unwrap(), before);
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_not_touched() {
    let store = SqliteFile::default();
    drop(store.open().await);
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut store.connect().await)
    .await
    .unwrap();
    let error = refused(&store.path()).await;
    assert!(matches!(error, LedgerError::Newer(9001)), "{error:?}");
    assert!(error.to_string().contains("newer version of sendoff"));
}

#[tokio::test]
async fn a_ledger_with_other_tables_is_refused_in_words() {
    let store = SqliteFile::default();
    drop(store.open().await);
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(&mut store.connect().await)
        .await
        .unwrap();
    let error = refused(&store.path()).await;
    is_unopenable(&error, &store.path(), "not those of this version");
}

#[tokio::test]
async fn an_up_to_date_ledger_opens_and_reads_while_it_is_locked() {
    let store = SqliteFile::default();
    let bench = Bench::with(&store, rows(1..=3, LINE_A)).await;
    // A long list is being frozen.
    let mut draft = bench.ledger.freeze(&new_run("summer@once")).await.unwrap();
    draft.add(rows(1..=100, LINE_A)).await.unwrap();
    let other = store.open().await;
    let facts = other.facts(&bench.run.run, at(0)).await.unwrap();
    assert_eq!(facts.counts.total(), 3);
    assert_eq!(other.runs().await.unwrap().len(), 1);
    draft.seal(Vec::new()).await.unwrap();
    assert_eq!(other.runs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_ledger_under_two_names_knows_one_set_of_owners() {
    let store = SqliteFile::default();
    let bench = Bench::with(&store, rows(1..=2, LINE_A)).await;
    assert_eq!(bench.take(0, 2).await.len(), 2);
    let alias = store.path().with_file_name("other name.db");
    std::os::unix::fs::symlink(store.path(), &alias).unwrap();
    let other = SqliteLedger::open(&alias, Durability::None).await.unwrap();
    other.bury().await.unwrap();
    let through_alias = Bench {
        ledger: Arc::new(other),
        run: bench.run.clone(),
        me: owner("other"),
    };
    assert!(through_alias.take(1, 2).await.is_empty(), "its owner lives");
}

/// The lock files beside the ledger.
fn lock_files(store: &SqliteFile) -> usize {
    let folder = store.path();
    let entries = fs::read_dir(folder.parent().unwrap()).unwrap();
    entries
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("-owner-")
        })
        .count()
}

#[tokio::test]
async fn a_lock_file_that_was_tidied_away_ends_no_lease() {
    let store = SqliteFile::default();
    let bench = Bench::with(&store, rows(1..=2, LINE_A)).await;
    assert_eq!(bench.take(0, 2).await.len(), 2);
    let lock = format!("{}-owner-{}", store.path().display(), bench.me.0);
    fs::remove_file(lock).unwrap();
    let other = store.open().await;
    other.bury().await.unwrap();
    assert!(bench.take_as(&owner("other"), 1).await.is_empty());
    bench.ledger.retire(&bench.me).await.unwrap();
    assert_eq!(bench.take_as(&owner("other"), 2).await.len(), 2);
}

#[tokio::test]
async fn lock_files_go_with_their_owners() {
    let store = SqliteFile::default();
    let ledger = store.open().await;
    let killed = store.open().await;
    ledger.enlist(&owner("one"), at(0)).await.unwrap();
    killed.enlist(&owner("two"), at(0)).await.unwrap();
    assert_eq!(lock_files(&store), 2);
    ledger.retire(&owner("one")).await.unwrap();
    assert_eq!(lock_files(&store), 1);
    drop(killed);
    ledger.bury().await.unwrap();
    assert_eq!(lock_files(&store), 0);
    // Killed between `gone` and the file's removal.
    fs::write(format!("{}-owner-two", store.path().display()), "").unwrap();
    ledger.bury().await.unwrap();
    assert_eq!(lock_files(&store), 0);
}

#[tokio::test]
async fn a_closed_ledger_is_one_file() {
    let store = SqliteFile::default();
    let path = store.path();
    let ledger = SqliteLedger::open(&path, Durability::Full).await.unwrap();
    freeze(&ledger, &new_run("spring@once"), rows(1..=9, LINE_A)).await;
    assert_eq!(ledger.runs().await.unwrap().len(), 1);
    ledger.close().await;
    let names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["ledger.db"]);
    let closed = ledger.runs().await.unwrap_err().to_string();
    assert!(closed.contains("closed"), "{closed}");
}
