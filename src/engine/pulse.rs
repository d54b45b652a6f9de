//! Says that a process lives, and keeps its leases, for as long as it does. On a task of its own:
//! a commit that is waited for, or a wire that is being finished, must not make a process look dead.
//! Ends nothing: a ledger that fails is noticed by those who have something to write.
//!
//! | what | how often | for how long |
//! |---|---|---|
//! | the owner's heartbeat | about once a second, from [`enlist`](crate::ledger::Ledger::enlist) until the owner retires, also while a stop finishes the wire | on PostgreSQL [`HEARTBEAT`](crate::ledger::postgres::HEARTBEAT); on SQLite the lock on a file holds, and the heartbeat is only shown |
//! | the lease of a claim | made by the claim | `lease`, see `dispatch`, and the claim's horizon |
//! | the lease of an attempt | made anew by its begin | `lease` from then |
//! | every lease in hand | three times in each `lease` | `lease` from then |
//!
//! So a lease ends when its process is dead, stopped or cut off for the rest of it; on PostgreSQL
//! already when no heartbeat has come for [`HEARTBEAT`](crate::ledger::postgres::HEARTBEAT). A
//! process that comes back beats again, asks for all that it has in hand, and what nobody has taken
//! over is its own as before. The rest it can neither renew nor begin, since the lease names another
//! owner; what of it was begun and has not left is put back, and what it records of it is late.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::heard::Heard;
use super::leases::Leases;
use super::settle::later;
use crate::ledger::{DeliveryId, Ledger, LedgerError, Owner};

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// Leases are renewed so often before the first of them can end: two tries may fail.
const TRIES: u32 = 3;

/// What a pulse keeps alive.
pub(super) struct Pulse {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owner: Owner,
    pub(super) leases: Arc<Leases>,
    pub(super) heard: Arc<Heard>,
    pub(super) lease: SignedDuration,
}

/// Whether leases are to be renewed at a heartbeat, or were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Due,
    NotYet,
}

impl Pulse {
    /// Beats until it is told to end.
    pub(super) async fn beat(self, end: CancellationToken) {
        let every = Duration::try_from(self.lease).unwrap_or(BEAT) / TRIES;
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => return,
                // cancel-safe: a timer
                () = sleep(BEAT) => {}
            }
            let due = renewed.elapsed() >= every.max(BEAT);
            let leases = if due { Renewal::Due } else { Renewal::NotYet };
            match self.once(leases).await {
                Ok(Renewal::Due) => renewed = Instant::now(),
                Ok(Renewal::NotYet) => {}
                Err(error) => tracing::warn!(%error, "the ledger has not heard of this process"),
            }
        }
    }

    /// Beats, and renews the leases if they are `due`, or when this process may have counted as
    /// gone: until it knows what is still its own, it goes on as one that nobody has heard of.
    async fn once(&self, leases: Renewal) -> Result<Renewal, LedgerError> {
        let begun = Instant::now();
        self.ledger.beat(&self.owner, self.clock.now()).await?;
        let was_gone = self.heard.too_long_ago();
        let leases = if was_gone { Renewal::Due } else { leases };
        if leases == Renewal::Due {
            let (ids, found) = self.renew().await?;
            if was_gone {
                self.leases.lost_but(&found, &ids);
            }
        }
        self.heard.told(begun);
        Ok(leases)
    }

    /// The time is read before: a lease lasts longer than is believed here, never less.
    async fn renew(&self) -> Result<(Vec<DeliveryId>, Vec<DeliveryId>), LedgerError> {
        let ids = self.leases.all();
        if ids.is_empty() {
            return Ok((ids, Vec::new()));
        }
        let until = later(self.clock.now(), self.lease);
        let found = self.ledger.renew(&self.owner, &ids, until).await?;
        self.leases.renewed(&found, until);
        Ok((ids, found))
    }
}
