//! When a refused or unanswered attempt is tried again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The retry rules of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries that count, the first among them. A wait that the provider asks for does not count.
    pub attempts: u32,
    /// The wait before the second try; doubles each time.
    pub base: SignedDuration,
    /// No wait of ours is longer than this. The provider's own waits are never cut.
    pub max: SignedDuration,
    /// From the first attempt; after that the delivery is given up.
    pub give_up_after: SignedDuration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: SignedDuration::from_secs(1),
            max: SignedDuration::from_mins(5),
            give_up_after: SignedDuration::from_hours(24),
        }
    }
}

impl RetryPolicy {
    /// The wait after `tries` counted tries (at least 1): `base × 2^(tries-1)`, at most `max`,
    /// of which the upper half is drawn by `chance` in `[0, 1)`, so that many deliveries that
    /// fail together do not come back together.
    pub fn backoff(&self, tries: u32, chance: f64) -> SignedDuration {
        let doublings = tries.saturating_sub(1).min(32);
        let full = i64::try_from(self.base.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_mul(1i64 << doublings)
            .min(i64::try_from(self.max.as_millis()).unwrap_or(i64::MAX));
        let half = full / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "milliseconds below the campaign's `max`, far inside 2^52"
        )]
        let drawn = ((full - half) as f64 * chance.clamp(0.0, 1.0)) as i64;
        SignedDuration::from_millis(half + drawn)
    }

    /// Whether another try is allowed after `tries` counted ones.
    pub fn allows(&self, tries: u32, first_attempt: Timestamp, at: Timestamp) -> bool {
        tries < self.attempts && at.duration_since(first_attempt) < self.give_up_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_waits_double_up_to_the_maximum() {
        let policy = RetryPolicy {
            max: SignedDuration::from_secs(5),
            ..RetryPolicy::default()
        };
        let waits: Vec<_> = (1..6).map(|n| policy.backoff(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [1000, 2000, 4000, 5000, 5000]);
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_half_and_the_whole(
            tries in 0u32..100, chance in 0.0f64..1.0, base in 1i64..100_000, max in 1i64..10_000_000,
        ) {
            let policy = RetryPolicy {
                base: SignedDuration::from_millis(base),
                max: SignedDuration::from_millis(max),
                ..RetryPolicy::default()
            };
            let full = policy.backoff(tries, 1.0);
            let wait = policy.backoff(tries, chance);
            prop_assert!(wait <= full && full <= policy.max.max(policy.base));
            prop_assert!(wait.as_millis() >= full.as_millis() / 2);
            prop_assert!(policy.backoff(tries + 1, 1.0) >= full);
        }
    }
}
