//! One delivery from claim to outcome. Each step is a crash window with a named answer:
//!
//! | crash | leaves behind |
//! |---|---|
//! | before `begin` is committed | a lease that ends; due again, no attempt burnt |
//! | after `begin`, before the answer is recorded | `sending`; the same key and body again while the provider remembers the key, else `uncertain` |
//! | after `record` is committed | the outcome |

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::gates::Gates;
use super::limiter::Limiter;
use super::recorder::{NotWritten, Recorder};
use super::settle::{Settled, Settling, settle};
use super::tally::Tally;
use super::uploads::{UploadError, Uploads, as_outcome};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::pace;
use crate::gateway::{Envelope, Gateway, Request};
use crate::ledger::{
    Begin, Claim, Fixed, LedgerError, Next, Record, Release, RunRecord, Write, Written,
};

/// What the workers of one process share.
pub(super) struct Shop {
    pub(super) run: RunRecord,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) recorder: Recorder,
    pub(super) limiter: Limiter,
    pub(super) uploads: Uploads,
    pub(super) tally: Arc<Tally>,
    /// Deliveries begun or on the wire; a little more than the wire takes, so that a commit is
    /// never waited for with an idle wire.
    pub(super) ahead: Semaphore,
    /// Requests on the wire.
    pub(super) wire: Semaphore,
    /// What the provider has asked this process to wait for.
    pub(super) gates: Gates,
    /// No new attempt is begun once this is cancelled.
    pub(super) stop: CancellationToken,
    /// From the beginning of an attempt until another process may take it over.
    pub(super) lease: SignedDuration,
    /// Why the run has to halt, by the first worker that learns it.
    pub(super) halted: Mutex<Option<String>>,
    pub(super) chance: Mutex<fastrand::Rng>,
    /// The earliest time at which something that a worker has put back is due again.
    pub(super) due_again: Mutex<Option<Timestamp>>,
}

/// Why a worker could not do its part; the run cannot go on in this process.
#[derive(Debug)]
pub(super) enum Broken {
    /// The writer has stopped; it holds the reason.
    NotWritten,
    Ledger(LedgerError),
}

impl From<NotWritten> for Broken {
    fn from(_: NotWritten) -> Self {
        Self::NotWritten
    }
}

/// Takes a claimed delivery as far as it goes for now.
pub(super) async fn deliver(shop: Arc<Shop>, claim: Claim) -> Result<(), Broken> {
    if claim.unanswered_since.is_some() && !shop.key_is_remembered(&claim) {
        return shop
            .leave_uncertain(
                &claim,
                "the process that sent it ended before the answer \
            came, and the provider no longer remembers the key",
            )
            .await;
    }
    if !shop.slot_comes(claim.slot_us).await {
        return shop.release(&claim, None, None).await;
    }
    let Some(ahead) = shop.place_ahead().await else {
        return shop.release(&claim, None, None).await;
    };
    if claim.unanswered_since.is_none()
        && let Some(next) = shop.barred(&claim)
    {
        return shop.release(&claim, Some((next, None)), None).await;
    }
    let key = IdempotencyKey::derive(&shop.run.run, &claim.recipient_key, 0, claim.revision);
    let prepared = match shop.prepare(&claim, &key).await? {
        Ok(prepared) => prepared,
        Err(outcome) => return shop.refuse(&claim, &outcome).await,
    };
    let (request, fixed) = prepared;
    if claim
        .fixed
        .as_ref()
        .is_some_and(|before| before.body_sha256 != fixed.body_sha256)
    {
        return shop
            .leave_uncertain(
                &claim,
                "this version of sendoff writes the request \
            differently from the one that first sent it",
            )
            .await;
    }
    let begun_at = shop.clock.now();
    if shop.begin(&claim, &fixed, begun_at).await? == Written::Late {
        tracing::info!(
            row = claim.row,
            "taken over by another process, or the run is not running any more"
        );
        return Ok(());
    }
    let outcome = shop.send(&claim, &request).await;
    drop(ahead);
    match outcome {
        Ok(outcome) => shop.record(&claim, fixed, begun_at, outcome).await,
        Err(next) => shop.take_back(&claim, begun_at, next).await,
    }
}

impl Shop {
    fn key_is_remembered(&self, claim: &Claim) -> bool {
        let first = claim.first_attempt_at.unwrap_or(self.clock.now());
        let age = self.clock.now().duration_since(first);
        self.gateway.key_retention().is_some_and(|kept| age < kept)
    }

    /// Waits for the reserved slot; false when the process is to stop first.
    async fn slot_comes(&self, slot_us: i64) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        let wait = pace::until(slot_us, pace::micros(self.clock.now()));
        if wait.is_zero() {
            return true;
        }
        let wait = Duration::try_from(wait).unwrap_or_default();
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = self.stop.cancelled() => false,
            // cancel-safe: a timer
            () = tokio::time::sleep(wait) => true,
        }
    }

    async fn place_ahead(&self) -> Option<SemaphorePermit<'_>> {
        tokio::select! {
            biased;
            // cancel-safe: nothing is held while waiting
            () = self.stop.cancelled() => None,
            // cancel-safe: a permit that was not handed out stays in the semaphore
            permit = self.ahead.acquire() => permit.ok(),
        }
    }

    /// The request of this delivery, and what it was built from. The inner error is the word of
    /// a provider that did not take a file.
    async fn prepare(
        &self,
        claim: &Claim,
        key: &IdempotencyKey,
    ) -> Result<Result<(Request, Fixed), Outcome>, Broken> {
        let (chat_id, attachments) = match &claim.fixed {
            Some(fixed) => (fixed.chat_id.clone(), fixed.attachments.clone()),
            None => match self.uploads.of(&claim.message).await {
                Ok(ids) => (claim.chat.as_ref().map(|chat| chat.chat_id.clone()), ids),
                Err(UploadError::Refused(outcome)) => return Ok(Err(as_outcome(outcome))),
                Err(UploadError::Ledger(error)) => return Err(Broken::Ledger(error)),
            },
        };
        let line = crate::domain::phone::Phone::from_e164(&claim.line).ok();
        let request = self.gateway.request(&Envelope {
            to: &claim.phone,
            chat_id: chat_id.as_deref(),
            line: line.as_ref(),
            message: &claim.message,
            attachments: &attachments,
            key,
        });
        let body_sha256 = Digest::of(&request.body);
        Ok(Ok((
            request,
            Fixed {
                chat_id,
                attachments,
                body_sha256,
            },
        )))
    }

    /// Commits that an attempt is about to be made.
    async fn begin(
        &self,
        claim: &Claim,
        fixed: &Fixed,
        begun_at: Timestamp,
    ) -> Result<Written, Broken> {
        let begin = Write::Begin(Box::new(Begin {
            id: claim.id,
            expected_attempt: claim.attempt,
            revision: claim.revision,
            fixed: fixed.clone(),
            at: begun_at,
            lease_until: begun_at
                .saturating_add(self.lease)
                .unwrap_or(Timestamp::MAX),
        }));
        let written = self.recorder.write(begin).await?;
        if written == Written::Done {
            self.tally.change(|view| {
                view.attempts_here += 1;
                if claim.unanswered_since.is_none() {
                    view.counts
                        .shift(DeliveryState::Pending, DeliveryState::Sending);
                }
            });
        }
        Ok(written)
    }

    /// The one HTTP exchange. Never inside a `select!`: it ends by its own timeout. The inner
    /// error is where the delivery goes instead when nothing may leave any more.
    async fn send(&self, claim: &Claim, request: &Request) -> Result<Outcome, Next> {
        let _wire = tokio::select! {
            biased;
            // cancel-safe: nothing is held while waiting; what follows finds the door barred
            () = self.stop.cancelled() => None,
            // cancel-safe: a permit that was not handed out stays in the semaphore
            permit = self.wire.acquire() => permit.ok(),
        };
        self.limiter.ready(&claim.line).await;
        match self.barred(claim) {
            Some(next) => Err(next),
            None => Ok(self.gateway.send(request).await),
        }
    }

    /// Where a delivery goes when its request must not leave now: the provider has asked for a
    /// wait, or the process is to stop. Burns no try.
    fn barred(&self, claim: &Claim) -> Option<Next> {
        let now = self.clock.now();
        let (until, hold) = match self.gates.closed(&claim.line, now) {
            Some(gate) => gate,
            None if self.stop.is_cancelled() => (now, Hold::Retry),
            None => return None,
        };
        Some(if claim.unanswered_since.is_some() {
            Next::Unanswered {
                again_at: until,
                tries: claim.tries,
            }
        } else {
            Next::Pending {
                due_at: until,
                hold,
                tries: claim.tries,
                anew: false,
            }
        })
    }

    /// An attempt was begun and its request has not left.
    async fn take_back(
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
            class: "not_sent",
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
    fn note_due(&self, next: &Next) {
        let due = match next {
            Next::Pending { due_at, .. } => *due_at,
            Next::Unanswered { again_at, .. } => *again_at,
            Next::Sent { .. } | Next::Failed | Next::Uncertain => return,
        };
        if let Ok(mut earliest) = self.due_again.lock() {
            *earliest = Some(earliest.map_or(due, |other| other.min(due)));
        }
    }

    async fn record(
        &self,
        claim: &Claim,
        fixed: Fixed,
        begun_at: Timestamp,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        let now = self.clock.now();
        let settled = self.settle(claim, &outcome, now);
        if let Outcome::MediaLost { .. } = outcome {
            self.uploads
                .forget(&fixed.attachments)
                .await
                .map_err(Broken::Ledger)?;
        }
        if let Some(reason) = settled.halt {
            self.halt(reason);
        }
        if let Some(failure) = outcome.failure() {
            tracing::debug!(
                row = claim.row,
                class = outcome.class(),
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
                class: outcome.class(),
                failure: outcome.failure().cloned(),
                next: settled.next.clone(),
                chat: settled.chat,
                gate: settled.gate,
            })))
            .await?;
        self.note_due(&settled.next);
        match written {
            Written::Done => self.tally.shift(DeliveryState::Sending, to),
            Written::Late => {
                tracing::warn!(row = claim.row, "a late outcome; it changes nothing");
                self.tally.change(|view| view.late += 1);
            }
        }
        Ok(())
    }

    fn settle(&self, claim: &Claim, outcome: &Outcome, now: Timestamp) -> Settled {
        let chance = self.chance.lock().map_or(0.5, |mut rng| rng.f64());
        let settled = settle(
            outcome,
            Settling {
                policy: &self.run.terms.retry,
                gateway: &self.run.gateway,
                phone: &claim.phone,
                line: &claim.line,
                tries: claim.tries,
                may_be_out: claim.unanswered_since.is_some(),
                first_attempt_at: claim.first_attempt_at.unwrap_or(now),
                key_retention: self.gateway.key_retention(),
                now,
                chance,
            },
        );
        if let Some(gate) = &settled.gate {
            // Before it is committed: what is in hand must know first.
            self.gates.extend(gate);
        }
        settled
    }

    /// Stops the run for a reason that every delivery shares.
    fn halt(&self, reason: String) {
        if let Ok(mut halted) = self.halted.lock() {
            halted.get_or_insert(reason);
        }
        self.stop.cancel();
    }

    /// A file was not taken: the delivery goes on as if the message had been refused, but no
    /// attempt is counted as begun.
    async fn refuse(&self, claim: &Claim, outcome: &Outcome) -> Result<(), Broken> {
        let settled = self.settle(claim, outcome, self.clock.now());
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

    async fn release(
        &self,
        claim: &Claim,
        next: Option<(Next, Option<Failure>)>,
        gate: Option<crate::ledger::Gate>,
    ) -> Result<(), Broken> {
        let to = next.as_ref().map(|(next, _)| next.state());
        let (next, failure) = next.unzip();
        let due = next.clone();
        let release = Release {
            id: claim.id,
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

    /// The last attempt has no answer and none can be had: a person must decide.
    async fn leave_uncertain(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        let now = self.clock.now();
        let record = Record {
            id: claim.id,
            attempt: claim.attempt,
            begun_at: claim.unanswered_since.unwrap_or(now),
            ended_at: now,
            class: "uncertain",
            failure: Some(Failure {
                text: why.to_owned(),
                ..Failure::default()
            }),
            next: Next::Uncertain,
            chat: None,
            gate: None,
        };
        if self.recorder.write(Write::Record(Box::new(record))).await? == Written::Done {
            self.tally
                .shift(DeliveryState::Sending, DeliveryState::Uncertain);
        }
        Ok(())
    }
}
