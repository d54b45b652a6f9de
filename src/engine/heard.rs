//! When the ledger last heard of this process. One that was silent for long, because it was stopped
//! or cut off, may count as gone, and what it has begun may be another's already. Tells nobody
//! anything: that is `pulse`'s.

use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

/// By a clock that nobody sets.
#[derive(Debug)]
pub(super) struct Heard {
    last: Mutex<Instant>,
    /// None: it never counts as gone while it lives.
    silence: Option<Duration>,
}

impl Heard {
    /// It was first told of at `at`, and may count as gone after `silence`.
    pub(super) fn new(at: Instant, silence: Option<SignedDuration>) -> Self {
        Self {
            last: Mutex::new(at),
            silence: silence.and_then(|silence| Duration::try_from(silence).ok()),
        }
    }

    /// The ledger was told; the telling began at `at`.
    pub(super) fn told(&self, at: Instant) {
        if let Ok(mut last) = self.last.lock() {
            *last = at.max(*last);
        }
    }

    /// Whether this process may count as gone by now.
    pub(super) fn too_long_ago(&self) -> bool {
        self.too_long_before(Instant::now())
    }

    fn too_long_before(&self, at: Instant) -> bool {
        let Some(silence) = self.silence else {
            return false;
        };
        self.last
            .lock()
            .map_or(true, |last| at.saturating_duration_since(*last) >= silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_over_when_the_ledger_is_told() {
        let begun = Instant::now();
        let second = |n| begun + Duration::from_secs(n);
        let heard = Heard::new(begun, Some(SignedDuration::from_secs(15)));
        assert!(!heard.too_long_before(second(14)));
        assert!(heard.too_long_before(second(15)));
        heard.told(second(14));
        heard.told(second(3));
        assert!(!heard.too_long_before(second(28)));
        assert!(heard.too_long_before(second(29)));
    }

    #[test]
    fn where_a_lock_tells_no_silence_is_too_long() {
        let begun = Instant::now();
        let heard = Heard::new(begun, None);
        assert!(!heard.too_long_before(begun + Duration::from_hours(9)));
    }
}
