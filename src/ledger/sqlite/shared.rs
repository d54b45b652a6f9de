//! What every writing transaction does, on SQLite. Rows that are rare go to a statement as one JSON
//! array, those of the send path as plain values.

use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};

use super::super::caps::{Asked, CapTx, UsedRow};
use super::super::events::EventRow;
use super::super::opt_out::{Left, OptedOutRow};
use super::super::shapes::{HeldBack, Lost};
use super::super::tx::SharedTx;
use super::super::{DeliveryId, LedgerError};
use super::statements as sql;

pub(super) type Tx<'t> = Transaction<'t, Sqlite>;

/// A statement by how many rows it takes, longest first.
pub(super) type Sizes<const N: usize> = [(usize, &'static str); N];

/// Rows in as few statements as there may be: each is a trip to SQLite's thread and back.
pub(super) fn portions<T, const N: usize>(
    mut rows: &[T],
    sizes: Sizes<N>,
) -> Vec<(&'static str, &[T])> {
    let mut portions = Vec::new();
    for (size, statement) in sizes {
        while let Some((portion, rest)) = rows.split_at_checked(size) {
            portions.push((statement, portion));
            rows = rest;
        }
    }
    portions
}

/// Rows as the other statements take them.
pub(super) fn rows<T>(rows: &[T], row: impl Fn(&T) -> Value) -> String {
    Value::Array(rows.iter().map(row).collect()).to_string()
}

pub(super) fn lost_rows(lost: &[Lost]) -> String {
    rows(lost, |one| {
        json!([one.id, one.attempt, one.revision, one.begun_at, one.sum])
    })
}

/// The caps that are asked about, each with its day.
pub(super) fn asked_rows(asked: &[Asked]) -> String {
    rows(asked, |((gateway, subject), day)| {
        json!([gateway, subject, day])
    })
}

impl CapTx for Tx<'_> {
    async fn used(&mut self, asked: &[Asked]) -> Result<Vec<UsedRow>, LedgerError> {
        Ok(sqlx::query_as(sql::CAPS_USED)
            .bind(asked_rows(asked))
            .fetch_all(&mut **self)
            .await?)
    }
}

impl SharedTx for Tx<'_> {
    async fn count_events(&mut self, run_id: i64, more: i64) -> Result<i64, LedgerError> {
        Ok(sqlx::query_scalar(sql::COUNT_EVENTS)
            .bind(run_id)
            .bind(more)
            .fetch_one(&mut **self)
            .await?)
    }

    async fn insert_events(&mut self, run_id: i64, events: &[EventRow]) -> Result<(), LedgerError> {
        let events = rows(events, |one| {
            json!([
                one.seq,
                one.delivery,
                one.attempt,
                one.at,
                one.what,
                one.sum
            ])
        });
        sqlx::query(sql::INSERT_EVENTS)
            .bind(run_id)
            .bind(events)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn keep_lost(&mut self, lost: &[Lost]) -> Result<(), LedgerError> {
        sqlx::query(sql::KEEP_LOST)
            .bind(lost_rows(lost))
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn hold_back(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        let held = rows(held, |one| json!([one.id, one.until, one.hold.as_str()]));
        sqlx::query(sql::HOLD_BACK)
            .bind(held)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn hold_doubts(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        let held = rows(held, |one| json!([one.id, one.until]));
        sqlx::query(sql::HOLD_DOUBT)
            .bind(held)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn opted_out(&mut self, ids: &[DeliveryId]) -> Result<Vec<OptedOutRow>, LedgerError> {
        Ok(sqlx::query_as(sql::OPTED_OUT)
            .bind(json!(ids).to_string())
            .fetch_all(&mut **self)
            .await?)
    }

    async fn skip(&mut self, left: &[Left]) -> Result<(), LedgerError> {
        let left = rows(left, |one| json!([one.id, one.reason.as_str(), one.detail]));
        sqlx::query(sql::SKIP)
            .bind(left)
            .execute(&mut **self)
            .await?;
        Ok(())
    }
}
