//! This process's own guard against bursts, at the wire. The rate itself is kept by the slots
//! that the claim reserves in the ledger; commits and slow answers can bunch what the slots had
//! spread, and this spreads it again.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::pace::Limit;
use crate::ledger::{AccountLimits, Limits};

/// The account's limit in one process, shared by all its runs.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    limits: AccountLimits,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Guard {
    pub fn of(account: AccountLimits) -> Self {
        Self {
            limits: account,
            limiter: account
                .rate
                .and_then(quota)
                .map(RateLimiter::direct)
                .map(Arc::new),
        }
    }

    /// The account's limits themselves, for all processes together.
    pub(super) fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    /// Waits until one more request may leave.
    pub(super) async fn ready(&self) {
        if let Some(limiter) = &self.limiter {
            wait_for(limiter).await;
        }
    }
}

async fn wait_for(limiter: &DefaultDirectRateLimiter) {
    let clock = DefaultClock::default();
    while let Err(not_yet) = limiter.check() {
        tokio::time::sleep(not_yet.wait_time_from(clock.now())).await;
    }
}

/// Account, run and line limits of one run in one process.
#[derive(Debug)]
pub(super) struct Limiter {
    shared: Vec<Arc<DefaultDirectRateLimiter>>,
    lines: Option<DefaultKeyedRateLimiter<String>>,
}

fn quota(limit: Limit) -> Option<Quota> {
    let interval = u64::try_from(limit.rate.interval_us()).ok()?;
    Some(Quota::with_period(Duration::from_micros(interval))?.allow_burst(limit.burst))
}

impl Limiter {
    pub(super) fn new(limits: &Limits, account: &Guard) -> Self {
        let run = Guard::of(AccountLimits::from(limits.run));
        Self {
            shared: [account.limiter.clone(), run.limiter]
                .into_iter()
                .flatten()
                .collect(),
            lines: limits.line.and_then(quota).map(RateLimiter::keyed),
        }
    }

    /// Whether there is any limit, so that slots are more than a turn.
    pub(super) fn is_any(&self) -> bool {
        !self.shared.is_empty() || self.lines.is_some()
    }

    /// Waits until a message from `line` may leave. The wait is short: its slot has come.
    pub(super) async fn ready(&self, line: &str) {
        for limiter in &self.shared {
            wait_for(limiter).await;
        }
        if let Some(lines) = &self.lines {
            let clock = DefaultClock::default();
            let line = line.to_owned();
            while let Err(not_yet) = lines.check_key(&line) {
                tokio::time::sleep(not_yet.wait_time_from(clock.now())).await;
            }
        }
    }
}
