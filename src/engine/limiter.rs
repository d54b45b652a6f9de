//! This process's own guard against bursts, at the wire. The rate itself is kept by the slots
//! that the claim reserves in the ledger; commits and slow answers can bunch what the slots had
//! spread, and this spreads it again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, InsufficientCapacity, NotUntil, Quota,
    RateLimiter,
};

use tokio::sync::Mutex;

use crate::domain::pace::Limit;
use crate::ledger::{AccountLimits, Limits};

/// So much earlier than its time a request may leave, since timers wake whoever waits for it some
/// milliseconds late. Without it each would push all those after it back, and a steady rate would
/// be missed by that much with every request. Slots are never early, so it makes nothing faster.
const EARLY_US: u64 = 5_000;

/// A limit in this process. A request is made of cells, so that it may be early by less than the
/// whole time between two.
#[derive(Debug)]
struct Spread<L> {
    limiter: L,
    cells: NonZeroU32,
}

impl<L> Spread<L> {
    fn of(limit: Limit, limiter: fn(Quota) -> L) -> Option<Self> {
        let interval_us = u64::try_from(limit.rate.interval_us()).ok()?;
        let cells = narrow(interval_us.div_ceil(EARLY_US))?;
        let cell = Duration::from_micros(interval_us) / cells.get();
        let early = u32::try_from(EARLY_US / interval_us).unwrap_or(u32::MAX);
        let most = cells
            .saturating_mul(limit.burst)
            .saturating_add(early.max(1));
        Some(Self {
            limiter: limiter(Quota::with_period(cell)?.allow_burst(most)),
            cells,
        })
    }
}

fn narrow(n: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX))
}

/// One limit for all, who pass in the order in which they came.
#[derive(Debug)]
struct Queue {
    spread: Spread<DefaultDirectRateLimiter>,
    head: Mutex<()>,
}

impl Queue {
    fn of(limit: Limit) -> Option<Self> {
        Some(Self {
            spread: Spread::of(limit, RateLimiter::direct)?,
            head: Mutex::default(),
        })
    }

    async fn pass(&self) {
        let Spread { limiter, cells } = &self.spread;
        // Timers do not wake in the order in which they fall due: somebody would wait for ever.
        let _head = self.head.lock().await;
        wait(|| limiter.check_n(*cells)).await;
    }
}

type Moment = <DefaultClock as governor::clock::Clock>::Instant;

/// Waits until there is room.
async fn wait(check: impl Fn() -> Result<Result<(), NotUntil<Moment>>, InsufficientCapacity>) {
    let clock = DefaultClock::default();
    // There is always room for one request in time: a burst holds one at least.
    while let Ok(Err(not_yet)) = check() {
        tokio::time::sleep(not_yet.wait_time_from(clock.now())).await;
    }
}

/// The account's limit in one process, shared by all its runs.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    limits: AccountLimits,
    queue: Option<Arc<Queue>>,
}

impl Guard {
    pub fn of(account: AccountLimits) -> Self {
        Self {
            limits: account,
            queue: account.rate.and_then(Queue::of).map(Arc::new),
        }
    }

    /// The account's limits themselves, for all processes together.
    pub(super) fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    /// Waits until one more request may leave.
    pub(super) async fn ready(&self) {
        if let Some(queue) = &self.queue {
            queue.pass().await;
        }
    }
}

/// Account, run and line limits of one run in one process.
#[derive(Debug)]
pub(super) struct Limiter {
    shared: Vec<Arc<Queue>>,
    lines: Option<Spread<DefaultKeyedRateLimiter<String>>>,
}

impl Limiter {
    pub(super) fn new(limits: &Limits, account: &Guard) -> Self {
        let run = Guard::of(AccountLimits::from(limits.run));
        let line = limits.line;
        Self {
            shared: [account.queue.clone(), run.queue]
                .into_iter()
                .flatten()
                .collect(),
            lines: line.and_then(|line| Spread::of(line, RateLimiter::keyed)),
        }
    }

    /// Whether there is any limit, so that slots are more than a turn.
    pub(super) fn is_any(&self) -> bool {
        !self.shared.is_empty() || self.lines.is_some()
    }

    /// Waits until a message from `line` may leave. The wait is short: its slot has come.
    pub(super) async fn ready(&self, line: &str) {
        for queue in &self.shared {
            queue.pass().await;
        }
        if let Some(lines) = &self.lines {
            let line = line.to_owned();
            wait(|| lines.limiter.check_key_n(&line, lines.cells)).await;
        }
    }
}
