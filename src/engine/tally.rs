//! How far a run has come, kept while it goes on for whoever shows it. The ledger is the truth;
//! this is only the view of one process.

use std::sync::Mutex;

use jiff::Timestamp;

use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::outcome::Failure;

/// Shared between the engine, which writes it, and the progress display, which reads it.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Snapshot>);

/// The view at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub counts: Counts,
    /// Deliveries that this process has brought to an end.
    pub settled_here: u64,
    /// Messages that were accepted from this process.
    pub sent_here: u64,
    /// People whom this process has made known to the provider.
    pub contacts_here: u64,
    /// Attempts that this process has made.
    pub attempts_here: u64,
    /// Outcomes that came too late to count.
    pub late: u64,
    /// What the provider last complained about.
    pub last_failure: Option<Failure>,
    /// When something is due again, while nothing is due now.
    pub waiting_until: Option<Timestamp>,
}

impl Tally {
    pub fn new(counts: Counts) -> Self {
        Self(Mutex::new(Snapshot {
            counts,
            ..Snapshot::default()
        }))
    }

    pub fn snapshot(&self) -> Snapshot {
        self.0.lock().map(|held| held.clone()).unwrap_or_default()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        if let Ok(mut held) = self.0.lock() {
            change(&mut held);
        }
    }

    pub(super) fn shift(&self, from: DeliveryState, to: DeliveryState) {
        self.change(|view| {
            view.counts.shift(from, to);
            if to == DeliveryState::Sent {
                view.sent_here += 1;
            }
            if to.is_settled() && !from.is_settled() {
                view.settled_here += 1;
            }
        });
    }
}
