//! Writes down what moved deliveries and runs besides attempts, in the transaction that moved
//! them. What an event means is [`crate::domain::history`]'s.

use jiff::Timestamp;
use serde::Serialize;

use super::rows::{number, stored};
use super::tx::SharedTx;
use super::{DeliveryId, LedgerError};
use crate::domain::history::{DeliveryEvent, Event, RunEvent, event_sum};

/// An event without its place yet.
#[derive(Debug)]
pub(super) struct Happened {
    delivery: Option<DeliveryId>,
    attempt: u32,
    at: Timestamp,
    what: String,
}

/// An event in its place, as it is stored.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) seq: i64,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) attempt: u32,
    pub(super) at: i64,
    pub(super) what: String,
    pub(super) sum: i64,
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
    tx: &mut impl SharedTx,
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
    note(tx, run_id, vec![happened]).await
}

pub(super) async fn note(
    tx: &mut impl SharedTx,
    run_id: i64,
    happened: Vec<Happened>,
) -> Result<(), LedgerError> {
    if happened.is_empty() {
        return Ok(());
    }
    let many = i64::try_from(happened.len()).unwrap_or(i64::MAX);
    let last = tx.count_events(run_id, many).await?;
    let mut rows = Vec::with_capacity(happened.len());
    for (seq, one) in (last - many + 1..).zip(happened) {
        let event = Event {
            seq: number(seq)?,
            at: one.at,
            attempt: one.attempt,
            what: one.what.as_str(),
        };
        let sum = event_sum(run_id, one.delivery, &event);
        rows.push(EventRow {
            seq,
            delivery: one.delivery,
            attempt: one.attempt,
            at: one.at.as_millisecond(),
            what: one.what,
            sum,
        });
    }
    tx.insert_events(run_id, &rows).await
}
