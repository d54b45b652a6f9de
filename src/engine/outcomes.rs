//! What a worker writes down: an attempt's outcome, a claim given back, a doubt left to a person.
//! What an outcome means is [`super::settle`]'s to say.

use jiff::Timestamp;
use tokio::time::Instant;

use super::settle::{Settled, Settling, later, settle};
use super::worker::{Broken, Shop};
use crate::crash_points;
use crate::domain::delivery::DeliveryState;
use crate::domain::outcome::{Class, Failure, Outcome};
use crate::ledger::{
    Claim, Fixed, Gate, Held, NewChat, Next, Record, Release, Settle, Verdict, Write, Written,
};

/// The contact that was written to is not there any more (huechat §6.4).
const NOT_FOUND: u16 = 404;

impl Shop {
    /// An attempt was begun and its request has not left.
    pub(super) async fn take_back(
        &self,
        claim: &Claim,
        begun_at: Timestamp,
        next: Next,
    ) -> Result<(), Broken> {
        let to = next.state();
        let record = Record {
            id: claim.id,
            attempt: claim.attempt + 1,
            begun_at,
            ended_at: self.clock.now(),
            revision: claim.revision,
            class: Class::NotSent,
            failure: None,
            next: next.clone(),
            chat: None,
            gate: None,
        };
        if self.recorder.write(Write::Record(Box::new(record))).await? == Written::Done {
            self.tally.shift(DeliveryState::Sending, to);
        }
        self.note_due(&next);
        Ok(())
    }

    /// Remembers when the claims are to look again for what is put back.
    pub(super) fn note_due(&self, next: &Next) {
        match next {
            Next::Pending { due_at, .. } => self.note_due_at(*due_at),
            Next::Unanswered { again_at, .. } => self.note_due_at(*again_at),
            Next::Sent { .. } | Next::Failed | Next::Uncertain => {}
        }
    }

    pub(super) fn note_due_at(&self, due: Timestamp) {
        if let Ok(mut earliest) = self.due_again.lock() {
            *earliest = Some(earliest.map_or(due, |other| other.min(due)));
        }
    }

    /// The answer, or its absence, and what follows from it.
    pub(super) async fn record(
        &self,
        claim: &Claim,
        fixed: Fixed,
        begun_at: Timestamp,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        crash_points::reach("answer.received").await;
        let now = self.clock.now();
        let settled = self.settle(claim, &outcome, (begun_at, now));
        if let Outcome::MediaLost { .. } = outcome {
            self.uploads
                .forget(&fixed.attachments)
                .await
                .map_err(Broken::Ledger)?;
        }
        if let Some(reason) = settled.halt {
            self.halt(reason);
        }
        let http = outcome.failure().and_then(|failure| failure.http);
        if self.gateway.needs_contacts() && http == Some(NOT_FOUND) {
            self.forget_contact(claim).await?;
        }
        if let Some(failure) = outcome.failure() {
            tracing::debug!(
                row = claim.row,
                class = outcome.class().as_str(),
                code = failure.code,
                http = failure.http,
                trace_id = failure.trace_id.as_deref(),
                "not accepted"
            );
            self.tally
                .change(|view| view.last_failure = Some(failure.clone()));
        }
        let to = settled.next.state();
        let written = self
            .recorder
            .write(Write::Record(Box::new(Record {
                id: claim.id,
                attempt: claim.attempt + 1,
                begun_at,
                ended_at: now,
                revision: claim.revision,
                class: outcome.class(),
                failure: outcome.failure().cloned(),
                next: settled.next.clone(),
                chat: settled.chat,
                gate: settled.gate,
            })))
            .await?;
        crash_points::reach("record.committed").await;
        self.note_due(&settled.next);
        match written {
            Written::Done => self.tally.shift(DeliveryState::Sending, to),
            Written::Late | Written::Held { .. } | Written::LeftOut => {
                tracing::warn!(row = claim.row, "a late outcome; it changes nothing");
                self.tally.change(|view| view.late += 1);
            }
        }
        Ok(())
    }

    /// What follows from an outcome. A wait holds in this process from now on.
    pub(super) fn settle(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        (begun_at, now): (Timestamp, Timestamp),
    ) -> Settled {
        let chance = self.chance.lock().map_or(0.5, |mut rng| rng.f64());
        let mut settled = settle(
            outcome,
            Settling {
                policy: &self.run.terms.retry,
                gateway: &self.run.gateway,
                phone: &claim.phone,
                line: &claim.line,
                tries: claim.tries,
                may_be_out: claim.unanswered_since.is_some(),
                can_look_up: self.gateway.finds_chats() || claim.known_chat().is_some(),
                shown_after: self.gateway.shown_after(),
                first_attempt_at: claim.first_attempt_at.unwrap_or(begun_at),
                key_since: claim.unanswered_since.unwrap_or(begun_at),
                key_retention: self.gateway.key_retention(),
                now,
                chance,
            },
        );
        if settled.gate.is_none() {
            settled.gate = self.used_up(now);
        }
        if let Some(gate) = &settled.gate {
            // Before it is committed: what is in hand must know first.
            self.gates.extend(gate, now, Instant::now());
        }
        settled
    }

    /// A wait for everybody, where the provider says that what is on the wire uses up what it still
    /// takes: better than to be refused.
    fn used_up(&self, now: Timestamp) -> Option<Gate> {
        let left = self.gateway.allowance()?;
        let on_the_wire = self.most_on_the_wire - self.wire.available_permits();
        (usize::try_from(left.remaining).is_ok_and(|left| left <= on_the_wire)).then(|| Gate {
            gateway: self.run.gateway.clone(),
            held: Held::Account,
            until: later(now, left.renewed_in),
            inactive_since: None,
            reason: "the account's requests for this minute are used up".to_owned(),
        })
    }

    /// Stops the run for a reason that every delivery shares.
    pub(super) fn halt(&self, reason: String) {
        if let Ok(mut halted) = self.halted.lock() {
            halted.get_or_insert(reason);
        }
        self.stop.cancel();
    }

    /// A file was not taken: the delivery goes on as if the message had been refused, but no
    /// attempt is counted as begun.
    pub(super) async fn refuse(&self, claim: &Claim, outcome: &Outcome) -> Result<(), Broken> {
        let now = self.clock.now();
        let settled = self.settle(claim, outcome, (now, now));
        if let Some(reason) = settled.halt {
            self.halt(reason);
        }
        self.release(
            claim,
            Some((settled.next, outcome.failure().cloned())),
            settled.gate,
        )
        .await
    }

    /// Gives a claim back before any attempt was begun.
    pub(super) async fn release(
        &self,
        claim: &Claim,
        next: Option<(Next, Option<Failure>)>,
        gate: Option<Gate>,
    ) -> Result<(), Broken> {
        let to = next.as_ref().map(|(next, _)| next.state());
        // One without an answer stays on the wire.
        let to = to.filter(|to| *to != DeliveryState::Sending);
        let (next, failure) = next.unzip();
        let due = next.clone();
        let release = Release {
            id: claim.id,
            attempt: claim.attempt,
            at: self.clock.now(),
            next,
            failure: failure.flatten(),
            gate,
        };
        let written = self
            .recorder
            .write(Write::Release(Box::new(release)))
            .await?;
        if let Some(next) = &due {
            self.note_due(next);
        }
        if let (Written::Done, Some(to)) = (written, to) {
            self.tally.shift(DeliveryState::Pending, to);
        }
        Ok(())
    }

    /// Ends the doubt about an attempt that nobody will repeat.
    pub(super) async fn end_doubt(
        &self,
        claim: &Claim,
        verdict: Verdict,
        chat: Option<NewChat>,
    ) -> Result<(), Broken> {
        let now = self.clock.now();
        let to = verdict.state();
        let settle = Settle {
            id: claim.id,
            attempt: claim.attempt,
            revision: claim.revision,
            begun_at: claim.begun_at.unwrap_or(now),
            at: now,
            verdict,
            chat,
        };
        let again = settle.verdict.again();
        if self.recorder.write(Write::Settle(Box::new(settle))).await? == Written::Done {
            self.tally.shift(DeliveryState::Sending, to);
        }
        if let Some((due_at, _)) = again {
            self.note_due_at(due_at);
        }
        Ok(())
    }
}
