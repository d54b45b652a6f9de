//! Waits that the provider has asked this process for, kept in memory beside the ledger's: a
//! delivery claimed before the wait was known must not leave either. The ledger's gates are the
//! truth for every later claim; this only covers what is in hand.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::domain::delivery::Hold;
use crate::domain::phone::Phone;
use crate::ledger::{Gate, Held};

/// Open waits by whom they hold.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Held, Timestamp>>);

impl Gates {
    /// A gate is only ever extended.
    pub(super) fn extend(&self, gate: &Gate) {
        if let Ok(mut gates) = self.0.lock() {
            let until = gates.entry(gate.held.clone()).or_insert(gate.until);
            *until = gate.until.max(*until);
        }
    }

    /// Until when nothing may leave from `line` to `to`, and why; `None`: it may leave now.
    pub(super) fn closed(
        &self,
        line: &str,
        to: &Phone,
        now: Timestamp,
    ) -> Option<(Timestamp, Hold)> {
        let mut gates = self.0.lock().ok()?;
        // Most of the time there is none, and what is over is of no use.
        gates.retain(|_, until| *until > now);
        if gates.is_empty() {
            return None;
        }
        let of = |held, hold| Some((*gates.get(&held)?, hold));
        [
            of(Held::Account, Hold::Throttled),
            of(Held::Line(line.to_owned()), Hold::LineCapacity),
            of(Held::Recipient(to.clone()), Hold::Retry),
        ]
        .into_iter()
        .flatten()
        .max_by_key(|(until, _)| *until)
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
            reason: String::new(),
        }
    }

    #[test]
    fn a_gate_holds_its_line_its_recipient_or_everybody_and_is_only_extended() {
        let gates = Gates::default();
        let [ann, bob] =
            ["+12025550143", "+12025550144"].map(|text| Phone::from_e164(text).unwrap());
        assert_eq!(gates.closed("one", &ann, at(0)), None);
        gates.extend(&gate(Held::Line("one".to_owned()), 10));
        gates.extend(&gate(Held::Line("one".to_owned()), 5));
        let busy = Some((at(10), Hold::LineCapacity));
        assert_eq!(gates.closed("one", &ann, at(9)), busy);
        assert_eq!(gates.closed("other", &ann, at(9)), None);
        assert_eq!(gates.closed("one", &ann, at(10)), None);
        gates.extend(&gate(Held::Recipient(ann.clone()), 15));
        let asked = Some((at(15), Hold::Retry));
        assert_eq!(gates.closed("other", &ann, at(14)), asked);
        assert_eq!(gates.closed("other", &bob, at(14)), None);
        gates.extend(&gate(Held::Account, 20));
        let throttled = Some((at(20), Hold::Throttled));
        assert_eq!(gates.closed("one", &ann, at(9)), throttled);
        assert_eq!(gates.closed("other", &bob, at(19)), throttled);
    }
}
