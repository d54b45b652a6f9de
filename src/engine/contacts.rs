//! People made known to a provider that writes to contacts: once each, remembered in the ledger.
//!
//! A crash between the provider's answer and its record costs one more request: it says who the
//! contact is, and makes no second one.

use super::turns::AccountTurns;
use super::worker::{Broken, Shop};
use crate::crash_points;
use crate::domain::outcome::{Failure, Outcome};
use crate::ledger::Claim;

impl Shop {
    /// The provider's id of the person, where it needs one. Making it known takes the claim's own
    /// slot, and the message another one. The inner error is the provider's word, or that of an
    /// account whose requests are used up.
    pub(super) async fn contact(
        &self,
        claim: &Claim,
    ) -> Result<Result<Option<String>, Outcome>, Broken> {
        if !self.gateway.needs_contacts() {
            return Ok(Ok(None));
        }
        let gateway = &self.run.gateway;
        let known = self.ledger.contact(gateway, &claim.phone).await;
        if let Some(id) = known.map_err(Broken::Ledger)? {
            return Ok(Ok(Some(id)));
        }
        let Some(contact) = &claim.message.contact else {
            return Ok(Err(Outcome::Permanent {
                failure: Failure {
                    text: "the run was frozen without the names that the provider asks for"
                        .to_owned(),
                    ..Failure::default()
                },
            }));
        };
        let turns = self.turns();
        self.limiter.ready(&claim.line).await;
        let id = match self.gateway.contact(&claim.phone, contact, &turns).await {
            Ok(Some(id)) => id,
            Ok(None) => return Ok(Ok(None)),
            Err(outcome) => return Ok(Err(outcome)),
        };
        crash_points::reach("contact.answered").await;
        let kept = self.ledger.keep_contact(gateway, &claim.phone, &id).await;
        kept.map_err(Broken::Ledger)?;
        crash_points::reach("contact.kept").await;
        self.tally.change(|view| view.contacts_here += 1);
        Ok(turns.slot().await.map(|()| Some(id)))
    }

    /// A contact that the provider does not know any more is looked for anew the next time.
    pub(super) async fn forget_contact(&self, claim: &Claim) -> Result<(), Broken> {
        let gateway = &self.run.gateway;
        let known = self.ledger.contact(gateway, &claim.phone).await;
        if let Some(id) = known.map_err(Broken::Ledger)? {
            tracing::info!(
                row = claim.row,
                "the provider does not know the contact any more"
            );
            let forgotten = self.ledger.forget_contact(gateway, &id).await;
            forgotten.map_err(Broken::Ledger)?;
        }
        Ok(())
    }

    pub(super) fn turns(&self) -> AccountTurns {
        AccountTurns {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            gateway: self.run.gateway.clone(),
            guard: self.guard.clone(),
            stop: self.stop.clone(),
        }
    }
}
