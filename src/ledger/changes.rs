//! What the send path writes down about one delivery: an attempt begun, its outcome, a claim given
//! back, a doubt ended. Each names the attempt that it expects; what becomes of a group of them is
//! [`super::write`]'s.

use jiff::Timestamp;

use super::{DeliveryId, Fixed, Gate, Under};
use crate::domain::address::Address;
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::outcome::{Class, Failure};

/// An attempt to be committed before its request leaves.
///
/// After a crash the delivery stands in `sending` until the lease ends, then it is due again
/// with [`Claim::unanswered_since`] set.
#[derive(Debug, Clone)]
pub struct Begin {
    pub id: DeliveryId,
    /// [`Claim::attempt`]; anything else in the ledger means that another worker took over.
    pub expected_attempt: u32,
    pub revision: u32,
    pub fixed: Fixed,
    pub at: Timestamp,
    pub lease_until: Timestamp,
    /// [`Claim::begun_at`] of the attempt before, where that one is without an answer: kept as
    /// lost if nothing is known of it.
    pub unanswered: Option<Timestamp>,
    /// The caps that count it; see [`Limits::under`]. A cap without room holds it, whatever the
    /// claim has found.
    pub under: Vec<Under>,
}

/// The outcome of an attempt.
///
/// Changes the delivery only where it still stands in `sending` with this very attempt;
/// otherwise it is kept as a late outcome and changes nothing.
#[derive(Debug, Clone)]
pub struct Record {
    pub id: DeliveryId,
    pub attempt: u32,
    pub begun_at: Timestamp,
    pub ended_at: Timestamp,
    /// The key's, as in [`Begin::revision`].
    pub revision: u32,
    pub class: Class,
    pub failure: Option<Failure>,
    pub next: Next,
    /// The chat that the provider named.
    pub chat: Option<NewChat>,
    /// A wait that the provider asked for.
    pub gate: Option<Gate>,
}

/// Where a delivery goes after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Sent {
        message_id: Option<String>,
        chat_id: Option<String>,
    },
    /// Due again. `tries` is the new count. With `anew` the body has to change: what was fixed
    /// is dropped and the revision raised.
    Pending {
        due_at: Timestamp,
        hold: Hold,
        tries: u32,
        anew: bool,
    },
    /// No answer, and it can be asked for again: stays in `sending`, may have been sent.
    Unanswered {
        again_at: Timestamp,
        tries: u32,
    },
    Failed,
    Uncertain,
}

impl Next {
    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Sent { .. } => DeliveryState::Sent,
            Self::Pending { .. } => DeliveryState::Pending,
            Self::Unanswered { .. } => DeliveryState::Sending,
            Self::Failed => DeliveryState::Failed,
            Self::Uncertain => DeliveryState::Uncertain,
        }
    }
}

/// A chat to remember, so that the person's next message is a follow-up on the same line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    pub gateway: String,
    pub phone: Address,
    pub chat_id: String,
    pub line: String,
}

/// One change for the group-committing writer.
#[derive(Debug, Clone)]
pub enum Write {
    Begin(Box<Begin>),
    Record(Box<Record>),
    Release(Box<Release>),
    Settle(Box<Settle>),
}

/// Ends the doubt about a claimed delivery whose last attempt is without an answer, without
/// another attempt. Only where it still stands in `sending` with this attempt.
#[derive(Debug, Clone)]
pub struct Settle {
    pub id: DeliveryId,
    pub attempt: u32,
    pub revision: u32,
    /// When that attempt was begun: kept as lost if nothing is known of it.
    pub begun_at: Timestamp,
    pub at: Timestamp,
    pub verdict: Verdict,
    pub chat: Option<NewChat>,
}

/// What is known of an attempt without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stands among the messages of the chat.
    Found {
        message_id: String,
        chat_id: Option<String>,
    },
    /// Nothing can tell; a person must.
    Uncertain { why: String },
    /// It was not sent, and there are no tries left.
    GivenUp { why: String },
    /// It was not sent, or may be sent again all the same: due then, after so many tries.
    PutBack {
        why: String,
        due_at: Timestamp,
        tries: u32,
    },
}

impl Verdict {
    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Found { .. } => DeliveryState::Sent,
            Self::Uncertain { .. } => DeliveryState::Uncertain,
            Self::GivenUp { .. } => DeliveryState::Failed,
            Self::PutBack { .. } => DeliveryState::Pending,
        }
    }

    /// When it is due and how many tries it has had, where it is put back.
    pub fn again(&self) -> Option<(Timestamp, u32)> {
        match self {
            Self::PutBack { due_at, tries, .. } => Some((*due_at, *tries)),
            Self::Found { .. } | Self::Uncertain { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// The message, its chat, and what is to be said about it.
    pub(super) fn parts(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        match self {
            Self::Found {
                message_id,
                chat_id,
            } => (Some(message_id), chat_id.as_deref(), None),
            Self::Uncertain { why } | Self::GivenUp { why } | Self::PutBack { why, .. } => {
                (None, None, Some(why))
            }
        }
    }
}

/// Gives a claim back before any attempt was begun; none is burnt.
#[derive(Debug, Clone)]
pub struct Release {
    pub id: DeliveryId,
    /// [`Claim::attempt`]: what has begun since is not given back.
    pub attempt: u32,
    pub at: Timestamp,
    /// `None`: as it was. Otherwise `Pending` or `Failed`, when preparing the request failed or
    /// it must not leave now; `Unanswered` for one that stays without an answer till then.
    pub next: Option<Next>,
    pub failure: Option<Failure>,
    pub gate: Option<Gate>,
}

/// What became of a [`Write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Another worker had taken over, or the run is not running any more: nothing was changed.
    Late,
    /// An attempt that must not begin: the provider has asked for a wait meanwhile, or a cap of
    /// the day is used up. The claim was given back and is due again then; no attempt was burnt.
    Held {
        until: Timestamp,
    },
    /// An attempt that must not begin: the person has opted out meanwhile. The delivery is
    /// `skipped`; no attempt was burnt.
    LeftOut,
}
