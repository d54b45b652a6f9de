//! Waits that the provider has asked this process for, kept in memory beside the ledger's: a
//! delivery claimed before the wait was known must not leave either. The ledger's gates are the
//! truth for every later claim; this only covers what is in hand.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::settle::later;
use crate::domain::delivery::Hold;
use crate::ledger::Gate;

/// Open waits by line; `None` is the whole account. Kept by a clock that nobody sets, so that a
/// wait lasts as long as it was to whatever becomes of the time of day.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Option<String>, Instant>>);

impl Gates {
    /// A gate is only ever extended.
    pub(super) fn extend(&self, gate: &Gate, now: Timestamp, at: Instant) {
        let wait = Duration::try_from(gate.until.duration_since(now)).unwrap_or_default();
        let Some(over) = at.checked_add(wait) else {
            // Past what this machine can reckon with; the ledger keeps it.
            return;
        };
        if let Ok(mut gates) = self.0.lock() {
            let until = gates.entry(gate.line.clone()).or_insert(over);
            *until = over.max(*until);
        }
    }

    /// Until when nothing may leave from `line`, and why; `None`: it may leave now.
    pub(super) fn closed(&self, line: &str, now: Timestamp) -> Option<(Timestamp, Hold)> {
        self.closed_at(line, now, Instant::now())
    }

    fn closed_at(&self, line: &str, now: Timestamp, at: Instant) -> Option<(Timestamp, Hold)> {
        let gates = self.0.lock().ok()?;
        let of = |line: Option<String>, hold| Some((*gates.get(&line)?, hold));
        let account = of(None, Hold::Throttled);
        let line = of(Some(line.to_owned()), Hold::LineCapacity);
        let (over, hold) = account.into_iter().chain(line).max_by_key(|(at, _)| *at)?;
        let left = over.saturating_duration_since(at);
        // Whole milliseconds, as the ledger keeps them, and not one too early.
        let left = i64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
        (left > 0).then(|| (later(now, SignedDuration::from_millis(left)), hold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gate(line: Option<&str>, until: i64) -> Gate {
        Gate {
            gateway: "chert".to_owned(),
            line: line.map(str::to_owned),
            until: at(until),
            reason: String::new(),
        }
    }

    #[test]
    fn a_gate_holds_its_line_or_everybody_and_is_only_extended() {
        let begun = Instant::now();
        let gates = Gates::default();
        let closed = |line: &str, second: u64| {
            let shown = at(i64::try_from(second).unwrap());
            gates.closed_at(line, shown, begun + Duration::from_secs(second))
        };
        assert_eq!(closed("one", 0), None);
        gates.extend(&gate(Some("one"), 10), at(0), begun);
        gates.extend(&gate(Some("one"), 5), at(0), begun);
        let busy = Some((at(10), Hold::LineCapacity));
        assert_eq!(closed("one", 9), busy);
        assert_eq!(closed("one", 10), None);
        assert_eq!(closed("other", 9), None);
        gates.extend(&gate(None, 20), at(0), begun);
        let throttled = Some((at(20), Hold::Throttled));
        assert_eq!(closed("one", 9), throttled);
        assert_eq!(closed("other", 19), throttled);
    }

    #[test]
    fn a_wait_lasts_as_long_as_it_was_to_whatever_the_clock_shows() {
        let begun = Instant::now();
        let gates = Gates::default();
        gates.extend(&gate(None, 90_030), at(90_000), begun);
        let closed = |shown: i64, passed: u64| {
            let passed = begun + Duration::from_secs(passed);
            gates
                .closed_at("one", at(shown), passed)
                .map(|(until, _)| until)
        };
        assert_eq!(closed(5, 10), Some(at(25)));
        assert_eq!(closed(700_000, 20), Some(at(700_010)));
        assert_eq!(closed(0, 30), None);
        gates.extend(&gate(None, i64::from(i32::MAX)), at(0), begun);
        assert!(closed(0, 30).is_some());
    }
}
