//! What is to become of an attempt that has no answer and cannot be repeated: the messages of
//! the chat may show it, and otherwise a person must say. It is never sent again from here.

use super::settle::later;
use super::worker::{Broken, Shop};
use crate::domain::delivery::Hold;
use crate::domain::outcome::Outcome;
use crate::gateway::Sought;
use crate::ledger::{Claim, NewChat, Next, Verdict};

impl Shop {
    /// Looks for the message where the chat is known; leaves it uncertain where it is not found.
    pub(super) async fn reconcile(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let Some(chat_id) = claim.known_chat() else {
            return self.leave_uncertain(claim, why).await;
        };
        let others = self
            .ledger
            .messages_to(&self.run.gateway, &claim.phone)
            .await
            .map_err(Broken::Ledger)?;
        let sought = Sought {
            chat_id,
            message: &claim.message,
            since: claim.unanswered_since.unwrap_or(self.clock.now()),
            others: &others,
        };
        match self.gateway.find(&sought).await {
            Ok(Some(message_id)) => {
                let chat = NewChat {
                    gateway: self.run.gateway.clone(),
                    phone: claim.phone.clone(),
                    chat_id: chat_id.to_owned(),
                    line: claim.line.clone(),
                };
                let verdict = Verdict::Found {
                    message_id,
                    chat_id: Some(chat_id.to_owned()),
                };
                self.end_doubt(claim, verdict, Some(chat)).await
            }
            Ok(None) | Err(Outcome::Permanent { .. }) => {
                let why = format!("{why}; the messages of the chat do not show it");
                self.leave_uncertain(claim, &why).await
            }
            Err(outcome) => self.look_again(claim, &outcome).await,
        }
    }

    /// The provider could not be asked: the doubt stays until it can.
    async fn look_again(&self, claim: &Claim, outcome: &Outcome) -> Result<(), Broken> {
        if let Outcome::StopRun { failure } = outcome {
            self.halt(failure.text.clone());
        }
        let now = self.clock.now();
        let asked = outcome.asked_wait();
        let wait = asked.unwrap_or(self.run.terms.retry.backoff(claim.tries.max(1), 1.0));
        let next = Next::Unanswered {
            again_at: later(now, wait),
            tries: claim.tries,
        };
        self.release(claim, Some((next, None)), None).await
    }

    async fn leave_uncertain(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let why = why.to_owned();
        self.end_doubt(claim, Verdict::Uncertain { why }, None)
            .await
    }

    /// This version writes the request differently from the one that first sent it, and a key
    /// never serves two bodies. What may be out must be looked for; what is not gets a new key.
    pub(super) async fn other_body(&self, claim: &Claim) -> Result<(), Broken> {
        if claim.unanswered_since.is_some() {
            return self
                .reconcile(
                    claim,
                    "no answer came, and this version of sendoff writes the request differently \
                     from the one that sent it",
                )
                .await;
        }
        let next = Next::Pending {
            due_at: self.clock.now(),
            hold: Hold::Retry,
            tries: claim.tries,
            anew: true,
        };
        self.release(claim, Some((next, None)), None).await
    }
}
