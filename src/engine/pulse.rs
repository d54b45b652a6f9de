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
//! process that comes back beats again, and what nobody has taken over is its own as before. What
//! somebody has taken over it can neither renew nor begin, since the lease names another owner, and
//! what it records of it is late.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::leases::Leases;
use super::settle::later;
use crate::ledger::{Ledger, LedgerError, Owner};

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
    pub(super) lease: SignedDuration,
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
            let beaten = self.ledger.beat(&self.owner, self.clock.now()).await;
            if let Err(error) = beaten {
                tracing::warn!(%error, "no heartbeat");
                continue;
            }
            if renewed.elapsed() >= every.max(BEAT) {
                match self.renew().await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => tracing::warn!(%error, "no lease was renewed"),
                }
            }
        }
    }

    /// The time is read before: a lease lasts longer than is believed here, never less.
    async fn renew(&self) -> Result<(), LedgerError> {
        let ids = self.leases.all();
        if ids.is_empty() {
            return Ok(());
        }
        let until = later(self.clock.now(), self.lease);
        let renewed = self.ledger.renew(&self.owner, &ids, until).await?;
        self.leases.renewed(&renewed, until);
        Ok(())
    }
}
