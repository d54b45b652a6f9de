//! Waits that the provider has asked this process for, kept in memory beside the ledger's: a
//! delivery claimed before the wait was known must not leave either. The ledger's gates are the
//! truth for every later claim; this only covers what is in hand.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::settle::later;
use crate::domain::address::Address;
use crate::domain::delivery::Hold;
use crate::ledger::{Gate, Held};

/// Open waits by whom they hold. Kept by a clock that nobody sets, so that a wait lasts as long as
/// it was to whatever becomes of the time of day.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Held, (Instant, Hold)>>);

impl Gates {
    /// A gate is only ever extended.
    pub(super) fn extend(&self, gate: &Gate, now: Timestamp, at: Instant) {
        let wait = Duration::try_from(gate.until.duration_since(now)).unwrap_or_default();
        let Some(over) = at.checked_add(wait) else {
            // Past what this machine can reckon with; the ledger keeps it.
            return;
        };
        if let Ok(mut gates) = self.0.lock() {
            let kept = gates.entry(gate.held.clone());
            let (until, hold) = kept.or_insert((over, gate.hold()));
            *until = over.max(*until);
            if gate.inactive_since.is_some() {
                *hold = Hold::LineInactive;
            }
        }
    }

    /// A line that was held because it took no part in messaging does so again.
    pub(super) fn reopen(&self, line: &str) {
        if let Ok(mut gates) = self.0.lock() {
            gates.remove(&Held::Line(line.to_owned()));
        }
    }

    /// Until when nothing may leave from `line` to `to`, and why; `None`: it may leave now.
    pub(super) fn closed(
        &self,
        line: &str,
        to: &Address,
        now: Timestamp,
    ) -> Option<(Timestamp, Hold)> {
        let (over, hold) = self.closed_at(line, to, Instant::now())?;
        // Whole milliseconds, as the ledger keeps them, and not one too early.
        let left = i64::try_from(over.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
        Some((later(now, SignedDuration::from_millis(left)), hold))
    }

    /// For how long still.
    fn closed_at(&self, line: &str, to: &Address, at: Instant) -> Option<(Duration, Hold)> {
        let mut gates = self.0.lock().ok()?;
        // Most of the time there is none, and what is over is of no use.
        gates.retain(|_, (over, _)| *over > at);
        if gates.is_empty() {
            return None;
        }
        let of = |held| {
            let (over, hold) = gates.get(&held)?;
            Some((over.duration_since(at), *hold))
        };
        [
            of(Held::Account),
            of(Held::Line(line.to_owned())),
            of(Held::Recipient(to.clone())),
        ]
        .into_iter()
        .flatten()
        .max_by_key(|(left, _)| *left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gate(held: Held, until: i64) -> Gate {
        Gate {
            gateway: "chert".to_owned(),
            held,
            until: at(until),
            inactive_since: None,
            reason: String::new(),
        }
    }

    #[test]
    fn a_gate_holds_its_line_its_recipient_or_everybody_and_is_only_extended() {
        let begun = Instant::now();
        let gates = Gates::default();
        let [ann, bob] =
            ["+12025550143", "+12025550144"].map(|text| Address::stored(text).unwrap());
        let closed = |line: &str, to: &Address, second: u64| {
            let left = gates.closed_at(line, to, begun + Duration::from_secs(second));
            left.map(|(left, hold)| (second + left.as_secs(), hold))
        };
        assert_eq!(closed("one", &ann, 0), None);
        gates.extend(&gate(Held::Line("one".to_owned()), 10), at(0), begun);
        gates.extend(&gate(Held::Line("one".to_owned()), 5), at(0), begun);
        assert_eq!(closed("one", &ann, 9), Some((10, Hold::LineCapacity)));
        assert_eq!(closed("other", &ann, 9), None);
        gates.extend(&gate(Held::Recipient(ann.clone()), 15), at(0), begun);
        assert_eq!(closed("other", &ann, 9), Some((15, Hold::Retry)));
        assert_eq!(closed("other", &bob, 9), None);
        gates.extend(&gate(Held::Account, 20), at(0), begun);
        assert_eq!(closed("one", &ann, 9), Some((20, Hold::Throttled)));
        assert_eq!(closed("one", &ann, 10), Some((20, Hold::Throttled)));
        assert_eq!(closed("other", &bob, 19), Some((20, Hold::Throttled)));
        assert_eq!(closed("one", &ann, 20), None);
    }

    #[test]
    fn a_line_that_is_active_again_is_held_no_longer_and_until_then_says_why() {
        let begun = Instant::now();
        let gates = Gates::default();
        let ann = Address::stored("+12025550143").unwrap();
        let inactive = Gate {
            inactive_since: Some(at(0)),
            ..gate(Held::Line("one".to_owned()), 300)
        };
        gates.extend(&gate(Held::Line("one".to_owned()), 10), at(0), begun);
        gates.extend(&inactive, at(0), begun);
        let hold = gates.closed_at("one", &ann, begun).map(|(_, hold)| hold);
        assert_eq!(hold, Some(Hold::LineInactive));
        gates.reopen("other");
        assert!(gates.closed_at("one", &ann, begun).is_some());
        gates.reopen("one");
        assert_eq!(gates.closed_at("one", &ann, begun), None);
    }

    #[test]
    fn a_wait_lasts_as_long_as_it_was_to_whatever_the_clock_shows() {
        let gates = Gates::default();
        let ann = Address::stored("+12025550143").unwrap();
        let asked = Instant::now();
        gates.extend(&gate(Held::Account, 90_030), at(90_000), asked);
        for shown in [5, 90_000, 700_000] {
            let (until, _) = gates.closed("one", &ann, at(shown)).unwrap();
            assert!(until > at(shown + 15) && until <= at(shown + 30), "{until}");
        }
        let over = asked + Duration::from_secs(30);
        assert_eq!(gates.closed_at("one", &ann, over), None);
        gates.extend(&gate(Held::Account, i64::from(i32::MAX)), at(0), asked);
        assert!(gates.closed_at("one", &ann, over).is_some());
    }
}
