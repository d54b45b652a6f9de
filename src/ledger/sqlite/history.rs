//! The history of one person in a run, and an operator's word on what failed or is uncertain,
//! on SQLite. What the word means is [`super::super::operator`]'s.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::super::operator::{self, FailedRow, OperatorTx};
use super::super::rows::{DeliveryRow, RunRow, instant, instants, stored};
use super::super::{
    DeliveryId, DeliveryRecord, History, Lease, LedgerError, Outlook, Owner, Resolution, Retry,
    RetryKey, Whom,
};
use super::audit::{self, sound};
use super::shared::Tx;
use super::{SqliteLedger, owners, runs, statements as sql};
use crate::domain::delivery::DeliveryState;
use crate::domain::phone::Phone;
use crate::domain::proof::{KeptAttempt, KeptEvent};
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
            let place = i64::try_from(row.saturating_sub(1)).unwrap_or(i64::MAX);
            let there = *row > 0 && place < run.total;
            return Ok(there
                .then(|| run.first_delivery + place)
                .into_iter()
                .collect());
        }
        Whom::Person { key, phone } => (key, phone),
    };
    let rows: Vec<(DeliveryId, bool)> = sqlx::query_as(sql::FIND)
        .bind(run.id)
        .bind(phone.as_ref().map(Phone::expose))
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
    let content: Option<String> = row.try_get("content")?;
    let mut history = History {
        delivery: DeliveryRow::from_row(&row)?.try_into()?,
        message: content
            .map(|text| stored(serde_json::from_str(&text)))
            .transpose()?,
        begun_at: instants(row.try_get("begun_at")?)?,
        attempts: Vec::new(),
        events: Vec::new(),
        run_events: Vec::new(),
        held: lease(&row)?,
        known_from: None,
    };
    for row in between(&mut tx, sql::ATTEMPTS_KEPT, id).await? {
        let kept: KeptAttempt = sound("attempts", audit::attempt(&row))?;
        history.attempts.push(sound("attempts", kept.attempt())?);
    }
    for row in between(&mut tx, sql::EVENTS_KEPT, id).await? {
        let kept: KeptEvent = sound("events", audit::event(&row))?;
        history.events.push(sound("events", kept.event())?);
    }
    let of_run = sqlx::query(sql::EVENTS_OF_RUN_ITSELF)
        .bind(run.id)
        .fetch_all(&mut *tx)
        .await?;
    for row in of_run {
        let kept: KeptEvent = sound("events", audit::event(&row))?;
        history.run_events.push(sound("events", kept.event())?);
    }
    let before: Option<String> = sqlx::query_scalar(sql::KNOWN_FROM)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    history.known_from = before.map(|run| stored(RunId::parse(&run))).transpose()?;
    Ok(history)
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

fn lease(row: &SqliteRow) -> Result<Option<Lease>, LedgerError> {
    let owner: Option<String> = row.try_get("lease_owner")?;
    let until: Option<i64> = row.try_get("lease_until")?;
    let gone: Option<bool> = row.try_get("owner_gone")?;
    let (Some(owner), Some(until)) = (owner, until) else {
        return Ok(None);
    };
    let lease = Lease {
        owner: Owner(owner),
        until: instant(until)?,
    };
    Ok((gone != Some(true)).then_some(lease))
}

pub(super) async fn outlook(ledger: &SqliteLedger, run: &RunId) -> Result<Outlook, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let pending: Option<i64> = sqlx::query_scalar(sql::NEXT_DUE)
        .bind(run.id)
        .fetch_one(&ledger.readers)
        .await?;
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
        code: Option<u32>,
        most: u32,
    ) -> Result<Vec<FailedRow>, LedgerError> {
        Ok(sqlx::query_as(sql::FAILED)
            .bind(after)
            .bind(last)
            .bind(code)
            .bind(most)
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
