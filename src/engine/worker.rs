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
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::admission::admit;
use super::clock::Clock;
use super::dispatch::Share;
use super::ears::{Ears, Mark};
use super::gates::Gates;
use super::heard::Heard;
use super::leases::Leases;
use super::limiter::{Guard, Limiter};
use super::recorder::{NotWritten, Recorder};
use super::settle::later;
use super::tally::Tally;
use super::turns::kept_back;
use super::uploads::{UploadError, Uploads, as_outcome};
use crate::crash_points;
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::outcome::Outcome;
use crate::domain::pace;
use crate::domain::phone::Phone;
use crate::gateway::{Envelope, Gateway, Recall, Request};
use crate::ledger::{
    Admission, Begin, Candidate, Claim, Fixed, Ledger, LedgerError, Limits, Next, RunRecord, Write,
    Written,
};

/// A slot that is this long past, because the process stood still or the ledger did, is not made
/// up for: other processes have theirs now, and all together must not be faster than the limit.
/// Far more than a commit takes.
const MISSED: Duration = Duration::from_millis(250);

/// Where no key tells what became of a request, it leaves so soon after its begin, or not at all.
/// The begin is all that a later process knows of it, and the time in which the provider comes to
/// show it counts from when it left.
const LEAVES_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What the workers of one process share.
pub(super) struct Shop {
    pub(super) run: RunRecord,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) recorder: Recorder,
    pub(super) limiter: Limiter,
    /// The account's, for requests that are no messages.
    pub(super) guard: Guard,
    pub(super) limits: Limits,
    pub(super) ears: Ears,
    pub(super) uploads: Uploads,
    pub(super) tally: Arc<Tally>,
    /// Deliveries begun or on the wire; a little more than the wire takes, so that a commit is
    /// never waited for with an idle wire.
    pub(super) ahead: Semaphore,
    /// Requests on the wire.
    pub(super) wire: Semaphore,
    /// How many that are at most.
    pub(super) most_on_the_wire: usize,
    /// The same for all runs of the process.
    pub(super) share: Option<Share>,
    /// What is in hand.
    pub(super) leases: Arc<Leases>,
    /// What the provider has asked this process to wait for.
    pub(super) gates: Arc<Gates>,
    /// No new attempt is begun once this is cancelled.
    pub(super) stop: CancellationToken,
    /// From the beginning of an attempt until another process may take it over.
    pub(super) lease: SignedDuration,
    /// When the ledger was last told that this process lives.
    pub(super) heard: Arc<Heard>,
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

/// A commit that was made so long before its request can leave says nothing about what others have
/// heard since: whether the person still may be written to is asked once more.
const STILL: Duration = Duration::from_millis(100);

/// Between two such questions about one attempt.
const SOON: Duration = Duration::from_millis(1);

/// When an attempt was begun.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Timestamp,
    /// The same by a clock that nobody sets.
    instant: Instant,
    /// What had been heard by then.
    mark: Mark,
}

/// Takes a claimed delivery as far as it goes for now.
pub(super) async fn deliver(shop: Arc<Shop>, claim: Claim) -> Result<(), Broken> {
    if let Some(why) = shop.unrepeatable(&claim) {
        return shop.reconcile(&claim, why).await;
    }
    if !shop.slot_comes(claim.slot_us).await {
        return shop.release(&claim, None, None).await;
    }
    let Some(ahead) = shop.place_ahead().await else {
        return shop.release(&claim, None, None).await;
    };
    crash_points::reach("slot.waited").await;
    if claim.unanswered_since.is_none()
        && let Some(next) = shop.barred(&claim)
    {
        return shop.release(&claim, Some((next, None)), None).await;
    }
    let contact_id = match shop.contact(&claim).await? {
        Ok(contact_id) => contact_id,
        // It has its turn when the account's count gives it one.
        Err(outcome) if kept_back(&outcome) => return shop.release(&claim, None, None).await,
        Err(outcome) => return shop.refuse(&claim, &outcome).await,
    };
    let key = IdempotencyKey::derive(&shop.run.run, &claim.recipient_key, 0, claim.revision);
    let prepared = match shop.prepare(&claim, &key, contact_id.as_deref()).await? {
        Ok(prepared) => prepared,
        Err(outcome) => return shop.refuse(&claim, &outcome).await,
    };
    let (request, fixed) = prepared;
    if let Some(before) = &claim.fixed
        && before.body_sha256 != fixed.body_sha256
    {
        return shop.other_body(&claim).await;
    }
    crash_points::reach("begin.before").await;
    let begun = shop.begun();
    let begun_at = begun.at;
    match shop.begin(&claim, &fixed, begun_at).await? {
        Written::Done => {}
        Written::Held { until } => {
            shop.note_due_at(until);
            return Ok(());
        }
        Written::LeftOut => {
            tracing::info!(row = claim.row, "the person has opted out meanwhile");
            shop.tally
                .shift(DeliveryState::Pending, DeliveryState::Skipped);
            return Ok(());
        }
        Written::Late => {
            tracing::info!(
                row = claim.row,
                "taken over by another process, or the run is not running any more"
            );
            return Ok(());
        }
    }
    crash_points::reach("begin.committed").await;
    if shop.missed(begun.instant) {
        let next = put_back(&claim, shop.clock.now(), Hold::Retry);
        return shop.take_back(&claim, begun_at, next).await;
    }
    let outcome = shop.send(&claim, &request, begun).await;
    drop(ahead);
    match outcome {
        Ok(outcome) => shop.record(&claim, fixed, begun_at, outcome).await,
        Err(next) => shop.take_back(&claim, begun_at, next).await,
    }
}

impl Shop {
    /// Why an attempt without an answer cannot be repeated to learn what became of it; `None`:
    /// it can, or there is none.
    fn unrepeatable(&self, claim: &Claim) -> Option<&'static str> {
        let since = claim.unanswered_since?;
        let now = self.clock.now();
        let Some(kept) = self.gateway.key_retention() else {
            return Some("no answer came, and the provider knows no keys to ask again with");
        };
        if now.duration_since(since) >= kept {
            return Some("no answer came, and the provider no longer remembers the key");
        }
        let first = claim.first_attempt_at.unwrap_or(since);
        // A claim after a crash is one more chance, whatever was used up before.
        let spent = claim.tries > 0 && !self.run.terms.retry.allows(claim.tries, first, now);
        spent.then_some("no answer came, and the tries are used up")
    }

    /// Whether what was to take no time has begun too long ago for its slot.
    fn missed(&self, begun: Instant) -> bool {
        self.limiter.is_any() && begun.elapsed() > MISSED
    }

    /// Waits for the reserved slot; false when the process is to stop first, or has missed it.
    async fn slot_comes(&self, slot_us: i64) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        let wait = pace::until(slot_us, pace::micros(self.clock.now()));
        if wait.is_zero() {
            return true;
        }
        let slot = Instant::now() + Duration::try_from(wait).unwrap_or_default();
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = self.stop.cancelled() => false,
            // cancel-safe: a timer
            () = tokio::time::sleep_until(slot) => !self.missed(slot),
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
        contact_id: Option<&str>,
    ) -> Result<Result<(Request, Fixed), Outcome>, Broken> {
        let (chat_id, attachments) = match &claim.fixed {
            Some(fixed) => (fixed.chat_id.clone(), fixed.attachments.clone()),
            None => match self.uploads.of(&claim.message).await {
                Ok(ids) => (claim.known_chat().map(str::to_owned), ids),
                Err(UploadError::Refused(outcome)) => return Ok(Err(as_outcome(outcome))),
                Err(UploadError::Ledger(error)) => return Err(Broken::Ledger(error)),
            },
        };
        let line = Phone::from_e164(&claim.line).ok();
        let request = self.gateway.request(&Envelope {
            to: &claim.phone,
            contact_id,
            channel: self.run.terms.channel,
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
                contact_id: contact_id.map(str::to_owned),
                attachments,
                body_sha256,
            },
        )))
    }

    fn begun(&self) -> Begun {
        Begun {
            at: self.clock.now(),
            instant: Instant::now(),
            mark: self.ears.mark(),
        }
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
            lease_until: later(begun_at, self.lease),
            unanswered: claim.begun_at.filter(|_| claim.unanswered_since.is_some()),
            under: self.limits.under(&self.run, &claim.line, claim.touch()),
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
    async fn send(&self, claim: &Claim, request: &Request, begun: Begun) -> Result<Outcome, Next> {
        let _wire = tokio::select! {
            biased;
            // cancel-safe: nothing is held while waiting; what follows finds the door barred
            () = self.stop.cancelled() => None,
            // cancel-safe: permits that were not handed out stay in their semaphores
            places = self.places() => places,
        };
        self.limiter.ready(&claim.line).await;
        let mut mark = begun.mark;
        let mut is_old = begun.instant.elapsed() >= STILL;
        loop {
            // What may be out already is not taken back: only the provider can tell what became of it.
            let may_go_back = claim.unanswered_since.is_none();
            if may_go_back && (is_old || self.ears.heard_since(mark)) {
                mark = self.ears.mark();
                if self.may_have_opted_out(claim).await {
                    return Err(put_back(claim, self.clock.now(), Hold::Retry));
                }
            }
            if let Some(next) = self.barred(claim).or_else(|| self.stale(claim, begun.at)) {
                return Err(next);
            }
            if !may_go_back {
                return Ok(self.gateway.send(request).await);
            }
            let (ears, clock) = (self.ears.clone(), self.clock.clone());
            let left_by = self.left_by(begun.at);
            let recall = Recall::new(move || {
                ears.heard_since(mark) || left_by.is_some_and(|left_by| clock.now() >= left_by)
            });
            if let Some(outcome) = self.gateway.send_unless(request, &recall).await {
                return Ok(outcome);
            }
            // Something was heard while it waited for its connection; a word that is on its way
            // to the ledger is there soon.
            is_old = false;
            sleep(SOON).await;
        }
    }

    /// Whether the ledger has the person on its list by now, or cannot say. An attempt that was
    /// begun before, and is not on the wire yet, goes back then: the next claim finds out why.
    async fn may_have_opted_out(&self, claim: &Claim) -> bool {
        let people = [&claim.phone];
        match self.ledger.suppressed(&self.run.gateway, &people).await {
            Ok(listed) => !listed.is_empty(),
            Err(error) => {
                tracing::warn!(%error, row = claim.row, "nobody can say whether they opted out");
                true
            }
        }
    }

    /// A place on the run's own wire, then one on that of the process: so no run stands in the
    /// way of another with more than it may send at a time.
    async fn places(&self) -> Option<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>)> {
        let own = self.wire.acquire().await.ok()?;
        let shared = match &self.share {
            None => None,
            Some(share) => Some(share.place().await?),
        };
        Some((own, shared))
    }

    /// A request that was begun then has left by this time, or does not leave. `None`: it may as long
    /// as its lease lasts, since its key tells everything.
    pub(super) fn left_by(&self, begun_at: Timestamp) -> Option<Timestamp> {
        let knows_keys = self.gateway.key_retention().is_some();
        (!knows_keys).then(|| later(begun_at, LEAVES_WITHIN))
    }

    /// The same for an attempt that was begun too long ago, because the wire was slow or the
    /// machine asleep: whoever takes over a lease that is over must find nothing on the wire,
    /// and the key of an unanswered attempt must not be used once the provider may forget it. Nor
    /// is anything sent by a process that may count as gone: all that it has may be another's.
    fn stale(&self, claim: &Claim, begun_at: Timestamp) -> Option<Next> {
        let now = self.clock.now();
        let leaves_no_more = self.left_by(begun_at).is_some_and(|left_by| now >= left_by);
        let lease =
            later(begun_at, self.lease).max(self.leases.until(claim.id).unwrap_or(begun_at));
        let last_moment = later(lease, -self.gateway.timeout());
        let may_be_anothers = self.heard.too_long_ago() || self.leases.is_lost(claim.id);
        let is_over = leaves_no_more || now >= last_moment;
        (is_over || may_be_anothers || self.unrepeatable(claim).is_some())
            .then(|| put_back(claim, now, Hold::Retry))
    }

    /// By the clock that decides: this machine's may show an hour in which nothing is allowed, or
    /// one in which everything still is.
    fn admission(&self, claim: &Claim, now: Timestamp) -> Admission {
        let (here, now) = (now, self.ledger.time(now));
        let candidate = Candidate {
            phone: &claim.phone,
            timezone: claim.timezone.as_deref(),
            begun: claim.unanswered_since.is_some(),
            window_until: claim.window_until,
            now,
        };
        match admit(&self.run.terms, self.run.starts_at, candidate) {
            Admission::Hold { until, hold } => Admission::Hold {
                until: later(here, until.duration_since(now)),
                hold,
            },
            admission @ (Admission::Now | Admission::Skip(_)) => admission,
        }
    }

    /// Where a delivery goes when its request must not leave now: the provider has asked for a
    /// wait, the process is to stop, or the window has closed since the claim. Burns no try.
    fn barred(&self, claim: &Claim) -> Option<Next> {
        let now = self.clock.now();
        let (until, hold) = match self.gates.closed(&claim.line, &claim.phone, now) {
            Some(gate) => gate,
            None if self.stop.is_cancelled() => (now, Hold::Retry),
            None => match self.admission(claim, now) {
                Admission::Now => return None,
                Admission::Hold { until, hold } => (until, hold),
                // The next claim finds the same, and says so.
                Admission::Skip(_) => (now, Hold::Retry),
            },
        };
        Some(put_back(claim, until, hold))
    }
}

/// As it was before the attempt, and due at `at`.
fn put_back(claim: &Claim, at: Timestamp, hold: Hold) -> Next {
    if claim.unanswered_since.is_some() {
        Next::Unanswered {
            again_at: at,
            tries: claim.tries,
        }
    } else {
        Next::Pending {
            due_at: at,
            hold,
            tries: claim.tries,
            anew: false,
        }
    }
}
