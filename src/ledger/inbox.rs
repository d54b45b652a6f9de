//! What a provider tells by itself: kept as it came, before the provider is answered, and handled
//! afterwards. Knows nothing of what it means.
//!
//! | crash | leaves |
//! |---|---|
//! | before it is kept | nothing, and no answer: the provider tells it again |
//! | between keeping and handling | it waits, and is handled after the next start |
//! | between handling and saying so | it is handled again, which changes nothing |

use jiff::{SignedDuration, Timestamp};

use super::rows::{instant, stored};
use super::{DeliveryId, LedgerError};
use crate::domain::run::RunId;

/// How long an event is kept after it was handled: as long as somebody may want to see what a
/// provider really told, and as a provider may tell it again. It holds what people wrote, so
/// whoever handles events takes out those that are older.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An event as it comes.
#[derive(Clone, Copy)]
pub struct NewEvent<'a> {
    pub gateway: &'a str,
    /// The provider's name for it, the same each time that it is told.
    pub event_id: &'a str,
    /// Its kind, in the provider's words.
    pub kind: &'a str,
    pub body: &'a str,
}

impl std::fmt::Debug for NewEvent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, event_id, .. } = self;
        write!(f, "NewEvent({kind} {event_id}, {} bytes)", self.body.len())
    }
}

/// An event that waits to be handled.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptEvent {
    pub event_id: String,
    pub body: String,
    pub received_at: Timestamp,
}

impl std::fmt::Debug for KeptEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptEvent({}, {} bytes)", self.event_id, self.body.len())
    }
}

/// Its name, its body, and when it came.
pub(super) type EventRow = (String, String, i64);

pub(super) fn kept(
    (event_id, body, received_at): EventRow,
    clock: impl Fn(Timestamp) -> Timestamp,
) -> Result<KeptEvent, LedgerError> {
    Ok(KeptEvent {
        event_id,
        body,
        received_at: clock(instant(received_at)?),
    })
}

pub(super) fn delivery(
    row: Option<(i64, String)>,
) -> Result<Option<(RunId, DeliveryId)>, LedgerError> {
    row.map(|(id, run)| Ok((stored(RunId::parse(&run))?, id)))
        .transpose()
}
