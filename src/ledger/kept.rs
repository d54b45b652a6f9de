//! Rows as an audit and a history take them, column by column, whichever database they are from:
//! one that cannot be read is a finding and not the end. Asks for none.

use std::collections::BTreeMap;

use super::rows::{instant, instants, stored};
use super::{DeliveryId, DeliveryRecord, History, Lease, LedgerError, Owner};
use crate::domain::digest::Digest;
use crate::domain::proof::{
    Flaw, KeptAttempt, KeptDelivery, KeptEvent, KeptMedia, KeptMessage, KeptRun, Readable, Rows,
};
use crate::domain::run::RunId;

/// A row from which a column of a kind can be taken.
pub(super) trait Take<T> {
    /// A value, unless it is of another kind.
    fn take(&self, column: &'static str) -> Readable<T>;
}

/// All the kinds that there are in a ledger.
pub(super) trait Columns:
    Take<i64>
    + Take<Option<i64>>
    + Take<String>
    + Take<Option<String>>
    + Take<bool>
    + Take<Option<bool>>
    + Take<Vec<u8>>
{
}

impl<R> Columns for R where
    R: Take<i64>
        + Take<Option<i64>>
        + Take<String>
        + Take<Option<String>>
        + Take<bool>
        + Take<Option<bool>>
        + Take<Vec<u8>>
{
}

/// What is said of a column that holds a value of another kind.
pub(super) fn flaw(column: &'static str) -> Flaw {
    Flaw {
        column,
        what: "is not what it has to be",
    }
}

pub(super) fn message(row: &impl Columns) -> Readable<KeptMessage> {
    Ok(KeptMessage {
        run_id: row.take("run_id")?,
        step: row.take("step")?,
        row: row.take("row")?,
        recipient_key: row.take("recipient_key")?,
        phone: row.take("phone")?,
        timezone: row.take("timezone")?,
        content: row.take("content")?,
        addressed: row.take("addressed")?,
        sum: row.take("sum")?,
    })
}

pub(super) fn delivery(row: &impl Columns) -> Readable<KeptDelivery> {
    Ok(KeptDelivery {
        run_id: row.take("run_id")?,
        line: row.take("line")?,
        state: row.take("state")?,
        reason: row.take("reason")?,
        detail: row.take("detail")?,
        hold: row.take("hold")?,
        due_at: row.take("due_at")?,
        lease_owner: row.take("lease_owner")?,
        attempt: row.take("attempt")?,
        tries: row.take("tries")?,
        revision: row.take("revision")?,
        fixed: row.take("fixed")?,
        fixed_sum: row.take("fixed_sum")?,
        first_attempt_at: row.take("first_attempt_at")?,
        begun_at: row.take("begun_at")?,
        unanswered_at: row.take("unanswered_at")?,
        code: row.take("code")?,
        message_id: row.take("message_id")?,
        chat_id: row.take("chat_id")?,
        sent_at: row.take("sent_at")?,
        delivered_at: row.take("delivered_at")?,
        read_at: row.take("read_at")?,
    })
}

pub(super) fn attempt(row: &impl Columns) -> Readable<KeptAttempt> {
    Ok(KeptAttempt {
        delivery_id: row.take("delivery_id")?,
        attempt: row.take("attempt")?,
        revision: row.take("revision")?,
        begun_at: row.take("begun_at")?,
        ended_at: row.take("ended_at")?,
        outcome: row.take("outcome")?,
        late: row.take("late")?,
        code: row.take("code")?,
        http: row.take("http")?,
        text: row.take("text")?,
        trace_id: row.take("trace_id")?,
        state: row.take("state")?,
        due_at: row.take("due_at")?,
        hold: row.take("hold")?,
        tries: row.take("tries")?,
        anew: row.take("anew")?,
        message_id: row.take("message_id")?,
        chat_id: row.take("chat_id")?,
        sum: row.take("sum")?,
    })
}

pub(super) fn event(row: &impl Columns) -> Readable<KeptEvent> {
    Ok(KeptEvent {
        run_id: row.take("run_id")?,
        seq: row.take("seq")?,
        delivery_id: row.take("delivery_id")?,
        attempt: row.take("attempt")?,
        at: row.take("at")?,
        what: row.take("what")?,
        sum: row.take("sum")?,
    })
}

pub(super) fn run(row: &impl Columns) -> Readable<KeptRun> {
    Ok(KeptRun {
        id: row.take("id")?,
        run: row.take("run")?,
        campaign: row.take("campaign")?,
        occurrence: row.take("occurrence")?,
        gateway: row.take("gateway")?,
        state: row.take("state")?,
        reason: row.take("reason")?,
        terms: row.take("terms")?,
        files: row.take("files")?,
        first_delivery: row.take("first_delivery")?,
        total: row.take("total")?,
        created_at: row.take("created_at")?,
        starts_at: row.take("starts_at")?,
        finished_at: row.take("finished_at")?,
        list_sum: row.take("list_sum")?,
        sum: row.take("sum")?,
        events: row.take("events")?,
    })
}

pub(super) fn media(row: &impl Columns) -> Readable<KeptMedia> {
    let bytes: Vec<u8> = row.take("bytes")?;
    Ok(KeptMedia {
        filename: row.take("filename")?,
        content_type: row.take("content_type")?,
        bytes: Digest::of(&bytes),
        sum: row.take("sum")?,
    })
}

/// What is kept of deliveries, by kind.
pub(super) struct Page<R> {
    pub(super) messages: Vec<R>,
    pub(super) deliveries: Vec<R>,
    pub(super) attempts: Vec<R>,
    pub(super) events: Vec<R>,
}

impl<R: Columns> Page<R> {
    /// By delivery, from `first` to `last`; also of those of which nothing is kept.
    pub(super) fn rows(
        &self,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<Rows>, LedgerError> {
        let mut all: BTreeMap<DeliveryId, Rows> =
            (first..=last).map(|id| (id, Rows::none(id))).collect();
        for row in &self.messages {
            if let Some(rows) = all.get_mut(&sound("messages", row.take("id"))?) {
                rows.message = Some(message(row));
            }
        }
        for row in &self.deliveries {
            if let Some(rows) = all.get_mut(&sound("deliveries", row.take("id"))?) {
                rows.delivery = Some(delivery(row));
            }
        }
        for row in &self.attempts {
            if let Some(rows) = all.get_mut(&sound("attempts", row.take("delivery_id"))?) {
                rows.attempts.push(attempt(row));
            }
        }
        for row in &self.events {
            if let Some(rows) = all.get_mut(&sound("events", row.take("delivery_id"))?) {
                rows.events.push(event(row));
            }
        }
        Ok(all.into_values().collect())
    }
}

/// One delivery's rows, all from one moment.
pub(super) struct Told<R> {
    /// With its message, and whether who holds it is gone.
    pub(super) delivery: R,
    pub(super) attempts: Vec<R>,
    pub(super) events: Vec<R>,
    pub(super) run_events: Vec<R>,
    pub(super) known_from: Option<String>,
}

impl<R: Columns> Told<R> {
    pub(super) fn history(&self, delivery: DeliveryRecord) -> Result<History, LedgerError> {
        let row = &self.delivery;
        let content: Option<String> = sound("messages", row.take("content"))?;
        let mut history = History {
            delivery,
            message: content
                .map(|text| stored(serde_json::from_str(&text)))
                .transpose()?,
            begun_at: instants(sound("deliveries", row.take("begun_at"))?)?,
            attempts: Vec::new(),
            events: Vec::new(),
            run_events: Vec::new(),
            held: lease(row)?,
            known_from: None,
        };
        for row in &self.attempts {
            let kept = sound("attempts", attempt(row))?;
            history.attempts.push(sound("attempts", kept.attempt())?);
        }
        for row in &self.events {
            let kept = sound("events", event(row))?;
            history.events.push(sound("events", kept.event())?);
        }
        for row in &self.run_events {
            let kept = sound("events", event(row))?;
            history.run_events.push(sound("events", kept.event())?);
        }
        let before = self.known_from.as_deref();
        history.known_from = before.map(|run| stored(RunId::parse(run))).transpose()?;
        Ok(history)
    }
}

fn lease(row: &impl Columns) -> Result<Option<Lease>, LedgerError> {
    let owner: Option<String> = sound("deliveries", row.take("lease_owner"))?;
    let until: Option<i64> = sound("deliveries", row.take("lease_until"))?;
    let gone: Option<bool> = sound("owners", row.take("owner_gone"))?;
    let (Some(owner), Some(until)) = (owner, until) else {
        return Ok(None);
    };
    let lease = Lease {
        owner: Owner(owner),
        until: instant(until)?,
    };
    Ok((gone != Some(true)).then_some(lease))
}

/// A flaw outside of an audit is a damaged ledger.
fn sound<T>(table: &str, row: Readable<T>) -> Result<T, LedgerError> {
    row.map_err(|flaw| LedgerError::Damaged(format!("{table}: {flaw}")))
}
