//! Who is not to be written to, by whose word and since when; what people answered. Words may be
//! heard in any order and more than once: the newest counts, as [`crate::domain::opt_out`] says.
//! How rows are kept is each database's.
//!
//! A word and what follows from it are one transaction. From its commit on no attempt to that
//! person is begun, by any process, on any gateway; one that was begun before is settled as
//! always.

mod book;
mod rows;

use jiff::Timestamp;

pub(super) use self::book::{OptOutTx, keep_reply, lift, suppress};
pub(super) use self::rows::{
    EventRow, HeardReply, KnownReply, Left, ListedRow, NAMED, OptedOutRow, Origin, ReplyRow,
    SuppressionRow, ToldRow, answers, by_phone,
};
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::opt_out::{Heard, Source};
use crate::domain::run::RunId;

/// An answer's number in the ledger.
pub type ReplyId = i64;

/// Somebody to be put on the list.
#[derive(Debug, Clone)]
pub struct NewSuppression {
    pub phone: Address,
    pub source: Source,
    pub reason: Option<String>,
    /// Since when, where that was before now.
    pub at: Option<Timestamp>,
}

/// What became of a [`NewSuppression`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressing {
    Added,
    /// On the list already, by this source; nothing was changed.
    Already(Source),
}

/// Why somebody is not to be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    pub phone: Address,
    pub source: Source,
    /// What the person wrote, or what whoever keeps the list says.
    pub reason: Option<String>,
    pub at: Timestamp,
    /// The run whose message was answered.
    pub run: Option<RunId>,
    /// The provider's name for the answer.
    pub event_id: Option<String>,
}

impl Suppression {
    /// `said STOP on 2026-11-20 (UTC)`
    pub fn in_words(&self) -> String {
        let day = self.at.strftime("%Y-%m-%d");
        match self.source {
            Source::Reply => format!("said STOP on {day} (UTC)"),
            Source::Operator | Source::Import | Source::Api => {
                let reason = self.reason.as_deref().unwrap_or_default();
                let reason = if reason.is_empty() {
                    String::new()
                } else {
                    format!(": {reason}")
                };
                let how = match self.source {
                    Source::Import => "imported",
                    Source::Api => "added by another program",
                    Source::Operator | Source::Reply => "added by the operator",
                };
                format!("on the ledger's do-not-contact list, {how} on {day} (UTC){reason}")
            }
        }
    }
}

/// Taking somebody off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifting {
    pub reason: String,
    pub asked: Asked,
}

/// Who wants somebody to be taken off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The operator alone: what the person said is left as it is.
    Operator,
    /// The person, by another way than an answer.
    Person,
}

/// What became of a [`Lifting`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    Done,
    NotListed,
    /// The person said so, and only the person takes it back. Nothing was changed.
    SaidByPerson(Suppression),
}

/// Something that was said about one person, in the order in which it became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOutEvent {
    pub what: Said,
    pub source: Source,
    pub reason: Option<String>,
    /// When it was said.
    pub at: Timestamp,
    /// When it became known here.
    pub noted_at: Timestamp,
    pub run: Option<RunId>,
    pub event_id: Option<String>,
    /// The gateway of the rehearsal in which it was said, and for which alone it counts.
    pub rehearsal: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Stop,
    Start,
}

impl Said {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "suppressed",
            Self::Start => "lifted",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Stop, Self::Start]
            .into_iter()
            .find(|said| said.as_str() == text)
    }
}

/// An answer as it comes from the provider.
#[derive(Debug, Clone)]
pub struct NewReply {
    /// The provider's name for it; heard again under the same name it changes nothing.
    pub event_id: String,
    pub gateway: String,
    pub phone: Address,
    /// The way by which it came; `None` where the provider has only one.
    pub channel: Option<Channel>,
    /// The line that it came to; empty where the provider has no lines.
    pub line: String,
    pub chat_id: Option<String>,
    pub text: String,
    /// When the person wrote it.
    pub at: Timestamp,
}

/// What became of a [`NewReply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReply {
    pub id: ReplyId,
    pub heard: Heard,
    pub arrival: Arrival,
    /// The newest run of the gateway whose message to this person left before it.
    pub run: Option<RunId>,
}

/// Whether an answer was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    New,
    Known,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub id: ReplyId,
    pub event_id: String,
    pub gateway: String,
    pub phone: Address,
    pub channel: Option<Channel>,
    pub line: String,
    pub chat_id: Option<String>,
    pub text: String,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub run: Option<RunId>,
    /// The row of that run's list.
    pub row: Option<u64>,
    pub heard: Heard,
    /// When it was obeyed, or when a person has judged it.
    pub handled_at: Option<Timestamp>,
}

/// What the people of a run answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    pub replies: u64,
    /// People who said STOP, whatever they said since.
    pub opted_out: u64,
    /// Answers that wait for a person to judge them.
    pub to_review: u64,
    /// The first who said STOP, by their first word.
    pub first: Vec<Reply>,
}
