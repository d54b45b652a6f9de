//! The loop that drives a run: claims what is due, hands it to workers, waits for what comes
//! next, and looks around for what other processes do. Sends nothing itself.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::admit;
use super::dispatch::{Ended, Engine, Session, Shutdown, WhenIdle, concurrency};
use super::settle::later;
use super::worker::{self, Broken, Shop};
use crate::crash_points;
use crate::domain::cap::Touch;
use crate::domain::pace::{self, HORIZON};
use crate::domain::run::RunState;
use crate::ledger::{Candidate, Claim, ClaimRequest, Claimed, DeliveryId, LedgerError};

/// The ledger is asked at least this often, so that a pause by another process, or its end, is
/// noticed.
pub(super) const POLL: SignedDuration = SignedDuration::from_secs(1);
/// Not more often than this when there is nothing to claim.
const LEAST_WAIT: SignedDuration = SignedDuration::from_millis(20);
/// With `until_idle`, waits up to this long are sat out: short retries belong to the sending.
pub(super) const SHORT_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// Claims in a row that another program's lock may turn away; each has waited for it before.
const LOCKED_TRIES: u32 = 5;
/// Claims in hand beside those on the wire, so that the claim's commit is shared by many.
const IN_HAND: usize = 768;

/// The state of one call of [`super::dispatch::dispatch`].
pub(super) struct Floor<'a> {
    engine: &'a Engine,
    session: &'a Session,
    shop: Arc<Shop>,
    workers: JoinSet<Finished>,
    /// What the workers hold, with the claim of each that was claimed again meanwhile: because its
    /// worker has just put it back and is not read yet, or because a clock that was set forward has
    /// ended its lease. It has its turn when that worker has ended, and then changes nothing that
    /// the worker has settled.
    in_hand: HashMap<DeliveryId, Option<Box<Claim>>>,
    /// The lines of those of them that a cap counts, or is about to.
    counted: HashMap<DeliveryId, String>,
    /// The last slot that was reserved here, in microseconds since the epoch.
    last_slot_us: i64,
    /// When the ledger is to be asked for work again.
    ask_at: Timestamp,
    /// When it is to be asked what other processes have done to the run.
    look_at: Timestamp,
    /// Claims in a row that another program's lock has turned away.
    locked: u32,
}

/// What became of the requests on the wire at a stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Finished,
    Abandoned,
}

/// A worker that has ended, and with what.
type Finished = (DeliveryId, Result<(), Broken>);
pub(super) type Writer = JoinHandle<Result<(), LedgerError>>;

impl<'a> Floor<'a> {
    pub(super) fn new(engine: &'a Engine, session: &'a Session, shop: Arc<Shop>) -> Self {
        Self {
            engine,
            session,
            shop,
            workers: JoinSet::new(),
            in_hand: HashMap::new(),
            counted: HashMap::new(),
            last_slot_us: i64::MIN,
            ask_at: engine.clock.now(),
            look_at: engine.clock.now(),
            locked: 0,
        }
    }

    /// Works until there is nothing left to do or a stop, and waits for what is on the wire.
    pub(super) async fn drive(
        mut self,
        shutdown: &Shutdown,
        writer: Writer,
    ) -> Result<Ended, LedgerError> {
        let stop = self.shop.stop.clone();
        let ended = self.claim_and_send(&stop).await;
        stop.cancel();
        let wire = self.finish_wire(&shutdown.abort).await;
        let halted = self
            .shop
            .halted
            .lock()
            .ok()
            .and_then(|halted| halted.clone());
        drop(self.shop);
        let written = writer.await.unwrap_or_else(|error| Err(died(&error)));
        written?;
        let (wire, ended) = (wire?, ended?);
        if wire == Wire::Abandoned {
            return Ok(Ended::Aborted);
        }
        Ok(halted.map_or(ended, |reason| Ended::Halted { reason }))
    }

    async fn claim_and_send(&mut self, stop: &CancellationToken) -> Result<Ended, LedgerError> {
        loop {
            while let Some(done) = self.workers.try_join_next() {
                self.joined(done)?;
            }
            if stop.is_cancelled() {
                return Ok(Ended::Interrupted);
            }
            if self.limit_left() == Some(0) {
                return Ok(Ended::LimitReached);
            }
            self.follow_clock();
            if self.engine.clock.now() >= self.look_at
                && let Some(ended) = self.look_around().await?
            {
                return Ok(ended);
            }
            let room = self.room();
            if room > 0
                && self.engine.clock.now() >= self.ask_at
                && let Some(ended) = self.take_on(room).await?
            {
                return Ok(ended);
            }
            self.wait(stop).await?;
        }
    }

    /// The clock was set back since the last look around; what the ledger says of waits is
    /// reckoned from the clock as it was until the next one.
    fn is_set_back(&self, now: Timestamp) -> bool {
        self.look_at > later(now, POLL)
    }

    /// A clock that was set back must not put off what is looked at once a second.
    fn follow_clock(&mut self) {
        let now = self.engine.clock.now();
        if self.is_set_back(now) {
            (self.look_at, self.ask_at) = (now, now);
        }
    }

    /// Claims what may be sent soon and hands it to workers.
    async fn take_on(&mut self, room: u32) -> Result<Option<Ended>, LedgerError> {
        let Some(claimed) = self.claim_unless_locked(room).await? else {
            self.ask_at = self.ask_again_at(Some(Timestamp::MAX));
            return Ok(None);
        };
        if claimed.state != RunState::Running {
            return Ok(Some(Ended::State(claimed.state)));
        }
        let nothing = claimed.claims.is_empty() && claimed.moved == 0;
        let next_at = claimed.next_at;
        self.start(claimed);
        if nothing
            && self.workers.is_empty()
            && let Some(ended) = self.idle(next_at).await?
        {
            return Ok(Some(ended));
        }
        self.ask_at = if nothing {
            self.ask_again_at(next_at)
        } else {
            self.engine.clock.now()
        };
        Ok(None)
    }

    /// What other processes have done meanwhile, however much is in hand here: one that was
    /// killed leaves its leases to us, and an operator may have changed the run's state.
    async fn look_around(&mut self) -> Result<Option<Ended>, LedgerError> {
        let engine = self.engine;
        let now = || engine.clock.now();
        for looked in [
            engine.ledger.bury(now()).await,
            engine.ledger.follow_clock(&now).await,
        ] {
            match looked {
                Ok(()) | Err(LedgerError::Locked) => {}
                Err(error) => return Err(error),
            }
        }
        let record = engine.ledger.run(&engine.run.run).await?;
        let now = engine.clock.now();
        self.look_at = later(now, POLL);
        let state = record.map_or(RunState::Running, |record| record.state);
        Ok((state != RunState::Running).then_some(Ended::State(state)))
    }

    /// Reads how a worker ended, and looks for work again as soon as there may be some.
    fn joined(&mut self, done: Result<Finished, JoinError>) -> Result<(), LedgerError> {
        let again = done.as_ref().ok().and_then(|(id, _)| {
            self.counted.remove(id);
            self.shop.leases.gave_back(*id);
            self.in_hand.remove(id).flatten()
        });
        read(done)?;
        if let Some(claim) = again {
            self.hand_out(*claim);
        }
        let due = self.shop.due_again.lock().ok();
        if let Some(due) = due.and_then(|mut due| due.take()) {
            self.ask_at = self.ask_at.min(due);
        }
        if self.workers.is_empty() {
            self.ask_at = self.engine.clock.now();
        }
        Ok(())
    }

    /// How many deliveries may be taken on now; 0 until it is worth a claim.
    fn room(&self) -> u32 {
        let concurrency = concurrency(self.engine, self.session);
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
    async fn claim_unless_locked(&mut self, most: u32) -> Result<Option<Claimed>, LedgerError> {
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
        crash_points::reach("claim.before").await;
        // Read last: how far this clock is from a server's is measured by it.
        let now = engine.clock.now();
        let request = ClaimRequest {
            run: &engine.run,
            owner: &self.session.owner,
            only: self.session.only.as_ref(),
            now,
            lease_until: later(now, self.shop.lease + HORIZON),
            most,
            horizon: later(now, HORIZON),
            limits: engine.limits.clone(),
            in_hand: self.in_hand_by_line(),
            sated: self.last_slot_us > pace::micros(now),
        };
        let (terms, starts_at) = (&engine.run.terms, engine.run.starts_at);
        let admit = |candidate: Candidate<'_>| admit(terms, starts_at, candidate);
        let claimed = engine.ledger.claim(&request, &admit).await;
        crash_points::reach("claim.committed").await;
        claimed
    }

    fn in_hand_by_line(&self) -> BTreeMap<String, u32> {
        let mut by_line = BTreeMap::new();
        for line in self.counted.values() {
            *by_line.entry(line.clone()).or_default() += 1;
        }
        by_line
    }

    fn start(&mut self, claimed: Claimed) {
        // What is in hand already must not leave through a gate that another process closed.
        let now = self.engine.clock.now();
        if !self.is_set_back(now) {
            for gate in &claimed.gates {
                self.shop.gates.extend(gate, now, Instant::now());
            }
        }
        let idle = claimed.claims.is_empty() && self.workers.is_empty();
        let waiting_until = claimed.next_at.filter(|_| idle);
        self.engine
            .tally
            .change(|view| view.waiting_until = waiting_until);
        for claim in claimed.claims {
            self.last_slot_us = self.last_slot_us.max(claim.slot_us);
            self.hand_out(claim);
        }
    }

    /// Gives a claim to a worker, or keeps it until the one that holds the delivery has ended.
    fn hand_out(&mut self, claim: Claim) {
        match self.in_hand.entry(claim.id) {
            Entry::Occupied(mut held) => {
                held.insert(Some(Box::new(claim)));
            }
            Entry::Vacant(free) => {
                free.insert(None);
                let limits = &self.engine.limits;
                let capped = limits.day.is_some() || limits.first_touch.is_some();
                if capped && claim.touch() != Touch::Again {
                    self.counted.insert(claim.id, claim.line.clone());
                }
                self.shop.leases.took(claim.id);
                let shop = self.shop.clone();
                self.workers
                    .spawn(async move { (claim.id, worker::deliver(shop, claim).await) });
            }
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
            crash_points::reach("finish.before").await;
            let done = engine.ledger.finish_if_done(&engine.run.run, now).await?;
            crash_points::reach("finish.committed").await;
            return Ok(done.then_some(Ended::Finished));
        };
        let far = next_at.duration_since(now) > SHORT_WAIT;
        Ok((far && self.session.when_idle == WhenIdle::Leave).then_some(Ended::Idle { next_at }))
    }

    fn ask_again_at(&self, next_at: Option<Timestamp>) -> Timestamp {
        let now = self.engine.clock.now();
        next_at
            .unwrap_or(now)
            .clamp(later(now, LEAST_WAIT), later(now, POLL))
    }

    /// Waits until it is worth looking again.
    async fn wait(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        let until = if self.room() > 0 {
            self.ask_at.min(self.look_at)
        } else {
            self.look_at
        };
        let wait = until.duration_since(self.engine.clock.now());
        let wait = Duration::try_from(wait).unwrap_or_default();
        if wait.is_zero() {
            // Read who has finished, then ask at once.
            tokio::task::yield_now().await;
            return Ok(());
        }
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = stop.cancelled() => {}
            // cancel-safe: a worker that has ended stays in the set until it is read
            Some(done) = self.workers.join_next() => self.joined(done)?,
            // cancel-safe: a timer
            () = tokio::time::sleep(wait) => {}
        }
        Ok(())
    }

    /// Lets what is on the wire come to its end, unless it is to be abandoned.
    async fn finish_wire(&mut self, abort: &CancellationToken) -> Result<Wire, LedgerError> {
        let mut first_fault = Ok(());
        loop {
            tokio::select! {
                biased;
                // cancel-safe: nothing is held while waiting
                () = abort.cancelled() => {
                    self.workers.shutdown().await;
                    return first_fault.map(|()| Wire::Abandoned);
                }
                // cancel-safe: a worker that has ended stays in the set until it is read
                done = self.workers.join_next() => match done {
                    None => return first_fault.map(|()| Wire::Finished),
                    Some(done) => first_fault = first_fault.and(read(done)),
                },
            }
        }
    }
}

/// A writer that has stopped keeps the reason itself, so `NotWritten` adds nothing here.
fn read(done: Result<Finished, JoinError>) -> Result<(), LedgerError> {
    match done {
        Ok((_, Ok(()))) => Ok(()),
        Ok((_, Err(Broken::Ledger(error)))) => Err(error),
        Ok((_, Err(Broken::NotWritten))) => {
            Err(LedgerError::Fault("the writer has stopped".to_owned()))
        }
        Err(error) => Err(died(&error)),
    }
}

fn died(error: &JoinError) -> LedgerError {
    LedgerError::Fault(format!("a worker ended unexpectedly ({error})"))
}
