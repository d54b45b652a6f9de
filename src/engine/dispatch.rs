//! The loop that drives a run: claims what is due, hands it to workers, waits for what comes
//! next, and stops in two phases.
//!
//! First phase: nothing more is claimed or begun, what is on the wire is finished and recorded.
//! Second phase: what is on the wire is abandoned; it stays `sending` and is asked for again
//! with the same key when the run is resumed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::gates::Gates;
use super::limiter::Limiter;
use super::recorder::Recorder;
use super::tally::Tally;
use super::uploads::Uploads;
use super::worker::{self, Broken, Shop};
use crate::domain::campaign::Terms;
use crate::domain::delivery::{Hold, SkipReason};
use crate::domain::phone::Phone;
use crate::domain::run::RunState;
use crate::domain::schedule::zone;
use crate::gateway::Gateway;
use crate::ledger::{
    Admission, Candidate, ClaimRequest, Claimed, Ledger, LedgerError, Limits, Owner, RunRecord,
};

/// Slots are reserved no further ahead than this.
const HORIZON: SignedDuration = SignedDuration::from_secs(1);
/// The ledger is asked at least this often, so that a pause by another process is noticed.
const POLL: SignedDuration = SignedDuration::from_secs(1);
/// Not more often than this when there is nothing to claim.
const LEAST_WAIT: SignedDuration = SignedDuration::from_millis(20);
/// With `until_idle`, waits up to this long are sat out: short retries belong to the sending.
const SHORT_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// How often processes that have ended are looked for.
const BURY_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Claims in a row that another program's lock may turn away; each has waited for it before.
const LOCKED_TRIES: u32 = 5;
/// Claims in hand beside those on the wire, so that the claim's commit is shared by many.
const IN_HAND: usize = 256;

/// A run and what it is driven with.
#[derive(Debug, Clone)]
pub struct Engine {
    pub ledger: Arc<dyn Ledger>,
    pub gateway: Arc<dyn Gateway>,
    pub clock: Arc<dyn Clock>,
    pub run: RunRecord,
    pub limits: Limits,
    pub tally: Arc<Tally>,
}

/// How this process takes part.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names this process in the ledger; not used by any other that lives.
    pub owner: Owner,
    /// Bring at most so many deliveries to an end.
    pub limit: Option<u64>,
    /// Send to this person alone; everybody else stays pending.
    pub only: Option<Phone>,
    /// What to do when nothing is due for a while.
    pub when_idle: WhenIdle,
    /// For the jitter of retries.
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenIdle {
    Wait,
    Leave,
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing of the run is open any more.
    Finished,
    /// Nothing is due before this time.
    Idle { next_at: Timestamp },
    /// As many as were asked for.
    LimitReached,
    /// Stopped by the user; what was on the wire has been recorded.
    Interrupted,
    /// Stopped by the user twice; the number of deliveries left on the wire.
    Aborted { on_the_wire: usize },
    /// The provider refuses the account; nothing more can be sent.
    Halted { reason: String },
    /// Somebody else changed the run's state.
    State(RunState),
}

/// The two phases of a stop, owned by whoever listens to signals.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Claim and begin nothing more.
    pub stop: CancellationToken,
    /// Give up what is on the wire.
    pub abort: CancellationToken,
}

/// Drives the run until it ends, is stopped, or has nothing to do.
///
/// A crash at any moment leaves the ledger whole; see [`super::worker`].
pub async fn dispatch(
    engine: &Engine,
    session: &Session,
    shutdown: &Shutdown,
) -> Result<Ended, LedgerError> {
    engine.ledger.bury().await?;
    engine
        .ledger
        .enlist(&session.owner, engine.clock.now())
        .await?;
    let (recorder, writer) = Recorder::new(engine.ledger.clone(), session.owner.clone());
    let writer = tokio::spawn(writer);
    let shop = Arc::new(shop(engine, session, shutdown, recorder));
    let floor = Floor {
        engine,
        session,
        shop,
        workers: JoinSet::new(),
        locked: 0,
        buried_at: engine.clock.now(),
    };
    let ended = floor.drive(shutdown, writer).await;
    engine.ledger.retire(&session.owner).await?;
    let ended = ended?;
    if let Ended::Halted { reason } = ended {
        return halt(engine, reason).await;
    }
    if matches!(ended, Ended::LimitReached | Ended::Interrupted) {
        // It may have been the last one.
        let done = engine
            .ledger
            .finish_if_done(&engine.run.run, engine.clock.now())
            .await?;
        return Ok(if done { Ended::Finished } else { ended });
    }
    Ok(ended)
}

/// The operator's word stands: a run that was paused or cancelled meanwhile stays so.
async fn halt(engine: &Engine, reason: String) -> Result<Ended, LedgerError> {
    let (run, now) = (&engine.run.run, engine.clock.now());
    match engine
        .ledger
        .set_state(run, RunState::Halted, Some(&reason), now)
        .await
    {
        Ok(_) => Ok(Ended::Halted { reason }),
        Err(LedgerError::BadTransition { from, .. }) => Ok(Ended::State(from)),
        Err(error) => Err(error),
    }
}

fn shop(engine: &Engine, session: &Session, shutdown: &Shutdown, recorder: Recorder) -> Shop {
    let concurrency = usize::try_from(engine.run.terms.pace.concurrency.get()).unwrap_or(1);
    Shop {
        run: engine.run.clone(),
        gateway: engine.gateway.clone(),
        clock: engine.clock.clone(),
        recorder,
        limiter: Limiter::new(engine.limits),
        gates: Gates::default(),
        uploads: Uploads::new(
            engine.ledger.clone(),
            engine.gateway.clone(),
            engine.clock.clone(),
            engine.run.gateway.clone(),
        ),
        tally: engine.tally.clone(),
        ahead: Semaphore::new(concurrency * 2 + 8),
        wire: Semaphore::new(concurrency),
        stop: shutdown.stop.child_token(),
        // Three deliveries may stand before one at the wire, each for a whole timeout.
        lease: engine.gateway.timeout() * 4 + SignedDuration::from_secs(30),
        halted: Mutex::default(),
        chance: Mutex::new(fastrand::Rng::with_seed(session.seed)),
    }
}

/// The state of one call of [`dispatch`].
struct Floor<'a> {
    engine: &'a Engine,
    session: &'a Session,
    shop: Arc<Shop>,
    workers: JoinSet<Result<(), Broken>>,
    /// Claims in a row that another program's lock has turned away.
    locked: u32,
    buried_at: Timestamp,
}

type Writer = JoinHandle<Result<(), LedgerError>>;

impl Floor<'_> {
    async fn drive(mut self, shutdown: &Shutdown, writer: Writer) -> Result<Ended, LedgerError> {
        let stop = self.shop.stop.clone();
        let ended = self.claim_and_send(&stop).await;
        stop.cancel();
        let left = self.finish_wire(&shutdown.abort).await;
        let halted = self
            .shop
            .halted
            .lock()
            .ok()
            .and_then(|halted| halted.clone());
        drop(self.shop);
        let written = writer.await.unwrap_or_else(|error| Err(died(&error)));
        written?;
        let left = left?;
        let ended = ended?;
        if left > 0 {
            return Ok(Ended::Aborted { on_the_wire: left });
        }
        Ok(halted.map_or(ended, |reason| Ended::Halted { reason }))
    }

    async fn claim_and_send(&mut self, stop: &CancellationToken) -> Result<Ended, LedgerError> {
        let mut ask_at = self.engine.clock.now();
        loop {
            let busy = !self.workers.is_empty();
            while let Some(done) = self.workers.try_join_next() {
                read(done)?;
            }
            if busy && self.workers.is_empty() {
                // Only now can it show that the run is at its end.
                ask_at = self.engine.clock.now();
            }
            if stop.is_cancelled() {
                return Ok(Ended::Interrupted);
            }
            if self.limit_left() == Some(0) {
                return Ok(Ended::LimitReached);
            }
            let room = self.room();
            if room > 0 && self.engine.clock.now() >= ask_at {
                let Some(claimed) = self.claim_unless_locked(room).await? else {
                    ask_at = self.ask_again_at(Some(Timestamp::MAX));
                    self.wait(stop, ask_at).await?;
                    continue;
                };
                let nothing = claimed.claims.is_empty() && claimed.moved == 0;
                if claimed.state != RunState::Running {
                    return Ok(Ended::State(claimed.state));
                }
                let next_at = claimed.next_at;
                self.start(claimed);
                if nothing
                    && self.workers.is_empty()
                    && let Some(ended) = self.idle(next_at).await?
                {
                    return Ok(ended);
                }
                ask_at = if nothing {
                    self.ask_again_at(next_at)
                } else {
                    self.engine.clock.now()
                };
            }
            self.wait(stop, ask_at).await?;
        }
    }

    /// How many deliveries may be taken on now; 0 until it is worth a claim.
    fn room(&self) -> u32 {
        let concurrency = self.engine.run.terms.pace.concurrency.get();
        let most = usize::try_from(concurrency).unwrap_or(1) * 3 + IN_HAND;
        let free = most.saturating_sub(self.workers.len());
        let free = if free >= IN_HAND / 2 { free } else { 0 };
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        let in_hand = u64::try_from(self.workers.len()).unwrap_or(u64::MAX);
        self.limit_left().map_or(free, |left| {
            free.min(u32::try_from(left.saturating_sub(in_hand)).unwrap_or(u32::MAX))
        })
    }

    fn limit_left(&self) -> Option<u64> {
        let limit = self.session.limit?;
        Some(limit.saturating_sub(self.engine.tally.snapshot().settled_here))
    }

    /// A claim; none while another program holds the ledger, as long as that is not for ever.
    /// Looks for processes that have ended now and then, so that theirs is taken over.
    async fn claim_unless_locked(&mut self, most: u32) -> Result<Option<Claimed>, LedgerError> {
        let now = self.engine.clock.now();
        if now.duration_since(self.buried_at) >= BURY_EVERY {
            self.engine.ledger.bury().await?;
            self.buried_at = now;
        }
        match self.claim(most).await {
            Err(LedgerError::Locked) if self.locked < LOCKED_TRIES => {
                self.locked += 1;
                tracing::warn!(tries = self.locked, "another program holds the ledger");
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(claimed) => {
                self.locked = 0;
                Ok(Some(claimed))
            }
        }
    }

    async fn claim(&self, most: u32) -> Result<Claimed, LedgerError> {
        let engine = self.engine;
        let now = engine.clock.now();
        let later = |wait: SignedDuration| now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let request = ClaimRequest {
            run: &engine.run,
            owner: &self.session.owner,
            only: self.session.only.as_ref(),
            now,
            lease_until: later(self.shop.lease + HORIZON),
            most,
            horizon: later(HORIZON),
            limits: engine.limits,
        };
        let (terms, starts_at) = (&engine.run.terms, engine.run.starts_at);
        let admit = |candidate: Candidate<'_>| admit(terms, starts_at, now, candidate);
        engine.ledger.claim(&request, &admit).await
    }

    fn start(&mut self, claimed: Claimed) {
        let quiet = claimed.claims.is_empty() && self.workers.is_empty();
        let waiting_until = claimed.next_at.filter(|_| quiet);
        self.engine
            .tally
            .change(|view| view.waiting_until = waiting_until);
        for claim in claimed.claims {
            self.workers
                .spawn(worker::deliver(self.shop.clone(), claim));
        }
    }

    /// What an empty claim means when nothing is on the way either.
    async fn idle(&self, next_at: Option<Timestamp>) -> Result<Option<Ended>, LedgerError> {
        let engine = self.engine;
        let now = engine.clock.now();
        let Some(next_at) = next_at else {
            if self.session.only.is_some() {
                return Ok(Some(Ended::LimitReached));
            }
            let done = engine.ledger.finish_if_done(&engine.run.run, now).await?;
            return Ok(done.then_some(Ended::Finished));
        };
        let far = next_at.duration_since(now) > SHORT_WAIT;
        Ok((far && self.session.when_idle == WhenIdle::Leave).then_some(Ended::Idle { next_at }))
    }

    fn ask_again_at(&self, next_at: Option<Timestamp>) -> Timestamp {
        let now = self.engine.clock.now();
        let later = |wait: SignedDuration| now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        next_at.unwrap_or(now).clamp(later(LEAST_WAIT), later(POLL))
    }

    /// Waits until it is worth looking again.
    async fn wait(
        &mut self,
        stop: &CancellationToken,
        ask_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let room = self.room() > 0;
        let wait = ask_at.duration_since(self.engine.clock.now());
        let wait = Duration::try_from(wait).unwrap_or_default();
        if room && wait.is_zero() {
            // There is room: read who has finished, then claim at once.
            tokio::task::yield_now().await;
            return Ok(());
        }
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = stop.cancelled() => {}
            // cancel-safe: a worker that has ended stays in the set until it is read
            Some(done) = self.workers.join_next() => read(done)?,
            // cancel-safe: a timer
            () = tokio::time::sleep(wait), if room => {}
        }
        Ok(())
    }

    /// Lets what is on the wire come to its end; returns how many were abandoned instead.
    async fn finish_wire(&mut self, abort: &CancellationToken) -> Result<usize, LedgerError> {
        let mut first_fault = Ok(());
        loop {
            tokio::select! {
                biased;
                // cancel-safe: nothing is held while waiting
                () = abort.cancelled() => {
                    let left = self.workers.len();
                    self.workers.shutdown().await;
                    return first_fault.map(|()| left);
                }
                // cancel-safe: a worker that has ended stays in the set until it is read
                done = self.workers.join_next() => match done {
                    None => return first_fault.map(|()| 0),
                    Some(done) => first_fault = first_fault.and(read(done)),
                },
            }
        }
    }
}

/// What the domain says of a due delivery: what has begun must be settled; what is past its
/// time is skipped; what is outside the window waits.
fn admit(
    terms: &Terms,
    starts_at: Timestamp,
    now: Timestamp,
    candidate: Candidate<'_>,
) -> Admission {
    let expired = terms
        .expires
        .is_some_and(|kept| now.duration_since(starts_at) >= kept);
    if candidate.begun {
        Admission::Now
    } else if expired {
        Admission::Skip(SkipReason::Expired)
    } else if let Some(window) = &terms.window {
        let zone = candidate.timezone.and_then(zone::find);
        match window.next_open(now, zone.as_ref(), candidate.phone) {
            Ok(open) if open <= now => Admission::Now,
            Ok(until) => Admission::Hold {
                until,
                hold: Hold::Window,
            },
            Err(_) => Admission::Skip(SkipReason::NoWindow),
        }
    } else {
        Admission::Now
    }
}

/// A writer that has stopped keeps the reason itself, so `NotWritten` adds nothing here.
fn read(done: Result<Result<(), Broken>, JoinError>) -> Result<(), LedgerError> {
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Broken::Ledger(error))) => Err(error),
        Ok(Err(Broken::NotWritten)) => Err(LedgerError::Fault("the writer has stopped".to_owned())),
        Err(error) => Err(died(&error)),
    }
}

fn died(error: &JoinError) -> LedgerError {
    LedgerError::Fault(format!("a worker ended unexpectedly ({error})"))
}
