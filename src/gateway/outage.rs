//! How long a provider is left alone that cannot be reached. Nothing was sent then, so the wait
//! is for everybody who is sent to through the account, and uses up nobody's attempts. Knows no
//! provider.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Short, so that a blink of the network is hardly noticed.
const FIRST: Duration = Duration::from_secs(1);
/// Long enough that a run which is not to wait for long leaves, short enough to be back soon.
const LONGEST: Duration = Duration::from_mins(2);

/// The waits since the provider could last be reached.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Wait>>);

#[derive(Debug, Clone, Copy)]
struct Wait {
    until: Instant,
    length: Duration,
}

impl Outage {
    fn state(&self) -> MutexGuard<'_, Option<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There was no connection at `now`: how long to wait. Requests that fail together share one
    /// wait; one that fails after it doubles it.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let mut state = self.state();
        let length = match *state {
            Some(wait) if now < wait.until => return wait.until - now,
            Some(wait) => (wait.length * 2).min(LONGEST),
            None => FIRST,
        };
        *state = Some(Wait {
            until: now + length,
            length,
        });
        length
    }

    /// The provider has been reached.
    pub(super) fn over(&self) {
        *self.state() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_while_it_lasts_and_begin_anew_after_it() {
        let outage = Outage::default();
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 32, 64, 120, 120] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(outage.wait(now), wait);
            // Those that were on their way at the same time wait for the same moment.
            assert_eq!(outage.wait(now + wait / 2), wait / 2);
            now += wait;
        }
        outage.over();
        assert_eq!(outage.wait(now), FIRST);
    }
}
