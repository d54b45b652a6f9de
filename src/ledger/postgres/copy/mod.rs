//! A PostgreSQL database as one end of a copy: reads pages and writes them, closes the database
//! for a move and opens it after one. The order of all this is [`super::super::copy`]'s.

pub(super) mod statements;
mod text;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Column as _, FromRow, Postgres, Row as _, TypeInfo as _};

use self::statements as sql;
use self::text::as_text;
use super::super::copy::catalogue::{HOLDS_ANYTHING, Kind};
use super::super::copy::{
    Identity, Key, Move, Moving, Name, Process, Row, Standing, Table, TableName, Traces, Value,
};
use super::super::insight::{self, Insight, by_state};
use super::super::rows::{instant, instants, number};
use super::super::{Copied, LedgerError};
use super::clock::Asked;
use super::shared::column;
use super::statements::SERVER_VERSION;
use super::tx::{Limit, Tx};
use super::{PostgresLedger, place};

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
pub(super) async fn closed(tx: &mut Tx) -> Result<Standing, LedgerError> {
    let rows = sqlx::query_as(sql::CLOSED).fetch_all(tx.connection());
    standing(rows.await?)
}

/// Takes the mark of a move away: a person has said that messages are sent from here.
pub(super) async fn take_back(tx: &mut Tx) -> Result<(), LedgerError> {
    sqlx::query(sql::TAKE_BACK).execute(tx.connection()).await?;
    Ok(())
}

async fn alone(tx: &mut Tx) -> Result<(), LedgerError> {
    for statement in [sql::PATIENCE, sql::ALONE] {
        sqlx::query(statement).execute(tx.connection()).await?;
    }
    Ok(())
}

async fn living(
    ledger: &PostgresLedger,
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<Process>, LedgerError> {
    let now = ledger.now(tx, now, &Asked::now()).await?;
    let rows: Vec<(String, String, i64)> = sqlx::query_as(sql::LIVING)
        .bind(now.as_millisecond())
        .fetch_all(tx.connection())
        .await?;
    // One process has a name here for each run that it works on.
    let mut living: Vec<Process> = Vec::new();
    for (_, name, since) in rows {
        if living.iter().all(|other| other.name != name) {
            let since = instant(since)?;
            living.push(Process { name, since });
        }
    }
    Ok(living)
}

async fn mark(tx: &mut Tx, way: &str, one: &Move) -> Result<bool, LedgerError> {
    let marked = sqlx::query(sql::MARK)
        .bind(way)
        .bind(&one.store)
        .bind(&one.token)
        .bind(one.at.as_millisecond())
        .execute(tx.connection())
        .await?;
    Ok(marked.rows_affected() > 0)
}

async fn finish(tx: &mut Tx, way: &str, one: &Move) -> Result<(), LedgerError> {
    sqlx::query(sql::FINISH)
        .bind(way)
        .bind(&one.token)
        .bind(one.finished_at.unwrap_or(one.at).as_millisecond())
        .execute(tx.connection())
        .await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

fn bind<'q>(query: Query<'q>, value: &'q Value) -> Query<'q> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
    }
}

fn integer(row: &PgRow, at: usize) -> Result<Option<i64>, sqlx::Error> {
    match row.try_column(at)?.type_info().name() {
        "INT4" => Ok(row.try_get::<Option<i32>, _>(at)?.map(i64::from)),
        "BOOL" => Ok(row.try_get::<Option<bool>, _>(at)?.map(i64::from)),
        _ => row.try_get(at),
    }
}

fn read(row: &PgRow, table: &Table, columns: usize) -> Result<Vec<Value>, LedgerError> {
    let columns = table.columns.iter().take(columns).enumerate();
    columns
        .map(|(at, column)| {
            Ok(match column.kind {
                Kind::Integer | Kind::Flag => integer(row, at)?.map(Value::Integer),
                Kind::OrZero => Some(Value::Integer(integer(row, at)?.unwrap_or(0))),
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Value::Text),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Value::Bytes),
            }
            .unwrap_or(Value::Null))
        })
        .collect()
}

async fn last_key(tx: &mut Tx, of: TableName) -> Result<Option<Key>, LedgerError> {
    let table = of.0.table();
    let row = sqlx::query(sql::of(of.0).last)
        .fetch_optional(tx.connection())
        .await?;
    row.map(|row| Ok(Key(read(&row, table, table.key)?)))
        .transpose()
}

async fn insert(tx: &mut Tx, of: TableName, rows: &[Row]) -> Result<(), LedgerError> {
    let table = of.0.table();
    let mut copy = tx.connection().copy_in_raw(sql::of(of.0).copy_in).await?;
    copy.send(as_text(table, rows).into_bytes()).await?;
    copy.finish().await?;
    if of.0 != Name::Runs {
        return Ok(());
    }
    let integer = |value: Option<&Value>| match value {
        Some(Value::Integer(number)) => *number,
        Some(Value::Null | Value::Text(_) | Value::Bytes(_)) | None => 0,
    };
    sqlx::query(sql::EVENT_COUNTS)
        .bind(column(rows, |row| integer(row.0.first())))
        .bind(column(rows, |row| integer(row.0.last())))
        .execute(tx.connection())
        .await?;
    Ok(())
}

impl PostgresLedger {
    /// Why the ledger takes no change, if so.
    pub(super) async fn refusal(&self) -> Result<Option<LedgerError>, LedgerError> {
        let rows = sqlx::query_as(sql::CLOSED).fetch_all(&self.pool);
        Ok(standing(rows.await?)?.refusal())
    }
}

#[async_trait]
impl Moving for PostgresLedger {
    fn name(&self) -> String {
        self.place.clone()
    }

    async fn identity(&self) -> Result<Identity, LedgerError> {
        self.transact_closed(Limit::Short, |mut tx| async move {
            let here = place::identity(&mut tx).await?;
            let identity = Identity::Server {
                identifier: here.server,
                database: here.database,
                relation: here.relation,
                name: self.place.clone(),
            };
            Ok((tx, identity))
        })
        .await
    }

    async fn insight(&self) -> Result<Insight, LedgerError> {
        let names: &Vec<&str> = &Name::ALL
            .iter()
            .map(|name| name.table().name)
            .chain(["owners", "places", "moves", "event_counts"])
            .collect();
        let (_, version): (i64, String) = self
            .read(|pool| async move { sqlx::query_as(SERVER_VERSION).fetch_one(&pool).await })
            .await?;
        let sizes: Vec<(String, i64)> = self
            .read(|pool| async move {
                let sizes = sqlx::query_as(sql::SIZES).bind(names);
                sizes.fetch_all(&pool).await
            })
            .await?;
        let states = self
            .read(|pool| async move { sqlx::query_as(sql::RUNS_BY_STATE).fetch_all(&pool).await });
        let (runs, deliveries) = by_state(states.await?)?;
        let tables = sizes.into_iter();
        let tables: Vec<(String, u64)> = tables
            .map(|(name, bytes)| Ok((name, number(bytes)?)))
            .collect::<Result<_, LedgerError>>()?;
        Ok(Insight {
            kind: insight::Kind::Postgres,
            version,
            bytes: tables.iter().map(|(_, bytes)| bytes).sum(),
            tables,
            runs,
            deliveries,
        })
    }

    async fn standing(&self) -> Result<Standing, LedgerError> {
        let rows =
            self.read(|pool| async move { sqlx::query_as(sql::STANDING).fetch_all(&pool).await });
        standing(rows.await?)
    }

    async fn holds_anything(&self) -> Result<bool, LedgerError> {
        self.read(|pool| async move { sqlx::query_scalar(HOLDS_ANYTHING).fetch_one(&pool).await })
            .await
    }

    async fn away(&self) -> Result<Option<Copied>, LedgerError> {
        place::away(self).await
    }

    async fn present(&self, now: Timestamp) -> Result<Vec<Process>, LedgerError> {
        self.transact_closed(Limit::Short, |mut tx| async move {
            let living = living(self, &mut tx, now).await?;
            Ok((tx, living))
        })
        .await
    }

    async fn close_for(&self, to: &Move) -> Result<Vec<Process>, LedgerError> {
        // Before anybody has to wait.
        let present = self.present(to.at).await?;
        if !present.is_empty() {
            return Ok(present);
        }
        self.transact_closed(Limit::Long, |mut tx| async move {
            alone(&mut tx).await?;
            if let Some(refusal) = closed(&mut tx).await?.refusal() {
                return Err(refusal);
            }
            let living = living(self, &mut tx, to.at).await?;
            if living.is_empty() {
                for statement in [sql::ALL_GONE, sql::END_LEASES] {
                    sqlx::query(statement).execute(tx.connection()).await?;
                }
                mark(&mut tx, "to", to).await?;
            }
            Ok((tx, living))
        })
        .await
    }

    async fn await_copy(&self, from: &Move) -> Result<bool, LedgerError> {
        self.transact_closed(Limit::Short, |mut tx| async move {
            alone(&mut tx).await?;
            let used: bool = sqlx::query_scalar(HOLDS_ANYTHING)
                .fetch_one(tx.connection())
                .await?;
            let marked = !used && mark(&mut tx, "from", from).await?;
            Ok((tx, marked))
        })
        .await
    }

    async fn page(&self, of: TableName, after: &Key) -> Result<Vec<Row>, LedgerError> {
        let table = of.0.table();
        let rows = self
            .read(|pool| async move {
                after
                    .0
                    .iter()
                    .fold(sqlx::query(sql::of(of.0).page), bind)
                    .bind(i64::from(table.page))
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        rows.iter()
            .map(|row| Ok(Row(read(row, table, table.columns.len())?)))
            .collect()
    }

    async fn last_key(&self, of: TableName) -> Result<Option<Key>, LedgerError> {
        self.transact_closed(Limit::Short, |mut tx| async move {
            let last = last_key(&mut tx, of).await?;
            Ok((tx, last))
        })
        .await
    }

    async fn append(
        &self,
        token: &str,
        of: TableName,
        after: &Key,
        rows: &[Row],
    ) -> Result<bool, LedgerError> {
        self.transact_closed(Limit::Long, |mut tx| async move {
            let ours: Option<bool> = sqlx::query_scalar(sql::UNFINISHED)
                .bind(token)
                .fetch_optional(tx.connection())
                .await?;
            let first = Key::before_all(of.0.table());
            let last = last_key(&mut tx, of).await?.unwrap_or(first);
            if ours.is_none() || last != *after {
                return Ok((tx, false));
            }
            insert(&mut tx, of, rows).await?;
            Ok((tx, true))
        })
        .await
    }

    async fn traces(&self) -> Result<Traces, LedgerError> {
        let (mark, marked_at) = self
            .read(|pool| async move { sqlx::query_as(sql::TRACES).fetch_one(&pool).await })
            .await?;
        Ok(Traces { mark, marked_at })
    }

    async fn open_copy(&self, copy: &Move, traces: Traces) -> Result<(), LedgerError> {
        self.transact_closed(Limit::Long, |mut tx| async move {
            finish(&mut tx, "from", copy).await?;
            sqlx::query(sql::NUMBERS_GO_ON)
                .execute(tx.connection())
                .await?;
            let here = place::identity(&mut tx).await?;
            sqlx::query(sql::PLACE_OF_COPY)
                .bind(here.server)
                .bind(here.database)
                .bind(here.relation)
                .bind(traces.mark)
                .bind(traces.marked_at)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
    }

    async fn finish_move(&self, to: &Move) -> Result<(), LedgerError> {
        self.transact_closed(Limit::Short, |mut tx| async move {
            finish(&mut tx, "to", to).await?;
            Ok((tx, ()))
        })
        .await
    }
}
