//! The history of a delivery: every attempt and every other thing that moved it, as it is written
//! down, and where the delivery must stand after it. What stands in the ledger is the end of this
//! history; `verify` plays it again and compares, `explain` tells it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::delivery::{DeliveryState, Hold, SkipReason};
use super::digest::Digest;
use super::outcome::{Class, Failure};
use super::sum::Sum;

/// One attempt, from the moment it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
    /// Which of the delivery's idempotency keys it used.
    pub revision: u32,
    pub begun_at: Timestamp,
    /// `None`: the process ended before an outcome was recorded.
    pub ended_at: Option<Timestamp>,
    pub class: Class,
    /// It came back after another process had taken the delivery over: it changed nothing.
    pub late: bool,
    pub failure: Failure,
    /// Where the delivery went; `None` when lost.
    pub after: Option<After>,
}

/// Where an attempt left its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    pub state: DeliveryState,
    pub due_at: Option<Timestamp>,
    pub hold: Option<Hold>,
    /// The new count of tries; `None`: as before.
    pub tries: Option<u32>,
    /// The body has to change: the revision is one higher from here on.
    pub anew: bool,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
}

impl Attempt {
    /// The checksum of its row.
    pub fn sum(&self, delivery: i64) -> i64 {
        let sum = Sum::of("attempt")
            .number(delivery)
            .number(self.attempt)
            .number(self.revision)
            .number(self.begun_at.as_millisecond())
            .maybe_number(self.ended_at.map(Timestamp::as_millisecond))
            .text(self.class.as_str())
            .number(u8::from(self.late))
            .maybe_number(self.failure.code)
            .maybe_number(self.failure.http)
            .text(&self.failure.text)
            .maybe_text(self.failure.trace_id.as_deref());
        let Some(after) = &self.after else {
            return sum.finish();
        };
        sum.text(after.state.as_str())
            .maybe_number(after.due_at.map(Timestamp::as_millisecond))
            .maybe_text(after.hold.map(Hold::as_str))
            .maybe_number(after.tries)
            .number(u8::from(after.anew))
            .maybe_text(after.message_id.as_deref())
            .maybe_text(after.chat_id.as_deref())
            .finish()
    }
}

/// The checksum of what shaped a request besides the frozen message, as it is stored.
pub fn fixed_sum(stored: &str) -> i64 {
    Sum::of("fixed").text(stored).finish()
}

/// The checksum of what is kept of a file besides its bytes, which have their digest.
pub fn media_sum(sha256: Digest, filename: &str, content_type: &str) -> i64 {
    Sum::of("media")
        .bytes(sha256.bytes())
        .text(filename)
        .text(content_type)
        .finish()
}

/// A row of a frozen list, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct FrozenRow<'a> {
    pub run: &'a str,
    pub row: u64,
    pub step: u32,
    /// `None`: the phone is the key.
    pub recipient_key: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub timezone: Option<&'a str>,
    /// The message as JSON; `None` for a row that was skipped.
    pub content: Option<&'a str>,
    pub line: &'a str,
    pub skipped: Option<(SkipReason, &'a str)>,
}

impl FrozenRow<'_> {
    pub fn sum(&self) -> i64 {
        Sum::of("row")
            .text(self.run)
            .number(i64::try_from(self.row).unwrap_or(i64::MAX))
            .number(self.step)
            .maybe_text(self.recipient_key)
            .maybe_text(self.phone)
            .maybe_text(self.timezone)
            .maybe_text(self.content)
            .text(self.line)
            .maybe_text(self.skipped.map(|(reason, _)| reason.as_str()))
            .maybe_text(self.skipped.map(|(_, detail)| detail))
            .finish()
    }
}

/// A run's own row, as it is stored; without its state.
#[derive(Debug, Clone, Copy)]
pub struct FrozenRun<'a> {
    pub run: &'a str,
    pub gateway: &'a str,
    pub terms: &'a str,
    pub files: &'a str,
    pub first_delivery: i64,
    pub total: i64,
    pub created_at: i64,
    pub starts_at: i64,
    /// The sums of all rows of the list, one after the other.
    pub list_sum: i64,
}

impl FrozenRun<'_> {
    pub fn sum(&self) -> i64 {
        Sum::of("run")
            .text(self.run)
            .text(self.gateway)
            .text(self.terms)
            .text(self.files)
            .number(self.first_delivery)
            .number(self.total)
            .number(self.created_at)
            .number(self.starts_at)
            .number(self.list_sum)
            .finish()
    }
}

/// The sum of a whole list; each row's sum is added with [`Sum::add`].
pub fn list_sum() -> Sum {
    Sum::of("list")
}

/// Something that moved a delivery and was no attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum DeliveryEvent {
    /// It was due and had to wait; used up no attempt.
    Held { until: Timestamp, hold: Hold },
    /// It was due and is not to be sent any more.
    Skipped {
        reason: SkipReason,
        /// By whose word, where that is not said by the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The request could not be prepared (a file was not taken): no attempt was begun.
    Unprepared {
        state: DeliveryState,
        due_at: Option<Timestamp>,
        hold: Option<Hold>,
        tries: Option<u32>,
        /// With a new key.
        anew: bool,
        failure: Option<Failure>,
    },
    /// An attempt without an answer was found among the messages of the chat.
    Found {
        message_id: String,
        chat_id: Option<String>,
    },
    /// An attempt without an answer, and none can be had.
    LeftUncertain { why: String },
    /// An attempt without an answer that was looked for and not sent, and there are no tries left.
    GivenUp { why: String },
    /// An attempt without an answer, and it is tried again: it was looked for and not sent, or the
    /// campaign wants that.
    PutBack {
        why: String,
        due_at: Timestamp,
        tries: u32,
    },
    /// The operator put it back: `revise` with a new key.
    Retried { revise: bool },
    /// The operator settled an uncertain one.
    Resolved { sent: bool },
    /// The provider had taken it, and said later that it was not delivered for good. That it was
    /// sent stays known.
    FailedLater { code: Option<u32>, text: String },
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// Frozen and running.
    Started,
    Paused {
        reason: Option<String>,
    },
    Halted {
        reason: Option<String>,
    },
    /// Running again.
    Resumed,
    Finished,
    Cancelled {
        reason: Option<String>,
    },
}

/// An event with its place in the history of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<What> {
    /// From 1, without gaps, over all events of the run.
    pub seq: u64,
    pub at: Timestamp,
    /// Attempts begun before it; 0 for an event of the run.
    pub attempt: u32,
    pub what: What,
}

/// The checksum of an event's row; `detail` as it is stored.
pub fn event_sum(run: i64, delivery: Option<i64>, event: &Event<&str>) -> i64 {
    Sum::of("event")
        .number(run)
        .number(i64::try_from(event.seq).unwrap_or(i64::MAX))
        .maybe_number(delivery)
        .number(event.at.as_millisecond())
        .number(event.attempt)
        .text(event.what)
        .finish()
}

/// Where a delivery stands: everything about it that changes, but for leases and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub state: DeliveryState,
    pub reason: Option<SkipReason>,
    pub detail: Option<String>,
    pub hold: Option<Hold>,
    pub due_at: Timestamp,
    pub attempts: u32,
    pub tries: u32,
    pub revision: u32,
    pub code: Option<u32>,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub sent_at: Option<Timestamp>,
}

/// The detail of an attempt that nobody will ask about again.
pub const CANCELLED_UNANSWERED: &str = "the run was cancelled before an answer came";

impl Standing {
    /// As it was frozen.
    pub fn frozen(due_at: Timestamp, skipped: Option<(SkipReason, String)>) -> Self {
        let (reason, detail) = skipped.unzip();
        Self {
            state: if reason.is_some() {
                DeliveryState::Skipped
            } else {
                DeliveryState::Pending
            },
            reason,
            detail,
            hold: None,
            due_at,
            attempts: 0,
            tries: 0,
            revision: 0,
            code: None,
            message_id: None,
            chat_id: None,
            sent_at: None,
        }
    }

    /// An attempt was committed and is without an outcome.
    pub fn begin(&mut self) {
        self.state = DeliveryState::Sending;
        self.hold = None;
        self.attempts += 1;
    }

    /// An attempt ended. A late one changes nothing, a lost one leaves the doubt.
    pub fn end(&mut self, attempt: &Attempt) {
        let Some(after) = attempt.after.as_ref().filter(|_| !attempt.late) else {
            return;
        };
        self.state = after.state;
        self.due_at = after.due_at.unwrap_or(self.due_at);
        self.hold = after.hold;
        self.tries = after.tries.unwrap_or(self.tries);
        self.revision += u32::from(after.anew);
        self.code = attempt.failure.code;
        self.detail = Some(attempt.failure.text.clone()).filter(|text| !text.is_empty());
        self.message_id.clone_from(&after.message_id);
        self.chat_id.clone_from(&after.chat_id);
        self.sent_at = attempt
            .ended_at
            .filter(|_| after.state == DeliveryState::Sent);
    }

    /// Something else moved it. `begun_at` is when its last attempt was begun.
    pub fn apply(&mut self, event: &Event<DeliveryEvent>, begun_at: Option<Timestamp>) {
        match &event.what {
            DeliveryEvent::Held { until, hold } => {
                self.due_at = *until;
                self.hold = Some(*hold);
            }
            DeliveryEvent::Skipped { reason, detail } => {
                self.state = DeliveryState::Skipped;
                self.reason = Some(*reason);
                self.hold = None;
                if let Some(detail) = detail {
                    self.detail = Some(detail.clone());
                }
            }
            DeliveryEvent::Unprepared {
                state,
                due_at,
                hold,
                tries,
                anew,
                failure,
            } => {
                self.state = *state;
                self.due_at = due_at.unwrap_or(self.due_at);
                self.hold = *hold;
                self.tries = tries.unwrap_or(self.tries);
                self.revision += u32::from(*anew);
                self.said(failure.as_ref());
            }
            DeliveryEvent::Found {
                message_id,
                chat_id,
            } => {
                self.settle(DeliveryState::Sent);
                self.message_id = Some(message_id.clone());
                self.chat_id.clone_from(chat_id);
                self.sent_at = begun_at;
            }
            DeliveryEvent::LeftUncertain { why } => {
                self.settle(DeliveryState::Uncertain);
                self.detail = Some(why.clone());
            }
            DeliveryEvent::GivenUp { why } => {
                self.settle(DeliveryState::Failed);
                self.detail = Some(why.clone());
            }
            DeliveryEvent::PutBack { why, due_at, tries } => self.put_back(why, *due_at, *tries),
            DeliveryEvent::Retried { revise } => {
                self.settle(DeliveryState::Pending);
                self.due_at = event.at;
                self.tries = 0;
                self.revision += u32::from(*revise);
            }
            DeliveryEvent::Resolved { sent: true } => {
                self.settle(DeliveryState::Sent);
                self.sent_at = begun_at;
            }
            DeliveryEvent::Resolved { sent: false } => {
                self.settle(DeliveryState::Pending);
                self.due_at = event.at;
                self.tries = 0;
            }
            DeliveryEvent::FailedLater { code, text } => {
                // Only what was sent can fail later.
                if self.state == DeliveryState::Sent {
                    self.state = DeliveryState::Failed;
                    self.code = *code;
                    self.detail = Some(text.clone());
                }
            }
        }
    }

    fn said(&mut self, failure: Option<&Failure>) {
        self.code = failure.and_then(|failure| failure.code);
        let text = failure.map(|failure| failure.text.clone());
        self.detail = text.filter(|text| !text.is_empty());
    }

    /// It was looked for and not sent, or may be sent twice: due again.
    fn put_back(&mut self, why: &str, due_at: Timestamp, tries: u32) {
        self.settle(DeliveryState::Pending);
        self.detail = Some(why.to_owned());
        self.hold = Some(Hold::Retry);
        self.due_at = due_at;
        self.tries = tries;
    }

    /// What the last attempt said no longer counts.
    fn settle(&mut self, state: DeliveryState) {
        self.state = state;
        self.hold = None;
        self.code = None;
        self.detail = None;
        self.message_id = None;
        self.chat_id = None;
        self.sent_at = None;
    }

    /// The run was cancelled: what was not sent never is. An attempt that is still on the wire
    /// then is let to its end first.
    pub fn cancel(&mut self) {
        if self.state == DeliveryState::Pending {
            self.state = DeliveryState::Cancelled;
            self.hold = None;
        } else if self.state == DeliveryState::Sending {
            self.state = DeliveryState::Uncertain;
            self.hold = None;
            self.detail
                .get_or_insert_with(|| CANCELLED_UNANSWERED.to_owned());
        }
    }
}
