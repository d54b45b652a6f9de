//! Drives a run: what it is driven with, how a process takes part, and why its part ended. The
//! loop itself is `floor`'s.
//!
//! It stops in two phases. First: nothing more is claimed or begun, what is on the wire is
//! finished and recorded. Second: what is on the wire is abandoned; it stays `sending` and is
//! asked for again with the same key when the run is resumed.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::floor::Floor;
use super::gates::Gates;
use super::limiter::Limiter;
use super::recorder::Recorder;
use super::tally::Tally;
use super::uploads::Uploads;
use super::worker::Shop;
use crate::domain::phone::Phone;
use crate::domain::run::RunState;
use crate::gateway::Gateway;
use crate::ledger::{Ledger, LedgerError, Limits, Owner, RunRecord};

/// Deliveries begun beside those on the wire.
const AHEAD: usize = 256;
/// The same where the provider honours no keys.
const AHEAD_WITHOUT_KEYS: usize = 8;

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
    /// Stopped by the user twice; what was on the wire is left without an outcome.
    Aborted,
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
/// A crash at any moment leaves the ledger whole; see `worker`.
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
    engine.ledger.attend(&session.owner, &engine.run).await?;
    let (recorder, writer) = Recorder::new(engine.ledger.clone(), session.owner.clone());
    let writer = tokio::spawn(writer);
    let shop = Arc::new(shop(engine, session, shutdown, recorder));
    let floor = Floor::new(engine, session, shop);
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
    // Where a key tells what became of an attempt, many may wait for the wire with their begin
    // committed, so that one commit serves them all; elsewhere each may end as uncertain.
    let ahead = if engine.gateway.key_retention().is_some() {
        AHEAD
    } else {
        AHEAD_WITHOUT_KEYS
    };
    Shop {
        run: engine.run.clone(),
        ledger: engine.ledger.clone(),
        gateway: engine.gateway.clone(),
        clock: engine.clock.clone(),
        recorder,
        limiter: Limiter::new(engine.limits),
        uploads: Uploads::new(
            engine.ledger.clone(),
            engine.gateway.clone(),
            engine.clock.clone(),
            engine.run.gateway.clone(),
        ),
        tally: engine.tally.clone(),
        ahead: Semaphore::new(concurrency * 2 + ahead),
        wire: Semaphore::new(concurrency),
        stop: shutdown.stop.child_token(),
        // Three deliveries may stand before one at the wire, each for a whole timeout.
        lease: engine.gateway.timeout() * 4 + SignedDuration::from_secs(30),
        gates: Gates::default(),
        halted: Mutex::default(),
        due_again: Mutex::default(),
        chance: Mutex::new(fastrand::Rng::with_seed(session.seed)),
    }
}
