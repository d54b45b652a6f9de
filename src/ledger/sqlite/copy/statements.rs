//! Every statement of a copy from or to a SQLite file. Those of a table are made of the catalogue.

use super::super::super::copy::Name;
use super::super::super::copy::catalogue::catalogue;

/// Whatever is written only for its place in a list.
macro_rules! mark {
    ($column:ident) => {
        "?"
    };
}

/// Repeats a row eight times.
macro_rules! x8 {
    ($row:expr) => {
        concat!(
            $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row
        )
    };
}

/// The statements of one table.
#[derive(Debug)]
pub(super) struct TableSql {
    pub(super) page: &'static str,
    pub(super) last: &'static str,
    pub(super) insert_64: &'static str,
    pub(super) insert_1: &'static str,
}

macro_rules! table_statements {
    ($($name:ident: $table:ident, $page:literal
        key [$k:ident: $kk:ident $(, $kn:ident: $knk:ident)*] both [$($b:ident: $bk:ident),*]
        sqlite [$($s:ident: $sk:ident = $sql:literal),*];)+) => {
        pub(super) fn of(name: Name) -> TableSql {
            match name {
                $(Name::$name => TableSql {
                    page: concat!(
                        "SELECT ", stringify!($k), $(", ", stringify!($kn),)*
                        $(", ", stringify!($b),)* $(", ", stringify!($s),)*
                        " FROM ", stringify!($table),
                        " WHERE (", stringify!($k), $(", ", stringify!($kn),)*
                        ") > (", mark!($k), $(", ", mark!($kn),)*
                        ") ORDER BY ", stringify!($k), $(", ", stringify!($kn),)* " LIMIT ?"),
                    last: concat!(
                        "SELECT ", stringify!($k), $(", ", stringify!($kn),)*
                        " FROM ", stringify!($table),
                        " ORDER BY ", stringify!($k), " DESC", $(", ", stringify!($kn), " DESC",)*
                        " LIMIT 1"),
                    insert_64: concat!(
                        "INSERT INTO ", stringify!($table), " (",
                        stringify!($k), $(", ", stringify!($kn),)* $(", ", stringify!($b),)*
                        $(", ", stringify!($s),)* ") VALUES ",
                        x8!(x8!(concat!("(", mark!($k), $(",", mark!($kn),)*
                            $(",", mark!($b),)* $(",", mark!($s),)* ")")))),
                    insert_1: concat!(
                        "INSERT INTO ", stringify!($table), " (",
                        stringify!($k), $(", ", stringify!($kn),)* $(", ", stringify!($b),)*
                        $(", ", stringify!($s),)* ") VALUES (",
                        mark!($k), $(",", mark!($kn),)* $(",", mark!($b),)*
                        $(",", mark!($s),)* ")"),
                },)+
            }
        }
    };
}
catalogue!(table_statements);

pub(super) const STANDING: &str = "SELECT way, store, token, at, finished_at FROM moves";
/// Both ways at once, as few as there are.
pub(super) const CLOSED: &str = "
    SELECT way, store, token, at, finished_at FROM moves
    WHERE way = 'to' OR finished_at IS NULL";
pub(super) const MARK: &str = "
    INSERT INTO moves (way, store, token, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
pub(super) const TAKE_BACK: &str = "DELETE FROM moves WHERE way = 'to'";
/// Only the end of this very move.
pub(super) const FINISH: &str =
    "UPDATE moves SET finished_at = ?3 WHERE way = ?1 AND token = ?2 AND finished_at IS NULL";
pub(super) const IS_UNFINISHED: &str = "
    SELECT EXISTS (SELECT 1 FROM moves
        WHERE way = 'from' AND token = ? AND finished_at IS NULL)";

pub(super) const LIVING: &str = "SELECT owner, COALESCE(worker, owner), enlisted_at FROM owners WHERE gone = 0 ORDER BY enlisted_at, owner";
/// Whether a process holds anything that has not run out; by the indexes of what is open.
pub(super) const HOLDS_A_LEASE: &str = "
    SELECT EXISTS (SELECT 1 FROM deliveries
        WHERE run_id IN (SELECT id FROM runs) AND state = 'pending' AND lease_owner = ?1
          AND lease_until > ?2)
      OR EXISTS (SELECT 1 FROM deliveries
        WHERE run_id IN (SELECT id FROM runs) AND state = 'sending' AND lease_owner = ?1
          AND lease_until > ?2)";
pub(super) const ALL_GONE: &str = "UPDATE owners SET gone = 1 WHERE gone = 0";
/// As when each had been given back.
pub(super) const END_PENDING: &str = "
    UPDATE deliveries SET lease_owner = NULL, lease_until = NULL
    WHERE run_id IN (SELECT id FROM runs) AND state = 'pending' AND lease_owner IS NOT NULL";
pub(super) const END_SENDING: &str = "
    UPDATE deliveries SET lease_owner = NULL, lease_until = begun_at
    WHERE run_id IN (SELECT id FROM runs) AND state = 'sending' AND lease_owner IS NOT NULL";

/// The places of the old store are not this one's; what was sent from there was sent.
pub(super) const PLACE_OF_COPY: &str = "
    INSERT INTO places (token, mark, marked_at)
    VALUES (lower(hex(randomblob(16))), ?, ?) RETURNING token, mark, marked_at";

pub(super) const VERSION: &str = "SELECT sqlite_version()";
/// With what a table's own pages and those of its indexes take.
pub(super) const SIZES: &str = "
    SELECT s.tbl_name, SUM(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
    WHERE d.aggregate = TRUE AND s.tbl_name NOT LIKE '\\_%' ESCAPE '\\'
    GROUP BY s.tbl_name ORDER BY 2 DESC, 1";
pub(super) const RUNS_BY_STATE: &str =
    "SELECT state, COUNT(*), COALESCE(SUM(total), 0) FROM runs GROUP BY state ORDER BY state";

#[cfg(test)]
mod tests {
    use sqlx::{Executor, SqlSafeStr};

    use super::super::super::{Durability, SqliteLedger};
    use super::*;
    use crate::ledger::copy::catalogue::HOLDS_ANYTHING;

    #[tokio::test]
    async fn every_statement_of_a_copy_prepares_and_goes_by_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
        let mut connection = ledger.writer.acquire().await.unwrap();
        let mut all = vec![
            STANDING,
            CLOSED,
            MARK,
            TAKE_BACK,
            FINISH,
            IS_UNFINISHED,
            LIVING,
            HOLDS_A_LEASE,
            ALL_GONE,
            END_PENDING,
            END_SENDING,
            PLACE_OF_COPY,
            HOLDS_ANYTHING,
            VERSION,
            SIZES,
            RUNS_BY_STATE,
        ];
        for name in Name::ALL {
            let sql = of(*name);
            all.extend([sql.insert_64, sql.insert_1]);
            for text in [sql.page, sql.last] {
                all.push(text);
                let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
                let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
                    .fetch_all(&mut *connection)
                    .await
                    .unwrap();
                let sorts = plan.iter().any(|(.., step)| step.contains("TEMP B-TREE"));
                assert!(!sorts, "{text}: {plan:?}");
            }
        }
        for text in all {
            let prepared = (&mut *connection).prepare(text.into_sql_str()).await;
            assert!(prepared.is_ok(), "{text}: {:?}", prepared.err());
        }
    }
}
