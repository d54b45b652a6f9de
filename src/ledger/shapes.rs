//! What the send path writes, row by row, with its checksums, as both databases store it. How a
//! row gets there is each database's.

use jiff::Timestamp;

use super::rows::stored;
use super::{Begin, DeliveryId, Gate, Held, LedgerError, Next, Record, Release};
use crate::domain::delivery::Hold;
use crate::domain::history::{self, After, Attempt};
use crate::domain::outcome::{Class, Failure};

/// An attempt of which nothing is known but that it was begun.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
    pub(super) revision: u32,
    pub(super) begun_at: i64,
    pub(super) sum: i64,
}

impl Lost {
    pub(super) fn new(id: DeliveryId, attempt: u32, revision: u32, begun_at: Timestamp) -> Self {
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
        Self {
            id,
            attempt,
            revision,
            begun_at: begun_at.as_millisecond(),
            sum: lost.sum(id),
        }
    }
}

/// An attempt that is about to be made.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: DeliveryId,
    pub(super) expected_attempt: u32,
    pub(super) revision: u32,
    /// As JSON.
    pub(super) fixed: String,
    pub(super) at: i64,
    pub(super) lease_until: i64,
    pub(super) fixed_sum: i64,
}

impl Begun {
    pub(super) fn new(begin: &Begin) -> Result<Self, LedgerError> {
        let fixed = stored(serde_json::to_string(&begin.fixed))?;
        Ok(Self {
            id: begin.id,
            expected_attempt: begin.expected_attempt,
            revision: begin.revision,
            at: begin.at.as_millisecond(),
            lease_until: begin.lease_until.as_millisecond(),
            fixed_sum: history::fixed_sum(&fixed),
            fixed,
        })
    }
}

/// An attempt that has come to its end.
#[derive(Debug)]
pub(super) struct AttemptRow<'a> {
    pub(super) record: &'a Record,
    pub(super) wait: Wait,
    pub(super) sent: Sent<'a>,
    /// Its checksum when it came in time, and when it came late.
    pub(super) in_time: i64,
    pub(super) late: i64,
}

impl<'a> AttemptRow<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        let (wait, sent) = (Wait::of(&record.next), Sent::of(&record.next));
        let mut attempt = Attempt {
            attempt: record.attempt,
            revision: record.revision,
            begun_at: record.begun_at,
            ended_at: Some(record.ended_at),
            class: record.class,
            late: false,
            failure: record.failure.clone().unwrap_or_default(),
            after: Some(After {
                state: record.next.state(),
                due_at: wait.due_at,
                hold: wait.hold,
                tries: wait.tries,
                anew: wait.anew,
                message_id: sent.message_id.map(str::to_owned),
                chat_id: sent.chat_id.map(str::to_owned),
            }),
        };
        let in_time = attempt.sum(record.id);
        attempt.late = true;
        Self {
            record,
            wait,
            sent,
            in_time,
            late: attempt.sum(record.id),
        }
    }

    pub(super) fn failure(&self) -> Option<&'a Failure> {
        self.record.failure.as_ref()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        detail(self.failure())
    }

    pub(super) fn trace_id(&self) -> Option<&'a str> {
        self.failure()?.trace_id.as_deref()
    }

    /// When the delivery was sent, if it was.
    pub(super) fn sent_at(&self) -> Option<i64> {
        let sent = matches!(self.record.next, Next::Sent { .. });
        sent.then(|| self.record.ended_at.as_millisecond())
    }
}

/// A claim given back to another place than it came from.
#[derive(Debug)]
pub(super) struct Moved<'a> {
    pub(super) release: &'a Release,
    pub(super) next: &'a Next,
    pub(super) wait: Wait,
}

impl<'a> Moved<'a> {
    pub(super) fn new(release: &'a Release, next: &'a Next) -> Self {
        let wait = Wait::of(next);
        Self {
            release,
            next,
            wait,
        }
    }

    pub(super) fn code(&self) -> Option<u32> {
        self.release.failure.as_ref()?.code
    }

    pub(super) fn detail(&self) -> Option<&'a str> {
        detail(self.release.failure.as_ref())
    }
}

/// A delivery that has to wait; a `pending` one with the reason, one without an answer as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldBack {
    pub(super) id: DeliveryId,
    pub(super) until: i64,
    pub(super) hold: Hold,
}

/// A delivery with a number that belongs to it: its attempt, or a time.
pub(super) type Numbered = (DeliveryId, i64);

/// The provider's ids of what was accepted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent<'a> {
    pub(super) message_id: Option<&'a str>,
    pub(super) chat_id: Option<&'a str>,
}

impl<'a> Sent<'a> {
    fn of(next: &'a Next) -> Self {
        if let Next::Sent {
            message_id,
            chat_id,
        } = next
        {
            Self {
                message_id: message_id.as_deref(),
                chat_id: chat_id.as_deref(),
            }
        } else {
            Self::default()
        }
    }
}

/// What is said of a failure, where anything is.
fn detail(failure: Option<&Failure>) -> Option<&str> {
    let text = failure.map(|failure| failure.text.as_str());
    text.filter(|text| !text.is_empty())
}

/// When a delivery is to be looked at again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wait {
    pub(super) due_at: Option<Timestamp>,
    pub(super) hold: Option<Hold>,
    pub(super) tries: Option<u32>,
    pub(super) anew: bool,
}

impl Wait {
    pub(super) fn of(next: &Next) -> Self {
        match next {
            Next::Pending {
                due_at,
                hold,
                tries,
                anew,
            } => Self {
                due_at: Some(*due_at),
                hold: Some(*hold),
                tries: Some(*tries),
                anew: *anew,
            },
            Next::Unanswered { again_at, tries } => Self {
                due_at: Some(*again_at),
                tries: Some(*tries),
                ..Self::default()
            },
            Next::Sent { .. } | Next::Failed | Next::Uncertain => Self::default(),
        }
    }

    pub(super) fn due_ms(&self) -> Option<i64> {
        self.due_at.map(Timestamp::as_millisecond)
    }

    pub(super) fn hold_name(&self) -> Option<&'static str> {
        self.hold.map(Hold::as_str)
    }
}

/// The line and the recipient of a gate, as they are stored.
pub(super) fn gate_key(gate: &Gate) -> (&str, &str) {
    match &gate.held {
        Held::Account => ("", ""),
        Held::Line(line) => (line.as_str(), ""),
        Held::Recipient(phone) => ("", phone.expose()),
    }
}
