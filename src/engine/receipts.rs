//! Asks the provider how sent messages stand, once for each whose look is due, and keeps what it
//! says. When a look is due is the ledger's to say; nothing is sent here.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::clock::Clock;
use super::limiter::Guard;
use crate::domain::outcome::Outcome;
use crate::domain::receipt::Receipt;
use crate::gateway::Gateway;
use crate::ledger::{Confirmed, DueReceipt, Ledger, LedgerError, RunRecord};

/// Looks that are on the wire at once, and how many are taken from the ledger in one step: what a
/// crash makes wait for its next look.
const AT_ONCE: u32 = 16;

/// Where receipts come from and where they go.
#[derive(Debug, Clone)]
pub struct Looker {
    pub ledger: Arc<dyn Ledger>,
    pub gateway: Arc<dyn Gateway>,
    pub clock: Arc<dyn Clock>,
    /// The account's rate in this process.
    pub guard: Guard,
}

/// What a look at a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages that were asked about.
    pub looked: u64,
    /// Newly known to be on the device, not opened yet.
    pub delivered: u64,
    /// Newly known to be opened.
    pub read: u64,
    /// Taken, and given up by the provider.
    pub failed: u64,
    /// The provider knows no such message.
    pub unknown: u64,
    /// No answer about this message alone; it is looked at again.
    pub unanswered: u64,
    /// The provider refuses or wants a pause, in its words: the rest was left for later.
    pub stopped: Option<String>,
}

impl Looker {
    /// Looks at every message of the run that is due now. `jitter` is chance, 0 to 999.
    ///
    /// # Errors
    /// The ledger's; what was kept by then stays.
    pub async fn look(&self, run: &RunRecord, jitter: u32) -> Result<Seen, LedgerError> {
        // One moment for all: what falls due meanwhile is for the next time.
        let now = self.clock.now();
        let mut seen = Seen::default();
        while seen.stopped.is_none() {
            let due = self.ledger.receipts_due(run, now, jitter, AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let mut asked = JoinSet::new();
            for one in due {
                let (gateway, guard) = (self.gateway.clone(), self.guard.clone());
                asked.spawn(async move {
                    guard.ready().await;
                    let answer = gateway.state(&one.message_id).await;
                    (one, answer)
                });
            }
            while let Some(ended) = asked.join_next().await {
                let (one, answer) = ended.map_err(|error| LedgerError::Fault(error.to_string()))?;
                seen.looked += 1;
                self.keep(run, one, answer, &mut seen).await?;
            }
        }
        Ok(seen)
    }

    async fn keep(
        &self,
        run: &RunRecord,
        one: DueReceipt,
        answer: Result<Receipt, Outcome>,
        seen: &mut Seen,
    ) -> Result<(), LedgerError> {
        let now = || self.clock.now();
        match answer {
            Ok(Receipt::UnderWay) => {}
            Ok(Receipt::Failed) => seen.failed += 1,
            Ok(Receipt::Unknown) => seen.unknown += 1,
            Ok(Receipt::Delivered { at }) => {
                let at = at.unwrap_or_else(now);
                if self.confirm(run, one, Some(at), None).await? {
                    seen.delivered += 1;
                }
            }
            Ok(Receipt::Read { delivered_at, at }) => {
                let at = at.unwrap_or_else(now);
                if self.confirm(run, one, delivered_at, Some(at)).await? {
                    seen.read += 1;
                }
            }
            Err(Outcome::Permanent { .. }) => seen.unanswered += 1,
            Err(outcome) => {
                seen.stopped.get_or_insert_with(|| outcome.why().to_owned());
                seen.unanswered += 1;
            }
        }
        Ok(())
    }

    async fn confirm(
        &self,
        run: &RunRecord,
        one: DueReceipt,
        delivered_at: Option<Timestamp>,
        read_at: Option<Timestamp>,
    ) -> Result<bool, LedgerError> {
        let confirmed = Confirmed {
            id: one.id,
            message_id: one.message_id,
            delivered_at,
            read_at,
        };
        self.ledger.keep_receipt(run, &confirmed).await
    }
}
