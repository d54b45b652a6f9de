//! What providers tell by themselves, on SQLite.

use jiff::Timestamp;

use super::super::inbox::{self, EventRow, KeptEvent, NewEvent};
use super::super::rows::number;
use super::super::{DeliveryId, LedgerError};
use super::{SqliteLedger, statements as sql};
use crate::domain::run::RunId;

pub(super) async fn keep(
    ledger: &SqliteLedger,
    event: &NewEvent<'_>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(sql::KEEP_EVENT)
        .bind(event.gateway)
        .bind(event.event_id)
        .bind(event.kind)
        .bind(event.body)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn waiting(
    ledger: &SqliteLedger,
    gateway: &str,
    now: Timestamp,
    most: u32,
) -> Result<Vec<KeptEvent>, LedgerError> {
    let rows: Vec<EventRow> = sqlx::query_as(sql::WAITING_EVENTS)
        .bind(gateway)
        .bind(now.as_millisecond())
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    let rows = rows.into_iter();
    rows.map(|row| inbox::kept(row, |at| at)).collect()
}

pub(super) async fn left(ledger: &SqliteLedger, gateway: &str) -> Result<u64, LedgerError> {
    let left: i64 = sqlx::query_scalar(sql::EVENTS_LEFT)
        .bind(gateway)
        .fetch_one(&ledger.readers)
        .await?;
    number(left)
}

pub(super) async fn handled(
    ledger: &SqliteLedger,
    (gateway, event_id): (&str, &str),
    note: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(sql::EVENT_HANDLED)
        .bind(gateway)
        .bind(event_id)
        .bind(note)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn put_off(
    ledger: &SqliteLedger,
    (gateway, event_id): (&str, &str),
    until: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::PUT_OFF_EVENT)
        .bind(gateway)
        .bind(event_id)
        .bind(until.as_millisecond())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn forget(ledger: &SqliteLedger, before: Timestamp) -> Result<u64, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(sql::FORGET_EVENTS)
        .bind(before.as_millisecond())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

pub(super) async fn delivery_of(
    ledger: &SqliteLedger,
    gateway: &str,
    message_id: &str,
) -> Result<Option<(RunId, DeliveryId)>, LedgerError> {
    let row: Option<(i64, String)> = sqlx::query_as(sql::DELIVERY_OF)
        .bind(gateway)
        .bind(message_id)
        .fetch_optional(&ledger.readers)
        .await?;
    inbox::delivery(row)
}
