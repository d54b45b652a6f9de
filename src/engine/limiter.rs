//! This process's own guard against bursts, at the wire. The rate itself is kept by the slots
//! that the claim reserves in the ledger; commits and slow answers can bunch what the slots had
//! spread, and this spreads it again.

use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::pace::Limit;
use crate::ledger::Limits;

/// Account, run and line limits of one process.
#[derive(Debug)]
pub(super) struct Limiter {
    shared: Vec<DefaultDirectRateLimiter>,
    lines: Option<DefaultKeyedRateLimiter<String>>,
}

fn quota(limit: Limit) -> Option<Quota> {
    let interval = u64::try_from(limit.rate.interval_us()).ok()?;
    Some(Quota::with_period(Duration::from_micros(interval))?.allow_burst(limit.burst))
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let shared = [limits.account, limits.run];
        Self {
            shared: shared
                .into_iter()
                .flatten()
                .filter_map(quota)
                .map(RateLimiter::direct)
                .collect(),
            lines: limits.line.and_then(quota).map(RateLimiter::keyed),
        }
    }

    /// Waits until a message from `line` may leave. The wait is short: its slot has come.
    pub(super) async fn ready(&self, line: &str) {
        let clock = DefaultClock::default();
        for limiter in &self.shared {
            while let Err(not_yet) = limiter.check() {
                tokio::time::sleep(not_yet.wait_time_from(clock.now())).await;
            }
        }
        if let Some(lines) = &self.lines {
            let line = line.to_owned();
            while let Err(not_yet) = lines.check_key(&line) {
                tokio::time::sleep(not_yet.wait_time_from(clock.now())).await;
            }
        }
    }
}
