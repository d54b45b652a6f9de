//! Drives a run: what it is driven with, how a process takes part, and why its part ended. The
//! loop itself is `floor`'s.
//!
//! It stops in two phases. First: nothing more is claimed or begun, what is on the wire is
//! finished and recorded. Second: what is on the wire is abandoned; it stays `sending` and is
//! asked for again with the same key when the run is resumed.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clock::Clock;
use super::ears::Ears;
use super::floor::{Floor, Writer};
use super::heard::Heard;
use super::leases::Leases;
use super::limiter::{Guard, Limiter};
use super::lines::LineWatch;
use super::listener::{self, Listener};
use super::pulse::Pulse;
use super::receipts::{Looker, Seen, Unless};
use super::recorder::Recorder;
use super::tally::Tally;
use super::uploads::Uploads;
use super::worker::Shop;
use crate::crash_points;
use crate::domain::address::Address;
use crate::domain::run::RunState;
use crate::gateway::Gateway;
use crate::ledger::{Ledger, LedgerError, Limits, Owner, RunRecord, Worker};

/// Deliveries begun beside those on the wire, and those that are next at it.
const AHEAD: usize = 256;
/// The same where the provider honours no keys.
const AHEAD_WITHOUT_KEYS: usize = 8;
/// No more than so many for each place on the wire, so that a lease need not last for hours.
const AHEAD_OF_EACH: usize = 16;
/// A gateway whose timeout would make it longer is never waited for so long.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_hours(24 * 366);

/// A run and what it is driven with.
#[derive(Debug, Clone)]
pub struct Engine {
    pub ledger: Arc<dyn Ledger>,
    pub gateway: Arc<dyn Gateway>,
    pub clock: Arc<dyn Clock>,
    pub run: RunRecord,
    pub limits: Limits,
    /// The account's limit at the wire, for all runs of this process that use the gateway.
    pub guard: Guard,
    /// What this process hears people answer.
    pub ears: Ears,
    pub tally: Arc<Tally>,
}

/// How this process takes part.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose the leases are; not used by any other run or process that lives.
    pub owner: Owner,
    /// Names this process in the ledger.
    pub worker: Worker,
    /// The wire that this run shares with others of this process.
    pub share: Option<Share>,
    /// Bring at most so many deliveries to an end.
    pub limit: Option<u64>,
    /// Send to this person alone; everybody else stays pending.
    pub only: Option<Address>,
    /// What to do when nothing is due for a while.
    pub when_idle: WhenIdle,
    /// For the jitter of retries.
    pub seed: u64,
}

/// A wire for all runs of a process, so many requests wide.
///
/// It is given out in the order in which it is asked for, and no run asks for more of it at a time
/// than there is: so those that want all of it get the same, however large each is.
#[derive(Debug, Clone)]
pub struct Share {
    wire: Arc<Semaphore>,
    most: NonZeroU32,
}

impl Share {
    /// At most so many requests on the wire at a time.
    pub fn new(most: NonZeroU32) -> Self {
        let permits = usize::try_from(most.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            wire: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            most,
        }
    }

    /// Waits for a place on it; `None` where the process is to stop.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.wire.acquire().await.ok()
    }
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
    engine.ledger.bury(engine.clock.now()).await?;
    engine.ledger.follow_clock(&|| engine.clock.now()).await?;
    let told_at = Instant::now();
    engine
        .ledger
        .enlist(&session.owner, engine.clock.now())
        .await?;
    engine
        .ledger
        .attend(&session.owner, &session.worker, Some(&engine.run))
        .await?;
    let (recorder, writer) = Recorder::new(engine.ledger.clone(), session.owner.clone());
    let writer = tokio::spawn(writer);
    let heard = Arc::new(Heard::new(told_at, engine.ledger.silence()));
    let shop = Arc::new(shop(engine, session, shutdown, (recorder, heard)));
    let alive = CancellationToken::new();
    let pulse = pulse(engine, session, &shop).beat(alive.clone());
    let pulse = AbortOnDropHandle::new(tokio::spawn(pulse));
    let ended = send(engine, session, shutdown, (shop, writer)).await;
    // Nothing beats for an owner that has retired.
    alive.cancel();
    pulse.await.ok();
    crash_points::reach("retire.before").await;
    let retired = engine.ledger.retire(&session.owner).await;
    // What ended the run comes before what followed from it.
    let ended = ended?;
    retired?;
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

/// Nobody is written to before everything that was answered until now is in the ledger, and while
/// messages go out, answers are heard and receipts looked for.
async fn send(
    engine: &Engine,
    session: &Session,
    shutdown: &Shutdown,
    (shop, writer): (Arc<Shop>, Writer),
) -> Result<Ended, LedgerError> {
    let at = Looker {
        ledger: engine.ledger.clone(),
        gateway: engine.gateway.clone(),
        clock: engine.clock.clone(),
        guard: engine.guard.clone(),
    };
    let looker = at.clone();
    let (gateway, ears) = (&engine.run.gateway, &engine.ears);
    let listener = Listener::new(at, gateway, ears, session.seed).await?;
    let heard = listener.catch_up(&shutdown.stop, session.when_idle).await?;
    let listening = match heard {
        listener::Heard::All => Some(ears.join(gateway, listener)),
        // The loop ends by itself, in the way in which it always does.
        listener::Heard::NoLog | listener::Heard::Stopped => None,
        listener::Heard::Refused { reason } => return Ok(Ended::Halted { reason }),
        listener::Heard::NotYet { next_at } => return Ok(Ended::Idle { next_at }),
    };
    let lines = LineWatch::new(engine, &shop.gates);
    lines.look_at_all(&shutdown.stop).await?;
    let blind = CancellationToken::new();
    let _looking = AbortOnDropHandle::new(tokio::spawn({
        let (run, end, seed) = (engine.run.clone(), blind.child_token(), session.seed);
        async move {
            let (told, _) = watch::channel(Seen::default());
            looker.watch(&run, Unless::Never, seed, (&told, &end)).await;
        }
    }));
    let floor = Floor::new(engine, session, (shop, lines));
    let ended = floor.drive(shutdown, writer).await;
    blind.cancel();
    if let Some(listening) = listening {
        listening.leave().await;
    }
    ended
}

fn pulse(engine: &Engine, session: &Session, shop: &Shop) -> Pulse {
    Pulse {
        ledger: engine.ledger.clone(),
        clock: engine.clock.clone(),
        owner: session.owner.clone(),
        leases: shop.leases.clone(),
        heard: shop.heard.clone(),
        lease: shop.lease,
    }
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

fn shop(
    engine: &Engine,
    session: &Session,
    shutdown: &Shutdown,
    (recorder, heard): (Recorder, Arc<Heard>),
) -> Shop {
    let concurrency = usize::try_from(concurrency(engine, session)).unwrap_or(1);
    // Where a key tells what became of an attempt, many may wait for the wire with their begin
    // committed, so that one commit serves them all; elsewhere each may end as uncertain.
    let ahead = if engine.gateway.key_retention().is_some() {
        AHEAD
    } else {
        AHEAD_WITHOUT_KEYS
    };
    let begun = begun(concurrency, ahead);
    Shop {
        run: engine.run.clone(),
        ledger: engine.ledger.clone(),
        gateway: engine.gateway.clone(),
        clock: engine.clock.clone(),
        recorder,
        limiter: Limiter::new(&engine.limits, &engine.guard),
        guard: engine.guard.clone(),
        limits: engine.limits.clone(),
        ears: engine.ears.clone(),
        uploads: Uploads::new(
            engine.ledger.clone(),
            engine.gateway.clone(),
            engine.clock.clone(),
            engine.run.gateway.clone(),
        ),
        tally: engine.tally.clone(),
        ahead: Semaphore::new(begun),
        wire: Semaphore::new(concurrency),
        most_on_the_wire: concurrency,
        share: session.share.clone(),
        leases: Arc::new(Leases::default()),
        stop: shutdown.stop.child_token(),
        lease: lease(engine.gateway.timeout(), begun.div_ceil(concurrency.max(1))),
        heard,
        gates: Arc::default(),
        halted: Mutex::default(),
        due_again: Mutex::default(),
        chance: Mutex::new(fastrand::Rng::with_seed(session.seed)),
    }
}

/// The most requests of the run that this process has on the wire.
pub(super) fn concurrency(engine: &Engine, session: &Session) -> u32 {
    let own = engine.run.terms.pace.concurrency.get();
    let share = session.share.as_ref();
    share.map_or(own, |share| own.min(share.most.get()))
}

/// How many deliveries may be begun and without an answer.
fn begun(concurrency: usize, ahead: usize) -> usize {
    concurrency * 2 + ahead.min(concurrency * AHEAD_OF_EACH)
}

/// Long enough that an attempt which waits for the wire behind others has its answer within its
/// lease, even if each of them lasts for a whole timeout: `deep` are begun for each place on the
/// wire. And half a minute for everything else. Where more is in the way than that, the lease is
/// renewed, see `pulse`.
fn lease(timeout: SignedDuration, deep: usize) -> SignedDuration {
    let exchanges = i32::try_from(deep).unwrap_or(i32::MAX).saturating_add(1);
    let waits = timeout.checked_mul(exchanges).unwrap_or(LONGEST_LEASE);
    waits.min(LONGEST_LEASE) + SignedDuration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_until_the_last_of_those_begun_has_its_answer() {
        let timeout = SignedDuration::from_secs(30);
        for (concurrency, ahead) in [(1, AHEAD), (16, AHEAD), (512, AHEAD), (4, 8)] {
            let begun = begun(concurrency, ahead);
            assert!(begun > concurrency, "the wire would stand idle");
            let rounds = begun.div_ceil(concurrency);
            let lease = lease(timeout, rounds);
            assert!(lease >= timeout * i32::try_from(rounds + 1).unwrap());
            assert!(lease <= SignedDuration::from_mins(11), "{lease:?}");
        }
    }

    #[test]
    fn no_timeout_makes_a_lease_that_cannot_be_counted() {
        assert_eq!(
            lease(SignedDuration::MAX, usize::MAX),
            LONGEST_LEASE + SignedDuration::from_secs(30)
        );
    }
}
