//! The history of one person in a run, and an operator's word on what failed or is uncertain,
//! on SQLite. What the word means is [`super::super::operator`]'s.

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;

use super::super::caps;
use super::super::kept::Told;
use super::super::operator::{self, FailedRow, OperatorTx};
use super::super::rows::{DeliveryRow, RunRow, instants, stored};
use super::super::{
    DeliveryId, DeliveryRecord, History, LedgerError, Outlook, Resolution, Retry, RetryKey,
    RunRecord, Whom,
};
use super::shared::Tx;
use super::{SqliteLedger, owners, runs, statements as sql};
use crate::domain::address::Address;
use crate::domain::delivery::DeliveryState;
use crate::domain::run::RunId;

pub(super) async fn find(
    ledger: &SqliteLedger,
    run: &RunId,
    whom: &Whom,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let last = run.first_delivery + run.total - 1;
    let (key, phone) = match whom {
        Whom::Row(row) => {
            return Ok(run.delivery_of(*row).into_iter().collect());
        }
        Whom::Person { key, phone } => (key, phone),
    };
    let rows: Vec<(DeliveryId, bool)> = sqlx::query_as(sql::FIND)
        .bind(run.id)
        .bind(phone.as_ref().map(Address::expose))
        .bind(key)
        .bind(run.first_delivery)
        .bind(last)
        .fetch_all(&ledger.readers)
        .await?;
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

pub(super) async fn in_state(
    ledger: &SqliteLedger,
    run: &RunId,
    state: DeliveryState,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(sql::IN_STATE)
        .bind(run.first_delivery)
        .bind(run.first_delivery + run.total - 1)
        .bind(state.as_str())
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}

pub(super) async fn history(
    ledger: &SqliteLedger,
    run: &RunId,
    id: DeliveryId,
) -> Result<History, LedgerError> {
    // One view of all of it.
    let mut tx = ledger.readers.begin().await?;
    let run: RunRow = sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))?;
    let row = sqlx::query(sql::DELIVERY)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    let delivery = DeliveryRow::from_row(&row)?.try_into()?;
    let told = Told {
        delivery: row,
        attempts: between(&mut tx, sql::ATTEMPTS_KEPT, id).await?,
        events: between(&mut tx, sql::EVENTS_KEPT, id).await?,
        run_events: sqlx::query(sql::EVENTS_OF_RUN_ITSELF)
            .bind(run.id)
            .fetch_all(&mut *tx)
            .await?,
        known_from: sqlx::query_scalar(sql::KNOWN_FROM)
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?,
    };
    told.history(delivery)
}

async fn between(
    tx: &mut Tx<'_>,
    statement: &'static str,
    id: DeliveryId,
) -> Result<Vec<SqliteRow>, LedgerError> {
    Ok(sqlx::query(statement)
        .bind(id)
        .bind(id)
        .fetch_all(&mut **tx)
        .await?)
}

pub(super) async fn outlook(ledger: &SqliteLedger, run: &RunId) -> Result<Outlook, LedgerError> {
    let run = RunRecord::try_from(runs::existing(ledger, run).await?)?;
    let due: Vec<(String, i64, i64)> = sqlx::query_as(sql::NEXT_DUE)
        .bind(run.id)
        .fetch_all(&ledger.readers)
        .await?;
    let until: Vec<(String, i64)> = sqlx::query_as(sql::CAPS_UNTIL)
        .bind(&run.gateway)
        .fetch_all(&ledger.readers)
        .await?;
    let pending = caps::next_due(&run, due, &until.into_iter().collect())?;
    let unanswered: Vec<(String, i64)> = sqlx::query_as(sql::NEXT_UNANSWERED)
        .bind(run.id)
        .fetch_all(&ledger.readers)
        .await?;
    let next = unanswered
        .into_iter()
        .map(|(_, at)| at)
        .chain(pending)
        .min();
    Ok(Outlook {
        present: owners::present(ledger, run.id).await?,
        next_due_at: instants(next)?,
    })
}

pub(super) async fn retry(
    ledger: &SqliteLedger,
    run: &RunId,
    wanted: &Retry,
    now: Timestamp,
) -> Result<Vec<(Option<u32>, u64)>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let put_back = operator::retry(&mut tx, run, wanted, now).await?;
    tx.commit().await?;
    Ok(put_back)
}

pub(super) async fn resolve(
    ledger: &SqliteLedger,
    run: &RunId,
    id: DeliveryId,
    resolution: Resolution,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = operator::resolve(&mut tx, run, id, resolution, now).await?;
    tx.commit().await?;
    Ok(done)
}

impl OperatorTx for Tx<'_> {
    async fn failed(
        &mut self,
        (after, last): (DeliveryId, DeliveryId),
        (code, taken): (Option<u32>, bool),
        most: u32,
    ) -> Result<Vec<FailedRow>, LedgerError> {
        Ok(sqlx::query_as(sql::FAILED)
            .bind(after)
            .bind(last)
            .bind(code)
            .bind(most)
            .bind(taken)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn put_back(
        &mut self,
        ids: &[DeliveryId],
        key: RetryKey,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        sqlx::query(sql::PUT_BACK)
            .bind(stored(serde_json::to_string(ids))?)
            .bind(now.as_millisecond())
            .bind(key == RetryKey::Revised)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn resolve(
        &mut self,
        run_id: i64,
        id: DeliveryId,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RESOLVE)
            .bind(id)
            .bind(run_id)
            .bind(to.as_str())
            .bind(now.as_millisecond())
            .fetch_optional(&mut **self)
            .await?)
    }
}
