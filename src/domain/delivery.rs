//! A delivery: one message to one recipient in one run, and the states it goes through.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a delivery stands. The text form is the public one: tables, flags, JSON, CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Not sent yet; a due time and a hold say when and why not now.
    Pending,
    /// An attempt is committed; the request may be on the wire.
    Sending,
    /// The provider accepted it. This is not delivery.
    Sent,
    /// The provider said that it reached the device.
    Delivered,
    /// The provider said that it was opened.
    Read,
    /// A permanent error, or the attempts are used up.
    Failed,
    /// May have been sent, and nothing can tell; waits for a person.
    Uncertain,
    /// Deliberately not sent.
    Skipped,
    /// The operator stopped it.
    Cancelled,
}

impl DeliveryState {
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Uncertain,
        Self::Skipped,
        Self::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Nothing more is to be sent for it: the engine is done with it.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Sending)
    }

    /// The edges of the state machine, all of them.
    ///
    /// ```text
    /// pending ─► sending ─► sent ─► delivered ─► read
    ///    ▲          ├─► pending   (refused for now, retried)
    ///    │          ├─► failed ───► pending  (`retry`)
    ///    │          └─► uncertain ► pending | sent  (`resolve`)
    ///    ├─► skipped   (found out before sending)
    ///    └─► cancelled
    /// ```
    pub fn may_become(self, next: Self) -> bool {
        use DeliveryState::{
            Cancelled, Delivered, Failed, Pending, Read, Sending, Sent, Skipped, Uncertain,
        };
        matches!(
            (self, next),
            (Pending, Sending | Skipped | Cancelled | Failed)
                | (Sending, Sent | Pending | Failed | Uncertain)
                | (Sent, Delivered | Read | Failed)
                | (Delivered, Read)
                | (Failed, Pending)
                | (Uncertain, Pending | Sent | Delivered | Read)
        )
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a delivery was deliberately not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// On a do-not-contact list.
    Suppressed,
    /// The person said STOP, or stands on the ledger's own list.
    OptedOut,
    /// The same recipient stands further up in the list.
    Duplicate,
    /// No message can be addressed to this phone cell.
    InvalidPhone,
    /// No message can be addressed to this e-mail cell.
    InvalidEmail,
    /// A cell that the message needs is empty (`on_empty: skip`).
    MissingValue,
    /// The template failed for this row alone.
    RenderError,
    /// The campaign's `where` rejects the row.
    Filtered,
    /// No hour is allowed everywhere the phone may be (`window`).
    NoWindow,
    /// Not sent before the campaign's `expires`.
    Expired,
    /// A text of one's own, and the person has not written within the last day (huechat §8).
    WindowClosed,
}

impl SkipReason {
    pub const ALL: [Self; 11] = [
        Self::Suppressed,
        Self::OptedOut,
        Self::Duplicate,
        Self::InvalidPhone,
        Self::InvalidEmail,
        Self::MissingValue,
        Self::RenderError,
        Self::Filtered,
        Self::NoWindow,
        Self::Expired,
        Self::WindowClosed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::OptedOut => "opted_out",
            Self::Duplicate => "duplicate",
            Self::InvalidPhone => "invalid_phone",
            Self::InvalidEmail => "invalid_email",
            Self::MissingValue => "missing_value",
            Self::RenderError => "render_error",
            Self::Filtered => "filtered",
            Self::NoWindow => "no_window",
            Self::Expired => "expired",
            Self::WindowClosed => "window_closed",
        }
    }

    /// The same in the words of a summary, after a count: `3 × …`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Suppressed => "on the do-not-contact list",
            Self::OptedOut => "opted out",
            Self::Duplicate => "already further up in the list",
            Self::InvalidPhone => "no usable phone number",
            Self::InvalidEmail => "no usable e-mail address",
            Self::MissingValue => "a value the message needs is empty",
            Self::RenderError => "the template does not fit the row",
            Self::Filtered => "left out by `where`",
            Self::NoWindow => "no allowed hour is known for the number",
            Self::Expired => "too late to be sent",
            Self::WindowClosed => {
                "they have not written within 24 hours, so only a template reaches them"
            }
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a pending delivery is not sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Waits for its next attempt.
    Retry,
    /// Outside the allowed hours.
    Window,
    /// The line has no capacity for now, by the provider's word.
    LineCapacity,
    /// The line takes no part in messaging now, by the provider's word.
    LineInactive,
    /// The day's cap is used up.
    DailyCap,
    /// The account is throttled, by the provider's word.
    Throttled,
}

impl Hold {
    pub const ALL: [Self; 6] = [
        Self::Retry,
        Self::Window,
        Self::LineCapacity,
        Self::LineInactive,
        Self::DailyCap,
        Self::Throttled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Window => "window",
            Self::LineCapacity => "line_capacity",
            Self::LineInactive => "line_inactive",
            Self::DailyCap => "daily_cap",
            Self::Throttled => "throttled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hold| hold.as_str() == text)
    }
}

/// How many deliveries of a run are in each state. Every state has a number, also zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    states: [u64; DeliveryState::ALL.len()],
    /// Of those that are `sent`.
    no_confirmation: u64,
}

impl Counts {
    pub fn of(&self, state: DeliveryState) -> u64 {
        self.iter().find(|(s, _)| *s == state).map_or(0, |(_, n)| n)
    }

    /// Of those that are `sent`: the provider was asked until the deadline and never said that
    /// they arrived. They may have; it is no failure.
    pub fn no_confirmation(&self) -> u64 {
        self.no_confirmation
    }

    pub fn add_no_confirmation(&mut self, n: u64) {
        self.no_confirmation += n;
    }

    pub fn add(&mut self, state: DeliveryState, n: u64) {
        for (slot, s) in self.states.iter_mut().zip(DeliveryState::ALL) {
            if s == state {
                *slot += n;
            }
        }
    }

    /// Moves one delivery from one state to another.
    pub fn shift(&mut self, from: DeliveryState, to: DeliveryState) {
        for (slot, s) in self.states.iter_mut().zip(DeliveryState::ALL) {
            if s == from {
                *slot = slot.saturating_sub(1);
            }
        }
        self.add(to, 1);
    }

    pub fn iter(&self) -> impl Iterator<Item = (DeliveryState, u64)> {
        DeliveryState::ALL.into_iter().zip(self.states)
    }

    pub fn total(&self) -> u64 {
        self.states.iter().sum()
    }

    /// Deliveries for which something may still be sent.
    pub fn open(&self) -> u64 {
        self.iter()
            .filter(|(state, _)| !state.is_settled())
            .map(|(_, n)| n)
            .sum()
    }

    /// Deliveries that the provider has accepted, whatever it has said since.
    pub fn accepted(&self) -> u64 {
        self.of(DeliveryState::Sent)
            + self.of(DeliveryState::Delivered)
            + self.of(DeliveryState::Read)
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(state, n)| (state.as_str(), n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_name_reads_back() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
        for reason in SkipReason::ALL {
            assert_eq!(SkipReason::parse(reason.as_str()), Some(reason));
        }
        for hold in Hold::ALL {
            assert_eq!(Hold::parse(hold.as_str()), Some(hold));
        }
    }

    #[test]
    fn nothing_that_was_accepted_can_be_sent_again() {
        use DeliveryState as S;
        for state in [S::Sent, S::Delivered, S::Read, S::Skipped, S::Cancelled] {
            assert!(
                !state.may_become(S::Pending) && !state.may_become(S::Sending),
                "{state}"
            );
        }
    }

    proptest! {
        /// A random walk along the edges: receipts never go backwards, and the way back to
        /// `pending` exists only from states where nobody can have the message for sure.
        #[test]
        fn a_walk_never_goes_backwards(steps in prop::collection::vec(0usize..9, 0..40)) {
            use DeliveryState as S;
            let mut state = S::Pending;
            let mut best = 0;
            for step in steps {
                let next = S::ALL[step];
                if !state.may_become(next) {
                    continue;
                }
                let rank = [S::Sent, S::Delivered, S::Read]
                    .iter()
                    .position(|s| *s == next)
                    .map_or(0, |at| at + 1);
                prop_assert!(best == 0 || rank > best || next == S::Failed);
                if next == S::Failed || next == S::Pending { best = 0 } else { best = best.max(rank) }
                state = next;
            }
        }

        #[test]
        fn shifting_keeps_the_total(moves in prop::collection::vec((0usize..9, 0usize..9), 0..50)) {
            let mut counts = Counts::default();
            counts.add(DeliveryState::Pending, 100);
            for (from, to) in moves {
                let (from, to) = (DeliveryState::ALL[from], DeliveryState::ALL[to]);
                if counts.of(from) > 0 {
                    counts.shift(from, to);
                }
            }
            prop_assert_eq!(counts.total(), 100);
        }
    }
}
