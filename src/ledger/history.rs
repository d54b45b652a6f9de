//! What has happened to one person in a run, who works on a run, and what an operator may put
//! right. Types only.

use jiff::Timestamp;

use super::{DeliveryId, DeliveryRecord, Owner, Worker};
use crate::domain::address::Address;
use crate::domain::history::{Attempt, DeliveryEvent, Event, RunEvent};
use crate::domain::message::Message;
use crate::domain::run::RunId;

/// Whose delivery is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The person with this recipient key, or with this phone.
    Person {
        key: Option<String>,
        phone: Option<Address>,
    },
    /// The record of the list, from 1.
    Row(u64),
}

/// Everything that is kept of one delivery, as it was at one moment.
#[derive(Debug, Clone)]
pub struct History {
    pub delivery: DeliveryRecord,
    /// `None`: the row was left out when the run was frozen.
    pub message: Option<Message>,
    /// When the last attempt was begun.
    pub begun_at: Option<Timestamp>,
    /// Those that have ended, in whatever way; one that is on the wire is not among them.
    pub attempts: Vec<Attempt>,
    pub events: Vec<Event<DeliveryEvent>>,
    /// Of the run, from its beginning on.
    pub run_events: Vec<Event<RunEvent>>,
    /// Who holds it, while a process that may be alive does.
    pub held: Option<Lease>,
    /// The newest earlier run in which the same line has written to the same person.
    pub known_from: Option<RunId>,
}

impl Owner {
    /// `process 1234`
    pub fn in_words(&self) -> String {
        self.id().map_or_else(
            || "another process".to_owned(),
            |id| format!("process {id}"),
        )
    }

    /// The machine's number for it, where its name ends in one.
    fn id(&self) -> Option<&str> {
        let (_, id) = self.0.rsplit_once('-')?;
        (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
    }
}

/// A claim that expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub owner: Owner,
    pub until: Timestamp,
}

/// A process that works on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    pub owner: Owner,
    pub worker: Worker,
    pub since: Timestamp,
}

/// Who works on a run, and when something of it is next to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// Processes that are not known to be gone.
    pub present: Vec<Present>,
    /// The earliest due time, or when an attempt without an answer may be asked for again;
    /// waits that the provider asked for aside. `None`: nothing is open.
    pub next_due_at: Option<Timestamp>,
}

/// Whether anybody takes care of a run that is `running`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attendance {
    /// Nothing of it is open.
    Done,
    Attended,
    /// Something is due, and no process is there.
    Interrupted,
    /// No process is there, and nothing is due yet.
    Unattended,
}

impl Outlook {
    pub fn attendance(&self, now: Timestamp) -> Attendance {
        match self.next_due_at {
            None => Attendance::Done,
            Some(_) if !self.present.is_empty() => Attendance::Attended,
            Some(due_at) if due_at <= now => Attendance::Interrupted,
            Some(_) => Attendance::Unattended,
        }
    }

    /// `process 12 on web-2`, `3 workers`; empty where nobody is there.
    pub fn workers(&self) -> String {
        match self.present.as_slice() {
            [] => String::new(),
            [one] => one.worker.in_words(),
            more => format!("{} workers", more.len()),
        }
    }
}

/// Which failed deliveries are to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Those that failed with this code of the provider.
    pub code: Option<u32>,
    pub only: Option<DeliveryId>,
    /// Those that the provider had taken before they failed, and no others; always with a new
    /// key. Otherwise those that were never taken.
    pub taken: bool,
    pub key: RetryKey,
}

/// Under which idempotency key a delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryKey {
    /// The same key, and so the same request to the byte.
    Same,
    /// A new one: the request is made anew.
    Revised,
}

/// What a person says of an uncertain delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    Sent,
    Unsent,
}
