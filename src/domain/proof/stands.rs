//! Where a delivery stands, as its row says and as its history leads to. Says nothing of what
//! differs.

use jiff::Timestamp;

use super::kept::{KeptDelivery, Readable, hold, instant, instants, number, numbers};
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::history::{Attempt, DeliveryEvent, Event, Standing};

/// Where a delivery stands, with what the next attempt needs.
#[derive(Debug, Clone)]
pub(super) struct Stands {
    pub(super) standing: Standing,
    first_attempt_at: Option<Timestamp>,
    pub(super) begun_at: Option<Timestamp>,
    unanswered_at: Option<Timestamp>,
    /// The request is fixed: the next attempt must send the same.
    fixed: bool,
}

impl Stands {
    /// As it was frozen.
    pub(super) fn frozen(standing: Standing) -> Self {
        Self {
            standing,
            first_attempt_at: None,
            begun_at: None,
            unanswered_at: None,
            fixed: false,
        }
    }
}

impl Stands {
    pub(super) fn of(row: &KeptDelivery) -> Readable<Self> {
        Ok(Self {
            standing: Standing {
                state: row.state()?,
                reason: row.reason()?,
                detail: row.detail.clone(),
                hold: hold(row.hold.as_deref())?,
                due_at: instant("due_at", row.due_at)?,
                attempts: number("attempt", row.attempt)?,
                tries: number("tries", row.tries)?,
                revision: number("revision", row.revision)?,
                code: numbers("code", row.code)?,
                message_id: row.message_id.clone(),
                chat_id: row.chat_id.clone(),
                sent_at: instants("sent_at", row.sent_at)?,
            },
            first_attempt_at: instants("first_attempt_at", row.first_attempt_at)?,
            begun_at: instants("begun_at", row.begun_at)?,
            unanswered_at: instants("unanswered_at", row.unanswered_at)?,
            fixed: row.fixed.is_some(),
        })
    }

    pub(super) fn begin(&mut self, begun_at: Option<Timestamp>) {
        self.standing.begin();
        self.begun_at = begun_at;
        self.first_attempt_at = self.first_attempt_at.or(begun_at);
        self.unanswered_at = self.unanswered_at.or(begun_at);
        self.fixed = true;
    }

    pub(super) fn end(&mut self, attempt: &Attempt) {
        self.standing.end(attempt);
        let Some(after) = attempt.after.as_ref().filter(|_| !attempt.late) else {
            return;
        };
        self.fixed &= !after.anew;
        if !matches!(
            after.state,
            DeliveryState::Sending | DeliveryState::Uncertain
        ) {
            self.unanswered_at = None;
        }
    }

    pub(super) fn apply(&mut self, event: &Event<DeliveryEvent>) {
        self.standing.apply(event, self.begun_at);
        match &event.what {
            DeliveryEvent::Held { .. }
            | DeliveryEvent::Skipped { .. }
            | DeliveryEvent::LeftUncertain { .. }
            | DeliveryEvent::FailedLater { .. } => {}
            DeliveryEvent::Unprepared { anew, .. } => self.fixed &= !anew,
            DeliveryEvent::Found { .. }
            | DeliveryEvent::GivenUp { .. }
            | DeliveryEvent::PutBack { .. } => {
                self.unanswered_at = None;
            }
            DeliveryEvent::Retried { revise } => {
                self.fixed &= !revise;
                self.unanswered_at = None;
                self.first_attempt_at = None;
            }
            DeliveryEvent::Resolved { .. } => {
                self.unanswered_at = None;
                self.first_attempt_at = None;
            }
        }
    }

    /// By the names of the table's columns. A receipt does not count: it is no part of the
    /// history.
    pub(super) fn columns(&self) -> [(&'static str, Option<String>); 16] {
        let now = &self.standing;
        let state = match now.state {
            DeliveryState::Delivered | DeliveryState::Read => DeliveryState::Sent,
            DeliveryState::Pending
            | DeliveryState::Sending
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Uncertain
            | DeliveryState::Skipped
            | DeliveryState::Cancelled => now.state,
        };
        let time = |at: Option<Timestamp>| at.map(|at| format!("{at:.3}"));
        [
            ("state", Some(state.to_string())),
            (
                "reason",
                now.reason.map(SkipReason::as_str).map(str::to_owned),
            ),
            ("detail", now.detail.clone()),
            ("hold", now.hold.map(|hold| hold.as_str().to_owned())),
            ("due_at", time(Some(now.due_at))),
            ("attempt", Some(now.attempts.to_string())),
            ("tries", Some(now.tries.to_string())),
            ("revision", Some(now.revision.to_string())),
            ("code", now.code.map(|code| code.to_string())),
            ("message_id", now.message_id.clone()),
            ("chat_id", now.chat_id.clone()),
            ("sent_at", time(now.sent_at)),
            ("first_attempt_at", time(self.first_attempt_at)),
            ("begun_at", time(self.begun_at)),
            ("unanswered_at", time(self.unanswered_at)),
            (
                "fixed",
                Some(if self.fixed { "there" } else { "gone" }.to_owned()),
            ),
        ]
    }
}
