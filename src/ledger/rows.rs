//! Rows as the database gives them, and their way to the domain. A row that the domain does not
//! accept is a damaged ledger, never a panic. How a row is asked for is each database's.

use std::fmt::Display;

use jiff::Timestamp;
use sqlx::FromRow;

use super::receipts;
use super::{
    Claim, ClaimRequest, DeliveryId, DeliveryRecord, Gate, Held, KnownChat, LedgerError, Missed,
    RunRecord,
};
use crate::domain::address::Address;
use crate::domain::cap::Touch;
use crate::domain::channel::Channel;
use crate::domain::delivery::{DeliveryState, Hold, SkipReason};
use crate::domain::message::Message;
use crate::domain::run::{RunId, RunState};
use std::collections::HashMap;

/// When people last wrote, by address.
pub(super) fn last_by_address(
    rows: Vec<(String, i64)>,
) -> Result<HashMap<String, Timestamp>, LedgerError> {
    let read = |(phone, at): (String, i64)| Ok((phone, instant(at)?));
    rows.into_iter().map(read).collect()
}

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

/// A stored kind of attempt.
pub(super) fn touch(number: i64) -> Result<Touch, LedgerError> {
    Touch::of_number(number)
        .ok_or_else(|| LedgerError::Damaged(format!("{number} is no kind of attempt")))
}

#[derive(FromRow)]
pub(super) struct RunRow {
    pub(super) id: i64,
    run: String,
    pub(super) gateway: String,
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

impl RunRow {
    /// The delivery of a record of the list, from 1; none where the list is shorter.
    pub(super) fn delivery_of(&self, row: u64) -> Option<DeliveryId> {
        let place = i64::try_from(row.checked_sub(1)?).ok()?;
        (place < self.total).then(|| self.first_delivery + place)
    }
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
    look_at: Option<i64>,
}

impl TryFrom<DeliveryRow> for DeliveryRecord {
    type Error = LedgerError;
    fn try_from(row: DeliveryRow) -> Result<Self, LedgerError> {
        let silent = row.look_at == Some(receipts::NEVER) && row.message_id.is_some();
        let state = named(DeliveryState::parse(&row.state), &row.state)?;
        Ok(Self {
            id: row.id,
            row: number(row.row)?,
            recipient_key: row.recipient_key.or_else(|| row.phone.clone()),
            phone: stored(row.phone.map(Address::try_from).transpose())?,
            line: row.line,
            step: number(row.step)?,
            revision: number(row.revision)?,
            state,
            no_confirmation: silent && state == DeliveryState::Sent,
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

/// A delivery that may be claimed, and what the claim has to know.
#[derive(FromRow)]
pub(super) struct CandidateRow {
    pub(super) id: DeliveryId,
    pub(super) line: String,
    state: String,
    pub(super) attempt: i64,
    tries: i64,
    revision: i64,
    first_attempt_at: Option<i64>,
    fixed: Option<String>,
    begun_at: Option<i64>,
    unanswered_at: Option<i64>,
    /// By how much the clock was set back since.
    aged_ms: i64,
    row: i64,
    recipient_key: Option<String>,
    pub(super) phone: String,
    pub(super) timezone: Option<String>,
    content: String,
    chat_id: Option<String>,
    chat_line: Option<String>,
    pub(super) gate_until: Option<i64>,
    /// The person is not to be written to.
    pub(super) opted_out: bool,
}

impl CandidateRow {
    /// An earlier attempt of it is without an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.state == DeliveryState::Sending.as_str()
    }

    /// What its next attempt is to the recipient, by what is known at this moment.
    pub(super) fn touch(&self) -> Touch {
        if self.attempt > 0 {
            Touch::Again
        } else if self.chat_id.is_some() {
            Touch::FollowUp
        } else {
            Touch::First
        }
    }

    /// Over which channel it needs the person's own word, if it does.
    pub(super) fn needs_open_window(&self) -> Result<Option<Channel>, LedgerError> {
        let channel = Channel::parse(&self.line).filter(|channel| channel.has_reply_window());
        let Some(channel) = channel else {
            return Ok(None);
        };
        let message: Message = stored(serde_json::from_str(&self.content))?;
        Ok(message.needs_open_window(channel).then_some(channel))
    }

    pub(super) fn into_claim(self, phone: Address, slot_us: i64) -> Result<Claim, LedgerError> {
        let unanswered = self.is_unanswered();
        let chat = match (self.chat_id, self.chat_line) {
            (Some(chat_id), Some(line)) => Some(KnownChat { chat_id, line }),
            _ => None,
        };
        Ok(Claim {
            id: self.id,
            row: number(self.row)?,
            recipient_key: self.recipient_key.unwrap_or(self.phone),
            phone,
            timezone: self.timezone,
            line: self.line,
            message: stored(serde_json::from_str(&self.content))?,
            attempt: number(self.attempt)?,
            tries: number(self.tries)?,
            revision: number(self.revision)?,
            first_attempt_at: instants(self.first_attempt_at)?,
            fixed: self
                .fixed
                .map(|text| stored(serde_json::from_str(&text)))
                .transpose()?,
            chat,
            begun_at: instants(self.begun_at)?,
            unanswered_since: if unanswered {
                let since = self.unanswered_at.or(self.begun_at);
                instants(since.map(|since| since - self.aged_ms))?
            } else {
                None
            },
            slot_us,
            window_until: None,
        })
    }
}

/// The one delivery to a person, while it is open.
#[derive(FromRow)]
pub(super) struct OnlyRow {
    pub(super) id: DeliveryId,
    pub(super) line: String,
    state: String,
    due_at: i64,
    lease_until: Option<i64>,
    /// Its holder is gone; nothing where nobody holds it.
    orphaned: Option<bool>,
}

impl OnlyRow {
    /// When it may be claimed, but for gates; in the past, or never set, counts as now.
    pub(super) fn free_at(&self, request: &ClaimRequest<'_>) -> Result<Timestamp, LedgerError> {
        let frozen_due = request.frozen_due().as_millisecond();
        let lease_end = self.lease_until.filter(|_| self.orphaned != Some(true));
        let pending = self.state == DeliveryState::Pending.as_str();
        let due_at = if pending && self.due_at != frozen_due {
            self.due_at
        } else {
            i64::MIN
        };
        instant(
            due_at
                .max(lease_end.unwrap_or(i64::MIN))
                .max(request.now.as_millisecond()),
        )
    }
}

/// A claim that a gate, closed since, holds.
#[derive(FromRow)]
pub(super) struct GatedRow {
    pub(super) id: DeliveryId,
    pub(super) run_id: i64,
    pub(super) attempt: i64,
    state: String,
    line: String,
    recipient: String,
    inactive_at: Option<i64>,
    pub(super) until_at: i64,
}

impl GatedRow {
    pub(super) fn is_unanswered(&self) -> bool {
        self.state == DeliveryState::Sending.as_str()
    }

    /// Why it waits, by whom the gate holds.
    pub(super) fn hold(&self) -> Hold {
        match (self.line.as_str(), self.recipient.as_str()) {
            ("", "") => Hold::Throttled,
            (_, "") if self.inactive_at.is_some() => Hold::LineInactive,
            (_, "") => Hold::LineCapacity,
            _ => Hold::Retry,
        }
    }
}

/// Deliveries of a run that stand alike.
#[derive(FromRow)]
pub(super) struct FactRow {
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) hold: Option<String>,
    pub(super) code: Option<i64>,
    pub(super) text: Option<String>,
    pub(super) n: i64,
    pub(super) due_at: i64,
    pub(super) first_sent_at: Option<i64>,
    pub(super) last_sent_at: Option<i64>,
    /// Of those that are sent, how many have no confirmation.
    pub(super) silent: i64,
}

/// An open gate of a gateway: its line (empty for all), until when, since when the line is
/// inactive, and why.
pub(super) type GateRow = (String, i64, Option<i64>, String);

pub(super) fn gate(
    gateway: &str,
    (line, until, inactive, reason): GateRow,
) -> Result<Gate, LedgerError> {
    Ok(Gate {
        gateway: gateway.to_owned(),
        held: if line.is_empty() {
            Held::Account
        } else {
            Held::Line(line)
        },
        until: instant(until)?,
        inactive_since: instants(inactive)?,
        reason,
    })
}

/// Known chats by phone.
pub(super) fn known(rows: Vec<(String, String, String)>) -> HashMap<String, KnownChat> {
    rows.into_iter()
        .map(|(phone, chat_id, line)| (phone, KnownChat { chat_id, line }))
        .collect()
}

/// An occurrence that was not sent.
pub(super) fn missed((run, due_at, reason): (String, i64, String)) -> Result<Missed, LedgerError> {
    Ok(Missed {
        run: stored(RunId::parse(&run))?,
        due_at: instant(due_at)?,
        reason,
    })
}
