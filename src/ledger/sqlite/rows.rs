//! Rows as SQLite gives them, and their way to the domain. A row that the domain does not
//! accept is a damaged ledger, never a panic.

use std::fmt::Display;

use jiff::Timestamp;
use sqlx::FromRow;

use super::super::{DeliveryRecord, LedgerError, RunRecord};
use crate::domain::delivery::{DeliveryState, Hold, SkipReason};
use crate::domain::phone::Phone;
use crate::domain::run::{RunId, RunState};

/// An instant from its stored milliseconds.
pub(super) fn instant(ms: i64) -> Result<Timestamp, LedgerError> {
    stored(Timestamp::from_millisecond(ms))
}

pub(super) fn instants(ms: Option<i64>) -> Result<Option<Timestamp>, LedgerError> {
    ms.map(instant).transpose()
}

/// A stored value that must be readable.
pub(super) fn stored<T, E: Display>(value: Result<T, E>) -> Result<T, LedgerError> {
    value.map_err(|error| LedgerError::Damaged(error.to_string()))
}

/// A stored name that must be known.
pub(super) fn named<T>(value: Option<T>, text: &str) -> Result<T, LedgerError> {
    value.ok_or_else(|| LedgerError::Damaged(format!("'{text}' is no state or reason")))
}

/// A stored count or number.
pub(super) fn number<T: TryFrom<i64>>(value: i64) -> Result<T, LedgerError> {
    T::try_from(value).map_err(|_| LedgerError::Damaged(format!("{value} is out of range")))
}

#[derive(FromRow)]
pub(super) struct RunRow {
    pub(super) id: i64,
    run: String,
    gateway: String,
    pub(super) state: String,
    reason: Option<String>,
    terms: String,
    files: String,
    pub(super) first_delivery: i64,
    pub(super) total: i64,
    created_at: i64,
    starts_at: i64,
    finished_at: Option<i64>,
}

impl TryFrom<RunRow> for RunRecord {
    type Error = LedgerError;
    fn try_from(row: RunRow) -> Result<Self, LedgerError> {
        Ok(Self {
            id: row.id,
            run: stored(RunId::parse(&row.run))?,
            gateway: row.gateway,
            state: named(RunState::parse(&row.state), &row.state)?,
            reason: row.reason,
            terms: stored(serde_json::from_str(&row.terms))?,
            files: stored(serde_json::from_str(&row.files))?,
            total: number(row.total)?,
            created_at: instant(row.created_at)?,
            starts_at: instant(row.starts_at)?,
            finished_at: instants(row.finished_at)?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct DeliveryRow {
    id: i64,
    row: i64,
    step: i64,
    recipient_key: Option<String>,
    phone: Option<String>,
    line: String,
    revision: i64,
    state: String,
    reason: Option<String>,
    detail: Option<String>,
    hold: Option<String>,
    due_at: i64,
    code: Option<i64>,
    attempt: i64,
    message_id: Option<String>,
    chat_id: Option<String>,
    sent_at: Option<i64>,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
}

impl TryFrom<DeliveryRow> for DeliveryRecord {
    type Error = LedgerError;
    fn try_from(row: DeliveryRow) -> Result<Self, LedgerError> {
        Ok(Self {
            id: row.id,
            row: number(row.row)?,
            recipient_key: row.recipient_key.or_else(|| row.phone.clone()),
            phone: stored(row.phone.map(Phone::try_from).transpose())?,
            line: row.line,
            step: number(row.step)?,
            revision: number(row.revision)?,
            state: named(DeliveryState::parse(&row.state), &row.state)?,
            reason: row
                .reason
                .map(|text| named(SkipReason::parse(&text), &text))
                .transpose()?,
            detail: row.detail,
            hold: row
                .hold
                .map(|text| named(Hold::parse(&text), &text))
                .transpose()?,
            due_at: instant(row.due_at)?,
            code: row.code.map(number).transpose()?,
            attempts: number(row.attempt)?,
            message_id: row.message_id,
            chat_id: row.chat_id,
            sent_at: instants(row.sent_at)?,
            delivered_at: instants(row.delivered_at)?,
            read_at: instants(row.read_at)?,
        })
    }
}
