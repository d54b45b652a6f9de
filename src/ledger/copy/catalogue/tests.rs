//! The catalogue names every table and column that there is in a fresh ledger of either kind.

use std::collections::BTreeMap;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::ledger::postgres::PostgresLedger;
use crate::ledger::postgres::tests::Database;
use crate::ledger::sqlite::{Durability, SqliteLedger};

/// Columns by table, each list sorted.
type Tables = BTreeMap<String, Vec<String>>;

fn gathered(rows: Vec<(String, String)>) -> Tables {
    let mut tables = Tables::new();
    for (table, column) in rows {
        if !LEFT_OUT.iter().any(|(name, _)| *name == table) {
            tables.entry(table).or_default().push(column);
        }
    }
    for columns in tables.values_mut() {
        columns.sort();
    }
    tables
}

fn catalogued(columns: impl Fn(&'static Table) -> &'static [Column]) -> Tables {
    let rows = Name::ALL.iter().flat_map(|name| {
        let table = name.table();
        let named = |column: &Column| (table.name.to_owned(), column.name.to_owned());
        columns(table).iter().map(named).collect::<Vec<_>>()
    });
    gathered(rows.collect())
}

#[tokio::test]
async fn nothing_of_a_sqlite_ledger_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    SqliteLedger::open(&path, Durability::None).await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    let real: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(gathered(real), catalogued(|table| table.columns));
}

#[tokio::test]
async fn nothing_of_a_postgres_ledger_is_forgotten() {
    let database = Database::make("sendoff_catalogue").await;
    let ledger: PostgresLedger = database.ledger().await;
    let real: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = current_schema()",
    )
    .fetch_all(ledger.pool())
    .await
    .unwrap();
    let shared = |table: &'static Table| table.columns.split_at(table.shared).0;
    assert_eq!(gathered(real), catalogued(shared));
    crate::ledger::Ledger::close(&ledger).await;
    database.drop().await;
}

/// The copy goes on after the last key: it has to be the whole of the primary key, in its order,
/// and in both databases the order of bytes.
#[tokio::test]
async fn every_key_is_the_tables_own_in_the_order_of_bytes() {
    let database = Database::make("sendoff_keys").await;
    let ledger = database.ledger().await;
    for name in Name::ALL {
        let table = name.table();
        let real: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT a.attname::text, l.collname::text FROM pg_index i
             CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             LEFT JOIN pg_collation l ON l.oid = a.attcollation
             WHERE i.indrelid = $1::text::regclass AND i.indisprimary ORDER BY k.place",
        )
        .bind(table.name)
        .fetch_all(ledger.pool())
        .await
        .unwrap();
        let key = table.columns.iter().take(table.key);
        let expected: Vec<_> = key
            .map(|column| {
                let text = column.kind == Kind::Text;
                (column.name.to_owned(), text.then(|| "C".to_owned()))
            })
            .collect();
        assert_eq!(real, expected, "{}", table.name);
    }
    crate::ledger::Ledger::close(&ledger).await;
    database.drop().await;
}
