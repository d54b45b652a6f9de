//! Damage that a proof must name: every column of every row that belongs to a run changed, every
//! such row deleted, and bytes of the file flipped. One ledger is damaged a thousand times, each
//! time from a fresh copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sendoff::domain::proof::Finding;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, LedgerError};
use sendoff::report;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, ValueRef};
use tempfile::TempDir;

use super::bench::{Bench, LINE_A, rows, run_id};
use super::proving::eventful;
use super::store::SqliteFile;

const RUN: &str = "spring@once";

/// Every table that belongs to a run, what tells its rows apart, and what a proof says nothing
/// of: leases end by themselves, a receipt is the provider's word, how far the clock was set back
/// is not written down anywhere else, and what the next attempt is only helps a claim to find it.
const TABLES: [(&str, &[&str], &[&str]); 7] = [
    ("runs", &["id"], &[]),
    ("run_lines", &["run_id", "line"], &[]),
    ("messages", &["id"], &[]),
    (
        "deliveries",
        &["id"],
        &[
            "lease_owner",
            "lease_until",
            "aged_ms",
            "touch",
            "delivered_at",
            "read_at",
            "look_at",
        ],
    ),
    ("attempts", &["delivery_id", "attempt"], &[]),
    ("events", &["run_id", "seq"], &[]),
    ("media", &["sha256"], &[]),
];

/// A closed ledger with an eventful run and another one before it.
struct Original {
    _folder: TempDir,
    bytes: Vec<u8>,
}

impl Original {
    async fn new() -> Self {
        let store = SqliteFile::default();
        let other = Bench::named(&store, "winter@once", rows(1..=2, LINE_A)).await;
        let bench = eventful(&store).await;
        other.ledger.close().await;
        bench.ledger.close().await;
        let folder = TempDir::new().unwrap();
        // One file, without a log beside it.
        let whole = folder.path().join("whole.db");
        sqlx::query(AssertSqlSafe(format!("VACUUM INTO '{}'", whole.display())))
            .execute(&mut store.connect().await)
            .await
            .unwrap();
        let bytes = fs::read(&whole).unwrap();
        Self {
            _folder: folder,
            bytes,
        }
    }

    /// A copy in a folder of its own.
    fn copy(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ledger.db"), &self.bytes).unwrap();
        folder
    }
}

/// Another program, which looks after nothing.
async fn meddle(folder: &TempDir) -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .filename(folder.path().join("ledger.db"))
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Delete)
        .connect()
        .await
        .unwrap();
    sqlx::query("PRAGMA ignore_check_constraints = ON")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

/// What the proof of a damaged ledger says; `None` where it cannot even be opened or read.
async fn proof_of(path: &Path) -> Option<Vec<Finding>> {
    let ledger = SqliteLedger::open(path, Durability::None).await.ok()?;
    let mut found = Vec::new();
    let proof = report::verify(&ledger, &run_id(RUN), &mut |finding| {
        found.push(finding.clone());
    })
    .await;
    ledger.close().await;
    match proof {
        Ok(_) => Some(found),
        Err(LedgerError::NoSuchRun(_)) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// A row of a run.
struct Kept {
    /// In [`TABLES`].
    table: usize,
    /// What tells it apart, as SQL.
    key: String,
    /// What its state or outcome is, where it has one.
    kind: String,
    /// With their types.
    columns: Vec<(String, String)>,
}

/// Which rows of a table belong to the run, and not to the one before it.
fn of_run(table: &str) -> &'static str {
    match table {
        "runs" => "id = 2",
        "attempts" => "delivery_id > 2",
        "media" => "TRUE",
        _ => "run_id = 2",
    }
}

/// Every row of the run.
async fn contents(folder: &TempDir) -> Vec<Kept> {
    let mut connection = meddle(folder).await;
    let mut all = Vec::new();
    for (n, (table, keys, _)) in TABLES.iter().enumerate() {
        let of_run = of_run(table);
        let all_rows = format!("SELECT * FROM {table} WHERE {of_run}");
        for row in sqlx::query(AssertSqlSafe(all_rows))
            .fetch_all(&mut connection)
            .await
            .unwrap()
        {
            let text = |column: &str| {
                row.try_get::<i64, _>(column)
                    .map(|n| n.to_string())
                    .or_else(|_| row.try_get::<String, _>(column).map(|t| format!("'{t}'")))
                    .unwrap()
            };
            let key: Vec<String> = keys
                .iter()
                .map(|key| format!("{key} = {}", text(key)))
                .collect();
            let columns = row
                .columns()
                .iter()
                .map(|column| {
                    let name = sqlx::Column::name(column);
                    let value = row.try_get_raw(name).unwrap();
                    let kind = sqlx::TypeInfo::name(&*value.type_info()).to_owned();
                    (
                        name.to_owned(),
                        if value.is_null() { "NULL".into() } else { kind },
                    )
                })
                .collect();
            let kind = ["state", "outcome", "what"]
                .into_iter()
                .find_map(|column| row.try_get::<String, _>(column).ok());
            all.push(Kept {
                table: n,
                key: key.join(" AND "),
                kind: kind.unwrap_or_default(),
                columns,
            });
        }
    }
    connection.close().await.unwrap();
    all
}

/// Ways to change a value of this type, each by as little as can be.
fn changes(column: &str, kind: &str) -> Vec<String> {
    match kind {
        "NULL" => vec!["1".to_owned(), "'x'".to_owned()],
        "INTEGER" => vec![
            format!("{column} + 1"),
            format!("{column} - 1"),
            "NULL".to_owned(),
        ],
        "TEXT" => vec![
            format!("char(unicode({column}) + 1) || substr({column}, 2)"),
            format!("substr({column}, 1, length({column}) - 1)"),
            format!("CAST(x'ff' || CAST({column} AS BLOB) AS TEXT)"),
            "NULL".to_owned(),
        ],
        "BLOB" => vec![
            format!("CAST({column} || x'00' AS BLOB)"),
            "NULL".to_owned(),
        ],
        other => panic!("{column} is a {other}"),
    }
}

#[tokio::test]
async fn every_column_is_covered_in_every_state() {
    let original = Original::new().await;
    assert_eq!(
        proof_of(&original.copy().path().join("ledger.db")).await,
        Some(vec![])
    );
    let mut tried: BTreeMap<(&str, String), u32> = BTreeMap::new();
    // Rows that are alike but for their values show the same.
    let mut alike = BTreeSet::new();
    for row in contents(&original.copy()).await {
        let (table, _, uncovered) = TABLES[row.table];
        let key = row.key;
        for (column, kind) in row.columns {
            let same = (table, row.kind.clone(), column.clone(), kind.clone());
            if uncovered.contains(&column.as_str()) || alike.contains(&same) {
                continue;
            }
            for change in changes(&column, &kind) {
                let folder = original.copy();
                let mut connection = meddle(&folder).await;
                let change = format!(
                    "UPDATE {table} SET {column} = {change} WHERE {key} AND {column} IS NOT {change}"
                );
                let done = sqlx::query(AssertSqlSafe(change.clone()))
                    .execute(&mut connection)
                    .await;
                connection.close().await.unwrap();
                // A column that may not be absent, a number that is taken, or no change.
                if !done.is_ok_and(|done| done.rows_affected() == 1) {
                    continue;
                }
                *tried.entry((table, column.clone())).or_default() += 1;
                alike.insert(same.clone());
                let found = proof_of(&folder.path().join("ledger.db")).await;
                let found = found.unwrap_or_else(|| panic!("{change}: not even read"));
                assert!(!found.is_empty(), "{change}: not found");
                let named = found.iter().any(|finding| {
                    // A row that lost its place shows in what refers to it, and a count in
                    // what it counts.
                    finding.table == table
                        || table == "deliveries"
                        || matches!(column.as_str(), "id" | "events")
                });
                assert!(named, "{change}: {found:#?}");
            }
        }
    }
    let columns: usize = tried.len();
    assert!(
        columns >= 79,
        "only {columns} columns could be changed: {tried:#?}"
    );
}

#[tokio::test]
async fn every_row_that_is_deleted_is_missed() {
    let original = Original::new().await;
    let rows = contents(&original.copy()).await;
    assert!(rows.len() > 40, "{}", rows.len());
    for Kept { table, key, .. } in rows {
        let (table, ..) = TABLES[table];
        let folder = original.copy();
        let mut connection = meddle(&folder).await;
        let delete = format!("DELETE FROM {table} WHERE {key}");
        sqlx::query(AssertSqlSafe(delete.clone()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let found = proof_of(&folder.path().join("ledger.db")).await.unwrap();
        assert!(
            found.iter().any(|finding| finding.table == table),
            "{delete}: {found:#?}"
        );
    }
}

#[tokio::test]
async fn findings_name_the_row_and_the_person_and_not_their_number() {
    let original = Original::new().await;
    let folder = original.copy();
    let mut connection = meddle(&folder).await;
    for change in [
        "UPDATE deliveries SET state = 'sent', sent_at = 1 WHERE id = 4",
        "DELETE FROM attempts WHERE delivery_id = 6 AND attempt = 2",
    ] {
        sqlx::query(change).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let found = proof_of(&folder.path().join("ledger.db")).await.unwrap();
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "row 2 (+1200•••0102), deliveries: state is 'sent', but its history leads to 'failed'",
            "row 2 (+1200•••0102), deliveries: sent_at is '1970-01-01T00:00:00.001Z', but its \
             history leads to absent",
            "row 4 (+1200•••0104), attempts: attempt 2 of 3 is missing",
        ]
    );
}

/// Whether a value is stored as a blob; only the bytes of media are meant to be.
fn is_blob(row: &sqlx::sqlite::SqliteRow, name: &str) -> bool {
    let value = row.try_get_raw(name);
    value.is_ok_and(|value| ValueRef::type_info(&value).to_string() == "BLOB")
}

/// Every value that a proof speaks for, as text.
async fn covered(path: &Path) -> Option<String> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .connect()
        .await
        .ok()?;
    let plain: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql GLOB '*[^ -~' || char(10) || ']*')",
    )
    .fetch_one(&mut connection)
    .await
    .ok()?;
    if !plain {
        return None;
    }
    let mut text = String::new();
    for (table, keys, uncovered) in TABLES {
        let all_rows = format!(
            "SELECT * FROM {table} NOT INDEXED WHERE {} ORDER BY {}",
            of_run(table),
            keys.join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(all_rows))
            .fetch_all(&mut connection)
            .await
            .ok()?;
        for row in rows {
            for column in row.columns() {
                let name = sqlx::Column::name(column);
                if !uncovered.contains(&name) {
                    let bytes: Option<Vec<u8>> = row.try_get_unchecked(name).ok()?;
                    // A 0 that has become an empty blob: SQLite reads it as the number 0.
                    let bytes = bytes.map(|bytes| match bytes.as_slice() {
                        [] if is_blob(&row, name) => b"0".to_vec(),
                        _ => bytes,
                    });
                    writeln!(text, "{table}.{name} = {bytes:?}").unwrap();
                }
            }
        }
    }
    connection.close().await.ok()?;
    Some(text)
}

#[tokio::test]
async fn a_flipped_byte_is_found_or_is_none_of_the_run() {
    let original = Original::new().await;
    let whole = covered(&original.copy().path().join("ledger.db")).await;
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut found = 0;
    for _ in 0..600 {
        let at = usize::try_from(rng.next_u64()).unwrap() % original.bytes.len();
        let bit = 1 << (rng.next_u32() % 8);
        let folder = original.copy();
        let path = folder.path().join("ledger.db");
        let mut bytes = original.bytes.clone();
        bytes[at] ^= bit;
        fs::write(&path, bytes).unwrap();
        let same = covered(&path).await == whole;
        let proof = proof_of(&path).await;
        let silent = proof.as_ref().is_some_and(Vec::is_empty);
        assert!(!silent || same, "byte {at}, bit {bit}: not found");
        found += u32::from(!silent);
    }
    assert!(
        found > 15,
        "only {found} were found: the file is mostly empty"
    );
}
