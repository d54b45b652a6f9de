//! What providers tell by themselves, on PostgreSQL.

use jiff::Timestamp;

use super::super::inbox::{self, EventRow, KeptEvent, NewEvent};
use super::super::rows::number;
use super::super::{DeliveryId, LedgerError};
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};
use crate::domain::run::RunId;

pub(super) async fn keep(
    ledger: &PostgresLedger,
    event: &NewEvent<'_>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let done = sqlx::query(sql::KEEP_EVENT)
                .bind(event.gateway)
                .bind(event.event_id)
                .bind(event.kind)
                .bind(event.body)
                .bind(now.as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected() > 0))
        })
        .await
}

pub(super) async fn waiting(
    ledger: &PostgresLedger,
    gateway: &str,
    now: Timestamp,
    most: u32,
) -> Result<Vec<KeptEvent>, LedgerError> {
    let shift = ledger.shift();
    let now = shift.to_server(now).as_millisecond();
    let rows: Vec<EventRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::WAITING_EVENTS)
                .bind(gateway)
                .bind(now)
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    let rows = rows.into_iter();
    rows.map(|row| inbox::kept(row, |at| shift.to_caller(at)))
        .collect()
}

pub(super) async fn left(ledger: &PostgresLedger, gateway: &str) -> Result<u64, LedgerError> {
    let left: i64 = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::EVENTS_LEFT)
                .bind(gateway)
                .fetch_one(&pool)
                .await
        })
        .await?;
    number(left)
}

pub(super) async fn handled(
    ledger: &PostgresLedger,
    (gateway, event_id): (&str, &str),
    note: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let done = sqlx::query(sql::EVENT_HANDLED)
                .bind(gateway)
                .bind(event_id)
                .bind(note)
                .bind(now.as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected() > 0))
        })
        .await
}

pub(super) async fn put_off(
    ledger: &PostgresLedger,
    (gateway, event_id): (&str, &str),
    until: Timestamp,
) -> Result<(), LedgerError> {
    let until = ledger.shift().to_server(until).as_millisecond();
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::PUT_OFF_EVENT)
                .bind(gateway)
                .bind(event_id)
                .bind(until)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn forget(ledger: &PostgresLedger, before: Timestamp) -> Result<u64, LedgerError> {
    let before = ledger.shift().to_server(before).as_millisecond();
    ledger
        .transact(Limit::Short, |mut tx| async move {
            let done = sqlx::query(sql::FORGET_EVENTS)
                .bind(before)
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected()))
        })
        .await
}

pub(super) async fn delivery_of(
    ledger: &PostgresLedger,
    gateway: &str,
    message_id: &str,
) -> Result<Option<(RunId, DeliveryId)>, LedgerError> {
    let row: Option<(i64, String)> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::DELIVERY_OF)
                .bind(gateway)
                .bind(message_id)
                .fetch_optional(&pool)
                .await
        })
        .await?;
    inbox::delivery(row)
}
