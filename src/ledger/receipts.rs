//! Receipts: which sent messages are due to be looked at, and what the provider said of one. A
//! receipt is no part of a delivery's history: it is kept beside it and only ever goes forward.

use jiff::Timestamp;

use super::rows::{instant, number};
use super::{DeliveryId, LedgerError};
use crate::domain::delivery::DeliveryState;
use crate::domain::receipt;

/// In the place of the next look: there is none.
const NEVER: i64 = i64::MAX;

/// A message whose look is due. Its next look is set already: a crash before the answer is
/// recorded costs this look and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceipt {
    pub id: DeliveryId,
    pub message_id: String,
}

/// The provider's word that a message arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    pub id: DeliveryId,
    /// The delivery stands with this message, or nothing is changed.
    pub message_id: String,
    pub delivered_at: Option<Timestamp>,
    /// It was opened then.
    pub read_at: Option<Timestamp>,
}

impl Confirmed {
    pub(super) fn state(&self) -> DeliveryState {
        match self.read_at {
            Some(_) => DeliveryState::Read,
            None => DeliveryState::Delivered,
        }
    }
}

/// A delivery that is due, its message, and when that was sent.
pub(super) type DueRow = (DeliveryId, String, i64);

/// When each is looked at again. `jitter` is the caller's chance; each gets a different one.
pub(super) fn next_looks(
    rows: &[DueRow],
    now: Timestamp,
    jitter: u32,
) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
    rows.iter()
        .map(|(id, _, sent_at)| {
            let own: u32 = number(id % 1_000)?;
            let jitter = (jitter % 1_000 + own * 389) % 1_000;
            let next = receipt::next_look(instant(*sent_at)?, now, jitter);
            Ok((*id, next.map_or(NEVER, Timestamp::as_millisecond)))
        })
        .collect()
}

pub(super) fn due(rows: Vec<DueRow>) -> Vec<DueReceipt> {
    rows.into_iter()
        .map(|(id, message_id, _)| DueReceipt { id, message_id })
        .collect()
}
