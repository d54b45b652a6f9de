//! Rows as they are stored, and their way to the domain. A row that says nothing sensible is a
//! [`Flaw`] that names its column, never an error: it is what an audit looks for.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::domain::delivery::{DeliveryState, Hold, SkipReason};
use crate::domain::digest::Digest;
use crate::domain::history::{After, Attempt, Event, event_sum};
use crate::domain::message::Message;
use crate::domain::outcome::{Class, Failure};

/// A column that cannot hold what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub column: &'static str,
    /// Follows the column's name: `is no time`.
    pub what: &'static str,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.column, self.what)
    }
}

/// A row, unless one of its columns cannot be read.
pub type Readable<T> = Result<T, Flaw>;

/// All rows that stand for one row of the list.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The number of message and delivery in the ledger.
    pub id: i64,
    pub message: Option<Readable<KeptMessage>>,
    pub delivery: Option<Readable<KeptDelivery>>,
    /// By number.
    pub attempts: Vec<Readable<KeptAttempt>>,
    /// By place.
    pub events: Vec<Readable<KeptEvent>>,
}

impl Rows {
    pub fn none(id: i64) -> Self {
        Self {
            id,
            message: None,
            delivery: None,
            attempts: Vec::new(),
            events: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct KeptMessage {
    pub run_id: i64,
    pub step: i64,
    pub row: i64,
    pub recipient_key: Option<String>,
    pub phone: Option<String>,
    pub timezone: Option<String>,
    pub content: Option<String>,
    pub addressed: i64,
    pub sum: i64,
}

#[derive(Debug, Clone)]
pub struct KeptDelivery {
    pub run_id: i64,
    pub line: String,
    pub state: String,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub hold: Option<String>,
    pub due_at: i64,
    pub lease_owner: Option<String>,
    pub attempt: i64,
    pub tries: i64,
    pub revision: i64,
    pub fixed: Option<String>,
    pub fixed_sum: Option<i64>,
    pub first_attempt_at: Option<i64>,
    pub begun_at: Option<i64>,
    pub unanswered_at: Option<i64>,
    pub code: Option<i64>,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub sent_at: Option<i64>,
    pub delivered_at: Option<i64>,
    pub read_at: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct KeptAttempt {
    pub delivery_id: i64,
    pub attempt: i64,
    pub revision: i64,
    pub begun_at: i64,
    pub ended_at: Option<i64>,
    pub outcome: String,
    pub late: i64,
    pub code: Option<i64>,
    pub http: Option<i64>,
    pub text: Option<String>,
    pub trace_id: Option<String>,
    pub state: Option<String>,
    pub due_at: Option<i64>,
    pub hold: Option<String>,
    pub tries: Option<i64>,
    pub anew: Option<i64>,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub sum: i64,
}

#[derive(Debug, Clone)]
pub struct KeptEvent {
    pub run_id: i64,
    pub seq: i64,
    pub delivery_id: Option<i64>,
    pub attempt: i64,
    pub at: i64,
    pub what: String,
    pub sum: i64,
}

#[derive(Debug, Clone)]
pub struct KeptRun {
    pub id: i64,
    pub run: String,
    pub campaign: String,
    pub occurrence: String,
    pub gateway: String,
    pub state: String,
    pub reason: Option<String>,
    pub terms: String,
    pub files: String,
    pub first_delivery: i64,
    pub total: i64,
    pub created_at: i64,
    pub starts_at: i64,
    pub finished_at: Option<i64>,
    pub list_sum: i64,
    pub sum: i64,
    pub events: i64,
}

#[derive(Debug, Clone)]
pub struct KeptMedia {
    pub filename: String,
    pub content_type: String,
    /// Of the bytes as they are now.
    pub bytes: Digest,
    pub sum: i64,
}

pub(super) fn instant(column: &'static str, ms: i64) -> Readable<Timestamp> {
    let what = "is no time";
    Timestamp::from_millisecond(ms).map_err(|_| Flaw { column, what })
}

pub(super) fn instants(column: &'static str, ms: Option<i64>) -> Readable<Option<Timestamp>> {
    ms.map(|ms| instant(column, ms)).transpose()
}

pub(super) fn number<T: TryFrom<i64>>(column: &'static str, value: i64) -> Readable<T> {
    let what = "is out of range";
    T::try_from(value).map_err(|_| Flaw { column, what })
}

pub(super) fn numbers<T: TryFrom<i64>>(
    column: &'static str,
    value: Option<i64>,
) -> Readable<Option<T>> {
    value.map(|value| number(column, value)).transpose()
}

pub(super) fn flag(column: &'static str, value: i64) -> Readable<bool> {
    let what = "is neither 0 nor 1";
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Flaw { column, what }),
    }
}

pub(super) fn name<T>(column: &'static str, value: Option<T>) -> Readable<T> {
    let what = "is no name that is known";
    value.ok_or(Flaw { column, what })
}

pub(super) fn json<T: DeserializeOwned>(column: &'static str, text: &str) -> Readable<T> {
    let what = "cannot be read";
    serde_json::from_str(text).map_err(|_| Flaw { column, what })
}

pub(super) fn hold(text: Option<&str>) -> Readable<Option<Hold>> {
    text.map(|text| name("hold", Hold::parse(text))).transpose()
}

impl KeptMessage {
    /// The frozen message; `None` for a row that was left out when the run was frozen.
    pub fn message(&self) -> Readable<Option<Message>> {
        self.content
            .as_deref()
            .map(|text| json("content", text))
            .transpose()
    }
}

impl KeptDelivery {
    pub fn state(&self) -> Readable<DeliveryState> {
        name("state", DeliveryState::parse(&self.state))
    }

    pub fn reason(&self) -> Readable<Option<SkipReason>> {
        let reason = self.reason.as_deref();
        reason
            .map(|text| name("reason", SkipReason::parse(text)))
            .transpose()
    }
}

impl KeptAttempt {
    /// What the row says; whether its checksum is right is [`KeptAttempt::is_sound`]'s.
    pub fn attempt(&self) -> Readable<Attempt> {
        Ok(Attempt {
            attempt: number("attempt", self.attempt)?,
            revision: number("revision", self.revision)?,
            begun_at: instant("begun_at", self.begun_at)?,
            ended_at: instants("ended_at", self.ended_at)?,
            class: name("outcome", Class::parse(&self.outcome))?,
            late: flag("late", self.late)?,
            failure: Failure {
                code: numbers("code", self.code)?,
                http: numbers("http", self.http)?,
                text: self.text.clone().unwrap_or_default(),
                trace_id: self.trace_id.clone(),
            },
            after: self.after()?,
        })
    }

    fn after(&self) -> Readable<Option<After>> {
        let Some(state) = &self.state else {
            let nothing = self.due_at.is_none()
                && self.hold.is_none()
                && self.tries.is_none()
                && self.anew.is_none()
                && self.message_id.is_none()
                && self.chat_id.is_none();
            let flaw = Flaw {
                column: "state",
                what: "is absent, but what belongs to it is not",
            };
            return if nothing { Ok(None) } else { Err(flaw) };
        };
        let anew = name("anew", self.anew)?;
        Ok(Some(After {
            state: name("state", DeliveryState::parse(state))?,
            due_at: instants("due_at", self.due_at)?,
            hold: hold(self.hold.as_deref())?,
            tries: numbers("tries", self.tries)?,
            anew: flag("anew", anew)?,
            message_id: self.message_id.clone(),
            chat_id: self.chat_id.clone(),
        }))
    }

    /// Whether the row is as it was written.
    pub fn is_sound(&self, attempt: &Attempt) -> bool {
        attempt.sum(self.delivery_id) == self.sum && self.text.as_deref() != Some("")
    }
}

impl KeptEvent {
    pub fn event<What: DeserializeOwned>(&self) -> Readable<Event<What>> {
        let event = self.stored()?;
        Ok(Event {
            seq: event.seq,
            at: event.at,
            attempt: event.attempt,
            what: json("what", event.what)?,
        })
    }

    fn stored(&self) -> Readable<Event<&str>> {
        Ok(Event {
            seq: number("seq", self.seq)?,
            at: instant("at", self.at)?,
            attempt: number("attempt", self.attempt)?,
            what: &self.what,
        })
    }

    /// Whether the row is as it was written.
    pub fn is_sound(&self) -> bool {
        let sum = |event| event_sum(self.run_id, self.delivery_id, &event);
        self.stored().map(sum) == Ok(self.sum)
    }
}
