//! What is to become of an attempt that has no answer and cannot be repeated: the messages of
//! the chat may show it, or show that it was not sent, and otherwise a person must say. Only what
//! is proved not to be out goes back to be sent, or what the campaign accepts to send twice.

use jiff::Timestamp;

use super::settle::later;
use super::worker::{Broken, Shop};
use crate::crash_points;
use crate::domain::campaign::OnUncertain;
use crate::domain::delivery::Hold;
use crate::domain::outcome::{Outcome, Scope};
use crate::gateway::{Sighting, Sought};
use crate::ledger::{Claim, Gate, NewChat, Next, Verdict};

impl Shop {
    /// Looks for the message, not before the provider would show it. Found: it was sent. Surely not
    /// there: it is tried again. Otherwise it is left uncertain.
    pub(super) async fn reconcile(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let known = claim.known_chat();
        if known.is_none() && !self.gateway.finds_chats() {
            return self.leave_uncertain(claim, why).await;
        }
        let now = self.clock.now();
        let begun_at = claim.begun_at.unwrap_or(now);
        let left_by = self.left_by(begun_at).unwrap_or(begun_at);
        let shown_at = later(left_by, self.gateway.shown_after());
        if shown_at > now && self.gateway.finds_chats() {
            return self.look_at(claim, shown_at, None).await;
        }
        let gateway = &self.run.gateway;
        let others = self.ledger.messages_to(gateway, &claim.phone).await;
        let others = others.map_err(Broken::Ledger)?;
        let fixed = claim.fixed.as_ref();
        let sought = Sought {
            chat_id: known,
            contact_id: fixed.and_then(|fixed| fixed.contact_id.as_deref()),
            channel: self.run.terms.channel,
            message: &claim.message,
            since: claim.unanswered_since.unwrap_or(now),
            now,
            others: &others,
        };
        let sighting = self.gateway.find(&sought, &self.turns()).await;
        crash_points::reach("sighting.answered").await;
        match sighting {
            Ok(Sighting::Found {
                message_id,
                chat_id,
            }) => {
                let chat = chat_id.clone().map(|chat_id| NewChat {
                    gateway: gateway.clone(),
                    phone: claim.phone.clone(),
                    chat_id,
                    line: claim.line.clone(),
                });
                let verdict = Verdict::Found {
                    message_id,
                    chat_id,
                };
                self.end_doubt(claim, verdict, chat).await
            }
            Ok(Sighting::Absent) => self.not_sent(claim, why).await,
            Ok(Sighting::Unclear { why: unclear }) => {
                let why = format!("{why}; {unclear}");
                self.leave_uncertain(claim, &why).await
            }
            Err(Outcome::Permanent { .. }) => {
                let why = format!("{why}; the messages of the chat do not show it");
                self.leave_uncertain(claim, &why).await
            }
            Err(outcome) => self.look_again(claim, &outcome).await,
        }
    }

    /// Everything that it could be was seen, and it is not among it.
    async fn not_sent(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let why = format!("{why}; it was looked for, and was not sent");
        let verdict = match self.another_try(claim) {
            Some(tries) => Verdict::PutBack {
                why,
                due_at: self.clock.now(),
                tries,
            },
            None => Verdict::GivenUp { why },
        };
        self.end_doubt(claim, verdict, None).await
    }

    /// The count of tries that it goes on with, where the campaign allows another one.
    fn another_try(&self, claim: &Claim) -> Option<u32> {
        let now = self.clock.now();
        let first = claim.first_attempt_at.unwrap_or(now);
        let allowed = claim.tries == 0 || self.run.terms.retry.allows(claim.tries, first, now);
        allowed.then_some(claim.tries)
    }

    async fn look_at(
        &self,
        claim: &Claim,
        again_at: Timestamp,
        gate: Option<Gate>,
    ) -> Result<(), Broken> {
        let next = Next::Unanswered {
            again_at,
            tries: claim.tries,
        };
        self.release(claim, Some((next, None)), gate).await
    }

    /// The provider could not be asked: the doubt stays until it can. A wait that it asks everybody
    /// for, everybody keeps.
    async fn look_again(&self, claim: &Claim, outcome: &Outcome) -> Result<(), Broken> {
        if let Outcome::StopRun { failure } = outcome {
            self.halt(failure.text.clone());
        }
        let now = self.clock.now();
        let asked = outcome.asked_wait();
        let wait = asked.unwrap_or(self.run.terms.retry.backoff(claim.tries.max(1), 1.0));
        let is_for_all = matches!(
            outcome,
            Outcome::Retry {
                scope: Scope::Account,
                ..
            }
        );
        let gate = is_for_all.then(|| self.settle(claim, outcome, (now, now)).gate);
        self.look_at(claim, later(now, wait), gate.flatten()).await
    }

    async fn leave_uncertain(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let again = match self.run.terms.on_uncertain {
            OnUncertain::Hold => None,
            OnUncertain::Resend => self.another_try(claim),
        };
        let verdict = match again {
            Some(tries) => Verdict::PutBack {
                why: format!("{why}; the campaign rather sends it twice than not at all"),
                due_at: self.clock.now(),
                tries: tries.max(1),
            },
            None => Verdict::Uncertain {
                why: why.to_owned(),
            },
        };
        self.end_doubt(claim, verdict, None).await
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
