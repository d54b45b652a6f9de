//! What an attempt came to. Decided once, in the gateway; everything above only matches on it.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What the provider (or the wire) said about a failure. Holds no body, address or secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Failure {
    /// The provider's own code, where it gave one (chert §3.2).
    pub code: Option<u32>,
    /// The HTTP status; absent when no answer came.
    pub http: Option<u16>,
    /// One sentence for a person.
    pub text: String,
    /// The provider's name for this exchange, for its support.
    pub trace_id: Option<String>,
}

/// What a wait applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything sent through this gateway.
    Account,
    /// This delivery alone.
    Recipient,
    /// This request alone, which was never made: the count of the account's requests keeps it back,
    /// and whoever has a turn goes on.
    Turn,
}

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took the message.
    Accepted {
        message_id: Option<String>,
        chat_id: Option<String>,
    },
    /// Refused for now: nothing was sent, and it may be tried again. `after` is the provider's
    /// own wait; without one the campaign's backoff decides.
    Retry {
        after: Option<SignedDuration>,
        scope: Scope,
        failure: Failure,
    },
    /// Refused for good.
    Permanent { failure: Failure },
    /// No answer that says whether the message was taken.
    Uncertain { failure: Failure },
    /// The provider refuses this account: credentials, quota, suspension. Nothing was sent.
    StopRun { failure: Failure },
    /// The line has no capacity for now; other lines may go on. Nothing was sent.
    LineBusy {
        after: SignedDuration,
        failure: Failure,
    },
    /// The line takes no part in messaging now, or is not the account's any more; other lines may
    /// go on. Nothing was sent, and when it may be again nobody knows.
    LineInactive { failure: Failure },
    /// The provider no longer has an uploaded file that the message names. Nothing was sent;
    /// the file must be uploaded anew, which changes the body and so the key.
    MediaLost { failure: Failure },
}

/// What an attempt came to in one word, as kept in the ledger and shown in reports: the classes
/// of outcomes, and two ways to end without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Accepted,
    Retry,
    Permanent,
    Uncertain,
    StopRun,
    LineBusy,
    LineInactive,
    MediaLost,
    /// Begun, and the request did not leave: the process was to stop, or had to wait.
    NotSent,
    /// Begun, and its process ended before an outcome was recorded.
    Lost,
}

impl Class {
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Retry,
        Self::Permanent,
        Self::Uncertain,
        Self::StopRun,
        Self::LineBusy,
        Self::LineInactive,
        Self::MediaLost,
        Self::NotSent,
        Self::Lost,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry => "retry",
            Self::Permanent => "permanent",
            Self::Uncertain => "uncertain",
            Self::StopRun => "stop_run",
            Self::LineBusy => "line_busy",
            Self::LineInactive => "line_inactive",
            Self::MediaLost => "media_lost",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

impl Outcome {
    pub fn class(&self) -> Class {
        match self {
            Self::Accepted { .. } => Class::Accepted,
            Self::Retry { .. } => Class::Retry,
            Self::Permanent { .. } => Class::Permanent,
            Self::Uncertain { .. } => Class::Uncertain,
            Self::StopRun { .. } => Class::StopRun,
            Self::LineBusy { .. } => Class::LineBusy,
            Self::LineInactive { .. } => Class::LineInactive,
            Self::MediaLost { .. } => Class::MediaLost,
        }
    }

    /// The wait that the provider asked for.
    pub fn asked_wait(&self) -> Option<SignedDuration> {
        match self {
            Self::Retry { after, .. } => *after,
            Self::LineBusy { after, .. } => Some(*after),
            Self::Accepted { .. }
            | Self::Permanent { .. }
            | Self::Uncertain { .. }
            | Self::StopRun { .. }
            | Self::LineInactive { .. }
            | Self::MediaLost { .. } => None,
        }
    }

    /// What went wrong, in one sentence; empty where nothing did.
    pub fn why(&self) -> &str {
        self.failure().map_or("", |failure| &failure.text)
    }

    /// The same, told in another way; unchanged where nothing went wrong.
    #[must_use]
    pub fn with_failure(self, failure: Failure) -> Self {
        match self {
            Self::Accepted { .. } => self,
            Self::Retry { after, scope, .. } => Self::Retry {
                after,
                scope,
                failure,
            },
            Self::Permanent { .. } => Self::Permanent { failure },
            Self::Uncertain { .. } => Self::Uncertain { failure },
            Self::StopRun { .. } => Self::StopRun { failure },
            Self::LineBusy { after, .. } => Self::LineBusy { after, failure },
            Self::LineInactive { .. } => Self::LineInactive { failure },
            Self::MediaLost { .. } => Self::MediaLost { failure },
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Accepted { .. } => None,
            Self::Retry { failure, .. }
            | Self::Permanent { failure }
            | Self::Uncertain { failure }
            | Self::StopRun { failure }
            | Self::LineBusy { failure, .. }
            | Self::LineInactive { failure }
            | Self::MediaLost { failure } => Some(failure),
        }
    }
}
