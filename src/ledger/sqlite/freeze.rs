//! A freezing transaction on SQLite.

use std::collections::BTreeSet;

use sqlx::Sqlite;

use super::super::freeze::{FreezeTx, Freezing, FrozenMessage, Sealed};
use super::super::rows::{RunRow, stored};
use super::super::{Freeze, LedgerError, NewRun};
use super::shared::Tx;
use super::{SqliteLedger, statements as sql};
use crate::domain::account::AccountId;
use crate::domain::cap::Touch;
use crate::domain::message::Media;

/// Inserts by how many rows they take, longest first: every statement is a trip to SQLite's
/// thread and back. The longest takes a whole chunk of a list.
const INSERTS: [(usize, &str); 4] = [
    (512, sql::INSERT_MESSAGES_512),
    (64, sql::INSERT_MESSAGES_64),
    (8, sql::INSERT_MESSAGES_8),
    (1, sql::INSERT_MESSAGE),
];

pub(super) async fn open(
    ledger: &SqliteLedger,
    run: &NewRun,
) -> Result<Box<dyn Freeze>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let exists: Option<i64> = sqlx::query_scalar(sql::RUN_EXISTS)
        .bind(run.run.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if exists.is_some() {
        return Err(LedgerError::RunExists(run.run.clone()));
    }
    let first: i64 = sqlx::query_scalar(sql::NEXT_DELIVERY)
        .fetch_one(&mut *tx)
        .await?;
    let run_id = sqlx::query(sql::INSERT_RUN)
        .bind(run.run.as_str())
        .bind(run.run.campaign())
        .bind(run.run.occurrence())
        .bind(&run.gateway)
        .bind(stored(serde_json::to_string(&run.terms))?)
        .bind(first)
        .bind(run.now.as_millisecond())
        .bind(run.starts_at.as_millisecond())
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
    Ok(Box::new(Freezing::new(tx, run.clone(), run_id, first)))
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, run_id: i64, one: &'q FrozenMessage) -> Query<'q> {
    query
        .bind(one.id)
        .bind(run_id)
        .bind(one.row())
        .bind(one.kept_key())
        .bind(one.phone())
        .bind(one.timezone())
        .bind(one.content())
        .bind(one.content().is_some())
        .bind(one.sum)
}

impl FreezeTx for Tx<'_> {
    async fn insert_messages(
        &mut self,
        run_id: i64,
        rows: &[FrozenMessage],
    ) -> Result<bool, LedgerError> {
        let (mut left, mut inserted) = (rows, 0);
        for (many, text) in INSERTS {
            let groups = left.chunks_exact(many);
            left = groups.remainder();
            for group in groups {
                inserted += group
                    .iter()
                    .fold(sqlx::query(text), |query, one| bind(query, run_id, one))
                    .execute(&mut **self)
                    .await?
                    .rows_affected();
            }
        }
        Ok(inserted == rows.len() as u64)
    }

    async fn messages_between(&mut self, first: i64, last: i64) -> Result<Vec<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::MESSAGES_BETWEEN)
            .bind(first)
            .bind(last)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn first_row_of(
        &mut self,
        run_id: i64,
        phone: Option<&str>,
        key: Option<&str>,
    ) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::FIRST_ROW_OF)
            .bind(run_id)
            .bind(phone)
            .bind(key)
            .fetch_one(&mut **self)
            .await?)
    }

    async fn insert_deliveries(
        &mut self,
        run_id: i64,
        due_at: i64,
        rows: &[FrozenMessage],
    ) -> Result<(), LedgerError> {
        let lines: Vec<Option<(&str, i16)>> = rows
            .iter()
            .map(|one| one.line().zip(one.touch().map(Touch::number)))
            .collect();
        let skipped: Vec<(i64, &str, &str)> = rows
            .iter()
            .filter_map(|one| {
                let (reason, detail) = one.skipped()?;
                Some((one.id, reason.as_str(), detail))
            })
            .collect();
        sqlx::query(sql::INSERT_PENDING)
            .bind(rows.first().map(|one| one.id))
            .bind(run_id)
            .bind(due_at)
            .bind(stored(serde_json::to_string(&lines))?)
            .execute(&mut **self)
            .await?;
        if !skipped.is_empty() {
            sqlx::query(sql::INSERT_SKIPPED)
                .bind(run_id)
                .bind(due_at)
                .bind(stored(serde_json::to_string(&skipped))?)
                .execute(&mut **self)
                .await?;
        }
        Ok(())
    }

    async fn insert_media(&mut self, file: &Media, sum: i64) -> Result<(), LedgerError> {
        sqlx::query(sql::INSERT_MEDIA)
            .bind(file.sha256.to_string())
            .bind(&file.filename)
            .bind(&file.content_type)
            .bind(&file.bytes[..])
            .bind(sum)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn insert_lines(
        &mut self,
        run_id: i64,
        lines: &BTreeSet<String>,
    ) -> Result<(), LedgerError> {
        for line in lines {
            sqlx::query(sql::INSERT_RUN_LINE)
                .bind(run_id)
                .bind(line)
                .execute(&mut **self)
                .await?;
        }
        Ok(())
    }

    async fn keep_account(
        &mut self,
        gateway: &str,
        account: &AccountId,
    ) -> Result<(), LedgerError> {
        sqlx::query(sql::KEEP_ACCOUNT)
            .bind(gateway)
            .bind(account.to_string())
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn seal_run(&mut self, run_id: i64, sealed: &Sealed<'_>) -> Result<(), LedgerError> {
        sqlx::query(sql::SEAL_RUN)
            .bind(sealed.total)
            .bind(sealed.files)
            .bind(sealed.list_sum)
            .bind(sealed.sum)
            .bind(run_id)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn sealed_run(&mut self, run: &NewRun) -> Result<RunRow, LedgerError> {
        Ok(sqlx::query_as(sql::RUN)
            .bind(run.run.as_str())
            .fetch_one(&mut **self)
            .await?)
    }

    async fn commit(self) -> Result<(), LedgerError> {
        Ok(Self::commit(self).await?)
    }

    async fn rollback(self) -> Result<(), LedgerError> {
        Ok(Self::rollback(self).await?)
    }
}
