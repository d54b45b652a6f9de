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

/// So much earlier than its time a request may leave at least, since timers wake whoever waits for
/// it some milliseconds late. Without it each would push all those after it back, and a steady rate
/// would be missed by that much with every request. Slots are never early, so it makes nothing
/// faster.
const EARLY_US: u64 = 5_000;

/// A limit in this process. A request is made of cells, so that it may be early by less than the
/// whole time between two.
#[derive(Debug)]
struct Spread<L> {
    limiter: L,
    cells: NonZeroU32,
}

impl<L> Spread<L> {
    fn of(limit: Limit, limiter: impl FnOnce(Quota) -> L) -> Option<Self> {
        let interval_us = u64::try_from(limit.rate.interval_us()).ok()?;
        let cells = narrow(interval_us.div_ceil(EARLY_US))?;
        let cell = Duration::from_micros(interval_us) / cells.get();
        let early = narrow(EARLY_US.div_ceil(interval_us / u64::from(cells.get())))?;
        let most = cells.saturating_mul(limit.burst);
        let quota = Quota::with_period(cell)?.allow_burst(most.saturating_add(early.get()));
        Some(Self {
            limiter: limiter(quota),
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

#[cfg(test)]
mod tests {
    use governor::clock::{FakeRelativeClock, Reference as _};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::pace::Rate;

    proptest! {
        /// Whoever waits is woken late, and none of those after is later for it; all of them together
        /// are not faster than the rate, but for the one time that a request may be early.
        #[test]
        fn late_timers_push_nobody_back(
            per_minute in 1u32..60_000,
            late_us in prop::collection::vec(0..EARLY_US, 1..200),
        ) {
            let rate = Rate::per_minute(NonZeroU32::new(per_minute).unwrap());
            let interval_us = u64::try_from(rate.interval_us()).unwrap();
            let clock = FakeRelativeClock::default();
            let on_clock = |quota| RateLimiter::direct_with_clock(quota, clock.clone());
            let spread = Spread::of(Limit::steady(rate), on_clock).unwrap();
            let begun = clock.now();
            for (left, late_us) in (0..).zip(&late_us) {
                while let Err(not_yet) = spread.limiter.check_n(spread.cells).unwrap() {
                    let wait = not_yet.wait_time_from(clock.now());
                    clock.advance(wait + Duration::from_micros(*late_us));
                }
                let took: Duration = clock.now().duration_since(begun).into();
                let took_us = u64::try_from(took.as_micros()).unwrap();
                let whole_us = interval_us * left;
                prop_assert!(took_us <= whole_us + EARLY_US, "{took_us} us for {whole_us}");
                prop_assert!(took_us + 2 * EARLY_US >= whole_us, "{took_us} us for {whole_us}");
            }
        }
    }
}
