//! A SQLite file as one end of a copy: reads pages and writes them, closes the file for a move
//! and opens it after one. The order of all this is [`super::super::copy`]'s.

mod statements;

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{FromRow, Row as _, Sqlite};

use self::statements as sql;
use super::super::copy::catalogue::{HOLDS_ANYTHING, Kind};
use super::super::copy::{
    Identity, Key, Move, Moving, Process, Row, Standing, Table, TableName, Traces, Value,
};
use super::super::insight::{self, Insight, by_state};
use super::super::rows::{instant, instants, number as stored_number};
use super::super::{Copied, LedgerError};
use super::place;
use super::shared::{Sizes, Tx, portions};
use super::{SqliteLedger, owners};

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

#[derive(FromRow)]
struct MoveRow {
    way: String,
    store: String,
    token: String,
    at: i64,
    finished_at: Option<i64>,
}

fn standing(rows: Vec<MoveRow>) -> Result<Standing, LedgerError> {
    let mut standing = Standing::default();
    for row in rows {
        let one = Move {
            store: row.store,
            token: row.token,
            at: instant(row.at)?,
            finished_at: instants(row.finished_at)?,
        };
        if row.way == "to" {
            standing.to = Some(one);
        } else {
            standing.from = Some(one);
        }
    }
    Ok(standing)
}

/// What keeps changes away, seen in a transaction.
pub(super) async fn closed(tx: &mut Tx<'_>) -> Result<Standing, LedgerError> {
    standing(sqlx::query_as(sql::CLOSED).fetch_all(&mut **tx).await?)
}

/// Takes the mark of a move away: a person has said that messages are sent from here.
pub(super) async fn take_back(tx: &mut Tx<'_>) -> Result<(), LedgerError> {
    sqlx::query(sql::TAKE_BACK).execute(&mut **tx).await?;
    Ok(())
}

/// Processes that are not known to be gone. One whose lock file is missing is there while a lease
/// of it lasts.
async fn living(
    ledger: &SqliteLedger,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<Vec<Process>, LedgerError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(sql::LIVING).fetch_all(&mut **tx).await?;
    let mut living: Vec<Process> = Vec::new();
    for (owner, name, since) in rows {
        if owners::is_gone(ledger, &owner) {
            continue;
        }
        let sure = owners::lock_path(ledger, &owner).exists();
        let holds: bool = sqlx::query_scalar(sql::HOLDS_A_LEASE)
            .bind(&owner)
            .bind(now.as_millisecond())
            .fetch_one(&mut **tx)
            .await?;
        // One process has a name here for each run that it works on.
        if (sure || holds) && living.iter().all(|other| other.name != name) {
            living.push(Process {
                name,
                since: instant(since)?,
            });
        }
    }
    Ok(living)
}

async fn mark(tx: &mut Tx<'_>, way: &str, one: &Move) -> Result<bool, LedgerError> {
    let marked = sqlx::query(sql::MARK)
        .bind(way)
        .bind(&one.store)
        .bind(&one.token)
        .bind(one.at.as_millisecond())
        .execute(&mut **tx)
        .await?;
    Ok(marked.rows_affected() > 0)
}

async fn finish(tx: &mut Tx<'_>, way: &str, one: &Move) -> Result<(), LedgerError> {
    sqlx::query(sql::FINISH)
        .bind(way)
        .bind(&one.token)
        .bind(one.finished_at.unwrap_or(one.at).as_millisecond())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn bind<'q>(query: Query<'q>, value: &'q Value) -> Query<'q> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
    }
}

fn read(row: &SqliteRow, table: &Table, columns: usize) -> Result<Vec<Value>, LedgerError> {
    let columns = table.columns.iter().take(columns).enumerate();
    columns
        .map(|(at, column)| {
            let value = match column.kind {
                Kind::Integer | Kind::Flag | Kind::OrZero => row
                    .try_get::<Option<i64>, _>(at)
                    .map(|value| value.map(Value::Integer)),
                Kind::Text => row
                    .try_get::<Option<String>, _>(at)
                    .map(|value| value.map(Value::Text)),
                Kind::Bytes => row
                    .try_get::<Option<Vec<u8>>, _>(at)
                    .map(|value| value.map(Value::Bytes)),
            };
            let value = value.map_err(|_| {
                let (table, column) = (table.name, column.name);
                LedgerError::Damaged(format!("{table}: `{column}` is not what it has to be"))
            })?;
            Ok(value.unwrap_or(Value::Null))
        })
        .collect()
}

async fn last_key(tx: &mut Tx<'_>, of: TableName) -> Result<Option<Key>, LedgerError> {
    let table = of.0.table();
    let row = sqlx::query(sql::of(of.0).last)
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|row| Ok(Key(read(&row, table, table.key)?)))
        .transpose()
}

#[async_trait]
impl Moving for SqliteLedger {
    fn name(&self) -> String {
        format!("'{}'", self.path.display())
    }

    async fn identity(&self) -> Result<Identity, LedgerError> {
        Ok(Identity::File {
            number: number(&self.path),
            path: self.path.clone(),
        })
    }

    async fn insight(&self) -> Result<Insight, LedgerError> {
        let version: String = sqlx::query_scalar(sql::VERSION)
            .fetch_one(&self.readers)
            .await?;
        let sizes: Vec<(String, i64)> = sqlx::query_as(sql::SIZES).fetch_all(&self.readers).await?;
        let states = sqlx::query_as(sql::RUNS_BY_STATE).fetch_all(&self.readers);
        let (runs, deliveries) = by_state(states.await?)?;
        let tables = sizes.into_iter();
        let tables = tables.map(|(name, bytes)| Ok((name, stored_number(bytes)?)));
        Ok(Insight {
            kind: insight::Kind::Sqlite,
            version,
            bytes: size(&self.path),
            tables: tables.collect::<Result<_, LedgerError>>()?,
            runs,
            deliveries,
        })
    }

    async fn standing(&self) -> Result<Standing, LedgerError> {
        let rows = sqlx::query_as(sql::STANDING).fetch_all(&self.readers);
        standing(rows.await?)
    }

    async fn holds_anything(&self) -> Result<bool, LedgerError> {
        Ok(sqlx::query_scalar(HOLDS_ANYTHING)
            .fetch_one(&self.readers)
            .await?)
    }

    async fn away(&self) -> Result<Option<Copied>, LedgerError> {
        place::look(self).await
    }

    async fn present(&self, now: Timestamp) -> Result<Vec<Process>, LedgerError> {
        living(self, &mut self.readers.begin().await?, now).await
    }

    async fn close_for(&self, to: &Move) -> Result<Vec<Process>, LedgerError> {
        let mut tx = self.lock().await?;
        if let Some(refusal) = closed(&mut tx).await?.refusal() {
            return Err(refusal);
        }
        let living = living(self, &mut tx, to.at).await?;
        if !living.is_empty() {
            return Ok(living);
        }
        for statement in [sql::ALL_GONE, sql::END_PENDING, sql::END_SENDING] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        mark(&mut tx, "to", to).await?;
        tx.commit().await?;
        Ok(Vec::new())
    }

    async fn await_copy(&self, from: &Move) -> Result<bool, LedgerError> {
        let mut tx = self.lock().await?;
        let used: bool = sqlx::query_scalar(HOLDS_ANYTHING)
            .fetch_one(&mut *tx)
            .await?;
        if used || !mark(&mut tx, "from", from).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn page(&self, of: TableName, after: &Key) -> Result<Vec<Row>, LedgerError> {
        let table = of.0.table();
        let rows = after
            .0
            .iter()
            .fold(sqlx::query(sql::of(of.0).page), bind)
            .bind(table.page)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok(Row(read(row, table, table.columns.len())?)))
            .collect()
    }

    async fn last_key(&self, of: TableName) -> Result<Option<Key>, LedgerError> {
        last_key(&mut self.readers.begin().await?, of).await
    }

    async fn append(
        &self,
        token: &str,
        of: TableName,
        after: &Key,
        rows: &[Row],
    ) -> Result<bool, LedgerError> {
        let mut tx = self.lock().await?;
        let ours: bool = sqlx::query_scalar(sql::IS_UNFINISHED)
            .bind(token)
            .fetch_one(&mut *tx)
            .await?;
        let first = Key::before_all(of.0.table());
        let last = last_key(&mut tx, of).await?.unwrap_or(first);
        if !ours || last != *after {
            return Ok(false);
        }
        let statements = sql::of(of.0);
        let sizes: Sizes<2> = [(64, statements.insert_64), (1, statements.insert_1)];
        for (statement, portion) in portions(rows, sizes) {
            let values = portion.iter().flat_map(|row| &row.0);
            values
                .fold(sqlx::query(statement), bind)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn traces(&self) -> Result<Traces, LedgerError> {
        place::traces(self).await
    }

    async fn open_copy(&self, copy: &Move, traces: Traces) -> Result<(), LedgerError> {
        let mut tx = self.lock().await?;
        finish(&mut tx, "from", copy).await?;
        let place = sqlx::query_as(sql::PLACE_OF_COPY)
            .bind(traces.mark)
            .bind(traces.marked_at)
            .fetch_one(&mut *tx)
            .await?;
        place::settle(self, &mut tx, &place).await?;
        Ok(tx.commit().await?)
    }

    async fn finish_move(&self, to: &Move) -> Result<(), LedgerError> {
        let mut tx = self.lock().await?;
        finish(&mut tx, "to", to).await?;
        Ok(tx.commit().await?)
    }
}

/// Of the file and of the log of what is not in it yet.
fn size(path: &Path) -> u64 {
    let beside = |suffix: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(suffix);
        std::fs::metadata(path).map_or(0, |file| file.len())
    };
    beside("") + beside("-wal")
}

/// The device and the inode.
#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn number(_: &Path) -> Option<(u64, u64)> {
    None
}
