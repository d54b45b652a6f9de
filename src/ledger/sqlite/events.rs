//! Writes down what moved deliveries and runs besides attempts, in the transaction that moved
//! them. What an event means is [`crate::domain::history`]'s.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{DeliveryId, LedgerError};
use super::claim::Tx;
use super::rows::{instant, number, stored};
use super::statements as sql;
use crate::domain::history::{Attempt, DeliveryEvent, Event, RunEvent, event_sum};
use crate::domain::outcome::{Class, Failure};

/// An event without its place yet.
pub(super) struct Happened {
    delivery: Option<DeliveryId>,
    attempt: u32,
    at: Timestamp,
    what: String,
}

impl Happened {
    pub(super) fn to_delivery(
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        what: &DeliveryEvent,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            delivery: Some(id),
            attempt,
            at,
            what: written(what)?,
        })
    }
}

fn written(what: &impl Serialize) -> Result<String, LedgerError> {
    stored(serde_json::to_string(what))
}

pub(super) async fn note_run(
    tx: &mut Tx,
    run_id: i64,
    at: Timestamp,
    what: &RunEvent,
) -> Result<(), LedgerError> {
    let happened = Happened {
        delivery: None,
        attempt: 0,
        at,
        what: written(what)?,
    };
    note(tx, run_id, &[happened]).await
}

pub(super) async fn note(
    tx: &mut Tx,
    run_id: i64,
    happened: &[Happened],
) -> Result<(), LedgerError> {
    if happened.is_empty() {
        return Ok(());
    }
    let many = i64::try_from(happened.len()).unwrap_or(i64::MAX);
    let last: i64 = sqlx::query_scalar(sql::COUNT_EVENTS)
        .bind(run_id)
        .bind(many)
        .fetch_one(&mut **tx)
        .await?;
    let mut rows = Vec::with_capacity(happened.len());
    for (seq, one) in (last - many + 1..).zip(happened) {
        let event = Event {
            seq: number(seq)?,
            at: one.at,
            attempt: one.attempt,
            what: one.what.as_str(),
        };
        rows.push(json!([
            seq,
            one.delivery,
            one.attempt,
            one.at.as_millisecond(),
            one.what,
            event_sum(run_id, one.delivery, &event),
        ]));
    }
    sqlx::query(sql::INSERT_EVENTS)
        .bind(run_id)
        .bind(Value::Array(rows).to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Keeps attempts as lost, unless more is known of them: id, attempt, revision, begun at.
pub(super) async fn keep_lost(
    tx: &mut Tx,
    rows: Vec<(DeliveryId, i64, i64, i64)>,
) -> Result<(), LedgerError> {
    let mut lost = Vec::with_capacity(rows.len());
    for (id, attempt, revision, begun_at) in rows {
        let (attempt, revision) = (number(attempt)?, number(revision)?);
        lost.push(lost_row(id, attempt, revision, instant(begun_at)?));
    }
    if !lost.is_empty() {
        sqlx::query(sql::KEEP_LOST)
            .bind(Value::Array(lost).to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// The row of an attempt whose process ended before an outcome was recorded.
pub(super) fn lost_row(id: DeliveryId, attempt: u32, revision: u32, begun_at: Timestamp) -> Value {
    let lost = Attempt {
        attempt,
        revision,
        begun_at,
        ended_at: None,
        class: Class::Lost,
        late: false,
        failure: Failure::default(),
        after: None,
    };
    json!([
        id,
        attempt,
        revision,
        begun_at.as_millisecond(),
        lost.sum(id)
    ])
}
