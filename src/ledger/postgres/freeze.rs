//! A freezing transaction on PostgreSQL. Rows stream in as arrays; neither side keeps them.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::super::freeze::{FreezeTx, Freezing, FrozenMessage, Sealed};
use super::super::rows::{RunRow, stored};
use super::super::{Freeze, FreezeFacts, LedgerError, NewDelivery, NewRun, RunRecord};
use super::clock::Asked;
use super::shared::{column, length, portions};
use super::tx::Tx;
use super::{PostgresLedger, faults, statements as sql};
use crate::domain::account::AccountId;
use crate::domain::campaign::FrozenFile;
use crate::domain::cap::Touch;
use crate::domain::delivery::SkipReason;
use crate::domain::message::Media;

pub(super) async fn open(
    ledger: &PostgresLedger,
    run: &NewRun,
) -> Result<Box<dyn Freeze>, LedgerError> {
    let freezing = ledger.again(|| begin(ledger, run)).await?;
    Ok(Box::new(Placed {
        freezing: Box::new(freezing),
        place: ledger.place.clone(),
    }))
}

/// Names the ledger in what goes wrong. Nothing is repeated: the rows that were given are gone.
struct Placed {
    freezing: Box<Freezing<Tx>>,
    place: String,
}

#[async_trait]
impl Freeze for Placed {
    async fn add(&mut self, rows: Vec<NewDelivery>) -> Result<(), LedgerError> {
        let added = self.freezing.add(rows).await;
        added.map_err(|error| faults::at(&self.place, error))
    }

    async fn add_media(&mut self, media: Vec<Media>) -> Result<(), LedgerError> {
        let added = self.freezing.add_media(media).await;
        added.map_err(|error| faults::at(&self.place, error))
    }

    async fn seal(self: Box<Self>, files: Vec<FrozenFile>) -> Result<RunRecord, LedgerError> {
        let sealed = self.freezing.seal(files).await;
        sealed.map_err(|error| faults::at(&self.place, error))
    }

    async fn discard(self: Box<Self>) -> Result<FreezeFacts, LedgerError> {
        self.freezing.discard().await
    }
}

async fn begin(ledger: &PostgresLedger, run: &NewRun) -> Result<Freezing<Tx>, LedgerError> {
    let asked = Asked::now();
    let mut tx = Tx::begin(&ledger.pool).await?;
    sqlx::query(sql::FREEZE_LIMITS)
        .execute(tx.connection())
        .await?;
    let mut run = run.clone();
    let now = ledger.now(&mut tx, run.now, &asked).await?;
    // At once, unless it is for a time that is yet to come.
    if run.starts_at <= run.now {
        run.starts_at = ledger.shift().to_server(run.starts_at).min(now);
    }
    run.now = now;
    let exists: Option<bool> = sqlx::query_scalar(sql::RUN_EXISTS)
        .bind(run.run.as_str())
        .fetch_optional(tx.connection())
        .await?;
    if exists.is_some() {
        return Err(LedgerError::RunExists(run.run));
    }
    let inserted: Option<(i64, i64)> = sqlx::query_as(sql::INSERT_RUN)
        .bind(run.run.as_str())
        .bind(run.run.campaign())
        .bind(run.run.occurrence())
        .bind(&run.gateway)
        .bind(stored(serde_json::to_string(&run.terms))?)
        .bind(run.now.as_millisecond())
        .bind(run.starts_at.as_millisecond())
        .fetch_optional(tx.connection())
        .await?;
    let Some((run_id, first)) = inserted else {
        return Err(LedgerError::RunExists(run.run));
    };
    Ok(Freezing::new(tx, run, run_id, first))
}

fn reason(one: &FrozenMessage) -> Option<&'static str> {
    one.skipped().map(|(reason, _)| SkipReason::as_str(reason))
}

fn detail(one: &FrozenMessage) -> Option<&str> {
    one.skipped().map(|(_, detail)| detail)
}

/// The texts of a message's row, and of its delivery's.
fn text(one: &FrozenMessage) -> usize {
    let texts = [one.kept_key(), one.phone(), one.timezone(), one.content()];
    texts.into_iter().map(length).sum()
}

fn aside(one: &FrozenMessage) -> usize {
    [one.line(), reason(one), detail(one)]
        .into_iter()
        .map(length)
        .sum()
}

impl FreezeTx for Tx {
    async fn insert_messages(
        &mut self,
        run_id: i64,
        rows: &[FrozenMessage],
    ) -> Result<bool, LedgerError> {
        let mut inserted = 0;
        for rows in portions(rows, 7, text) {
            inserted += sqlx::query(sql::INSERT_MESSAGES)
                .bind(run_id)
                .bind(column(rows, |one| one.id))
                .bind(column(rows, FrozenMessage::row))
                .bind(column(rows, FrozenMessage::kept_key))
                .bind(column(rows, FrozenMessage::phone))
                .bind(column(rows, FrozenMessage::timezone))
                .bind(column(rows, FrozenMessage::content))
                .bind(column(rows, |one| one.sum))
                .execute(self.connection())
                .await?
                .rows_affected();
        }
        Ok(inserted == rows.len() as u64)
    }

    async fn messages_between(&mut self, first: i64, last: i64) -> Result<Vec<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::MESSAGES_BETWEEN)
            .bind(first)
            .bind(last)
            .fetch_all(self.connection())
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
            .fetch_one(self.connection())
            .await?)
    }

    async fn insert_deliveries(
        &mut self,
        run_id: i64,
        due_at: i64,
        rows: &[FrozenMessage],
    ) -> Result<(), LedgerError> {
        let touch = |one: &FrozenMessage| one.touch().unwrap_or(Touch::Again).number();
        for rows in portions(rows, 5, aside) {
            sqlx::query(sql::INSERT_DELIVERIES)
                .bind(run_id)
                .bind(due_at)
                .bind(column(rows, |one| one.id))
                .bind(column(rows, FrozenMessage::line))
                .bind(column(rows, reason))
                .bind(column(rows, detail))
                .bind(column(rows, touch))
                .execute(self.connection())
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
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn insert_lines(
        &mut self,
        run_id: i64,
        lines: &BTreeSet<String>,
    ) -> Result<(), LedgerError> {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        sqlx::query(sql::INSERT_RUN_LINES)
            .bind(run_id)
            .bind(lines)
            .execute(self.connection())
            .await?;
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
            .execute(self.connection())
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
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn sealed_run(&mut self, run: &NewRun) -> Result<RunRow, LedgerError> {
        Ok(sqlx::query_as(sql::RUN)
            .bind(run.run.as_str())
            .fetch_one(self.connection())
            .await?)
    }

    async fn commit(self) -> Result<(), LedgerError> {
        Self::commit(self).await
    }

    async fn rollback(self) -> Result<(), LedgerError> {
        Self::rollback(self).await
    }
}
