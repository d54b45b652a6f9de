//! Whose clock decides. On a shared ledger it is the server's: the times that a caller hands in
//! are moved to it, and those that it gets back are moved to the caller's own clock. Reads no
//! clock itself but for how long an answer took.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Measurements that are remembered; about a quarter of a minute's.
const KEPT: usize = 16;

/// Whose clock every comparison uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The server's. Callers whose clocks differ do no harm.
    Database,
    /// The caller's, as it stands in each call: for tests, which invent their times.
    Caller,
}

/// By how much the server's clock is ahead of the caller's, in microseconds: somewhere between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    least: i64,
    most: i64,
}

impl Bounds {
    fn with(self, other: Self) -> Option<Self> {
        let (least, most) = (self.least.max(other.least), self.most.min(other.most));
        (least <= most).then_some(Self { least, most })
    }
}

/// By how much the server's clock is ahead, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Offset(Mutex<VecDeque<Bounds>>);

impl Offset {
    /// The caller's clock said `caller` when it asked, the server's said `server_us` at some
    /// moment of the `took` until the answer.
    pub(super) fn measured(&self, caller: Timestamp, server_us: i64, took: Duration) {
        let most = server_us - caller.as_microsecond();
        let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let least = most.saturating_sub(took);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(Bounds { least, most });
        kept.truncate(KEPT);
    }

    /// What the newest measurements agree on. One that waited long says little and changes
    /// nothing; a clock that was set anew disagrees with all before, and they no longer count.
    pub(super) fn us(&self) -> Option<i64> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut measurements = kept.iter().copied();
        let mut agreed = measurements.next()?;
        for earlier in measurements {
            match agreed.with(earlier) {
                Some(both) => agreed = both,
                None => break,
            }
        }
        Some(agreed.least.midpoint(agreed.most))
    }
}

/// Moves times between two clocks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shift {
    /// By how much the server's clock is ahead, in microseconds.
    ahead_us: i64,
}

impl Shift {
    pub(super) fn by_us(ahead_us: i64) -> Self {
        Self { ahead_us }
    }

    pub(super) fn to_server(self, at: Timestamp) -> Timestamp {
        moved(at, self.ahead_us)
    }

    pub(super) fn to_caller(self, at: Timestamp) -> Timestamp {
        moved(at, -self.ahead_us)
    }

    pub(super) fn slot_to_caller(self, slot_us: i64) -> i64 {
        slot_us - self.ahead_us
    }
}

fn moved(at: Timestamp, us: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_micros(us))
        .unwrap_or(at)
}

/// How long an answer takes.
#[derive(Debug)]
pub(super) struct Asked(Instant);

impl Asked {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    pub(super) fn took(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(us).unwrap()
    }

    fn measure(offset: &Offset, caller: i64, server: i64, took: u64) {
        offset.measured(at(caller), server, Duration::from_micros(took));
    }

    #[test]
    fn a_slow_answer_does_not_move_the_clock() {
        let offset = Offset::default();
        assert_eq!(offset.us(), None);
        measure(&offset, 0, 1_000_050, 100);
        assert_eq!(offset.us(), Some(1_000_000));
        // The server answered after half a second in a queue.
        measure(&offset, 2_000_000, 3_500_000, 600_000);
        assert_eq!(offset.us(), Some(1_000_000));
    }

    #[test]
    fn a_clock_that_is_set_anew_is_believed_at_once() {
        let offset = Offset::default();
        for n in 0..9 {
            measure(&offset, n * 1_000_000, n * 1_000_000 + 40, 80);
        }
        assert_eq!(offset.us(), Some(0));
        measure(&offset, 3_610_000_000, 10_000_040, 80);
        assert_eq!(offset.us(), Some(-3_600_000_000));
    }

    #[test]
    fn many_measurements_are_better_than_one() {
        let offset = Offset::default();
        measure(&offset, 0, 90, 100);
        measure(&offset, 1_000, 1_010, 100);
        assert_eq!(offset.us(), Some(0), "between -10 and 10");
    }

    #[test]
    fn there_and_back_again_is_the_same_time() {
        let shift = Shift::by_us(-7_200_000_123);
        let before = at(1_790_000_000_000_000);
        assert_eq!(shift.to_caller(shift.to_server(before)), before);
        let slot = shift.slot_to_caller(shift.to_server(before).as_microsecond());
        assert_eq!(slot, before.as_microsecond());
    }
}
