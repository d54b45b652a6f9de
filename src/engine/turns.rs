//! Turns for requests that are no messages: a slot of the account in the ledger, then this process's
//! own guard, so that everything which an account is asked keeps one rate and one count of the day.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::limiter::Guard;
use super::settle::later;
use crate::domain::outcome::{Failure, Outcome, Scope};
use crate::domain::pace::micros;
use crate::gateway::Turns;
use crate::ledger::{Ledger, Turn};

/// A turn that is further away is not waited for; whoever asks is told when to come back.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// Between two questions to a ledger that has no answer.
const PAUSE: Duration = Duration::from_secs(1);
/// After so many the question is left.
const MOST_PAUSES: u32 = 30;

/// The turns of one account in one process.
#[derive(Debug, Clone)]
pub struct AccountTurns {
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
    /// The gateway's name in the ledger.
    pub gateway: String,
    pub guard: Guard,
    /// Nothing leaves any more once this is cancelled.
    pub stop: CancellationToken,
}

impl AccountTurns {
    async fn wait(&self, time: Duration) -> Result<(), Outcome> {
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = self.stop.cancelled() => Err(not_now(None, "this process is to stop")),
            // cancel-safe: a timer
            () = sleep(time) => Ok(()),
        }
    }

    fn until(&self, at: Timestamp) -> SignedDuration {
        at.duration_since(self.clock.now())
            .max(SignedDuration::ZERO)
    }
}

#[async_trait]
impl Turns for AccountTurns {
    async fn next(&self) -> Result<(), Outcome> {
        self.slot().await?;
        self.ready().await;
        Ok(())
    }

    async fn ready(&self) {
        self.guard.ready().await;
    }
}

impl AccountTurns {
    /// Waits for a slot alone, for a request that passes the guard later.
    pub(super) async fn slot(&self) -> Result<(), Outcome> {
        let mut pauses = 0;
        loop {
            let now = self.clock.now();
            let until = later(now, LONGEST_WAIT);
            let limits = self.guard.limits();
            match self
                .ledger
                .take_turn(&self.gateway, limits, now, until)
                .await
            {
                Ok(Turn::At { slot_us }) => {
                    let ahead = (slot_us - micros(now)).max(0);
                    let ahead = SignedDuration::from_micros(ahead).min(LONGEST_WAIT);
                    return self
                        .wait(Duration::try_from(ahead).unwrap_or_default())
                        .await;
                }
                Ok(Turn::NotBefore(at)) if self.until(at) > LONGEST_WAIT => {
                    let why = "the requests that the account's plan allows are used up until then";
                    return Err(not_now(Some(self.until(at)), why));
                }
                Ok(Turn::NotBefore(at)) => {
                    let wait = self.until(at) + SignedDuration::from_millis(1);
                    self.wait(Duration::try_from(wait).unwrap_or_default())
                        .await?;
                }
                Err(error) => {
                    tracing::warn!(%error, "no turn can be taken; asked again");
                    pauses += 1;
                    if pauses > MOST_PAUSES {
                        return Err(not_now(None, "the ledger has no answer"));
                    }
                    self.wait(PAUSE).await?;
                }
            }
        }
    }
}

/// Whether an outcome is a turn that did not come: nobody asked the provider, and it asked for no
/// wait. The account's count keeps everybody back by itself.
pub(super) fn kept_back(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Retry {
            scope: Scope::Turn,
            ..
        }
    )
}

fn not_now(after: Option<SignedDuration>, why: &str) -> Outcome {
    Outcome::Retry {
        after,
        scope: Scope::Turn,
        failure: Failure {
            text: why.to_owned(),
            ..Failure::default()
        },
    }
}
